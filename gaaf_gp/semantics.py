"""What can be said of f without training: where its sign changes, and whether the layer would carry information."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from gaaf_gp.behaviour import CONSTANT_SIGN, NOT_A_NUMBER, OUT_OF_MEMORY, behaviour, failure_reason
from gaaf_gp.candidates import Candidate
from gaaf_gp.compile import Activation
from gaaf_gp.individual import Individual

__all__ = ["CONSTANT_SIGN", "NOT_A_NUMBER", "OUT_OF_MEMORY", "failure_reason", "positive_share", "screen"]

NORMAL_POINTS = 10_001


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


def screen(individual: Candidate) -> str | None:
    """Return why training this candidate would be wasted, or None; see :func:`gaaf_gp.behaviour.behaviour`."""
    return behaviour(individual).failure
