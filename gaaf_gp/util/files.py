"""Files that are whole at every moment, and files from anywhere.

Those written here are written beside their place, flushed to the disk, and renamed. Those read here may be anything: a
pipe that never ends, a file larger than the memory, JSON that nests without end.
"""

from __future__ import annotations

import errno
import json
import math
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from gaaf_gp.errors import GaafError, one_line

PIECE = 1 << 20
MOST_BYTES = 20_000_000
"""Of settings or results, which have some kilobytes."""
_HALF = re.compile(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]")
MOST_LEVELS = 64
"""JSON that nests deeper is refused: nothing of ours does, and whoever walks it may recurse."""


def finite(content: Any) -> Any:
    """Return a value fit for JSON, in which numbers that are not finite are the texts "nan", "inf" and "-inf"."""
    if isinstance(content, float):
        return content if math.isfinite(content) else repr(content)
    if isinstance(content, Mapping):
        return {name: finite(value) for name, value in content.items()}
    return [finite(value) for value in content] if isinstance(content, list | tuple) else content


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file that takes the place of ``path`` when the block ends well; if not, what was there stays.

    A crash at any moment leaves the whole earlier file or the whole new one.

    Args:
        path: the file; its folder must be there.

    Raises:
        OSError: it cannot be written; nothing has changed then.
    """
    beside = path.with_name(path.name + ".part")
    try:
        with beside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def open_regular(path: Path) -> BinaryIO:
    """Open a file to be read, if it is a regular one: a pipe would wait for ever, a device may have no end.

    Raises:
        OSError: it cannot be opened, or is a folder.
        GaafError: it is something else, or its path has a zero character.
    """
    if "\0" in str(path):
        raise GaafError(f"a path must have no zero character, got {str(path)!r}")
    # without waiting for somebody to write into a pipe; the flags are of some systems only
    flags = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, os.O_RDONLY | flags)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        raise GaafError(f"a file to be read must be a regular one, and {path} is a pipe or a device: name a file")
    return os.fdopen(descriptor, "rb")


def read_limited(path: Path, most: int) -> bytes:
    """Return what a regular file holds, if it holds at most ``most`` bytes.

    Raises:
        OSError: it cannot be read.
        GaafError: it is no regular file, or larger.
    """
    with open_regular(path) as file:
        content = read_pieces(file, most + 1)
    if len(content) > most:
        raise GaafError(f"a file of this kind may have at most {most} bytes, and {path} has more: name another")
    return content


def read_pieces(file: BinaryIO, most: int) -> bytes:
    """Read to the end or ``most`` bytes, piece by piece: what is not there takes no memory."""
    pieces, left = [], most
    while left and (piece := file.read(min(left, PIECE))):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def plain_json(content: bytes | str) -> Any:
    """Return what JSON says, if it nests at most ``MOST_LEVELS`` deep.

    Raises:
        ValueError: it is no JSON in UTF-8, which has no NaN and no Infinity, nests deeper, or has half of a character,
            which could be neither written nor shown.
    """
    text = content if isinstance(content, str) else content.decode("utf-8-sig")
    try:
        found = json.loads(text, parse_constant=_no_number, parse_float=_finite)
    except RecursionError:
        raise ValueError(f"it nests deeper than {MOST_LEVELS} levels") from None
    if _HALF.search(text):
        json.dumps(found, ensure_ascii=False).encode()
    level = [found]
    for _ in range(MOST_LEVELS + 1):
        level = [
            inner
            for element in level
            if isinstance(element, dict | list)
            for inner in (element.values() if isinstance(element, dict) else element)
        ]
        if not level:
            return found
    raise ValueError(f"it nests deeper than {MOST_LEVELS} levels")


def read_mapping(path: Path, holds: str) -> dict[str, Any]:
    """Return what a file of JSON says, values by name.

    Args:
        path: the file, of at most ``MOST_BYTES``.
        holds: what the values are, for messages.

    Raises:
        FileNotFoundError: there is no file.
        GaafError: it cannot be read, or is something else.
    """
    try:
        content = plain_json(read_limited(path, MOST_BYTES))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise GaafError(f"{path} must be readable, but it is not ({error.strerror})") from error
    except ValueError as error:
        raise GaafError(f"{path} must be JSON, and reading it ended with {one_line(error)}: restore a copy") from error
    if not isinstance(content, dict):
        raise GaafError(f"{path} must hold {holds} by name, got {type(content).__name__}: restore a copy")
    return content


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{digits[:20]} is beyond all numbers")
    return number


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")
