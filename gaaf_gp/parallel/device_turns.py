"""Worker processes take turns at the devices of their machine, without knowing of each other.

Each thread that trains claims the lowest number that no other has, by a lock on a file which the system lets go of when
the process ends, however it ends. So a process that takes the place of a dead one gets its number, and its device.
"""

from __future__ import annotations

import itertools
import os
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


class _Lock:
    """Holds the lock of an open file; a thread that ends lets go of it."""

    def __init__(self, file: int) -> None:
        self._file = file

    def __del__(self) -> None:
        os.close(self._file)


class _Claims(threading.local):
    """Of this thread: by name, the number and what holds it."""

    def __init__(self) -> None:
        self.held: dict[str, tuple[int, _Lock | None]] = {}


_claims = _Claims()


def claim(name: str) -> int:
    """Return the number of this thread among all of its machine that claim by ``name``: 0, 1, ...; it keeps it."""
    if name not in _claims.held:
        _claims.held[name] = _claimed(name)
    return _claims.held[name][0]


def end(name: str) -> None:
    """Let go of what this thread claimed, and remove the files; those who have a number keep it."""
    _claims.held.pop(name, None)
    with suppress(OSError):
        for path in _folder(name).iterdir():
            path.unlink()
        _folder(name).rmdir()


def _claimed(name: str) -> tuple[int, _Lock | None]:
    if fcntl is None:
        return os.getpid(), None  # no turns, but some order
    folder = _folder(name)
    folder.mkdir(mode=0o700, exist_ok=True)
    for number in itertools.count():
        file = os.open(folder / str(number), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(file)
            continue
        return number, _Lock(file)
    raise AssertionError("numbers do not end")


def _folder(name: str) -> Path:
    return Path(tempfile.gettempdir()) / f"gaaf-gp-{name}"
