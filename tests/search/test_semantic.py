"""Children of semantic variation behave as none of their parents."""

import random

import pytest

from gaaf_gp.activations.behaviour import behaviour
from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation.fitness_function import FunctionJudge
from gaaf_gp.search.semantic import semantic
from gaaf_gp.search.toolbox import make_toolbox
from gaaf_gp.trees.generation import Limits
from gaaf_gp.trees.parser import parse
from primitives import minimal


@pytest.fixture(scope="module")
def small_set():
    return minimal.make_pset()


@pytest.mark.parametrize("two_trees", [False, True])
def test_no_child_has_the_signature_of_a_parent(small_set, two_trees):
    judge = FunctionJudge(len, small_set)
    toolbox = make_toolbox(small_set, judge, rng=3, limits=Limits(4, 12), semantic=True, two_trees=two_trees)
    rng, population = random.Random(0), toolbox.population(12)
    for _ in range(40):
        parents = rng.sample(population, 2)
        known = {behaviour(parent).signature for parent in parents}
        children = toolbox.mate(*map(toolbox.clone, parents))
        assert len({behaviour(child).signature for child in children} | known) == len(known) + 2
        (mutant,) = toolbox.mutate(toolbox.clone(parents[0]))
        assert behaviour(mutant).signature != behaviour(parents[0]).signature
        for child in (*children, mutant):
            assert child.height <= 4
        population[rng.randrange(12)] = mutant


def test_what_an_operator_cannot_change_becomes_a_random_individual(small_set):
    trees = iter([parse("sin(x)", small_set), parse("tanh(x)", small_set)])
    operator = semantic(lambda one: (one,), lambda one: behaviour(one).signature, lambda: next(trees))
    (child,) = operator(parse("sin(x)", small_set))
    assert str(child) == "tanh(x)"


def test_a_set_without_another_behaviour_is_refused(small_set):
    operator = semantic(lambda one: (one,), str, lambda: parse("sin(x)", small_set))
    with pytest.raises(GaafError, match=r"semantic variation needs a set with trees that behave differently, but 1000"):
        operator(parse("sin(x)", small_set))
