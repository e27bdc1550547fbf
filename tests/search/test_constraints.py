"""Demands on the structure of trees: read, checked, and kept by generation, crossover and mutation."""

import random

import pytest

from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation.fitness_function import PlainFitness
from gaaf_gp.search.constraints import AtMost, Below, NoneInside, as_constraints
from gaaf_gp.search.evolve import evolve
from gaaf_gp.search.toolbox import make_toolbox
from gaaf_gp.trees.candidate import TwoTrees
from gaaf_gp.trees.generation import Limits
from gaaf_gp.trees.parser import parse
from primitives import minimal

OPERATIONS = 100_000
"""For each kind of constraint; with two trees a tenth of them, since it is the same code that checks either."""


@pytest.mark.parametrize(
    ("constraint", "kept", "broken"),
    [
        (NoneInside(), ["add(sin(x), cos(x))", "exp_neg_abs(sin(x))"], ["sin(cos(x))", "sin(add(x, square(tan(x))))"]),
        (
            NoneInside("erf", "sin"),
            ["erf(sin(x))", "add(sin(x), erf(x))"],
            ["sin(erf(x))", "sin(add(x, erf(x)))", "sin(add(sin(x), erf(x)))", "sin(add(sin(sin(x)), add(x, erf(x))))"],
        ),
        (NoneInside("x", "cos"), ["x", "cos(const(0.5))"], ["cos(x)"]),
        (AtMost(1, "sin"), ["sin(x)", "cos(x)"], ["add(sin(x), sin(x))"]),
        (AtMost(0, "learnable"), ["sin(x)"], ["scale(x)"]),
        (AtMost(2), ["add(sin(x), cos(x))"], ["add(sin(x), cos(tan(x)))"]),
        (Below("sin", 0), ["sin(x)", "add(sin(x), cos(erf(x)))"], ["sin(erf(x))"]),
        (Below("commutative", 1), ["add(sin(x), x)"], ["add(sin(erf(x)), x)", "sin(max(x, sin(erf(x))))"]),
    ],
)
def test_each_demand_is_met_or_not(free, constraint, kept, broken):
    assert [constraint.holds(parse(text, free)) for text in kept] == [True] * len(kept)
    assert [constraint.holds(parse(text, free)) for text in broken] == [False] * len(broken)
    pair = TwoTrees(parse(kept[0], free), parse(broken[0], free))
    assert not constraint.admits(pair, random.Random(0)), "either tree must meet it"


def test_texts_and_objects_are_one_interface(free):
    made = as_constraints(["no periodic inside sin", "at most 3 learnable", "at most 1 below tan", AtMost(2)], free)
    assert made == [NoneInside("periodic", "sin"), AtMost(3, "learnable"), Below("tan", 1), AtMost(2)]
    assert as_constraints("at most 1 sin", free) == [AtMost(1, "sin")]


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ("few sines", r"must be written as one of: no A inside B, at most N below A, at most N A; got 'few sines'"),
        ("at most 2 gelu", r"must speak of what is in set .* got 'gelu'"),
        ([3], r"must be written as one of: .* got 3"),
    ],
)
def test_what_is_no_constraint_is_refused(free, chosen, message):
    with pytest.raises(GaafError, match=message):
        as_constraints(chosen, free)
    with pytest.raises(GaafError, match=r"times must be a whole number of at least 0, got -1"):
        AtMost(-1)


@pytest.mark.slow(40)
@pytest.mark.parametrize("text", ["no periodic inside periodic", "at most 1 add", "at most 1 below sin"])
@pytest.mark.parametrize("two_trees", [False, True])
def test_no_tree_ever_breaks_a_constraint(text, two_trees):
    pset = minimal.make_pset()
    (constraint,) = as_constraints(text, pset)
    toolbox = make_toolbox(
        pset, PlainFitness(len, pset), rng=2, limits=Limits(5, 20), constraints=text, two_trees=two_trees
    )
    rng, population = random.Random(0), toolbox.population(30)
    for tree in population:
        assert constraint.admits(tree, rng)
    for _ in range((OPERATIONS // 10 if two_trees else OPERATIONS) // 2):
        parents = [toolbox.clone(one) for one in rng.sample(population, 2)]
        children = toolbox.mate(*parents)
        (mutant,) = toolbox.mutate(toolbox.clone(children[0]))
        for child in (*children, mutant):
            assert constraint.admits(child, rng)
            assert child.height <= 5
        population[rng.randrange(30)] = mutant
        population[rng.randrange(30)] = children[1]


def test_a_search_keeps_to_its_constraints():
    pset = minimal.make_pset()
    found = evolve(pset, lambda tree: 1 / len(tree), evaluations=60, constraints=["no periodic inside periodic"])
    rule = NoneInside()
    assert len(found.records) == 60
    assert all(rule.holds(parse(record.text, pset)) for record in found.records)
