"""A table of functions as one gzip file of JSON, and the one of encoding 1 that comes with the package.

Nothing in the file is run, no pickle is in it, and whatever is wrong with it is said in one line.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any, BinaryIO, cast

from gaaf_gp.behaviour import Behaviour
from gaaf_gp.errors import GaafError, one_line
from gaaf_gp.files import open_regular, plain_json, read_pieces
from gaaf_gp.function_table import Entry, FunctionTable

BUNDLED = "encoding1.json.gz"
"""The paper's encoding 1, b0(u0(x), u1(x)); its provenance says how it was trained."""
KIND, FORMAT = "gaaf_gp function table", 1
MOST_BYTES = 200_000_000
"""Largest unpacked file that is read: a small file may unpack to more than the memory holds."""


def packed(table: FunctionTable) -> bytes:
    """Return the content of a table's file; the same table gives the same bytes."""
    text = json.dumps(_plain(table), allow_nan=False, separators=(",", ":"))
    return gzip.compress(text.encode(), mtime=0)


def save_table(table: FunctionTable, path: Path) -> None:
    """Write a table to one file.

    Raises:
        GaafError: if it cannot be written.
    """
    try:
        path.write_bytes(packed(table))
    except OSError as error:
        raise GaafError(f"the file of a table must be writable, but {path} is not ({error.strerror})") from error


def load_table(path: Path | None = None) -> FunctionTable:
    """Read a table from a file; by default the bundled one of the paper's encoding 1.

    Raises:
        GaafError: if there is no such file, or it is damaged, of another kind, or of a newer version.
    """
    where = path if path is not None else files("gaaf_gp") / "bundled" / BUNDLED
    try:
        with open_regular(path) if path is not None else where.open("rb") as packed, gzip.open(packed) as file:
            content = read_pieces(cast(BinaryIO, file), MOST_BYTES + 1)
    except FileNotFoundError:
        fix = (
            f"there is no file {path}: give the path of one"
            if path is not None
            else f"the bundled {BUNDLED} is missing: install gaaf-gp anew, or make it with "
            "runs/exhaustive_encoding1.py --refine 200 and scripts/make_encoding1_table.py"
        )
        raise GaafError(f"a function table must be a file, and {fix}") from None
    except (OSError, EOFError, zlib.error) as error:
        raise GaafError(
            f"a function table must be a whole gzip file, and reading {where} ended with {one_line(error)}: fetch or "
            "make it anew"
        ) from error
    if len(content) > MOST_BYTES:
        raise GaafError(
            f"a function table may unpack to at most {MOST_BYTES} bytes, and {where} is larger: name another"
        )
    return _read(content, str(where))


def _read(content: bytes, where: str) -> FunctionTable:
    try:
        plain = plain_json(content)
    except ValueError:
        plain = None
    if not isinstance(plain, dict) or plain.get("kind") != KIND:
        raise GaafError(f"{where} is no function table: its JSON must say kind {KIND!r}: name another file")
    if plain.get("format") != FORMAT:
        raise GaafError(
            f"{where} must have the format {FORMAT} that this version of gaaf-gp reads, got {plain.get('format')!r}: "
            "install the version that wrote it"
        )
    try:
        entries = [_entry(row) for row in plain["entries"]]
        return FunctionTable(entries, _behaviours(plain["space"], entries), dict(plain["provenance"]))
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise GaafError(f"{where} is a damaged function table ({one_line(error)}): fetch or make it anew") from error


def _entry(row: Mapping[str, Any]) -> Entry:
    accuracy = {int(seed): float(value) for seed, value in row["accuracy"].items()}
    curve = {int(seed): tuple(map(float, values)) for seed, values in row["curve"].items()}
    if not all(0 <= value <= 1 for value in accuracy.values()) or accuracy.keys() != curve.keys():
        raise ValueError(f"the accuracies of {row['text']} must lie from 0 to 1, each with a curve")
    failure = row["failure"]
    return Entry(
        tuple(map(int, row["genes"])),
        str(row["text"]),
        str(row["formula"]),
        str(row["signature"]),
        accuracy,
        curve,
        float(row["seconds"]),
        None if failure is None else str(failure),
    )


def _behaviours(space: Mapping[str, Any], entries: Sequence[Entry]) -> dict[str, Behaviour]:
    columns = zip(space["texts"], space["orientations"], space["codes"], strict=True)
    rejected = [(str(signature), str(reason)) for signature, reason in space["rejected"]]
    found = {}
    for text, orientation, code in columns:
        if code < 0:
            signature, reason = rejected[-1 - code]
            found[str(text)] = Behaviour(signature, int(orientation), reason)
        else:
            found[str(text)] = Behaviour(entries[code].signature, int(orientation), None)
    return found


def _plain(table: FunctionTable) -> dict[str, Any]:
    places = {entry.signature: place for place, entry in enumerate(table.entries)}
    rejected: dict[tuple[str, str], int] = {}
    behaviours = {text: table.behaviour(text) for text in table.texts()}
    codes = []
    for known in behaviours.values():
        if known.failure is None:
            codes.append(places[known.signature])
        else:
            codes.append(-1 - rejected.setdefault((known.signature, known.failure), len(rejected)))
    space = {
        "texts": list(behaviours),
        "orientations": [known.orientation for known in behaviours.values()],
        "codes": codes,  # place of the entry, or -1 - place among the rejected
        "rejected": list(rejected),
    }
    entries = [asdict(entry) for entry in table.entries]
    return {"kind": KIND, "format": FORMAT, "provenance": table.provenance, "space": space, "entries": entries}
