"""Taking in another archive: what it holds is checked row by row, and added once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gaaf_gp.archive.births import Birth, Generation, insert_births, put_generations, read_births, read_generations
from gaaf_gp.archive.evaluation import Evaluation
from gaaf_gp.archive.rows import Kept, insert_evaluation, insert_task, read_settings, task_rows, to_json
from gaaf_gp.archive.runs import RUNNING, EntryRow, Run, insert_entries, read_entries, read_run, run_id, run_rows


@dataclass(frozen=True)
class Merged:
    """What became of the content of another archive.

    Attributes:
        new: number of evaluations that were added.
        known: number of those that were there already.
        differing: the other archive's, where there was another result of the same training.
        runs: number of runs that were added.
    """

    new: int
    known: int
    differing: tuple[Evaluation, ...]
    runs: int


@dataclass(frozen=True)
class Rest:
    """All that an archive holds beside its evaluations: settings, and the runs with their entries."""

    tasks: Sequence[Mapping[str, Any]]
    runs: Sequence[tuple[Run, Sequence[EntryRow], Sequence[Birth], Sequence[Generation]]]


def read_rest(db: sqlite3.Connection) -> Rest:
    """Return what an archive holds beside its evaluations.

    Raises:
        DamagedError: it is not what was written.
    """
    runs = [
        (read_run(columns), read_entries(db, number), read_births(db, number), read_generations(db, number))
        for number, *columns in run_rows(db)
    ]
    return Rest([read_settings(row)[1] for row in task_rows(db)], runs)


def merge(db: sqlite3.Connection, rest: Rest, evaluations: Iterable[Evaluation]) -> Merged:
    """Add the content of another archive, within a transaction.

    Args:
        db: the archive that is added to.
        rest: of the other one, as it was at one moment.
        evaluations: all of the other one, at that moment.
    """
    for settings in rest.tasks:
        insert_task(db, settings)
    places: dict[int | None, int] = {}
    counts, differing = {Kept.NEW: 0, Kept.KNOWN: 0}, []
    for one in evaluations:
        kept, places[one.number] = insert_evaluation(db, one)
        if kept is Kept.DIFFERS:
            differing.append(one)
        else:
            counts[kept] += 1
    added = 0
    for run, entries, births, generations in rest.runs:
        added += _take_run(db, run)
        ours = run_id(db, run.key)
        insert_births(db, ours, births)
        _take_generations(db, ours, generations)
        insert_entries(
            db,
            [
                (ours, text, epochs, None if evaluation is None else places[evaluation], failure)
                for _, text, epochs, evaluation, failure in entries
                if evaluation is None or evaluation in places
            ],
        )
    return Merged(counts[Kept.NEW], counts[Kept.KNOWN], tuple(differing), added)


def _take_generations(db: sqlite3.Connection, run: int, generations: Sequence[Generation]) -> None:
    """Add the generations that are not here: what was merged before may have gone on since."""
    known = {row.number for row in read_generations(db, run)}
    put_generations(db, run, [generation for generation in generations if generation.number not in known])


def _take_run(db: sqlite3.Connection, run: Run) -> int:
    """Add a run unless it is there; return how many were added. A run that has ended since is up to date again."""
    row = (run.key, run.command, to_json(dict(run.config)), to_json(dict(run.versions)), run.started)
    added = db.execute(
        """INSERT INTO runs (key, command, config, versions, started, ended, status) VALUES (?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT DO NOTHING""",
        (*row, run.ended, run.status),
    )
    if not added.rowcount and run.status != RUNNING:
        db.execute(
            "UPDATE runs SET status = ?, ended = ? WHERE key = ? AND status = ?",
            (run.status, run.ended, run.key, RUNNING),
        )
    return added.rowcount
