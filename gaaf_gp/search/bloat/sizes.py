"""How large an individual is: in nodes, in height, in what it costs to compute, or in how often f changes its sign."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor

from gaaf_gp.trees.candidate import Evolved, TwoTrees
from gaaf_gp.trees.compile import Activation
from gaaf_gp.trees.grid import visited
from gaaf_gp.trees.individual import Individual
from gaaf_gp.util.checks import choice

Size = Callable[[Evolved], float]


def nodes(individual: Evolved) -> float:
    """Return the number of nodes, of both trees where there are two."""
    return float(len(individual))


def height(individual: Evolved) -> float:
    """Return the height in edges, that of the higher tree where there are two."""
    return float(individual.height)


def cost(individual: Evolved) -> float:
    """Return the sum of the costs of all operators, in units of one addition per element."""
    return float(individual.cost)


def thresholds(individual: Evolved) -> float:
    """Return how often sign(f) changes between neighbouring bfloat16 values from -64 to 64.

    It is what a packed network has to compare an input with. Learnable vectors are at their initial values; of two
    trees the forward one counts, whose sign it is. About a millisecond; remembered as long as the tree stays as it is.
    """
    tree = individual.forward if isinstance(individual, TwoTrees) else individual
    text = str(tree)
    known: tuple[str, float] | None = tree.__dict__.get("_thresholds")
    if known is None or known[0] != text:
        known = text, _sign_changes(tree)
        tree.__dict__["_thresholds"] = known
    return known[1]


@torch.no_grad()
def _sign_changes(tree: Individual) -> float:
    signs = Activation(tree, 1)(_in_order()).flatten() >= 0
    return float((signs[1:] != signs[:-1]).sum()) if signs.numel() > 1 else 0.0


@functools.cache
def _in_order() -> Tensor:
    ordered: Tensor = visited().flatten().unique().unsqueeze(1)
    return ordered


SIZES: dict[str, Size] = {"nodes": nodes, "height": height, "cost": cost, "thresholds": thresholds}
"""Measures by name."""


def size_measure(name: str) -> Size:
    """Return the measure that is called ``name``.

    Raises:
        GaafError: there is none.
    """
    return SIZES[choice("the measure of size", name, SIZES)]
