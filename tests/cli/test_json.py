"""``--json``: each command has it, prints one document and nothing else, and says errors as JSON too."""

import json
import math
import os
import signal
import subprocess
import sys
import time

import pytest
import typer

from gaaf_gp.activations.catalogue import CatalogueEntry, gain_of, save_catalogue
from gaaf_gp.cli import application, main
from gaaf_gp.trees.parser import parse
from primitives import gaaf
from tests.cli.calls import call
from tests.cli.tree import leaves

SMALL = ("--workers", "1", "--batch-size", "8", "--quiet")
SEARCH = (
    *SMALL,
    "--epochs",
    "1",
    "--evaluations",
    "4",
    "--population",
    "3",
    "--fresh-seeds",
    "2",
    "--no-random-search",
)


COMMANDS = dict(leaves(typer.main.get_command(application())))


def document(capsys, *arguments):
    """Return what a command prints with --json, which must be one line of strict JSON."""
    status, out, err = call(capsys, *arguments, "--json")
    assert (status, err) == (0, "")
    assert out.count("\n") == 1

    def never(number):
        raise AssertionError(f"{number} is not JSON")

    return json.loads(out, parse_constant=never)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, image_folder):
    """A run, a retraining and a catalogue."""
    root = tmp_path_factory.mktemp("json")
    data = ["--data", str(image_folder)]
    retraining = ["--expression", "add(sin(x), x)", "--baselines", "sign", "--epochs", "6", "--seeds", "2"]
    retraining += ["--learning-rate", "0.02", "--pad", "1"]
    for arguments in (
        ["evolve", *data, *SEARCH, "--out", root / "run"],
        ["retrain", *data, *SMALL, *retraining, "--out", root / "retrained"],
    ):
        with pytest.raises(SystemExit) as ended:
            main(list(map(str, arguments)))
        assert ended.value.code == 0
    tree = parse("add(sin(x), x)", gaaf.free())
    gain = gain_of(json.loads((root / "retrained" / "result.json").read_text()), "f1")
    entry = CatalogueEntry(
        "wave", tree.canonical, "primitives.gaaf:free", tree.infix(), tree.latex(), ("periodic",), {"found": "by hand"},
        (gain,),
    )  # fmt: skip
    save_catalogue([entry], root / "catalogue.json")
    return root


def result(place):
    return json.loads((place / "result.json").read_text())


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_each_command_has_it_and_says_errors_as_json(capsys, path):
    options = {name for parameter in COMMANDS[path].params for name in parameter.opts}
    assert "--json" in options
    status, out, err = call(capsys, *path, "--json", "--nonsense")
    assert (status, out) == (2, "")
    assert json.loads(err)["error"].startswith("No such option: --nonsense")


def test_a_search_prints_its_result(capsys, image_folder, tmp_path):
    found = document(capsys, "evolve", "--data", image_folder, *SEARCH, "--out", tmp_path / "run")
    assert found == result(tmp_path / "run") | {"folder": str(tmp_path / "run"), "resume": None}
    again = document(capsys, "resume", tmp_path / "run", "--quiet")
    assert {**again, "seconds": 0, "seconds_search": 0} == {**found, "seconds": 0, "seconds_search": 0}


def test_a_retraining_prints_its_result(capsys, image_folder, tmp_path):
    found = document(
        capsys, "retrain", "--data", image_folder, "--expression", "sin(x)", "--baselines", "sign", *SMALL,
        "--seeds", 2, "--epochs", 1, "--out", tmp_path,
    )  # fmt: skip
    about = {"complete": True, "ended": 4, "wanted": 4, "folder": str(tmp_path)}
    assert found == result(tmp_path) | about


def test_show(capsys):
    found = document(capsys, "show", "add(neg(neg(sin(x))), x)")
    assert (found["size"], found["height"]) == (6, 4)
    assert found["cost"] == 7
    assert found["positive"] == pytest.approx(0.5, abs=0.01)
    assert found["rejected"] is None
    assert found["simply"] == {"text": "add(sin(x), x)", "formula": "sin(x) + x", "size": 4}
    assert document(capsys, "show", "square(x)")["rejected"] == "constant sign"
    assert document(capsys, "show", "sin(x)")["simply"] is None


@pytest.mark.parametrize("command", ["tree", "activation"])
def test_plot(capsys, tmp_path, command):
    path = tmp_path / "figure.svg"
    assert document(capsys, "plot", command, "sin(x)", "--out", path) == {"file": str(path)}
    assert path.read_text().startswith("<?xml")


def test_primitives(capsys):
    found = document(capsys, "primitives", "--tag", "periodic")
    sine = found["entries"][0]
    assert (sine["name"], sine["cost"]) == ("sin", 4)
    assert sine["values"] == pytest.approx([math.sin(x) for x in sine["x"]])
    (drawn,) = [one for one in document(capsys, "primitives")["entries"] if one["kind"] == "drawn constant"]
    assert drawn["values"] == []


def test_compare(capsys, folder, image_folder, tmp_path):
    main_arguments = ["evolve", "--data", image_folder, *SEARCH, "--seed", 1, "--out", tmp_path / "other"]
    assert call(capsys, *main_arguments)[0] == 0
    found = document(capsys, "compare", folder / "run", tmp_path / "other")
    assert [one["seed"] for one in found["runs"]] == [0, 1]
    assert found["runs"][0]["validation"] == result(folder / "run")["validation"]["best"]


def test_catalogue(capsys, folder, image_folder, tmp_path):
    option = ("--catalogue", folder / "catalogue.json")
    (listed,) = document(capsys, "catalogue", "list", *option)
    shown = document(capsys, "catalogue", "show", "wave", *option)
    assert listed == shown
    assert (shown["formula"], shown["tags"]) == ("sin(x) + x", ["periodic"])
    assert isinstance(shown["gains"][0]["points"], float)
    measured = document(
        capsys, "catalogue", "measure", "wave", *option, "--data", image_folder, "--seeds", 2, "--workers", 1,
        "--quiet", "--out", tmp_path / "measured",
    )  # fmt: skip
    assert measured["recorded"] == shown["gains"][0]
    gain = gain_of(result(tmp_path / "measured"), "wave")
    assert (measured["measured"]["points"], measured["measured"]["low"]) == (gain.points, gain.low)
    assert measured["within"] == (gain.low <= shown["gains"][0]["points"] <= gain.high)
    assert (measured["differ"], measured["complete"]) == ([], True)


def test_archive(capsys, folder, tmp_path):
    file = folder / "run" / "archive.sqlite"
    listed = document(capsys, "archive", "ls", file)
    assert len(listed) == 5, "four candidates and the plain sign"
    assert all(isinstance(one["accuracy"], float) for one in listed)
    assert document(capsys, "archive", "ls", file, "--runs")[0]["status"] == "finished"
    assert document(capsys, "archive", "show", file, listed[0]["text"])[0]["formula"] == listed[0]["formula"]
    table = tmp_path / "table.csv"
    (written,) = document(capsys, "archive", "export", file, "--csv", table)
    assert written == {"file": str(table), "trainings": len(table.read_text().splitlines()) - 1}
    merged = document(capsys, "archive", "merge", tmp_path / "all.sqlite", file)
    assert merged[str(file)]["new"] == written["trainings"]
    assert document(capsys, "archive", "check", file)["problems"] == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("show sin(y)", "cannot read"),
        ("show", "Missing argument"),
        ("plot tree sin(x) --out nowhere/tree.png", "needs an existing folder"),
        ("evolve --data nosuchset", "data must be one of"),
        ("archive ls nowhere.sqlite", "nowhere.sqlite"),
        ("nonsense", "No such command"),
    ],
)
def test_errors_keep_their_status_and_are_json(capsys, monkeypatch, tmp_path, line, message):
    monkeypatch.chdir(tmp_path)
    status, out, err = call(capsys, *line.split(), "--json")
    assert (status, out) == (2, "")
    assert message in json.loads(err)["error"]
    plain = call(capsys, *line.split())
    assert plain[0] == 2
    assert plain[2] == f"error: {json.loads(err)['error']}\n"
    event = json.loads(call(capsys, *line.split(), "--progress", "json")[2])
    assert event["event"] == "error"


def test_a_search_that_is_stopped_says_all_as_json(image_folder, tmp_path):
    out = tmp_path / "run"
    endless = ["--evaluations", "100000", "--workers", "1", "--epochs", "1", "--batch-size", "8", "--population", "3"]
    running = subprocess.Popen(
        # a job in a shell's background ignores Ctrl-C, and without env so would what it starts
        ["env", "--default-signal=INT", sys.executable, "-m", "gaaf_gp.cli", "evolve", "--data", str(image_folder),
         *endless, "--out", str(out), "--json", "--progress", "json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    lines = []
    for line in running.stderr:  # until a candidate was trained
        lines.append(line)
        if json.loads(line)["event"] == "evaluation":
            break
    time.sleep(0.5)
    os.killpg(running.pid, signal.SIGINT)
    printed, errors = running.communicate(timeout=60)
    assert running.returncode == 130
    events = [json.loads(line) for line in [*lines, *errors.splitlines()]]
    assert events[0]["event"] == "start"
    assert [one["event"] for one in events][-3:] == ["end", "interrupted", "error"]
    assert events[-2]["resume"] == f"gaaf-gp resume {out}"
    assert events[-1]["error"] == "interrupted"
    found = json.loads(printed)
    assert found["interrupted"]
    assert found["resume"] == f"gaaf-gp resume {out}"
    assert found["evaluations"] == sum(one["event"] == "evaluation" for one in events) > 0


def test_warnings_are_events_where_nothing_else_may_be():
    script = (
        "import sys, warnings\n"
        "from gaaf_gp.cli.output import warnings_as_events\n"
        "for arguments in (['--progress', 'json'], ['--progress=json']):\n"
        "    with warnings_as_events(arguments):\n"
        "        warnings.warn('careful', stacklevel=1)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    found = [json.loads(line) for line in done.stderr.splitlines()]
    assert found[0] == {"event": "warning", "warning": "careful", "category": "UserWarning"}


LOUD = """
import os, sys
import torch
from gaaf_gp import PrimitiveSet
from gaaf_gp.types import Feature

def loud(x):
    print("from Python")
    sys.stdout.flush()
    os.write(1, b"past Python\\n")
    if x.numel() > 2000:  # more than a set tries out
        sys.exit("enough")
    return torch.sin(x)

def make() -> PrimitiveSet:
    os.system("echo from a child")
    pset = PrimitiveSet("loud")
    pset.addPrimitive(loud, [Feature], Feature)
    pset.addPrimitive(torch.add, [Feature, Feature], Feature)
    return pset
"""


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow(15))])
def test_what_primitives_print_is_not_in_the_document_and_their_exit_is_a_candidates(tmp_path, image_folder, workers):
    code = tmp_path / "loud_set.py"
    code.write_text(LOUD, encoding="utf-8")
    options = [*SEARCH, "--network", "small", "--workers", str(workers), "--json"]
    ended = subprocess.run(
        [sys.executable, "-m", "gaaf_gp.cli", "evolve", "--primitives", f"{code}:make", "--data", str(image_folder),
         *options, "--out", str(tmp_path / "run")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["folder"] == str(tmp_path / "run")
    for line in ("from Python", "past Python", "from a child"):
        assert line in ended.stderr


@pytest.mark.parametrize(
    "settings", [{"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, {"PYTHONIOENCODING": "ascii"}]
)
def test_a_terminal_that_knows_ascii_only_shows_what_is_beyond_it(tmp_path, settings):
    target = os.path.join(tmp_path, "caf\u00e9 \u221e.png")  # noqa: PTH118  bytes of UTF-8, whatever the locale is
    ended = subprocess.run(
        [sys.executable, "-m", "gaaf_gp.cli", "plot", "tree", "sin(x)", "--out", target.encode()],
        env={**os.environ, **settings}, capture_output=True, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert ended.stdout.startswith(b"wrote ")
