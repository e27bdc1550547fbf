"""Settings of a run are checked when they are made."""

import os

import pytest

from gaaf_gp.errors import GaafError
from gaaf_gp.experiments.settings import Settings
from gaaf_gp.trees.generation import Limits
from gaaf_gp.util.devices import available_cores


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"evaluations": 0}, "evaluations must be a whole number of at least 1, got 0"),
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
        ({"fresh_seeds": 1}, "fresh_seeds must be a whole number of at least 2"),
        ({"extra_seeds": -1}, "extra_seeds must be a whole number of at least 0, got -1"),
        ({"population": True}, "population must be a whole number of at least 2"),
        ({"search_seconds": 0}, "search_seconds must be a number above 0"),
        ({"target": float("inf")}, "target must be a finite number, got inf"),
        ({"stagnation": 0}, "stagnation must be a whole number of at least 1, got 0"),
    ],
)
def test_bad_settings_are_refused(tmp_path, change, message):
    with pytest.raises(GaafError, match=message):
        Settings(out=tmp_path / "new", **change)


def test_the_cores_that_may_be_used_are_counted():
    assert 1 <= available_cores() <= (os.cpu_count() or 4096)


def test_the_usual_settings_compare_a_single_tree_with_random_search(tmp_path):
    settings = Settings(out=tmp_path)
    assert (settings.two_trees, settings.random_search, settings.limits) == (False, True, Limits())


@pytest.mark.parametrize(("population", "elite"), [(2, 1), (3, 2), (20, 2)])
def test_two_live_on_where_there_is_room(tmp_path, population, elite):
    assert Settings(out=tmp_path, population=population).living_on == elite


def test_how_a_population_breeds_is_a_setting(tmp_path):
    assert Settings(tmp_path).living_on == 2
    assert Settings(tmp_path, population=2).living_on == 1
    assert Settings(tmp_path, elite=0).living_on == 0
    with pytest.raises(GaafError, match="elite must be"):
        Settings(tmp_path, elite=5, population=5)
    with pytest.raises(GaafError, match="crossover must be a probability from 0 to 1, got 2"):
        Settings(tmp_path, crossover=2)
