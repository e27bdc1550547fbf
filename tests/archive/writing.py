"""A process that starts others, each of which writes to an archive, says what is kept, and may be killed.

Importing takes longer than writing, so it is done once: this process forks for each line of JSON on its standard input,
``{"action": ..., "path": ..., "out": ...}``, and answers with the number of the new process. What that says goes to the
file ``out``. A line ``{"wait": NUMBER}`` is answered with its exit status, when it has ended.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from gaaf_gp.archive import Archive, check
from gaaf_gp.errors import GaafError
from tests.archive.conftest import SETTINGS, evaluation


def write(path: Path, first: int, last: int) -> None:
    """Write evaluations; the number of each is printed when it is on the disk."""
    with Archive(path) as archive:
        archive.register(SETTINGS)
        print("open", flush=True)
        for number in range(first, last):
            archive.add(evaluation(number))
            print(number, flush=True)


def read(path: Path) -> None:
    """Read an archive, and print what is found."""
    with Archive(path, readonly=True) as archive:
        print(len(list(archive.rows())), flush=True)
    print(check(path).problems, flush=True)


def main(job: dict[str, Any]) -> None:
    """Do what a line asks for; an error of the project is printed in one line, and no other is expected."""
    sys.stdout = Path(job["out"]).open("w", encoding="utf-8")  # noqa: SIM115  (until the process ends)
    if "limit" in job:  # of any file, as on a disk that is full
        resource.setrlimit(resource.RLIMIT_FSIZE, (job["limit"], job["limit"]))
    if "user" in job and not os.geteuid():
        os.setgid(job["user"])
        os.setuid(job["user"])
    try:
        if job["action"] == "read":
            read(Path(job["path"]))
        else:
            write(Path(job["path"]), job["first"], job["last"])
    except GaafError as error:
        print(f"error: {error}", flush=True)


def serve() -> None:
    """Answer the lines of the standard input."""
    print("ready", flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        if "wait" in job:
            print(os.waitstatus_to_exitcode(os.waitpid(job["wait"], 0)[1]), flush=True)
            continue
        number = os.fork()
        if number:
            print(number, flush=True)
            continue
        try:
            main(job)
        finally:
            os._exit(1 if sys.exc_info()[0] else 0)


if __name__ == "__main__":
    serve()
