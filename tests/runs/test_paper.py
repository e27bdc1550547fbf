"""The scripts of the paper's search spaces, as a person runs them, at a tiny scale."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from gaaf_gp.activations.behaviour import behaviour
from gaaf_gp.experiments import run_folder
from gaaf_gp.search import PUBLISHED, REPAIRED
from gaaf_gp.trees.parser import parse
from primitives import gaaf
from tests.scripts import loaded

RUNS = Path(__file__).parents[2] / "runs"
TINY = ["--epochs", "1", "--batch-size", "8", "--workers", "1"]


def started(script, *arguments):
    # a job in a shell's background ignores Ctrl-C, and without env so would what it starts
    command = ["env", "--default-signal=INT", sys.executable, str(RUNS / script), *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def finished(process):
    printed, errors = process.communicate(timeout=120)
    return process.returncode, printed, errors


@pytest.fixture
def tiny(image_folder, tmp_path):
    return [*TINY, "--data", image_folder, "--out", tmp_path / "out"]


def entries(folder):
    lines = [json.loads(line) for line in (folder / "evaluations.jsonl").read_text().splitlines()]
    return lines[0]["provenance"], lines[1:]


@pytest.mark.parametrize(
    ("script", "arguments", "genes"),
    [
        ("paper_encoding1.py", [], 3),
        ("paper_encoding1.py", ["--threshold", "1"], 3),  # nobody is good enough for the population
        ("paper_encoding2.py", ["--published"], 6),
        ("random_search.py", [], 3),
    ],
)
def test_a_search_is_run_confirmed_and_written(script, arguments, genes, tiny, tmp_path):
    population = [] if script == "random_search.py" else ["--population", 2]
    status, printed, errors = finished(started(script, *tiny, *population, *arguments, "--evaluations", 12))
    assert status == 0, errors
    assert "x (plain sign)" in printed
    assert "The evolved activation is" in printed
    config, result = (json.loads((tmp_path / "out" / name).read_text()) for name in ("config.json", "result.json"))
    assert config["primitives"] == f"primitives.gaaf:encoding{genes // 3}"
    assert config["racing"] is None
    assert config["proxy"]["epochs"] == 1
    if genes == 3 and script != "random_search.py":
        assert config["repairs"]["tournament_by_fitness"]
    if "--published" in arguments:
        assert not any(config["repairs"].values())
    pset = gaaf.encoding1() if genes == 3 else gaaf.encoding2()
    rows = run_folder.hall_rows(tmp_path / "out")
    assert {len(gaaf.to_genes(parse(row["text"], pset))) for row in rows} == {genes}
    assert (tmp_path / "out" / "logbook.csv").read_text().splitlines()[-1].split(",")[4] == "12"
    assert len(result["test"]["seeds"]) == 5


@pytest.mark.parametrize(("name", "threshold"), [("paper_encoding1", 0.11), ("paper_encoding2", 0.2)])
@pytest.mark.parametrize(("published", "repairs"), [(True, PUBLISHED), (False, REPAIRED)])
def test_its_choices_are_the_paper_s(name, threshold, published, repairs, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(RUNS)
    script = loaded(f"runs/{name}.py")
    algorithm = script if name == "paper_encoding1" else script.paper_encoding1
    asked = {}

    def run(settings, *, search, notes):
        search(settings, "set", "evaluator", "lines")
        asked.update(notes=notes, settings=settings)
        return {}

    monkeypatch.setattr(algorithm, "genetic", lambda pset, evaluator, **choices: asked.update(choices))
    monkeypatch.setattr(algorithm, "run", run)
    monkeypatch.setattr(algorithm.run_folder, "hall_rows", lambda folder: [])
    monkeypatch.setattr(algorithm.run_folder, "print_summary", lambda *shown: None)
    script.main(replace(script.SETTINGS, out=tmp_path, evaluations=8, seed=9), published=published)
    assert asked["repairs"] == repairs
    assert (asked["evaluations"], asked["population_size"], asked["generations"]) == (8, 30, None)
    assert (asked["children"], asked["threshold"], asked["seed"], asked["progress"]) == (10, threshold, 9, "lines")
    notes, settings = asked["notes"], asked["settings"]
    assert (notes["search"], notes["children"], notes["threshold"]) == ("genetic", 10, threshold)
    assert any(notes["repairs"].values()) != published
    assert (settings.primitives, settings.racing) == (f"primitives.gaaf:{name.removeprefix('paper_')}", False)
    assert (script.SETTINGS.evaluations, script.SETTINGS.data) == (2030, "fashion10k")


def test_bad_input_is_said_in_one_line(tiny):
    status, printed, errors = finished(started("paper_encoding1.py", *tiny, "--evaluations", 0))
    assert (status, printed) == (2, "")
    assert errors == "error: evaluations must be a whole number of at least 1, got 0: give 1 or more\n"


def test_the_exhaustive_run_goes_on_where_it_was(tiny, tmp_path):
    file = tmp_path / "out" / "evaluations.jsonl"
    assert finished(started("exhaustive_encoding1.py", *tiny, "--evaluations", 3))[0] == 0
    first = file.read_text()
    file.write_text(first + '{"genes": [0, 0')
    status, printed, errors = finished(started("exhaustive_encoding1.py", *tiny, "--evaluations", 5))
    assert status == 0, errors
    assert "5 distinct functions evaluated" in printed
    assert "genotypes left out: constant sign" in printed
    assert file.read_text().startswith(first)
    provenance, found = entries(tmp_path / "out")
    assert provenance["seeds"] == [0]
    assert provenance["proxy"]["data"]["train"] == 30
    assert provenance["versions"]["torch"]
    assert len({entry["signature"] for entry in found}) == len(found) == 5
    for entry in found:
        tree = gaaf.from_genes(entry["genes"], gaaf.encoding1())
        assert tree.canonical == entry["text"]
        assert behaviour(tree).signature == entry["signature"]
        assert entry["curve"]["0"][-1] == entry["accuracy"]["0"]
        assert entry["seconds"] > 0
        assert entry["failure"] is None
    status, _, errors = finished(started("exhaustive_encoding1.py", *tiny, "--evaluations", 5, "--seeds", 2))
    assert status == 2
    assert "was begun with seeds [0], now [0, 1]" in errors


def test_ctrl_c_keeps_the_evaluations_and_says_so(tiny, tmp_path):
    file = tmp_path / "out" / "evaluations.jsonl"
    process = started("exhaustive_encoding1.py", *tiny)
    until = time.monotonic() + 60
    while time.monotonic() < until and not (file.exists() and file.read_text().count("\n") > 3):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    status, printed, errors = finished(process)
    assert status == 130
    assert errors.endswith("interrupted\n")
    _, found = entries(tmp_path / "out")
    assert 3 <= len(found) < 2000
    assert f"{len(found)} distinct functions evaluated" in printed
