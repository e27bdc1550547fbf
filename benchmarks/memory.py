"""The peak memory of one action; see :mod:`benchmarks.processes` for a process of its own."""

from __future__ import annotations

import ctypes
import gc
import platform
import re
import sys
from collections.abc import Callable
from pathlib import Path

from gaaf_gp import GaafError

if sys.platform != "win32":
    import resource

_STATUS = Path("/proc/self/status")
_RESET = Path("/proc/self/clear_refs")


def peak_memory(action: Callable[[], object]) -> int:
    """Return by how many bytes the resident memory of this process rises at most while ``action`` runs.

    On Linux the kernel's high-water mark is set back ahead of the action, and what was freed before is given back, so
    that the action has to ask for all that it uses. Elsewhere only a rise above everything that this process has used
    so far can be seen: call it in a new process.
    """
    gc.collect()
    _give_back()
    resettable = _set_back()
    before = _status("VmRSS") if resettable else _greatest()
    action()
    return max(0, (_status("VmHWM") if resettable else _greatest()) - before)


def _set_back() -> bool:
    try:
        _RESET.write_text("5", encoding="ascii")
    except OSError:  # not Linux, or a container that hides it
        return False
    return True


def _status(field: str) -> int:
    found = re.search(rf"^{field}:\s+(\d+) kB", _STATUS.read_text(encoding="ascii"), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def _greatest() -> int:
    if sys.platform == "win32":
        raise GaafError("peak memory is measured on Linux and macOS only: leave out step and scaling with --only")
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size if sys.platform == "darwin" else size * 1024


def _give_back() -> None:
    """Ask the C library to return freed memory to the system; only glibc keeps it and can be asked."""
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)
