"""One line for each candidate of an archive, made by SQLite from all its trainings."""

from __future__ import annotations

import math
import sqlite3
from dataclasses import dataclass
from enum import StrEnum

from gaaf_gp.archive.evaluation import VALIDATION
from gaaf_gp.training import WORST_ACCURACY


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
