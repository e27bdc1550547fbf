"""The search spaces of the GAAF paper: its operators as trees of any shape, and its two encodings.

Source: Li et al. 2023 (arXiv 2206.03291); the operators are in :mod:`primitives.operators`. A genotype of encoding 1 is
b0(u0(x), u1(x)), one of encoding 2 is b1(u2(b0(u0(x), u1(x))), u3(x)). ``encoding1()`` and ``encoding2()`` are sets
whose types leave no other tree, so that any typed operator, DEAP's too, stays inside. ``free()`` knows no template.
``from_genes`` and ``to_genes`` go from the paper's lists of operator numbers to trees and back.
"""

from __future__ import annotations

import functools
import itertools
import operator
import random
from collections.abc import Iterator, Sequence
from typing import Any, SupportsIndex

import torch
from torch import Tensor

from gaaf_gp.errors import GaafError, listed
from gaaf_gp.trees.individual import Individual
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.trees.tree import Constant
from gaaf_gp.types import Feature, Scalar
from primitives.operators import (  # noqa: F401 (the functions are found here too)
    BINARY,
    BINARY_ROWS,
    EPS,
    SCALAR_ROWS,
    UNARY,
    UNARY_ROWS,
    Operator,
    add_operator,
    channel,
    cube,
    div,
    exp_distance,
    exp_neg_abs,
    gate,
    gauss,
    gauss_distance,
    identity,
    log_abs,
    mix,
    negative,
    positive,
    ratio,
    scale,
    shift,
    signed_sqrt,
    zero,
)

PLACES: dict[int, tuple[str, ...]] = {3: ("u0", "u1", "b0"), 6: ("u0", "u1", "u2", "u3", "b0", "b1")}
"""Number of genes -> what each of them is, in the paper's order."""
SHAPES: dict[int, tuple[str, ...]] = {
    3: ("b0", "u0", "x", "u1", "x"),
    6: ("b1", "u2", "b0", "u0", "x", "u1", "x", "u3", "x"),
}
"""Number of genes -> what each node of the tree is, in depth-first order."""
FORMS = {3: "b0(u0(x), u1(x))", 6: "b1(u2(b0(u0(x), u1(x))), u3(x))"}


class Input(Feature):
    """x, where types force a template: only u0, u1 and u3 take it, and it is no tree of its own."""


class Inner(Feature):
    """What a unary operator on x returns: u0(x), u1(x), u3(x)."""


class Joined(Feature):
    """b0(u0(x), u1(x)) in encoding 2."""


class Outer(Feature):
    """u2(b0(u0(x), u1(x))) in encoding 2."""


class Whole(Feature):
    """A whole tree of an encoding; nothing takes it."""


def const(c: Tensor | float) -> Tensor:
    """Return the constant as a tensor that broadcasts over any Feature."""
    return torch.as_tensor(c)


def random_constant() -> float:
    """Draw an evolved constant: uniform in [-2, 2], with three decimals so that formulas stay readable."""
    return round(random.uniform(-2.0, 2.0), 3)


def free() -> PrimitiveSet:
    """Return the paper's operators for trees of any shape, with evolved constants.

    ``const`` makes a Feature of a Scalar; Scalars are numbers or sums and products of them. Every type has primitives
    and terminals, so DEAP's own generators work as they are.
    """
    pset = PrimitiveSet("primitives.gaaf:free")
    _add_all(pset, UNARY_ROWS, [Feature], Feature)
    _add_all(pset, BINARY_ROWS, [Feature] * 2, Feature)
    add_operator(pset, Operator("const", const, 0, "{0:9}", "{0:9}"), [Scalar], Feature)
    _add_all(pset, SCALAR_ROWS, [Scalar] * 2, Scalar)
    pset.addEphemeralConstant("c", random_constant, Scalar)
    return pset.check()


def encoding1() -> PrimitiveSet:
    """Return the set of the paper's encoding 1: its trees are b0(u0(x), u1(x)) and nothing else, 22*22*11 = 5,324.

    The operators have the names of ``free()``.
    """
    pset = PrimitiveSet("primitives.gaaf:encoding1", [Input], Whole)
    _add_all(pset, UNARY_ROWS, [Input], Inner)
    _add_all(pset, BINARY_ROWS, [Inner] * 2, Whole)
    return pset.check()


def encoding2() -> PrimitiveSet:
    """Return the set of the paper's encoding 2: its trees are b1(u2(b0(u0(x), u1(x))), u3(x)), 28,344,976 of them.

    u0, u1, u3 and b0 have the names of ``free()``. u2 and b1 take and return other types, so their names say their
    place: ``b1_add(u2_sin(add(sin(x), cos(x))), neg(x))``. Formulas are written without it. The branches end at
    different depths, so of DEAP's generators ``genGrow`` and ``genHalfAndHalf`` fail nearly always and ``genFull``
    always; those of :mod:`gaaf_gp.trees.generation` never do.
    """
    pset = PrimitiveSet("primitives.gaaf:encoding2", [Input], Whole)
    _add_all(pset, UNARY_ROWS, [Input], Inner)
    _add_all(pset, BINARY_ROWS, [Inner] * 2, Joined)
    _add_all(pset, UNARY_ROWS, [Joined], Outer, "u2_")
    _add_all(pset, BINARY_ROWS, [Outer, Inner], Whole, "b1_")
    return pset.check()


def _add_all(
    pset: PrimitiveSet, rows: Sequence[Operator], in_types: Sequence[type], ret_type: type, prefix: str = ""
) -> None:
    for row in rows:
        add_operator(pset, row, in_types, ret_type, prefix)


@functools.cache
def _free() -> PrimitiveSet:
    return free()


def genotypes() -> Iterator[tuple[int, int, int]]:
    """Yield all 5,324 genotypes of encoding 1, (u0, u1, b0)."""
    yield from itertools.product(range(len(UNARY)), range(len(UNARY)), range(len(BINARY)))


def from_genes(genes: Sequence[int], pset: PrimitiveSet | None = None) -> Individual:
    """Return the tree of a genotype of the paper; :func:`to_genes` goes back.

    Args:
        genes: ``[u0, u1, b0]`` for encoding 1, b0(u0(x), u1(x)), or ``[u0, u1, u2, u3, b0, b1]`` for encoding 2,
            b1(u2(b0(u0(x), u1(x))), u3(x)); u are indices into ``UNARY``, b into ``BINARY``.
        pset: a set with the paper's operators, such as ``encoding1()``; one shared ``free()`` by default.

    Raises:
        GaafError: for another number of genes, an index out of range, or a set whose trees have no such form.
    """
    chosen = _free() if pset is None else pset
    places = PLACES.get(len(genes))
    if places is None:
        raise GaafError(
            f"a genotype must have 3 genes (u0, u1, b0) or 6 (u0, u1, u2, u3, b0, b1), got {len(genes)}: {list(genes)}"
        )
    for index, (gene, place) in enumerate(zip(genes, places, strict=True)):
        limit = len(_names(place))
        if isinstance(gene, bool) or not isinstance(gene, SupportsIndex) or not 0 <= operator.index(gene) < limit:
            raise GaafError(f"gene {index} must be a whole number from 0 to {limit - 1}, got {gene!r} in {list(genes)}")
    lacking = [name for name in (*UNARY, *BINARY) if name not in chosen.mapping]
    if lacking:
        raise GaafError(
            f"a genotype needs a set with all operators of the paper, but {chosen.name!r} lacks {listed(lacking)}: "
            "pass gaaf.free(), with more added to it if you like"
        )
    nodes: dict[str, Any] = {"x": chosen.mapping[chosen.arguments[0]]}
    for gene, place in zip(genes, places, strict=True):
        name = _names(place)[gene]
        nodes[place] = chosen.mapping.get(f"{place}_{name}", chosen.mapping[name])
    try:
        return Individual([nodes[place] for place in SHAPES[len(genes)]], chosen)
    except GaafError as error:
        raise GaafError(
            f"a genotype of {len(genes)} genes is {FORMS[len(genes)]}, but set {chosen.name!r} has no such trees "
            f"({error}): pass gaaf.encoding{len(genes) // 3}() or gaaf.free()"
        ) from error


def to_genes(individual: Individual) -> tuple[int, ...]:
    """Return the genotype of a tree exactly as it stands: ``from_genes(to_genes(tree), tree.pset) == tree``.

    Args:
        individual: a tree of ``encoding1()``, ``encoding2()``, or one of ``free()`` that has the form of either.

    Returns:
        ``(u0, u1, b0)`` or ``(u0, u1, u2, u3, b0, b1)``.

    Raises:
        GaafError: naming the node that has no place in the form.
    """
    genes = next((number for number, shape in SHAPES.items() if len(shape) == len(individual)), None)
    if genes is None:
        raise GaafError(
            f"the tree of a genotype must have 5 nodes, {FORMS[3]}, or 9, {FORMS[6]}, got {len(individual)} in "
            f"{individual}: put identity where x stands alone"
        )
    found: dict[str, int] = {}
    for index, (node, place) in enumerate(zip(individual, SHAPES[genes], strict=True)):
        name = node.name.removeprefix(f"{place}_")
        allowed = individual.pset.arguments if place == "x" else _names(place)
        if name not in allowed or isinstance(node, Constant):
            what = {"x": "x", "u": "a unary operator of the paper", "b": "a binary operator of the paper"}[place[0]]
            raise GaafError(
                f"the tree of a genotype must be {FORMS[genes]}, but node {index} of {individual} is {node.name} "
                f"where {what} must stand: take another tree"
            )
        found[place] = 0 if place == "x" else allowed.index(name)
    return tuple(found[place] for place in PLACES[genes])


def _names(place: str) -> tuple[str, ...]:
    return UNARY if place.startswith("u") else BINARY
