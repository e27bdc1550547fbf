"""Real runs that are killed at random moments and gone on with end as one that was never disturbed."""

import json
import random
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

from gaaf_gp.archive import Archive
from gaaf_gp.cli import main
from gaaf_gp.errors import GaafError

RUN = ["env", "--default-signal=INT", sys.executable, "-m", "gaaf_gp.cli"]
"""Started in the background, as tests may be, a process is born deaf to Ctrl-C."""
SMALL = ["--limit", "500", "--epochs", "2", "--population", "6", "--fresh-seeds", "2", "--quiet"]
TABLES = ("logbook.csv", "hall_of_fame.csv", "population.csv")
KILLS = 13
"""Of each of four kinds of runs: 52 in all."""


def _start(*arguments):
    return subprocess.Popen([*RUN, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _rows(folder):
    try:
        with Archive(folder / "archive.sqlite", readonly=True, verify=False) as archive:
            return len(archive)
    except GaafError:  # not there yet
        return 0


def _killed(process, folder, known, delay):
    """Kill a run a moment after it trained something new; return whether it was still running."""
    while process.poll() is None and _rows(folder) <= known:
        time.sleep(0.02)
    time.sleep(delay)
    process.kill()
    process.communicate()  # closes the pipes too
    return process.returncode == -signal.SIGKILL


def _result(folder):
    content = json.loads((folder / "result.json").read_text())
    return {name: value for name, value in content.items() if not name.startswith("seconds")}


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("loop", ["generations", "steady:4"])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_that_is_killed_again_and_again_ends_as_one_that_was_not(tmp_path, loop, workers):
    rng = random.Random(f"{loop} {workers}")
    options = [*SMALL, "--loop", loop, "--evaluations", 24, "--no-random-search", "--seed", 5]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run([*RUN, "evolve", *map(str, options), "--workers", "1", "--out", whole], check=True, timeout=600)
    process, kills = _start("evolve", *options, "--workers", workers, "--out", killed), 0
    while kills < KILLS and _killed(process, killed, _rows(killed), rng.uniform(0, 0.25)):
        kills += 1
        process = _start("resume", killed, "--quiet")
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert kills == KILLS, "the run is long enough to be killed so often"
    for name in TABLES:
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name
    assert _result(killed) | {"workers": 0} == _result(whole) | {"workers": 0}
    assert _rows(killed) == _rows(whole), "nothing was trained twice, and nothing is missing"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_end_a_run_within_seconds_and_it_says_how_to_go_on(tmp_path, number):
    folder = tmp_path / "run"
    long = ["--limit", "500", "--epochs", "100000", "--evaluations", "2", "--population", "2", "--no-racing"]
    process = _start("evolve", *long, "--workers", 2, "--quiet", "--out", folder)
    while not (folder / "config.json").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    time.sleep(3)
    began = time.monotonic()
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert time.monotonic() - began < 10
    assert process.returncode == 130
    assert f"go on with: gaaf-gp resume {folder}" in errors
    with Archive(folder / "archive.sqlite", readonly=True) as archive:
        assert [one.status for one in archive.runs()] == ["interrupted"]
    assert json.loads((folder / "result.json").read_text())["interrupted"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("resume") / "run"
    with pytest.raises(SystemExit) as ended:
        main(["evolve", *SMALL, "--evaluations", "8", "--workers", "1", "--out", str(folder)])
    assert ended.value.code == 0
    return folder


def _called(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        main(list(map(str, arguments)))
    captured = capsys.readouterr()
    return ended.value.code, captured.out, captured.err


def test_a_run_that_has_ended_is_told_again_without_training(finished, capsys):
    before, rows = {name: (finished / name).read_bytes() for name in TABLES}, _rows(finished)
    began = time.monotonic()
    status, out, _ = _called(capsys, "resume", finished, "--quiet")
    assert status == 0
    assert "Everything is in" in out
    assert {name: (finished / name).read_bytes() for name in TABLES} == before
    assert _rows(finished) == rows
    assert time.monotonic() - began < 60
    with Archive(finished / "archive.sqlite", readonly=True) as archive:
        (run,) = archive.runs()
        assert run.status == "finished"
        asked = [entry.text for entry in archive.history(run.key)]
    assert len(asked) >= 8


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"versions": {"torch": "0.1"}}, "a run must go on as it began, but versions was {'torch': '0.1'} and is"),
        ({"pset": ["x"]}, r"a run must go on as it began, but pset was \['x'\] and is"),
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
        ({"seed": "one"}, "the setting seed must be of the kind int, as 0 is, got 'one'"),
        ({"limits": [6]}, "limits of a run must have height and size"),
        ({"settings": 7}, "settings of a run must hold exactly its settings; int differ"),
        ({"primitives": "os:getcwd"}, "a primitive set is code, and the run names 'os:getcwd': if you trust it"),
        ({"search": "genetic"}, "only runs of gaaf-gp evolve can be gone on with"),
        ({"proxy": {"epochs": "many"}}, "many"),
        ({"archive": "/nowhere/all.sqlite"}, "and there is none at /nowhere/all.sqlite: say with"),
        ({"proxy": {"shape": 3}}, "the settings in .* must be those of a run"),
    ],
)
def test_a_run_that_depends_on_something_else_is_refused_and_stays_as_it_was(
    finished, tmp_path, capsys, changes, message
):
    place = tmp_path / "copy"
    shutil.copytree(finished, place)
    config = json.loads((place / "config.json").read_text())
    for name, value in changes.items():
        if name in config["settings"] and name != "pset":
            config["settings"][name] = value
        else:
            config[name] = value
    (place / "config.json").write_text(json.dumps(config))
    before = {one.name: one.read_bytes() for one in place.iterdir()}
    status, _, err = _called(capsys, "resume", place, "--quiet")
    assert status == 2
    assert len(err.splitlines()) == 1
    assert re.search(message, err), err
    assert {one.name: one.read_bytes() for one in place.iterdir()} == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "a run to go on with must have its config.json"),
        ("{", "must be JSON, and reading it ended with"),
        ("[1]", "must hold settings by name, got list"),
        ("[" * 100_000, "must be JSON, and reading it ended with"),
    ],
)
def test_a_damaged_config_is_refused_in_one_line(tmp_path, capsys, text, message):
    if text is not None:
        (tmp_path / "config.json").write_text(text)
    status, _, err = _called(capsys, "resume", tmp_path)
    assert status == 2
    assert message in err
    assert len(err.splitlines()) == 1


def test_two_runs_may_share_an_archive_and_train_what_both_meet_once(tmp_path, capsys):
    shared = tmp_path / "all.sqlite"
    options = [*SMALL, "--evaluations", "8", "--workers", "1", "--no-random-search", "--archive", shared]
    assert _called(capsys, "evolve", *options, "--out", tmp_path / "one")[0] == 0
    with Archive(shared, readonly=True) as archive:
        rows = len(archive)
    assert _called(capsys, "evolve", *options, "--out", tmp_path / "two")[0] == 0
    with Archive(shared, readonly=True) as archive:
        assert len(archive) == rows
        assert len(archive.runs()) == 2
    assert (tmp_path / "one" / "logbook.csv").read_bytes() == (tmp_path / "two" / "logbook.csv").read_bytes()
    assert not (tmp_path / "two" / "archive.sqlite").exists()
