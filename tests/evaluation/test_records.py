"""Records: what counts, seeds that are easy for all change no order, and who gets another seed."""

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from gaaf_gp.evaluation.records import FIRST_CONTENDERS, Memory, Record, adjusted, contenders, record_of
from gaaf_gp.statistics import AdditiveFit, additive_fit
from gaaf_gp.training.outcome import WORST_ACCURACY, Epoch, Outcome


def outcome(seed, *accuracies, failure=None):
    history = tuple(Epoch(1.0, accuracy) for accuracy in accuracies)
    return Outcome(seed, WORST_ACCURACY if failure else accuracies[-1], history, 0.5, failure)


def record(text, by_seed):
    return record_of(text, [outcome(seed, accuracy) for seed, accuracy in by_seed.items()], 1)


def test_a_record_is_the_mean_of_its_outcomes():
    made = record_of("f", [outcome(4, 0.1, 0.5), outcome(2, 0.3, 0.8)], 4)
    assert made.accuracy == made.fitness == pytest.approx(0.65)
    assert made.standard_error == pytest.approx(stats.sem([0.5, 0.8]))
    assert made.fidelity == 0.5
    assert not made.complete
    assert made.by_seed == {4: 0.5, 2: 0.8}
    assert made.curve == pytest.approx([0.2, 0.65])
    assert made.seconds == 1.0
    assert record_of("f", [outcome(4, 0.1, 0.5)]).fidelity == 1


def test_one_failed_training_fails_the_candidate():
    made = record_of("f", [outcome(0, 0.5, 0.6), outcome(1, 0.5, failure="out of memory")], 2)
    assert (made.accuracy, made.failure, made.standard_error) == (WORST_ACCURACY, "out of memory", None)
    assert made.complete
    assert made.fidelity == 0.5


scores = st.floats(0.1, 0.9)


@given(
    st.lists(st.tuples(scores, scores, scores, scores), min_size=3, max_size=6),
    st.lists(st.integers(1, 4), min_size=6, max_size=6),
    st.tuples(st.floats(-0.2, 0.2), st.floats(-0.2, 0.2), st.floats(-0.2, 0.2), st.floats(-0.2, 0.2)),
)
def test_seeds_that_are_easy_for_all_change_no_difference(table, counts, easy):
    rows = [dict(enumerate(row[:count])) for row, count in zip(table, counts, strict=False)]
    moved = [{seed: value + easy[seed] for seed, value in row.items()} for row in rows]
    fitness = []
    for some in (rows, moved):
        fit, records = additive_fit(some), [record(str(number), row) for number, row in enumerate(some)]
        values = [adjusted(one, (0,), fit) for one in records]
        fitness.append([one.accuracy if value is None else value for one, value in zip(records, values, strict=True)])
    shift = easy[0]
    assert [value - shift for value in fitness[1]] == pytest.approx(fitness[0], abs=1e-9)


def test_the_base_seeds_alone_need_no_adjustment():
    fit = AdditiveFit({0: 0.1, 1: -0.1}, 0.01, 3)
    assert adjusted(record("f", {0: 0.5}), (0,), fit) is None
    assert adjusted(record("f", {1: 0.5, 0: 0.6}), (0, 1), fit) is None
    # The mean 0.55 of an easy and a hard seed, as if on the easy one only.
    assert adjusted(record("f", {0: 0.6, 1: 0.5}), (0,), fit) == pytest.approx(0.65)


def test_an_adjusted_lead_is_the_paired_one():
    rows = {"a": {0: 0.5, 1: 0.7}, "b": {0: 0.45, 1: 0.68}, "c": {0: 0.4}}
    fit = additive_fit(rows.values())
    values = {text: adjusted(record(text, row), (0,), fit) for text, row in rows.items()}
    assert values["a"] - values["b"] == pytest.approx((0.05 + 0.02) / 2)
    assert values["c"] is None
    assert values["a"] + values["b"] == pytest.approx(0.5 + 0.45), "the level is that of the seed that all share"


ROWS = {"a": {0: 0.60}, "b": {0: 0.59}, "c": {0: 0.50}, "d": {0: 0.49}, "e": {0: 0.40}}
VALUES = {text: row[0] for text, row in ROWS.items()}


def _noise(half):
    """Return a fit with which single-seed differences up to ``half`` are within the noise."""
    freedom = 10
    return AdditiveFit({}, half / (stats.t.ppf(0.975, freedom) * math.sqrt(2)), freedom)


@pytest.mark.parametrize(
    ("half", "places", "expected"),
    [
        (0.02, (1,), "ab"),
        (0.005, (1,), ""),
        (0.11, (1,), "abcd"),
        (0.02, (1, 2), "ab"),
        (0.02, (3,), "cd"),
        (0.02, (1, 3), "abcd"),
        (0.02, (5,), ""),
        (0.02, (9,), ""),
    ],
)
def test_only_contested_places_have_contenders(half, places, expected):
    assert contenders(ROWS, VALUES, _noise(half), places) == list(expected)


def test_without_an_estimate_the_first_few_make_one():
    assert contenders(ROWS, VALUES, AdditiveFit({}, 0.0, 0), (1,)) == list("abcde")[:FIRST_CONTENDERS]
    assert contenders({"a": {0: 0.5}}, {"a": 0.5}, AdditiveFit({}, 0.0, 0), (1,)) == []


def test_ties_are_ordered_by_text():
    rows = {text: {0: 0.5} for text in "cab"}
    assert contenders(rows, dict.fromkeys(rows, 0.5), _noise(0.01), (1,)) == list("abc")


def test_errors_come_from_others_where_there_is_one_seed():
    records = {text: record(text, row) for text, row in {"a": {0: 0.5, 1: 0.6}, "b": {0: 0.3, 1: 0.5}}.items()}
    records["c"] = record("c", {0: 0.4})
    Memory(records, (0,)).revalue()
    assert records["a"].standard_error == pytest.approx(0.05)
    assert records["c"].standard_error == pytest.approx(math.sqrt((0.005 + 0.02) / 2))
    assert records["c"].value is None
    assert records["a"].value == pytest.approx(0.55 - 0.075)


def test_failures_and_those_that_dropped_out_say_nothing_of_the_noise():
    records = {text: record(text, row) for text, row in {"a": {0: 0.5, 1: 0.6}, "b": {0: 0.3, 1: 0.5}}.items()}
    memory = Memory(records, (0,))
    rows, fit = memory.revalue()
    records["c"] = record_of("c", [outcome(0, 0.9), outcome(1, 0.1, failure="lost")], 1)
    records["d"] = record_of("d", [outcome(0, 0.9), outcome(1, 0.1)], 3)
    memory.add_twin("e", "a")
    assert memory.revalue() == (rows, fit)
    assert (records["c"].fitness, records["d"].fitness) == (WORST_ACCURACY, 0.5)


def test_a_twin_follows_its_first():
    records = {"a": record("a", {0: 0.5})}
    memory = Memory(records, (0,))
    twin = memory.add_twin("b", "a")
    assert (twin.text, twin.same_as, twin.accuracy) == ("b", "a", 0.5)
    records["a"] = record("a", {0: 0.5, 1: 0.7})
    memory.revalue()
    assert records["b"] == dataclasses.replace(records["a"], text="b", same_as="a")


def test_the_threshold_is_that_of_the_last_place():
    records = {text: record(text, {0: value}) for text, value in (("a", 0.5), ("b", 0.9), ("c", 0.7))}
    memory = Memory(records, (0,))
    memory.add_twin("d", "b")
    memory.end_race(dict.fromkeys("abc", 1), [], 2)
    assert memory.finished.threshold == 0.7
    memory.end_race({}, [], 4)
    assert memory.finished.threshold is None


def test_those_that_drop_out_stay_below_when_a_finalist_falls():
    records = {"a": record("a", {0: 0.8}), "b": record("b", {0: 0.7})}
    memory = Memory(records, (0,))
    early = record_of("c", [outcome(0, 0.75)], 3)
    (kept,) = memory.end_race({"a": 1, "b": 1, "c": 0}, [early], 1)
    assert kept.fitness == records["c"].fitness == 0.7
    records["b"] = record("b", {0: 0.7, 1: 0.4})
    records["a"] = record("a", {0: 0.8, 1: 0.8})
    memory.revalue()
    assert records["b"].fitness < 0.7
    assert records["c"].fitness == records["b"].fitness
    assert records["c"].accuracy == 0.75
    records["b"] = record_of("b", [outcome(0, 0.7), outcome(1, failure="lost")], 1)
    memory.revalue()
    assert records["c"].fitness == 0.75, "a failure is worst for itself only"


def test_records_may_be_made_by_hand():
    assert Record("x", 0.5, (), None).complete
    assert Record("x", 0.5, (), None, value=0.4).fitness == 0.4
