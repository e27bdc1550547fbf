"""What can be said of f without training: where its sign changes, and whether the layer would carry information."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from gaaf_gp.compile import Activation
from gaaf_gp.errors import one_line
from gaaf_gp.individual import Individual

CONSTANT_SIGN = "constant sign"
NOT_A_NUMBER = "not a number"
OUT_OF_MEMORY = "out of memory"
NORMAL_POINTS = 10_001


@functools.cache
def _visited() -> Tensor:
    """The inputs that a layer may see, (points, 1): dense where batch norm puts them, wide where shortcuts add up.

    Zero itself is left out: -x^2 is positive nowhere else, and no network meets exactly that input.
    """
    return torch.cat([torch.linspace(-4, 4, 2000), torch.linspace(-64, 64, 1024)]).unsqueeze(1)


@functools.cache
def _normal() -> Tensor:
    """Equally likely points of N(0, 1), (points, 1): averages over them have no sampling noise."""
    probabilities = (torch.arange(NORMAL_POINTS, dtype=torch.float64) + 0.5) / NORMAL_POINTS
    quantiles: Tensor = torch.special.ndtri(probabilities)
    return quantiles.float().unsqueeze(1)


@torch.no_grad()
def positive_share(individual: Individual) -> float:
    """Return the share of inputs x ~ N(0, 1) for which sign(f(x)) is +1, learnable operators at their initial values.

    0 or 1 means that the binarized activation is constant there and carries no information.
    """
    values = Activation(individual, 1)(_normal())
    return float((values >= 0).double().mean())


@torch.no_grad()
def screen(individual: Individual) -> str | None:
    """Return why training this candidate would be wasted, or None.

    Only what training cannot repair is rejected: a function that raises, a value that is not a number somewhere in
    [-64, 64], or a sign that is the same for all inputs there. A tree with learnable operators may revive, so its sign
    is not judged.
    """
    try:
        activation = Activation(individual, 1)
        values = activation(_visited())
    except Exception as error:  # primitives are anybody's code, and one bad candidate must not end a run
        return failure_reason(error)
    if bool(torch.isnan(values).any()):
        return NOT_A_NUMBER
    signs = values >= 0
    if not any(True for _ in activation.parameters()) and bool((signs == signs[0]).all()):
        return CONSTANT_SIGN
    return None


def failure_reason(error: BaseException) -> str:
    """Return in one line why a candidate failed; memory that ran out, on any device, has one name."""
    words = str(error).lower()
    memory = (
        isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in words or "of memory" in words
    )
    return OUT_OF_MEMORY if memory else one_line(error)
