"""What is trained, as text and back: trees, two of them, baselines; and two trees as DEAP's individuals."""

import copy
import pickle
import random

import pytest
from deap import tools
from hypothesis import given
from hypothesis import strategies as st

from gaaf_gp.binary import BASELINES
from gaaf_gp.errors import GaafError
from gaaf_gp.trees.candidate import Baseline, TwoTrees, identity, parse_candidate, text_of
from gaaf_gp.trees.generation import generate
from gaaf_gp.trees.individual import Individual, ParetoFitness
from gaaf_gp.trees.parser import parse
from primitives import gaaf

FREE = gaaf.free()


def pair(forward, backward, pset=FREE):
    return TwoTrees(parse(forward, pset), parse(backward, pset))


def test_two_trees_add_up():
    both = pair("add(sin(x), x)", "cube(x)")
    forward, backward = both.forward, both.backward
    assert (both.size, len(both), both.height) == (6, 6, 2)
    assert both.cost == forward.cost + backward.cost > 0
    assert both.pset is FREE
    assert both.canonical == "add(sin(x), x) | cube(x)"
    assert both.infix() == "forward: sin(x) + x; backward: x^3"
    assert both.latex() == r"\mathrm{forward:}\ \sin\left(x\right) + x;\ \mathrm{backward:}\ x^{3}"
    assert repr(both) == "TwoTrees('add(sin(x), x) | cube(x)')"


def test_the_canonical_text_orders_the_arguments_of_both():
    both = pair("add(x, sin(x))", "mul(x, cos(x))")
    assert str(both) == "add(x, sin(x)) | mul(x, cos(x))"
    assert both.canonical == "add(sin(x), x) | mul(cos(x), x)"
    assert both != pair("mul(x, cos(x))", "add(x, sin(x))")


@given(seed=st.integers(0, 10**6))
def test_every_pair_is_read_back_as_it_was(seed):
    rng = random.Random(seed)
    both = TwoTrees(*(Individual(generate(FREE, 0, 4, rng=rng), FREE) for _ in range(2)))
    again = parse_candidate(str(both), FREE)
    assert again == both
    assert hash(again) == hash(both)
    assert again.canonical == both.canonical
    canonical = parse_candidate(both.canonical, FREE)
    assert canonical.canonical == str(canonical) == both.canonical


def test_a_copy_is_a_pair_of_its_own():
    both = pair("sin(x)", "x")
    both.fitness.values = (0.5,)
    for again in (copy.deepcopy(both), pickle.loads(pickle.dumps(both))):
        assert again == both
        assert again.fitness.values == (0.5,)
        again.forward = parse("cos(x)", again.pset)
        del again.fitness.values
        assert str(both) == "sin(x) | x"
        assert both.fitness.valid
    assert copy.deepcopy(both).pset is FREE


def test_a_hall_of_fame_keeps_pairs():
    hall, seen = tools.HallOfFame(2), []
    for text, value in (("sin(x) | x", 0.5), ("x | sin(x)", 0.7), ("sin(x) | x", 0.5), ("cos(x) | x", 0.6)):
        candidate = parse_candidate(text, FREE)
        candidate.fitness.values = (value,)
        seen.append(candidate)
    hall.update(seen)
    assert [str(one) for one in hall] == ["x | sin(x)", "cos(x) | x"]


def test_another_fitness_may_be_given():
    both = TwoTrees(parse("x", FREE), parse("x", FREE), ParetoFitness((0.5, 2.0)))
    assert both.fitness.weights == (1.0, -1.0)


@pytest.mark.parametrize("name", [name for name in BASELINES if name != "sign"])
def test_every_baseline_has_a_text_and_a_formula(name):
    baseline = Baseline(name)
    assert baseline.canonical == str(baseline) == f"@{name}"
    assert parse_candidate(f" @{name} ", FREE) == baseline
    assert "x + s0" in baseline.infix()
    assert "x + s_{0}" in baseline.latex()


def test_the_plain_sign_is_none():
    assert parse_candidate(None, FREE) is None
    assert parse_candidate("@sign", FREE) is None
    assert text_of(None) is None
    assert text_of(Baseline("rsign")) == "@rsign"
    with pytest.raises(GaafError, match=r"the plain sign is None .* got Baseline\('sign'\): pass None"):
        Baseline("sign")


def test_one_tree_is_an_individual():
    assert parse_candidate("add(sin(x), x)", FREE) == parse("add(sin(x), x)", FREE)


@pytest.mark.parametrize("make", [gaaf.free, gaaf.encoding1, gaaf.encoding2])
def test_x_goes_with_any_set(make):
    pset = make()
    tree = Individual(generate(pset, 0, 5, rng=random.Random(1)), pset)
    for negated, text, formula in ((False, "@x", "x"), (True, "@neg(x)", "-x")):
        plain = identity(negated)
        both, other = TwoTrees(tree, plain), TwoTrees(plain, tree)
        assert both.pset is other.pset is pset
        assert both.canonical == f"{tree.canonical} | {text}"
        assert other.infix() == f"forward: {formula}; backward: {tree.infix()}"
        for one in (both, other):
            again = parse_candidate(one.canonical, pset)
            assert again.canonical == one.canonical
            assert pickle.loads(pickle.dumps(one)).canonical == one.canonical


def test_x_of_the_set_and_x_of_any_set_are_told_apart():
    ours, theirs = parse_candidate("sin(x) | @x", FREE), parse_candidate("sin(x) | x", FREE)
    assert ours != theirs
    assert ours.infix() == theirs.infix()
    assert str(TwoTrees(identity(), identity())) == "@x | @x"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x | x | x", r"one tree, or a forward and a backward one with a single \| between them, got 3 parts"),
        ("@relu", r"a baseline must be one of @sign, @rsign, @rprelu, got '@relu': choose one of them"),
        ("@" + "y" * 200, r"got '@y{30}\.\.\.'"),
        ("@rsign | x", "'rsign' is not in set"),
        ("x | @sin(x)", "'sin' is not in set"),
        ("x | sin(y)", r"cannot read \"sin\(>>y<<\)\""),
        ("x |", "the text ends early"),
        ("| x", "the text ends early"),
        ("sin(x", r"put \"\)\" here"),
        (7, "an expression must be text such as .* got int"),
    ],
)
def test_what_is_no_candidate_is_refused_in_one_line(text, message):
    with pytest.raises(GaafError, match=message) as caught:
        parse_candidate(text, FREE)
    assert "\n" not in str(caught.value)


def test_both_trees_must_be_individuals_of_one_set(minimal):
    with pytest.raises(GaafError, match="the backward tree must be an Individual, got str"):
        TwoTrees(parse("x", FREE), "x")
    with pytest.raises(GaafError, match=r"must come from one set, got 'primitives\.gaaf:free' and"):
        TwoTrees(parse("scale(x)", FREE), parse("tanh(x)", minimal))
    with pytest.raises(GaafError, match=r"a baseline must be one of rsign, rprelu, got 'relu'"):
        Baseline("relu")
