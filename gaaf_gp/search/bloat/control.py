"""What a control of bloat may do: select smaller parents, refuse children unevaluated, or refuse them once judged."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from gaaf_gp.search.bloat.sizes import size_measure
from gaaf_gp.trees.candidate import Evolved
from gaaf_gp.trees.individual import Fitness


@dataclass
class Control:
    """One control; each hook does nothing unless a control has its own.

    What a control has learned of a run is kept in it, so a run works on a copy of those that it is given.

    Attributes:
        measure: in what size is measured: nodes, height, cost or thresholds (:mod:`gaaf_gp.search.bloat.sizes`).
        selects: whether it chooses the parents; one control at most may.

    Raises:
        GaafError: a setting is out of its range.
    """

    measure: str = field(default="nodes", kw_only=True)
    selects: ClassVar[bool] = False
    fitness: ClassVar[type[Fitness]] = Fitness

    def __post_init__(self) -> None:
        size_measure(self.measure)

    def size(self, individual: Evolved) -> float:
        """Return the size of an individual in this control's measure."""
        return size_measure(self.measure)(individual)

    def learn(self, population: Sequence[Evolved]) -> None:
        """Look at a population whose fitness is known, ahead of every selection."""

    def select(self, population: Sequence[Any], k: int, rng: random.Random) -> list[Any]:
        """Return ``k`` parents; one may be chosen several times."""
        raise NotImplementedError

    def survivors(self, population: Sequence[Any], k: int) -> list[Any]:
        """Return the ``k`` that live on, the best by default."""
        return sorted(population, key=value, reverse=True)[:k]

    def elite(self, elite: int, population_size: int) -> int:  # noqa: ARG002 (what others decide by)
        """Return how many live on where ``elite`` are asked for."""
        return elite

    def values(self, individual: Evolved, accuracy: float) -> tuple[float, ...]:  # noqa: ARG002
        """Return DEAP's fitness values of an individual of this accuracy."""
        return (accuracy,)

    def admits(self, child: Evolved, rng: random.Random) -> bool:  # noqa: ARG002
        """Return whether this child keeps to a limit; if not variation tries again, and nothing passes it."""
        return True

    def judges(self, child: Evolved, rng: random.Random) -> bool:  # noqa: ARG002
        """Return whether a new child is worth an evaluation; if not it counts as the worst."""
        return True

    def accepts(self, child: Evolved, accuracy: float) -> bool:  # noqa: ARG002
        """Return whether a child that was judged may enter the population; if not it counts as the worst."""
        return True


def value(individual: Any) -> float:
    """Return the fitness that is made as large as can be; -inf for one that is not finite."""
    return float(individual.fitness.wvalues[0])


def fittest(individuals: Sequence[Any], size: int, rng: random.Random, key: Any = value) -> Any:
    """Return the best of ``size`` individuals that are drawn with replacement."""
    return max([rng.choice(individuals) for _ in range(size)], key=key)
