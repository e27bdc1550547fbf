"""Crossover and mutation: children are well-typed and within the limits, and a seed gives the same in any process."""

from __future__ import annotations

import copy
import functools
import inspect
import math
import os
import random
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from deap import gp
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gaaf_gp.errors import GaafError
from gaaf_gp.trees.candidate import TwoTrees
from gaaf_gp.trees.generation import DEFAULT_LIMITS, Limits, gen_full, generate
from gaaf_gp.trees.individual import Individual
from gaaf_gp.trees.operators import (
    MUTATIONS,
    cx_one_point,
    mut_any,
    mut_constant,
    mut_constant_scale,
    mut_insert,
    mut_node_replacement,
    mut_one_of_two,
    mut_shrink,
    mut_uniform,
)
from gaaf_gp.trees.parser import parse
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.trees.tree import Constant
from gaaf_gp.types import Channel, Feature, Scalar

Reader = Callable[[Sequence[Any], type], Any]
Mutation = Callable[..., tuple[Individual]]

TREES = 10
"""Trees varied for each of hypothesis's 100 examples."""
SEEDS = st.integers(0, 2**32)
LIMITS = st.builds(Limits, height=st.integers(0, 6), size=st.integers(1, 30))
WIDER_LIMITS = st.builds(Limits, height=st.integers(3, 6), size=st.integers(5, 20))
every_mutation = pytest.mark.parametrize(
    "mutation", [*MUTATIONS, mut_any], ids=lambda mutation: getattr(mutation, "__name__", "")
)


def grown(pset: PrimitiveSet, rng: random.Random, limits: Limits = DEFAULT_LIMITS, least: int = 0) -> Individual:
    return Individual(generate(pset, least, limits.height, rng=rng, max_size=limits.size), pset)


def check(individual: Individual, nested: Reader, limits: Limits) -> None:
    """Fail unless it is one well-typed tree of its set, within the limits, that can be written and read."""
    tree = nested(individual, individual.pset.ret)
    assert tree.well_typed
    assert tree.height <= limits.height
    assert tree.size <= limits.size
    assert all(isinstance(node, Constant) or individual.pset.mapping[node.name] == node for node in individual)
    assert parse(str(individual), individual.pset) == individual


def mutate_and_check(mutation: Mutation, pset: PrimitiveSet, nested: Reader, limits: Limits, seed: int) -> None:
    """Mutate random trees, and check each mutant."""
    rng = random.Random(seed)
    for _ in range(TREES):
        mutant_is_sound(mutation, grown(pset, rng, limits), nested, limits, rng)


def mutant_is_sound(mutation: Mutation, parent: Individual, nested: Reader, limits: Limits, rng: Any) -> None:
    text, child = str(parent), copy.deepcopy(parent)
    child.fitness.values = (0.5,)
    result = mutation(child, rng=rng, limits=limits)
    assert isinstance(result, tuple)
    assert len(result) == 1
    assert result[0] is child
    assert child.pset is parent.pset
    assert child.fitness.values == (0.5,)
    assert str(parent) == text
    check(child, nested, limits)


def cross_and_check(pset: PrimitiveSet, nested: Reader, limits: Limits, seed: int) -> None:
    """Cross random trees, and check each pair of children."""
    rng = random.Random(seed)
    for _ in range(TREES):
        children_are_sound(grown(pset, rng, limits), grown(pset, rng, limits), nested, limits, rng)


def children_are_sound(first: Individual, second: Individual, nested: Reader, limits: Limits, rng: Any) -> None:
    texts, nodes = (str(first), str(second)), Counter(node.name for node in [*first, *second])
    one, two = copy.deepcopy(first), copy.deepcopy(second)
    result = cx_one_point(one, two, rng=rng, limits=limits)
    assert isinstance(result, tuple)
    assert len(result) == 2
    assert result[0] is one
    assert result[1] is two
    assert (str(first), str(second)) == texts
    assert Counter(node.name for node in [*one, *two]) == nodes
    check(one, nested, limits)
    check(two, nested, limits)


@every_mutation
@settings(max_examples=100)
@given(seed=SEEDS, limits=LIMITS)
def test_mutants_are_well_typed_and_within_the_limits(
    pset: PrimitiveSet, nested: Reader, mutation: Mutation, seed: int, limits: Limits
) -> None:
    mutate_and_check(mutation, pset, nested, limits, seed)


@every_mutation
@settings(max_examples=20)
@given(seed=SEEDS, limits=WIDER_LIMITS)
def test_so_they_are_where_types_leave_few_trees(
    strict_pset: PrimitiveSet, nested: Reader, mutation: Mutation, seed: int, limits: Limits
) -> None:
    mutate_and_check(mutation, strict_pset, nested, limits, seed)


@settings(max_examples=100)
@given(seed=SEEDS, limits=LIMITS)
def test_crossed_trees_are_well_typed_and_within_the_limits(
    pset: PrimitiveSet, nested: Reader, seed: int, limits: Limits
) -> None:
    cross_and_check(pset, nested, limits, seed)


@settings(max_examples=50)
@given(seed=SEEDS, limits=WIDER_LIMITS)
def test_so_they_are_where_types_leave_few_of_them(
    strict_pset: PrimitiveSet, nested: Reader, seed: int, limits: Limits
) -> None:
    cross_and_check(strict_pset, nested, limits, seed)


def test_subtypes_are_exchanged_with_what_they_derive_from(subtyped: PrimitiveSet) -> None:
    rng, found = random.Random(0), set()
    for _ in range(200):
        one, two = parse("tanh(tanh(x))", subtyped), parse("sub(sin(x), cos(sin(x)))", subtyped)
        cx_one_point(one, two, rng=rng)
        found.add(str(one))
    # A Leaf of the second may stand for a Feature of the first, but then a Feature must not stand for the Leaf.
    assert "tanh(sin(x))" not in found
    assert "tanh(sub(sin(x), cos(sin(x))))" in found


def test_parents_at_the_limits_still_exchange(minimal: PrimitiveSet, nested: Reader) -> None:
    rng, limits, changed = random.Random(0), Limits(3, 15), 0
    for _ in range(300):
        parents = [Individual(gen_full(minimal, 3, 3, rng=rng, max_size=15), minimal) for _ in range(2)]
        one, two = copy.deepcopy(parents)
        cx_one_point(one, two, rng=rng, limits=limits)
        check(one, nested, limits)
        check(two, nested, limits)
        changed += [one, two] != parents
    assert changed > 200


@settings(max_examples=100)
@given(seed=SEEDS, limits=LIMITS)
def test_parents_over_the_limits_never_grow(pset: PrimitiveSet, nested: Reader, seed: int, limits: Limits) -> None:
    rng = random.Random(seed)
    generous = Limits(8, 40)
    parents = [grown(pset, rng, generous, least=4) for _ in range(2)]
    before = [nested(parent, pset.ret) for parent in parents]
    children = [[mutation(copy.deepcopy(parents[0]), rng=rng, limits=limits)[0]] for mutation in (*MUTATIONS, mut_any)]
    children.append(list(cx_one_point(*copy.deepcopy(parents), rng=rng, limits=limits)))
    for family in children:
        for child, parent in zip(family, before, strict=False):
            height, size = max(parent.height, limits.height), max(parent.size, limits.size)
            check(child, nested, Limits(height, size))


def test_limits_hold_over_many_generations(pset: PrimitiveSet, nested: Reader) -> None:
    rng = random.Random(0)
    population = [grown(pset, rng, Limits(2, 9)) for _ in range(20)]
    for _ in range(20):
        rng.shuffle(population)
        for one, two in zip(population[::2], population[1::2], strict=True):
            cx_one_point(one, two, rng=rng)
        for individual in population:
            mut_any(individual, rng=rng)
            check(individual, nested, Limits(6, 30))


@pytest.mark.parametrize(
    ("first", "second"), [("x", "x"), ("x", "const(0.5)"), ("const(0.5)", "const(0.5)"), ("const(1)", "x")]
)
def test_trees_with_nothing_to_exchange_stay_as_they_are(free: PrimitiveSet, first: str, second: str) -> None:
    for seed in range(20):
        one, two = parse(first, free), parse(second, free)
        cx_one_point(one, two, rng=random.Random(seed))
        assert (one, two) == (parse(first, free), parse(second, free))


def test_a_leaf_and_a_tree_exchange_but_never_whole_trees(minimal: PrimitiveSet) -> None:
    found = set()
    for seed in range(200):
        one, two = parse("x", minimal), parse("sin(cos(tanh(x)))", minimal)
        cx_one_point(one, two, rng=random.Random(seed))
        found.add((str(one), str(two)))
    assert found == {
        ("cos(tanh(x))", "sin(x)"),
        ("tanh(x)", "sin(cos(x))"),
        ("x", "sin(cos(tanh(x)))"),
    }


def test_most_exchanges_move_structure(minimal: PrimitiveSet) -> None:
    rng, moved = random.Random(0), 0
    for _ in range(500):
        one, two = parse("add(sin(x), mul(x, x))", minimal), parse("sub(cos(x), tanh(tanh(x)))", minimal)
        before = [str(one), str(two)]
        cx_one_point(one, two, rng=rng)
        moved += [str(one), str(two)] != before
    # All leaves are x, so an exchange of two leaves, at most one in ten of those that start at a leaf, shows nothing.
    assert moved / 500 > 0.9


def test_a_tree_crossed_with_itself_stays_a_tree(minimal: PrimitiveSet, nested: Reader) -> None:
    for seed in range(50):
        individual = parse("add(sin(mul(x, x)), cos(sub(tanh(x), x)))", minimal)
        one, two = cx_one_point(individual, individual, rng=random.Random(seed))
        assert one is two is individual
        check(individual, nested, DEFAULT_LIMITS)


@every_mutation
def test_a_lone_leaf_at_the_limits_stays(minimal: PrimitiveSet, mutation: Mutation) -> None:
    for seed in range(20):
        individual = parse("x", minimal)
        mutation(individual, rng=random.Random(seed), limits=Limits(0, 1))
        assert individual == parse("x", minimal)


@pytest.mark.parametrize(
    ("mutation", "text"),
    [
        (mut_node_replacement, "x"),
        (mut_shrink, "x"),
        (mut_shrink, "const(0.5)"),
        (mut_constant, "x"),
        (mut_constant, "add(sin(x), scale(x))"),
        (mut_insert, "const(cadd(1, 2))"),
    ],
)
def test_what_cannot_change_stays(free: PrimitiveSet, mutation: Mutation, text: str) -> None:
    limits = Limits(2, 4)
    for seed in range(20):
        individual = parse(text, free)
        mutation(individual, rng=random.Random(seed), limits=limits)
        assert individual == parse(text, free)


def test_mut_uniform_replaces_one_subtree_by_a_low_one(minimal: PrimitiveSet, nested: Reader) -> None:
    rng = random.Random(0)
    for _ in range(300):
        parent = grown(minimal, rng, least=3)
        child = mut_uniform(copy.deepcopy(parent), rng=rng, max_height=0)[0]
        leaf = [minimal.mapping["x"]]
        walk = nested(parent, Feature).walk()
        possible = [parent[:index] + leaf + parent[index + place.size :] for index, place in enumerate(walk)]
        assert list(child) in possible


def test_mut_uniform_changes_most_trees(minimal: PrimitiveSet) -> None:
    rng = random.Random(0)
    parents = [grown(minimal, rng, least=3) for _ in range(300)]
    heights = Counter(mut_uniform(parse("x", minimal), rng=rng, max_height=2)[0].height for _ in range(300))
    assert set(heights) == {0, 1, 2}
    assert sum(mut_uniform(copy.deepcopy(parent), rng=rng)[0] != parent for parent in parents) > 190


def test_mut_uniform_goes_as_high_as_the_type_needs(tall: PrimitiveSet) -> None:
    rng = random.Random(0)
    found = {
        str(mut_uniform(parse("tanh(cos(sin(x)))", tall), rng=rng, limits=Limits(5, 12), max_height=0)[0])
        for _ in range(200)
    }
    assert found == {"tanh(cos(sin(x)))"}
    found = {
        str(mut_uniform(parse("tanh(cos(sin(x)))", tall), rng=rng, limits=Limits(5, 12), max_height=3)[0])
        for _ in range(200)
    }
    assert "tanh(add(cos(sin(x)), cos(sin(x))))" in found


def test_mut_uniform_takes_a_higher_tree_where_a_low_one_is_too_large(uneven: PrimitiveSet) -> None:
    rng, found = random.Random(0), set()
    for _ in range(300):
        individual = parse("sin(cos(tanh(x)))", uneven)
        found.add(str(mut_uniform(individual, rng=rng, limits=Limits(4, 4), max_height=1)[0]))
    assert found == {"sin(cos(tanh(x)))", "erf(cos(tanh(x)))"}


@pytest.mark.parametrize("limits", [Limits(4, 9), Limits(4, 10), Limits(4, 15), Limits(6, 30)])
def test_mut_insert_takes_a_higher_tree_where_a_low_one_is_large(
    uneven: PrimitiveSet, nested: Reader, limits: Limits
) -> None:
    rng, sizes = random.Random(0), set()
    for _ in range(300):
        individual = mut_insert(parse("sin(cos(tanh(x)))", uneven), rng=rng, limits=limits)[0]
        check(individual, nested, limits)
        sizes.add(len(individual))
    # add(sin(cos(tanh(x))), ...) with another of 4 nodes.
    assert sizes == {9}


def blend(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    return x + y - z


@pytest.mark.parametrize(("size", "sizes"), [(3, {2}), (4, {2, 4}), (5, {2, 4, 5}), (30, {2, 4, 5, 6})])
def test_mut_insert_shares_out_what_the_limit_leaves(size: int, sizes: set[int]) -> None:
    pset = PrimitiveSet("three at once")
    pset.addPrimitive(blend, [Feature] * 3, Feature)
    pset.addPrimitive(torch.sin, [Feature], Feature)
    rng, found = random.Random(0), set()
    for _ in range(300):
        found.add(mut_insert(parse("x", pset), rng=rng, limits=Limits(6, size))[0].size)
    assert found == sizes


def test_mut_node_replacement_keeps_the_shape(pset: PrimitiveSet) -> None:
    rng = random.Random(0)
    for _ in range(500):
        parent = grown(pset, rng, least=1)
        child = mut_node_replacement(copy.deepcopy(parent), rng=rng)[0]
        assert [node.arity for node in child] == [node.arity for node in parent]
        assert [getattr(node, "args", ()) for node in child] == [getattr(node, "args", ()) for node in parent]
        assert sum(old != new for old, new in zip(parent, child, strict=True)) <= 1


def test_mut_node_replacement_changes_a_node_whenever_there_is_another(minimal: PrimitiveSet) -> None:
    rng = random.Random(0)
    for _ in range(300):
        parent = grown(minimal, rng, least=1)
        if parent.size > 1:
            assert mut_node_replacement(copy.deepcopy(parent), rng=rng)[0] != parent
    found = {str(mut_node_replacement(parse("sin(x)", minimal), rng=rng)[0]) for _ in range(100)}
    assert found == {"cos(x)", "tanh(x)"}


def test_mut_node_replacement_knows_terminals_too(free: PrimitiveSet) -> None:
    pset = PrimitiveSet("two arguments", [Feature, Feature], Feature, ["x", "y"])
    pset.addTerminal(math.pi, Feature, name="pi")
    rng = random.Random(0)
    assert {str(mut_node_replacement(parse("x", pset), rng=rng)[0]) for _ in range(50)} == {"y", "pi"}
    numbers = {str(mut_node_replacement(parse("const(0.5)", free), rng=rng)[0]) for _ in range(50)}
    assert len(numbers) > 20
    assert all(text.startswith("const(") for text in numbers)


def weigh(x: Tensor, c: Tensor) -> Tensor:
    return c * x


def coin() -> float:
    return random.choice([0.5, 1.0])


@pytest.fixture(scope="module")
def coined() -> PrimitiveSet:
    """A set with constants of two values only."""
    pset = PrimitiveSet("coined")
    pset.addPrimitive(weigh, [Feature, Scalar], Feature)
    pset.addPrimitive(torch.sin, [Feature], Feature)
    pset.addPrimitive(torch.cos, [Feature], Feature)
    pset.addEphemeralConstant("coin", coin, Scalar)
    return pset.check()


def test_mut_node_replacement_looks_further_when_a_constant_is_drawn_again(coined: PrimitiveSet) -> None:
    rng = random.Random(0)
    for _ in range(100):
        individual = parse("weigh(sin(x), 0.5)", coined)
        assert str(mut_node_replacement(individual, rng=rng)[0]) in ("weigh(sin(x), 1.0)", "weigh(cos(x), 0.5)")


def test_mut_shrink_makes_trees_smaller(minimal: PrimitiveSet) -> None:
    rng = random.Random(0)
    for _ in range(300):
        parent = grown(minimal, rng, least=1)
        child = mut_shrink(copy.deepcopy(parent), rng=rng)[0]
        assert child.size < parent.size or parent.size == 1
        nodes = iter(parent)
        assert all(any(node is old for old in nodes) for node in child)
    found = {str(mut_shrink(parse("add(sin(cos(x)), mul(x, tanh(x)))", minimal), rng=rng)[0]) for _ in range(200)}
    assert found == {
        "sin(cos(x))",
        "mul(x, tanh(x))",
        "add(cos(x), mul(x, tanh(x)))",
        "add(sin(x), mul(x, tanh(x)))",
        "add(sin(cos(x)), x)",
        "add(sin(cos(x)), tanh(x))",
        "add(sin(cos(x)), mul(x, x))",
    }


def test_mut_shrink_keeps_the_types(template: PrimitiveSet, free: PrimitiveSet, forced: PrimitiveSet) -> None:
    rng = random.Random(0)
    assert {str(mut_shrink(parse("weigh(s, x)", template), rng=rng)[0]) for _ in range(20)} == {"x"}
    found = {str(mut_shrink(parse("const(cadd(1, 2))", free), rng=rng)[0]) for _ in range(20)}
    assert found == {"const(1.0)", "const(2.0)"}
    assert str(mut_shrink(parse("add(sin(x), cos(x))", forced), rng=rng)[0]) == "add(sin(x), cos(x))"


def test_mut_insert_makes_trees_larger_by_one_operator(minimal: PrimitiveSet) -> None:
    rng, limits = random.Random(0), Limits(20, 100)
    for _ in range(300):
        parent = grown(minimal, rng)
        child = mut_insert(copy.deepcopy(parent), rng=rng, limits=limits)[0]
        assert 1 <= child.size - parent.size <= 3
        nodes = iter(child)
        assert all(any(node is new for new in nodes) for node in parent)


def test_mut_insert_puts_an_operator_in_every_place(minimal: PrimitiveSet) -> None:
    rng = random.Random(0)
    found = {str(mut_insert(parse("sin(x)", minimal), rng=rng, limits=Limits(2, 4))[0]) for _ in range(400)}
    unary = {f"{name}(sin(x))" for name in ("sin", "cos", "tanh")} | {
        f"sin({name}(x))" for name in ("sin", "cos", "tanh")
    }
    binary = ("add", "sub", "mul")
    above = {f"{name}({pair})" for name in binary for pair in ("sin(x), x", "x, sin(x)")}
    below = {f"sin({name}(x, x))" for name in binary}
    assert found == unary | above | below


@pytest.mark.parametrize(("limits", "sizes"), [(Limits(1, 30), {2}), (Limits(6, 2), {2}), (Limits(2, 3), {3})])
def test_mut_insert_keeps_tight_limits(minimal: PrimitiveSet, limits: Limits, sizes: set[int]) -> None:
    rng = random.Random(0)
    assert {mut_insert(parse("sin(x)", minimal), rng=rng, limits=limits)[0].size for _ in range(100)} == sizes


def test_mut_insert_puts_nothing_on_constants(free: PrimitiveSet) -> None:
    rng = random.Random(0)
    found = {str(mut_insert(parse("const(0.5)", free), rng=rng)[0]) for _ in range(200)}
    assert all("const(0.5)" in text for text in found)


def test_mut_constant_moves_one_constant_only(free: PrimitiveSet) -> None:
    rng = random.Random(0)
    source = "add(const(1.5), mul(const(-0.25), add(x, const(cadd(3, 0)))))"
    for _ in range(200):
        parent, child = parse(source, free), parse(source, free)
        mut_constant(child, rng=rng)
        moved = [(old, new) for old, new in zip(parent, child, strict=True) if old != new]
        assert len(moved) <= 1
        for old, new in moved:
            assert type(new) is Constant
            assert new.ret is old.ret
            assert float(f"{new.value:.4g}") == new.value


@pytest.mark.parametrize(("value", "sigma"), [(1.0, 0.3), (-4.0, 0.3), (0.0, 0.3), (2.0, 0.05)])
def test_the_step_of_mut_constant_goes_with_the_magnitude(free: PrimitiveSet, value: float, sigma: float) -> None:
    rng = random.Random(0)
    moved = [mut_constant(parse(f"const({value})", free), rng=rng, sigma=sigma)[0][1].value for _ in range(2000)]
    spread = sigma * (abs(value) + 0.1)
    assert statistics.mean(moved) == pytest.approx(value, abs=0.1 * spread)
    assert statistics.stdev(moved) == pytest.approx(spread, rel=0.06)


@pytest.mark.parametrize("value", ["1.7976931348623157e308", "-1.7e308", "1e308", "5e-324"])
def test_mut_constant_never_fails(free: PrimitiveSet, value: str) -> None:
    for seed in range(100):
        child = mut_constant(parse(f"const({value})", free), rng=random.Random(seed))[0]
        assert math.isfinite(child[1].value)


def test_a_fixed_number_is_not_moved_out_of_the_set(nested: Reader) -> None:
    pset = PrimitiveSet("fixed")
    pset.addPrimitive(weigh, [Feature, Scalar], Feature)
    pset.addTerminal(0.5, Scalar)
    pset.addTerminal(2.0, Scalar)
    rng = random.Random(0)
    for mutation in (*MUTATIONS, mut_any):
        for _ in range(20):
            individual = parse("weigh(x, 0.5)", pset)
            mutation(individual, rng=rng)
            check(individual, nested, DEFAULT_LIMITS)


def test_mut_any_nearly_always_changes_the_tree(pset: PrimitiveSet) -> None:
    rng = random.Random(0)
    parents = [grown(pset, rng) for _ in range(500)]
    assert sum(mut_any(copy.deepcopy(parent), rng=rng)[0] != parent for parent in parents) >= 498


def test_mut_any_tries_the_others_when_one_changes_nothing(minimal: PrimitiveSet) -> None:
    tried: list[str] = []

    def idle(individual: Individual, *, rng: random.Random, limits: Limits) -> tuple[Individual]:
        tried.append("idle")
        return (individual,)

    def busy(individual: Individual, *, rng: random.Random, limits: Limits) -> tuple[Individual]:
        tried.append("busy")
        assert limits == Limits(4, 9)
        individual[0] = minimal.mapping["cos"]
        return (individual,)

    orders = set()
    for seed in range(20):
        tried.clear()
        individual = parse("sin(x)", minimal)
        mut_any(individual, rng=random.Random(seed), limits=Limits(4, 9), mutations=(idle, busy))
        assert str(individual) == "cos(x)"
        orders.add(tuple(tried))
    assert orders == {("busy",), ("idle", "busy")}


def test_mut_any_may_be_given_nothing_to_do(minimal: PrimitiveSet) -> None:
    individual = parse("sin(x)", minimal)
    assert mut_any(individual, rng=random.Random(0), mutations=())[0] is individual
    assert str(individual) == "sin(x)"


def test_mut_any_uses_all_mutations(free: PrimitiveSet) -> None:
    rng = random.Random(0)
    parent = parse("add(sin(x), mul(const(0.5), cos(x)))", free)
    changes = Counter()  # type: Counter[str]
    for _ in range(500):
        child = mut_any(copy.deepcopy(parent), rng=rng)[0]
        size = child.size - parent.size
        changes["smaller" if size < 0 else "larger" if size > 0 else "same"] += 1
    assert all(count > 50 for count in changes.values())
    assert len(changes) == 3


def test_learnable_leaves_and_channels_are_varied_within_their_type(template: PrimitiveSet, nested: Reader) -> None:
    rng = random.Random(0)
    for _ in range(100):
        one, two = parse("weigh(s, x)", template), parse("times(weigh(s, tanh(x)), 0.5)", template)
        cx_one_point(one, two, rng=rng)
        for individual in (one, two):
            check(individual, nested, DEFAULT_LIMITS)
            assert all(place.slot is Channel for place in nested(individual, Feature).walk() if place.node.name == "s")


@every_mutation
def test_the_seed_decides_and_the_global_generator_rests(pset: PrimitiveSet, mutation: Mutation) -> None:
    def vary(seed: int) -> list[str]:
        rng = random.Random(seed)
        population = [grown(pset, rng, least=2) for _ in range(10)]
        cx_one_point(population[0], population[1], rng=rng)
        return [str(mutation(individual, rng=rng)[0]) for individual in population]

    state = random.getstate()
    first = vary(1)
    assert random.getstate() == state
    random.seed(99)
    try:
        assert vary(1) == first
    finally:
        random.setstate(state)
    assert vary(2) != first


def a_small_evolution() -> list[str]:
    """Return the texts of three populations after generation, crossover and every mutation, all from one seed."""
    import random

    import torch

    from gaaf_gp.trees.generation import gen_half_and_half
    from gaaf_gp.trees.individual import Individual
    from gaaf_gp.trees.operators import MUTATIONS, cx_one_point, mut_any
    from primitives import gaaf, minimal, template

    assert torch.get_num_threads() > 0
    texts = []
    for make in (minimal.make_pset, gaaf.free, template.make_pset):
        pset, rng = make(), random.Random(11)
        population = [Individual(gen_half_and_half(pset, 1, 4, rng=rng, max_size=30), pset) for _ in range(20)]
        texts += [str(individual) for individual in population]
        for vary in (*MUTATIONS, mut_any):
            for one, two in zip(population[::2], population[1::2], strict=True):
                cx_one_point(one, two, rng=rng)
            texts += [str(individual) for individual in population]
            texts += [str(vary(individual, rng=rng)[0]) for individual in population]
    return texts


def test_every_process_evolves_the_same() -> None:
    program = f"from __future__ import annotations\n{inspect.getsource(a_small_evolution)}\n"
    program += "print(*a_small_evolution(), sep='\\n')"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONHASHSEED": seed, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("1", "2")
    ]
    here = a_small_evolution()
    assert len(here) == 3 * 20 * 13
    assert len(set(here)) > 300
    for process in processes:
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0
        assert output.splitlines() == here


def test_a_log_uniform_step_keeps_the_sign_mostly_and_spans_decades(free):
    rng, factors = random.Random(4), []
    for _ in range(2000):
        (child,) = mut_constant_scale(parse("add(const(0.5), x)", free), rng=rng)
        factors.append(child[2].value / 0.5)
    assert sum(factor < 0 for factor in factors) / 2000 == pytest.approx(0.1, abs=0.03)
    exponents = [math.log10(abs(factor)) for factor in factors]
    assert max(exponents) <= 1.001
    assert min(exponents) >= -1.001
    assert sum(exponent > 0.5 for exponent in exponents) / 2000 == pytest.approx(0.25, abs=0.04)
    (moved,) = mut_constant_scale(parse("add(const(0.0), x)", free), rng=rng)
    assert 0.09 < abs(moved[2].value) < 11
    tree = parse("sin(x)", free)
    assert mut_constant_scale(tree, rng=rng) == (tree,)


def test_leaves_are_exchanged_in_less_than_one_crossover_of_ten(
    minimal: PrimitiveSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Koza 1992: nine points of ten are inner nodes, of either tree."""
    moved: list[tuple[int, int]] = []

    def replace(tree: Individual, begin: int, end: int, nodes: list[Any]) -> None:
        moved.append((end - begin, len(nodes)))

    monkeypatch.setattr("gaaf_gp.trees.operators._replace", replace)
    rng, number = random.Random(5), 2000
    one, two = (
        parse("add(sin(add(x, x)), mul(x, cos(x)))", minimal),
        parse("sub(cos(mul(x, x)), sub(x, sin(x)))", minimal),
    )
    for _ in range(number):
        cx_one_point(one, two, rng=rng)
    assert len(moved) == 2 * number
    exchanged = Counter((taken > 1, given > 1) for taken, given in moved[::2])
    leaf = 0.1 * 4 / 9  # four nodes of nine are leaves
    assert exchanged[True, True] / number == pytest.approx((1 - leaf) ** 2, abs=0.03)
    assert exchanged[False, False] / number < 0.02
    assert exchanged[True, False] / number == pytest.approx(leaf * (1 - leaf), abs=0.02)


def _to_sine(individual):
    return (parse("sin(x)", individual.pset),)


def test_what_a_mutation_of_your_own_returns_is_the_child(free):
    rng, given = random.Random(0), []

    def with_generator(individual, *, rng):
        given.append(rng)
        return _to_sine(individual)

    for mutation in (_to_sine, with_generator, lambda individual, **_: _to_sine(individual)):
        tree = parse("add(x, x)", free)
        (child,) = mut_any(tree, rng=rng, mutations=[mutation])
        assert str(child) == "sin(x)"
        assert str(tree) == "add(x, x)"
    assert given == [rng]
    pair = TwoTrees(parse("add(x, x)", free), parse("add(x, x)", free))
    (changed,) = mut_one_of_two(pair, rng=rng, mutations=[_to_sine])
    assert sorted(map(str, (changed.forward, changed.backward))) == ["add(x, x)", "sin(x)"]


def test_the_mutations_of_deap_are_mutations_here(free):
    replace = functools.partial(gp.mutNodeReplacement, pset=free)
    children = set()
    for seed in range(20):
        tree = parse("add(sin(x), x)", free)
        children.add(str(mut_any(tree, rng=random.Random(seed), mutations=[replace, gp.mutShrink])[0]))
    assert len(children - {"add(sin(x), x)"}) > 1


def test_a_mutation_that_returns_no_tuple_of_one_is_refused(free):
    for bad in (lambda one: one, lambda one: (one, one), lambda one: None, lambda one: parse("x", one.pset)):
        with pytest.raises(GaafError, match="a mutation must return a tuple of one individual, got"):
            mut_any(parse("add(x, x)", free), rng=random.Random(0), mutations=[bad])
