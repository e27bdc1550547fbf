"""One random generator, handed in, for everything that is drawn; and where seeds start that no search uses.

DEAP's own operators and a user's ``random.uniform`` draw from Python's global generator. ``as_global`` lends them ours
for a moment, so that a run depends on its seed alone and never disturbs the caller's random numbers.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

CONFIRMATION = 1_000_000
"""Where the seeds of a confirmation start: far from those of a search."""
RETRAINING = 1_000_000_000
"""Where the seeds of a retraining start: far from those of a search and of a confirmation."""

UNUSUAL = 909_577_213
"""A seed that nobody else gives, so that seeding is seen."""


def seeds_from(start: int, seed: int, number: int) -> tuple[int, ...]:
    """Return ``number`` seeds that no search uses.

    Args:
        start: ``CONFIRMATION`` or ``RETRAINING``.
        seed: of the run, 0 or more; another one gives other seeds.
        number: of seeds.
    """
    return tuple(start * (seed + 1) + place for place in range(number))


@contextmanager
def as_global(rng: random.Random) -> Iterator[None]:
    """Let ``random``'s global functions draw from ``rng`` inside the block, and restore the global state after it."""
    if rng is getattr(random, "_inst", None):
        yield
        return
    outside = random.getstate()
    random.setstate(rng.getstate())
    try:
        yield
    finally:
        rng.setstate(random.getstate())
        random.setstate(outside)


@contextmanager
def undisturbed() -> Iterator[Callable[[], list[str]]]:
    """Lend the block global generators of Python, numpy and torch that start anew, and restore them after it.

    It gives a function that tells which of them were drawn from, or seeded, since the block began.
    """
    outside = _generators()
    random.seed(UNUSUAL)
    np.random.seed(UNUSUAL)
    torch.default_generator.manual_seed(UNUSUAL)
    before = _generators()

    def used() -> list[str]:
        now = _generators()
        return [name for name, state in before.items() if not _equal(state, now[name])]

    try:
        yield used
    finally:
        random.setstate(outside["random"])
        np.random.set_state(outside["numpy"])
        torch.default_generator.set_state(outside["torch"])


def _generators() -> dict[str, Any]:
    return {"random": random.getstate(), "numpy": np.random.get_state(), "torch": torch.default_generator.get_state()}


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    return all(np.array_equal(old, now) for old, now in zip(one, other, strict=True))
