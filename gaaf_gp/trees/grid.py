"""The inputs on which functions are judged without training: all that layers read, and settings of what is learned."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from gaaf_gp.util.bfloat16 import bfloat16_inputs
from gaaf_gp.util.devices import plain_defaults

MOST = 64.0
"""The largest magnitude that a layer may see: batch norm puts most inputs within 4, and shortcuts add up."""
LEAST, TINY = 2.0**-20, 2.0**-40
"""The least magnitude that counts for a failure; the least that training meets, 1 of 10^12 normal inputs is smaller."""
VECTOR = 32
"""Values that torch computes at once, on any CPU."""
SPREAD = 3.0
"""How far learnable vectors are moved from their initial values, both ways."""


@functools.cache
@plain_defaults()
def visited() -> Tensor:
    """Return the inputs that must tell whether f is any good, (points, 1) float32: bfloat16 v, 2^-20 <= abs(v) <= 64.

    Zero is left out: -x^2 is positive nowhere else, and hardly a network meets exactly that input.
    """
    return _between(LEAST, MOST)


@functools.cache
@plain_defaults()
def compared() -> Tensor:
    """Return ``visited`` and after it what else training may meet: smaller values, and both zeros."""
    return torch.cat([visited(), _between(TINY, LEAST * (1 - 2**-8)), _between(0, 0)])


def _between(least: float, most: float) -> Tensor:
    """All bfloat16 values of these magnitudes; the last one is repeated to fill whole vectors.

    What is left over torch computes by other code, which may round differently than in the tables.
    """
    every = bfloat16_inputs()
    size = every.abs()
    points = every[(size >= least) & (size <= most)]
    return torch.cat([points, points[-1:].expand(-len(points) % VECTOR)]).unsqueeze(1)


@functools.cache
@plain_defaults()
def in_full() -> Tensor:
    """Return ``compared``, and ``visited`` twice with random low bits.

    bfloat16 lacks those: without them x^3 is exact.
    """
    points = visited()
    return torch.cat([compared(), *(points * (1 + _uniform(seed, len(points)) / 256) for seed in (1, 2))])


@functools.cache
@plain_defaults()
def vector_settings(place: int, initial: float) -> Tensor:
    """Return one learnable vector at all of ``in_full``, (points, 1) float32.

    As it starts at the points of ``compared``, another value at each of the others.

    Args:
        place: number of the vector; each has other values.
        initial: value at the start.
    """
    others = initial + SPREAD * (2 * _uniform(3 + place, 2 * len(visited())) - 1)
    return torch.cat([torch.full_like(compared(), initial), others])


def _uniform(seed: int, number: int) -> Tensor:
    return torch.rand(number, 1, generator=torch.Generator("cpu").manual_seed(seed), dtype=torch.float32, device="cpu")


@functools.cache
def place_of_one() -> int:
    """Return where 1 stands among ``visited``."""
    return int((visited() == 1).nonzero()[0, 0])
