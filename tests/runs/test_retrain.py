"""runs/retrain.py at a tiny scale, as a person runs it: two stages, a teacher, and the same script goes on."""

import json
import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "runs" / "retrain.py"


def run(*arguments):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, arguments)],
        capture_output=True, text=True, check=False, env=environment, timeout=280,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_it_retrains_and_goes_on(image_folder, tmp_path):
    out = tmp_path / "out"
    tiny = ("--data", image_folder, "--epochs", 2, "--seeds", 2, "--batch-size", 8, "--workers", 1, "--out", out)
    status, printed, errors = run(*tiny)
    assert status == 0, errors
    for text in ("sin(x) + x", "max(sin(x), x)", "vs sign", "vs rsign", "(1 with real weights)"):
        assert text in printed
    assert sorted(path.name for path in out.iterdir()) == [
        "checkpoints", "result.json", "retrain.jsonl", "table.csv", "table.tex", "table.txt", "teacher.npz",
    ]  # fmt: skip
    assert len(list((out / "checkpoints").glob("*.npz"))) == 10
    result = json.loads((out / "result.json").read_text())
    assert result["teacher"]["network"] == "resnet18"
    journal = (out / "retrain.jsonl").read_text()
    lines = journal.splitlines(keepends=True)
    (out / "retrain.jsonl").write_text("".join(lines[:-1]))
    status, again, errors = run(*tiny)
    assert status == 0, errors
    assert (out / "retrain.jsonl").read_text() == journal, "scored again from its checkpoint, not trained"
    assert again == printed


def test_bad_input_is_said_in_one_line(image_folder, tmp_path):
    status, printed, errors = run("--data", image_folder, "--seeds", 1, "--out", tmp_path / "out")
    assert (status, printed) == (2, "")
    assert errors == "error: seeds must be a whole number of at least 2, got 1\n"
