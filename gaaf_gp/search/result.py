"""What a search found, whatever loop it ran in."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from deap import tools

from gaaf_gp.archive import Register
from gaaf_gp.evaluation.fitness_function import FitnessFunction
from gaaf_gp.evaluation.records import Record
from gaaf_gp.statistics import Luck, expected_luck
from gaaf_gp.trees.candidate import Evolved

SAME = "same behaviour"
"""The reason for which a candidate is rejected that would train as an earlier one."""
TOO_LARGE = "too large to be evaluated"
"""The reason for which a control of bloat throws a candidate away; it may come again."""


@dataclass
class SearchResult:
    """What a search found, kept up to date while it runs.

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

    def luck(self, deviation: float | None = None) -> Luck | None:
        """Return how much of the lead of the best is luck to expect, in the unit of the fitness (accuracy: 0 to 1).

        Args:
            deviation: standard deviation of one training's accuracy about its candidate's mean, over seeds, if it is
                known from elsewhere; by default it is estimated from the candidates that have several seeds.

        Returns:
            The estimate; None without a best that was trained, or if nothing is known of the noise, as in a search
            with one seed.

        Raises:
            GaafError: ``deviation`` is below 0 or not finite.
        """
        best = self.best
        if best is None or best.failure or not best.outcomes:
            return None
        trained = [one for one in self.records if one.complete and not one.failure and one.same_as is None]
        rows = {record.text: record.by_seed for record in trained}
        winner = best.text if best.same_as is None else best.same_as
        return expected_luck({**rows, winner: best.by_seed}, winner=winner, deviation=deviation)


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


Values = Callable[[Evolved, float], tuple[float, ...]]
"""Returns DEAP's fitness values of an individual of this fitness, which a control of bloat may change."""


class Chronicle:
    """What was evaluated, in order, and what every individual is worth by now.

    Args:
        found: what is kept up to date.
        fitness_function: whose records tell the fitness.
        values: see ``Values``.
        register: of the generations; None without an archive.
    """

    def __init__(
        self, found: SearchResult, fitness_function: FitnessFunction, values: Values, register: Register | None = None
    ) -> None:
        self.found = found
        self._fitness = fitness_function
        self._values = values
        self._register = register
        self._trained: dict[str, Evolved] = {}
        self._known: dict[str, Record] = {}
        self._statistics = new_statistics()
        found.logbook.header = ["gen", "nevals", "evaluations", "best", "fitness", "size"]

    def enter(self, children: Sequence[Evolved]) -> None:
        """Take in children that were evaluated, some of them perhaps known, and give them their fitness."""
        records, found = self._fitness.records, self.found
        new = [child for child in children if child.canonical not in self._known]
        for child in children:
            self._value(child)
        for child in new:
            text = child.canonical
            if text in self._known:  # two islands had one child
                continue
            self._trained[text], self._known[text] = child, records[text]
            found.records.append(records[text])
        if self._changed():
            self.refresh()
        else:
            found.hall_of_fame.update([child for child in new if records[child.canonical].complete])

    def refresh(self) -> None:
        """Bring everything up to date: seeds that were added may have changed what earlier candidates are worth."""
        records, found = self._fitness.records, self.found
        self._known = {text: records[text] for text in self._trained}
        found.records = list(self._known.values())
        for individual in (*self._trained.values(), *found.population):
            self._value(individual)
        complete = [individual for text, individual in self._trained.items() if records[text].complete]
        found.hall_of_fame.clear()
        found.hall_of_fame.update(heapq.nlargest(found.hall_of_fame.maxsize, complete, key=value))

    def log(self, evaluated: int) -> None:
        """Write a row about the population; ``evaluated`` is the number of new children in it or tried for it."""
        found, best = self.found, self.found.best
        found.logbook.record(
            gen=len(found.logbook),
            nevals=evaluated,
            evaluations=len(found.records),
            best=0.0 if best is None else best.fitness,
            **self._statistics.compile(found.population),
        )
        if self._register is not None:
            population = [one.canonical for one in found.population]
            self._register.generation(len(found.logbook) - 1, len(found.records), population)

    def _changed(self) -> bool:
        records = self._fitness.records
        return any(records[text] is not record for text, record in self._known.items())

    def _value(self, individual: Evolved) -> None:
        individual.fitness.values = self._values(individual, self._fitness.records[individual.canonical].fitness)
