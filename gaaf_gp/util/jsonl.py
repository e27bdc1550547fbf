"""A file of evaluations, one JSON object a line, that a long run adds to and goes on with after any interruption.

The first line says what all the others depend on. Every line is on the disk before the next evaluation is waited for; a
line that was cut off by a crash is dropped when the file is opened again, and its evaluation is repeated.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from gaaf_gp.errors import GaafError, listed
from gaaf_gp.util.files import plain_json, read_limited

BEGINNING = b'{"provenance": '
MOST_BYTES = 1 << 30
"""A larger file is refused before it is read; an evaluation takes some hundreds."""


class Journal:
    """The entries of one file, and the file to add more to; a context manager.

    One process writes a file at a time; nothing stops a second one.

    Args:
        path: the file; it and its folder are made if they are missing.
        provenance: all that the entries depend on, fit for JSON: settings, versions, data. A file that was begun with
            anything else is refused.

    Attributes:
        entries: what the file holds, in the order in which it was added.

    Raises:
        GaafError: if the file cannot be written, is none of this kind, was begun with another provenance, or has a
            broken line before its last one.
    """

    def __init__(self, path: Path, provenance: Mapping[str, Any]) -> None:
        self.path = path
        begun = {"provenance": _plain(provenance)}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            kept, length = _read(path)
            self._file = path.open("ab")
        except OSError as error:
            raise GaafError(
                f"the file of evaluations must be writable, but {path} is not ({error.strerror})"
            ) from error
        try:
            self._check(kept[:1], begun)
            self._file.truncate(length)
            if not kept:
                self._write(begun)
        except BaseException:
            self._file.close()
            raise
        self.entries: list[dict[str, Any]] = kept[1:]

    def append(self, entry: Mapping[str, Any]) -> None:
        """Add one entry; it is on the disk when this returns.

        Args:
            entry: fit for JSON, without numbers that are not finite.
        """
        self._write(entry)
        self.entries.append(_plain(entry))

    def _write(self, entry: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(entry, allow_nan=False).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def _check(self, first: list[dict[str, Any]], begun: dict[str, Any]) -> None:
        if not first or first[0] == begun:
            return
        if "provenance" not in first[0]:
            raise GaafError(
                f"{self.path} is not a file of evaluations: its first line has no provenance: choose another"
            )
        before, now = dict(_leaves(first[0])), dict(_leaves(begun))
        names = [name for name in sorted({*before, *now}) if before.get(name) != now.get(name)]
        changes = (f"{name} {_shown(before, name)}, now {_shown(now, name)}" for name in names)
        raise GaafError(
            f"evaluations in one file must all be of the same settings, but {self.path} was begun with "
            f"{listed(changes, 5)}: go on with its settings, or choose another folder"
        )

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_journal(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the provenance and the entries of a file without changing it; a line that was cut off is left out.

    Raises:
        GaafError: if there is no such file, it is none of this kind, or it has a broken line before its last one.
    """
    try:
        if not path.is_file():
            raise GaafError(f"there is no file of evaluations {path}: begin one with the run that makes it")
        kept, _ = _read(path)
    except OSError as error:
        raise GaafError(f"the file of evaluations must be readable, but {path} is not ({error.strerror})") from error
    if not kept:
        raise GaafError(f"{path} holds no whole line yet: go on with the run that makes it")
    provenance = kept[0]["provenance"]
    if not isinstance(provenance, dict):
        raise GaafError(f"{path} is not a file of evaluations: its provenance is none: choose another")
    return provenance, kept[1:]


def _read(path: Path) -> tuple[list[dict[str, Any]], int]:
    """Return the objects of all whole lines, and where the last of them ends in the file, in bytes."""
    content = read_limited(path, MOST_BYTES) if path.exists() else b""
    if not content.startswith(BEGINNING[: len(content)]):  # a file may be cut off within its first line too
        raise GaafError(f"{path} is not a file of evaluations: its first line has no provenance: choose another")
    lines = io.BytesIO(content).readlines()  # a line ends with \n and nothing else
    found: list[dict[str, Any]] = []
    length = 0
    for number, line in enumerate(lines, 1):
        entry = _parsed(line)
        if entry is None:
            if number < len(lines):
                raise GaafError(
                    f"line {number} of {path} must be a JSON object, got {line[:40]!r}: remove the line, and what it "
                    "held is evaluated again"
                )
            break
        found.append(entry)
        length += len(line)
    return found, length


def _parsed(line: bytes) -> dict[str, Any] | None:
    if not line.endswith(b"\n"):
        return None
    try:
        entry = plain_json(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


def _plain(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return what JSON makes of it: lists for tuples, texts for keys."""
    plain: dict[str, Any] = json.loads(json.dumps(content, allow_nan=False))
    return plain


def _leaves(content: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(content, dict) and content:
        for key, value in content.items():
            yield from _leaves(value, key if name in ("", "provenance") else f"{name}.{key}")
    else:
        yield name, content


def _shown(leaves: Mapping[str, Any], name: str) -> str:
    return repr(leaves[name]) if name in leaves else "unset"
