"""An evaluation as the values of a row, and back, with a checksum over all of them.

Numbers come back bit for bit, but for the sign of a zero. SQLite has no NaN: an accuracy or a time that is not a number
is NULL in its column, and NULL is NaN when it is read; infinities are stored as they are. In JSON the three are the
texts "nan", "inf" and "-inf".
"""

from __future__ import annotations

import functools
import json
import math
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from gaaf_gp.archive.evaluation import DamagedError, Evaluation, check_number
from gaaf_gp.errors import GaafError, one_line

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


def finite(content: Any) -> Any:
    """Return a value fit for JSON, in which numbers that are not finite are the texts "nan", "inf" and "-inf"."""
    if isinstance(content, float):
        return content if math.isfinite(content) else repr(content)
    if isinstance(content, Mapping):
        return {name: finite(value) for name, value in content.items()}
    return [finite(value) for value in content] if isinstance(content, list | tuple) else content


def _real(value: float) -> float | None:
    return None if math.isnan(value) else float(value) + 0.0  # SQLite has no -0.0


def _number(value: float) -> float | str:
    check_number("a value of a curve or a metric", value)
    return float(value) + 0.0 if math.isfinite(value) else repr(float(value))


def _float(value: Any) -> float:
    if isinstance(value, str):
        return _NOT_FINITE[value]
    check_number("a value", value)
    return float(value)


def _tuple(text: Any) -> tuple[float, ...]:
    found = json.loads(text)
    if not isinstance(found, list):
        raise TypeError("a curve must be a list")
    return tuple(found) if set(map(type, found)) == {float} else tuple(map(_float, found))


@functools.lru_cache(maxsize=64)
def _versions(text: str) -> dict[str, str]:
    return {name: str(value) for name, value in json.loads(text).items()}
