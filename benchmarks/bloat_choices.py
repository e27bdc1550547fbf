"""What is compared: controls of bloat by name, alone and together, with their static limits; and gplearn's settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gaaf_gp.search.bloat import DEFAULT as TOOLBOX_DEFAULT
from gaaf_gp.search.bloat import (
    SEARCH_DEFAULT,
    Control,
    DoubleTournament,
    DynamicLimit,
    Harm,
    Lexicographic,
    LinearParsimony,
    Pareto,
    Tarpeian,
    Tournament,
)

UNLIMITED, BASELINE = "nothing", "limits only"
"""Without any control, with limits so wide that they hardly ever bind; and with the usual limits alone."""
USUAL, TOOLBOX = ({"none": BASELINE}.get(name, name.replace("_", " ")) for name in (SEARCH_DEFAULT, TOOLBOX_DEFAULT))
"""What ``evolve()`` and ``make_toolbox()`` have by default."""


@dataclass(frozen=True)
class Choice:
    """One way to keep trees small.

    Attributes:
        make: returns the controls; takes the size of tournaments.
        wide: whether limits are so wide that they hardly ever bind.
    """

    make: Callable[[int], list[Control]]
    wide: bool = False


CHOICES: dict[str, Choice] = {
    UNLIMITED: Choice(lambda size: [Tournament(size)], wide=True),
    BASELINE: Choice(lambda size: [Tournament(size)]),
    "double tournament": Choice(lambda size: [DoubleTournament(size)]),
    "double tournament 1.4": Choice(lambda size: [DoubleTournament(size, parsimony=1.4)]),
    "linear auto": Choice(lambda size: [LinearParsimony(size)]),
    "linear 0.001": Choice(lambda size: [LinearParsimony(size, coefficient=0.001)]),
    "lexicographic": Choice(lambda size: [Lexicographic(size)]),
    "lexicographic 0.01": Choice(lambda size: [Lexicographic(size, tolerance=0.01)]),
    "pareto": Choice(lambda _size: [Pareto()]),
    "tarpeian": Choice(lambda size: [Tournament(size), Tarpeian()]),
    "harm": Choice(lambda size: [Tournament(size), Harm()]),
    "dynamic": Choice(lambda size: [Tournament(size), DynamicLimit()]),
    "double tournament, tarpeian": Choice(lambda size: [DoubleTournament(size), Tarpeian()]),
}

EVOLVE = "evolve(): "
"""Begins the name of a choice in our own loop, where the regression is run in both."""

GPLEARN: dict[str, tuple[float | str, int]] = {
    f"gplearn {coefficient}, tournament {size}": (coefficient, size)
    for size in (20, 7)
    for coefficient in (0.001, "auto", 0.0)
}
"""``parsimony_coefficient`` and ``tournament_size``: gplearn's defaults are 0.001 and 20, ours in this task is 7."""
DEFAULT_GPLEARN = next(iter(GPLEARN))
SHOWN = tuple(dict.fromkeys((USUAL, TOOLBOX, BASELINE, EVOLVE + USUAL, EVOLVE + BASELINE)))
"""What is compared with gplearn."""
