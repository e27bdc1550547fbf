"""The search space of the GAAF paper: its 22 unary and 11 binary operators, in its order.

Source: Li et al., GAAF: Searching Activation Functions for Binary Neural Networks Through Genetic Algorithm, Tsinghua
Science and Technology 28(1), 2023 (arXiv 2206.03291), the operators of the search space as its authors' code has them.
``free()`` puts them into one set of unlimited trees; ``from_genes`` writes a genotype of the paper's two encodings as
a tree of that set.
"""

from __future__ import annotations

import functools
import operator
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import SupportsIndex

import torch
from torch import Tensor

from gaaf_gp.errors import GaafError, listed
from gaaf_gp.individual import Individual
from gaaf_gp.pset import PrimitiveSet
from gaaf_gp.traits import ATOM
from gaaf_gp.types import Feature, Scalar

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


_UNARY = (
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
    Operator("channel", channel, 0, "{s}[{0}]", r"{s}\left[{0}\right]", learnable=(1.0,)),
)

_BINARY = (
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

UNARY: tuple[str, ...] = tuple(row.name for row in _UNARY)
"""Names of the unary operators; the index is the paper's gene."""
BINARY: tuple[str, ...] = tuple(row.name for row in _BINARY)
"""Names of the binary operators; the index is the paper's gene."""


def random_constant() -> float:
    """Draw an evolved constant: uniform in [-2, 2], with three decimals so that formulas stay readable."""
    return round(random.uniform(-2.0, 2.0), 3)


def free() -> PrimitiveSet:
    """Return the paper's operators for trees of any shape, with evolved constants.

    ``const`` makes a Feature of a Scalar; Scalars are numbers or sums and products of them. Every type has primitives
    and terminals, so DEAP's own generators work as they are.
    """
    pset = PrimitiveSet("primitives.gaaf:free")
    for arity, operators in ((1, _UNARY), (2, _BINARY)):
        for row in operators:
            _add(pset, row, [Feature] * arity, Feature)
    _add(pset, Operator("const", const, 0, "{0:9}", "{0:9}"), [Scalar], Feature)
    _add(
        pset,
        Operator("cadd", torch.add, 0, "{0:1} + {1:2}", "{0:1} + {1:2}", 1, commutative=True),
        [Scalar] * 2,
        Scalar,
    )
    _add(
        pset,
        Operator("cmul", torch.mul, 0, "{0:2} * {1:3}", r"{0:2} \cdot {1:3}", 2, commutative=True),
        [Scalar] * 2,
        Scalar,
    )
    pset.addEphemeralConstant("c", random_constant, Scalar)
    return pset.check()


def _add(pset: PrimitiveSet, row: Operator, in_types: Sequence[type], ret_type: type) -> None:
    pset.addPrimitive(
        row.function,
        in_types,
        ret_type,
        row.name,
        cost=row.cost,
        infix=row.infix,
        latex=row.latex,
        precedence=row.precedence,
        periodic=row.periodic,
        commutative=row.commutative,
        learnable=row.learnable,
    )


@functools.cache
def _free() -> PrimitiveSet:
    return free()


def from_genes(genes: Sequence[int], pset: PrimitiveSet | None = None) -> Individual:
    """Return the tree of a genotype of the paper.

    Args:
        genes: ``[u0, u1, b0]`` for encoding 1, b0(u0(x), u1(x)), or ``[u0, u1, u2, u3, b0, b1]`` for encoding 2,
            b1(u2(b0(u0(x), u1(x))), u3(x)); u are indices into ``UNARY``, b into ``BINARY``.
        pset: a set with the paper's operators; one shared ``free()`` by default.

    Raises:
        GaafError: for another number of genes or an index out of range.
    """
    chosen = _free() if pset is None else pset
    unary, binary = {3: (2, 1), 6: (4, 2)}.get(len(genes), (0, 0))
    if not unary:
        raise GaafError(
            f"a genotype must have 3 genes (u0, u1, b0) or 6 (u0, u1, u2, u3, b0, b1), got {len(genes)}: {list(genes)}"
        )
    limits = [len(UNARY)] * unary + [len(BINARY)] * binary
    for place, (gene, limit) in enumerate(zip(genes, limits, strict=True)):
        if isinstance(gene, bool) or not isinstance(gene, SupportsIndex) or not 0 <= operator.index(gene) < limit:
            raise GaafError(f"gene {place} must be a whole number from 0 to {limit - 1}, got {gene!r} in {list(genes)}")
    node = chosen.mapping
    lacking = [name for name in (*UNARY, *BINARY) if name not in node]
    if lacking:
        raise GaafError(
            f"a genotype needs a set with all operators of the paper, but {chosen.name!r} lacks {listed(lacking)}: "
            "pass gaaf.free(), with more added to it if you like"
        )
    x = node[chosen.arguments[0]]
    u = [[node[UNARY[gene]]] for gene in genes[:unary]]
    b = [[node[BINARY[gene]]] for gene in genes[unary:]]
    inner = [*b[0], *u[0], x, *u[1], x]
    return Individual(inner if unary == 2 else [*b[1], *u[2], *inner, *u[3], x], chosen)
