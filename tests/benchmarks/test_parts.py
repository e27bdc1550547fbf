"""What the parts compute from their measurements, and that both sides are given the same task."""

import functools
import statistics
import time

import numpy as np
import pytest
import torch
from scipy import stats

from benchmarks import candidate, harness, memory, ours, overhead, scaling, search, step
from benchmarks.sizes import QUICK, SearchSize, Setup
from benchmarks.task import RESNET18, SMALL, random_data
from benchmarks.textbook_training import Evaluation
from gaaf_gp.search.evolve import evolve
from gaaf_gp.training.outcome import Epoch, Outcome
from gaaf_gp.trees.parser import parse

TINY = SMALL.but(widths=(4, 8), epochs=4, batch_size=15, learning_rate=0.03, pad=0)


def _run(side, seed, reached, seconds, steps=100, evaluations=10):
    return {"side": side, "seed": seed, "reached": reached, "seconds": seconds, "steps": steps,
            "evaluations": evaluations}  # fmt: skip


def test_the_expected_cost_of_a_target_counts_the_runs_that_failed():
    runs = [
        *(_run("textbook", seed, seed > 0, seconds) for seed, seconds in enumerate((300.0, 100.0, 200.0))),
        *(_run("ours", seed, True, seconds, steps=40) for seed, seconds in enumerate((10.0, 30.0, 20.0))),
    ]
    found = search.summary(runs)
    assert found["textbook"]["seconds"] == {"expected": 300.0, "median": 200.0}
    assert found["ours"]["seconds"] == {"expected": 20.0, "median": 20.0}
    assert (found["ratio"], found["ratio_is"]) == (15.0, "measured")
    assert found["steps_ratio"] == (300 / 2) / (120 / 3)


@pytest.mark.parametrize(
    ("textbook", "own", "kind"),
    [(False, True, "at least"), (True, False, "at most"), (False, False, "unknown"), (True, True, "measured")],
)
def test_a_side_that_never_reached_the_target_gives_a_bound(textbook, own, kind):
    found = search.summary([_run("textbook", 0, textbook, 50.0), _run("ours", 0, own, 5.0)])
    assert (found["ratio"], found["ratio_is"]) == (10.0, kind)


def test_our_search_stops_at_the_target_and_counts_every_step(tiny_data):
    size = SearchSize(TINY.but(epochs=2), None, 0.4, 30, 6)
    found = search.search_ours(tiny_data, size, 1, threads=1)
    assert found["reached"] == (found["best"] >= 0.4)
    assert found["evaluations"] <= 30
    assert found["steps"] % 4 == 0
    assert 0 < found["steps"] <= found["evaluations"] * 2 * 4 + 6 * 2 * 4  # some of a race may not be judged yet


def test_a_search_that_cannot_reach_its_target_is_given_up(tiny_data):
    found = search.search_ours(tiny_data, SearchSize(TINY.but(epochs=1), None, 1.1, 5, 4), 0, threads=1)
    assert not found["reached"]
    assert (found["evaluations"], found["steps"]) == (5, 5 * 4)


def test_the_textbook_search_trains_what_the_papers_algorithm_asks_for(tiny_data, monkeypatch):
    evaluate = functools.partial(search.textbook_training.evaluate, workers=0)
    monkeypatch.setattr(search.textbook_training, "evaluate", evaluate)
    size = SearchSize(TINY.but(epochs=1), None, 1.1, 4, 4)
    found = search.search_textbook(tiny_data, size, 0, threads=1)
    assert not found["reached"]
    assert (found["evaluations"], found["steps"]) == (4, 4 * 4)
    parse(found["best_text"], ours.make_pset())
    assert found == search.search_textbook(tiny_data, size, 0, threads=1) | {"seconds": found["seconds"]}


def test_the_textbook_side_gets_the_number_of_threads_that_suits_it(tiny_data, monkeypatch):
    def evaluate(data, function, task, seed):
        time.sleep(0.02 * task.threads)
        return Evaluation((0.4 + 0.1 * task.threads,), 0.0, 4)

    monkeypatch.setattr(search.textbook_training, "evaluate", evaluate)
    size = SearchSize(TINY, None, 0.5, 10, 4)
    found = search.prepare(tiny_data, size, threads=3)
    assert found["threads"]["textbook"] == 1
    assert found["sign"]["textbook"] == pytest.approx((0.5 + 0.7) / 2)
    expected = [ours.evaluate(tiny_data, None, TINY, search.SIGN_SEED + seed).accuracy for seed in (0, 1, 2)]
    assert found["sign"]["ours"] == pytest.approx(statistics.fmean(expected))


def test_the_evaluator_counts_the_epochs_of_races_once(tiny_data):
    evaluator = ours.make_evaluator(tiny_data, TINY, workers=1)
    assert evaluator.racing is not None
    found = evolve(evaluator.pset, evaluator, evaluations=12, population_size=6, seed=2)
    trained = [outcome for record in found.records for outcome in record.outcomes]
    assert any(outcome.epochs < 4 for outcome in trained), "nobody dropped out: the test says nothing"
    at_least = sum(outcome.epochs for outcome in trained)
    failures = sum(outcome.failure is not None for outcome in trained)
    assert at_least <= evaluator.epochs_trained <= at_least + failures


def test_an_outcome_that_failed_has_no_accuracy_but_its_steps_count(tiny_data):
    history = (Epoch(1.0, 0.5), Epoch(0.5, 0.7))
    good = ours.as_evaluation(Outcome(0, 0.7, history, 2.0), tiny_data, TINY)
    assert good == Evaluation((0.5, 0.7), 2.0, 2 * 4)
    failed = ours.as_evaluation(Outcome(0, 0.0, history, 2.0, "non-finite loss in epoch 3"), tiny_data, TINY)
    assert failed == Evaluation((), 2.0, 3 * 4)
    assert failed.accuracy == 0


def test_our_step_is_the_proxys(tiny_data):
    text = "add(sin(x), x)"
    task = TINY.but(batch_size=20)
    proxy = ours.make_proxy(tiny_data, task.but(epochs=ours.LONG))
    training = proxy.training(ours.individual(text), 3)
    training.model.train()
    images, labels = proxy.batches.normalized(tiny_data.train.images), tiny_data.train.labels
    taken = ours.make_step(tiny_data, text, task, seed=3)
    for batch in (20, 10):
        assert taken(batch) == training.step(images[:batch], labels[:batch])


def test_accuracies_are_compared_by_welchs_interval():
    first, second = [0.80, 0.82, 0.81, 0.83, 0.79], [0.76, 0.80, 0.78, 0.74, 0.77]
    sides = [[Evaluation((0.1, value), 1.0, 1) for value in values] for values in (first, second)]
    found = candidate.accuracies(*sides)
    # By hand: the errors of both means, and the Welch-Satterthwaite degrees of freedom.
    a, b = statistics.variance(first) / 5, statistics.variance(second) / 5
    freedom = (a + b) ** 2 / (a**2 / 4 + b**2 / 4)
    half = float(stats.t.ppf(0.975, freedom)) * (a + b) ** 0.5
    difference = statistics.fmean(first) - statistics.fmean(second)
    assert found["difference"] == pytest.approx(difference)
    assert found["interval"] == pytest.approx([difference - half, difference + half])
    assert found["ours"]["std"] == pytest.approx(np.std(first, ddof=1))
    assert found["textbook"]["values"] == second


def test_one_seed_gives_no_interval():
    one = [Evaluation((0.5,), 1.0, 1)]
    assert candidate.accuracies(one, one)["interval"] is None


def test_the_work_of_a_step_of_the_papers_network():
    # Multiplications of a forward pass, by hand: stem, four stages, 1x1 shortcuts, for a 32x32 image.
    stem = 3 * 9 * 64 * 32**2
    first = 4 * 64 * 64 * 9 * 32**2
    rest = sum(
        c // 2 * c * 9 * s**2 + 3 * c * c * 9 * s**2 + c // 2 * c * s**2 for c, s in ((128, 16), (256, 8), (512, 4))
    )
    assert step.operations(RESNET18.but(batch_size=1)) == 2 * (3 * (stem + first + rest) - stem)


@pytest.mark.parametrize("side", ["textbook", "ours"])
def test_a_step_of_either_side_trains(side):
    task = SMALL.but(widths=(4, 8), batch_size=16)
    taken = step.make_step(side, task, "sin(s*x) + x")
    first = float(taken(16))
    for _ in range(20):
        last = float(taken(16))
    assert last < first


def test_peak_memory_sees_what_is_freed_again():
    def action():
        torch.ones(20_000_000).sum()

    peak = memory.peak_memory(action)
    assert 70e6 < peak < 200e6
    assert memory.peak_memory(lambda: None) < 20e6


@pytest.mark.parametrize("learnable", [False, True])
@pytest.mark.parametrize("size", [2, 3, 4, 5, 20, 50, 100, 200])
def test_trees_grow_to_the_size_that_is_asked_for(size, learnable, free):
    tree = parse(scaling.tree_of(size, learnable), free)
    assert tree.size == size
    assert ("scale" in str(tree)) == learnable


def test_the_null_trainer_trains_nothing_and_the_search_is_a_real_one():
    seconds, found = overhead.search(30, 8)
    assert seconds > 0
    assert len({record.text for record in found.records}) == 30
    assert len({record.accuracy for record in found.records}) > 10
    _, again = overhead.search(30, 8)
    assert [record.text for record in found.records] == [record.text for record in again.records]


def test_the_parts_of_the_overhead_are_timed(free):
    sample = [parse(text, free) for text in ("add(sin(x), x)", "mul(scale(x), cos(x))")]
    parts = overhead.split(sample, images=200)
    assert set(parts) == {"generate", "mate and mutate", "canonical text", "behaviour", "record", "compile"}
    assert all(seconds >= 0 for seconds in parts.values())


def test_random_pictures_have_the_size_that_the_network_is_timed_with():
    data = random_data("resnet18", 12)
    assert tuple(data.train.images.shape) == (12, 3, 32, 32)
    assert data.num_classes == 10
    assert torch.equal(data.train.images, random_data("resnet18", 12).train.images)


def test_a_resumed_search_keeps_its_finished_runs(tiny_data, monkeypatch):
    monkeypatch.setattr(search, "load_data", lambda limit, val_fraction: tiny_data)
    prepared = {"sign": {"textbook": 0.5, "ours": 0.5}, "threads": {"textbook": 1, "ours": 1}}
    monkeypatch.setattr(search, "prepare", lambda data, size, threads: prepared)
    calls = []

    def fake(side):
        def run(data, size, seed, threads):
            calls.append((side, seed))
            return {key: value for key, value in _run(side, seed, True, 2.0).items() if key not in ("side", "seed")}

        return run

    monkeypatch.setattr(search, "search_textbook", fake("textbook"))
    monkeypatch.setattr(search, "search_ours", fake("ours"))
    saved = []
    sizes = QUICK
    first = search.measure(Setup(sizes, 1, {}, save=lambda result: saved.append({**result, "runs": [*result["runs"]]})))
    assert calls == [("textbook", 0), ("ours", 0)]
    assert [len(result["runs"]) for result in saved] == [1, 2]
    assert "ratio" in first
    again = search.measure(Setup(sizes, 1, {}, earlier=saved[0]))
    assert calls[2:] == [("ours", 0)]
    assert again["resumed"] == 1
    other = search.measure(Setup(sizes, 2, {}, earlier=saved[0]))
    assert other["resumed"] == 0


def test_a_turn_is_several_steps_and_the_seconds_are_those_of_one():
    taken: list[int] = []
    step._turn(taken.append, 128, 5)(0)
    assert taken == [128] * 5
    timing = step._a_step(harness.Timing((1.0, 2.0), ("a", "b")), 5)
    assert timing.seconds == (0.2, 0.4)
    assert timing.results == ("a", "b")
