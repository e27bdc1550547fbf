"""The operators of the GAAF paper's search space: 22 unary and 11 binary ones, in its order.

Source: Li et al., GAAF: Searching Activation Functions for Binary Neural Networks Through Genetic Algorithm, Tsinghua
Science and Technology 28(1), 2023 (arXiv 2206.03291), the operators as its authors' code has them. The sets of trees
made of them are in :mod:`primitives.gaaf`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gaaf_gp.trees.primitive import ATOM
from gaaf_gp.trees.pset import PrimitiveSet

EPS = 1e-8
"""The paper's protection against division by zero and logarithms of zero."""


def identity(x: Tensor) -> Tensor:
    """Return x."""
    return x


def zero(x: Tensor) -> Tensor:
    """Return 0."""
    return torch.zeros_like(x)


def cube(x: Tensor) -> Tensor:
    """Return x^3."""
    return x * x * x


def signed_sqrt(x: Tensor) -> Tensor:
    """Return sgn(x) * sqrt(|x| + 1e-8)."""
    return torch.sign(x) * torch.sqrt(torch.abs(x) + EPS)


def log_abs(x: Tensor) -> Tensor:
    """Return ln(|x| + 1e-8)."""
    return torch.log(torch.abs(x) + EPS)


def exp_neg_abs(x: Tensor) -> Tensor:
    """Return exp(-|x| + 1e-8)."""
    return torch.exp(EPS - torch.abs(x))


def gauss(x: Tensor) -> Tensor:
    """Return exp(-x^2)."""
    return torch.exp(-torch.square(x))


def positive(x: Tensor) -> Tensor:
    """Return max(x, 0)."""
    return torch.relu(x)


def negative(x: Tensor) -> Tensor:
    """Return min(x, 0)."""
    return torch.clamp(x, max=0)


def scale(x: Tensor, s: Tensor) -> Tensor:
    """Return s*x with a learnable s per channel."""
    return s * x


def shift(x: Tensor, s: Tensor) -> Tensor:
    """Return x + s with a learnable s per channel."""
    return x + s


def channel(x: Tensor, s: Tensor) -> Tensor:
    """Return the learnable s per channel, whatever x is."""
    return s.expand_as(x) if x.dim() >= s.dim() else s


def div(x: Tensor, y: Tensor) -> Tensor:
    """Return x / (y + 1e-8)."""
    return x / (y + EPS)


def ratio(x: Tensor, y: Tensor) -> Tensor:
    """Return x / (x + y + 1e-8)."""
    return x / (x + y + EPS)


def gate(x: Tensor, y: Tensor) -> Tensor:
    """Return x * sigmoid(y)."""
    return x * torch.sigmoid(y)


def gauss_distance(x: Tensor, y: Tensor) -> Tensor:
    """Return exp(-(x - y)^2)."""
    return torch.exp(-torch.square(x - y))


def exp_distance(x: Tensor, y: Tensor) -> Tensor:
    """Return exp(-|x - y|)."""
    return torch.exp(-torch.abs(x - y))


def mix(x: Tensor, y: Tensor, s: Tensor) -> Tensor:
    """Return s*x + (1 - s)*y with a learnable s per channel."""
    return s * x + (1 - s) * y


def const(c: Tensor | float) -> Tensor:
    """Return the constant as a tensor that broadcasts over any Feature."""
    return torch.as_tensor(c)


@dataclass(frozen=True)
class Operator:
    """One row of the tables below: a function, its name and its traits (see ``PrimitiveSet.addPrimitive``)."""

    name: str
    function: Callable[..., Tensor]
    cost: float
    infix: str
    latex: str
    precedence: int = ATOM
    periodic: bool = False
    commutative: bool = False
    learnable: tuple[float, ...] = ()


def _call(name: str) -> str:
    return rf"\operatorname{{{{{name}}}}}\left({{0}}\right)"


UNARY_ROWS = (
    Operator("identity", identity, 0, "{0:9}", "{0:9}"),
    Operator("zero", zero, 1, "zero({0})", _call("zero")),
    Operator("square", torch.square, 1, "{0:5}^2", "{0:5}^{{2}}", 4),
    Operator("cube", cube, 2, "{0:5}^3", "{0:5}^{{3}}", 4),
    Operator("signed_sqrt", signed_sqrt, 4, "signed_sqrt({0})", _call("ssqrt")),
    Operator("log_abs", log_abs, 5, "ln|{0}|", r"\ln\left|{0}\right|"),
    Operator("sin", torch.sin, 4, "sin({0})", r"\sin\left({0}\right)", periodic=True),
    Operator("cos", torch.cos, 4, "cos({0})", r"\cos\left({0}\right)", periodic=True),
    Operator("sigmoid", torch.sigmoid, 4, "sigmoid({0})", r"\sigma\left({0}\right)"),
    Operator("tan", torch.tan, 5, "tan({0})", r"\tan\left({0}\right)", periodic=True),
    Operator("atan", torch.atan, 4, "atan({0})", r"\arctan\left({0}\right)"),
    Operator("erf", torch.erf, 4, "erf({0})", _call("erf")),
    Operator("erfc", torch.erfc, 4, "erfc({0})", _call("erfc")),
    Operator("exp_neg_abs", exp_neg_abs, 5, "exp(-|{0}|)", r"\exp\left(-\left|{0}\right|\right)"),
    Operator("gauss", gauss, 5, "exp(-{0:5}^2)", r"\exp\left(-{0:5}^{{2}}\right)"),
    Operator("positive", positive, 1, "max({0}, 0)", r"\max\left({0}, 0\right)"),
    Operator("negative", negative, 1, "min({0}, 0)", r"\min\left({0}, 0\right)"),
    Operator("abs", torch.abs, 1, "|{0}|", r"\left|{0}\right|"),
    Operator("neg", torch.neg, 1, "-{0:3}", "-{0:3}", 1),
    Operator("scale", scale, 1, "{s} * {0:2}", r"{s} \cdot {0:2}", 2, learnable=(1.0,)),
    Operator("shift", shift, 1, "{0:1} + {s}", "{0:1} + {s}", 1, learnable=(0.0,)),
    Operator("channel", channel, 0, "{s}", "{s}", learnable=(1.0,)),
)

BINARY_ROWS = (
    Operator("add", torch.add, 1, "{0:1} + {1:2}", "{0:1} + {1:2}", 1, commutative=True),
    Operator("sub", torch.sub, 1, "{0:1} - {1:2}", "{0:1} - {1:2}", 1),
    Operator("mul", torch.mul, 1, "{0:2} * {1:3}", r"{0:2} \cdot {1:3}", 2, commutative=True),
    Operator("div", div, 2, "{0:2} / {1:3}", r"\frac{{{0}}}{{{1}}}", 2),
    # Written out, x / (x + y) would name its first argument twice, and a nested formula would double at every level.
    Operator("ratio", ratio, 3, "ratio({0}, {1})", r"\operatorname{{ratio}}\left({0}, {1}\right)"),
    Operator("max", torch.maximum, 1, "max({0}, {1})", r"\max\left({0}, {1}\right)", commutative=True),
    Operator("min", torch.minimum, 1, "min({0}, {1})", r"\min\left({0}, {1}\right)", commutative=True),
    Operator("gate", gate, 5, "{0:2} * sigmoid({1})", r"{0:2} \cdot \sigma\left({1}\right)", 2),
    Operator(
        "gauss_distance", gauss_distance, 6, "exp(-({0:1} - {1:2})^2)",
        r"\exp\left(-\left({0:1} - {1:2}\right)^{{2}}\right)", commutative=True,
    ),
    Operator(
        "exp_distance", exp_distance, 6, "exp(-|{0:1} - {1:2}|)", r"\exp\left(-\left|{0:1} - {1:2}\right|\right)",
        commutative=True,
    ),
    Operator(
        "mix", mix, 3, "{s} * {0:2} + (1 - {s}) * {1:2}", r"{s} \cdot {0:2} + \left(1 - {s}\right) \cdot {1:2}", 1,
        learnable=(1.0,),
    ),
)  # fmt: skip

SCALAR_ROWS = (
    Operator("cadd", torch.add, 0, "{0:1} + {1:2}", "{0:1} + {1:2}", 1, commutative=True),
    Operator("cmul", torch.mul, 0, "{0:2} * {1:3}", r"{0:2} \cdot {1:3}", 2, commutative=True),
)
"""Sums and products of evolved constants, which the paper does not have."""

UNARY: tuple[str, ...] = tuple(row.name for row in UNARY_ROWS)
"""Names of the unary operators; the index is the paper's gene."""
BINARY: tuple[str, ...] = tuple(row.name for row in BINARY_ROWS)
"""Names of the binary operators; the index is the paper's gene."""


def add_operator(pset: PrimitiveSet, row: Operator, in_types: Sequence[type], ret_type: type, prefix: str = "") -> None:
    """Add one operator to a set under its name after ``prefix``: names are unique, and it may return several types."""
    pset.addPrimitive(
        row.function,
        in_types,
        ret_type,
        prefix + row.name,
        cost=row.cost,
        infix=row.infix,
        latex=row.latex,
        precedence=row.precedence,
        periodic=row.periodic,
        commutative=row.commutative and len(set(in_types)) == 1,  # arguments of two types cannot change places
        learnable=row.learnable,
    )
