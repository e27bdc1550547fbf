"""Curves of searches: what counts as an evaluation, the best so far, quantiles, and when something good was met."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation.fitness_function import FitnessFunction, PlainFitness
from gaaf_gp.evaluation.table import TableEvaluator
from gaaf_gp.search.best_so_far import Asked, Reach, Watched, best_share, best_so_far, reach, summary
from gaaf_gp.search.genetic import PUBLISHED, genetic
from gaaf_gp.statistics import band
from gaaf_gp.trees.parser import parse

RUN = [Asked("a", "1", 0.3), Asked("b", "2", 0.5), Asked("a", "1", 0.3), Asked("c", "3", 0.5), Asked("d", "4", 0.6)]
runs_of = st.lists(st.floats(0, 1), min_size=1, max_size=30).map(
    lambda values: [Asked(f"t{place}", f"s{place}", value) for place, value in enumerate(values)]
)


def test_every_fitness_asked_for_counts_also_a_remembered_one(minimal):
    watched = Watched(PlainFitness(len, minimal))
    assert isinstance(watched, FitnessFunction)
    trees = [parse(text, minimal) for text in ("x", "sin(x)", "x")]
    assert [record.fitness for record in watched.evaluate(trees)] == [1, 2, 1]
    assert watched(trees[1]) == (2,)
    assert [(one.text, one.fitness) for one in watched.asked] == [("x", 1), ("sin(x)", 2), ("x", 1), ("sin(x)", 2)]
    assert [one.signature for one in watched.asked[:2]] == [watched.behaviour(tree).signature for tree in trees[:2]]
    assert list(watched.records) == ["x", "sin(x)"]


def test_the_watched_and_the_search_count_alike(tiny_table, forced):
    watched = Watched(TableEvaluator(tiny_table, forced))
    found = genetic(forced, watched, evaluations=77, generations=None, population_size=4, repairs=PUBLISHED)
    assert len(watched.asked) == found.logbook[-1]["evaluations"] == 77
    assert len(found.records) < 20


def test_the_first_of_equals_stays_the_best_and_an_early_end_is_filled_up():
    assert [one.text for one in best_so_far(RUN, 7)] == ["a", "b", "b", "b", "d", "d", "d"]
    assert [one.text for one in best_so_far(RUN, 2)] == ["a", "b"]
    with pytest.raises(GaafError, match="a run must have an evaluation to have a best one, got none"):
        best_so_far([], 3)


@given(runs_of, st.integers(1, 40))
def test_the_best_so_far_is_the_maximum_until_then(run, evaluations):
    curve = [one.fitness for one in best_so_far(run, evaluations)]
    assert curve == [max(one.fitness for one in run[: place + 1]) for place in range(evaluations)]


@given(st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=1, max_size=9))
def test_a_band_holds_the_quantiles_of_each_column(curves):
    found = band(curves)
    for place, column in enumerate(zip(*curves, strict=True)):
        ordered = sorted(column)
        for name, share in (("p5", 0.05), ("p25", 0.25), ("median", 0.5), ("p75", 0.75), ("p95", 0.95)):
            rank = share * (len(ordered) - 1)
            low = ordered[int(rank)]
            high = ordered[min(int(rank) + 1, len(ordered) - 1)]
            assert getattr(found, name)[place] == pytest.approx(low + (rank - int(rank)) * (high - low), abs=1e-12)


def test_curves_of_different_lengths_are_refused():
    with pytest.raises(GaafError, match=r"of one length, got 2 with lengths \[1, 2\]"):
        band([[0.1], [0.1, 0.2]])
    with pytest.raises(GaafError, match=r"of one length, got 0 with lengths \[\]"):
        band([])


def test_a_run_that_never_met_anything_good_needs_infinitely_many():
    never = [Asked("z", "9", 0.9)]
    assert reach([RUN, RUN, never], {"3", "4"}) == Reach(3, 2, 4)
    assert reach([RUN, RUN[1:], never, RUN[3:]], {"4"}) == Reach(4, 3, 4.5)
    assert reach([RUN, never], {"2"}) == Reach(2, 1, None)
    assert reach([never], {"2"}) == Reach(1, 0, None)
    with pytest.raises(GaafError, match="at least one run, got none"):
        reach([], {"2"})


def test_the_best_share_is_of_all_runs_together():
    other = [Asked("e", "5", 0.55), Asked("a2", "1", 0.3)]
    assert best_share([RUN, other], 0.4) == {"4", "5"}
    assert best_share([RUN, other], 0.01) == {"4"}
    assert best_share([RUN], 1.0) == {"1", "2", "3", "4"}


def test_a_summary_says_what_the_chosen_are_worth():
    worth = {"a": 0.2, "b": 0.45, "d": 0.5}
    found = summary([RUN, RUN[:1]], [1, 3, 9], {"good": {"4"}}, {"fresh": worth.get, "half": {"a": 0.1}.get})
    assert found == {
        "runs": 2,
        "after": {
            "1": {"best": 0.3, "fresh": 0.2, "half": 0.1},
            "3": {"best": 0.4, "fresh": pytest.approx(0.325), "half": None},
            "9": {"best": pytest.approx(np.median([0.6, 0.3])), "fresh": pytest.approx(0.35), "half": None},
        },
        "reach": {"good": {"runs": 2, "reached": 1, "median": None}},
    }
