"""Anything that gives a fitness may guide a search: each text once, tuples as in DEAP, never NaN."""

import math
import random

import pytest
import torch
from deap import gp

from gaaf_gp.activations.behaviour import behaviour
from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation.evaluator import Evaluator
from gaaf_gp.evaluation.fitness_function import NOT_FINITE, FitnessFunction, PlainFitness, as_fitness_function
from gaaf_gp.evaluation.panel import Panel
from gaaf_gp.evaluation.table import TableEvaluator
from gaaf_gp.search.evolve import evolve
from gaaf_gp.search.genetic import random_search
from gaaf_gp.trees.parser import parse
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.types import Feature, Scalar


def test_an_evaluator_is_taken_as_it_is(stub_proxy, minimal):
    with Evaluator(stub_proxy, minimal) as evaluator:
        assert as_fitness_function(evaluator, minimal) is evaluator


def test_a_function_is_asked_once_for_each_canonical_text(minimal):
    asked = []

    def measure(individual):
        asked.append(str(individual))
        return len(individual) / 10

    fitness = as_fitness_function(measure, minimal)
    assert isinstance(fitness, FitnessFunction)
    trees = [parse(text, minimal) for text in ("add(sin(x), x)", "x", "add(x, sin(x))", "x")]
    arrived = []
    records = fitness.evaluate(trees, arrived.append)
    assert asked == ["add(sin(x), x)", "x"]
    assert [record.fitness for record in records] == [0.4, 0.1, 0.4, 0.1]
    assert arrived == list(fitness.records.values()) == [records[0], records[1]]
    assert list(fitness.records) == ["add(sin(x), x)", "x"]
    assert all(record.complete and record.failure is None for record in records)
    assert fitness.evaluate(trees[:1]) == records[:1]
    assert len(asked) == 2


@pytest.mark.parametrize(("value", "fitness"), [((0.25,), 0.25), ((0.5, 7.0), 0.5), (1, 1.0), (-3.0, -3.0)])
def test_a_fitness_may_be_a_number_or_deaps_tuple(minimal, value, fitness):
    (record,) = PlainFitness(lambda _: value, minimal).evaluate([parse("x", minimal)])
    assert (record.fitness, record.failure) == (fitness, None)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, (math.nan,)])
def test_what_is_not_a_number_is_a_failure(minimal, value):
    (record,) = PlainFitness(lambda _: value, minimal).evaluate([parse("x", minimal)])
    assert (record.fitness, record.failure) == (-math.inf, NOT_FINITE)


def test_stock_trees_are_welcome(minimal):
    random.seed(0)
    tree = gp.PrimitiveTree(gp.genFull(minimal, 2, 2))
    fitness = PlainFitness(len, minimal)
    assert fitness.evaluate([tree])[0].fitness == len(tree)
    assert fitness.behaviour(tree) == behaviour(parse(str(tree), minimal))


def test_deap_and_our_loop_take_one_too(minimal):
    fitness = PlainFitness(len, minimal)
    assert fitness(parse("sin(x)", minimal)) == (2,)
    found = evolve(minimal, lambda tree: len(tree) / 10, evaluations=12, population_size=6, seed=1)
    assert [record.fitness for record in found.records] == [
        len(parse(record.text, minimal)) / 10 for record in found.records
    ]
    with pytest.raises(GaafError, match="evaluate must be an Evaluator or a function of an individual, got int"):
        evolve(minimal, 3, evaluations=12)


def test_behaviours_are_computed_once(minimal, monkeypatch):
    fitness = PlainFitness(len, minimal)
    first = fitness.behaviour(parse("add(sin(x), x)", minimal))
    monkeypatch.setattr("gaaf_gp.evaluation.fitness_function.behaviour", None)
    assert fitness.behaviour(parse("add(x, sin(x))", minimal)) is first


def test_an_error_of_the_function_is_its_callers(minimal):
    with pytest.raises(KeyError, match="sin"):
        PlainFitness(lambda tree: {}[str(tree)], minimal).evaluate([parse("sin(x)", minimal)])


def test_something_else_is_refused(minimal):
    with pytest.raises(GaafError, match="evaluate must be an Evaluator or a function of an individual, got dict"):
        as_fitness_function({}, minimal)


STARTS = {
    "a panel": lambda proxy, _, pset: Panel({"only": proxy}, pset),
    "a table": lambda _, table, pset: TableEvaluator(table, pset),
    "a function": lambda _proxy, _table, pset: evolve(pset, len, evaluations=4, population_size=4),
    "random search": lambda _proxy, _table, pset: random_search(pset, len, evaluations=4),
}


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("inputs", [0, 2])
def test_a_set_with_none_or_two_inputs_is_refused(tiny_proxy, tiny_table, start, inputs):
    pset = PrimitiveSet("some", inputs)
    pset.addPrimitive(torch.sin, [Feature], Feature)
    pset.addPrimitive(torch.zeros_like, [Scalar], Feature)
    pset.addTerminal(1.0, Scalar)
    with pytest.raises(GaafError, match=f"must have one input, and 'some' has {inputs}: make it with PrimitiveSet"):
        STARTS[start](tiny_proxy, tiny_table, pset)
