"""The script that compares cheap proxies with a long training, as a person runs it, at a tiny scale."""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from gaaf_gp.statistics import rank_correlation
from tests.scripts import loaded

LONG = 10  # epochs: ten times the one of the default proxy here
SCRIPT = Path(__file__).parents[2] / "runs" / "fidelity.py"


@pytest.fixture(scope="module")
def fidelity():
    return loaded("runs/fidelity.py")


def run(out, *arguments):
    command = [sys.executable, str(SCRIPT), "--limit", "200", "--out", str(out), "--batch-size", "32"]
    command += ["--workers", "1", "--pilot", "7", "--functions", "5", "--default-epochs", "1", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    found = subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment, check=False)
    return found.returncode, found.stdout, found.stderr


@pytest.mark.slow(30)
def test_it_trains_everything_once_and_goes_on_where_it_was(tmp_path, fidelity):
    status, printed, errors = run(tmp_path)
    assert status == 0, errors
    file = tmp_path / "trainings.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    trainings = lines[1:]
    counts = {(one["epochs"], one["seed"]): 0 for one in trainings}
    for one in trainings:
        counts[one["epochs"], one["seed"]] += 1
    expected = {(1, fidelity.PILOT_SEED): 7}
    expected |= {(epochs, fidelity.SHORT_SEED): 5 for epochs in fidelity.EPOCHS}
    expected |= {(LONG, seed): 5 for seed in fidelity.LONG_SEEDS}
    assert counts == expected
    result = json.loads((tmp_path / "result.json").read_text())
    assert [row["epochs"] for row in result["rows"]] == [*fidelity.EPOCHS, LONG]
    by = {(one["text"], one["epochs"], one["seed"]): one["accuracy"] for one in trainings}
    long = [statistics.fmean(by[text, LONG, seed] for seed in fidelity.LONG_SEEDS) for text in result["functions"]]
    for row in result["rows"][:-1]:
        short = [by[text, row["epochs"], fidelity.SHORT_SEED] for text in result["functions"]]
        assert row["tau"] == pytest.approx(rank_correlation(short, long).tau)
        assert f"{row['tau']:.2f}" in printed
    # cut off within the last line, as by a crash: only that one training is made again
    before = file.read_text()
    file.write_text(before[: before.rindex('"failure"')])
    status, printed, errors = run(tmp_path)
    assert status == 0, errors
    assert printed.count("trainings of") == 1
    assert f"1 trainings of {LONG} epoch(s)" in printed
    again = [json.loads(line) for line in file.read_text().splitlines()][1:]
    assert [one["accuracy"] for one in again] == [one["accuracy"] for one in trainings]
    assert "Cheapest with tau of 0.6 or more" in printed
    status, _, errors = run(tmp_path, "--functions", "4")
    assert (status, errors.count("\n")) == (2, 1)
    assert "was begun with functions 5, now 4" in errors
