"""The archive: one file that many runs write their evaluations to, look them up in, and are reported from."""

from __future__ import annotations

import math
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any

from gaaf_gp.archive import merging, rows, runs
from gaaf_gp.archive.connection import open_file, transaction, translated
from gaaf_gp.archive.evaluation import VALIDATION, Evaluation
from gaaf_gp.archive.merging import Merged
from gaaf_gp.archive.rows import Kept
from gaaf_gp.archive.runs import FAILED, FINISHED, INTERRUPTED, EntryRow, Run, RunEntry
from gaaf_gp.errors import GaafError
from gaaf_gp.training.outcome import WORST_ACCURACY

MOST_WAITING = 256
"""Entries of runs that wait for the next evaluation to be written with."""


class Sort(StrEnum):
    """What comes first in a list."""

    BEST = "best"
    NEW = "new"
    SLOW = "slow"
    TEXT = "text"


@dataclass(frozen=True)
class Summary:
    """What is known of one candidate in one task: its longest trainings on the validation split.

    Attributes:
        text: canonical text.
        formula: as a person writes it.
        task: hash of the settings.
        accuracy: mean over the seeds, 0 to 1; the declared worst one if any failed.
        epochs: of these trainings.
        seeds: number of them.
        seconds: wall time of all of them.
        failure: the reason of one that failed, None if none did.
    """

    text: str
    formula: str
    task: str
    accuracy: float
    epochs: int
    seeds: int
    seconds: float
    failure: str | None


class Archive:
    """The evaluations of one file of SQLite; a context manager.

    Every :meth:`add` is on the disk when it returns: neither a killed process nor a power failure loses it. Several
    processes of one machine may write at a time. Machines that share a folder need a file each, and :meth:`merge`.

    Args:
        path: the file; it and its folder are made if they are missing, unless ``readonly``.
        readonly: no file is made, and none changed.
        verify: look through the whole file for damage first.

    Raises:
        GaafError: from here and from every method: the file is missing (``readonly``), none of this kind, damaged, of
            a newer version, locked for too long, or the disk refuses; what was added before is kept.
    """

    def __init__(self, path: Path | str, *, readonly: bool = False, verify: bool = True) -> None:
        self.path, self.readonly = Path(path), readonly
        self.db = open_file(self.path, write=not readonly, verify=verify)
        self._waiting: list[EntryRow] = []

    def register(self, settings: Mapping[str, Any]) -> str:
        """Keep the settings of a task, and return their hash; once is enough.

        Args:
            settings: all that an outcome depends on but the candidate and the seed, fit for JSON.
        """
        with self.transaction():
            return rows.insert_task(self.db, settings)

    def tasks(self) -> dict[str, dict[str, Any]]:
        """Return the settings of all tasks by their hash."""
        with translated(self.path):
            return dict(map(rows.read_settings, rows.task_rows(self.db)))

    def add(self, evaluation: Evaluation, run: str | None = None) -> Kept:
        """Write an evaluation down, unless there is one of its key; it is on the disk when this returns.

        Args:
            evaluation: of a registered task.
            run: the key of the run that asked for it.

        Returns:
            ``NEW``, ``KNOWN``, or ``DIFFERS`` if there is one with another result; the first one stays.
        """
        with self.transaction():
            kept, number = rows.insert_evaluation(self.db, evaluation.at(runs.now()))
            own = [] if run is None else [(self._run_id(run), evaluation.text, evaluation.epochs, number, None)]
            runs.insert_entries(self.db, [*self._waiting, *own])
        self._waiting.clear()
        return kept

    def add_all(self, evaluations: Iterable[Evaluation]) -> Counter[Kept]:
        """Write many evaluations down in one transaction, all of them or none, and count what became of them."""
        with self.transaction():
            return Counter(rows.insert_evaluation(self.db, evaluation.at(runs.now()))[0] for evaluation in evaluations)

    def note(
        self, run: str, text: str, epochs: int, evaluation: Evaluation | None = None, failure: str | None = None
    ) -> None:
        """Write down that a run met a candidate without training it; it may wait for the next :meth:`add`.

        Args:
            run: the key of the run.
            text: canonical text of the candidate.
            epochs: the epoch that it was asked for, 0 if it was rejected.
            evaluation: one that was found here and serves it.
            failure: why it was rejected, if there is none.
        """
        with translated(self.path):
            number = None if evaluation is None else rows.number_of(self.db, evaluation)
            if (number is None) == (failure is None):
                raise GaafError("an entry of a run must have an evaluation of this archive, or else a failure")
            self._waiting.append((self._run_id(run), text, epochs, number, failure))
        if len(self._waiting) >= MOST_WAITING:
            self.flush()

    def flush(self) -> None:
        """Write down what waits for the next evaluation."""
        if self._waiting:
            with self.transaction():
                runs.insert_entries(self.db, self._waiting)
            self._waiting.clear()

    def find(self, text: str, task: str | None = None, seed: int | None = None) -> list[Evaluation]:
        """Return what is known of a canonical text, in the order in which it was added."""
        return self._select({"text": text, "task": task, "seed": seed})

    def find_signature(
        self, signature: str, task: str, seed: int | None = None, split: str = VALIDATION
    ) -> list[Evaluation]:
        """Return what is known of all candidates that behave alike, in the order in which it was added."""
        return self._select({"signature": signature, "task": task, "split": split, "seed": seed})

    def lookup(
        self, text: str, signature: str, task: str, seed: int, epochs: int, split: str = VALIDATION
    ) -> Evaluation | None:
        """Return an evaluation that tells how a training would go, None if there is none.

        It is of this signature. One of this text comes first, then one of just so many epochs.
        """
        known = [one for one in self.find_signature(signature, task, seed, split) if one.answers(epochs)]
        return min(known, key=lambda one: (one.text != text, one.epochs != epochs), default=None)

    def rows(
        self,
        *,
        run: str | None = None,
        task: str | None = None,
        text: str | None = None,
        formula: str | None = None,
        split: str | None = None,
        failed: bool | None = None,
    ) -> Iterator[Evaluation]:
        """Yield the evaluations that fit all that is given, in the order in which they were added."""
        condition, parameters = rows.equal({"text": text, "formula": formula, "task": task, "split": split})
        if failed is not None:
            condition += f" AND e.failure IS {'NOT NULL' if failed else 'NULL'}"
        with translated(self.path):
            if run is not None:
                condition += " AND e.id IN (SELECT evaluation FROM run_entries WHERE run = ?)"
                parameters.append(self._run_id(run))
            wanted = rows.numbers(self.db, condition, parameters)
        for start in range(0, len(wanted), rows.AT_ONCE):  # nothing is locked between two blocks
            with translated(self.path):
                block = rows.by_number(self.db, wanted[start : start + rows.AT_ONCE])
            yield from block

    def summaries(
        self, *, sort: Sort = Sort.BEST, limit: int | None = None, failed: bool | None = None, run: str | None = None
    ) -> list[Summary]:
        """Return one line for each candidate of each task.

        Args:
            sort: what comes first.
            limit: most lines.
            failed: only those that failed, or that did not.
            run: only what this run asked for.
        """
        with translated(self.path):
            number = None if run is None else self._run_id(run)
            return summaries(self.db, sort, limit, failed, number)

    def begin(self, command: str, config: Mapping[str, Any], versions: Mapping[str, str]) -> str:
        """Write down that a run begins, and return its key.

        Args:
            command: what was called.
            config: its settings, fit for JSON.
            versions: of the packages it runs with.
        """
        with self.transaction():
            return runs.insert_run(self.db, command, config, versions)

    def end(self, run: str, status: str) -> None:
        """Write down how a run ended; with ``running``, that it goes on."""
        self.flush()
        with self.transaction():
            runs.set_status(self.db, run, status)

    @contextmanager
    def running(self, command: str, config: Mapping[str, Any], versions: Mapping[str, str]) -> Iterator[str]:
        """Begin a run and yield its key; its end is written down when the block ends: finished, interrupted or failed.

        Args:
            command: what was called.
            config: its settings, fit for JSON.
            versions: of the packages it runs with.
        """
        key, status = self.begin(command, config, versions), FAILED
        try:
            yield key
            status = FINISHED
        except KeyboardInterrupt:
            status = INTERRUPTED
            raise
        finally:
            self.end(key, status)

    def runs(self) -> list[Run]:
        """Return all runs in the order in which they began."""
        with translated(self.path):
            return [runs.read_run(row[1:]) for row in runs.run_rows(self.db)]

    def run(self, key: str) -> Run:
        """Return one run by its key, or by as much of its beginning as no other run shares."""
        with translated(self.path):
            number = self._run_id(key)
            return next(runs.read_run(row[1:]) for row in runs.run_rows(self.db) if row[0] == number)

    def history(self, run: str) -> Iterator[RunEntry]:
        """Yield what a run asked for, in the order in which it was answered."""
        self.flush()
        with translated(self.path):
            entries = runs.read_entries(self.db, self._run_id(run))
        known = {row.number: row for row in self.rows(run=run)}
        for _, text, epochs, number, failure in entries:
            yield RunEntry(text, epochs, known.get(number), failure)

    def merge(self, other: Archive) -> Merged:
        """Add all evaluations, tasks and runs of another archive, all of them or none.

        Returns:
            What became of them. Where both have a result for one key, that of this archive stays.
        """
        if other.path.resolve() == self.path.resolve():
            raise GaafError(f"an archive must be merged with another file, got {self.path} twice")
        for one in (self, other):
            one.flush()
        with transaction(other.db, other.path, "DEFERRED"):
            rest = merging.read_rest(other.db)
            with self.transaction():
                return merging.merge(self.db, rest, other.rows())

    def transaction(self) -> AbstractContextManager[None]:
        """Write all that is done within, or nothing."""
        return transaction(self.db, self.path)

    def __len__(self) -> int:
        with translated(self.path):
            return int(self.db.execute("SELECT COUNT(*) FROM evaluations").fetchone()[0])

    def close(self) -> None:
        """Write down what waits, and close the file."""
        try:
            self.flush()
        finally:
            with translated(self.path):
                self.db.close()

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run_id(self, key: str) -> int:
        return runs.run_id(self.db, key)

    def _select(self, values: Mapping[str, Any]) -> list[Evaluation]:
        condition, parameters = rows.equal(values)
        with translated(self.path):
            return rows.select(self.db, condition, parameters)


_ORDER = {
    Sort.BEST: "failure IS NOT NULL, accuracy DESC, text",
    Sort.NEW: "MAX(id) DESC",
    Sort.SLOW: "SUM(seconds) DESC, text",
    Sort.TEXT: "text, task",
}
_OF_RUN = "IN (SELECT evaluation FROM run_entries WHERE run = :run)"
# grouped in the order of the index that keeps evaluations apart, SQLite sorts only the lines of the result
_QUERY = """
    SELECT text, formula, task, IIF(MAX(failure) IS NULL, AVG(accuracy), :worst) AS accuracy, epochs, COUNT(*),
        SUM(seconds), MAX(failure) AS failure
    FROM evaluations AS e
    WHERE split = :split AND {of_run} AND NOT EXISTS (
        SELECT TRUE FROM evaluations AS longer
        WHERE longer.text = e.text AND longer.task = e.task AND longer.signature = e.signature
            AND longer.split = e.split AND longer.epochs > e.epochs AND {longer_of_run}
    )
    GROUP BY text, task, signature, split
    HAVING {chosen} ORDER BY {order} LIMIT :limit"""


def summaries(
    db: sqlite3.Connection, sort: Sort, limit: int | None, failed: bool | None, run: int | None
) -> list[Summary]:
    """Return the lines of all candidates, or of those that fit; see :meth:`gaaf_gp.archive.Archive.summaries`."""
    query = _QUERY.format(
        of_run="TRUE" if run is None else f"e.id {_OF_RUN}",
        longer_of_run="TRUE" if run is None else f"longer.id {_OF_RUN}",
        chosen="TRUE" if failed is None else f"MAX(failure) IS {'NOT NULL' if failed else 'NULL'}",
        order=_ORDER[Sort(sort)],
    )
    given = {"split": VALIDATION, "worst": WORST_ACCURACY, "run": run, "limit": -1 if limit is None else limit}
    return [
        Summary(text, formula, task, math.nan if accuracy is None else accuracy, epochs, seeds, seconds or 0.0, failure)
        for text, formula, task, accuracy, epochs, seeds, seconds, failure in db.execute(query, given).fetchall()
    ]
