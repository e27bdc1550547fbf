"""The first script that anybody runs, at a tiny scale."""

import importlib.util
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def quickstart():
    spec = importlib.util.spec_from_file_location("quickstart_under_test", ROOT / "runs" / "quickstart.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_evolves_and_prints_the_best_beside_the_plain_sign(quickstart, image_folder, tmp_path, monkeypatch, capsys):
    assert quickstart.EVALUATIONS >= 40
    assert quickstart.DATA == "fashion10k"
    monkeypatch.setattr(quickstart, "DATA", str(image_folder))
    monkeypatch.setattr(quickstart, "EVALUATIONS", 6)
    monkeypatch.setattr(quickstart, "POPULATION", 6)
    monkeypatch.setattr(quickstart, "PROXY", {**quickstart.PROXY, "batch_size": 8})
    monkeypatch.setattr(quickstart, "OUT", tmp_path / "out" / "quickstart")
    for folder in ("quickstart", "quickstart-2"):
        quickstart.main()
        printed = capsys.readouterr().out
        assert "Best candidates of the search" in printed
        assert "x (plain sign)" in printed
        assert "The evolved activation is" in printed
        result = json.loads((tmp_path / "out" / folder / "result.json").read_text())
        assert result["evaluations"] == 6
        assert len(result["test"]["seeds"]) == 5
        assert sum(line.startswith("│    ") for line in printed.splitlines()) == 6, "five candidates and the sign"
