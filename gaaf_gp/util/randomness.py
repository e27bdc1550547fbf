"""One random generator, handed in, for everything that is drawn; and where seeds start that no search uses.

DEAP's own operators and a user's ``random.uniform`` draw from Python's global generator. ``as_global`` lends them ours
for a moment, so that a run depends on its seed alone and never disturbs the caller's random numbers.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

CONFIRMATION = 1_000_000
"""Where the seeds of a confirmation start: far from those of a search."""
RETRAINING = 1_000_000_000
"""Where the seeds of a retraining start: far from those of a search and of a confirmation."""


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
