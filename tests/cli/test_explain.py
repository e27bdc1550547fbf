"""gaaf-gp explain as a person runs it: a run, a function by name or as text, and one line for whatever is wrong."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gaaf_gp import cli
from gaaf_gp.experiments.explanation import read_explanation
from tests.cli.calls import call

TINY = ("--epochs", "8", "--batch-size", "6", "--workers", "1", "--quiet")
"""A short training on images of tests that learns."""


@pytest.fixture(scope="module")
def run_folder(image_folder, tmp_path_factory):
    """A finished run on the images of tests; nobody but one test writes to it."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    with pytest.raises(SystemExit) as ended:
        cli.main(
            ["evolve", "--data", str(image_folder), "--evaluations", "3", "--population", "3", "--fresh-seeds", "2",
             "--no-random-search", "--no-racing", "--initial", "add(sin(x), x)", "--initial", "max(sin(x), x)",
             "--initial", "atan(x)", "--seed", "4", "--out", str(folder),
             *TINY]
        )  # fmt: skip
    assert ended.value.code == 0
    return folder


@pytest.mark.slow(40)
def test_the_winner_of_a_run_from_folder_to_page(capsys, run_folder, tmp_path):
    status, printed, errors = call(capsys, "explain", run_folder, "--seeds", 2, "--quiet")
    assert (status, errors) == (0, "")
    found = read_explanation(run_folder)
    result = json.loads((run_folder / "result.json").read_text())
    assert found.text == result["best"]
    # the seeds and the split are those of the confirmation
    assert list(found.seeds) == result["test"]["seeds"]
    assert list(found.cells[0].accuracies) == result["test"]["sign"]
    assert list(found.cells[-1].accuracies) == result["test"]["best"]
    for words in (found.infix, "sign(x)", "threshold", "f minus the plain sign is"):
        assert words in printed
    assert printed.splitlines()[-1] == f"Everything is in {run_folder}"
    assert call(capsys, "report", run_folder)[0] == 0
    page = (run_folder / "report.html").read_text(encoding="utf-8")
    assert page.count('id="why"') == 1
    assert found.verdict() in page
    kept = (run_folder / "explain.jsonl").read_text()
    before = time.monotonic()
    status, again, _ = call(capsys, "explain", run_folder, "--seeds", 2, "--json")  # nothing is trained again
    assert (run_folder / "explain.jsonl").read_text() == kept
    assert time.monotonic() - before < 60
    document = json.loads(again)
    assert status == 0
    assert document.pop("folder") == str(run_folder)
    assert document == json.loads((run_folder / "explain.json").read_text())
    status, _, errors = call(capsys, "explain", run_folder, "--rank", 2, "--seeds", 2, "--quiet")
    assert status == 2
    assert "begun with function" in errors
    out = tmp_path / "second"
    archive = run_folder / "archive.sqlite"
    status, printed, _ = call(capsys, "explain", archive, "--rank", 2, "--seeds", 2, "--out", out, "--json")
    assert status == 0
    assert json.loads(printed)["text"] in {"add(sin(x), x)", "max(sin(x), x)", "atan(x)"}
    assert sorted(path.name for path in out.iterdir()) == ["explain.json", "explain.jsonl"]


@pytest.mark.slow(20)
@pytest.mark.parametrize("source", ["cos-erf", "encoding1"])
def test_functions_by_name(capsys, image_folder, tmp_path, source):
    status, printed, errors = call(
        capsys, "explain", source, "--data", image_folder, "--seeds", 2, "--out", tmp_path / "out", "--json", *TINY
    )
    assert (status, errors) == (0, "")
    assert len(json.loads(printed)["cells"]) == 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sin("], "error: "),
        (["max(sin(x), x)", "--seeds", "1"], "seeds must be"),
        (["max(sin(x), x)", "--seeds", "0"], "seeds must be"),
        (["max(sin(x), x)", "--rank", "0"], "rank must be"),
        (["x"], "must differ from the plain sign"),
        (["@sign"], "only a tree or two trees can be explained"),
        (["square(x)"], "constant sign"),
        (["max(sin(x), x)", "--network", "none"], "network"),
        (["max(sin(x), x)", "--epochs", "0"], "epochs must be"),
        (["max(sin(x), x)", "--workers", "0"], "workers must be"),
        (["max(sin(x), x)", "--primitives", "nowhere:no"], "cannot import"),
        (["encoding1", "--rank", "100000"], "--rank must be from 1 to"),
        (["neg(neg(" * 500 + "x" + "))" * 500], "must differ from the plain sign"),
        (["sin(" * 100 + "x"], "error: cannot read"),
    ],
)
def test_nonsense_is_refused_in_one_line(capsys, image_folder, tmp_path, arguments, message):
    out = tmp_path / "out"
    common = ["--batch-size", "6", *([] if "--workers" in arguments else ["--workers", "1"])]
    status, printed, errors = call(capsys, "explain", *arguments, *common, "--data", image_folder, "--out", out)
    assert (status, printed) == (2, "")
    assert message in errors
    assert len(errors.splitlines()) == 1
    assert not out.exists()


def test_folders_that_are_no_runs_are_refused(capsys, tmp_path):
    status, _, errors = call(capsys, "explain", tmp_path)
    assert (status, len(errors.splitlines())) == (2, 1)
    (tmp_path / "config.json").write_text("{}")
    status, _, errors = call(capsys, "explain", tmp_path)
    assert (status, len(errors.splitlines())) == (2, 1)
    text = tmp_path / "table"
    text.write_text("no table")
    status, _, errors = call(capsys, "explain", text)
    assert (status, len(errors.splitlines())) == (2, 1)


def test_code_of_strangers_is_not_loaded(capsys, make_foreign_run):
    folder = make_foreign_run("evil")
    status, _, errors = call(capsys, "explain", folder)
    assert status == 2
    assert "if you trust it, pass --primitives" in errors
    assert "evil" not in sys.modules


@pytest.fixture
def make_foreign_run(tmp_path):
    """A function that makes a run whose primitive set is code of somebody's."""
    from tests.experiments.report.conftest import Run, fill

    def make(name: str) -> Path:
        code = tmp_path / f"{name}.py"
        code.write_text("raise SystemExit('loaded')\n")
        run = Run(tmp_path / "run", primitives=f"{code}:make")
        fill(run, 5, 5)
        return run.end()

    return make


@pytest.mark.slow(40)
def test_an_interrupted_command_goes_on_to_the_same_numbers(capsys, image_folder, tmp_path):
    arguments = ("max(sin(x), x)", "--data", image_folder, "--seeds", 3, "--epochs", 12, "--batch-size", 6)
    part, whole = tmp_path / "part", tmp_path / "whole"
    command = ["env", "--default-signal=INT", sys.executable, "-m", "gaaf_gp.cli", "explain", *map(str, arguments)]
    running = subprocess.Popen(
        [*command, "--workers", "2", "--out", str(part), "--quiet"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, start_new_session=True,
    )  # fmt: skip
    until = time.monotonic() + 200
    journal = part / "explain.jsonl"
    while time.monotonic() < until and not (journal.exists() and len(journal.read_text().splitlines()) > 2):
        time.sleep(0.02)
    os.killpg(running.pid, signal.SIGINT)
    _, errors = running.communicate(timeout=200)
    assert running.returncode == 130, errors
    assert errors.splitlines()[-2:] == [f"what has ended is kept in {part}; the same command goes on", "interrupted"]
    assert not (part / "explain.json").exists()
    for folder in (part, whole):
        assert call(capsys, "explain", *arguments, "--workers", 1, "--out", folder, "--quiet")[0] == 0
    assert read_explanation(part) == read_explanation(whole)
