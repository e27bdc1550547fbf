"""Searches behind an archive: each function is trained once, and a search that is started again trains nothing."""

from contextlib import ExitStack

import pytest

from gaaf_gp.archive import Archive
from gaaf_gp.archived import ArchivedEvaluator
from gaaf_gp.candidates import Baseline, TwoTrees
from gaaf_gp.errors import GaafError
from gaaf_gp.evolve import evolve
from gaaf_gp.fitness import Evaluator
from gaaf_gp.genetic import random_search
from gaaf_gp.judges import Judge
from gaaf_gp.parser import parse
from gaaf_gp.proxy import Proxy
from gaaf_gp.racing import Racing

VERSIONS = {"gaaf-gp": "0.1.0", "torch": "2.13.0", "deap": "1.4.4"}


@pytest.fixture
def judge(tiny_proxy, forced, tmp_path):
    """Makes a judge over one file, as each start of a program does."""
    with ExitStack() as stack:

        def make(seeds=(0,), run=None, proxy=tiny_proxy, **settings):
            evaluator = stack.enter_context(Evaluator(proxy, forced, seeds=seeds, **settings))
            archive = stack.enter_context(Archive(tmp_path / "archive.sqlite"))
            return ArchivedEvaluator(evaluator, archive, run or archive.begin("search", {"seeds": seeds}, VERSIONS))

        yield make


def archive_of(judge):
    return judge.trainings.archive


def test_records_are_those_of_an_evaluator(judge, tiny_proxy, forced, forced_trees):
    with Evaluator(tiny_proxy, forced, seeds=(0, 1)) as evaluator:
        trained = evaluator.evaluate(forced_trees)
    for ours in (judge((0, 1)), judge((0, 1))):
        arrived = []
        assert isinstance(ours, Judge)
        records = ours.evaluate([*forced_trees, *forced_trees], arrived.append)
        assert records[:18] == records[18:]
        assert sorted(one.text for one in arrived) == sorted(tree.canonical for tree in forced_trees)
        for found, expected in zip(records[:18], trained, strict=True):
            assert (found.text, found.fitness, found.failure) == (expected.text, expected.fitness, expected.failure)
            assert (found.by_seed, found.same_as) == (expected.by_seed, expected.same_as)
            assert found.curve == expected.curve
            assert found.fidelity == expected.fidelity
            assert found.standard_error == pytest.approx(expected.standard_error) if expected.outcomes else True
    assert ours.trained == 0
    assert len(archive_of(ours)) == 20
    assert ours.behaviour(forced_trees[0]) == tiny_proxy.behaviour(forced_trees[0])


def test_rows_hold_all_that_is_known_of_a_training(judge, forced, tiny_proxy):
    ours, tree = judge(), parse("add(sin(x), tanh(x))", forced)
    (record,) = ours.evaluate([tree])
    (row,) = archive_of(ours).rows()
    outcome = tiny_proxy.train(tree, 0)
    assert (row.text, row.formula, row.signature) == (
        tree.canonical,
        tree.infix(),
        tiny_proxy.behaviour(tree).signature,
    )
    assert (row.seed, row.epochs, row.fidelity, row.split) == (0, 4, 1.0, "validation")
    assert row.outcome().history == outcome.history
    assert row.accuracy == outcome.accuracy == record.fitness
    assert row.seconds > 0
    assert (row.device, row.versions, row.failure) == ("cpu", VERSIONS, None)
    assert row.metrics == {"nodes": 5.0, "height": 2.0, "cost": tree.cost}
    settings = archive_of(ours).tasks()[row.task]
    assert settings["proxy"]["data"]["sha256"] == tiny_proxy.data.settings()["sha256"]
    assert settings["versions"] == {"gaaf-gp": "0.1.0", "torch": "2.13.0"}
    assert (settings["at_once"], settings["device"]) == (1, "cpu")


def test_a_function_that_two_searches_meet_is_trained_once(judge, forced):
    shared = judge()
    first = random_search(forced, shared, evaluations=8, seed=1)
    trained = shared.trained
    second = evolve(forced, shared, evaluations=8, population_size=4, seed=1)
    assert trained == len(first.records) == len(second.records) == 8
    met = {shared.behaviour(parse(record.text, forced)).signature for record in (*first.records, *second.records)}
    assert shared.trained == len(archive_of(shared)) == len(met) < 16


def test_two_runs_share_trainings_and_each_keeps_its_own_history(judge, forced_trees):
    first = judge()
    first.evaluate(forced_trees[:9])
    second = judge()
    second.evaluate(forced_trees[9:])
    second.evaluate(forced_trees[3:6])
    assert first.trained + second.trained == len(archive_of(second))
    archive = archive_of(second)
    for ours, asked in ((first, forced_trees[:9]), (second, [*forced_trees[9:], *forced_trees[3:6]])):
        archive_of(ours).flush()
        entries = list(archive.history(ours.trainings.run))
        assert {one.text for one in entries} == {tree.canonical for tree in asked}
        for one in entries:
            assert one.accuracy == (ours.records[one.text].fitness if one.failure is None else None)
            assert one.failure == ours.records[one.text].failure


def test_a_search_started_again_trains_nothing_and_finds_the_same(judge, forced, monkeypatch):
    seen = []

    def stop(record):
        seen.append(record.text)
        if len(seen) == 5:
            raise KeyboardInterrupt

    first = judge()
    broken = evolve(forced, first, evaluations=9, population_size=4, seed=3, on_evaluation=stop)
    assert broken.interrupted
    run = first.trainings.run
    again = judge(run=run)
    assert len(archive_of(again)) == 5
    whole = evolve(forced, again, evaluations=9, population_size=4, seed=3)
    assert again.trained == 4
    last = judge(run=run)
    monkeypatch.setattr(last.evaluator.proxy, "train", None)
    once_more = evolve(forced, last, evaluations=9, population_size=4, seed=3)
    assert [(r.text, r.fitness) for r in once_more.records] == [(r.text, r.fitness) for r in whole.records]
    assert [r.text for r in whole.records[:5]] == seen
    assert last.trained == 0
    history = list(archive_of(last).history(run))
    assert len({(one.text, one.epochs) for one in history}) == len(history)
    assert {record.text for record in whole.records} <= {one.text for one in history}


def test_only_the_seeds_that_are_missing_are_trained(judge, forced_trees, tiny_proxy):
    judge((0,)).evaluate(forced_trees[:6])
    more = judge((0, 1, 2))
    records = more.evaluate(forced_trees)
    known = {tiny_proxy.behaviour(tree).signature for tree in forced_trees[:6]}
    live = {found.signature for tree in forced_trees if (found := tiny_proxy.behaviour(tree)).failure is None}
    assert more.trained == 2 * len(known & live) + 3 * len(live - known)
    assert len(archive_of(more)) == 3 * len(live)
    for tree, record in zip(forced_trees, records, strict=True):
        if record.failure is None and record.same_as is None:
            assert record.by_seed == {seed: tiny_proxy.train(tree, seed).accuracy for seed in (0, 1, 2)}
            break


def test_another_task_shares_nothing(judge, forced, tiny_data, tiny_settings, monkeypatch):
    tree = parse("add(sin(x), tanh(x))", forced)
    judge()(tree)
    assert judge(at_once=2)(tree)
    shorter = judge(proxy=Proxy(tiny_data, **{**tiny_settings, "epochs": 2}))
    shorter(tree)
    assert shorter.trained == 1
    assert {row.epochs for row in archive_of(shorter).rows()} == {4, 2}
    assert len(archive_of(shorter).tasks()) == 3


def test_two_trees_and_baselines_are_kept_too(judge, forced, tiny_proxy):
    pair = TwoTrees(parse("add(sin(x), tanh(x))", forced), parse("add(tanh(x), tanh(x))", forced))
    records = judge().evaluate([pair, Baseline("rsign")])
    assert [record.fitness for record in records] == [
        tiny_proxy.train(one, 0).accuracy for one in (pair, Baseline("rsign"))
    ]
    again = judge()
    assert [again(pair), again(Baseline("rsign"))] == [(record.fitness,) for record in records]
    assert again.trained == 0
    assert {row.text: row.formula for row in archive_of(again).rows()}["@rsign"] == "x + s0"


def test_a_failure_is_remembered_with_its_reason(judge, forced, tiny_proxy, monkeypatch):
    monkeypatch.setattr(tiny_proxy, "seconds", 1e-9)
    tree = parse("add(sin(x), tanh(x))", forced)
    records = [judge()(tree), judge().evaluate([tree])[0]]
    assert records[0] == (0.0,)
    assert records[1].failure == "time budget of 1e-09 s exhausted in epoch 1"
    assert [row.failure for row in archive_of(judge()).rows()] == [records[1].failure]


@pytest.mark.parametrize("settings", [{"racing": Racing()}, {"extra_seeds": 2}])
def test_what_would_depend_on_the_search_is_refused(judge, settings):
    with pytest.raises(GaafError, match="behind an archive must train all candidates alike, got one with racing or"):
        judge(**settings)


def test_a_run_that_is_not_there_is_refused(judge):
    with pytest.raises(GaafError, match="there is no run 'none' in this archive"):
        judge(run="none")
