"""The evaluations of an archive as a table for other programs: CSV, or Parquet by pyarrow."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from gaaf_gp.archive.evaluation import Evaluation
from gaaf_gp.archive.rows import COLUMNS, to_columns
from gaaf_gp.errors import GaafError
from gaaf_gp.util.files import replacing

AT_ONCE = 10_000
"""Rows of one group of a Parquet file."""
_LISTS = ("curve", "losses")
_WHOLE = ("seed", "epochs")
_REAL = ("fidelity", "accuracy", "seconds")


def export_csv(evaluations: Iterable[Evaluation], path: Path, *, force: bool = False) -> int:
    """Write evaluations to a CSV file, one a line, and return their number.

    Curves, metrics and versions are JSON, in which numbers that are not finite are texts; elsewhere they are ``nan``,
    ``inf`` and ``-inf``. What is missing is empty.

    Args:
        evaluations: such as ``archive.rows()``.
        path: the file.
        force: overwrite it.

    Raises:
        GaafError: it exists, or cannot be written.
    """
    number = 0
    with _written(path, force) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        writer = csv.writer(text)
        writer.writerow(COLUMNS)
        for evaluation in evaluations:
            writer.writerow(_cells(evaluation))
            number += 1
        text.detach()
    return number


def export_parquet(evaluations: Iterable[Evaluation], path: Path, *, force: bool = False) -> int:
    """Write evaluations to a Parquet file, and return their number; it takes the extra ``parquet``.

    Curves are lists of float64, metrics and versions JSON.

    Args:
        evaluations: such as ``archive.rows()``.
        path: the file.
        force: overwrite it.

    Raises:
        GaafError: pyarrow is missing, or the file exists or cannot be written.
    """
    try:
        import pyarrow  # noqa: PLC0415  (an extra)
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError as error:
        raise GaafError(
            "writing Parquet takes pyarrow, and it is not installed: pip install 'gaaf-gp[parquet]', or export CSV"
        ) from error
    numbers: dict[str, Any] = {name: pyarrow.float64() for name in _REAL}
    numbers |= {name: pyarrow.int64() for name in _WHOLE} | {name: pyarrow.list_(numbers["seconds"]) for name in _LISTS}
    schema = pyarrow.schema([(name, numbers.get(name, pyarrow.string())) for name in COLUMNS])
    number = 0
    with _written(path, force) as file, parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        for block in _blocks(evaluations):
            writer.write_table(pyarrow.Table.from_pylist([_row(one) for one in block], schema=schema))
            number += len(block)
    return number


def check_new(path: Path, force: bool) -> None:
    """Refuse to overwrite a file.

    Raises:
        GaafError: it exists and is not to be overwritten.
    """
    if path.exists() and not (force and path.is_file()):
        raise GaafError(f"an export must go to a new file, but {path} exists: choose another name or pass --force")


@contextmanager
def _written(path: Path, force: bool) -> Iterator[BinaryIO]:
    """Give a file to write to that becomes the one asked for when all is written."""
    check_new(path, force)
    try:
        with replacing(path) as file:
            yield file
    except OSError as error:
        raise GaafError(
            f"an export must be writable, but {path} is not ({error.strerror or error}): choose another place"
        ) from error


def _blocks(evaluations: Iterable[Evaluation]) -> Iterator[list[Evaluation]]:
    rest = iter(evaluations)
    while block := list(itertools.islice(rest, AT_ONCE)):
        yield block


def _row(one: Evaluation) -> dict[str, Any]:
    stored = dict(zip(COLUMNS, to_columns(one), strict=True))
    return stored | {name: getattr(one, name) for name in (*_REAL, *_LISTS)}


def _cells(one: Evaluation) -> Sequence[Any]:
    stored = dict(zip(COLUMNS, to_columns(one), strict=True))
    return list((stored | {name: repr(getattr(one, name)) for name in _REAL}).values())
