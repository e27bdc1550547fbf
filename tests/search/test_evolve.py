"""The loop: exact budget, no candidate and no behaviour twice, repeatable, elitist, and nothing lost on Ctrl-C."""

from collections import Counter

import pytest

from gaaf_gp.activations.behaviour import behaviour, screen
from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation.evaluator import Evaluator
from gaaf_gp.evaluation.racing import Racing
from gaaf_gp.search.evolve import evolve
from gaaf_gp.search.result import SearchResult
from gaaf_gp.search.toolbox import make_toolbox
from gaaf_gp.training.outcome import Outcome
from gaaf_gp.trees.candidate import TwoTrees
from gaaf_gp.trees.generation import Limits
from gaaf_gp.trees.parser import parse
from tests.traces import trace


def _run(proxy, pset, workers=1, **settings):
    with Evaluator(proxy, pset, workers=workers) as evaluator:
        return evolve(pset, evaluator, **{"evaluations": 30, "population_size": 8, "seed": 3, **settings})


def test_the_budget_is_spent_exactly_on_distinct_candidates(stub_proxy, free):
    found = _run(stub_proxy, free, evaluations=61)
    assert len(found.records) == len(stub_proxy.trained) == len({text for text, _ in stub_proxy.trained}) == 61
    assert not found.exhausted
    assert not found.interrupted


def test_one_seed_gives_one_run(stub_proxy, free):
    assert trace(_run(stub_proxy, free)) == trace(_run(stub_proxy, free))
    assert trace(_run(stub_proxy, free)) != trace(_run(stub_proxy, free, seed=4))


def test_two_workers_give_the_run_of_one(tiny_proxy, free):
    one, two = (_run(tiny_proxy, free, workers, evaluations=14, population_size=6) for workers in (1, 2))
    assert trace(one) == trace(two)
    assert len(one.records) == 14


def test_the_best_never_gets_worse_and_is_kept(stub_proxy, free):
    found = _run(stub_proxy, free, evaluations=80)
    best = [row["best"] for row in found.logbook]
    assert best == sorted(best)
    assert best[-1] == max(record.accuracy for record in found.records)
    assert found.hall_of_fame[0].fitness.values == (best[-1],)
    assert any(individual == found.hall_of_fame[0] for individual in found.population)
    fitnesses = [individual.fitness.values[0] for individual in found.hall_of_fame]
    assert fitnesses == sorted(fitnesses, reverse=True)
    assert len({individual.canonical for individual in found.hall_of_fame}) == len(found.hall_of_fame) == 10


def test_selection_does_better_than_chance(stub_proxy, free):
    found = _run(stub_proxy, free, evaluations=200, population_size=20)
    fitness = found.logbook.chapters["fitness"]
    assert fitness[-1]["avg"] > fitness[0]["max"], "an average late candidate beats the best of the random ones"


def test_the_logbook_counts(stub_proxy, free):
    found = _run(stub_proxy, free, evaluations=21, population_size=8, elite=2)
    assert [row["nevals"] for row in found.logbook] == [8, 6, 6, 1]
    assert [row["evaluations"] for row in found.logbook] == [8, 14, 20, 21]
    assert [row["gen"] for row in found.logbook] == [0, 1, 2, 3]
    sizes = [individual.size for individual in found.population]
    assert found.logbook.chapters["size"][-1]["avg"] == pytest.approx(sum(sizes) / len(sizes))


@pytest.mark.parametrize("limits", [Limits(2, 5), Limits(4, 9)])
def test_limits_hold_and_only_live_candidates_are_trained(stub_proxy, free, limits):
    found = _run(stub_proxy, free, evaluations=60, limits=limits)
    for individual in [*found.population, *found.hall_of_fame]:
        assert individual.height <= limits.height
        assert individual.size <= limits.size
        assert screen(individual) is None
    assert found.rejected["constant sign"] > 0


def test_a_small_space_is_searched_and_then_the_run_ends(stub_proxy, minimal):
    found = _run(stub_proxy, minimal, evaluations=500, limits=Limits(1, 3))
    assert found.exhausted
    # x; sin, cos, tanh of x; x+x, x-x and x*x, of which the last two have a constant sign.
    assert {record.text for record in found.records} == {"x", "sin(x)", "cos(x)", "tanh(x)", "add(x, x)"}
    assert found.rejected == {"constant sign": 2}


def test_ctrl_c_keeps_what_was_evaluated(stub_proxy, free):
    seen = []

    def stop(record):
        seen.append(record)
        if len(seen) == 11:
            raise KeyboardInterrupt

    found = _run(stub_proxy, free, evaluations=30, population_size=8, on_evaluation=stop)
    assert found.interrupted
    assert {r.text for r in found.records} == {r.text for r in seen}
    assert len(found.records) == 11
    assert len(found.hall_of_fame) == 10
    whole = _run(stub_proxy, free, evaluations=30, population_size=8)
    assert [r.text for r in whole.records[:8]] == [r.text for r in found.records[:8]]


def test_ctrl_c_between_two_generations_keeps_the_last_one(stub_proxy, free, monkeypatch):
    def stop(individual):
        if len(stub_proxy.trained) == 8:  # the first generation is trained, the second is being bred
            raise KeyboardInterrupt
        return behaviour(individual)

    monkeypatch.setattr(stub_proxy, "behaviour", stop, raising=False)
    found = _run(stub_proxy, free, evaluations=30, population_size=8)
    assert found.interrupted
    assert len(found.records) == len(found.population) == 8
    assert len(found.logbook) == 1


def test_no_behaviour_is_trained_twice(stub_proxy, free):
    found = _run(stub_proxy, free, evaluations=60)
    signatures = [behaviour(individual).signature for individual in _individuals(found, free)]
    assert len(set(signatures)) == len(signatures) == len(found.records) == 60
    assert found.rejected["same behaviour"] > 0
    assert all(record.same_as is None for record in found.records)


def _individuals(found, pset):
    return [parse(record.text, pset) for record in found.records]


def test_a_race_spends_less_and_finds_the_same_kind_of_winner(make_stub, free):
    racing, plain = make_stub(9), make_stub(9)
    with Evaluator(racing, free, racing=Racing()) as evaluator:
        raced = evolve(free, evaluator, evaluations=90, population_size=20, seed=3)
    whole = _run(plain, free, evaluations=90, population_size=20)
    assert len(raced.records) == len(whole.records) == 90
    assert racing.spent < plain.spent / 2
    assert plain.spent == 90 * 9
    assert raced.hall_of_fame[0].fitness.values[0] > max(record.accuracy for record in whole.records[:20])
    assert set(raced.dropped) == {1, 3}
    assert sum(raced.dropped.values()) == sum(not record.complete for record in raced.records)


def test_only_fully_trained_candidates_are_called_the_best(make_stub, free):
    with Evaluator(make_stub(9), free, racing=Racing()) as evaluator:
        found = evolve(free, evaluator, evaluations=60, population_size=20, seed=1)
        fidelity = {text: record.fidelity for text, record in evaluator.records.items()}
    assert min(fidelity.values()) == pytest.approx(1 / 9)
    assert {fidelity[individual.canonical] for individual in found.hall_of_fame} == {1.0}
    assert found.best.fidelity == 1
    assert found.best.fitness == found.hall_of_fame[0].fitness.values[0]
    assert len(found.hall_of_fame) == min(10, sum(value == 1 for value in fidelity.values()))


def test_fitness_is_refreshed_when_seeds_were_added(make_stub, free):
    proxy = make_stub(noise=0.02)
    with Evaluator(proxy, free, extra_seeds=2, places=2) as evaluator:
        found = evolve(free, evaluator, evaluations=50, population_size=10, seed=2)
    worth = {record.text: record.fitness for record in found.records}
    assert worth == {text: record.fitness for text, record in evaluator.records.items()}
    for individual in [*found.population, *found.hall_of_fame]:
        assert individual.fitness.values == (worth[individual.canonical],)
    assert found.hall_of_fame[0].fitness.values[0] == max(worth.values())
    seeds = {len(record.outcomes) for record in found.records}
    assert seeds == {1, 2, 3}
    assert len(found.best.outcomes) > 1


def test_failures_are_counted_by_reason(stub_proxy, free, monkeypatch):
    reason, plain = "time budget of 1e-09 s exhausted in epoch 1", stub_proxy.train

    def train(individual, seed, *args, **settings):
        return Outcome(seed, 0.0, (), 0.0, reason) if individual else plain(individual, seed, *args, **settings)

    monkeypatch.setattr(stub_proxy, "train", train)
    found = _run(stub_proxy, free, evaluations=3, population_size=3)
    assert found.failures == {reason: 3}
    assert found.hall_of_fame[0].fitness.values == (0.0,)


def test_a_task_that_leaves_no_time_to_anything_is_at_fault(tiny_proxy, free, monkeypatch):
    monkeypatch.setattr(tiny_proxy, "seconds", 1e-9)
    with pytest.raises(GaafError, match=r"must work for the plain sign, but that failed \(time budget of 1e-09 s"):
        _run(tiny_proxy, free, evaluations=3, population_size=3)


@pytest.mark.parametrize("loop", ["generations", "steady"])
@pytest.mark.parametrize("bloat", [None, "pareto", "linear"])
def test_what_failed_is_worse_than_any_negative_fitness(free, loop, bloat):
    def loss(tree):
        return float("nan") if "sin" in str(tree) else -float(len(tree))

    found = evolve(free, loss, evaluations=40, population_size=8, loop=loop, bloat=bloat)
    assert found.failures["fitness not finite"] > 0
    assert all("sin" not in str(one) for one in (*found.population, found.hall_of_fame[0]))
    assert found.hall_of_fame[0].fitness.values[0] == max(record.fitness for record in found.records) > -5
    assert all(-40 < row["avg"] < 0 for row in found.logbook.chapters["fitness"])


def test_an_own_toolbox_is_used(stub_proxy, free):
    with Evaluator(stub_proxy, free) as evaluator:
        toolbox = make_toolbox(free, evaluator, rng=9, heights=(0, 1), limits=Limits(1, 3))
        found = evolve(free, evaluator, evaluations=10, population_size=5, toolbox=toolbox)
    assert all(individual.height <= 1 for individual in found.population)


def test_progress_is_shown_on_standard_error(stub_proxy, free, capsys):
    _run(stub_proxy, free, evaluations=9, progress=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "9/9" in captured.err
    assert "best" in captured.err
    _run(stub_proxy, free, evaluations=9, progress=False)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"evaluations": 0}, "evaluations must be a whole number of at least 1, got 0"),
        ({"population_size": 1}, "population_size must be a whole number of at least 2, got 1"),
        ({"elite": 8}, "elite must be below population_size 8, got 8"),
        ({"elite": -1}, "elite must be a whole number of at least 0"),
        ({"crossover": 1.5}, "crossover must be a probability from 0 to 1, got 1.5"),
        ({"mutation": float("nan")}, "mutation must be a probability"),
        ({"hall_of_fame": 0}, "hall_of_fame must be a whole number of at least 1"),
    ],
)
def test_bad_settings_are_refused(stub_proxy, free, change, message):
    with pytest.raises(GaafError, match=message):
        _run(stub_proxy, free, **change)
    assert stub_proxy.trained == []


def test_two_trees_are_evolved_within_their_limits(stub_proxy, free):
    limits = Limits(3, 7)
    found = _run(stub_proxy, free, evaluations=50, limits=limits, two_trees=True)
    assert len(found.records) == len({record.text for record in found.records}) == 50
    for individual in [*found.population, *found.hall_of_fame]:
        assert isinstance(individual, TwoTrees)
        assert screen(individual) is None
        for tree in (individual.forward, individual.backward):
            assert tree.height <= limits.height
            assert tree.size <= limits.size
    best = [row["best"] for row in found.logbook]
    assert best == sorted(best)
    assert found.best.text == found.hall_of_fame[0].canonical
    assert found.rejected["constant sign"] > 0
    sizes = [individual.size for individual in found.population]
    assert found.logbook.chapters["size"][-1]["avg"] == pytest.approx(sum(sizes) / len(sizes))
    # either tree alone is seen beside different partners: crossover and mutation leave one of them as it is
    parts = [record.text.split(" | ") for record in found.records]
    assert max(Counter(part[0] for part in parts).values()) > 2
    assert max(Counter(part[1] for part in parts).values()) > 2


def test_one_seed_gives_one_run_of_two_trees(stub_proxy, free):
    first, again, other = (trace(_run(stub_proxy, free, two_trees=True, seed=seed)) for seed in (3, 3, 4))
    assert first == again != other


def test_two_trees_train_in_workers_as_here(tiny_proxy, free):
    one, two = (_run(tiny_proxy, free, workers, evaluations=8, population_size=5, two_trees=True) for workers in (1, 2))
    assert trace(one) == trace(two)


@pytest.mark.parametrize("loop", ["generations", "steady", "islands:2"])
@pytest.mark.parametrize("place", ["log", "enter"])
def test_ctrl_c_may_come_anywhere_and_what_was_evaluated_is_found(stub_proxy, free, monkeypatch, loop, place):
    evaluator, plain, calls = Evaluator(stub_proxy, free), getattr(SearchResult, place), []

    def interrupted(self, *args, **kwargs):
        calls.append(place)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return plain(self, *args, **kwargs)

    monkeypatch.setattr(SearchResult, place, interrupted)
    found = evolve(free, evaluator, loop=loop, evaluations=40, population_size=6, seed=2)
    assert (found.interrupted, found.stopped) == (True, "interrupted")
    assert [record.text for record in found.records] == list(evaluator.records)
    best = max(record.fitness for record in found.records)
    assert found.hall_of_fame[0].fitness.values == (best,)


def test_a_result_is_printed_as_a_summary_of_ten_lines(free):
    found = evolve(free, lambda individual: float(len(individual)), evaluations=12, population_size=4, seed=1)
    first, second, blank, header, *best = str(found).splitlines()
    assert first.startswith("12 candidates evaluated in ")
    assert first.endswith(" s (12 evaluations)")
    assert f"{sum(found.rejected.values())} rejected without training" in second
    assert (blank, header) == ("", "fitness  function")
    assert [line.split(maxsplit=1)[1] for line in best] == [one.canonical for one in found.hall_of_fame[:5]]
    assert [float(line.split()[0]) for line in best] == [len(one) for one in found.hall_of_fame[:5]]
