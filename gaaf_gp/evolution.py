"""What a search leaves behind, whatever loop it ran in."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from deap import tools

from gaaf_gp.candidates import Evolved
from gaaf_gp.fitness import Record

SAME = "same behaviour"
"""The reason for which a candidate is rejected that would train as an earlier one."""
TOO_LARGE = "too large to be evaluated"
"""The reason for which a control of bloat throws a candidate away; it may come again."""


@dataclass
class Evolution:
    """What a run leaves behind.

    Attributes:
        population: the last generation: Individuals, or TwoTrees where a search breeds those.
        hall_of_fame: the best individuals ever seen, best first, distinct by canonical text; only those that were
            trained in full.
        logbook: DEAP's logbook, one row a generation, with chapters ``fitness`` and ``size``.
        records: every evaluation, in order.
        rejected: reason -> number of candidates rejected without training; "same behaviour" for those that would train
            as an earlier one.
        seconds: wall time.
        interrupted: whether Ctrl-C ended it early.
        exhausted: whether no new candidate could be found before the evaluations were spent.
        stopped: why it ended, for people; empty while it runs.
    """

    population: list[Any] = field(default_factory=list)
    hall_of_fame: tools.HallOfFame = field(default_factory=lambda: new_hall(10))
    logbook: tools.Logbook = field(default_factory=tools.Logbook)
    records: list[Record] = field(default_factory=list)
    rejected: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    interrupted: bool = False
    exhausted: bool = False
    stopped: str = ""

    @property
    def failures(self) -> Counter[str]:
        """Reason -> number of evaluated candidates that failed."""
        return Counter(record.failure for record in self.records if record.failure)

    @property
    def dropped(self) -> Counter[int]:
        """Epochs -> number of candidates that dropped out of their race after so many."""
        return Counter(record.outcomes[0].epochs for record in self.records if not record.complete)

    @property
    def duplicates(self) -> int:
        """Number of candidates that were not trained because an earlier one trains alike."""
        return self.rejected[SAME] + sum(record.same_as is not None for record in self.records)

    @property
    def best(self) -> Record | None:
        """The record of the first in the hall of fame."""
        first = self.hall_of_fame[0].canonical if len(self.hall_of_fame) else None
        return next((record for record in self.records if record.text == first), None)


def new_hall(size: int) -> tools.HallOfFame:
    """Return an empty hall of fame, whose individuals are told apart by their canonical texts."""
    return tools.HallOfFame(size, similar=_same)


def new_statistics() -> tools.MultiStatistics:
    """Return DEAP's statistics of fitness and size; a fitness that is not finite, that of a failure, is left out."""
    found = tools.MultiStatistics(
        fitness=tools.Statistics(lambda ind: ind.fitness.values[0]), size=tools.Statistics(len)
    )
    for name, function in (("avg", np.mean), ("std", np.std), ("min", np.min), ("max", np.max)):
        found.register(name, _of_finite, function)
    return found


def _of_finite(function: Callable[[Any], Any], values: Sequence[float]) -> float:
    finite = [one for one in values if math.isfinite(one)]
    return float(function(finite)) if finite else -math.inf


def value(individual: Evolved) -> float:
    """Return the first value of an individual's fitness."""
    return float(individual.fitness.values[0])


def _same(first: Evolved, second: Evolved) -> bool:
    return first.canonical == second.canonical
