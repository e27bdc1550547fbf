"""Several searches share one file: each function is trained once, and a search started again trains nothing anew."""

from contextlib import ExitStack

import pytest

from gaaf_gp.evaluation.evaluator import Evaluator
from gaaf_gp.evaluation.fitness_function import Judge
from gaaf_gp.evaluation.journaled import JournaledEvaluator
from gaaf_gp.search.evolve import evolve
from gaaf_gp.search.genetic import random_search
from gaaf_gp.trees.candidate import TwoTrees
from gaaf_gp.trees.parser import parse
from gaaf_gp.util.jsonl import Journal, read_journal


@pytest.fixture
def judge(tiny_proxy, forced, tmp_path):
    """Makes a judge over one file, as each start of a program does."""
    with ExitStack() as stack:

        def make(seeds=(0,)):
            evaluator = stack.enter_context(Evaluator(tiny_proxy, forced, seeds=seeds))
            journal = stack.enter_context(Journal(tmp_path / "file.jsonl", {"seeds": seeds}))
            return JournaledEvaluator(evaluator, journal)

        yield make


def test_records_are_those_of_an_evaluator(judge, tiny_proxy, forced, forced_trees):
    with Evaluator(tiny_proxy, forced, seeds=(0, 1)) as evaluator:
        trained = evaluator.evaluate(forced_trees)
    ours, arrived = judge((0, 1)), []
    assert isinstance(ours, Judge)
    records = ours.evaluate([*forced_trees, *forced_trees], arrived.append)
    assert records[:18] == records[18:]
    assert sorted(one.text for one in arrived) == sorted(tree.canonical for tree in forced_trees)
    for found, expected in zip(records[:18], trained, strict=True):
        assert (found.text, found.fitness, found.failure) == (expected.text, expected.fitness, expected.failure)
        assert (found.by_seed, found.same_as) == (expected.by_seed, expected.same_as)
        assert found.standard_error == pytest.approx(expected.standard_error) if expected.outcomes else True
    assert ours.trained == len(ours.journal.entries) == 10
    assert ours.behaviour(forced_trees[0]) == tiny_proxy.behaviour(forced_trees[0])


def test_lines_hold_what_a_table_needs(judge, forced, tiny_proxy, tmp_path):
    tree = parse("add(sin(x), tanh(x))", forced)
    (record,) = judge().evaluate([tree])
    (line,) = read_journal(tmp_path / "file.jsonl")[1]
    outcome = tiny_proxy.train(tree, 0)
    assert line.pop("seconds") > 0
    assert line == {
        "text": tree.canonical,
        "formula": tree.infix(),
        "signature": tiny_proxy.behaviour(tree).signature,
        "accuracy": {"0": outcome.accuracy},
        "curve": {"0": [epoch.accuracy for epoch in outcome.history]},
        "failure": None,
    }
    assert record.fitness == outcome.accuracy


def test_a_function_that_two_searches_meet_is_trained_once(judge, forced):
    shared = judge()
    first = random_search(forced, shared, evaluations=8, seed=1)
    trained = shared.trained
    second = evolve(forced, shared, evaluations=8, population_size=4, seed=1)
    assert trained == len(first.records) == len(second.records) == 8
    met = {shared.behaviour(parse(record.text, forced)).signature for record in (*first.records, *second.records)}
    assert shared.trained == len(met) < 16


def test_a_search_started_again_trains_nothing_and_finds_the_same(judge, forced, monkeypatch):
    seen = []

    def stop(record):
        seen.append(record.text)
        if len(seen) == 5:
            raise KeyboardInterrupt

    broken = evolve(forced, judge(), evaluations=9, population_size=4, seed=3, on_evaluation=stop)
    assert broken.interrupted
    again, whole = judge(), None
    assert len(again.journal.entries) == 5
    whole = evolve(forced, again, evaluations=9, population_size=4, seed=3)
    assert again.trained == 4
    last = judge()
    monkeypatch.setattr(last.evaluator.proxy, "train", None)
    once_more = evolve(forced, last, evaluations=9, population_size=4, seed=3)
    assert [(r.text, r.fitness) for r in once_more.records] == [(r.text, r.fitness) for r in whole.records]
    assert [r.text for r in whole.records[:5]] == seen
    assert last.trained == 0


def test_two_trees_are_kept_too(judge, forced, tiny_proxy):
    pair = TwoTrees(parse("add(sin(x), tanh(x))", forced), parse("add(tanh(x), tanh(x))", forced))
    (record,) = judge().evaluate([pair])
    assert record.fitness == tiny_proxy.train(pair, 0).accuracy
    again = judge()
    assert again(pair) == (record.fitness,)
    assert again.trained == 0


def test_a_failure_is_remembered_with_its_reason(judge, forced, tiny_proxy, monkeypatch):
    monkeypatch.setattr(tiny_proxy, "seconds", 1e-9)
    tree = parse("add(sin(x), tanh(x))", forced)
    records = [judge()(tree), judge().evaluate([tree])[0]]
    assert records[0] == (0.0,)
    assert records[1].failure == "time budget of 1e-09 s exhausted in epoch 1"
    assert len(judge().journal.entries) == 1
