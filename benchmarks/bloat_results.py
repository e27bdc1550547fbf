"""What the benchmark of bloat left behind: read from its folder, or from the packed files that docs keep."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import bloat_regression, bloat_search
from gaaf_gp import GaafError
from gaaf_gp.util.jsonl import read_journal

Entries = Sequence[Mapping[str, Any]]
TASKS = ("regression", "search")
PREFIX, ENDING = "bloat_", ".jsonl.gz"


def results(folder: Path) -> dict[str, Entries]:
    """Return the runs of each task that a folder has; it holds the files of a benchmark, or packed ones.

    Raises:
        GaafError: it holds neither, or something else under their names.
    """
    found: dict[str, Entries] = {}
    for task in TASKS:
        entries = _of(task, folder)[1] or _unpacked(folder / f"{PREFIX}{task}{ENDING}")
        if entries:
            found[task] = entries
    if not found:
        raise GaafError(
            f"a report needs results, but {folder} holds none: run --task {' or --task '.join(TASKS)} first"
        )
    return found


def pack(folder: Path, target: Path) -> list[Path]:
    """Write the finished runs of each task as one compressed file of JSON lines, provenance first; return the files.

    Raises:
        GaafError: there is no such folder.
    """
    if not target.is_dir():
        raise GaafError(f"results are packed into an existing folder, got {str(target)!r}: make it, or name another")
    written = []
    for task in TASKS:
        provenance, entries = _of(task, folder)
        if entries:
            lines = [json.dumps({"provenance": provenance}), *map(json.dumps, entries)]
            written.append(target / f"{PREFIX}{task}{ENDING}")
            written[-1].write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode(), mtime=0))
    return written


def _of(task: str, folder: Path) -> tuple[dict[str, Any], Entries]:
    if task == "regression":
        path = folder / bloat_regression.FILE
        return read_journal(path) if path.exists() else ({}, [])
    if not (folder / bloat_search.WORTH).exists():
        return {}, []
    provenance, searches = read_journal(folder / bloat_search.FILE)
    fresh, worth = read_journal(folder / bloat_search.WORTH)
    return {**provenance, "fresh": {name: fresh[name] for name in ("proxy", "seeds")}}, bloat_search.joined(
        searches, worth
    )


def _unpacked(path: Path) -> Entries:
    if not path.exists():
        return []
    try:
        lines = [json.loads(line) for line in gzip.decompress(path.read_bytes()).decode().splitlines()]
    except (OSError, EOFError, ValueError) as error:
        raise GaafError(f"{path} must be packed results of this benchmark, but it cannot be read: {error}") from error
    return lines[1:]
