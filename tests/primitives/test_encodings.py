"""The paper's two encodings: how many trees they hold, that nothing leads out of them, genes to trees and back."""

import functools
import itertools
import math
import pickle
import random
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from deap import gp
from hypothesis import given, settings
from hypothesis import strategies as st

from gaaf_gp.activations.behaviour import behaviour
from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation.evaluator import Evaluator
from gaaf_gp.search.evolve import evolve
from gaaf_gp.trees.generation import gen_full, gen_grow, gen_half_and_half, generate
from gaaf_gp.trees.individual import Individual
from gaaf_gp.trees.operators import MUTATIONS, cx_one_point, mut_any
from gaaf_gp.trees.parser import parse
from gaaf_gp.trees.pset import PrimitiveSet
from primitives import gaaf

ENCODINGS = {3: gaaf.encoding1(), 6: gaaf.encoding2()}
FREE = gaaf.free()
LIMITS = {3: (22, 22, 11), 6: (22, 22, 22, 22, 11, 11)}
UNARY, BINARY = st.integers(0, 21), st.integers(0, 10)
GENES = st.one_of(st.tuples(UNARY, UNARY, BINARY), st.tuples(UNARY, UNARY, UNARY, UNARY, BINARY, BINARY))


def trees(pset: PrimitiveSet) -> int:
    """Count the trees of a set whose types never repeat on a branch: a sum over nodes of a product over arguments."""

    @functools.cache
    def returning(marker: type) -> int:
        calls = (math.prod(map(returning, p.args)) for p in pset.primitives[marker])
        return len(pset.terminals[marker]) + sum(calls)

    return returning(pset.ret)


def drawn(pset: PrimitiveSet, rng: random.Random) -> Individual:
    return Individual(generate(pset, 0, 4, rng=rng), pset)


def assert_inside(tree: Any, genes: int) -> None:
    assert gaaf.from_genes(gaaf.to_genes(tree), ENCODINGS[genes]) == tree
    assert len(gaaf.to_genes(tree)) == genes


@pytest.mark.parametrize(("genes", "count"), [(3, 5_324), (6, 28_344_976)])
def test_the_types_leave_as_many_trees_as_the_paper_has_genotypes(genes: int, count: int) -> None:
    assert trees(ENCODINGS[genes]) == math.prod(LIMITS[genes]) == count


def test_every_genotype_of_the_first_encoding_is_a_tree_of_its_own_and_comes_back() -> None:
    every = list(itertools.product(*map(range, LIMITS[3])))
    made = [gaaf.from_genes(genes, ENCODINGS[3]) for genes in every]
    assert [gaaf.to_genes(tree) for tree in made] == every
    assert len({str(tree) for tree in made}) == 5324


@settings(max_examples=300)
@given(GENES)
def test_genes_and_trees_are_inverse_in_each_set(genes: tuple[int, ...]) -> None:
    for pset in (ENCODINGS[len(genes)], FREE):
        tree = gaaf.from_genes(genes, pset)
        assert gaaf.to_genes(tree) == genes
        assert parse(str(tree), pset) == tree
        assert gaaf.from_genes(gaaf.to_genes(tree), pset) == tree


@settings(max_examples=60)
@given(GENES)
def test_a_tree_of_an_encoding_behaves_and_reads_as_the_free_one(genes: tuple[int, ...]) -> None:
    tree, free = (gaaf.from_genes(genes, pset) for pset in (ENCODINGS[len(genes)], FREE))
    assert (tree.infix(), tree.latex(), tree.cost) == (free.infix(), free.latex(), free.cost)
    assert behaviour(tree) == behaviour(free)


def test_the_second_encoding_names_the_places_that_take_other_types() -> None:
    tree = gaaf.from_genes([6, 7, 18, 0, 0, 2], ENCODINGS[6])
    assert str(tree) == "b1_mul(u2_neg(add(sin(x), cos(x))), identity(x))"
    assert tree.infix() == "(-(sin(x) + cos(x))) * x"
    assert len(ENCODINGS[6].mapping) == 1 + 2 * 22 + 2 * 11


def test_genes_keep_the_order_that_the_canonical_text_forgets() -> None:
    one, other = (gaaf.from_genes(genes, ENCODINGS[3]) for genes in ([6, 7, 0], [7, 6, 0]))
    assert one.canonical == other.canonical == "add(cos(x), sin(x))"
    assert (gaaf.to_genes(one), gaaf.to_genes(other)) == ((6, 7, 0), (7, 6, 0))
    outer = gaaf.from_genes([6, 7, 18, 0, 0, 0], ENCODINGS[6])
    assert outer.canonical == "b1_add(u2_neg(add(cos(x), sin(x))), identity(x))"


@pytest.mark.parametrize("genes", [3, 6])
@pytest.mark.parametrize("make", [gen_full, gen_grow, gen_half_and_half, generate])
def test_our_generators_always_stay_inside(genes: int, make: Callable[..., list[Any]]) -> None:
    rng = random.Random(1)
    for _ in range(200):
        assert_inside(Individual(make(ENCODINGS[genes], 0, 5, rng=rng), ENCODINGS[genes]), genes)


@pytest.mark.parametrize("make", [gp.genFull, gp.genGrow, gp.genHalfAndHalf])
def test_deaps_generators_stay_inside_the_first_encoding(make: Callable[..., list[Any]]) -> None:
    random.seed(2)
    for _ in range(200):
        assert_inside(Individual(make(ENCODINGS[3], 2, 2), ENCODINGS[3]), 3)


@pytest.mark.parametrize("make", [gp.genFull, gp.genGrow, gp.genHalfAndHalf])
def test_what_deaps_generators_finish_of_the_second_encoding_is_inside(make: Callable[..., list[Any]]) -> None:
    random.seed(3)
    finished = 0
    for _ in range(2_000):
        with suppress(IndexError):  # DEAP's way to say that a type has no terminal, or no primitive
            assert_inside(Individual(make(ENCODINGS[6], 2, 4), ENCODINGS[6]), 6)
            finished += 1
    assert (finished > 0) == (make is not gp.genFull)
    assert finished < 200


def deaps_mutations(pset: PrimitiveSet, rng: random.Random) -> list[Callable[[Individual], Any]]:
    def as_high_as_needed(pset: PrimitiveSet, type_: type) -> list[Any]:
        height = int(pset.least_height(type_))
        return list(gp.genFull(pset, height, height, type_))

    def ours(pset: PrimitiveSet, type_: type) -> list[Any]:
        return generate(pset, 0, 4, type_, rng=rng)

    return [
        lambda tree: gp.mutUniform(tree, as_high_as_needed, pset),
        lambda tree: gp.mutUniform(tree, ours, pset),
        lambda tree: gp.mutNodeReplacement(tree, pset),
        lambda tree: gp.mutInsert(tree, pset),
        gp.mutShrink,
    ]


@pytest.mark.parametrize("genes", [3, 6])
def test_thousands_of_variations_stay_inside_and_reach_every_gene(genes: int) -> None:
    pset, rng = ENCODINGS[genes], random.Random(4)
    random.seed(4)
    mate = [
        lambda a, b: cx_one_point(a, b, rng=rng),
        gp.cxOnePoint,
        lambda a, b: gp.cxOnePointLeafBiased(a, b, termpb=0.1),
    ]
    mutate = [functools.partial(mutation, rng=rng) for mutation in (*MUTATIONS, mut_any)]
    mutate += deaps_mutations(pset, rng)
    pool = [drawn(pset, rng) for _ in range(20)]
    seen: list[set[int]] = [set() for _ in range(genes)]
    for number in range(10_000):
        first, second = rng.sample(range(len(pool)), 2)
        if number % 2:
            rng.choice(mate)(pool[first], pool[second])
        else:
            with suppress(IndexError):
                rng.choice(mutate)(pool[first])
        for tree in (pool[first], pool[second]):
            for place, gene in enumerate(gaaf.to_genes(tree)):
                seen[place].add(gene)
            assert_inside(tree, genes)
    assert [len(values) for values in seen] == list(LIMITS[genes])


def test_a_free_tree_that_fits_has_genes() -> None:
    assert gaaf.to_genes(parse("add(sin(x), cos(x))", FREE)) == (6, 7, 0)
    assert gaaf.to_genes(parse("max(neg(sub(square(x), cube(x))), shift(x))", FREE)) == (2, 3, 18, 20, 1, 5)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sin(x)", "must have 5 nodes, b0(u0(x), u1(x)), or 9, b1(u2(b0(u0(x), u1(x))), u3(x)), got 2 in sin(x)"),
        ("add(x, x)", "got 3 in add(x, x): put identity where x stands alone"),
        ("add(sin(x), const(0.5))", "node 3 of add(sin(x), const(0.5)) is const where a unary operator of the paper"),
        ("sin(sin(sin(sin(x))))", "node 0 of sin(sin(sin(sin(x)))) is sin where a binary operator of the paper must"),
        ("add(add(x, x), x)", "must be b0(u0(x), u1(x)), but node 1 of add(add(x, x), x) is add where a unary"),
        ("add(sin(add(x, x)), add(x, sin(x)))", "node 3 of .* is add|node 3 .* is x where a unary operator"),
        ("add(sin(sin(x)), x)", "node 2 of add(sin(sin(x)), x) is sin where x must stand"),
    ],
)
def test_what_does_not_fit_is_named(text: str, said: str) -> None:
    pattern = said if ".*" in said else re.escape(said)
    with pytest.raises(GaafError, match=pattern):
        gaaf.to_genes(parse(text, FREE))


@pytest.mark.parametrize(
    ("genes", "encoding", "said"),
    [
        (
            [0, 0, 0],
            6,
            r"a genotype of 3 genes is b0\(u0\(x\), u1\(x\)\), but set '.*encoding2' has no .*encoding1\(\)",
        ),
        ([0] * 6, 3, r"a genotype of 6 genes is b1\(.*\), but set 'primitives.gaaf:encoding1' has no .*encoding2\(\)"),
    ],
)
def test_genes_of_the_other_encoding_are_refused(genes: list[int], encoding: int, said: str) -> None:
    with pytest.raises(GaafError, match=said):
        gaaf.from_genes(genes, ENCODINGS[encoding])


@pytest.mark.parametrize("genes", [3, 6])
def test_sets_are_pickled_with_their_types(genes: int) -> None:
    again = pickle.loads(pickle.dumps(ENCODINGS[genes]))
    assert again is not ENCODINGS[genes]
    assert (again.name, trees(again)) == (ENCODINGS[genes].name, math.prod(LIMITS[genes]))
    tree = drawn(again, random.Random(5))
    assert gaaf.to_genes(parse(str(tree), ENCODINGS[genes])) == gaaf.to_genes(tree)


@pytest.mark.parametrize("genes", [3, 6])
def test_evolution_stays_inside(genes: int, make_stub: Any) -> None:
    with Evaluator(make_stub(), ENCODINGS[genes]) as evaluator:
        found = evolve(ENCODINGS[genes], evaluator, evaluations=30, population_size=8)
    assert len(found.records) == 30
    for record in found.records:
        assert_inside(parse(record.text, ENCODINGS[genes]), genes)
