"""What a search looks for beside the fitness that it is given: sizes, and functions of an individual."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gaaf_gp.errors import GaafError, listed
from gaaf_gp.search.bloat.sizes import SIZES
from gaaf_gp.trees.candidate import Evolved
from gaaf_gp.trees.individual import Fitness, ParetoFitness
from gaaf_gp.util.checks import number

FIRST = "accuracy"
"""The name of the fitness itself, which always comes first."""
SMALL = "size"
"""Another name of nodes."""


@dataclass(frozen=True)
class Objective:
    """A further objective of your own.

    Attributes:
        measure: returns the value of an individual; one that is not finite makes the individual the worst of all.
        weight: as in DEAP: above 0 to maximise it, below 0 to minimise it.

    Raises:
        GaafError: ``measure`` is no function, or the weight is 0 or not finite.
    """

    measure: Callable[[Evolved], float]
    weight: float = -1.0

    def __post_init__(self) -> None:
        if not callable(self.measure):
            raise GaafError(
                f"an objective must be a function of an individual, got {self.measure!r}: give one, or one of the "
                f"names {listed([SMALL, *SIZES])}"
            )
        if not number("weight of an objective", self.weight, finite=True):
            raise GaafError("weight of an objective must be above 0 to maximise it, or below 0 to minimise it, got 0")


ObjectiveLike = Objective | str | Callable[[Evolved], float]


def as_objectives(objectives: Sequence[ObjectiveLike]) -> tuple[Objective, ...]:
    """Return the objectives that come after the first, which must be "accuracy".

    Args:
        objectives: "accuracy", then names of sizes, functions (both are minimised) or :class:`Objective`.

    Raises:
        GaafError: "accuracy" does not come first, or a name is unknown.
    """
    given = [objectives] if isinstance(objectives, str) else list(objectives)
    if not given or given[0] != FIRST:
        raise GaafError(
            f"objectives must begin with {FIRST!r}, which is what the fitness function returns, got {given}: put it "
            "first"
        )
    return tuple(_objective(one) for one in given[1:])


def _objective(one: ObjectiveLike) -> Objective:
    if isinstance(one, Objective):
        return one
    if not isinstance(one, str):
        return Objective(one)
    measure = SIZES["nodes"] if one == SMALL else SIZES.get(one)
    if measure is None:
        raise GaafError(
            f"objectives beside {FIRST!r} must be functions of an individual or one of {listed([SMALL, *SIZES])}; got "
            f"{one!r}: name one of them or give a function"
        )
    return Objective(measure)


class _Weighted(Fitness):
    """Fitness of some weights; a pickle names the weights, because the class is made while a program runs."""

    def __reduce__(self) -> tuple[object, ...]:
        return _restored, (tuple(self.weights), dict(vars(self)))


def _restored(weights: tuple[float, ...], state: dict[str, object]) -> Fitness:
    made = fitness_of(weights)()
    made.__dict__.update(state)
    return made


@functools.cache
def fitness_of(weights: tuple[float, ...]) -> type[Fitness]:
    """Return the class of fitness with these weights, always the same one; its objects can be pickled."""
    for usual in (Fitness, ParetoFitness):
        if tuple(usual.weights) == weights:
            return usual
    return type("WeightedFitness", (_Weighted,), {"weights": weights, "__module__": __name__})
