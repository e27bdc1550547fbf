"""Generations and islands: apart, in touch by migration, repeatable, and within one budget."""

import pytest

from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation.evaluator import Evaluator
from gaaf_gp.search.evolve import evolve
from gaaf_gp.search.loops import Islands
from gaaf_gp.search.toolbox import make_toolbox
from gaaf_gp.trees.generation import Limits
from gaaf_gp.trees.parser import parse
from tests.traces import trace


def _run(proxy, pset, loop, workers=1, **settings):
    with Evaluator(proxy, pset, workers=workers) as evaluator:
        return evolve(pset, evaluator, loop=loop, **{"evaluations": 60, "population_size": 6, "seed": 3, **settings})


def _texts(population):
    return [one.canonical for one in population]


def test_one_island_is_a_search_in_generations(stub_proxy, free):
    assert trace(_run(stub_proxy, free, Islands(1))) == trace(_run(stub_proxy, free, "generations"))


def test_islands_share_one_budget_and_nothing_is_trained_twice(stub_proxy, free):
    found = _run(stub_proxy, free, "islands:3", evaluations=61)
    assert len(found.records) == 61
    assert len({text for text, _ in stub_proxy.trained}) == len(stub_proxy.trained) <= 61
    assert len(found.population) == 3 * 6 - (3 * 6 - found.logbook[-1]["nevals"] - 3 * 2), "the budget ended in a brood"
    assert found.logbook[0]["nevals"] == 18
    assert found.stopped == "61 evaluations"


def test_one_seed_gives_one_search(stub_proxy, free):
    assert trace(_run(stub_proxy, free, Islands(2, 2))) == trace(_run(stub_proxy, free, Islands(2, 2)))
    assert trace(_run(stub_proxy, free, Islands(2, 2))) != trace(_run(stub_proxy, free, Islands(2, 2), seed=4))


def test_two_workers_give_the_search_of_one(tiny_proxy, free):
    settings = {"evaluations": 12, "population_size": 3, "elite": 1}
    one, two = (_run(tiny_proxy, free, Islands(2, 1), workers, **settings) for workers in (1, 2))
    assert trace(one) == trace(two)


def _populations(proxy, pset, loop, generations):
    seen = []

    def watch(found):
        seen.append(_texts(found.population))
        return len(seen) == generations

    _run(proxy, pset, loop, evaluations=500, on_generation=watch)
    return [[own[:6], own[6:12], own[12:]] for own in seen]


def test_without_migration_an_island_is_a_search_of_its_own(stub_proxy, free):
    apart = _populations(stub_proxy, free, Islands(3, migrants=0), 3)
    alone = []
    _run(stub_proxy, free, "generations", on_generation=lambda found: alone.append(_texts(found.population)))
    assert [own[0] for own in apart] == alone[:3]
    assert len({tuple(own) for own in apart[0]}) == 3, "each island begins with trees of its own"


def test_the_best_moves_to_the_next_island_in_the_place_of_the_worst(make_stub, free):
    apart = _populations(make_stub(), free, Islands(3, migrants=0), 2)
    linked = _populations(make_stub(), free, Islands(3, every=2, migrants=1), 2)
    assert apart[0] == linked[0], "nobody moves in the first generation"
    proxy, worth = make_stub(), {}
    with Evaluator(proxy, free) as evaluator:
        for text in {text for own in apart[1] for text in own}:
            worth[text] = evaluator(parse(text, free))[0]
    for place in range(3):
        before, after, sender = apart[1][place], linked[1][place], apart[1][place - 1]
        best = max(sender, key=worth.get)
        if best in before:
            assert sorted(after) == sorted(before)
        else:
            assert best in after
            assert min(before, key=worth.get) not in after
            assert len(after) == len(before)


def test_known_functions_are_shared_out(stub_proxy, free):
    seen = _populations_of_first(stub_proxy, free, ["sin(x)", "cos(x)", "tan(x)"])
    assert "sin(x)" in seen[0]
    assert "cos(x)" in seen[1]
    assert "tan(x)" in seen[0]


def _populations_of_first(proxy, pset, initial):
    seen = []
    _run(proxy, pset, Islands(2), initial=initial, on_generation=lambda found: seen.append(found.population) or True)
    return [[one.canonical for one in seen[0][:6]], [one.canonical for one in seen[0][6:]]]


def test_fitness_is_refreshed_on_all_islands_when_seeds_were_added(make_stub, free):
    with Evaluator(make_stub(noise=0.02), free, extra_seeds=2, places=2) as evaluator:
        found = evolve(free, evaluator, loop=Islands(3, 1), evaluations=60, population_size=6, seed=2)
        worth = {text: record.fitness for text, record in evaluator.records.items()}
    assert any(len(record.outcomes) > 1 for record in found.records)
    for one in [*found.population, *found.hall_of_fame]:
        assert one.fitness.values == (worth[one.canonical],)


def test_islands_that_find_nothing_new_end(stub_proxy, minimal):
    found = _run(stub_proxy, minimal, "islands:2", evaluations=500, limits=Limits(1, 3))
    assert found.exhausted
    assert {record.text for record in found.records} == {"x", "sin(x)", "cos(x)", "tanh(x)", "add(x, x)"}


def test_ctrl_c_keeps_what_was_evaluated(stub_proxy, free):
    seen = []

    def stop(record):
        seen.append(record.text)
        if len(seen) == 20:
            raise KeyboardInterrupt

    found = _run(stub_proxy, free, "islands:3", on_evaluation=stop)
    assert found.interrupted
    assert sorted(record.text for record in found.records) == sorted(seen)


def test_islands_may_share_a_toolbox(stub_proxy, free):
    with Evaluator(stub_proxy, free) as evaluator:
        toolbox = make_toolbox(free, evaluator, rng=1)
        found = evolve(free, evaluator, loop="islands:2", evaluations=20, population_size=4, toolbox=toolbox)
    assert len(found.records) == 20


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"number": 0}, "Islands.number must be a whole number of at least 1, got 0"),
        ({"every": 0}, "Islands.every must be a whole number of at least 1, got 0"),
        ({"migrants": -1}, "Islands.migrants must be a whole number of at least 0, got -1"),
    ],
)
def test_settings_out_of_their_range_are_refused(settings, message):
    with pytest.raises(GaafError, match=message):
        Islands(**settings)


def test_more_migrants_than_a_population_has_are_refused(stub_proxy, free):
    with pytest.raises(GaafError, match="migrants must be fewer than the 6 of a population, got 6"):
        _run(stub_proxy, free, Islands(2, migrants=6))
