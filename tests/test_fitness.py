"""Evaluation: each distinct candidate once, on paired seeds, the same for any number of workers."""

import os

import pytest
import torch
from deap import gp

from gaaf_gp.errors import GaafError
from gaaf_gp.fitness import WORKER_LOST, Evaluator
from gaaf_gp.parser import parse
from gaaf_gp.proxy import WORST_ACCURACY
from gaaf_gp.pset import PrimitiveSet
from gaaf_gp.types import Feature

MAIN = os.getpid()


def deadly(x):
    if len(x) == 15:
        os._exit(1)
    return x * 1


def deadly_set() -> PrimitiveSet:
    pset = PrimitiveSet("deadly")
    pset.addPrimitive(deadly, [Feature], Feature)
    pset.addPrimitive(torch.sin, [Feature], Feature)
    pset.addPrimitive(torch.cos, [Feature], Feature)
    return pset.check()


def test_fitness_is_a_tuple_and_is_remembered(stub_proxy, free):
    evaluator = Evaluator(stub_proxy, free)
    tree = parse("add(sin(x), x)", free)
    first = evaluator(tree)
    assert len(first) == 1
    assert 0.2 <= first[0] <= 0.81
    assert evaluator(tree) == first
    assert stub_proxy.trained == [("add(sin(x), x)", 0)]


def test_commuted_trees_and_duplicates_share_one_evaluation(stub_proxy, free):
    evaluator = Evaluator(stub_proxy, free)
    trees = [parse(text, free) for text in ("add(x, sin(x))", "add(sin(x), x)", "sub(x, sin(x))", "sub(sin(x), x)")]
    records = evaluator.evaluate([*trees, trees[0]])
    assert records[0] is records[1] is records[4]
    assert records[2] is not records[3]
    assert len(stub_proxy.trained) == len(evaluator.records) == 3


def test_the_accuracy_is_the_mean_over_the_seeds(stub_proxy, free):
    record = Evaluator(stub_proxy, free, seeds=(1, 5)).evaluate([parse("sin(x)", free)])[0]
    assert [outcome.seed for outcome in record.outcomes] == [1, 5]
    assert record.accuracy == pytest.approx((record.outcomes[0].accuracy + record.outcomes[1].accuracy) / 2)
    assert record.outcomes[0].accuracy != record.outcomes[1].accuracy


def test_a_failed_candidate_is_worst_and_keeps_its_reason(tiny_proxy, free):
    with Evaluator(tiny_proxy, free, seeds=(0, 1)) as evaluator:
        dead, alive = evaluator.evaluate([parse("square(x)", free), parse("sin(x)", free)])
    assert (dead.accuracy, dead.failure) == (WORST_ACCURACY, "constant sign")
    assert alive.failure is None
    assert alive.accuracy > WORST_ACCURACY
    assert alive.seconds == pytest.approx(sum(outcome.seconds for outcome in alive.outcomes))


def test_two_workers_give_the_records_of_one(tiny_proxy, free):
    texts = ["x", "sin(x)", "mix(cos(x), x)", "square(x)", "add(x, const(0.25))", "cos(x)"]
    trees = [parse(text, free) for text in texts]
    found = []
    for workers in (1, 2):
        with Evaluator(tiny_proxy, free, seeds=(0, 1), workers=workers) as evaluator:
            assert evaluator.workers == workers
            records = evaluator.evaluate(trees)
            found.append([(r.text, r.accuracy, r.failure, [o.history for o in r.outcomes]) for r in records])
            assert list(evaluator.records) == [tree.canonical for tree in trees]
    assert found[0] == found[1]


def test_a_candidate_that_kills_its_worker_costs_only_itself(tiny_proxy):
    pset = deadly_set()
    trees = [parse(text, pset) for text in ("sin(x)", "deadly(x)", "cos(x)", "sin(sin(x))")]
    with Evaluator(tiny_proxy, pset, workers=2) as evaluator:
        records = evaluator.evaluate(trees)
    assert [record.failure for record in records] == [None, WORKER_LOST, None, None]
    assert records[1].accuracy == WORST_ACCURACY
    assert os.getpid() == MAIN


def test_records_are_reported_as_they_arrive(stub_proxy, free):
    seen = []
    evaluator = Evaluator(stub_proxy, free)
    trees = [parse(text, free) for text in ("sin(x)", "cos(x)", "sin(x)")]
    evaluator.evaluate(trees, seen.append)
    assert [record.text for record in seen] == ["sin(x)", "cos(x)"]
    evaluator.evaluate(trees, seen.append)
    assert len(seen) == 2, "what is remembered is not reported again"


def test_an_interruption_keeps_what_was_finished(stub_proxy, free):
    evaluator = Evaluator(stub_proxy, free)

    def stop(record):
        if record.text == "cos(x)":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluator.evaluate([parse(text, free) for text in ("sin(x)", "cos(x)", "tan(x)")], stop)
    assert list(evaluator.records) == ["sin(x)", "cos(x)"]


def test_train_neither_uses_nor_fills_the_memory(stub_proxy, free, tiny_data):
    evaluator = Evaluator(stub_proxy, free)
    tree = parse("sin(x)", free)
    winner, sign = evaluator.train([tree, None], [7, 8, 9], tiny_data.val)
    assert [outcome.seed for outcome in winner] == [outcome.seed for outcome in sign] == [7, 8, 9]
    assert stub_proxy.trained == [("sin(x)", 7), ("sin(x)", 8), ("sin(x)", 9), ("sign", 7), ("sign", 8), ("sign", 9)]
    assert evaluator.records == {}


def test_stock_trees_are_evaluated_too(stub_proxy, free):
    evaluator = Evaluator(stub_proxy, free)
    stock = gp.PrimitiveTree(parse("add(x, sin(x))", free))
    assert type(stock) is gp.PrimitiveTree
    assert evaluator(stock) == evaluator(parse("add(sin(x), x)", free))
    assert len(stub_proxy.trained) == 1


@pytest.mark.parametrize("seeds", [(), (1, 1)])
def test_bad_seeds_are_refused(stub_proxy, free, seeds):
    with pytest.raises(GaafError, match="seeds must be one or more different whole numbers"):
        Evaluator(stub_proxy, free, seeds=seeds)


def test_a_set_that_cannot_be_closed_is_refused(stub_proxy):
    pset = PrimitiveSet("open", arguments=("x",), ret_type=type("Never", (Feature,), {}))
    with pytest.raises(GaafError, match="no tree returns Never"):
        Evaluator(stub_proxy, pset)
