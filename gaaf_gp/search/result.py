"""What a search found, whatever loop it ran in."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from deap import tools

from gaaf_gp.evaluation.records import Record
from gaaf_gp.statistics import Luck, expected_luck
from gaaf_gp.trees.candidate import Evolved
from gaaf_gp.util.text import shortened

SAME = "same behaviour"
"""The reason for which a candidate is rejected that would train as an earlier one."""
TOO_LARGE = "too large to be evaluated"
"""The reason for which a control of bloat throws a candidate away; it may come again."""


BEST = 5
"""Functions in a summary."""
SHOWN = 100
"""Characters of a function in a summary."""

Values = Callable[[Evolved, float], tuple[float, ...]]
"""Returns DEAP's fitness values of an individual of this fitness, which a control of bloat may change."""


def plain(_individual: Evolved, fitness: float) -> tuple[float, ...]:
    """Return the fitness as it is, the usual ``Values``."""
    return (fitness,)


def new_logbook() -> tools.Logbook:
    """Return an empty logbook with its columns."""
    logbook = tools.Logbook()
    logbook.header = ["gen", "nevals", "evaluations", "best", "fitness", "size"]
    return logbook


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
    logbook: tools.Logbook = field(default_factory=new_logbook)
    records: list[Record] = field(default_factory=list)
    rejected: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    interrupted: bool = False
    exhausted: bool = False
    stopped: str = ""
    _individuals: dict[str, Evolved] = field(default_factory=dict, repr=False, compare=False)
    _known: dict[str, Record] = field(default_factory=dict, repr=False, compare=False)

    def __str__(self) -> str:
        """Return a summary of ten lines at most: the best five, and what was spent."""
        ended = "interrupted" if self.interrupted else self.stopped or "not ended"
        lines = [f"{len(self.records)} candidates evaluated in {self.seconds:.1f} s ({ended})"]
        lines.append(
            f"{sum(self.failures.values())} failed, {sum(self.rejected.values())} rejected without training, "
            f"{self.duplicates} behave as another"
        )
        lines += ["", "fitness  function"] if len(self.hall_of_fame) else []
        lines += [f"{value(one):<8.4g} {shortened(one.canonical, SHOWN)}" for one in self.hall_of_fame[:BEST]]
        return "\n".join(lines)

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

    @property
    def front(self) -> list[Evolved]:
        """The individuals, judged to the end and without a failure, that no other one dominates; best first.

        With one objective that is the best, or several that are equal.
        """
        sound = [one for one in self.complete if math.isfinite(value(one))]
        fronts = tools.sortNondominated(sound, len(sound), first_front_only=True) if sound else [[]]
        return sorted(fronts[0], key=value, reverse=True)

    @property
    def complete(self) -> list[Evolved]:
        """The individuals that were judged to the end, in the order of the records."""
        return [individual for text, individual in self._individuals.items() if self._known[text].complete]

    def enter(self, children: Sequence[Evolved], records: Mapping[str, Record], values: Values = plain) -> None:
        """Take in children that were evaluated, some of them perhaps before, and give them their fitness.

        Args:
            children: individuals.
            records: of the fitness function, which may have changed those of earlier children.
            values: see ``Values``.
        """
        new: dict[str, Evolved] = {}
        for child in children:
            text = child.canonical
            child.fitness.values = values(child, records[text].fitness)
            if text not in self._known:  # two islands may have one child
                new.setdefault(text, child)
        self._individuals |= new
        self._known |= {text: records[text] for text in new}
        self.records += [records[text] for text in new]
        if any(records[text] is not record for text, record in self._known.items()):
            self.refresh(records, values)
        else:
            self.hall_of_fame.update([child for text, child in new.items() if records[text].complete])

    def refresh(self, records: Mapping[str, Record], values: Values = plain) -> None:
        """Bring everything up to date: seeds that were added may have changed what earlier candidates are worth."""
        self._known = {text: records[text] for text in self._individuals}
        self.records = list(self._known.values())
        for text, individual in self._individuals.items():  # thousands, and making their texts anew would take longest
            individual.fitness.values = values(individual, records[text].fitness)
        for individual in self.population:
            individual.fitness.values = values(individual, records[individual.canonical].fitness)
        self.hall_of_fame.clear()
        self.hall_of_fame.update(heapq.nlargest(self.hall_of_fame.maxsize, self.complete, key=value))

    def log(self, evaluated: int, **columns: Any) -> None:
        """Write a row about the population.

        Args:
            evaluated: number of new children in it or tried for it.
            columns: further ones, or other values than the usual.
        """
        best = self.best
        row = {
            "gen": len(self.logbook),
            "nevals": evaluated,
            "evaluations": len(self.records),
            "best": 0.0 if best is None else best.fitness,
            **columns,
        }
        in_order = {name: row[name] for name in self.logbook.header if name in row}  # which files keep
        self.logbook.record(**in_order | row, **new_statistics().compile(self.population))

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
        trained = [
            record for record in self.records if record.complete and not record.failure and record.same_as is None
        ]
        rows = {record.text: record.by_seed for record in trained}
        winner = best.text if best.same_as is None else best.same_as
        return expected_luck({**rows, winner: best.by_seed}, winner=winner, deviation=deviation)


def new_hall(size: int) -> tools.HallOfFame:
    """Return an empty hall of fame, whose individuals differ in their canonical texts."""
    return tools.HallOfFame(size, similar=_same)


def new_statistics() -> tools.MultiStatistics:
    """Return DEAP's statistics of fitness and size; a fitness that is not finite, that of a failure, is left out."""
    multi = tools.MultiStatistics(
        fitness=tools.Statistics(lambda ind: ind.fitness.values[0]), size=tools.Statistics(len)
    )
    for name, function in (("avg", np.mean), ("std", np.std), ("min", np.min), ("max", np.max)):
        multi.register(name, _of_finite, function)
    return multi


def _of_finite(function: Callable[[Any], Any], values: Sequence[float]) -> float:
    finite = [number for number in values if math.isfinite(number)]
    return float(function(finite)) if finite else -math.inf


def value(individual: Evolved) -> float:
    """Return the first value of an individual's fitness."""
    return float(individual.fitness.values[0])


def _same(first: Evolved, second: Evolved) -> bool:
    return first.canonical == second.canonical
