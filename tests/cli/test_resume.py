"""Real runs that are killed at random moments and gone on with end as one that was never disturbed."""

import errno
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from gaaf_gp.archive import Archive
from gaaf_gp.cli import main
from gaaf_gp.experiments.resume import resume_command
from gaaf_gp.search import checkpoint
from gaaf_gp.util import files
from tests.archive.conftest import rows_of

RUN = ["env", "--default-signal=INT", sys.executable, "-m", "gaaf_gp.cli"]
"""Started in the background, as tests may be, a process is born deaf to Ctrl-C."""
SMALL = ["--limit", "500", "--epochs", "2", "--population", "6", "--fresh-seeds", "2", "--quiet"]
TABLES = ("logbook.csv", "hall_of_fame.csv", "population.csv", "checkpoint.json")
NOBODY = 65_534
KILLS = 13
"""Of each of four kinds of runs: 52 in all."""


def _start(*arguments):
    return subprocess.Popen([*RUN, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _killed(process, folder, known, delay):
    """Kill a run a moment after it trained something new; return whether it was still running."""
    while process.poll() is None and rows_of(folder) <= known:
        time.sleep(0.02)
    time.sleep(delay)
    process.kill()
    process.communicate()  # closes the pipes too
    return process.returncode == -signal.SIGKILL


def _result(folder):
    content = json.loads((folder / "result.json").read_text())
    return {name: value for name, value in content.items() if not name.startswith("seconds")}


@pytest.mark.slow(180)
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("loop", ["generations", "steady:4"])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_that_is_killed_again_and_again_ends_as_one_that_was_not(tmp_path, loop, workers):
    rng = random.Random(f"{loop} {workers}")
    options = [*SMALL, "--loop", loop, "--evaluations", 24, "--no-random-search", "--seed", 5]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run([*RUN, "evolve", *map(str, options), "--workers", "1", "--out", whole], check=True, timeout=600)
    process, kills = _start("evolve", *options, "--workers", workers, "--out", killed), 0
    while kills < KILLS and _killed(process, killed, rows_of(killed), rng.uniform(0, 0.25)):
        kills += 1
        process = _start("resume", killed, "--quiet")
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert kills == KILLS, "the run is long enough to be killed so often"
    for name in TABLES:
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name
    assert _result(killed) | {"workers": 0} == _result(whole) | {"workers": 0}
    assert rows_of(killed) == rows_of(whole), "nothing was trained twice, and nothing is missing"


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


@pytest.mark.slow(30)
@pytest.mark.timeout(600)
@pytest.mark.parametrize("delay", [0.0, 0.1, 1.0])
def test_a_second_ctrl_c_stops_at_once_and_loses_nothing(finished, tmp_path, delay):
    folder = tmp_path / "run"
    process = _start("evolve", *SMALL, "--evaluations", 8, "--workers", 2, "--out", folder)
    while (known := rows_of(folder)) < 4:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    time.sleep(delay)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert time.monotonic() - began < 5
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert rows_of(folder) >= known
    subprocess.run([*RUN, "resume", str(folder), "--quiet"], check=True, timeout=300, capture_output=True)
    for name in TABLES:
        assert (folder / name).read_bytes() == (finished / name).read_bytes(), name


def _called(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        main(list(map(str, arguments)))
    captured = capsys.readouterr()
    return ended.value.code, captured.out, captured.err


def test_a_run_that_has_ended_is_told_again_without_training(finished, capsys):
    before, rows = {name: (finished / name).read_bytes() for name in TABLES}, rows_of(finished)
    began = time.monotonic()
    status, out, _ = _called(capsys, "resume", finished, "--quiet")
    assert status == 0
    assert "Everything is in" in out
    assert {name: (finished / name).read_bytes() for name in TABLES} == before
    assert rows_of(finished) == rows
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


def _changed(path, **changes):
    """Change a checkpoint, with the checksum that belongs to it."""
    content = json.loads(path.read_text()) | changes
    del content["sha256"]
    path.write_text(json.dumps({"sha256": checkpoint._digest(content), **content}))


def _contents(folder):
    return {one.name: one.read_bytes() for one in folder.iterdir()}


def _trained(folder):
    with Archive(folder / "archive.sqlite", readonly=True) as archive:
        (run,) = archive.runs()
        return [repr(one) for one in archive.rows()], run.status


@pytest.fixture
def copy(finished, tmp_path):
    """The finished run once more, to be damaged."""
    return Path(shutil.copytree(finished, tmp_path / "copy"))


def _refused(capsys, folder, *options):
    """Resume a run that must be refused in one line, and return that."""
    status, _, err = _called(capsys, "resume", folder, "--quiet", *options)
    assert (status, len(err.splitlines())) == (2, 1), err
    return err


def _torn(path):
    path.write_bytes(path.read_bytes()[:3000])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_torn, r"must be a whole file of this program, and reading .*checkpoint\.json ended with JSONDecodeError"),
        (lambda path: path.write_text(""), "ended with JSONDecodeError"),
        (lambda path: path.write_text(path.read_text().replace(": 2", ": 3")), "another checksum than was written"),
        (
            lambda path: _changed(path, format=2),
            r"must have format 1 and be of gaaf-gp .*checkpoint\.json has format 2",
        ),
        (lambda path: _changed(path, **{"gaaf-gp": "9.9"}), "of gaaf-gp '9.9': go on with that version"),
        (lambda path: _changed(path, set="mine"), "must go on with its own primitive set, .* it was 'mine'"),
        (lambda path: _changed(path, primitives=[]), "it had 0 entries and has 38 now: bring back what was"),
    ],
)
def test_a_checkpoint_of_something_else_is_refused_at_once_and_nothing_is_touched(copy, capsys, damage, message):
    damage(copy / "checkpoint.json")
    before = _contents(copy)
    assert re.search(message, _refused(capsys, copy))
    assert _contents(copy) == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"population": [["sin(x)", [0.5]]]}, "after step 2 1 of its population is "),
        ({"generators": []}, "after step 2 its random generators are in another state"),
        ({"bred": "0" * 64}, "candidate 1 is .* now, and .* has another one"),
    ],
)
def test_a_run_that_goes_another_way_is_refused_untrained(copy, capsys, changes, message):
    _changed(copy / "checkpoint.json", **changes)
    known = _trained(copy)
    (copy / "archive.sqlite-wal").unlink(missing_ok=True)  # empty, left by looking at it
    before = {name: content for name, content in _contents(copy).items() if not name.startswith("archive")}
    assert re.match(f"error: a run must go on the way it went, but {message}", _refused(capsys, copy))
    assert {name: content for name, content in _contents(copy).items() if not name.startswith("archive")} == before
    assert _trained(copy) == known, "no row more, and it is still finished"


def test_a_run_without_a_checkpoint_goes_on_and_writes_one(copy, capsys):
    before = {name: (copy / name).read_bytes() for name in TABLES}
    (copy / "checkpoint.json").unlink()
    assert _called(capsys, "resume", copy, "--quiet")[0] == 0
    assert {name: (copy / name).read_bytes() for name in TABLES} == before


@pytest.mark.parametrize("name", ["ENOSPC", "EROFS", "EACCES"])
def test_a_checkpoint_that_cannot_be_written_ends_a_run_in_one_line(copy, capsys, monkeypatch, name):
    good = {name: (copy / name).read_bytes() for name in TABLES}
    (copy / "checkpoint.json").unlink()
    known = _trained(copy)[0]

    def refuse(_descriptor):
        raise OSError(getattr(errno, name), os.strerror(getattr(errno, name)))

    monkeypatch.setattr(files.os, "fsync", refuse)
    said = _refused(capsys, copy)
    assert f"checkpoint.json is not ({os.strerror(getattr(errno, name))}): what was written before is kept" in said
    monkeypatch.undo()
    assert _trained(copy) == (known, "failed")
    assert not list(copy.glob("*.part"))
    assert _called(capsys, "resume", copy, "--quiet")[0] == 0
    assert {name: (copy / name).read_bytes() for name in TABLES} == good


def _limited(folder, warm, limit):
    """Resume in a process of its own that may do less than it needs once all is loaded; return what it says."""
    code = (
        "import os, resource, sys\nfrom gaaf_gp.cli import main\n"
        f"try:\n    main(['resume', {str(warm)!r}, '--quiet'])\nexcept SystemExit:\n    pass\n"
        f"{limit}\nmain(['resume', {str(folder)!r}, '--quiet'])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=200)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    return done.stderr.strip()


def test_a_disk_that_is_full_is_said_in_one_line_and_the_run_goes_on_later(copy, capsys):
    """No file may grow beyond what the archive has already, as on a disk that is full."""
    good, known = {name: (copy / name).read_bytes() for name in TABLES}, _trained(copy)[0]
    said = _limited(copy, copy, "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))")
    assert said.startswith("error: an archive must be usable, but using")
    assert "what was written before is kept" in said
    assert {name: (copy / name).read_bytes() for name in TABLES} == good
    assert _trained(copy)[0] == known
    assert _called(capsys, "resume", copy, "--quiet")[0] == 0
    assert {name: (copy / name).read_bytes() for name in TABLES} == good


def _for_all():
    """Return whether any user may read the package: a checkout in somebody's home often is for nobody else."""
    package = Path(files.__file__)
    return all(one.stat().st_mode & 0o001 for one in package.parents)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
@pytest.mark.skipif(not _for_all(), reason="another user may not read this checkout")
def test_a_folder_that_is_read_only_is_said_in_one_line(finished, copy):
    with tempfile.TemporaryDirectory() as name:  # one that any user may enter, unlike those of pytest
        Path(name).chmod(0o755)
        place = Path(shutil.copytree(finished, Path(name) / "run"))
        for one in [*place.iterdir(), place]:
            one.chmod(0o555 if one.is_dir() else 0o444)
        before = _contents(place)
        said = _limited(place, copy, f"os.setgid({NOBODY}); os.setuid({NOBODY})")
        assert said.splitlines()[-1].startswith(
            f"error: an archive must be usable, but using {place / 'archive.sqlite'}"
        )
        assert said.splitlines()[-1].endswith("read-only: choose a folder that can be written to")
        assert _contents(place) == before
        place.chmod(0o755)


OWN = """
import torch
from gaaf_gp import PrimitiveSet
from gaaf_gp.types import Feature

def own() -> PrimitiveSet:
    pset = PrimitiveSet("own")
    pset.addPrimitive(torch.FIRST, [Feature], Feature, name="wave")
    pset.addPrimitive(torch.add, [Feature, Feature], Feature, commutative=True)
    pset.addPrimitive(torch.sub, [Feature, Feature], Feature)
    return pset
"""


def _edited(code, function):
    code.write_text(OWN.replace("FIRST", function))
    later = time.time() + random.randrange(10, 10_000)  # no cache of the module is of this second
    os.utime(code, (later, later))
    sys.modules.pop(code.stem, None)


def test_a_primitive_of_the_same_name_that_computes_something_else_is_refused(tmp_path, capsys):
    code, folder = tmp_path / "own_set.py", tmp_path / "run"
    _edited(code, "sin")
    options = ["--primitives", f"{code}:own", "--quiet"]
    small = ["--limit", "500", "--epochs", "1", "--evaluations", "6", "--population", "4", "--no-random-search"]
    assert _called(capsys, "evolve", *small, *options, "--workers", 1, "--fresh-seeds", 2, "--out", folder)[0] == 0
    good = _contents(folder)
    _edited(code, "cos")
    assert "'wave' computes something else than it did: bring back what was" in _refused(capsys, folder, *options)
    assert _contents(folder) == good
    _edited(code, "sin")
    assert _called(capsys, "resume", folder, *options)[0] == 0
    assert {name: (folder / name).read_bytes() for name in TABLES} == {name: good[name] for name in TABLES}


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


def test_a_run_with_relative_paths_goes_on_from_another_folder_however_they_are_spelled(
    image_folder, tmp_path, capsys, monkeypatch
):
    start, elsewhere = tmp_path / "start", tmp_path / "elsewhere"
    start.mkdir()
    elsewhere.mkdir()
    (start / "pictures").symlink_to(image_folder)
    (start / "link.py").symlink_to(start / "relative_set.py")
    _edited(start / "relative_set.py", "sin")
    monkeypatch.chdir(start)
    small = ["--epochs", 1, "--evaluations", 4, "--population", 2, "--no-random-search", "--workers", 1, "--quiet"]
    named = ["--primitives", "relative_set.py:own", "--data", "pictures", "--archive", "all.sqlite"]
    options = [*small, *named, "--batch-size", 8, "--fresh-seeds", 2]
    assert _called(capsys, "evolve", *options, "--out", "run")[0] == 0
    tables = [(start / "run" / name).read_bytes() for name in TABLES]

    monkeypatch.chdir(elsewhere)
    run = "../start/run"
    for spelled in ("../start/relative_set.py:own", "../start/./link.py:own", f"{start}/relative_set.py:own"):
        assert _called(capsys, "resume", run, "--primitives", spelled, "--quiet")[0] == 0
    shutil.copy(start / "relative_set.py", elsewhere / "moved_set.py")
    for moved in (["--data", image_folder], []):
        assert _called(capsys, "resume", run, "--primitives", "moved_set.py:own", *moved, "--quiet")[0] == 0
    assert [(start / "run" / name).read_bytes() for name in TABLES] == tables
    assert _called(capsys, "report", run, "--primitives", "moved_set.py:own")[0] == 0
    again = ["--config", f"{run}/config.json", "--primitives", "moved_set.py:own", "--out", "second", "--quiet"]
    assert _called(capsys, "evolve", *again)[0] == 0
    assert (elsewhere / "second" / "logbook.csv").read_bytes() == (start / "run" / "logbook.csv").read_bytes()
    assert not (elsewhere / "all.sqlite").exists()

    _edited(elsewhere / "moved_set.py", "cos")
    assert "'wave' computes something else" in _refused(capsys, start / "run", "--primitives", "moved_set.py:own")
    (start / "run" / "checkpoint.json").unlink()
    said = _refused(capsys, start / "run", "--primitives", "moved_set.py:own")
    assert "must go on with its own primitive set" in said
    for name in ("relative_set", "moved_set"):
        sys.modules.pop(name, None)


def test_the_command_that_goes_on_names_the_set_that_it_would_ask_for(tmp_path):
    config = {"primitives": "my sets.py:own"}
    assert resume_command(tmp_path, config) == f"gaaf-gp resume {tmp_path} --primitives 'my sets.py:own'"
    assert resume_command(tmp_path, {"primitives": "primitives.gaaf:free"}) == f"gaaf-gp resume {tmp_path}"


@pytest.mark.parametrize("option", ["--out", "--data", "--primitives", "--archive", "class"])
def test_what_could_not_be_written_down_is_refused_ahead_of_any_training(image_folder, tmp_path, capsys, option):
    place = tmp_path / os.fsdecode(b"caf\xe9")
    values = {"--data": str(image_folder), "--out": str(tmp_path / "run")}
    if option == "--data":
        shutil.copytree(image_folder, place)
        values[option] = str(place)
    elif option == "class":
        shutil.copytree(image_folder, tmp_path / "pictures")
        values["--data"] = str(tmp_path / "pictures")
        first = next((tmp_path / "pictures" / "train").iterdir())
        first.rename(first.with_name(place.name))
    elif option == "--primitives":
        place.mkdir()
        _edited(place / "latin_set.py", "sin")
        values[option] = f"{place}/latin_set.py:own"
    else:
        place.mkdir()
        values[option] = str(place / "new")
    status, _, err = _called(capsys, "evolve", *(word for pair in values.items() for word in pair), "--quiet")
    assert status == 2
    assert len(err.splitlines()) == 1
    assert "must be text in UTF-8" in err
    assert not (tmp_path / "run").exists()
    assert not (place / "new").exists()


@pytest.mark.slow(40)
def test_a_run_that_ended_is_extended(tmp_path, capsys):
    options = ["--limit", "400", "--population", "5", "--no-random-search", "--fresh-seeds", "2", "--quiet"]
    options += ["--elite", "1", "--crossover", "0.3", "--mutation", "0.9", "--workers", "1"]
    short, whole = tmp_path / "short", tmp_path / "whole"
    subprocess.run([*RUN, "evolve", *options, "--evaluations", "8", "--out", short], check=True, timeout=600)
    subprocess.run([*RUN, "resume", short, "--evaluations", "12", "--quiet"], check=True, timeout=600)
    subprocess.run([*RUN, "evolve", *options, "--evaluations", "12", "--out", whole], check=True, timeout=600)
    for name in TABLES:
        assert (short / name).read_bytes() == (whole / name).read_bytes(), name
    assert json.loads((short / "config.json").read_text())["settings"]["evaluations"] == 12
    with pytest.raises(SystemExit):
        main(["resume", str(short), "--evaluations", "9", "--quiet"])
    assert "it had 12, and 9 are asked for: give a larger --evaluations" in capsys.readouterr().err
