"""What spawned processes import first: the script that is run, which must be a file and do nothing by itself then."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from multiprocessing import current_process
from multiprocessing.spawn import get_preparation_data
from pathlib import Path

from gaaf_gp.errors import GaafError

UNGUARDED = 73
"""Exit status of a spawned process that would start processes of its own while it imports the script."""


def check_script() -> None:
    """Refuse to start processes from a script that they cannot import.

    Raises:
        GaafError: the script is no file, as on standard input.
        SystemExit: this process is a spawned one that is importing the script. It ends with :data:`UNGUARDED` and
            without a traceback, and the process that started it says what is wrong, see :func:`not_started`.
    """
    if getattr(current_process(), "_inheriting", False):
        raise SystemExit(UNGUARDED)
    script = get_preparation_data("").get("init_main_from_path")
    if script is not None and not Path(script).is_file():
        raise GaafError(
            f"worker processes import the script that is run, and {Path(script).name} is no file that they could read: "
            "save the script in a file and start that, or use one worker"
        )


def not_started(exit_codes: Iterable[int | None]) -> str | None:
    """Return why processes ended ahead of any work, as a message; None if only signals ended them.

    A signal may come from anywhere, such as a machine without memory. All else would come again.

    Args:
        exit_codes: of the processes, negative for signals, as ``multiprocessing`` has them; None for those that run.
    """
    codes = [code for code in exit_codes if code is not None and code > 0]
    if UNGUARDED in codes:
        return f"worker processes import the script that is run, and this one starts its work then: {guard()}"
    if not codes:
        return None
    return (
        f"worker processes must be able to start, and one ended with exit status {codes[0]} ahead of its first job, it "
        f"says above why: {guard()}"
    )


def guard() -> str:
    """Return what a script must do about it."""
    script = getattr(sys.modules["__main__"], "__file__", None) or "the script"
    return (
        f'put what {script} does under if __name__ == "__main__": and keep above it what workers can import, or use '
        "one worker and no executor"
    )
