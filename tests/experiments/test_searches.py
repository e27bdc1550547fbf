"""Searches compared at one budget on a table; tests/runs/test_compare_searches.py compares trained ones."""

from functools import partial

import pytest

from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation.table import TableEvaluator
from gaaf_gp.experiments import searches as module
from gaaf_gp.experiments.searches import compare_on_table
from gaaf_gp.parallel import WorkerLost
from gaaf_gp.search.evolve import evolve
from gaaf_gp.search.genetic import random_search

SEARCHES = {"evolve": partial(evolve, population_size=4), "random": random_search}


def test_the_result_is_the_same_for_any_number_of_workers(tiny_table, forced):
    first, second = (
        compare_on_table(SEARCHES, tiny_table, forced, runs=2, evaluations=6, milestones=(2, 6, 99), workers=workers)
        for workers in (1, 2)
    )
    assert first.runs == second.runs
    assert first.rows() == second.rows()
    assert list(first.rows()["random"]["after"]) == ["2", "6"]
    alone = random_search(forced, TableEvaluator(tiny_table, forced), evaluations=6, seed=1)
    assert [asked.text for asked in first.runs["random"][1]] == [record.text for record in alone.records]


def test_a_lost_worker_ends_the_comparison_in_one_line(tiny_table, forced, monkeypatch):
    monkeypatch.setattr(module.Workers, "run", lambda *_: iter([(0, WorkerLost("killed"))]))
    with pytest.raises(GaafError, match=r"a worker process died three times: .* use fewer workers"):
        compare_on_table(SEARCHES, tiny_table, forced, runs=1, evaluations=2)
