"""What a search has tried, what it paid for and what it found: the bookkeeping of :mod:`gaaf_gp.genetic`."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Sequence
from types import TracebackType

from deap import tools

from gaaf_gp.evolution import SAME, Evolution, new_statistics
from gaaf_gp.fitness import Record
from gaaf_gp.individual import Individual
from gaaf_gp.judges import Judge, recalled
from gaaf_gp.progress import Progress
from gaaf_gp.repairs import Repairs


class Ledger:
    """Asks a judge, counts what that costs, and keeps an :class:`~gaaf_gp.evolve.Evolution` up to date.

    It is a context manager: Ctrl-C inside ends the block quietly, and ``found.interrupted`` says so.

    Args:
        judge: gives records and behaviours.
        budget: most evaluations that are asked for; None for no limit.
        repairs: which candidates count as new: ``remember_all``, ``screen`` and ``skip_same_behaviour`` of it.
        hall_of_fame: number of best individuals to remember.
        shown: the progress.
        on_evaluation: called with every new record as it arrives.

    Attributes:
        found: what was found until now.
        asked: evaluations until now, also those that were answered from memory.
    """

    def __init__(
        self,
        judge: Judge,
        budget: int | None,
        repairs: Repairs,
        hall_of_fame: int,
        shown: Progress,
        on_evaluation: Callable[[Record], None] | None = None,
    ) -> None:
        self.judge = judge
        self.budget = budget
        self.repairs = repairs
        self.found = Evolution(hall_of_fame=tools.HallOfFame(hall_of_fame, similar=_same))
        self.found.logbook.header = ["gen", "mode", "nevals", "taken", "evaluations", "best", "fitness", "size"]
        self.asked = 0
        self._shown = shown
        self._on_evaluation = on_evaluation
        self._given: set[str] = set()
        self._signatures: set[str] = set()
        self._evaluated: dict[str, Individual] = {}
        self._statistics = new_statistics()
        self._started = time.perf_counter()

    @property
    def goes_on(self) -> bool:
        """Whether something may still be asked."""
        return not self.found.exhausted and self.room(1) > 0

    def room(self, wanted: int) -> int:
        """Return how many of ``wanted`` evaluations the budget allows."""
        return wanted if self.budget is None else max(0, min(wanted, self.budget - self.asked))

    def is_new(self, child: Individual, present: Sequence[Individual]) -> bool:
        """Whether a candidate is to be evaluated; what is rejected without that is counted in ``found.rejected``.

        Args:
            child: the candidate.
            present: where its genotype, exactly as it stands, must not be yet.
        """
        if self.repairs.remember_all:
            if child.canonical in self._given:
                return False
            self._given.add(child.canonical)
        if child in present:
            return False
        reason = self._rejection(child)
        if reason is not None:
            self.found.rejected[reason] += 1
        return reason is None

    def _rejection(self, child: Individual) -> str | None:
        if not (self.repairs.screen or self.repairs.skip_same_behaviour):
            return None
        behaviour = self.judge.behaviour(child)
        if self.repairs.screen and behaviour.failure is not None:
            return behaviour.failure
        if self.repairs.skip_same_behaviour:
            if behaviour.signature in self._signatures:
                return SAME
            self._signatures.add(behaviour.signature)
        return None

    def ask(self, children: Sequence[Individual]) -> None:
        """Evaluate candidates, which get their fitness; what is done before an interruption is kept."""
        new: set[str] = set()

        def arrived(record: Record) -> None:
            new.add(record.text)
            self._shown.advance(record, known=recalled(self.judge, record))
            if self._on_evaluation is not None:
                self._on_evaluation(record)

        try:
            self.judge.evaluate(children, arrived)
        finally:
            records = self.judge.records
            done = [child for child in children if child.canonical in records]
            self.asked += len(done)
            for child in done:
                self._evaluated.setdefault(child.canonical, child)
            self._revalue([*self.found.population, *done])
        for child in children:
            if child.canonical not in new:
                self._shown.advance(records[child.canonical], known=True)

    def _revalue(self, individuals: Sequence[Individual]) -> None:
        """Bring fitness up to date: seeds that were added may have changed what earlier candidates are worth."""
        for individual in individuals:
            individual.fitness.values = (self.judge.records[individual.canonical].fitness,)

    def log(self, mode: str, nevals: int, taken: int) -> None:
        """Add a row to the logbook; the population is that of ``found``.

        Args:
            mode: how the candidates were made.
            nevals: how many were asked for.
            taken: how many of them are in the population now.
        """
        self.update()
        best = self.found.best
        self.found.logbook.record(
            gen=len(self.found.logbook),
            mode=mode,
            nevals=nevals,
            taken=taken,
            evaluations=self.asked,
            best=0.0 if best is None else best.fitness,
            **(self._statistics.compile(self.found.population) if self.found.population else {}),
        )

    def update(self) -> None:
        """Bring records, hall of fame and seconds of ``found`` up to date."""
        found, records = self.found, self.judge.records
        for text, individual in self._evaluated.items():  # thousands, and making their texts anew would take longest
            individual.fitness.values = (records[text].fitness,)
        self._revalue(found.population)
        found.records = [records[text] for text in self._evaluated]
        complete = [individual for text, individual in self._evaluated.items() if records[text].complete]
        found.hall_of_fame.clear()
        found.hall_of_fame.update(heapq.nlargest(found.hall_of_fame.maxsize, complete, key=_value))
        found.seconds = time.perf_counter() - self._started

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self.found.interrupted = isinstance(error, KeyboardInterrupt)
        self.update()
        return self.found.interrupted


def _value(individual: Individual) -> float:
    return float(individual.fitness.values[0])


def _same(first: Individual, second: Individual) -> bool:
    return first.canonical == second.canonical
