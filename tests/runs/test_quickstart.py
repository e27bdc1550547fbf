"""The first script that anybody runs, at a tiny scale."""

import inspect
import json
import shlex
from pathlib import Path

import pytest
import typer

from gaaf_gp.cli import main
from gaaf_gp.cli.settings_options import with_options
from gaaf_gp.experiments import experiment
from tests.scripts import loaded

ROOT = Path(__file__).parents[2]


@pytest.fixture
def quickstart():
    return loaded("runs/quickstart.py")


@pytest.fixture
def tiny(quickstart, image_folder, tmp_path, monkeypatch):
    """Its main function with all options at a tiny scale; results go to a temporary folder."""
    chosen = quickstart.SETTINGS
    assert chosen.evaluations >= 40
    assert chosen.data == "fashion10k"
    monkeypatch.chdir(tmp_path)
    main = with_options(quickstart.main)
    options = {name: parameter.default for name, parameter in inspect.signature(main).parameters.items()}
    changes = {"data": str(image_folder), "evaluations": 6, "population": 6, "batch_size": 8, "workers": 1}
    return lambda: main(**{**options, **changes})


def test_it_evolves_and_prints_the_best_beside_the_plain_sign(tiny, tmp_path, capsys):
    for folder in ("quickstart", "quickstart-2"):
        tiny()
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
    with pytest.raises(typer.Exit) as stopped:
        tiny()
    assert stopped.value.exit_code == 130
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("go on with: ")]
    program, *command = shlex.split(line.removeprefix("go on with: "))
    assert Path(program).name == "gaaf-gp"
    assert command == ["resume", "out/quickstart"]
    monkeypatch.setattr(experiment, "evolve", real)
    with pytest.raises(SystemExit) as ended:
        main([*command, "--workers", "1", "--quiet"])
    assert ended.value.code == 0
    assert json.loads((tmp_path / "out" / "quickstart" / "result.json").read_text())["evaluations"] == 6
