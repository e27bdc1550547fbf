"""Races on tables of curves: who goes on, what it costs, and that nobody who dropped out is ranked above a finalist."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation.racing import Finished, Racing, ceilings, race, simulate


def curves(number, epochs, seed=0, noise=0.02):
    """Return curves that rise to a value of their own, with noise in each epoch, for two seeds each."""
    rng = random.Random(seed)
    table = {}
    for name in range(number):
        final = rng.uniform(0.3, 0.8)
        table[f"f{name}"] = [
            [final * (1 - 0.5 / (epoch + 1)) + rng.gauss(0, noise) for epoch in range(epochs)] for _ in range(2)
        ]
    return table


def means(table):
    return {name: [sum(pair) / 2 for pair in zip(*seeds, strict=True)] for name, seeds in table.items()}


@pytest.mark.parametrize(
    ("racing", "epochs", "rungs"),
    [
        (Racing(), 9, (1, 3, 9)),
        (Racing(), 15, (1, 5, 15)),
        (Racing(), 3, (1, 3)),
        (Racing(), 2, (1, 2)),
        (Racing(), 1, (1,)),
        (Racing(keep=0.5), 8, (1, 2, 4, 8)),
        (Racing((1, 3, 9)), 15, (1, 3, 9, 15)),
        (Racing((1, 3, 9)), 9, (1, 3, 9)),
    ],
)
def test_rungs_end_with_the_full_schedule(racing, epochs, rungs):
    assert racing.resolved(epochs) == rungs


@given(
    st.dictionaries(st.text("abcdef", min_size=1), st.sampled_from([0.1, 0.2, 0.3, 0.4, 0.5]), max_size=12),
    st.floats(0.05, 0.95),
    st.integers(1, 4),
)
def test_the_best_share_goes_on(accuracies, keep, least):
    going = Racing(keep=keep, least=least).survivors(accuracies)
    assert going == [name for name in accuracies if name in going], "in the order given"
    out = [accuracies[name] for name in accuracies if name not in going]
    assert all(accuracies[name] > worse for name in going for worse in out), "ties go on together"
    wanted = min(len(accuracies), max(least, math.ceil(len(accuracies) * keep - 1e-9)))
    assert len(going) >= wanted
    last = min((accuracies[name] for name in going), default=0.0)
    assert sum(accuracies[name] > last for name in going) < max(wanted, 1)


def test_names_and_order_do_not_decide():
    accuracies = {"b": 0.5, "a": 0.5, "c": 0.4, "d": 0.6, "e": 0.1, "f": 0.2}
    assert Racing(keep=1 / 3, least=1).survivors(accuracies) == ["b", "a", "d"]
    turned = dict(reversed(accuracies.items()))
    assert set(Racing(keep=1 / 3, least=1).survivors(turned)) == {"a", "b", "d"}


def test_a_race_trains_in_rungs_and_forgets_failures():
    table = {"a": 0.1, "b": 0.9, "c": 0.8, "d": 0.7, "e": 0.2, "f": 0.3}
    calls = []

    def advance(names, epochs):
        calls.append((list(names), epochs))
        return {name: [table[name]] * epochs for name in names if (name, epochs) != ("b", 3)}

    reached = race(Racing((1, 3), keep=0.5, least=1), list(table), 6, advance)
    assert calls == [(list(table), 1), (["b", "c", "d"], 3), (["c"], 6)]
    assert reached == {"a": 1, "e": 1, "f": 1, "d": 3, "c": 6}


def test_a_race_in_which_all_fail_ends():
    assert race(Racing((1, 2)), ["a", "b"], 4, lambda names, epochs: {}) == {}
    assert race(Racing(), [], 4, lambda names, epochs: {}) == {}


@given(st.integers(0, 50), st.integers(2, 30), st.sampled_from([1, 4, 9]))
def test_a_simulation_is_successive_halving_by_hand(seed, number, epochs):
    table = curves(number, epochs, seed)
    found = simulate(table, Racing(least=2))
    mean, alive, spent, done = means(table), list(table), 0, 0
    for rung in Racing().resolved(epochs):
        spent += 2 * len(alive) * (rung - done)
        assert {name for name, at in found.reached.items() if at >= rung} == set(alive)
        done, wanted = rung, max(2, math.ceil(len(alive) / 3))
        alive = sorted(alive, key=lambda name, at=rung: -mean[name][at - 1])[:wanted]
    assert found.epochs == spent
    finalists = [name for name, at in found.reached.items() if at == epochs]
    assert found.winner == max(finalists, key=lambda name: mean[name][-1])


def test_one_rung_trains_everything_and_finds_the_best():
    table = curves(20, 6)
    found = simulate(table, Racing((6,)))
    assert found.epochs == 20 * 2 * 6
    assert found.winner == max(table, key=lambda name: means(table)[name][-1])


def test_a_race_is_cheap_and_finds_a_good_one():
    table = curves(200, 9, noise=0.01)
    found = simulate(table, Racing())
    final = sorted((curve[-1] for curve in means(table).values()), reverse=True)
    assert means(table)[found.winner][-1] >= final[4]
    assert found.epochs < 200 * 2 * 9 / 3


def test_batches_race_among_themselves():
    table = curves(12, 4)
    found = simulate(table, Racing((1,), keep=0.25, least=1), batch=4)
    names = list(table)
    for start in (0, 4, 8):
        assert sum(found.reached[name] == 4 for name in names[start : start + 4]) == 1


def test_catching_up_stops_those_that_cannot_reach_the_best():
    rising = {f"r{i}": [[0.2, 0.4, 0.6 + i / 100]] for i in range(4)}
    late = {"low": [[0.1, 0.1, 0.15]], "able": [[0.3, 0.5, 0.7]], "dark": [[0.21, 0.42, 0.9]]}
    racing = Racing((1, 2), keep=0.99, least=1, catch_up=True, safety=1.0, enough=4)
    found = simulate({**rising, **late}, racing, batch=4)
    # The largest gain from epoch 1 was 0.43 and the best 0.63: 0.1 cannot reach it.
    assert found.reached == {**dict.fromkeys(rising, 3), "low": 1, "able": 3, "dark": 3}
    assert found.winner == "dark"
    careful = Racing((1, 2), keep=0.99, least=1, catch_up=True, safety=1.5, enough=4)
    assert simulate({**rising, **late}, careful, batch=4).reached["low"] == 2
    few = Racing((1, 2), keep=0.99, least=1, catch_up=True, safety=1.0, enough=5)
    assert simulate({**rising, **late}, few, batch=4).reached["low"] == 3
    off = Racing((1, 2), keep=0.99, least=1, safety=1.0, enough=4)
    assert simulate({**rising, **late}, off, batch=4).reached["low"] == 3


def test_what_was_finished_bounds_the_gain():
    racing = Racing(catch_up=True, safety=1.0, enough=2)
    known = Finished(threshold=0.8)
    known.add([0.5, 0.7, 0.8])
    assert known.within_reach(racing, [0.1]), "one is not enough"
    known.add([0.6, 0.9, 0.7])
    assert known.within_reach(racing, [0.5])
    assert not known.within_reach(racing, [0.49])
    assert known.within_reach(racing, [0.0, 0.7])
    assert not known.within_reach(racing, [0.79, 0.69])
    known.threshold = None
    assert known.within_reach(racing, [0.0])
    falling = Finished(threshold=0.8)
    falling.add([0.9, 0.8])
    assert falling.within_reach(Racing(catch_up=True, enough=1), [0.8]), "nobody is expected to lose"


@given(st.dictionaries(st.integers(0, 30), st.tuples(st.sampled_from([1, 3, 9]), st.floats(0, 1)), max_size=12))
def test_nobody_is_ranked_above_one_that_went_further(drawn):
    reached = {f"f{name}": rung for name, (rung, _) in drawn.items()}
    values = {f"f{name}": value for name, (_, value) in drawn.items()}
    limits = ceilings(reached, values)
    fitness = {name: min(value, limits.get(name, math.inf)) for name, value in values.items()}
    top = max(reached.values(), default=0)
    for name, rung in reached.items():
        further = [fitness[other] for other, at in reached.items() if at > rung]
        assert fitness[name] == min([values[name], *further])
        assert (name in limits) == (rung < top)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"keep": 0.0}, "keep must be a share between 0 and 1, got 0.0"),
        ({"keep": 1.0}, "keep must be a share"),
        ({"least": 0}, "least must be a whole number of at least 1, got 0"),
        ({"enough": True}, "enough must be a whole number"),
        ({"safety": 0.5}, "safety must be at least 1, got 0.5"),
        ({"safety": math.nan}, "safety must be at least 1"),
        ({"rungs": ()}, "rungs must be rising whole numbers of epochs"),
        ({"rungs": (3, 1)}, r"rungs must be rising whole numbers of epochs, got \(3, 1\)"),
        ({"rungs": (1, 1)}, "rungs must be rising"),
        ({"rungs": (0, 1)}, "a rung, in epochs, must be a whole number of at least 1, got 0"),
    ],
)
def test_bad_rules_are_refused(settings, message):
    with pytest.raises(GaafError, match=message):
        Racing(**settings)


def test_rungs_beyond_the_schedule_are_refused():
    with pytest.raises(GaafError, match=r"within the 5 epochs of a training, got \[1, 9\]"):
        Racing((1, 9)).resolved(5)


@pytest.mark.parametrize(
    "table", [{}, {"a": [[0.1, 0.2]], "b": [[0.1]]}, {"a": [[]]}, {"a": [[0.1]], "b": [[0.1], [0.2]]}]
)
def test_a_ragged_table_is_refused(table):
    with pytest.raises(GaafError, match="as many seeds and epochs each"):
        simulate(table, Racing())


def test_the_best_final_is_what_the_next_race_has_to_reach():
    """After finals of .9 and .5 a third has .9 to reach: at .55 it would have to gain more than any did, 0.2."""
    table = {"first": [[0.7, 0.9]], "second": [[0.75, 0.5]], "third": [[0.55, 0.6]]}
    found = simulate(table, Racing(keep=0.5, catch_up=True, enough=1, safety=1.0), batch=1)
    assert found.reached == {"first": 2, "second": 2, "third": 1}
    assert (found.winner, found.epochs) == ("first", 5)
    every = simulate(table, Racing(keep=0.5), batch=1)
    assert (every.reached, every.epochs) == (dict.fromkeys(table, 2), 6)
