"""gaaf-gp retrain as a person runs it: a table, an interruption that costs nothing, one line for whatever is wrong."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from gaaf_gp import cli
from gaaf_gp.cli.retrain import best_of, chosen
from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation.table import save_table
from tests.cli.calls import call

TINY = (
    "--epochs", "8", "--batch-size", "6", "--learning-rate", "0.03", "--pad", "0", "--seeds", "2",
    "--val-fraction", "0.25", "--quiet",
)  # fmt: skip
"""A short training that learns: one that guesses may call every image the same, which is a failure."""


def started(*arguments):
    # a job in a shell's background ignores Ctrl-C, and without env so would what it starts
    command = ["env", "--default-signal=INT", sys.executable, "-m", "gaaf_gp.cli", "retrain", *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )


def results(folder):
    """All that must not depend on how it came about: the table, and the trainings without their wall time."""
    result = json.loads((folder / "result.json").read_text())
    trainings = sorted((str(one["text"]), one["seed"], one["accuracy"], one["curve"]) for one in result["trainings"])
    return [(folder / f"table.{ending}").read_text() for ending in ("txt", "csv", "tex")], trainings


@pytest.mark.slow(45)
def test_an_interrupted_command_goes_on_to_the_same_table(capsys, image_folder, tmp_path):
    arguments = ("--data", image_folder, "--expression", "add(sin(x), x)", "--baselines", "sign", *TINY)
    arguments += ("--epochs", 16, "--batch-size", 3)
    part, whole = tmp_path / "part", tmp_path / "whole"
    running = started(*arguments, "--workers", 2, "--out", part)
    until = time.monotonic() + 200
    while time.monotonic() < until and len(list(part.glob("checkpoints/*.safetensors"))) < 2:
        time.sleep(0.05)
    os.killpg(running.pid, signal.SIGINT)
    printed, errors = running.communicate(timeout=200)
    assert running.returncode == 130, errors
    assert "Traceback" not in errors
    assert errors.endswith("interrupted\n")
    assert re.search(r"^[0-3] of 4 trainings have ended; the same command goes on\.$", printed, re.MULTILINE)
    assert not (part / "table.txt").exists()
    assert list(part.glob("checkpoints/*.safetensors")), "what was trained is kept"
    status, printed, errors = call(capsys, "retrain", *arguments, "--workers", 1, "--out", part)
    assert (status, errors) == (0, "")
    assert call(capsys, "retrain", *arguments, "--workers", 1, "--out", whole)[0] == 0
    assert results(part) == results(whole)
    assert f"Everything is in {part}" in printed


def test_the_table_shows_functions_and_controls(capsys, image_folder, tmp_path):
    status, printed, errors = call(
        capsys, "retrain", "--data", image_folder, "--expression", "sin(x)", "--expression", "cos(x) | x", *TINY,
        "--against", "sign, rsign", "--workers", 1, "--two-stage", 0.5, "--out", tmp_path / "out",
    )  # fmt: skip
    assert (status, errors) == (0, "")
    for text in ("sin(x)", "rprelu", "vs sign", "vs rsign", "baseline"):
        assert text in printed
    assert "forward: cos(x); backward: x" in (tmp_path / "out" / "table.txt").read_text()
    with (tmp_path / "out" / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == ["sign", "rsign", "rprelu", "f1", "f2"] * 2
    assert [row["against"] for row in rows] == ["sign"] * 5 + ["rsign"] * 5
    assert {row["seeds"] for row in rows} == {"2"}
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert result["epochs"] == [4, 4]
    assert result["candidates"]["f2"]["text"] == "cos(x) | x"


def test_images_may_stay_in_their_files(capsys, image_folder, tmp_path):
    status, _, errors = call(
        capsys, "retrain", "--data", image_folder, "--stream", "--image-size", 8, "--baselines", "sign,rsign", *TINY,
        "--epochs", 30, "--workers", 1, "--out", tmp_path / "out",
    )  # fmt: skip
    assert (status, errors) == (0, "")
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert result["proxy"]["data"]["names_sha256"]
    assert [one["seeds"] for one in result["rows"]] == [2, 2]


@pytest.fixture(scope="module")
def search(image_folder, tmp_path_factory):
    """A folder of gaaf-gp evolve."""
    out = tmp_path_factory.mktemp("search") / "run"
    with pytest.raises(SystemExit) as ended:
        cli.main(
            ["evolve", "--data", str(image_folder), "--evaluations", "3", "--population", "3", "--epochs", "1",
             "--batch-size", "8", "--fresh-seeds", "2", "--workers", "1", "--quiet", "--out", str(out),
             "--primitives", "primitives.minimal:make_pset"]
        )  # fmt: skip
    assert ended.value.code == 0
    return out


def test_the_best_of_a_search_are_trained_on_its_data_with_its_primitives(capsys, search, minimal, tmp_path):
    arguments = ("--from", search, "--top", 2, "--baselines", "sign", *TINY, "--workers", 1, "--out", tmp_path / "out")
    status, _, errors = call(capsys, "retrain", *arguments)
    assert (status, errors) == (0, "")
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    config = json.loads((search / "config.json").read_text())
    assert result["proxy"]["data"]["name"] == config["proxy"]["data"]["name"]
    assert [one["text"] for one in result["candidates"].values()][1:] == [
        candidate.canonical for candidate in chosen(minimal, best_of(search, 2)[0], []).values()
    ]
    assert set(result["seeds"]).isdisjoint(json.loads((search / "result.json").read_text())["test"]["seeds"])


def test_the_best_of_a_table_are_trained(capsys, image_folder, tiny_table, minimal, tmp_path):
    save_table(tiny_table, tmp_path / "table.json.gz")
    arguments = (
        "--from", tmp_path / "table.json.gz", "--top", 3, "--primitives", "primitives.minimal:make_pset",
        "--baselines", "sign", "--data", image_folder, *TINY, "--workers", 1, "--out", tmp_path / "out",
    )  # fmt: skip
    status, _, errors = call(capsys, "retrain", *arguments)
    best = [entry.text for entry in tiny_table.best(1.0)][:3]
    assert (status, errors) == (0, "")
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert [one["text"] for one in result["candidates"].values()][1:] == [
        candidate.canonical for candidate in chosen(minimal, best, []).values()
    ]


def test_functions_are_named_in_order_and_once(free):
    found = chosen(free, ["sin(x)", "add(x, cos(x))", "add(cos(x), x)", "sin(x) | x"], ["sign", "rprelu"])
    assert list(found) == ["sign", "rprelu", "f1", "f2", "f3"]
    assert found["sign"] is None
    assert [found[name].canonical for name in ("f1", "f2", "f3")] == ["sin(x)", "add(cos(x), x)", "sin(x) | x"]
    for text in ("@sign", "@rsign"):
        with pytest.raises(GaafError, match=f"functions are trees, got the baseline '{text}': name it among"):
            chosen(free, [text], [])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--data GOOD --seeds 1", "seeds must be a whole number from 2 to 1000000000, got 1"),
        ("--data GOOD --epochs 0", "epochs must be a whole number of at least 1, got 0"),
        ("--data GOOD --two-stage 1", "two_stage must be a share of the epochs, from 0 to below 1, got 1.0"),
        ("--data GOOD --baselines sign,swish", r"a baseline must be one of @sign, @rsign, @rprelu, got '@swish'"),
        ("--data GOOD --against f1", "--against must name what is trained, sign, rsign, rprelu, got 'f1'"),
        ("--data GOOD --expression sin(y)", "'y' is not in set"),
        ("--data GOOD --expression @rsign", "functions are trees, got the baseline '@rsign'"),
        ("--data GOOD --teacher lenet", "classification model of torchvision .*got 'lenet'"),
        ("--data GOOD --teacher resnet18 --temperature 0", "temperature must be a finite number above 0, got 0.0"),
        ("--data GOOD --teacher none.safetensors", "there is none at none.safetensors"),
        ("--data GOOD --network lenet", "network must be a known name, got 'lenet'"),
        ("--data GOOD --workers 0", "workers must be a whole number of at least 1, got 0"),
        ("--data GOOD --from nowhere", "--from must be a folder of gaaf-gp evolve, but nowhere/config.json cannot"),
        ("--data GOOD --from SEARCH --top 100", r"--top must be from 1 to the \d+ candidates of .*, got 100"),
        ("--data GOOD --from SEARCH/config.json", "must be a whole gzip file, and reading .*config.json ended with"),
        ("--data GOOD --from HALF", "--from must be a folder of gaaf-gp evolve, and .* has no hall_of_fame.csv"),
        ("--data nosuchset", "data must be one of fashion10k"),
        ("--data GOOD --device abacus", "abacus"),
    ],
)
def test_bad_input_is_one_line_and_status_2(capsys, image_folder, search, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    half = tmp_path / "half"
    half.mkdir()
    (half / "config.json").write_text("{}")
    places = {"GOOD": image_folder, "SEARCH": search, "HALF": half}
    words = [re.sub("^[A-Z]+", lambda found: str(places.get(found[0], found[0])), word) for word in arguments.split()]
    words += [] if "--epochs" in words else ["--epochs", "1"]
    words += [] if "--batch-size" in words else ["--batch-size", "8"]
    status, out, err = call(capsys, "retrain", *words, "--out", "out")
    assert (status, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1, err
    assert re.search(message, err), err
    assert not (tmp_path / "out").exists(), "nothing may be written"


def test_help_is_given(capsys):
    status, out, err = call(capsys, "retrain", "--help")
    assert (status, err) == (0, "")
    for option in ("--from", "--top", "--two-stage", "--teacher", "--against", "--seeds"):
        assert option in out
