"""What a search begins with, and how its children come about."""

import copy
import math
import random
from collections import Counter
from types import SimpleNamespace

import pytest

from gaaf_gp.archive.births import BOTH, CROSSOVER, GIVEN, MUTATION, RANDOM
from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation.fitness_function import PlainFitness
from gaaf_gp.search.bloat import Bloat, Tarpeian
from gaaf_gp.search.breeding import ATTEMPTS, Breeder, known
from gaaf_gp.search.evolve import evolve
from gaaf_gp.search.result import SAME, TOO_LARGE
from gaaf_gp.trees.candidate import TwoTrees
from gaaf_gp.trees.generation import Limits
from gaaf_gp.trees.individual import ParetoFitness
from gaaf_gp.trees.parser import parse
from primitives import minimal


@pytest.fixture(scope="module")
def small_set():
    return minimal.make_pset()


def _search(pset, **settings):
    return evolve(pset, lambda tree: 1 / len(tree), evaluations=24, population_size=8, **settings)


def test_known_functions_come_first_and_then_random_ones(small_set):
    given = ["add(sin(x), x)", parse("tanh(x)", small_set), "mul(x, x)", "tanh(x)"]
    found = _search(small_set, initial=given)
    texts = [record.text for record in found.records]
    assert texts[:2] == ["add(sin(x), x)", "tanh(x)"]
    assert "mul(x, x)" not in texts, "its sign is constant, as everywhere"
    assert texts.count("tanh(x)") == 1
    assert len(texts) == 24


def test_more_known_functions_than_a_generation_has_places_are_all_tried(small_set):
    given = ["x", "sin(x)", "tanh(x)", "add(x, sin(x))", "add(x, tanh(x))", "sub(x, cos(x))", "sub(cos(x), x)",
             "mul(x, cos(x))", "sin(add(x, x))", "add(x, cos(x))"]  # fmt: skip
    found = _search(small_set, initial=given, limits=Limits(4, 15))
    texts = {record.text for record in found.records}
    missing = {parse(text, small_set).canonical for text in given} - texts
    assert missing == {"sub(cos(x), x)"}, "it trains as sub(x, cos(x)) does"


def test_a_tree_begins_both_trees_of_a_pair(small_set):
    found = _search(small_set, initial=["sin(x)", "tanh(x) | sin(x)"], two_trees=True)
    assert [record.text for record in found.records][:2] == ["sin(x) | sin(x)", "tanh(x) | sin(x)"]
    assert isinstance(found.population[0], TwoTrees)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"initial": ["@rsign"]}, r"a search of single trees must begin with such, got '@rsign'"),
        ({"initial": ["sin(x) | x"]}, r"a search of single trees must begin with such, got 'sin\(x\) \| x'"),
        ({"initial": ["sin(sin(sin(x)))"], "limits": Limits(2, 9)}, r"'sin\(sin\(sin\(x\)\)\)' is beyond them"),
        ({"initial": ["sin(cos(x))"], "constraints": "no periodic inside periodic"}, r"within its own limits and"),
    ],
)
def test_what_a_search_could_not_have_made_is_refused(small_set, settings, message):
    with pytest.raises(GaafError, match=message):
        _search(small_set, **settings)


class Script:
    """A toolbox whose random trees and mutants are written down; parents are the first ones of the population."""

    def __init__(self, pset, drawn=(), mutants=(), bloat=None):
        self.pset, self.drawn, self.mutants = pset, iter(drawn), iter(mutants)
        self.bloat = Bloat(bloat or "none")
        self.clone = copy.deepcopy
        self.calls = []

    def individual(self):
        return parse(next(self.drawn, "x"), self.pset)

    def select(self, population, number):
        return list((population * number)[:number])

    def mate(self, first, second):
        self.calls.append("mate")
        whole = slice(0, len(first)), slice(0, len(second))
        nodes = list(first), list(second)
        first[whole[0]], second[whole[1]] = nodes[1], nodes[0]
        return first, second

    def mutate(self, child):
        self.calls.append("mutate")
        child[0 : len(child)] = list(parse(next(self.mutants, str(child)), self.pset))
        return (child,)


class Births(list):
    """Is told of every birth."""

    def __call__(self, child, operation, parents):
        self.append((str(child), operation, [str(parent) for parent in parents]))


def breeder(toolbox, crossover=0.5, mutation=0.5, **settings):
    evaluator = PlainFitness(lambda tree: 1 / len(tree), toolbox.pset)
    return Breeder(toolbox, evaluator, random.Random(3), Counter(), crossover, mutation, **settings)


def judged(pset, *texts, best=0.9):
    trees = [parse(text, pset) for text in texts]
    for place, tree in enumerate(trees):
        tree.fitness.values = (best - 0.1 * place,)
    return trees


def texts_of(trees):
    return [str(tree) for tree in trees]


def test_what_is_given_is_copied_and_has_no_fitness_yet(free):
    (tree,) = judged(free, "sin(x)")
    toolbox = Script(free)
    first, second = known([tree, "atan(x)"], free, toolbox, random.Random(0))
    assert texts_of([first, second]) == ["sin(x)", "atan(x)"]
    assert first is not tree
    assert tree.fitness.values == (0.9,)
    assert not first.fitness.valid
    assert type(first.fitness) is type(toolbox.individual().fitness)
    assert texts_of(known("atan(x)", free, toolbox, random.Random(0))) == ["atan(x)"], "one text is one function"
    assert known([], free, toolbox, random.Random(0)) == []


def test_both_trees_of_a_pair_are_objects_of_their_own(free):
    toolbox = SimpleNamespace(individual=lambda: TwoTrees(parse("x", free), parse("x", free)))
    (pair,) = known([parse("sin(x)", free)], free, toolbox, random.Random(0))
    assert str(pair.forward) == str(pair.backward) == "sin(x)"
    assert pair.forward is not pair.backward
    with pytest.raises(GaafError, match="a search of two trees must begin with such, got '@rsign'"):
        known(["@rsign"], free, toolbox, random.Random(0))


@pytest.mark.parametrize(
    ("crossover", "mutation", "calls", "operation", "parents"),
    [
        (0.0, 0.0, ["mutate"], MUTATION, ["sin(x)"]),
        (0.0, 1.0, ["mutate"], MUTATION, ["sin(x)"]),
        (1.0, 0.0, ["mate"], CROSSOVER, ["sin(x)", "atan(x)"]),
        (1.0, 1.0, ["mate", "mutate"], BOTH, ["sin(x)", "atan(x)"]),
    ],
)
def test_a_child_is_mated_mutated_or_both(free, crossover, mutation, calls, operation, parents):
    toolbox, births = Script(free, mutants=["cos(add(x, x))"]), Births()
    breeding = breeder(toolbox, crossover, mutation, born=births)
    breeding.population = judged(free, "sin(x)", "atan(x)", "x")
    child = breeding.child()
    assert str(child) == ("atan(x)" if calls == ["mate"] else "cos(add(x, x))")
    assert toolbox.calls == calls
    assert births == [(str(child), operation, parents)]
    assert not child.fitness.valid, "a child has no fitness of its parents"
    assert texts_of(breeding.population) == ["sin(x)", "atan(x)", "x"]
    assert [tree.fitness.values for tree in breeding.population] == [(0.9,), (0.8,), (pytest.approx(0.7),)]


def test_operators_are_chosen_with_their_probabilities(free):
    breeding = breeder(Script(free), 0.25, 0.4)
    breeding.population = judged(free, "sin(x)", "atan(x)")
    drawn = Counter()
    for _ in range(4000):
        breeding.breed()
        drawn[breeding._origin[0]] += 1
    assert drawn[MUTATION] / 4000 == pytest.approx(0.75, abs=0.03)
    assert drawn[BOTH] / 4000 == pytest.approx(0.25 * 0.4, abs=0.02)
    assert drawn[CROSSOVER] / 4000 == pytest.approx(0.25 * 0.6, abs=0.02)


def test_given_ones_come_first_then_children_then_random_ones(free):
    births = Births()
    toolbox = Script(free, drawn=["cos(add(x, x))", "cos(sub(x, sin(x)))"], mutants=["sin(add(x, x))"])
    breeding = breeder(toolbox, 0.0, 0.0, initial=judged(free, "sin(x)", "atan(x)"), born=births)
    breeding.population = judged(free, "erf(x)")
    brood = breeding.brood(4)
    assert texts_of(brood) == ["sin(x)", "atan(x)", "sin(add(x, x))", "erf(x)"]
    assert [operation for _, operation, _ in births] == [GIVEN, GIVEN, MUTATION, MUTATION]
    assert str(breeding.child(random_only=True)) == "cos(add(x, x))"
    assert str(breeding.child()) == "cos(sub(x, sin(x)))", "no mutant is new any more"
    assert births[4:] == [("cos(add(x, x))", RANDOM, []), ("cos(sub(x, sin(x)))", RANDOM, [])]
    assert texts_of(breeding.brood(3)) == ["x"], "the last that can be drawn"
    assert breeding.child() is None
    assert len(births) == 7
    assert breeder(Script(free)).child() is not None, "nobody has to be told"


def test_given_ones_pass_the_control_of_bloat_and_others_do_not(free):
    toolbox = Script(free, bloat=[Tarpeian(probability=1.0)], drawn=["sin(sin(sin(x)))"] * 300)
    births = Births()
    breeding = breeder(toolbox, initial=judged(free, "sin(add(x, add(x, x)))"), born=births)
    toolbox.bloat.select(judged(free, "x"), 1, random.Random(0))  # the average is one node
    assert texts_of(breeding.brood(1)) == ["sin(add(x, add(x, x)))"]
    assert not breeding._rejected
    assert breeding.child() is None
    assert breeding._rejected == {TOO_LARGE: ATTEMPTS}
    assert births == [("sin(add(x, add(x, x)))", GIVEN, [])]


def test_more_given_ones_than_places_all_pass_the_control_of_bloat(small_set):
    given = ["sin(add(x, x))", "tanh(add(x, x))", "add(x, sin(add(x, x)))", "x", "sub(x, cos(x))"]
    found = evolve(
        small_set, lambda tree: 1 / len(tree), evaluations=12, population_size=3, initial=given, bloat=Tarpeian(1.0)
    )
    assert {parse(text, small_set).canonical for text in given} <= {record.text for record in found.records}


def test_a_reason_is_remembered_as_what_it_was(free):
    same = ["sin(x)", "neg(neg(sin(x)))", "sin(neg(neg(x)))"]
    constant = ["square(x)", "neg(neg(square(x)))", "square(neg(neg(x)))"]
    breeding = breeder(Script(free, drawn=[*constant, *same, "atan(sin(x))"]))
    reason = PlainFitness(len, free).behaviour(parse("square(x)", free)).failure
    assert str(breeding.child()) == "sin(x)"
    assert breeding._rejected == {reason: 3}
    assert str(breeding.child()) != "sin(x)"
    assert breeding._rejected[SAME] >= 2
    assert breeding._rejected[reason] == 3


def test_another_text_of_one_behaviour_is_the_same(free):
    breeding = breeder(Script(free, drawn=["x", "atan(x)", "identity(x)", "sin(x)"]))
    signatures = [PlainFitness(len, free).behaviour(parse(text, free)).signature for text in ("x", "identity(x)")]
    assert signatures[0] == signatures[1]
    assert texts_of(breeding.brood(3)) == ["x", "atan(x)", "sin(x)"]
    assert breeding._rejected == {SAME: 1}


def test_what_was_tried_is_not_looked_at_again(free):
    toolbox = Script(free, drawn=["sin(x)"] * 5 + ["atan(x)"])
    breeding = breeder(toolbox)
    assert texts_of(breeding.brood(2)) == ["sin(x)", "atan(x)"]
    assert not breeding._rejected, "it counts for nothing"


def test_migrants_take_the_places_of_the_worst_and_are_tried(free):
    breeding = breeder(Script(free, drawn=["cos(add(x, x))", "neg(neg(cos(add(x, x))))", "atan(sin(x))"]))
    breeding.population = judged(free, "sin(x)", "atan(x)", "erf(x)", "x")
    migrants = judged(free, "cos(add(x, x))", "atan(x)", best=0.5)
    breeding.receive(migrants)
    assert texts_of(breeding.population) == ["sin(x)", "atan(x)", "erf(x)", "cos(add(x, x))"]
    assert breeding.population[-1] is not migrants[0]
    assert breeding.population[-1].fitness.values == (0.5,)
    assert breeding.population[1].fitness.values == (0.8,), "the one that was here stays"
    assert str(breeding.child(random_only=True)) == "atan(sin(x))"
    assert breeding._rejected == {SAME: 1}, "another text of a migrant; its own text is skipped"


def test_only_what_the_controls_accept_and_is_finite_may_enter(free):
    toolbox = Script(free, bloat="dynamic")
    breeding = breeder(toolbox)
    toolbox.bloat.select(judged(free, "sin(x)"), 1, random.Random(0))  # the limit is two nodes, the best 0.9
    small, large, best = judged(free, "x", "sin(add(x, x))", "atan(add(x, x))")
    best.fitness.values = (0.95,)
    lost = parse("atan(x)", free)
    lost.fitness.values = (-math.inf,)
    assert texts_of(breeding.admit([small, large, lost, best])) == ["x", "atan(add(x, x))"]


def test_a_toolbox_without_controls_breeds_without(free):
    toolbox = Script(free, mutants=["sin(add(x, x))"])
    del toolbox.bloat
    breeding = breeder(toolbox, 0.0, 0.0)
    breeding.population = judged(free, "sin(x)")
    assert breeding.bloat.controls == Bloat("none").controls
    assert str(breeding.child()) == "sin(add(x, x))"


def test_two_goals_choose_parents_by_their_front(free):
    toolbox = Script(free, bloat="pareto")
    toolbox.select = None  # DEAP's survivors, which are no parents
    breeding = breeder(toolbox, 1.0, 0.0)
    trees = [parse(text, free) for text in ("sin(x)", "atan(add(x, x))")]
    for tree, values in zip(trees, ((0.9, 2), (0.5, 4)), strict=True):
        tree.fitness = ParetoFitness(values)
    breeding.population = trees
    drawn = Counter(str(parent) for _ in range(400) if breeding.breed() for parent in breeding._origin[1])
    assert drawn["sin(x)"] / 800 == pytest.approx(0.75, abs=0.05), "it loses only where the other is drawn twice"
