"""Objectives beside accuracy: which are allowed, and the class of fitness with their weights."""

import copy
import math
import pickle

import pytest

from gaaf_gp.errors import GaafError
from gaaf_gp.search.bloat import Objective
from gaaf_gp.search.bloat.objectives import as_objectives, fitness_of
from gaaf_gp.trees.individual import Fitness, ParetoFitness
from gaaf_gp.trees.parser import parse


def test_names_of_sizes_and_functions_are_minimised(free):
    tree = parse("add(sin(x), x)", free)
    objectives = as_objectives(["accuracy", "size", "height", "cost", lambda one: 7])
    assert [one.measure(tree) for one in objectives] == [4, 2, tree.cost, 7]
    assert {one.weight for one in objectives} == {-1.0}
    assert as_objectives(("accuracy",)) == as_objectives("accuracy") == ()


@pytest.mark.parametrize(
    ("objectives", "message"),
    [
        ((), "must begin with 'accuracy'"),
        (("size", "accuracy"), "must begin with 'accuracy'"),
        (("accuracy", "speed"), "got 'speed': name one of them or give a function"),
        (("accuracy", 3), "must be a function of an individual, got 3"),
    ],
)
def test_other_objectives_are_refused(objectives, message):
    with pytest.raises(GaafError, match=message):
        as_objectives(objectives)


@pytest.mark.parametrize("weight", [0, math.nan, math.inf])
def test_a_weight_must_say_which_way(weight):
    with pytest.raises(GaafError, match="weight of an objective must be"):
        Objective(len, weight)


def test_the_class_of_fitness_has_the_weights_and_travels():
    assert fitness_of((1.0,)) is Fitness
    assert fitness_of((1.0, -1.0)) is ParetoFitness
    kind = fitness_of((1.0, -2.0, 3.0))
    assert kind is fitness_of((1.0, -2.0, 3.0))
    fitness = kind((0.5, 2.0, 4.0))
    assert fitness.wvalues == (0.5, -4.0, 12.0)
    fitness.crowding_dist = 2.5
    again = pickle.loads(pickle.dumps(fitness))
    assert (type(again), again.values, again.crowding_dist) == (kind, (0.5, 2.0, 4.0), 2.5)
    assert copy.deepcopy(fitness) == fitness
    assert kind((0.5, math.nan, 1.0)).wvalues == (-math.inf,) * 3
    with pytest.raises(GaafError, match=r"a fitness of 3 objective\(s\) must get as many values, got 1"):
        kind((0.5,))
