"""Evaluations in and out of the tables: what is written once, and what is read is checked."""

from __future__ import annotations

import functools
import hashlib
import json
import math
import sqlite3
import zlib
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, TypeAlias

from gaaf_gp.archive.evaluation import DamagedError, Evaluation
from gaaf_gp.errors import GaafError, one_line
from gaaf_gp.util.checks import any_number

COLUMNS = (
    "text",
    "signature",
    "task",
    "split",
    "seed",
    "epochs",
    "fidelity",
    "accuracy",
    "curve",
    "losses",
    "metrics",
    "seconds",
    "failure",
    "formula",
    "created",
    "device",
    "versions",
)
"""What the checksum is over, in this order; the last two are in a table of their own."""
BROKEN = (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError)
"""What reading JSON of a damaged file may end with."""
AT_ONCE = 500
"""Rows that are read in one go."""
_OWN = COLUMNS[:-2]
_SELECT = (
    f"SELECT e.id, e.checksum, {', '.join(f'e.{name}' for name in _OWN)}, v.device, v.versions "
    "FROM evaluations AS e LEFT JOIN environments AS v ON v.id = e.environment"
)
_INSERT = (
    f"INSERT INTO evaluations ({', '.join(_OWN)}, environment, checksum) VALUES ({', '.join('?' * (len(_OWN) + 2))}) "
    "ON CONFLICT DO NOTHING"
)
_KEY = "e.text = ? AND e.task = ? AND e.signature = ? AND e.split = ? AND e.epochs = ? AND e.seed = ?"
_NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)

Column: TypeAlias = str | int | float | None


def to_columns(one: Evaluation) -> tuple[Column, ...]:
    """Return the values of :data:`COLUMNS`, as SQLite keeps them.

    Raises:
        GaafError: a metric is no number, or versions are not fit for JSON.
    """
    return (
        one.text,
        one.signature,
        one.task,
        one.split,
        one.seed,
        one.epochs,
        _real(one.fidelity),
        _real(one.accuracy),
        to_json([_number(value) for value in one.curve]),
        to_json([_number(value) for value in one.losses]),
        to_json({name: _number(value) for name, value in one.metrics.items()}),
        _real(one.seconds),
        one.failure,
        one.formula,
        one.created,
        one.device,
        to_json(dict(one.versions)),
    )


def checksum(columns: Sequence[Column]) -> int:
    """Return the CRC-32 of the values of :data:`COLUMNS`."""
    return zlib.crc32(ascii(tuple(columns)).encode())


def from_columns(number: int, columns: Sequence[Column], kept: int) -> Evaluation:
    """Return the evaluation of one row.

    Args:
        number: of the row.
        columns: values of :data:`COLUMNS`.
        kept: the checksum in the row.

    Raises:
        DamagedError: if they are not what was written.
    """
    if checksum(columns) != kept:
        raise DamagedError(f"evaluation {number} has another checksum than was written")
    row: dict[str, Any] = dict(zip(COLUMNS, columns, strict=True))
    try:
        row["curve"], row["losses"] = _tuple(row["curve"]), _tuple(row["losses"])
        row["metrics"] = {name: _float(value) for name, value in json.loads(row["metrics"]).items()}
        row["versions"] = dict(_versions(row["versions"]))
        for name in ("accuracy", "seconds"):
            row[name] = math.nan if row[name] is None else row[name]
        return Evaluation(**row, number=number)
    except BROKEN as error:
        raise DamagedError(f"evaluation {number} cannot be read: {one_line(error)}") from error


def to_json(content: Any) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces, no numbers that are not finite.

    Raises:
        GaafError: it is not fit for JSON.
    """
    try:
        return _ENCODER.encode(content)
    except (TypeError, ValueError, RecursionError) as error:
        raise GaafError(f"what an archive keeps must be fit for JSON, got {one_line(error)}") from error


def _real(value: float) -> float | None:
    return None if math.isnan(value) else float(value) + 0.0  # SQLite has no -0.0


def _number(value: float) -> float | str:
    value = any_number("a value of a curve or a metric", value)
    return float(value) + 0.0 if math.isfinite(value) else repr(float(value))


def _float(value: Any) -> float:
    if isinstance(value, str):
        return _NOT_FINITE[value]
    return float(any_number("a value", value))


def _tuple(text: Any) -> tuple[float, ...]:
    found = json.loads(text)
    if not isinstance(found, list):
        raise TypeError("a curve must be a list")
    return tuple(found) if set(map(type, found)) == {float} else tuple(map(_float, found))


@functools.lru_cache(maxsize=64)
def _versions(text: str) -> dict[str, str]:
    return {name: str(value) for name, value in json.loads(text).items()}


class Kept(StrEnum):
    """What became of an evaluation that was to be added."""

    NEW = "new"
    KNOWN = "known"
    DIFFERS = "differs"


def task_hash(settings: Mapping[str, Any]) -> str:
    """Return 32 hexadecimal digits of settings: a BLAKE2b digest of their JSON with sorted keys.

    Raises:
        GaafError: they are not fit for JSON.
    """
    return _digest(to_json(dict(settings)))


def insert_task(db: sqlite3.Connection, settings: Mapping[str, Any]) -> str:
    """Keep settings, and return their hash."""
    text = to_json(dict(settings))
    found = _digest(text)
    db.execute("INSERT INTO tasks (hash, settings) VALUES (?, ?) ON CONFLICT DO NOTHING", (found, text))
    return found


def task_rows(db: sqlite3.Connection) -> list[Sequence[Any]]:
    """Return hash and settings of all tasks as they are in the file, in the order in which they were added."""
    return db.execute("SELECT hash, settings FROM tasks ORDER BY rowid").fetchall()


def read_settings(row: Sequence[Any]) -> tuple[str, dict[str, Any]]:
    """Return hash and settings of one row.

    Raises:
        DamagedError: they are not what was written.
    """
    name, text = row
    try:
        right = _digest(text) == name
        settings = dict(json.loads(text)) if right else {}
    except BROKEN as error:
        raise DamagedError(f"task {name!s:.8} cannot be read: {one_line(error)}") from error
    if not right:
        raise DamagedError(f"the settings of task {name!s:.8} have another hash")
    return name, settings


def insert_evaluation(db: sqlite3.Connection, evaluation: Evaluation) -> tuple[Kept, int]:
    """Add an evaluation unless there is one of its key; return what became of it, and the number of its row.

    Raises:
        GaafError: its task was not added before.
    """
    columns = to_columns(evaluation)
    environment = _environment(db, *columns[-2:])
    try:
        added = db.execute(_INSERT, (*columns[:-2], environment, checksum(columns)))
    except sqlite3.IntegrityError as error:
        raise GaafError(
            f"the task of an evaluation must be in the archive, and {evaluation.task!r} is not: add its settings with "
            "Archive.register first"
        ) from error
    if added.rowcount and added.lastrowid is not None:
        return Kept.NEW, added.lastrowid
    (known,) = select(db, _KEY, evaluation.key)
    assert known.number is not None
    return (Kept.KNOWN if known.same_result(evaluation) else Kept.DIFFERS), known.number


def select(db: sqlite3.Connection, condition: str, parameters: Sequence[Any]) -> list[Evaluation]:
    """Return the evaluations for which a condition holds, in the order in which they were added.

    Args:
        db: a connection.
        condition: SQL of this package over ``e``, the evaluations.
        parameters: of its question marks.

    Raises:
        DamagedError: a row is not what was written.
    """
    return [from_columns(row[0], row[2:], row[1]) for row in _raw(db, condition, parameters)]


def numbers(db: sqlite3.Connection, condition: str, parameters: Sequence[Any]) -> list[int]:
    """Return the numbers of the rows for which a condition holds, see :func:`select`."""
    found = db.execute(f"SELECT e.id FROM evaluations AS e WHERE {condition} ORDER BY e.id", parameters)
    return [row[0] for row in found.fetchall()]


def number_of(db: sqlite3.Connection, evaluation: Evaluation) -> int | None:
    """Return the number of the row of an evaluation, None if it is not there."""
    return next(iter(numbers(db, _KEY, evaluation.key)), None)


def by_number(db: sqlite3.Connection, wanted: Sequence[int]) -> list[Evaluation]:
    """Return the evaluations of rows, at most :data:`AT_ONCE` of them."""
    return select(db, *_among(wanted))


def equal(values: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """Return the condition that columns equal all values that are not None, and its parameters."""
    given = {name: value for name, value in values.items() if value is not None}
    return " AND ".join(["TRUE", *(f"e.{name} = ?" for name in given)]), list(given.values())


def raw_rows(db: sqlite3.Connection) -> Iterator[Sequence[Any]]:
    """Yield number, checksum and columns of all evaluations as they are in the file."""
    wanted = numbers(db, "TRUE", ())
    for start in range(0, len(wanted), AT_ONCE):
        yield from _raw(db, *_among(wanted[start : start + AT_ONCE]))


def _raw(db: sqlite3.Connection, condition: str, parameters: Sequence[Any]) -> list[Sequence[Any]]:
    return db.execute(f"{_SELECT} WHERE {condition} ORDER BY e.id", parameters).fetchall()


def _among(wanted: Sequence[int]) -> tuple[str, Sequence[int]]:
    return f"e.id IN ({', '.join('?' * len(wanted))})", wanted


def _environment(db: sqlite3.Connection, device: Any, versions: Any) -> int:
    for _ in range(2):
        found = db.execute("SELECT id FROM environments WHERE device = ? AND versions = ?", (device, versions))
        row = found.fetchone()
        if row is not None:
            break
        db.execute("INSERT INTO environments (device, versions) VALUES (?, ?)", (device, versions))
    number: int = row[0]
    return number


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
