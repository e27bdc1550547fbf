"""The file of a table: one JSON object, packed by gzip, that says its kind and format; bundled or anywhere."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, BinaryIO, cast

from gaaf_gp.errors import GaafError, one_line
from gaaf_gp.util.files import open_regular, plain_json, read_pieces

MOST_BYTES = 200_000_000
"""Largest unpacked file that is read: a small file may unpack to more than the memory holds."""


@dataclass(frozen=True)
class TableFile:
    """Files of one kind of table.

    Attributes:
        kind: what the JSON says, "gaaf_gp " and the name of the kind.
        format: a whole number that rises when the content changes its meaning.
        bundled: name of the file that comes with the package.
        made_with: the commands that make it.
    """

    kind: str
    format: int
    bundled: str
    made_with: str

    @property
    def name(self) -> str:
        """The name of the kind, such as "function table"."""
        return self.kind.removeprefix("gaaf_gp ")

    def packed(self, content: Mapping[str, Any]) -> bytes:
        """Return the bytes of a file; the same content gives the same bytes."""
        plain = {"kind": self.kind, "format": self.format, **content}
        return gzip.compress(json.dumps(plain, allow_nan=False, separators=(",", ":")).encode(), mtime=0)

    def write(self, content: Mapping[str, Any], path: Path) -> None:
        """Write a file.

        Raises:
            GaafError: if it cannot be written.
        """
        try:
            path.write_bytes(self.packed(content))
        except OSError as error:
            raise GaafError(f"the file of a table must be writable, but {path} is not ({error.strerror})") from error

    def read(self, path: Path | None) -> tuple[dict[str, Any], str]:
        """Return the content of a file and its place for messages; None for the bundled one.

        Raises:
            GaafError: if there is no such file, or it is damaged, of another kind, or of a newer version.
        """
        where = path if path is not None else files("gaaf_gp.data") / "bundled" / self.bundled
        try:
            with open_regular(path) if path is not None else where.open("rb") as packed, gzip.open(packed) as file:
                content = read_pieces(cast(BinaryIO, file), MOST_BYTES + 1)
        except FileNotFoundError:
            fix = (
                f"there is no file {path}: give the path of one"
                if path is not None
                else f"the bundled {self.bundled} is missing: install gaaf-gp anew, or make it with {self.made_with}"
            )
            raise GaafError(f"a {self.name} must be a file, and {fix}") from None
        except (OSError, EOFError, zlib.error) as error:
            raise GaafError(
                f"a {self.name} must be a whole gzip file, and reading {where} ended with {one_line(error)}: fetch or "
                "make it anew"
            ) from error
        if len(content) > MOST_BYTES:
            raise GaafError(
                f"a {self.name} may unpack to at most {MOST_BYTES} bytes, and {where} is larger: name another"
            )
        return self._checked(content, where), str(where)

    def damaged(self, where: str, error: Exception) -> GaafError:
        """Return what is to be raised for content that cannot be understood."""
        return GaafError(f"{where} is a damaged {self.name} ({one_line(error)}): fetch or make it anew")

    def _checked(self, content: bytes, where: object) -> dict[str, Any]:
        try:
            plain = plain_json(content)
        except ValueError:
            plain = None
        if not isinstance(plain, dict) or plain.get("kind") != self.kind:
            raise GaafError(f"{where} is no {self.name}: its JSON must say kind {self.kind!r}: name another file")
        if plain.get("format") != self.format:
            raise GaafError(
                f"{where} must have the format {self.format} that this version of gaaf-gp reads, got "
                f"{plain.get('format')!r}: install the version that wrote it"
            )
        return plain
