"""The runs of an archive: who asked for which evaluations, in which order; several runs may share one evaluation."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

from gaaf_gp.archive.evaluation import DamagedError, Evaluation
from gaaf_gp.archive.rows import BROKEN, to_json
from gaaf_gp.errors import GaafError, one_line
from gaaf_gp.util.checks import choice

RUNNING = "running"
FINISHED = "finished"
INTERRUPTED = "interrupted"
FAILED = "failed"
STATUSES = (RUNNING, FINISHED, INTERRUPTED, FAILED)
"""A run that was killed stays "running"."""
SHOWN = 8
"""Characters of a key, or of a hash, that tables show."""
EntryRow: TypeAlias = tuple[int, str, int, int | None, str | None]
"""Run, text, epochs, evaluation, failure; run and evaluation by the numbers of their rows."""


@dataclass(frozen=True)
class Run:
    """One run.

    Attributes:
        key: 32 hexadecimal digits that no other run has, whatever the file.
        command: what was called.
        config: its settings, fit for JSON.
        versions: of the packages it ran with.
        started: UTC in ISO format.
        ended: the same, None if it has not.
        status: one of :data:`STATUSES`.
        entries: number of its entries.
    """

    key: str
    command: str
    config: Mapping[str, Any]
    versions: Mapping[str, str]
    started: str
    ended: str | None
    status: str
    entries: int


@dataclass(frozen=True)
class RunEntry:
    """One thing that a run asked for.

    Attributes:
        text: canonical text of the candidate, which need not be that of the evaluation: what behaves alike shares one.
        epochs: the epoch that it was to be trained to, 0 if it was rejected.
        evaluation: how that went, None if the candidate was rejected without training.
        failure: the reason then.
    """

    text: str
    epochs: int
    evaluation: Evaluation | None
    failure: str | None = None

    @property
    def accuracy(self) -> float | None:
        """After the epochs that the run asked for, 0 to 1; None without a training."""
        return None if self.evaluation is None else self.evaluation.outcome(self.epochs).accuracy


def now() -> str:
    """Return the time, UTC, in ISO format to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def insert_run(db: sqlite3.Connection, command: str, config: Mapping[str, Any], versions: Mapping[str, str]) -> str:
    """Add a run that begins now, and return its key."""
    key = uuid.uuid4().hex
    row = (key, command, to_json(dict(config)), to_json(dict(versions)), now(), RUNNING)
    db.execute("INSERT INTO runs (key, command, config, versions, started, status) VALUES (?, ?, ?, ?, ?, ?)", row)
    return key


def set_status(db: sqlite3.Connection, key: str, status: str) -> None:
    """Say what became of a run.

    Raises:
        GaafError: there is no such run or no such status.
    """
    choice("the status of a run", status, STATUSES)
    ended = None if status == RUNNING else now()
    if not db.execute("UPDATE runs SET status = ?, ended = ? WHERE key = ?", (status, ended, key)).rowcount:
        raise _unknown(key)


def run_rows(db: sqlite3.Connection) -> list[Sequence[Any]]:
    """Return number and columns of all runs as they are in the file, in the order in which they were added."""
    return db.execute(
        """SELECT id, key, command, config, versions, started, ended, status,
            (SELECT COUNT(*) FROM run_entries WHERE run = runs.id) FROM runs ORDER BY id"""
    ).fetchall()


def read_run(row: Sequence[Any]) -> Run:
    """Return the run of the columns of one row.

    Raises:
        DamagedError: it is not what was written.
    """
    key, command, config, versions, started, ended, status, entries = row
    try:
        known = {name: str(value) for name, value in json.loads(versions).items()}
        return Run(key, command, dict(json.loads(config)), known, started, ended, status, entries)
    except BROKEN as error:
        raise DamagedError(f"run {key!s:.8} cannot be read: {one_line(error)}") from error


def run_id(db: sqlite3.Connection, key: str) -> int:
    """Return the row of a run.

    Args:
        db: a connection.
        key: all of the key, or as much of its beginning as no other run shares.

    Raises:
        GaafError: there is no such run, or more than one.
    """
    found = db.execute("SELECT id FROM runs WHERE substr(key, 1, ?) = ? LIMIT 2", (len(key), key)).fetchall()
    if len(found) > 1:
        raise GaafError(f"the key of a run must name one, and several begin with {key!r}: give more of it")
    if not key or not found:
        raise _unknown(key)
    number: int = found[0][0]
    return number


def insert_entries(db: sqlite3.Connection, rows: Sequence[EntryRow]) -> None:
    """Add entries; those that are there are left out, and those whose run or evaluation was deleted meanwhile."""
    db.executemany(
        """INSERT INTO run_entries (run, text, epochs, evaluation, failure) SELECT ?1, ?2, ?3, ?4, ?5
            WHERE EXISTS (SELECT TRUE FROM runs WHERE id = ?1)
                AND (?4 IS NULL OR EXISTS (SELECT TRUE FROM evaluations WHERE id = ?4))
            ON CONFLICT DO NOTHING""",
        rows,
    )


def read_entries(db: sqlite3.Connection, run: int) -> list[EntryRow]:
    """Return the entries of a run in the order in which they were added."""
    columns = "run, text, epochs, evaluation, failure"
    return db.execute(f"SELECT {columns} FROM run_entries WHERE run = ? ORDER BY id", (run,)).fetchall()


def _unknown(key: str) -> GaafError:
    return GaafError(f"there is no run {key!r} in this archive: gaaf-gp archive ls --runs lists them")
