"""One random generator, handed in, for everything that is drawn.

DEAP's own operators and a user's ``random.uniform`` draw from Python's global generator. ``as_global`` lends them ours
for a moment, so that a run depends on its seed alone and never disturbs the caller's random numbers.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager


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
