"""Looking through a whole archive: SQLite's own checks, every checksum, every text."""

from __future__ import annotations

import itertools
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gaaf_gp.archive.births import read_births, read_generations
from gaaf_gp.archive.connection import damages, open_file, translated
from gaaf_gp.archive.evaluation import DamagedError
from gaaf_gp.archive.rows import from_columns, raw_rows, read_settings, task_rows
from gaaf_gp.archive.runs import read_run, run_rows
from gaaf_gp.errors import GaafError
from gaaf_gp.trees.arithmetic import Token
from gaaf_gp.trees.parser import token_at

MOST_PROBLEMS = 100
"""Most problems that are listed one by one."""
_COUNTS = {
    "evaluations": "SELECT COUNT(*) FROM evaluations",
    "candidates": "SELECT COUNT(DISTINCT text) FROM evaluations",
    "failed": "SELECT COUNT(*) FROM evaluations WHERE failure IS NOT NULL",
    "tasks": "SELECT COUNT(*) FROM tasks",
    "runs": "SELECT COUNT(*) FROM runs",
}
_OPENING = ("", "(", ",")
"""Tokens after which a name or a number follows; the empty one is the beginning."""
_BASELINE = re.compile(r"@[a-z][a-z_0-9]*", re.ASCII)


@dataclass(frozen=True)
class Report:
    """What a check found.

    Attributes:
        problems: one line each; none if all is well.
        counts: of evaluations, candidates, failures, tasks and runs.
    """

    problems: tuple[str, ...]
    counts: dict[str, int]


def check(path: Path, *, upgrade: bool = False) -> Report:
    """Look through an archive, and say all that is wrong with it.

    Args:
        path: the file.
        upgrade: bring a file of an older version up to date first.

    Raises:
        GaafError: it cannot be opened as an archive at all.
    """
    if upgrade and not path.is_file():
        raise GaafError(f"there is no archive {path}: give the path of one that a run has made")
    db = open_file(path, write=upgrade, verify=False)
    try:
        with translated(path):
            problems = damages(db, thorough=True, most=MOST_PROBLEMS)
            if problems:  # rows of a file that SQLite cannot read say nothing
                return Report(tuple(problems), {})
            problems = list(itertools.islice(_problems(db), MOST_PROBLEMS))
            counts = {name: db.execute(query).fetchone()[0] for name, query in _COUNTS.items()}
        return Report(tuple(problems), counts)
    finally:
        db.close()


def _problems(db: sqlite3.Connection) -> Iterator[str]:
    for table, row, parent, _ in db.execute("PRAGMA foreign_key_check").fetchall():
        yield f"row {row} of {table} points to a row of {parent} that is not there"
    for rows, read in ((task_rows(db), read_settings), ([row[1:] for row in run_rows(db)], read_run)):
        for row in rows:
            try:
                read(row)
            except DamagedError as error:
                yield str(error)
    for row in run_rows(db):
        try:
            births, _ = read_births(db, row[0]), read_generations(db, row[0])
        except DamagedError as error:
            yield f"run {row[1]!s:.8}: {error}"
            continue
        yield from (f"the text of birth {birth.number}: {why}" for birth in births if (why := unreadable(birth.text)))
    for number, kept, *columns in raw_rows(db):
        try:
            evaluation = from_columns(number, columns, kept)
        except DamagedError as error:
            yield str(error)
            continue
        why = unreadable(evaluation.text)
        if why is not None:
            yield f"the text of evaluation {number} must be that of a candidate, and {why}"


def unreadable(text: str) -> str | None:
    """Return why a text cannot be that of any candidate, whatever the set; None if it can."""
    parts = text.split("|")
    if len(parts) > 2:
        return "has more than one |"
    if len(parts) == 1 and _BASELINE.fullmatch(text):
        return None
    reasons = (_no_expression(part.strip().removeprefix("@") if len(parts) == 2 else part) for part in parts)
    return next((reason for reason in reasons if reason is not None), None)


def _no_expression(text: str) -> str | None:
    last, depth = Token("end", "", 0, 0), 0
    while (token := token_at(text, last.stop)).kind != "end":
        complete = last.text not in _OPENING
        closes = depth > 0 and complete
        operand = token.kind in ("name", "number") and not complete
        if not {"(": last.kind == "name", ")": closes, ",": closes}.get(token.text, operand):
            return f"cannot go on with {text[last.stop : last.stop + 20]!a} at character {last.stop + 1}"
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        last = token
    return "ends early" if depth or last.text in _OPENING else None
