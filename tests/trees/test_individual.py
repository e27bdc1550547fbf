"""Individuals as values (copied, pickled, hashed), in DEAP's own tools, and fitness that cannot be fooled by NaN."""

from __future__ import annotations

import copy
import itertools
import math
import pickle
import random
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from deap import algorithms, base, creator, gp, tools
from hypothesis import given, settings
from hypothesis import strategies as st

from gaaf_gp.errors import GaafError
from gaaf_gp.trees.candidate import TwoTrees
from gaaf_gp.trees.generation import generate
from gaaf_gp.trees.individual import Fitness, Individual, ParetoFitness
from gaaf_gp.trees.parser import parse
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.trees.tree import Constant
from gaaf_gp.types import Feature, Scalar
from gaaf_gp.util.randomness import as_global

PROTOCOLS = range(2, pickle.HIGHEST_PROTOCOL + 1)
FAILED = [math.nan, math.inf, -math.inf]


def grown(pset: PrimitiveSet, seed: int) -> Individual:
    return Individual(generate(pset, 1, 5, rng=random.Random(seed)), pset)


def scored(pset: PrimitiveSet, values: Sequence[float]) -> list[Individual]:
    """Distinct trees, sin(sin(...x)), with those fitness values."""
    population = [parse("sin(" * levels + "x" + ")" * levels, pset) for levels in range(len(values))]
    for individual, value in zip(population, values, strict=True):
        individual.fitness.values = (value,)
    return population


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_it_survives_pickling(pset: PrimitiveSet, protocol: int) -> None:
    for seed in range(20):
        individual = grown(pset, seed)
        individual.fitness.values = (seed / 7,)
        individual.note = ["kept", seed]
        copied = pickle.loads(pickle.dumps(individual, protocol))
        assert type(copied) is Individual
        assert copied == individual
        assert (str(copied), hash(copied)) == (str(individual), hash(individual))
        assert copied.fitness.values == individual.fitness.values
        assert copied.note == ["kept", seed]
        assert copied.pset.name == pset.name
        assert (copied.infix(), copied.canonical) == (individual.infix(), individual.canonical)
        assert parse(str(individual), copied.pset) == individual


def test_a_pickled_population_shares_one_set(pset: PrimitiveSet) -> None:
    population = pickle.loads(pickle.dumps([grown(pset, seed) for seed in range(3)]))
    assert population[0].pset is population[1].pset is population[2].pset


def test_a_deep_copy_is_independent_but_for_nodes_and_set(pset: PrimitiveSet) -> None:
    individual = grown(pset, 3)
    individual.fitness.values = (0.5,)
    individual.history = [["born"]]
    copied = copy.deepcopy(individual)
    assert type(copied) is Individual
    assert copied == individual
    assert copied is not individual
    assert all(mine is yours for mine, yours in zip(copied, individual, strict=True))
    assert copied.pset is pset
    assert copied.history == [["born"]]
    assert copied.history[0] is not individual.history[0]
    copied.fitness.values = (0.9,)
    assert individual.fitness.values == (0.5,)
    del copied.fitness.values
    assert individual.fitness.valid
    del copied[:]
    assert len(individual) > 1


def test_a_deep_copy_of_several_keeps_who_is_who(minimal: PrimitiveSet) -> None:
    child, parent = parse("sin(x)", minimal), parse("cos(x)", minimal)
    child.parents = [parent, child]
    twins = copy.deepcopy([child, child, parent])
    assert twins[0] is twins[1]
    assert twins[0] is not child
    assert twins[0].parents[0] is twins[2]
    assert twins[0].parents[1] is twins[0]


def test_a_shallow_copy_has_nodes_of_its_own(minimal: PrimitiveSet) -> None:
    individual = parse("sin(x)", minimal)
    copied = copy.copy(individual)
    copied[0] = minimal.mapping["cos"]
    assert (str(copied), str(individual)) == ("cos(x)", "sin(x)")


def test_subclasses_stay_what_they_are(minimal: PrimitiveSet) -> None:
    class Mine(Individual):
        pass

    assert type(copy.deepcopy(Mine(parse("sin(x)", minimal)))) is Mine


@settings(max_examples=100)
@given(seed=st.integers(0, 2**32))
def test_hashes_agree_with_equality(pset: PrimitiveSet, seed: int) -> None:
    rng = random.Random(seed)
    trees = [Individual(generate(pset, 0, 1, rng=rng), pset) for _ in range(10)]
    for first, second in itertools.product(trees, trees):
        assert (first == second) == (str(first) == str(second))
        assert (first != second) == (str(first) != str(second))
        assert first != second or hash(first) == hash(second)
    assert len(set(trees)) == len({str(tree) for tree in trees})


def test_fitness_is_not_part_of_identity(minimal: PrimitiveSet) -> None:
    first, second = parse("sin(x)", minimal), parse("sin(x)", minimal)
    first.fitness.values = (1.0,)
    assert first == second
    assert hash(first) == hash(second)
    assert parse("sin(x)", minimal) != parse("cos(x)", minimal)


def test_zeros_of_both_signs_are_two_individuals(free: PrimitiveSet) -> None:
    assert parse("const(0.0)", free) != parse("const(-0.0)", free)
    assert parse("const(0)", free) == parse("const(0.0)", free)


def test_it_says_what_it_is(free: PrimitiveSet) -> None:
    individual = parse("add(sin(x),scale( const( 0.25 )))", free)
    assert str(individual) == "add(sin(x), scale(const(0.25)))"
    assert repr(individual) == "Individual('add(sin(x), scale(const(0.25)))')"
    assert individual.size == 6
    assert individual.height == 3
    # add 1, sin 4, scale 1; x, const and numbers are free.
    assert individual.cost == 6.0
    assert individual.infix() == "sin(x) + s0 * 0.25"
    assert individual.infix(digits=1) == "sin(x) + s0 * 0.2"
    assert individual.latex() == r"\sin\left(x\right) + s_{0} \cdot 0.25"
    assert individual.latex(digits=1) == r"\sin\left(x\right) + s_{0} \cdot 0.2"
    assert individual.canonical == "add(scale(const(0.25)), sin(x))"
    assert str(individual.in_canonical_order()) == individual.canonical


def test_it_can_be_made_of_nodes_of_another_individual_and_of_a_stock_tree(minimal: PrimitiveSet) -> None:
    first = parse("add(sin(x), x)", minimal)
    first.fitness.values = (1.0,)
    second = Individual(first)
    assert second == first
    assert second.pset is minimal
    assert not second.fitness.valid
    assert Individual(gp.PrimitiveTree(list(first)), minimal) == first
    assert Individual((node for node in first), pset=minimal) == first


def test_a_fitness_may_be_handed_in(minimal: PrimitiveSet) -> None:
    fitness = ParetoFitness((0.5, 3.0))
    assert Individual([minimal.mapping["x"]], minimal, fitness).fitness is fitness


def test_a_set_handed_in_goes_before_that_of_the_nodes(minimal: PrimitiveSet) -> None:
    other = copy.copy(minimal)
    assert Individual(parse("sin(x)", minimal), other).pset is other


def test_it_must_know_its_set(minimal: PrimitiveSet) -> None:
    with pytest.raises(GaafError, match=r"an individual must know its primitive set, got none: pass pset="):
        Individual([minimal.mapping["x"]])


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "a tree must be complete"),
        (["add", "x"], "a tree must be complete"),
        (["x", "x"], "a tree must be one expression"),
        (["const", "x"], "a Scalar is needed at node 1, but x returns Feature"),
        (["cadd"], "a Feature is needed at node 0, but cadd returns Scalar"),
    ],
)
def test_it_must_be_one_well_typed_tree(free: PrimitiveSet, names: list[str], message: str) -> None:
    with pytest.raises(GaafError, match=message):
        Individual([free.mapping[name] for name in names], free)


def test_nodes_must_come_from_the_set(minimal: PrimitiveSet, free: PrimitiveSet) -> None:
    with pytest.raises(GaafError, match=r"nodes must come from set 'primitives.minimal:make_pset', got 'square'"):
        Individual([free.mapping["square"], free.mapping["x"]], minimal)
    with pytest.raises(GaafError, match=r"nodes must come from set .*, got 'y'"):
        Individual([gp.Terminal("y", True, Feature)], minimal)


def test_a_namesake_from_another_set_is_refused(minimal: PrimitiveSet) -> None:
    other = PrimitiveSet("other")
    other.addPrimitive(torch.add, [Feature, Feature], Feature, name="sin")
    with pytest.raises(GaafError, match=r"nodes must come from set .*, got 'sin'"):
        Individual(parse("sin(x, x)", other), minimal)


def test_a_constant_that_the_set_cannot_write_is_refused(minimal: PrimitiveSet) -> None:
    with pytest.raises(GaafError, match=r"nodes must come from set .*, got '0\.5'"):
        Individual([Constant(0.5, Feature)], minimal)


def test_constants_of_the_set_are_taken(free: PrimitiveSet) -> None:
    fixed = PrimitiveSet("fixed")
    fixed.addTerminal(0.5, Feature)
    assert str(Individual([Constant(0.5, Feature)], fixed)) == "0.5"
    assert str(Individual([free.mapping["const"], Constant(0.123, Scalar)], free)) == "const(0.123)"


def test_deap_makes_populations_and_keeps_the_best(pset: PrimitiveSet) -> None:
    rng = random.Random(0)
    population = tools.initRepeat(list, lambda: Individual(generate(pset, 1, 4, rng=rng), pset), 50)
    for rank, individual in enumerate(population):
        individual.fitness.values = (rank / 50,)
    best = tools.HallOfFame(5)
    best.update(population)
    best.update(population)
    distinct = {str(individual): individual for individual in population}
    expected = sorted(distinct.values(), key=lambda individual: individual.fitness.values, reverse=True)[:5]
    assert list(best) == expected
    assert all(kept is not individual for kept, individual in zip(best, expected, strict=True))
    assert [kept.fitness.values for kept in best] == [individual.fitness.values for individual in expected]


def test_deap_varies_clones_and_forgets_their_fitness(minimal: PrimitiveSet) -> None:
    population = scored(minimal, [0.1, 0.2, 0.3, 0.4])
    toolbox = base.Toolbox()
    toolbox.register("clone", copy.deepcopy)
    toolbox.register("mate", lambda first, second: (first, second))
    toolbox.register("mutate", lambda individual: (individual,))
    with as_global(random.Random(0)):
        offspring = algorithms.varAnd(population, toolbox, cxpb=1.0, mutpb=1.0)
    assert [str(individual) for individual in offspring] == [str(individual) for individual in population]
    assert not any(individual.fitness.valid for individual in offspring)
    assert all(individual.fitness.valid for individual in population)


@pytest.mark.parametrize("bad", FAILED)
def test_a_failed_value_is_the_worst_in_every_order(bad: float) -> None:
    failed, fine = Fitness((bad,)), Fitness((-1e300,))
    assert failed.valid
    assert failed < fine
    assert failed <= fine
    assert not failed > fine
    assert not failed >= fine
    assert fine > failed
    assert fine.dominates(failed)
    assert not failed.dominates(fine)
    assert failed == Fitness((bad,))
    assert failed.values == (-math.inf,)


@pytest.mark.parametrize("bad", FAILED)
def test_no_tool_of_deap_lets_a_failed_one_win(minimal: PrimitiveSet, bad: float) -> None:
    values = [bad, 0.2, bad, 0.4, bad, 0.1]
    population = scored(minimal, values)
    best = tools.HallOfFame(3)
    for start in range(len(population)):
        best.update(population[start:] + population[:start])
        assert best[0].fitness.values == (0.4,)
    assert [kept.fitness.values for kept in best] == [(0.4,), (0.2,), (0.1,)]
    assert [kept.fitness.values for kept in tools.selBest(population, 3)] == [(0.4,), (0.2,), (0.1,)]
    assert all(kept.fitness.values == (-math.inf,) for kept in tools.selWorst(population, 3))
    with as_global(random.Random(0)):
        chosen = tools.selTournament(population, 1000, tournsize=2)
    # Both of a pair must have failed: (3/6)^2 of the tournaments; a fair draw of the fine ones makes up the rest.
    share = sum(individual.fitness.values == (-math.inf,) for individual in chosen) / 1000
    assert share == pytest.approx(0.25, abs=0.05)
    with as_global(random.Random(0)):
        assert all(kept.fitness.values == (0.4,) for kept in tools.selTournament(population, 50, tournsize=60))


def test_fitness_is_a_plain_value() -> None:
    fitness = Fitness((0.25,))
    for protocol in PROTOCOLS:
        copied = pickle.loads(pickle.dumps(fitness, protocol))
        assert type(copied) is Fitness
        assert copied.values == (0.25,)
    copied = copy.deepcopy(fitness)
    copied.values = (0.5,)
    assert fitness.values == (0.25,)
    del fitness.values
    assert not fitness.valid
    assert fitness.values == ()
    assert not Fitness().valid
    failed = copy.deepcopy(Fitness((math.nan,)))
    assert failed.values == (-math.inf,)


def test_two_goals_want_high_accuracy_and_small_size() -> None:
    small, large, worse = ParetoFitness((0.5, 3.0)), ParetoFitness((0.6, 9.0)), ParetoFitness((0.5, 4.0))
    assert small.values == (0.5, 3.0)
    assert small.dominates(worse)
    assert not worse.dominates(small)
    assert not small.dominates(large)
    assert not large.dominates(small)


@pytest.mark.parametrize("bad", FAILED)
def test_a_failed_one_is_on_no_pareto_front_however_small(minimal: PrimitiveSet, bad: float) -> None:
    population: list[Any] = [
        Individual(parse(source, minimal), fitness=ParetoFitness(values))
        for source, values in [("x", (bad, 1.0)), ("sin(x)", (0.5, 2.0)), ("sin(sin(x))", (0.6, 3.0))]
    ]
    front = tools.ParetoFront()
    front.update(population)
    assert {str(kept) for kept in front} == {"sin(x)", "sin(sin(x))"}
    assert [str(kept) for kept in tools.sortNondominated(population, 3)[-1]] == ["x"]
    assert "x" not in {str(kept) for kept in tools.selNSGA2(population, 2)}


def test_a_size_that_is_not_finite_is_the_worst_too() -> None:
    assert ParetoFitness((0.5, 100.0)).dominates(ParetoFitness((0.5, math.nan)))
    assert ParetoFitness((0.5, 100.0)).dominates(ParetoFitness((0.5, -math.inf)))


@pytest.fixture
def minimised():
    creator.create("Smallest", base.Fitness, weights=(-1.0,))
    yield creator.Smallest
    del creator.Smallest


def test_a_class_of_the_creator_keeps_its_fitness(minimised: type, minimal: PrimitiveSet) -> None:
    creator.create("Small", Individual, fitness=minimised)
    try:
        better, worse = (creator.Small(parse(text, minimal), minimal) for text in ("x", "sin(x)"))
        better.fitness.values, worse.fitness.values = (1.0,), (2.0,)
        assert type(better.fitness) is minimised
        assert tools.selBest([worse, better], 1) == [better]
        assert type(copy.deepcopy(better).fitness) is minimised
        assert copy.deepcopy(better).fitness.values == (1.0,)
        assert type(creator.Small(better, fitness=Fitness()).fitness) is Fitness
    finally:
        del creator.Small


def test_two_trees_of_the_creator_keep_their_fitness(minimised: type, minimal: PrimitiveSet) -> None:
    creator.create("Pair", TwoTrees, fitness=minimised)
    try:
        pair = creator.Pair(parse("x", minimal), parse("sin(x)", minimal))
        assert type(pair.fitness) is minimised
        assert type(copy.deepcopy(pair).fitness) is minimised
    finally:
        del creator.Pair
