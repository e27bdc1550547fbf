"""What a set holds is told truly: types, formulas, tags, and values by formulas of their own."""

import math

import numpy as np
import pytest

from gaaf_gp.errors import GaafError
from gaaf_gp.trees.describe import TAGS, entries
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.types import Channel, Feature, Scalar


def named(pset):
    return {one.name: one for one in entries(pset)}


def test_all_that_is_in_a_set_is_listed_once(pset):
    found = entries(pset)
    assert sorted(one.name for one in found) == sorted(pset.mapping)
    assert found[0].kind == "input"
    kinds = [one.kind for one in found]
    assert kinds == sorted(kinds, key=["input", "function", "learnable vector", "constant", "drawn constant"].index)


@pytest.mark.parametrize(
    ("name", "formula", "cost", "tags", "function"),
    [
        ("sin", "sin(x)", 4, ("periodic",), np.sin),
        ("cube", "x^3", 2, (), lambda x: x**3),
        ("add", "x + y", 1, ("commutative",), lambda x: x + 1),
        ("div", "x / y", 2, (), lambda x: x),
        ("gauss_distance", "exp(-(x - y)^2)", 6, ("commutative",), lambda x: np.exp(-((x - 1) ** 2))),
        ("scale", "s * x", 1, ("learnable",), lambda x: x),
        ("shift", "x + s", 1, ("learnable",), lambda x: x),
        ("mix", "s * x + (1 - s) * y", 3, ("learnable",), lambda x: x),
        ("x", "x", 0, ("input",), lambda x: x),
    ],
)
def test_functions_of_the_paper(free, name, formula, cost, tags, function):
    one = named(free)[name]
    assert (one.formula, one.cost, one.tags) == (formula, cost, tags)
    x, values = one.curve()
    assert (x[0], x[-1], len(x)) == (-3, 3, 121)
    assert values == pytest.approx(function(x), abs=1e-6)


def test_types_and_initial_values_are_told(template):
    found = named(template)
    assert (found["weigh"].arguments, found["weigh"].returns) == (("Channel", "Feature"), "Feature")
    x, values = found["weigh"].curve(5)
    assert values.tolist() == x.tolist(), "a channel is varied, the feature is 1"
    assert found["damped"].learnable == (1.0,)
    x, values = found["damped"].curve()
    assert values == pytest.approx(np.sin(x) / (1 + np.abs(x)))
    assert (found["s"].kind, found["s"].shown) == ("learnable vector", "1")
    assert found["s"].curve(3)[1].tolist() == [1, 1, 1]
    assert found["number"].kind == "drawn constant"
    assert np.isnan(found["number"].curve()[1]).all(), "it has no value to show"


def test_a_surface_has_a_row_for_each_y(free):
    x, values = named(free)["sub"].surface(7)
    assert values == pytest.approx(x[None, :] - x[:, None])
    with pytest.raises(GaafError, match="a surface is that of two or more arguments"):
        named(free)["sin"].surface()


def test_scalars_and_constants_are_computed_too(free):
    found = named(free)
    x, values = found["cmul"].curve(9)
    assert values == pytest.approx(x)
    assert found["cmul"].arguments == ("Scalar", "Scalar")
    own = PrimitiveSet("own")
    own.addTerminal(math.pi, Scalar, name="pi")
    own.addTerminal(0.5, Scalar)
    own.addLearnable("w", initial=2.0, ret_type=Channel)
    own.addPrimitive(broken_at_float64, [Feature], Feature, name="fragile")
    listed = named(own)
    assert listed["pi"].formula == "pi = 3.142"
    assert listed["pi"].curve(2)[1].tolist() == [math.pi, math.pi]
    assert listed["0.5"].kind == "constant"
    assert listed["w"].curve(2)[1].tolist() == [2, 2]
    assert np.isnan(listed["fragile"].curve()[1]).all(), "what cannot be computed is no number"


def broken_at_float64(x):
    if x.dtype.itemsize == 8:
        raise RuntimeError("no such kernel")
    return x * 1


@pytest.mark.parametrize("tag", TAGS)
def test_a_tag_chooses(free, tag):
    assert [one.name for one in entries(free, tag)] == [one.name for one in entries(free) if tag in one.tags]


def test_another_tag_is_refused(free):
    with pytest.raises(GaafError, match=r"a tag of primitives must be one of periodic, .*got 'wavy'"):
        entries(free, "wavy")
    assert {one.name for one in entries(free, "periodic")} == {"sin", "cos", "tan"}
