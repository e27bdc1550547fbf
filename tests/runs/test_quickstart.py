"""The first script that anybody runs, at a tiny scale."""

import importlib.util
import json
import shlex
from pathlib import Path

import pytest

from gaaf_gp.cli import main
from gaaf_gp.experiments import experiment

ROOT = Path(__file__).parents[2]


@pytest.fixture
def quickstart():
    spec = importlib.util.spec_from_file_location("quickstart_under_test", ROOT / "runs" / "quickstart.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tiny(quickstart, image_folder, tmp_path, monkeypatch):
    """The same script, at a tiny scale."""
    assert quickstart.EVALUATIONS >= 40
    assert quickstart.DATA == "fashion10k"
    monkeypatch.setattr(quickstart, "DATA", str(image_folder))
    monkeypatch.setattr(quickstart, "EVALUATIONS", 6)
    monkeypatch.setattr(quickstart, "POPULATION", 6)
    monkeypatch.setattr(quickstart, "PROXY", {**quickstart.PROXY, "batch_size": 8})
    monkeypatch.setattr(quickstart, "OUT", tmp_path / "out" / "quickstart")
    return quickstart


def test_it_evolves_and_prints_the_best_beside_the_plain_sign(tiny, tmp_path, capsys):
    for folder in ("quickstart", "quickstart-2"):
        tiny.main()
        printed = capsys.readouterr().out
        assert "Best candidates of the search" in printed
        assert "x (plain sign)" in printed
        assert "The evolved activation is" in printed
        result = json.loads((tmp_path / "out" / folder / "result.json").read_text())
        assert result["evaluations"] == 6
        assert len(result["test"]["seeds"]) == 5
        assert sum(line.startswith("│    ") for line in printed.splitlines()) == 6, "five candidates and the sign"


def test_after_ctrl_c_it_prints_the_command_that_goes_on(tiny, tmp_path, monkeypatch, capsys):
    real = experiment.evolve

    def interrupted(*arguments, **settings):
        counted = iter(range(3))

        def arrived(_record):
            if next(counted, None) is None:
                raise KeyboardInterrupt

        return real(*arguments, **{**settings, "on_evaluation": arrived})

    monkeypatch.setattr(experiment, "evolve", interrupted)
    with pytest.raises(SystemExit) as ended:
        tiny.main()
    assert ended.value.code == 130
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("go on with: ")]
    program, *command = shlex.split(line.removeprefix("go on with: "))
    assert Path(program).name == "gaaf-gp"
    assert command == ["resume", str(tmp_path / "out" / "quickstart")]
    monkeypatch.undo()
    with pytest.raises(SystemExit) as ended:
        main([*command, "--workers", "1", "--quiet"])
    assert ended.value.code == 0
    assert json.loads((tmp_path / "out" / "quickstart" / "result.json").read_text())["evaluations"] == 6
