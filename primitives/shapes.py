"""Search spaces in which every tree keeps a promise about its function: the types are theorems.

A network that is deeper than the one of a search may reject a function that the search liked, above all one whose slope
is negative somewhere. ``increasing()`` has no such tree, and every tree of ``one_threshold()`` has at most one
threshold. Each type is a statement about f over all real x, for any values of its evolved and learned constants:

- Line: f(x) = x + a number
- Steep: f(y) - f(x) >= y - x for x < y, so the slope is at least 1
- Increasing: f(y) >= f(x) for x < y, so the slope is nowhere negative
- Gentle: abs(f(y) - f(x)) <= y - x for x < y, so the slope lies between -1 and 1
- OneThreshold: if f(x) >= 0 and x < y, then f(y) >= 0, so the sign, which is +1 at 0, changes at most once
- Bounded: abs(f(x)) <= 1
- Positive: 1/e <= f(x) <= e

A Line is Steep and Gentle, what is Steep is Increasing, and what is Increasing has at most one threshold. The classes
derive from each other in that way, so that a tree of a stronger type stands wherever a weaker one is asked for.
``RULES`` lists every operator with the types it takes, the type it returns, and why that follows. Generation,
crossover, mutation and simplification keep types, so they keep the theorems.

The theorems are about real numbers. Rounding may turn a small slope into 0, where functions saturate, or into a
negative one of the size of a rounding error, where slopes cancel (x + sin(x) at pi). Near a zero where the slope is 0
too, as that of x - sin(x), signs are those of rounding errors. A value closer to 0 than the smallest number of a format
becomes 0, whose sign is +1: in float32 cube does that to values below 1e-15. Of values that overflow, as cubes of cubes
may, nothing is promised.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.types import Feature, Scalar
from primitives.gaaf import random_constant
from primitives.operators import BINARY_ROWS, SCALAR_ROWS, UNARY_ROWS, Operator, add_operator


class OneThreshold(Feature):
    """f with at most one threshold: if f(x) >= 0 and x < y, then f(y) >= 0."""


class Increasing(OneThreshold):
    """f whose slope is nowhere negative: f(y) >= f(x) for x < y. It has at most one threshold: f(y) >= f(x) >= 0."""


class Steep(Increasing):
    """f whose slope is at least 1: f(y) - f(x) >= y - x for x < y. It is Increasing, because y - x > 0."""


class Gentle(Feature):
    """f whose slope lies between -1 and 1: abs(f(y) - f(x)) <= y - x for x < y."""


class Line(Steep, Gentle):
    """x plus a number: f(y) - f(x) = y - x, hence both Steep and Gentle."""


class Bounded(Feature):
    """f with abs(f(x)) <= 1."""


class Positive(Feature):
    """f with 1/e <= f(x) <= e. Far enough from 0 that a product with it does not lose a sign by rounding."""


def scale_positive(x: Tensor, s: Tensor) -> Tensor:
    """Return exp(s) * x with a learnable s per channel: a factor that starts at 1 and stays positive."""
    return torch.exp(s) * x


def prelu(x: Tensor, s: Tensor) -> Tensor:
    """Return max(x, 0) + exp(s)/4 * min(x, 0) with a learnable s per channel: PReLU whose slope stays positive.

    The slope of negative x starts at 1/4, as in He et al. 2015 (arXiv 1502.01852).
    """
    return torch.relu(x) + torch.exp(s) / 4 * torch.clamp(x, max=0)


def blend(x: Tensor, y: Tensor, s: Tensor) -> Tensor:
    """Return p*x + (1 - p)*y, p = sigmoid(s), with a learnable s per channel: a mean whose weights stay positive."""
    share = torch.sigmoid(s)
    return share * x + (1 - share) * y


def damp(x: Tensor, s: Tensor) -> Tensor:
    """Return tanh(s) * x with a learnable s per channel: a factor between -1 and 1."""
    return torch.tanh(s) * x


def times(x: Tensor, c: Tensor) -> Tensor:
    """Return |c| * x."""
    return torch.abs(c) * x


def stretch(x: Tensor, c: Tensor) -> Tensor:
    """Return (1 + |c|) * x."""
    return (1 + torch.abs(c)) * x


def ripple(x: Tensor, c: Tensor) -> Tensor:
    """Return sin(c*x) / max(|c|, 1): a wave of any frequency, with a slope between -1 and 1."""
    return torch.sin(c * x) / torch.clamp(torch.abs(c), min=1)


def softplus(x: Tensor) -> Tensor:
    """Return ln(1 + exp(x)); beyond 40 that is x to the last bit of float64."""
    return functional.softplus(x, threshold=40.0)


def peak(x: Tensor) -> Tensor:
    """Return exp(-|x|)."""
    return torch.exp(-torch.abs(x))


def mean(x: Tensor, y: Tensor) -> Tensor:
    """Return (x + y) / 2."""
    return (x + y) / 2


def exp_bounded(x: Tensor) -> Tensor:
    """Return exp(x) for x between -1 and 1; exp(1) or exp(-1) beyond, where no Bounded function is."""
    return torch.exp(torch.clamp(x, -1, 1))


def around_one(x: Tensor) -> Tensor:
    """Return 1 + x/2."""
    return 1 + x / 2


KINKED = ("max", "min", "signed_sqrt", "positive", "negative", "prelu", "abs", "peak")
"""Operators that have a kink or a jump."""


@dataclass(frozen=True)
class Rule:
    """One operator of the sets, and the theorem that its types state.

    Attributes:
        operator: name of the operator's row.
        takes: types of its arguments, f and g in ``why``; a Scalar is c, a learned vector s.
        gives: type of its result.
        why: the reason, in one line.
        prefix: stands ahead of the name in the set, where the operator has rules of several types.
    """

    operator: str
    takes: tuple[type, ...]
    gives: type
    why: str
    prefix: str = ""

    @property
    def name(self) -> str:
        """The name in the set."""
        return self.prefix + self.operator

    @property
    def smooth(self) -> bool:
        """Whether the slope of the result is continuous if those of the arguments are."""
        return self.operator not in KINKED


def _call(name: str) -> str:
    return rf"\operatorname{{{{{name}}}}}\left({{0}}\right)"


_SCALED = r"e^{{{s}}} \cdot {0:2}"
_PRELU = r"\operatorname{{PReLU}}_{{{s}}}\left({0}\right)"
_BLEND = r"\sigma\left({s}\right) \cdot {0:2} + \left(1 - \sigma\left({s}\right)\right) \cdot {1:2}"
ROWS = (
    Operator("scale", scale_positive, 2, "exp({s}) * {0:2}", _SCALED, 2, learnable=(0.0,)),
    Operator("prelu", prelu, 4, "prelu({0}, {s})", _PRELU, learnable=(0.0,)),
    Operator("blend", blend, 4, "sigmoid({s}) * {0:2} + (1 - sigmoid({s})) * {1:2}", _BLEND, 1, learnable=(0.0,)),
    Operator("damp", damp, 2, "tanh({s}) * {0:2}", r"\tanh\left({s}\right) \cdot {0:2}", 2, learnable=(1.0,)),
    Operator("times", times, 1, "|{1}| * {0:2}", r"\left|{1}\right| \cdot {0:2}", 2),
    Operator("stretch", stretch, 1, "(1 + |{1}|) * {0:2}", r"\left(1 + \left|{1}\right|\right) \cdot {0:2}", 2),
    Operator("offset", torch.add, 1, "{0:1} + {1:2}", "{0:1} + {1:2}", 1),
    Operator("add_gentle", torch.add, 1, "{0:1} + {1:2}", "{0:1} + {1:2}", 1),
    # Written out, it would name its second argument twice.
    Operator("ripple", ripple, 5, "ripple({0}, {1})", r"\operatorname{{ripple}}\left({0}, {1}\right)", periodic=True),
    Operator("tanh", torch.tanh, 4, "tanh({0})", r"\tanh\left({0}\right)"),
    Operator("asinh", torch.asinh, 5, "asinh({0})", _call("arsinh")),
    Operator("softsign", functional.softsign, 3, "softsign({0})", _call("softsign")),
    Operator("softplus", softplus, 5, "softplus({0})", _call("softplus")),
    Operator("peak", peak, 5, "exp(-|{0}|)", r"\exp\left(-\left|{0}\right|\right)"),
    Operator("mean", mean, 2, "({0:1} + {1:2}) / 2", r"\frac{{{0:1} + {1:2}}}{{2}}", 2, commutative=True),
    Operator("modulate", torch.mul, 1, "{0:2} * {1:3}", r"{0:2} \cdot {1:3}", 2),
    Operator("exp", exp_bounded, 5, "exp({0})", r"\exp\left({0}\right)"),
    Operator("around_one", around_one, 2, "1 + {0:2} / 2", r"1 + \frac{{{0}}}{{2}}", 1),
)
"""The operators that the paper does not have, or that have learned factors with their sign kept here."""

_OPERATORS = {row.name: row for row in (*UNARY_ROWS, *BINARY_ROWS, *ROWS)}
_SIGN = "it is >= 0 where f is, and < 0 where f is"

RULES = (
    Rule("shift", (Line,), Line, "x + a number + s", "line_"),
    Rule("offset", (Line, Scalar), Line, "x + a number + c", "line_"),
    Rule("add", (Steep, Increasing), Steep, "slopes add: >= 1 + 0", "steep_"),
    Rule("max", (Steep, Steep), Steep, "it gains at least what the larger one at x gains", "steep_"),
    Rule("min", (Steep, Steep), Steep, "it gains at least what the smaller one at y gains", "steep_"),
    Rule("stretch", (Steep, Scalar), Steep, "the slope is multiplied by 1 + |c| >= 1"),
    Rule("add", (Increasing, Increasing), Increasing, "slopes add: >= 0 + 0"),
    Rule("add_gentle", (Steep, Gentle), Increasing, "slopes add: >= 1 - 1"),
    Rule("max", (Increasing, Increasing), Increasing, "it gains at least what the larger one at x gains: >= 0"),
    Rule("min", (Increasing, Increasing), Increasing, "it gains at least what the smaller one at y gains: >= 0"),
    Rule("blend", (Increasing, Increasing), Increasing, "slopes are averaged with weights >= 0"),
    Rule("scale", (Increasing,), Increasing, "the slope is multiplied by exp(s) > 0"),
    Rule("times", (Increasing, Scalar), Increasing, "the slope is multiplied by |c| >= 0"),
    Rule("shift", (Increasing,), Increasing, "a number changes no slope"),
    Rule("offset", (Increasing, Scalar), Increasing, "a number changes no slope"),
    Rule("tanh", (Increasing,), Increasing, "increasing after increasing; tanh' = 1 - tanh^2 >= 0"),
    Rule("atan", (Increasing,), Increasing, "increasing after increasing; atan' = 1/(1 + x^2) >= 0"),
    Rule("erf", (Increasing,), Increasing, "increasing after increasing; erf' = 2/sqrt(pi) exp(-x^2) >= 0"),
    Rule("sigmoid", (Increasing,), Increasing, "increasing after increasing; sigmoid' = sigmoid (1 - sigmoid) >= 0"),
    Rule("softsign", (Increasing,), Increasing, "increasing after increasing; softsign' = 1/(1 + |x|)^2 >= 0"),
    Rule("softplus", (Increasing,), Increasing, "increasing after increasing; softplus' = sigmoid >= 0"),
    Rule("asinh", (Increasing,), Increasing, "increasing after increasing; asinh' = 1/sqrt(1 + x^2) >= 0"),
    Rule("cube", (Increasing,), Increasing, "increasing after increasing; (x^3)' = 3 x^2 >= 0"),
    Rule("signed_sqrt", (Increasing,), Increasing, "increasing after increasing; it jumps up at 0"),
    Rule("positive", (Increasing,), Increasing, "increasing after increasing; its slope is 0 or 1"),
    Rule("negative", (Increasing,), Increasing, "increasing after increasing; its slope is 1 or 0"),
    Rule("prelu", (Increasing,), Increasing, "increasing after increasing; its slope is 1 or exp(s)/4 > 0"),
    Rule("sin", (Gentle,), Gentle, "slopes multiply: |cos| <= 1"),
    Rule("cos", (Gentle,), Gentle, "slopes multiply: |sin| <= 1"),
    Rule("gauss", (Gentle,), Gentle, "slopes multiply: |2 x exp(-x^2)| <= sqrt(2/e) < 1"),
    Rule("ripple", (Gentle, Scalar), Gentle, "slopes multiply: |c cos(c x)| / max(|c|, 1) <= 1"),
    Rule("tanh", (Gentle,), Gentle, "slopes multiply: 0 <= tanh' <= 1", "gentle_"),
    Rule("atan", (Gentle,), Gentle, "slopes multiply: 0 <= atan' <= 1", "gentle_"),
    Rule("neg", (Gentle,), Gentle, "[-1, 1] is symmetric"),
    Rule("damp", (Gentle,), Gentle, "the slope is multiplied by |tanh(s)| <= 1"),
    Rule("mean", (Gentle, Gentle), Gentle, "the mean of two slopes in [-1, 1]"),
    Rule("abs", (Gentle,), Gentle, "slopes multiply: -1 or 1"),
    Rule("peak", (Gentle,), Gentle, "slopes multiply: exp(-|x|) <= 1"),
    Rule("max", (Gentle, Gentle), Gentle, "max(f, g) moves by at most the larger move of the two", "gentle_"),
    Rule("min", (Gentle, Gentle), Gentle, "min(f, g) moves by at most the larger move of the two", "gentle_"),
    Rule("modulate", (OneThreshold, Positive), OneThreshold, f"f g with g > 0: {_SIGN}"),
    Rule("max", (OneThreshold, OneThreshold), OneThreshold, "it is >= 0 where f or g is; so also at y", "keep_"),
    Rule("min", (OneThreshold, OneThreshold), OneThreshold, "it is >= 0 where f and g are; so also at y", "keep_"),
    Rule("scale", (OneThreshold,), OneThreshold, f"exp(s) > 0: {_SIGN}", "keep_"),
    Rule("tanh", (OneThreshold,), OneThreshold, f"odd and increasing: {_SIGN}", "keep_"),
    Rule("atan", (OneThreshold,), OneThreshold, f"odd and increasing: {_SIGN}", "keep_"),
    Rule("softsign", (OneThreshold,), OneThreshold, f"odd and increasing: {_SIGN}", "keep_"),
    Rule("cube", (OneThreshold,), OneThreshold, f"odd and increasing: {_SIGN}", "keep_"),
    Rule("signed_sqrt", (OneThreshold,), OneThreshold, f"odd and increasing: {_SIGN}", "keep_"),
    Rule("prelu", (OneThreshold,), OneThreshold, f"slopes 1 and exp(s)/4 > 0: {_SIGN}", "keep_"),
    Rule("sin", (Feature,), Bounded, "|sin| <= 1", "bounded_"),
    Rule("cos", (Feature,), Bounded, "|cos| <= 1", "bounded_"),
    Rule("tanh", (Feature,), Bounded, "|tanh| <= 1", "bounded_"),
    Rule("gauss", (Feature,), Bounded, "0 < exp(-x^2) <= 1", "bounded_"),
    Rule("neg", (Bounded,), Bounded, "[-1, 1] is symmetric", "bounded_"),
    Rule("mul", (Bounded, Bounded), Bounded, "|f g| = |f| |g| <= 1", "bounded_"),
    Rule("max", (Bounded, Bounded), Bounded, "it is f or g", "bounded_"),
    Rule("min", (Bounded, Bounded), Bounded, "it is f or g", "bounded_"),
    Rule("exp", (Bounded,), Positive, "exp of [-1, 1] is [1/e, e]"),
    Rule("around_one", (Bounded,), Positive, "[1/2, 3/2] lies in [1/e, e]"),
    Rule("mean", (Positive, Positive), Positive, "a mean lies between its two", "positive_"),
    Rule("max", (Positive, Positive), Positive, "it is f or g", "positive_"),
    Rule("min", (Positive, Positive), Positive, "it is f or g", "positive_"),
)  # fmt: skip
"""Every operator of the sets with its types and the reason why they are true. Where a reason speaks of slopes, the
same holds of f(y) - f(x) over y - x, so kinks and jumps are no exception."""


def increasing() -> PrimitiveSet:
    """Return a set whose trees have a nowhere negative slope."""
    return _made("primitives.shapes:increasing", Increasing, _of_slopes(RULES))


def smooth_increasing() -> PrimitiveSet:
    """Return a set whose trees have a nowhere negative slope that is continuous too: no kinks and no jumps."""
    rules = (rule for rule in _of_slopes(RULES) if rule.smooth)
    return _made("primitives.shapes:smooth_increasing", Increasing, rules)


def one_threshold() -> PrimitiveSet:
    """Return a set whose trees have at most one threshold, from sign -1 to +1; slopes may be negative.

    It has all trees of ``increasing()``, products of them with Positive functions, and more.
    """
    pset = _made("primitives.shapes:one_threshold", OneThreshold, RULES)
    for number, marker in ((0.5, Bounded), (-0.75, Bounded), (2.0, Positive)):
        pset.addTerminal(number, marker)
    return pset.check()


def _of_slopes(rules: Iterable[Rule]) -> Iterable[Rule]:
    return (rule for rule in rules if issubclass(rule.gives, (Increasing, Gentle)))


def _made(name: str, ret_type: type, rules: Iterable[Rule]) -> PrimitiveSet:
    pset = PrimitiveSet(name, [Line], ret_type)
    for rule in rules:
        add_operator(pset, _OPERATORS[rule.operator], rule.takes, rule.gives, rule.prefix)
    for row in SCALAR_ROWS:
        add_operator(pset, row, [Scalar] * 2, Scalar)
    pset.addEphemeralConstant("c", random_constant, Scalar)
    return pset
