"""Keeps an :class:`~gaaf_gp.evolution.Evolution` up to date, whatever loop the search runs in."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence

from gaaf_gp.archive import Register
from gaaf_gp.candidates import Evolved
from gaaf_gp.evolution import Evolution, new_statistics, value
from gaaf_gp.fitness import Record
from gaaf_gp.judges import Judge

Values = Callable[[Evolved, float], tuple[float, ...]]
"""Returns DEAP's fitness values of an individual of this fitness, which a control of bloat may change."""


class Chronicle:
    """What was evaluated, in order, and what every individual is worth by now.

    Args:
        found: what is kept up to date.
        judge: whose records tell the fitness.
        values: see ``Values``.
        register: of the generations; None without an archive.
    """

    def __init__(self, found: Evolution, judge: Judge, values: Values, register: Register | None = None) -> None:
        self.found = found
        self._judge = judge
        self._values = values
        self._register = register
        self._trained: dict[str, Evolved] = {}
        self._known: dict[str, Record] = {}
        self._statistics = new_statistics()
        found.logbook.header = ["gen", "nevals", "evaluations", "best", "fitness", "size"]

    def enter(self, children: Sequence[Evolved]) -> None:
        """Take in children that were evaluated, some of them perhaps known, and give them their fitness."""
        records, found = self._judge.records, self.found
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
        records, found = self._judge.records, self.found
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
        records = self._judge.records
        return any(records[text] is not record for text, record in self._known.items())

    def _value(self, individual: Evolved) -> None:
        individual.fitness.values = self._values(individual, self._judge.records[individual.canonical].fitness)
