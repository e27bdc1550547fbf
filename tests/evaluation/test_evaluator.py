"""Evaluation: each behaviour once, on paired seeds, in races or not, the same for any number of workers."""

import multiprocessing
import os
from dataclasses import replace

import pytest
import torch
from deap import gp

from gaaf_gp.activations.behaviour import behaviour
from gaaf_gp.binary import NETWORKS, small_network
from gaaf_gp.data.load import Split
from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation.evaluator import Evaluator
from gaaf_gp.evaluation.racing import Racing
from gaaf_gp.evaluation.trainer import WORKER_LOST, Job
from gaaf_gp.search import evolve
from gaaf_gp.training.outcome import WORST_ACCURACY, Epoch, Outcome
from gaaf_gp.training.proxy import Proxy
from gaaf_gp.trees.parser import parse
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.types import Feature

MAIN = os.getpid()


def deadly(x):
    if len(x) == 15:
        os._exit(1)
    return x * 1


def fatal(x):
    if multiprocessing.parent_process() is not None:
        os._exit(1)
    return x * 1


def picky(x):
    if len(x) == 15:
        raise IndexError("no")
    return x * 1


def deadly_set() -> PrimitiveSet:
    pset = PrimitiveSet("deadly")
    pset.addPrimitive(deadly, [Feature], Feature)
    pset.addPrimitive(fatal, [Feature], Feature)
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
    # Near zero x - sin(x) rounds to 0, whose sign is +1 as that of its negative: they do not quite train alike.
    assert len(stub_proxy.trained) == len(evaluator.records) == 3


def test_one_behaviour_is_trained_once(stub_proxy, free):
    evaluator = Evaluator(stub_proxy, free)
    seen = []
    texts = ["sin(x)", "neg(sin(x))", "cos(x)", "add(sin(x), zero(x))", "square(x)"]
    trees = [parse(text, free) for text in texts]
    assert len({evaluator.behaviour(tree).signature for tree in trees[:2]}) == 1
    records = evaluator.evaluate(trees[:3], seen.append) + evaluator.evaluate(trees[3:], seen.append)
    assert [text for text, _ in stub_proxy.trained] == ["sin(x)", "cos(x)"]
    assert [record.same_as for record in records] == [None, "sin(x)", None, "sin(x)", None]
    assert records[0].accuracy == records[1].accuracy == records[3].accuracy != records[2].accuracy
    assert list(evaluator.records) == [record.text for record in records] == [tree.canonical for tree in trees]
    assert sorted(record.text for record in seen) == sorted(evaluator.records), "each is reported once"
    assert evaluator(trees[3]) == (records[0].fitness,)


def test_a_candidate_that_training_could_not_repair_reaches_no_worker(stub_proxy, free):
    evaluator = Evaluator(stub_proxy, free)
    record = evaluator.evaluate([parse("square(x)", free)])[0]
    assert (record.failure, record.accuracy, record.outcomes) == ("constant sign", WORST_ACCURACY, ())
    assert record.fidelity == 0
    assert record.complete
    assert stub_proxy.trained == []


def test_the_proxy_says_what_behaves_alike(tiny_data, tiny_settings, free):
    settings = {**tiny_settings, "network_settings": {"widths": (4, 8), "pad_value": 1.0}}
    with Evaluator(Proxy(tiny_data, **settings), free) as evaluator:
        found = [evaluator.behaviour(parse(text, free)) for text in ("sin(x)", "neg(sin(x))")]
    assert found[0].signature != found[1].signature, "padding with ones tells f from -f"


def test_behaviour_is_computed_once_for_a_text(stub_proxy, free, monkeypatch):
    calls = []

    def judge(individual):
        calls.append(str(individual))
        return behaviour(individual)

    monkeypatch.setattr(stub_proxy, "behaviour", judge, raising=False)
    evaluator = Evaluator(stub_proxy, free)
    tree = parse("add(x, sin(x))", free)
    assert evaluator.behaviour(tree) == evaluator.behaviour(parse("add(sin(x), x)", free)) == behaviour(tree)
    evaluator.evaluate([tree])
    assert len(calls) == 1


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
    tiny_proxy.tables = False  # the deadly primitive looks at the size of the batch
    with Evaluator(tiny_proxy, pset, workers=2) as evaluator:
        records = evaluator.evaluate(trees)
    assert [record.failure for record in records] == [None, WORKER_LOST, None, None]
    assert records[1].accuracy == WORST_ACCURACY
    assert os.getpid() == MAIN


def test_a_candidate_that_kills_its_worker_takes_nobody_of_its_stack_along(tiny_data, tiny_settings):
    pset, proxy = deadly_set(), Proxy(tiny_data, **tiny_settings, kernels="torch")
    trees = [parse(text, pset) for text in ("sin(x)", "fatal(x)", "cos(x)")]
    with Evaluator(proxy, pset, workers=2, at_once=2) as evaluator:
        records = evaluator.evaluate(trees)
    assert [record.failure for record in records] == [None, WORKER_LOST, None]
    with Evaluator(proxy, pset, at_once=2) as evaluator:
        alive = evaluator.evaluate([tree for tree in trees if "fatal" not in str(tree)])
    assert [one.by_seed for one in alive] == [one.by_seed for one in records if one.failure is None]


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


TEXTS = ["x", "sin(x)", "mix(cos(x), x)", "neg(sin(x))", "add(x, const(0.25))", "cos(x)", "tanh(x)", "cube(x)"]


def _raced(proxy, pset, workers=1, **settings):
    trees = [parse(text, pset) for text in TEXTS if text.split("(")[0] in {*pset.mapping, "x"}]
    with Evaluator(proxy, pset, seeds=(0, 1), workers=workers, **settings) as evaluator:
        evaluator.evaluate(trees)
        return evaluator.records


def _facts(records):
    return [
        (r.text, r.accuracy, r.fitness, r.fidelity, r.same_as, r.standard_error, [o.history for o in r.outcomes])
        for r in records.values()
    ]


def test_survivors_of_a_race_are_trained_bit_for_bit_as_without_it(tiny_proxy, free):
    plain, raced = _raced(tiny_proxy, free), _raced(tiny_proxy, free, racing=Racing((1, 2), keep=0.5))
    assert list(raced) == list(plain)
    assert {record.fidelity for record in raced.values()} == {0.25, 0.5, 1.0}
    for text, record in raced.items():
        whole = plain[text]
        if record.fidelity == 1:
            assert _facts({text: record}) == _facts({text: whole})
        for outcome, reference in zip(record.outcomes, whole.outcomes, strict=True):
            assert outcome.history == reference.history[: outcome.epochs]
            assert outcome.state is None
    further = sorted((record.fidelity, record.fitness) for record in raced.values())
    assert [fitness for _, fitness in further] == sorted(fitness for _, fitness in further)


def test_a_race_spends_what_its_rungs_say(make_stub, free):
    proxy = make_stub(9)
    evaluator = Evaluator(proxy, free, racing=Racing(), seeds=(0, 1))
    texts = ["sin(x)", "cos(x)", "x", "tan(x)", "cube(x)", "atan(x)", "erf(x)", "scale(x)", "sin(sin(x))"]
    seen = []
    records = evaluator.evaluate([parse(text, free) for text in texts], seen.append)
    assert proxy.spent == 2 * (9 * 1 + 3 * 2 + 2 * 6)
    assert sorted(record.fidelity for record in records) == [1 / 9] * 6 + [3 / 9] + [1] * 2
    assert len(seen) == len(texts)
    assert {record.text: record for record in seen} == evaluator.records
    again = evaluator.evaluate([parse("neg(tan(x))", free)])[0]
    assert again.same_as == "tan(x)"
    assert again.fidelity == evaluator.records["tan(x)"].fidelity
    single = evaluator.evaluate([parse("sin(cube(x))", free)])[0]
    assert single.fidelity == 1, "one alone has no rival"


def test_a_failed_candidate_leaves_its_race(tiny_proxy):
    pset = PrimitiveSet("picky")
    for function in (torch.sin, torch.cos, torch.tanh, picky):
        pset.addPrimitive(function, [Feature], Feature)
    tiny_proxy.tables = False
    trees = [parse(text, pset) for text in ("sin(x)", "picky(x)", "cos(x)", "tanh(x)", "tanh(sin(x))")]
    records = Evaluator(tiny_proxy, pset, racing=Racing((1, 2), keep=0.5)).evaluate(trees)
    assert (records[1].failure, records[1].fitness, records[1].fidelity) == ("IndexError: no", WORST_ACCURACY, 0)
    assert sorted(record.fidelity for record in records if record.failure is None) == [0.25, 0.25, 1, 1]


def test_an_interrupted_race_keeps_its_finalists(make_stub, free):
    evaluator = Evaluator(make_stub(9), free, racing=Racing(), seeds=(0,))
    texts = ["sin(x)", "cos(x)", "x", "tan(x)", "cube(x)", "atan(x)", "erf(x)"]

    def stop(record):
        assert record.fidelity == 1
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluator.evaluate([parse(text, free) for text in texts], stop)
    assert len(evaluator.records) == 1
    assert len(evaluator.evaluate([parse(text, free) for text in texts])) == len(texts)


def test_seeds_are_added_where_the_first_place_is_contested(make_stub, free):
    proxy = make_stub(noise=0.005)
    evaluator = Evaluator(proxy, free, seeds=(5,), extra_seeds=3)
    texts = [f"{outer}({inner}(x))" for outer in ("sin", "tan", "atan", "erf") for inner in ("sin", "cube", "erf")]
    texts += ["sin(sin(sin(x)))", "sin(sin(sin(sin(x))))"]
    records = evaluator.evaluate([parse(text, free) for text in texts])
    seeds = {record.text: [outcome.seed for outcome in record.outcomes] for record in records}
    assert all(found == [5, 6, 7, 8][: len(found)] for found in seeds.values()), "pairs need the same seeds"
    counts = {len(found) for found in seeds.values()}
    assert counts > {1}
    assert all(record.accuracy == pytest.approx(sum(o.accuracy for o in record.outcomes) / len(record.outcomes))
               for record in records)  # fmt: skip
    assert all(record.standard_error > 0 for record in records)
    most = max(records, key=lambda record: len(record.outcomes))
    assert most.fitness > sorted(record.fitness for record in records)[len(records) // 2]
    trained = len(proxy.trained)
    evaluator.evaluate([parse(text, free) for text in texts])
    assert len(proxy.trained) == trained, "what is known is not contested again"


def test_clear_cases_get_no_seed_beyond_the_estimate(make_stub, free):
    proxy = make_stub(noise=1e-6)
    records = Evaluator(proxy, free, extra_seeds=3).evaluate(
        [parse(text, free) for text in ("sin(sin(x))", "cos(x)", "tan(x)", "x", "cube(x)")]
    )
    assert sorted(len(record.outcomes) for record in records) == [1, 1, 2, 2, 2]
    assert len(proxy.trained) == 8


def test_two_workers_race_and_add_seeds_as_one_does(tiny_proxy, free):
    settings = {"racing": Racing((1, 2), keep=0.5), "extra_seeds": 2, "places": 2}
    found = [_raced(tiny_proxy, free, workers, **settings) for workers in (1, 2)]
    assert _facts(found[0]) == _facts(found[1])
    assert max(len(record.outcomes) for record in found[0].values()) > 1, "seeds were added"
    assert min(record.fidelity for record in found[0].values()) < 1


class _Table:
    """A proxy of known accuracies: text -> accuracy on seeds 0, 1, 2."""

    epochs = 1

    def __init__(self, table):
        self.table = table

    def train(self, individual, seed, score=None):
        accuracy = self.table[str(individual)][seed]
        return Outcome(seed, accuracy, (Epoch(1.0, accuracy),), 0.0)


@pytest.mark.parametrize(("places", "more"), [(1, set()), (2, set()), (3, {"cube(x)", "x"}), (4, {"cube(x)", "x"})])
def test_the_cut_of_the_elite_is_contested_too(free, places, more):
    table = {
        "sin(x)": (0.90, 0.91, 0.90),
        "tan(x)": (0.80, 0.80, 0.81),
        "cube(x)": (0.501, 0.50, 0.50),
        "x": (0.50, 0.505, 0.50),
        "erf(x)": (0.30, 0.30, 0.31),
    }
    evaluator = Evaluator(_Table(table), free, extra_seeds=2, places=places)
    records = evaluator.evaluate([parse(text, free) for text in table])
    counts = {record.text: len(record.outcomes) for record in records}
    # The first three got their second seed for an estimate of the noise.
    third = {text for text, count in counts.items() if count == 3}
    if places == 3:
        assert third == more
    else:
        assert third <= {"sin(x)", "tan(x)"} | more
    assert counts["erf(x)"] == 1


def test_one_seed_without_others_has_no_error(stub_proxy, free):
    assert Evaluator(stub_proxy, free).evaluate([parse("sin(x)", free)])[0].standard_error is None
    record = Evaluator(stub_proxy, free, seeds=(1, 5)).evaluate([parse("sin(x)", free)])[0]
    assert record.standard_error == pytest.approx(0.002), "accuracies that are 0.004 apart"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"extra_seeds": -1}, "extra_seeds must be a whole number of at least 0, got -1"),
        ({"places": 0}, "places must be a whole number of at least 1, got 0"),
        ({"racing": Racing((1, 3))}, r"within the 1 epochs of a training, got \[1, 3\]"),
    ],
)
def test_bad_settings_are_refused(stub_proxy, free, settings, message):
    with pytest.raises(GaafError, match=message):
        Evaluator(stub_proxy, free, **settings)


@pytest.mark.parametrize("seeds", [(), (1, 1)])
def test_bad_seeds_are_refused(stub_proxy, free, seeds):
    with pytest.raises(GaafError, match="seeds must be 1 or more different whole numbers"):
        Evaluator(stub_proxy, free, seeds=seeds)


def test_a_set_that_cannot_be_closed_is_refused(stub_proxy):
    pset = PrimitiveSet("open", arguments=("x",), ret_type=type("Never", (Feature,), {}))
    with pytest.raises(GaafError, match="no tree returns Never"):
        Evaluator(stub_proxy, pset)


def test_candidates_trained_at_once_get_the_records_of_single_trainings(tiny_data, tiny_settings, free):
    proxy = Proxy(tiny_data, **tiny_settings, kernels="torch")
    trees = [parse(text, free) for text in ("sin(x)", "add(sin(x), x)", "scale(x)", "zero(x)", "cube(x)")]
    found = []
    for at_once in (1, 3):
        with Evaluator(proxy, free, seeds=(0, 1), at_once=at_once) as evaluator:
            found.append(evaluator.evaluate(trees))
    for single, stacked in zip(*found, strict=True):
        assert (single.text, single.failure, single.fidelity) == (stacked.text, stacked.failure, stacked.fidelity)
        assert [outcome.seed for outcome in single.outcomes] == [outcome.seed for outcome in stacked.outcomes]
        for one, other in zip(single.outcomes, stacked.outcomes, strict=True):
            assert other.history[0].loss == pytest.approx(one.history[0].loss, rel=1e-2)
        # a failed worker or a lost order would show as another accuracy; rounding moves a few of 30 pictures
        assert stacked.accuracy == pytest.approx(single.accuracy, abs=0.2)


def test_at_once_must_be_a_whole_number(stub_proxy, free):
    with pytest.raises(GaafError, match="at_once must be a whole number of at least 1, got 0"):
        Evaluator(stub_proxy, free, at_once=0)


def test_train_scores_the_split_that_is_given(free, tiny_proxy, tiny_data):
    turned = Split(tiny_data.val.images, (tiny_data.val.labels + 1) % 3)
    tree = parse("sin(x)", free)
    for split in (turned, tiny_data.val, None):
        ((outcome,),) = Evaluator(tiny_proxy, free).train([tree], [3], split)
        assert outcome.history == tiny_proxy.train(tree, 3, split).history
    usual, other = (Evaluator(tiny_proxy, free).train([tree], [3], split)[0][0] for split in (None, turned))
    assert usual.accuracy != other.accuracy


def test_those_with_the_fewest_seeds_get_theirs_first(free, stub_proxy, monkeypatch):
    evaluator = Evaluator(stub_proxy, free, extra_seeds=2)
    rounds = iter([[Job("sin(x)", 2), Job("x", 1), Job("cos(x)", 1)], [Job("sin(x)", 2)], []])
    asked = []

    def run(jobs):
        asked.append([(job.text, job.seed) for job in jobs])
        return iter(())

    monkeypatch.setattr(evaluator._known, "wanted", lambda: next(rounds))
    monkeypatch.setattr(evaluator, "_run", run)
    evaluator._add_seeds()
    assert asked == [[("x", 1), ("cos(x)", 1)], [("sin(x)", 2)]]


def failing_network(num_classes, in_channels, *, activation=None, **binary):
    model = small_network(num_classes, in_channels, activation=activation, widths=(4, 8), **binary)
    model.register_forward_pre_hook(lambda *_: 1 / 0)
    return model


WAYS = {
    "evaluate": lambda evaluator, trees: evaluator.evaluate(trees),
    "stream": lambda evaluator, trees: list(evaluator.stream(trees)),
    "evolve": lambda evaluator, _: evolve(evaluator.pset, evaluator, evaluations=5, population_size=4),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_fails_for_the_plain_sign_too_is_the_fault_of_the_task(tiny_data, free, monkeypatch, way):
    monkeypatch.setitem(NETWORKS, "failing", failing_network)
    evaluator = Evaluator(Proxy(tiny_data, network="failing", batch_size=15), free)
    trees = [parse(text, free) for text in ("sin(x)", "add(cos(x), x)")]
    with pytest.raises(GaafError, match=r"must work for the plain sign, but that failed \(.*ZeroDivisionError"):
        WAYS[way](evaluator, trees)


@pytest.mark.parametrize("way", ["evaluate", "stream", "evolve"])
def test_a_task_at_fault_is_refused_each_time(tiny_data, free, monkeypatch, way):
    """The failures of the first time are known by then, as when a cell of a notebook is run again."""
    monkeypatch.setitem(NETWORKS, "failing", failing_network)
    evaluator = Evaluator(Proxy(tiny_data, network="failing", batch_size=15), free)
    trees = [parse(text, free) for text in ("sin(x)", "add(cos(x), x)")]
    again = {**WAYS, "evolve": lambda evaluator, _: evolve(free, evaluator, evaluations=5, population_size=4, seed=0)}
    for _ in range(3):
        with pytest.raises(GaafError, match="must work for the plain sign"):
            again[way](evaluator, trees)
    with pytest.raises(GaafError, match="must work for the plain sign"):
        evaluator(trees[0])


def test_where_candidates_alone_fail_the_plain_sign_is_trained_once(stub_proxy, monkeypatch):
    pset = deadly_set()
    pset.addPrimitive(picky, [Feature], Feature)
    proxy_train = stub_proxy.train

    def train(individual, seed, *args, **kwargs):
        outcome = proxy_train(individual, seed, *args, **kwargs)
        return outcome if individual is None else replace(outcome, failure="no", accuracy=WORST_ACCURACY)

    monkeypatch.setattr(stub_proxy, "train", train)
    evaluator = Evaluator(stub_proxy, pset)
    for text in ("sin(x)", "cos(x)", "picky(sin(x))"):
        assert evaluator.evaluate([parse(text, pset)])[0].failure == "no"
    assert [text for text, _ in stub_proxy.trained].count("sign") == 1


def test_a_set_with_two_inputs_is_refused(stub_proxy):
    pset = PrimitiveSet("two", 2)
    pset.addPrimitive(torch.sin, [Feature], Feature)
    with pytest.raises(GaafError, match="must have one input, and 'two' has 2: make it with PrimitiveSet"):
        Evaluator(stub_proxy, pset)
