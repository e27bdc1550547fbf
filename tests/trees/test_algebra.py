"""Primitives are known by what they compute, not by their names."""

import pytest
import torch

from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.trees.simplify import KEEPS_SIGN, Algebra
from gaaf_gp.types import Feature, Scalar


def test_the_papers_operators_are_recognised(free):
    kinds = {name: kind for name, kind in Algebra(free).kinds.items() if kind}
    assert kinds == {
        "identity": "identity", "zero": "zero", "square": "square", "cube": KEEPS_SIGN, "signed_sqrt": KEEPS_SIGN,
        "atan": KEEPS_SIGN, "erf": KEEPS_SIGN, "positive": "positive", "negative": "negative", "abs": "abs",
        "neg": "neg", "add": "add", "sub": "sub", "mul": "mul", "max": "max", "min": "min", "const": "identity",
        "cadd": "add", "cmul": "mul",
    }  # fmt: skip


def difference(y, x):
    return x - y


def nearly(x, y):
    return x + y * 1.0000001


def plus(x, y):
    return y + x


@pytest.fixture
def odd():
    pset = PrimitiveSet("odd")
    for function in (difference, nearly, plus):
        pset.addPrimitive(function, [Feature, Feature], Feature)
    pset.addPrimitive(torch.sin, [Feature], Feature)
    return pset


def test_a_name_decides_nothing(odd):
    kinds = Algebra(odd).kinds
    assert kinds == {"difference": "", "nearly": "", "plus": "add", "sin": ""}


def test_a_primitive_is_found_by_kind_and_types(free):
    algebra = Algebra(free)
    assert algebra.primitive("sub", Feature, Feature, Feature).name == "sub"
    assert algebra.primitive("add", Scalar, Scalar, Scalar).name == "cadd"
    assert algebra.primitive("sub", Scalar, Scalar, Scalar) is None
    assert algebra.primitive("identity", Feature, Scalar).name == "const"
