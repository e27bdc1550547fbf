"""Several controls as one, and operators that keep to them."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from gaaf_gp.errors import GaafError, listed
from gaaf_gp.search.bloat.control import Control
from gaaf_gp.search.bloat.refusing import DynamicLimit, Harm, Tarpeian, Within
from gaaf_gp.search.bloat.selecting import DoubleTournament, Lexicographic, LinearParsimony, Pareto, Tournament
from gaaf_gp.trees.candidate import Evolved, TwoTrees
from gaaf_gp.trees.generation import DEFAULT_LIMITS, Limits
from gaaf_gp.trees.operators import mut_shrink
from gaaf_gp.util.checks import choice

CONTROLS: dict[str, Callable[[], Control]] = {
    "none": Tournament,
    "double_tournament": DoubleTournament,
    "linear": LinearParsimony,
    "lexicographic": Lexicographic,
    "pareto": Pareto,
    "tarpeian": Tarpeian,
    "harm": Harm,
    "dynamic": DynamicLimit,
}
"""Controls by name, with their default settings."""
DEFAULT = "double_tournament"
"""What a toolbox has if nothing is chosen: DEAP's loops evaluate every child, so none is thrown away."""
SEARCH_DEFAULT = "tarpeian"
"""What ``evolve()`` has if nothing is chosen: the winner of ``benchmarks/bloat.py``, see docs/bloat.md."""
ATTEMPTS = 8
"""Times that variation tries to make children within the limits, before the parents go on instead."""
REPAIRS = 40
"""Times that a tree beyond a limit is shrunk; new ones are drawn as often squared."""

BloatLike = Control | Limits | str | Sequence[Control | Limits | str] | None


class Bloat:
    """The controls of one run, with what they have learned of it.

    Attributes:
        controls: in the order given; at most one of them selects.
        limits: the static limits that trees are built to fit.
        selector: the one that selects.

    Args:
        chosen: a control, :class:`~gaaf_gp.trees.generation.Limits`, a name in ``CONTROLS`` or several with commas, or
            a sequence of these; None for the default.
        limits: static limits, where ``chosen`` has none.
        constraints: further controls that are kept like limits (:mod:`gaaf_gp.search.constraints`).

    Raises:
        GaafError: an unknown name, something else, or two controls that both select.
    """

    def __init__(
        self, chosen: BloatLike = None, limits: Limits = DEFAULT_LIMITS, constraints: Sequence[Control] = ()
    ) -> None:
        parts = [*_parts(DEFAULT if chosen is None else chosen), *constraints]
        given = [part for part in parts if isinstance(part, Limits)]
        self.limits = given[-1] if given else limits
        self.controls = [copy.deepcopy(part) for part in parts if isinstance(part, Control)]
        selectors = [control for control in self.controls if control.selects]
        if len(selectors) > 1:
            names = listed(type(selector).__name__ for selector in selectors)
            raise GaafError(f"one control at most may choose the parents, got {names}: leave all but one out")
        self.selector: Control = selectors[0] if selectors else Tournament()
        limiting = [control for control in self.controls if type(control).admits is not Control.admits]
        self._limiting = [Within(limits=self.limits), *limiting]

    def select(self, population: Sequence[Any], k: int, rng: random.Random) -> list[Any]:
        """Return ``k`` parents of a population whose fitness is known."""
        for control in self.controls:
            control.learn(population)
        return self.selector.select(population, k, rng)

    def survivors(self, population: Sequence[Any], k: int) -> list[Any]:
        """Return the ``k`` that live on of a population whose fitness is known."""
        for control in self.controls:
            control.learn(population)
        return self.selector.survivors(population, k)

    def admits(self, child: Evolved, rng: random.Random) -> bool:
        """Return whether a tree keeps to all limits."""
        return all(control.admits(child, rng) for control in self._limiting)

    def judges(self, child: Evolved, rng: random.Random) -> bool:
        """Return whether a new child is worth an evaluation."""
        return all(control.judges(child, rng) for control in self.controls)

    def accepts(self, child: Evolved, accuracy: float) -> bool:
        """Return whether a child of this accuracy may enter the population."""
        verdicts = [control.accepts(child, accuracy) for control in self.controls]  # each learns from every child
        return all(verdicts)

    def made(self, fresh: Callable[[], Evolved], rng: random.Random) -> Evolved:
        """Return a new individual within all limits; ``fresh`` draws one."""
        made: Evolved = self._repaired(fresh(), fresh, rng)
        return made

    def varied(
        self, operate: Callable[..., tuple[Any, ...]], fresh: Callable[[], Evolved], rng: random.Random
    ) -> Callable[..., tuple[Any, ...]]:
        """Return an operator that keeps to the controls.

        Children beyond a limit are made anew, a few times; then the parents go on in their places. A parent beyond it,
        such as one from elsewhere, is shrunk. No two children are one object.

        Args:
            operate: mates two individuals or mutates one, in place, as DEAP's operators do; returns a tuple.
            fresh: draws a new individual.
            rng: of all choices.
        """

        def apply(*parents: Evolved) -> tuple[Any, ...]:
            own = _distinct(parents)
            if len(self._limiting) == 1:  # which operators keep by themselves
                return tuple(self._repaired(child, fresh, rng) for child in operate(*own))
            for _ in range(ATTEMPTS):
                children = operate(*map(copy.deepcopy, own))
                if all(self.admits(child, rng) for child in children):
                    return children
            return tuple(self._repaired(parent, fresh, rng) for parent in own)

        return apply

    def _repaired(self, child: Any, fresh: Callable[[], Evolved], rng: random.Random) -> Any:
        for _ in range(REPAIRS):
            if self.admits(child, rng):
                return child
            for tree in (child.forward, child.backward) if isinstance(child, TwoTrees) else (child,):
                mut_shrink(tree, rng=rng)
        for _ in range(REPAIRS * REPAIRS):
            child = fresh()
            if self.admits(child, rng):
                return child
        raise GaafError(
            f"limits and constraints must leave room for a tree, but of {REPAIRS * REPAIRS} random ones none kept to "
            f"them ({listed(map(repr, self._limiting))}): loosen them"
        )


def _distinct(parents: Sequence[Any]) -> list[Any]:
    """Return the parents, one that comes twice as two objects."""
    own: list[Any] = []
    for parent in parents:
        own.append(copy.deepcopy(parent) if any(parent is one for one in own) else parent)
    return own


def _parts(chosen: BloatLike) -> list[Control | Limits]:
    if isinstance(chosen, str):
        return [_named(name.strip()) for name in chosen.split(",") if name.strip()]
    if isinstance(chosen, Control | Limits):
        return [chosen]
    if isinstance(chosen, Sequence):
        return [part for one in chosen for part in _parts(one)]
    raise GaafError(
        f"bloat must be controls, Limits, or names of them, got {chosen!r}: give for example "
        'bloat=[DoubleTournament(), Tarpeian()], or "double_tournament,tarpeian"'
    )


def _named(name: str) -> Control:
    return CONTROLS[choice("a control of bloat", name, CONTROLS)]()


def measured_in(bloat: BloatLike, measure: str) -> list[Control | Limits]:
    """Return the controls of a search with their sizes in another measure, for choices that come as text."""
    parts = _parts(SEARCH_DEFAULT if bloat is None else bloat)
    return [replace(part, measure=measure) if isinstance(part, Control) else part for part in parts]
