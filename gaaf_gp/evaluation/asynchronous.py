"""Candidates one after another: the next one begins whenever a worker is free, and none waits for the slowest.

This is how a steady-state search is evaluated. Results are taken in the order in which the candidates came, so that a
search does not depend on which worker was quicker; or as they arrive, which never waits and cannot be repeated.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gaaf_gp.evaluation.records import Evaluated, OnRecord, Record
from gaaf_gp.evaluation.trainer import Job, lost
from gaaf_gp.parallel.transfer import WorkerLost
from gaaf_gp.training.outcome import Outcome
from gaaf_gp.trees.candidate import Candidate


class JobFlow(Protocol):
    """What takes trainings one by one: a :class:`gaaf_gp.parallel.executors.Flow`, or one that asks an archive."""

    def put(self, index: int, arguments: tuple[Job], /) -> None:
        """Hand a training in."""

    def get(self) -> list[tuple[int, Outcome | WorkerLost]]:
        """Wait until one has finished, and return those that have."""

    def drop(self) -> None:
        """Give up those that have not begun."""


@dataclass
class _Entry:
    """A candidate on its way: the trainings that it waits for, or the candidate whose record it will share."""

    text: str
    jobs: Sequence[Job] = ()
    after: str | None = None
    more: bool = False
    outcomes: dict[int, Outcome] = field(default_factory=dict)


class Pipeline:
    """What is on its way through the workers, and when it is taken.

    Args:
        flow: runs the trainings.
        records: those of the evaluator; who shares a record waits for it to be here.
        in_order: whether entries are taken in the order in which they were put.
    """

    def __init__(self, flow: JobFlow, records: Mapping[str, Record], in_order: bool) -> None:
        self._flow = flow
        self._records = records
        self._in_order = in_order
        self._entries: list[_Entry] = []
        self._jobs: dict[int, tuple[_Entry, Job]] = {}
        self._numbers = itertools.count()

    def put(self, text: str, jobs: Sequence[Job] = (), after: str | None = None, more: bool = False) -> None:
        """Put a candidate in; ``more`` says that it has a record already, to which these trainings are added."""
        entry = _Entry(text, jobs, after, more)
        self._entries.append(entry)
        for job in jobs:
            number = next(self._numbers)
            self._jobs[number] = entry, job
            self._flow.put(number, (job,))

    @property
    def candidates(self) -> int:
        """Number of those that have no record yet."""
        return sum(not entry.more for entry in self._entries)

    @property
    def texts(self) -> set[str]:
        """Who is on the way."""
        return {entry.text for entry in self._entries}

    def take(self) -> _Entry | None:
        """Wait for the next one whose trainings have finished, and return it; None if there is none."""
        while self._entries:
            ready = self._entries[:1] if self._in_order else self._entries
            complete = next(filter(self._is_complete, ready), None)
            if complete is not None:
                self._entries.remove(complete)
                return complete
            for number, result in self._flow.get():
                entry, job = self._jobs.pop(number)
                entry.outcomes[job.seed] = lost(job.seed, result.reason) if isinstance(result, WorkerLost) else result
        return None

    def drop(self) -> list[_Entry]:
        """Give up, and return those whose trainings have finished all the same."""
        complete = [entry for entry in self._entries if entry.jobs and self._is_complete(entry)]
        self._flow.drop()
        self._entries.clear()
        self._jobs.clear()
        return complete

    def _is_complete(self, entry: _Entry) -> bool:
        return len(entry.outcomes) == len(entry.jobs) and (entry.after is None or entry.after in self._records)


def stream(
    known: Evaluated, line: Pipeline, candidates: Iterator[Candidate], ahead: int, on_record: OnRecord
) -> Iterator[Record]:
    """Yield a record for each candidate; see :meth:`gaaf_gp.Evaluator.stream`.

    Args:
        known: what the evaluator knows; it is filled and changed.
        line: empty.
        candidates: the next one is drawn whenever fewer than ``ahead`` are on their way.
        ahead: at least 1.
        on_record: called once for each new record.
    """
    try:
        while True:
            while line.candidates < ahead and (candidate := next(candidates, None)) is not None:
                _begin(known, line, candidate)
            entry = line.take()
            if entry is None:
                return
            outcomes = [entry.outcomes[job.seed] for job in entry.jobs]
            if entry.more:
                for outcome in outcomes:
                    known.add(entry.text, outcome)
            record = None if entry.more else _ended(known, entry, outcomes, on_record)
            for job in known.wanted() if known.extra else ():
                if job.text not in line.texts:
                    line.put(str(job.text), [job], more=True)
            if record is not None:
                yield known.records[record.text]
    finally:
        for entry in line.drop():
            if not entry.more:
                _ended(known, entry, [entry.outcomes[job.seed] for job in entry.jobs], on_record)
        known.forget_unfinished()


def _begin(known: Evaluated, line: Pipeline, candidate: Candidate) -> None:
    text, found = candidate.canonical, known.behaves(candidate)
    if text in known.records or found.failure is not None:
        line.put(text)
        return
    if text in line.texts:
        line.put(text, after=text)
        return
    first = known.first.setdefault(found.signature, text)
    if first == text:
        line.put(text, [Job(text, seed) for seed in known.seeds])
    else:
        line.put(text, after=first)


def _ended(known: Evaluated, entry: _Entry, outcomes: Sequence[Outcome], on_record: OnRecord) -> Record:
    text = entry.text
    if text in known.records:
        return known.records[text]
    if outcomes:
        return known.keep(known.record_of(text, outcomes), on_record)
    if entry.after is not None:
        return known.share(text, entry.after, on_record)
    return known.reject(text, known.failure(text), on_record)
