"""The study of races on the table that is kept with the project."""

from __future__ import annotations

import json

import pytest

from benchmarks import racing
from benchmarks.racing_table import FUNCTIONS, TABLE, draw, make_proxy
from gaaf_gp.evaluation.racing import Racing


@pytest.fixture(scope="module")
def table():
    return json.loads(TABLE.read_text(encoding="utf-8"))


def test_the_table_holds_at_least_200_functions_trained_to_the_end(table):
    assert len(table["curves"]) >= 200
    epochs = table["settings"]["epochs"]
    for seeds in table["curves"].values():
        assert len(seeds) == len(table["seeds"])
        assert all(len(curve) == epochs and all(0 < value < 1 for value in curve) for curve in seeds)


def test_the_table_is_what_its_script_makes(table):
    proxy = make_proxy()
    settings = json.loads(json.dumps(proxy.settings()))
    machine = {"kernels"}  # which kernels there were
    for name in settings.keys() - machine:
        assert table["settings"][name] == settings[name], name
    names = [individual.canonical for individual in draw(proxy, FUNCTIONS)]
    assert set(names) == set(table["curves"]) | set(table["failed"])


def test_the_winner_of_a_race_is_among_the_best_of_the_full_ranking(table):
    found = racing.study(table["curves"])
    for name, row in found.items():
        assert row["within_5_percent"] >= 9, name
    assert found["all to the end"]["epochs_spent"] == 1
    assert found["halving, keep 1/3"]["epochs_spent"] < 0.35


def test_a_race_that_drops_nobody_finds_the_best(table):
    one = racing.trial(table["curves"], Racing(rungs=(1,), keep=0.999, least=1000), 3)
    assert one.place == 0
    assert one.cost == 1
    assert one.lost == 0
