"""The script for two trees, as a person runs it, at a tiny scale."""

import json
import os
import subprocess
import sys
from pathlib import Path

RUNS = Path(__file__).parents[2] / "runs"


def finished(*arguments):
    command = [sys.executable, str(RUNS / "two_trees.py"), *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_pairs_are_searched_and_either_tree_is_seen_alone(image_folder, tmp_path):
    tiny = ("--data", image_folder, "--batch-size", 8, "--workers", 1, "--epochs", 1, "--fresh-seeds", 2)
    done = finished(*tiny, "--population", 4, "--evaluations", 6, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    for line in ("forward tree alone", "backward tree alone", "best of random search", "RPReLU"):
        assert line in done.stdout
    for line in ("The forward tree with the clipped identity: ", "The backward tree with the plain sign: "):
        assert line in done.stdout
    config, result = (json.loads((tmp_path / "out" / name).read_text()) for name in ("config.json", "result.json"))
    assert config["two_trees"]
    assert config["limits"] == {"height": 5, "size": 15}
    assert result["best"].count(" | ") == 1
    assert set(result["test"]["separation"]) == {"forward", "backward"}


def test_bad_input_is_said_in_one_line(image_folder, tmp_path):
    done = finished("--data", image_folder, "--evaluations", 0, "--out", tmp_path / "out")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: evaluations must be a whole number of at least 1, got 0: give 1 or more\n"
