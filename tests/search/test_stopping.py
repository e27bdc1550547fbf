"""Each way to end a search, alone, and what it says."""

import time
from types import SimpleNamespace

import pytest

from gaaf_gp.errors import GaafError
from gaaf_gp.search.evolve import evolve
from gaaf_gp.search.stopping import Stop
from primitives import minimal


def _found(done, best, **more):
    state = {"interrupted": False, "exhausted": False, **more}
    record = None if best is None else SimpleNamespace(fitness=best)
    return SimpleNamespace(records=[None] * done, best=record, **state)


def test_a_search_goes_on_until_something_ends_it():
    stop = Stop(100, target=0.9, stagnation=20)
    assert stop.reason(_found(0, None)) == ""
    assert stop.reason(_found(10, 0.5)) == ""
    assert stop.reason(_found(29, 0.5)) == ""
    assert stop.reason(_found(30, 0.5)) == "nothing better in 20 evaluations"
    assert stop.reason(_found(31, 0.6)) == ""
    assert stop.reason(_found(40, 0.9)) == "the target of 0.9 was reached"
    assert Stop(100).reason(_found(100, 0.5)) == "100 evaluations"
    assert Stop(100).reason(_found(1, 0.5, interrupted=True)) == "interrupted"
    assert Stop(100).reason(_found(1, 0.5, exhausted=True)) == "no new candidate could be found"
    assert Stop(100, seconds=5, started=time.perf_counter() - 5).reason(_found(1, 0.5)) == "5 seconds"
    assert Stop(100, seconds=60).reason(_found(1, 0.5)) == ""


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"evaluations": 0}, r"evaluations must be a whole number of at least 1, got 0"),
        ({"evaluations": 5, "stagnation": 1.5}, r"stagnation must be a whole number of at least 1, got 1.5"),
        ({"evaluations": 5, "seconds": 0}, r"seconds of a search must be a number above 0 .*got 0"),
        ({"evaluations": 5, "target": float("inf")}, r"target of a search must be a finite number, got inf"),
    ],
)
def test_settings_out_of_their_range_are_refused(settings, message):
    with pytest.raises(GaafError, match=message):
        Stop(**settings)


@pytest.fixture(scope="module")
def small_set():
    return minimal.make_pset()


def _search(pset, **settings):
    return evolve(pset, lambda tree: 1 - 1 / len(tree), population_size=10, **settings)


def test_evolve_ends_at_its_target(small_set):
    found = _search(small_set, evaluations=500, target=0.8)
    assert found.best.fitness >= 0.8
    assert found.stopped == "the target of 0.8 was reached"
    assert len(found.records) < 500


def test_evolve_ends_when_nothing_gets_better(small_set):
    found = evolve(small_set, lambda tree: 0.5, evaluations=500, population_size=10, stagnation=30)
    assert found.stopped.startswith("nothing better in")
    assert 30 <= len(found.records) <= 60


def test_evolve_ends_after_its_seconds(small_set):
    def slow(tree):
        time.sleep(0.01)
        return 1 / len(tree)

    found = evolve(small_set, slow, evaluations=100_000, population_size=10, seconds=0.5)
    assert found.stopped == "0.5 seconds"
    assert 0 < len(found.records) < 100


def test_callbacks_see_every_evaluation_and_generation_and_may_end_it(small_set):
    seen, sizes = [], []

    def on_generation(found):
        sizes.append(len(found.records))
        return len(sizes) == 3

    found = _search(
        small_set, evaluations=500, on_evaluation=lambda record: seen.append(record.text), on_generation=on_generation
    )
    assert len(sizes) == 3
    assert sizes[-1] == len(found.records) == len(seen)
    assert seen == [record.text for record in found.records]
    assert found.stopped == "on_generation ended it"
    assert _search(small_set, evaluations=30).stopped == "30 evaluations"
