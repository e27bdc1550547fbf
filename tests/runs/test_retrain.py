"""runs/retrain.py at a tiny scale: two stages, a teacher, two tables, and the same script goes on."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.scripts import loaded

SCRIPT = Path(__file__).parents[2] / "runs" / "retrain.py"


@pytest.fixture
def script(monkeypatch):
    module = loaded("runs/retrain.py")
    monkeypatch.setattr(module, "VAL_FRACTION", 0.25)
    monkeypatch.setattr(module, "TEACHER", dataclasses.replace(module.TEACHER, teacher="squeezenet1_1", epochs=3))
    monkeypatch.setitem(module.PROXY, "learning_rate", 0.03)
    monkeypatch.setitem(module.PROXY, "network_settings", {"widths": (4, 8)})
    return module


def test_it_retrains_and_goes_on(script, image_folder, tmp_path, capsys):
    assert script.SEEDS >= 5
    assert script.TWO_STAGE > 0
    out = tmp_path / "out"
    tiny = {"data": str(image_folder), "epochs": 4, "seeds": 2, "batch_size": 3, "workers": 1, "out": out}
    script.main(**tiny)
    printed = capsys.readouterr().out
    for text in ("sin(x) + x", "max(sin(x), x)", "vs sign", "vs rsign", "(2 with real weights)"):
        assert text in printed
    assert sorted(path.name for path in out.iterdir()) == [
        "checkpoints", "result.json", "retrain.jsonl", "table.csv", "table.tex", "table.txt", "teacher.safetensors",
    ]  # fmt: skip
    assert len(list((out / "checkpoints").glob("*.safetensors"))) == 10
    result = json.loads((out / "result.json").read_text())
    assert result["teacher"]["network"] == "squeezenet1_1"
    journal = (out / "retrain.jsonl").read_text()
    (out / "retrain.jsonl").write_text("".join(journal.splitlines(keepends=True)[:-1]))
    script.main(**tiny)
    assert (out / "retrain.jsonl").read_text() == journal, "scored again from its checkpoint, not trained"
    assert capsys.readouterr().out == printed


def test_bad_input_is_said_in_one_line(image_folder, tmp_path):
    command = [sys.executable, SCRIPT, "--data", image_folder, "--seeds", "1", "--out", tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: seeds must be a whole number from 2 to 1000000000, got 1: give one of these\n"
