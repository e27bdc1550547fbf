"""Controls together: what nothing may pass, and what makes the practitioner's own choice of them one interface."""

import random

import pytest

from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation.fitness_function import PlainFitness
from gaaf_gp.evaluation.records import Record
from gaaf_gp.search.bloat import (
    CONTROLS,
    Bloat,
    Cap,
    DoubleTournament,
    DynamicLimit,
    Harm,
    Lexicographic,
    Tarpeian,
    Tournament,
    measured_in,
)
from gaaf_gp.search.toolbox import make_toolbox
from gaaf_gp.trees.generation import Limits
from gaaf_gp.trees.parser import parse
from primitives import minimal

LIMITS = Limits(height=4, size=12)
OPERATIONS = 100_000


@pytest.fixture(scope="module")
def small_set():
    return minimal.make_pset()


def _toolbox(pset, bloat, seed=0, **settings):
    judge = PlainFitness(lambda tree: 1 / len(tree), pset)
    return make_toolbox(pset, judge, rng=seed, limits=LIMITS, heights=(1, 3), bloat=bloat, **settings)


def test_names_controls_limits_and_lists_are_one_interface():
    made = Bloat(["tarpeian", DoubleTournament(parsimony=1.4), Limits(3, 9), [Harm(measure="cost")]])
    assert [type(one) for one in made.controls] == [Tarpeian, DoubleTournament, Harm]
    assert made.limits == Limits(3, 9)
    assert made.selector.parsimony == 1.4
    assert isinstance(Bloat("tarpeian,lexicographic").selector, Lexicographic)
    assert isinstance(Bloat().selector, DoubleTournament)
    assert isinstance(Bloat(Tarpeian()).selector, Tournament), "one that does not select leaves selection to fitness"
    assert {type(one).__name__ for name in CONTROLS for one in Bloat(name).controls} >= {"Pareto", "DynamicLimit"}


def test_a_run_works_on_copies(free):
    control = DynamicLimit()
    made = Bloat(control)
    tree = parse("sin(x)", free)
    tree.fitness.values = (0.5,)
    made.select([tree], 1, random.Random(0))
    assert made.controls[0].limit == 2
    assert control.limit is None


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ("tarpeian,fast", r"one of none, double_tournament, .*, got 'fast': choose one of them"),
        (3, r"bloat must be controls, Limits, or names of them, got 3"),
        ("lexicographic,linear", r"one control at most may choose the parents, got Lexicographic, LinearParsimony"),
    ],
)
def test_what_is_no_choice_is_refused(chosen, message):
    with pytest.raises(GaafError, match=message):
        Bloat(chosen)


def test_the_measure_of_named_controls_can_be_chosen():
    assert [one.measure for one in measured_in("tarpeian,lexicographic", "cost")] == ["cost", "cost"]
    assert measured_in(Limits(2, 3), "cost") == [Limits(2, 3)]


@pytest.mark.slow(30)
@pytest.mark.parametrize("name", [*CONTROLS, "cap"])
def test_no_child_ever_breaks_a_limit(small_set, name):
    cap = Cap(measure="cost", most=14.0)
    toolbox = _toolbox(small_set, cap if name == "cap" else name)
    rng, population = random.Random(1), toolbox.population(40)
    for number, tree in enumerate(population):
        tree.fitness.values = toolbox.bloat.selector.values(tree, rng.random())
        assert tree.height <= LIMITS.height, number
    done = 0
    while done < OPERATIONS:
        parents = toolbox.select(population, 20)
        clones = [toolbox.clone(one) for one in parents]
        children = []
        for first, second in zip(clones[::2], clones[1::2], strict=True):
            one, other = toolbox.mate(first, second)
            assert one is not other
            children += [*toolbox.mutate(one), other]
            done += 2
        for child in children:
            assert len(child) <= LIMITS.size
            assert child.height <= LIMITS.height
            assert name != "cap" or child.cost <= 14
            child.fitness.values = toolbox.bloat.selector.values(child, rng.random())
        population[rng.randrange(20) :][:20] = children
        population = (population + children)[-40:]


def test_a_parent_beyond_the_limits_never_passes_through(small_set):
    toolbox = _toolbox(small_set, [Cap(most=5)])
    deep = "sin(" * 9 + "x" + ")" * 9
    for _ in range(30):
        big = parse(deep, small_set), parse(f"add({deep}, mul({deep}, x))", small_set)
        children = [*toolbox.mate(*big), *toolbox.mutate(parse(deep, small_set))]
        for child in children:
            assert len(child) <= 5
            assert child.height <= LIMITS.height


def test_two_children_are_never_one_object(small_set):
    toolbox = _toolbox(small_set, None)
    for _ in range(20):
        tree = toolbox.individual()
        one, other = toolbox.mate(tree, tree)
        assert one is not other


def test_limits_that_leave_no_room_are_refused(small_set):
    toolbox = _toolbox(small_set, Cap(most=0))
    with pytest.raises(GaafError, match=r"limits and constraints must leave room for a tree, but of 1600 random ones"):
        toolbox.individual()


def test_thrown_away_children_cost_nothing_and_count_as_the_worst(small_set):
    asked = []

    def measure(tree):
        asked.append(str(tree))
        return 1.0

    judge = PlainFitness(measure, small_set)
    toolbox = make_toolbox(small_set, judge, rng=0, limits=LIMITS, bloat=Tarpeian(probability=1.0))
    small, large = parse("x", small_set), parse("add(sin(x), cos(x))", small_set)
    small.fitness.values = large.fitness.values = (0.5,)
    toolbox.select([small, large], 2)
    assert toolbox.map(toolbox.evaluate, [small, large]) == [(1.0,), (float("-inf"),)]
    assert asked == ["x"]
    assert isinstance(judge.records["x"], Record)


def test_what_a_dynamic_limit_does_not_accept_counts_as_the_worst(small_set):
    judge = PlainFitness(lambda tree: 0.5, small_set)
    toolbox = make_toolbox(small_set, judge, rng=0, limits=LIMITS, bloat="dynamic")
    small, large = parse("sin(x)", small_set), parse("add(sin(x), cos(x))", small_set)
    small.fitness.values = (0.6,)
    toolbox.select([small], 1)
    assert toolbox.map(toolbox.evaluate, [small, large]) == [(0.5,), (float("-inf"),)]


def test_every_control_learns_from_every_child_that_was_judged(small_set):
    """The first refuses; the second must hear of the new best all the same."""
    made = Bloat([DynamicLimit(limit=1), DynamicLimit(measure="height", limit=1)])
    small, large = parse("x", small_set), parse("add(sin(x), cos(x))", small_set)
    small.fitness.values = (0.9,)
    made.select([small], 1, random.Random(0))
    assert not made.accepts(large, 0.5)
    assert [control.limit for control in made.controls] == [1, 1]
    made.controls[0].best = 2.0
    assert not made.accepts(large, 0.95)
    assert [control.limit for control in made.controls] == [1, 2]
    assert [control.best for control in made.controls] == [2.0, 0.95]


def test_operators_that_try_again_leave_the_parents_as_they_were(small_set):
    toolbox = _toolbox(small_set, [Cap(most=5)])
    parents = [parse("add(sin(x), x)", small_set), parse("sub(x, cos(x))", small_set)]
    before = [str(tree) for tree in parents]
    for _ in range(50):
        toolbox.mate(*parents)
        toolbox.mutate(parents[0])
        assert [str(tree) for tree in parents] == before


def test_what_lives_on_is_the_best(small_set):
    trees = [parse(text, small_set) for text in ("x", "sin(x)", "cos(x)", "tanh(x)")]
    for tree, fitness in zip(trees, (0.2, 0.9, float("-inf"), 0.5), strict=True):
        tree.fitness.values = (fitness,)
    made = Bloat(Tarpeian())
    assert made.survivors(trees, 2) == [trees[1], trees[3]]
    assert made.controls[0].average == 7 / 4, "it learned from all"
    assert made.survivors(trees, 0) == []
