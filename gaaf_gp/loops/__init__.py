"""The loops of a search: generations, islands of them, and steady state. ``evolve(loop=...)``.

| loop | how |
|---|---|
| ``Islands(1)``, "generations" | the children of a generation are evaluated side by side, then the next is bred |
| :class:`Islands` | several such populations, evaluated together, that send their best to each other |
| :class:`Steady` | a child is bred whenever a worker is free; no worker waits for the slowest candidate |
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from gaaf_gp.errors import GaafError, listed
from gaaf_gp.loops.islands import Islands
from gaaf_gp.loops.search import Loop, Search
from gaaf_gp.loops.steady import Steady

DIGITS = 6
"""Of a number behind the name of a loop."""

__all__ = ["LOOPS", "Islands", "Loop", "Search", "Steady", "as_loop"]

LOOPS: dict[str, Callable[..., Loop]] = {
    "generations": lambda: Islands(1),
    "islands": Islands,
    "steady": Steady,
    "aging": partial(Steady, aging=True),
    "arrival": partial(Steady, in_order=False),
}
"""Loops by name. But for "generations" they take a number: of islands, or of candidates on their way."""


def as_loop(loop: Loop | str) -> Loop:
    """Return a loop, by its name if need be: "islands:8" are eight of them, "steady:32" has 32 candidates on their way.

    Raises:
        GaafError: an unknown name, no number, or something else.
    """
    if not isinstance(loop, str) and callable(getattr(loop, "run", None)):
        return loop
    name, colon, number = loop.partition(":") if isinstance(loop, str) else ("", "", "")
    if name not in LOOPS or (colon and (name == "generations" or not number.isdecimal() or len(number) > DIGITS)):
        raise GaafError(
            f"loop must be Islands, Steady, or one of {listed(LOOPS)}, which take a number as in islands:8 but for "
            f"generations; got {loop!r}: choose one of them"
        )
    return LOOPS[name](int(number)) if colon else LOOPS[name]()
