"""Killed processes, full disks, read-only folders: what was kept stays there. Every writer is a real process."""

import itertools
import json
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from gaaf_gp.archive import Archive, check
from gaaf_gp.errors import GaafError

SCRIPT = Path(__file__).with_name("writing.py")
NOBODY = 65_534


class Server:
    """Starts processes, see writing.py."""

    def __init__(self, folder):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen([sys.executable, str(SCRIPT)], text=True, **pipes)
        self.outs = (folder / f"out{number}" for number in itertools.count())
        assert self.process.stdout.readline() == "ready\n"

    def ask(self, **job):
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def start(self, path, action="write", **job):
        out = next(self.outs)
        return self.ask(action=action, path=str(path), out=str(out), **job), out

    def lines(self, started, status=0):
        """Wait until a process has ended, and return the lines that it has printed."""
        number, out = started
        assert self.ask(wait=number) == status
        return out.read_text().splitlines()

    def run(self, path, action="write", **job):
        return self.lines(self.start(path, action, **job))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """See Server."""
    found = Server(tmp_path_factory.mktemp("outs"))
    with found.process:
        yield found
        found.process.stdin.close()


def wait_for(out, line):
    deadline = time.monotonic() + 60
    while not (out.exists() and out.read_text().startswith(line)):
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_whatever_a_killed_process_said_is_kept_is_there(server, path, make):
    """Ten processes, one after another, write one file and are killed at a random moment, with its log left behind."""
    draw, said = random.Random(2), set()
    for number in range(10):
        started = server.start(path, first=1000 * number, last=1000 * number + 1000)
        wait_for(started[1], "open\n")
        time.sleep(draw.uniform(0, 0.2))
        os.kill(started[0], signal.SIGKILL)
        said |= {int(line) for line in server.lines(started, -signal.SIGKILL)[1:]}
        with Archive(path, readonly=True) as archive:
            found = {repr(one) for one in archive.rows()}
        assert {repr(make(one)) for one in said} <= found
    assert check(path).problems == ()
    assert len(said) > 50


def test_processes_that_write_at_the_same_time_lose_nothing(server, path, make):
    """Three begin at once, on a file that is not there yet; two of them have 50 evaluations in common."""
    started = [server.start(path, first=first, last=first + 100) for first in (0, 50, 1000)]
    assert [server.lines(one)[-1] for one in started] == ["99", "149", "1099"]
    with Archive(path, readonly=True) as archive:
        expected = {*range(150), *range(1000, 1100)}
        assert sorted(one.text for one in archive.rows()) == sorted(make(number).text for number in expected)
    assert check(path).problems == ()


def add_until_refused(archive, make):
    """Add one evaluation after another until an error; return those that were kept, and what was said."""
    kept = []
    try:
        for number in range(1000):
            archive.add(make(number))
            kept.append(make(number))
    except GaafError as error:
        return kept, str(error)
    return kept, ""


def test_a_full_disk_is_said_in_one_line_and_costs_nothing(path, make, settings_of_task):
    with Archive(path) as archive:
        archive.register(settings_of_task)
        pages = archive.db.execute("PRAGMA page_count").fetchone()[0]
        archive.db.execute(f"PRAGMA max_page_count = {pages + 2}")
        kept, said = add_until_refused(archive, make)
        assert kept
        assert "ended with SQLITE_FULL, the disk or quota is full; what was written before is kept: make room" in said
        assert list(archive.rows()) == kept
        archive.db.execute(f"PRAGMA max_page_count = {pages + 100}")
        archive.add(make(1000))
    with Archive(path, readonly=True) as archive:
        assert list(archive.rows()) == [*kept, make(1000)]


@pytest.mark.parametrize("limit", [2_000, 5_000, 40_000, 90_000, 200_000])
def test_a_file_that_may_not_grow_is_said_in_one_line(server, path, make, limit):
    lines = server.run(path, first=0, last=1000, limit=limit)
    assert lines[-1].startswith(f"error: an archive must be usable, but using {path} ended with SQLITE_")
    assert "what was written before is kept" in lines[-1]
    kept = [int(line) for line in lines if line.isdigit()]
    with Archive(path) as archive:
        assert list(archive.rows()) == [make(number) for number in kept]
    assert check(path).problems == ()
    assert bool(kept) == (limit >= 90_000)


@pytest.fixture
def folder():
    """A folder that any user may enter, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_a_read_only_folder_is_said_in_one_line_and_its_archives_are_read(server, folder, filled):
    path = folder / "archive.sqlite"
    shutil.copy(filled, path)
    path.chmod(stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH)
    folder.chmod(0o555)
    before = path.read_bytes()
    said = [
        server.run(name, action, first=0, last=1, user=NOBODY)
        for name, action in (
            (path, "read"), (path, "write"), (folder / "new.sqlite", "write"), (folder / "sub" / "new.sqlite", "write"),
        )
    ]  # fmt: skip
    folder.chmod(0o755)
    begin = "error: an archive must be usable, but"
    assert said[0] == ["20", "()"]
    (line,) = said[1]
    assert line.startswith(f"{begin} using {path} ended with SQLITE_READONLY")
    assert line.endswith("it or its folder is read-only: choose a folder that can be written to")
    assert said[2] == [
        f"{begin} using {folder / 'new.sqlite'} ended with SQLITE_CANTOPEN, it cannot be opened there: choose a folder "
        "that can be written to"
    ]
    assert said[3] == [f"{begin} {folder / 'sub' / 'new.sqlite'} is not (Permission denied)"]
    assert path.read_bytes() == before
    assert [one.name for one in folder.iterdir()] == [path.name]


def test_a_file_that_may_not_be_read_is_named(server, folder, filled):
    path = folder / "archive.sqlite"
    shutil.copy(filled, path)
    path.chmod(0)
    said = server.run(path, "read", user=NOBODY)
    assert said == [f"error: an archive must be usable, but {path} is not (Permission denied)"]
