"""The command that repeats a run: taken by the command line, it gives the same settings."""

import json
import shlex

import pytest

from gaaf_gp import cli
from gaaf_gp.experiments.report.repeating import commands
from gaaf_gp.experiments.run_data import find_run, read_run
from gaaf_gp.trees.generation import Limits

CHOICES = [
    {},
    {"evaluations": 7, "seed": 3, "population": 5, "two_trees": True, "random_search": False, "racing": False},
    {"loop": "islands:3", "racing": True, "extra_seeds": 2, "limits": Limits(4, 12), "bloat": "none", "fresh_seeds": 3},
    {"constraints": ("no periodic inside periodic",), "initial": ("sin(x)", "max(sin(x), x)"), "target": 0.5},
    {"data": "some folder", "proxy": {"epochs": 5, "network": "small", "batch_size": 64, "seconds": 2.5},
     "data_settings": {"limit": 500, "device": "cpu", "download": False, "image_size": None}, "stagnation": 9},
]  # fmt: skip


@pytest.mark.parametrize("chosen", CHOICES)
def test_it_gives_the_same_settings(tmp_path, make_run, monkeypatch, chosen):
    run = make_run(tmp_path / "run", **chosen)
    data = read_run(find_run(run.end()))
    found = commands(data)
    assert not found.unsaid
    given = {}

    def taken(settings, **_others):
        given.update(json.loads(json.dumps(settings.as_json())))
        raise KeyboardInterrupt

    monkeypatch.setattr("gaaf_gp.cli.evolve.run", taken)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        cli.main([*shlex.split(found.repeat)[1:], "--workers", "1"])
    for name, value in run.config["settings"].items():
        if name == "bloat" and value is None:
            continue
        if isinstance(value, dict):
            assert {key: given[name].get(key) for key in value} == value
        else:
            assert given[name] == value, name


def test_what_no_option_says_is_told(tmp_path, make_run):
    run = make_run(tmp_path / "run", proxy={"epochs": 2, "network_settings": {"widths": [1, 2]}, "tables": False})
    found = commands(read_run(find_run(run.end())))
    assert found.unsaid == ("proxy.tables False",)
    assert "a script gave them" in found.note


def test_a_script_of_its_own_has_no_command(tmp_path, make_run):
    run = make_run(tmp_path / "run", config={"search": "genetic"})
    found = commands(read_run(find_run(run.end("interrupted"))))
    assert (found.repeat, found.resume) == ("", "")
    assert "A script of its own made this run" in found.note
