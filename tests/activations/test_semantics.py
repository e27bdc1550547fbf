"""Shares of positive signs against the normal distribution, and what the screen rejects."""

import math
from statistics import NormalDist

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gaaf_gp.activations.behaviour import CONSTANT_SIGN, NOT_A_NUMBER, positive_share, screen
from gaaf_gp.trees.parser import parse
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.types import Feature
from primitives import gaaf

PSET = gaaf.free()
BELOW = NormalDist().cdf


def periodic_share(start: float, stop: float) -> float:
    """The share of N(0, 1) in [start, stop], repeated every 2 pi."""
    return sum(BELOW(stop + 2 * math.pi * k) - BELOW(start + 2 * math.pi * k) for k in range(-4, 5))


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("x", 0.5),
        ("neg(x)", 0.5),
        ("square(x)", 1.0),
        ("zero(x)", 1.0),
        ("const(-0.001)", 0.0),
        ("const(0.0)", 1.0),
        ("sub(x, const(1.0))", 1 - BELOW(1)),
        ("sub(abs(x), const(0.5))", 2 * BELOW(-0.5)),
        ("sub(square(x), const(2.0))", 2 * BELOW(-math.sqrt(2))),
        ("sin(x)", periodic_share(0, math.pi)),
        ("cos(x)", periodic_share(-math.pi / 2, math.pi / 2)),
        ("log_abs(x)", 2 * BELOW(-1)),
        ("sub(max(x, const(-3.0)), const(-3.0))", 1.0),
        ("shift(x)", 0.5),
        ("sub(x, channel(x))", 1 - BELOW(1)),
        ("sub(x, mix(const(0.7), const(5.0)))", 1 - BELOW(0.7)),
    ],
)
def test_shares_are_those_of_the_normal_distribution(text: str, share: float) -> None:
    assert positive_share(parse(text, PSET)) == pytest.approx(share, abs=2e-4)


@settings(max_examples=40, deadline=None)
@given(st.floats(-3, 3).map(lambda c: round(c, 3)))
def test_a_threshold_splits_at_its_quantile(c: float) -> None:
    assert positive_share(parse(f"sub(x, const({c!r}))", PSET)) == pytest.approx(1 - BELOW(c), abs=2e-4)
    assert positive_share(parse(f"sub(const({c!r}), x)", PSET)) == pytest.approx(BELOW(c), abs=2e-4)


def test_a_value_that_is_not_a_number_is_not_positive() -> None:
    pset = PrimitiveSet("holes")
    pset.addPrimitive(torch.sqrt, [Feature], Feature, nonfinite=("value", "gradient"))
    assert positive_share(parse("sqrt(x)", pset)) == pytest.approx(0.5, abs=2e-4)
    assert screen(parse("sqrt(x)", pset)) == NOT_A_NUMBER


CUBED = "cube(cube(cube(x)))"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        *((f"{name}(x)", CONSTANT_SIGN) for name in ("zero", "square", "sigmoid", "erfc", "exp_neg_abs", "gauss")),
        *((f"{name}(x)", CONSTANT_SIGN) for name in ("positive", "abs")),
        *((f"{name}(x)", None) for name in ("identity", "cube", "signed_sqrt", "log_abs", "sin", "cos", "tan")),
        *((f"{name}(x)", None) for name in ("atan", "erf", "negative", "neg")),
        *((f"{name}(x)", None) for name in ("scale", "shift", "channel")),
        ("const(1.0)", CONSTANT_SIGN),
        ("const(-1.0)", CONSTANT_SIGN),
        ("sub(sin(x), const(1.001))", CONSTANT_SIGN),
        ("sub(sin(x), const(0.999))", None),
        ("sub(x, const(63.9))", None),
        ("sub(x, const(64.1))", CONSTANT_SIGN),
        ("add(x, const(63.9))", None),
        ("neg(square(x))", CONSTANT_SIGN),
        ("neg(abs(x))", CONSTANT_SIGN),
        (f"sub({CUBED}, {CUBED})", NOT_A_NUMBER),
        (f"sin({CUBED})", NOT_A_NUMBER),
        (f"scale(sin({CUBED}))", NOT_A_NUMBER),
        (CUBED, None),
        ("scale(square(x))", None),
        ("shift(square(x))", None),
        ("mix(square(x), neg(x))", None),
    ],
)
def test_only_what_training_cannot_repair_is_rejected(text: str, reason: str | None) -> None:
    assert screen(parse(text, PSET)) == reason


def test_the_reasons_are_two_readable_texts() -> None:
    assert (CONSTANT_SIGN, NOT_A_NUMBER) == ("constant sign", "not a number")


def test_neither_records_gradients_nor_leaves_them_off() -> None:
    tree = parse("scale(x)", PSET)
    with torch.enable_grad():
        assert positive_share(tree) == pytest.approx(0.5, abs=2e-4)
        assert screen(tree) is None
        assert torch.is_grad_enabled()


def few_only(x: torch.Tensor) -> torch.Tensor:
    if len(x) > 1000:
        raise ValueError("too many\nby far")
    return x * 1


def test_a_function_that_raises_is_rejected_with_what_it_said() -> None:
    pset = PrimitiveSet("picky")
    pset.addPrimitive(few_only, [Feature], Feature)
    assert screen(parse("few_only(x)", pset)) == "ValueError: too many"
