"""Steady state: repeatable for any number of workers, exact in its budget, and nobody waits for the slowest."""

import time
from collections import deque
from dataclasses import replace

import pytest

from gaaf_gp.activations.behaviour import behaviour
from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation.evaluator import Evaluator
from gaaf_gp.evaluation.fitness_function import PlainFitness
from gaaf_gp.evaluation.racing import Racing
from gaaf_gp.search.evolve import evolve
from gaaf_gp.search.loops import LOOPS, Steady
from gaaf_gp.trees.generation import Limits
from tests.traces import trace

STEADY = ["steady", "aging", "arrival"]


def _run(proxy, pset, loop="steady", workers=1, **settings):
    with Evaluator(proxy, pset, workers=workers) as evaluator:
        return evolve(pset, evaluator, loop=loop, **{"evaluations": 40, "population_size": 8, "seed": 3, **settings})


@pytest.mark.parametrize("loop", STEADY)
def test_the_budget_is_spent_exactly_on_distinct_candidates(stub_proxy, free, loop):
    found = _run(stub_proxy, free, loop, evaluations=61)
    assert len(found.records) == len(stub_proxy.trained) == len({text for text, _ in stub_proxy.trained}) == 61
    assert len(found.population) == 8
    assert found.stopped == "61 evaluations"
    assert [row["evaluations"] for row in found.logbook] == [8, 16, 24, 32, 40, 48, 56, 61]
    assert found.logbook[-1]["nevals"] == 5


def test_one_seed_gives_one_search(stub_proxy, free):
    assert trace(_run(stub_proxy, free)) == trace(_run(stub_proxy, free))
    assert trace(_run(stub_proxy, free)) != trace(_run(stub_proxy, free, seed=4))
    assert trace(_run(stub_proxy, free)) != trace(_run(stub_proxy, free, "steady:1"))


@pytest.mark.parametrize("loop", [Steady(4), Steady(4, aging=True)])
def test_two_workers_give_the_search_of_one(tiny_proxy, free, loop):
    one, two = (_run(tiny_proxy, free, loop, workers, evaluations=14, population_size=5) for workers in (1, 2))
    assert trace(one) == trace(two)


def test_a_judge_without_workers_gives_the_same_search(stub_proxy, free):
    with Evaluator(stub_proxy, free) as evaluator:
        plain = evolve(free, lambda one: evaluator(one), loop="steady", evaluations=40, population_size=8, seed=3)
    assert trace(plain)[1:] == trace(_run(stub_proxy, free))[1:]


def test_selection_does_better_than_chance(stub_proxy, free):
    found = _run(stub_proxy, free, evaluations=200, population_size=20)
    fitness = found.logbook.chapters["fitness"]
    assert fitness[-1]["min"] > fitness[0]["avg"]
    assert found.hall_of_fame[0].fitness.values[0] > fitness[0]["max"]


def test_the_worst_leaves_or_with_aging_the_oldest_that_is_not_of_the_elite(stub_proxy, free):
    found = _run(stub_proxy, free, evaluations=60, elite=0)
    best = sorted((record.fitness for record in found.records), reverse=True)[:8]
    assert sorted((one.fitness.values[0] for one in found.population), reverse=True) == best
    aged = _run(stub_proxy, free, "aging", evaluations=60, elite=0)
    assert [one.canonical for one in aged.population] == [record.text for record in aged.records[-8:]]
    kept = _run(stub_proxy, free, "aging", evaluations=60, elite=2)
    assert {one.canonical for one in kept.hall_of_fame[:2]} <= {one.canonical for one in kept.population}
    assert len(kept.population) == 8


class Slow:
    """Trains one text slowly; all that is needed is picklable, for worker processes."""

    epochs = 1

    def __init__(self, proxy, slow, seconds):
        self.proxy, self.slow, self.seconds = proxy, slow, seconds

    def train(self, individual, seed, score=None, *, epochs=None, state=None):
        if str(individual) == self.slow:
            time.sleep(self.seconds)
        return self.proxy.train(individual, seed, score, epochs=epochs, state=state)


def test_nobody_waits_for_the_slowest_candidate(make_stub, minimal):
    # in a list of arrivals the slow first candidate comes after all others: none of them waited for it
    def search(loop):
        arrivals = []
        found = _run(
            Slow(make_stub(), "sin(x)", 4.0),
            minimal,
            loop,
            workers=2,
            evaluations=20,
            population_size=5,
            initial=["sin(x)"],
            on_evaluation=lambda record: arrivals.append(record.text),
        )
        assert len(found.records) == 20
        return arrivals.index("sin(x)")

    assert search("arrival") == 19
    assert search("steady") == 0, "in order it is taken first, whatever was ready meanwhile"


def test_extra_seeds_are_spent_on_contenders_and_fitness_is_refreshed(make_stub, free):
    with Evaluator(make_stub(noise=0.02), free, extra_seeds=2, places=2) as evaluator:
        found = evolve(free, evaluator, loop="steady", evaluations=50, population_size=10, seed=2)
        worth = {text: record.fitness for text, record in evaluator.records.items()}
    assert {len(record.outcomes) for record in found.records} == {1, 2, 3}
    assert {record.text: record.fitness for record in found.records} == worth
    for one in [*found.population, *found.hall_of_fame]:
        assert one.fitness.values == (worth[one.canonical],)


@pytest.mark.parametrize("loop", STEADY)
def test_ctrl_c_keeps_what_was_evaluated(stub_proxy, free, loop):
    seen = []

    def stop(record):
        seen.append(record.text)
        if len(seen) == 11:
            raise KeyboardInterrupt

    found = _run(stub_proxy, free, loop, on_evaluation=stop)
    assert found.interrupted
    assert [record.text for record in found.records] == seen
    assert len(found.logbook) == 2, "the rest of a generation has its row"


def test_ctrl_c_while_breeding_keeps_what_is_done(stub_proxy, free, monkeypatch):
    def stop(individual):
        if len(stub_proxy.trained) == 20:
            raise KeyboardInterrupt
        return behaviour(individual)

    monkeypatch.setattr(stub_proxy, "behaviour", stop, raising=False)
    found = _run(stub_proxy, free, evaluations=90)
    assert found.interrupted
    assert {record.text for record in found.records} == {text for text, _ in stub_proxy.trained}


def test_a_small_space_is_searched_and_then_the_run_ends(stub_proxy, minimal):
    found = _run(stub_proxy, minimal, evaluations=500, limits=Limits(1, 3))
    assert found.exhausted
    assert {record.text for record in found.records} == {"x", "sin(x)", "cos(x)", "tanh(x)", "add(x, x)"}


def test_it_ends_at_its_target_or_when_the_callback_says_so(stub_proxy, free):
    whole = _run(stub_proxy, free, evaluations=80)
    target = whole.records[30].fitness
    found = _run(stub_proxy, free, evaluations=80, target=target)
    assert found.stopped == f"the target of {target} was reached"
    values = [record.fitness for record in found.records]
    assert values[-1] >= target > max(values[:-1])
    seen = []
    ended = _run(stub_proxy, free, on_generation=lambda found: seen.append(len(found.records)) or len(seen) == 2)
    assert seen == [8, 16]
    assert ended.stopped == "on_generation ended it"
    assert len(ended.logbook) == 2


@pytest.mark.parametrize("bloat", ["none", "pareto", "tarpeian", "harm", "dynamic", "linear", "lexicographic"])
def test_every_control_of_bloat_works(stub_proxy, free, bloat):
    found = _run(stub_proxy, free, bloat=bloat, limits=Limits(4, 9))
    assert len(found.records) == 40
    assert all(one.size <= 9 for one in found.population)


def test_racing_is_refused(make_stub, free):
    with (
        Evaluator(make_stub(9), free, racing=Racing()) as evaluator,
        pytest.raises(GaafError, match="one after another cannot race"),
    ):
        evolve(free, evaluator, loop="steady", evaluations=5, population_size=3)


def test_settings_out_of_their_range_are_refused():
    with pytest.raises(GaafError, match=r"Steady\.ahead must be a whole number of at least 1, got 0"):
        Steady(0)
    assert replace(LOOPS["steady"](), ahead=3) == Steady(3)


class Flying(PlainFitness):
    """Gives records in the order of its candidates, whether it evaluates them as soon as it has them or one by one."""

    def __init__(self, function, pset, early):
        super().__init__(function, pset)
        self.early = early

    def stream(self, candidates, on_record, *, ahead, in_order):
        waiting = deque()
        while True:
            while len(waiting) < ahead and (candidate := next(candidates, None)) is not None:
                waiting.append(candidate)
                if self.early:
                    self.evaluate([candidate], on_record)
            if not waiting:
                return
            yield self.evaluate([waiting.popleft()], on_record)[0]


@pytest.mark.parametrize("loop", ["steady:5", "aging:5"])
def test_what_is_on_its_way_at_the_end_is_taken_by_nobody_however_early_it_is_ready(stub_proxy, free, loop):
    def accuracy(tree):
        return stub_proxy.train(tree, 0).accuracy

    late, early = (
        evolve(free, Flying(accuracy, free, early), loop=loop, evaluations=200, population_size=6, seed=3, target=0.42)
        for early in (False, True)
    )
    assert "target" in late.stopped or "0.42" in late.stopped
    assert len(late.records) < 200
    assert [str(one) for one in early.population] == [str(one) for one in late.population]
    assert early.stopped.split()[-1] == late.stopped.split()[-1]
