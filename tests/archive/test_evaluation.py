"""A training as a row: it comes back as it was, shorter trainings are read off longer ones, damage is noticed."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaaf_gp.archive.evaluation import DamagedError, Evaluation, evaluation_of
from gaaf_gp.archive.rows import COLUMNS, checksum, from_columns, to_columns, to_json
from gaaf_gp.errors import GaafError
from gaaf_gp.training.outcome import Epoch, Outcome
from gaaf_gp.util.files import finite

NUMBERS = st.floats(allow_nan=True, allow_infinity=True)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)


@st.composite
def evaluations(draw):
    epochs = draw(st.integers(1, 5))
    failure = draw(st.none() | TEXTS)
    length = epochs if failure is None else draw(st.integers(0, epochs))
    curve, losses = (tuple(draw(st.lists(NUMBERS, min_size=length, max_size=length))) for _ in range(2))
    return Evaluation(
        text=draw(TEXTS),
        signature=draw(TEXTS),
        task=draw(TEXTS),
        seed=draw(st.integers(-(2**63) + 1, 2**63 - 1)),
        epochs=epochs,
        fidelity=draw(st.floats(0, 1, exclude_min=True)),
        accuracy=draw(NUMBERS),
        curve=curve,
        losses=losses,
        seconds=draw(NUMBERS),
        device=draw(TEXTS),
        versions=draw(st.dictionaries(TEXTS, TEXTS, max_size=3)),
        failure=failure,
        formula=draw(TEXTS),
        metrics=draw(st.dictionaries(TEXTS, NUMBERS, max_size=3)),
        split=draw(TEXTS),
        created=draw(TEXTS),
    )


def positive_zero(one):
    """Return it with 0.0 for every -0.0, which SQLite does not have."""
    return replace(
        one,
        accuracy=one.accuracy + 0.0,
        seconds=one.seconds + 0.0,
        curve=tuple(value + 0.0 for value in one.curve),
        losses=tuple(value + 0.0 for value in one.losses),
        metrics={name: one.metrics[name] + 0.0 for name in sorted(one.metrics)},
        versions={name: one.versions[name] for name in sorted(one.versions)},
    )


@given(evaluations())
def test_columns_come_back_bit_for_bit(one):
    columns = to_columns(one)
    assert repr(from_columns(7, columns, checksum(columns))) == repr(positive_zero(one))
    assert from_columns(7, columns, checksum(columns)).number == 7


@given(evaluations(), st.data())
def test_any_other_value_has_another_checksum(one, data):
    columns = list(to_columns(one))
    kept = checksum(columns)
    place = data.draw(st.integers(0, len(COLUMNS) - 1))
    columns[place] = data.draw(
        st.one_of(TEXTS, NUMBERS, st.none(), st.integers(0, 9)).filter(
            lambda value: ascii(value) != ascii(columns[place])
        )
    )
    with pytest.raises(DamagedError, match="evaluation 7 has another checksum than was written"):
        from_columns(7, columns, kept)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("curve", "{}", "a curve must be a list"),
        ("curve", "[1,2,", "JSONDecodeError"),
        ("curve", "[true,0.5,0.5]", "must be a number, got True"),
        ("losses", '["big",1,1]', "KeyError: 'big'"),
        ("losses", "[" * 100_000, "RecursionError"),
        ("metrics", "[]", "AttributeError"),
        ("versions", None, "TypeError"),
        ("text", b"sin(x)", "text must be text of 1 to 100000 characters"),
        ("accuracy", "high", "accuracy must be a number, got 'high'"),
        ("epochs", 2, "must have an accuracy and a loss for each"),
    ],
)
def test_a_row_that_was_forged_with_its_checksum_is_refused(make, name, value, said):
    columns = list(to_columns(make()))
    columns[COLUMNS.index(name)] = value
    with pytest.raises(DamagedError, match=said):
        from_columns(1, columns, checksum(columns))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"text": ""}, "text must be text of 1 to 100000 characters, got ''"),
        ({"text": "x" * 100_001}, "text must be text of 1 to 100000 characters, got 'xxx"),
        ({"text": "\ud800"}, "text must be text that UTF-8 can hold"),
        ({"seed": 2**63}, "seed must be a whole number from -9223372036854775807 to 9223372036854775807"),
        ({"seed": 1.0}, "seed must be a whole number"),
        ({"epochs": True}, "epochs must be a whole number of at least 1"),
        ({"epochs": 4}, "of 4 epochs must have an accuracy and a loss for each, or fewer and a failure, got 3 and 3"),
        ({"losses": (1.0,)}, "got 3 and 1"),
        ({"epochs": 2, "failure": "why"}, "of 2 epochs must have"),
        ({"fidelity": 0.0}, "fidelity must be a share above 0 and at most 1, got 0.0"),
        ({"fidelity": math.nan}, "fidelity must be a share"),
        ({"seconds": None}, "seconds must be a number, got None"),
        ({"failure": ""}, "failure must be text of 1 to"),
    ],
)
def test_values_out_of_their_range_are_refused(make, changes, said):
    with pytest.raises(GaafError, match=said):
        make(**changes)


def test_an_outcome_comes_back_as_it_was(make):
    history = (Epoch(2.0, 0.25), Epoch(1.5, 0.5))
    for outcome in (Outcome(3, 0.5, history, 1.25), Outcome(3, 0.0, history[:1], 1.25, "out of memory")):
        one = evaluation_of(outcome, **about(make(), 2))
        assert one.outcome() == outcome
        assert one.outcome(2) == outcome


def test_a_reason_of_any_kind_can_be_kept(make):
    outcome = Outcome(0, 0.0, (), 1.0, "\ud800" + "long" * 100_000)
    one = evaluation_of(outcome, **about(make(), 2))
    assert one.failure == ("?" + "long" * 100_000)[:100_000]


def test_shorter_trainings_are_read_off_longer_ones(make):
    one = make(curve=(0.25, 0.5, 0.75), losses=(3.0, 2.0, 1.0), accuracy=0.75, seconds=6.0)
    assert [one.answers(epochs) for epochs in (1, 2, 3, 4)] == [True, True, True, False]
    assert one.outcome(1) == Outcome(0, 0.25, (Epoch(3.0, 0.25),), 2.0)
    assert one.outcome(2) == Outcome(0, 0.5, (Epoch(3.0, 0.25), Epoch(2.0, 0.5)), 4.0)
    assert one.outcome(3) == one.outcome()


def test_what_failed_in_an_epoch_fails_in_all_that_reach_it(make_failed):
    one = make_failed(done=1, seconds=6.0)
    assert all(one.answers(epochs) for epochs in (1, 2, 3, 10))
    assert one.outcome(1).failure is None
    assert one.outcome(1).seconds == 3.0
    for epochs in (2, 3, 10):
        assert one.outcome(epochs) == one.outcome()
        assert one.outcome(epochs).failure == "loss not finite in epoch 2"
    assert make_failed(done=0).outcome(0) == make_failed(done=0).outcome()  # as a forged entry of a run may ask
    # failed after its last epoch: what a longer training would have done is not known
    late = make_failed(done=3)
    assert [late.answers(epochs) for epochs in (1, 3, 4)] == [True, True, False]
    assert late.outcome(3).failure is not None


def test_results_are_compared_without_times_and_machines(make):
    one = make(accuracy=math.nan)
    assert one.same_result(make(accuracy=math.nan, seconds=99.0, device="cuda", created=""))
    assert not one.same_result(make())
    assert not make().same_result(make(losses=(1.0, 2.0, 3.0)))


def test_json_has_one_text_and_no_numbers_that_are_not_finite():
    assert to_json({"b": (1, 2.5), "a": None}) == '{"a":null,"b":[1,2.5]}'
    for wrong in (math.nan, {1, 2}, {"a": object()}):
        with pytest.raises(GaafError, match="what an archive keeps must be fit for JSON, got"):
            to_json(wrong)
    assert finite({"a": [math.inf, 1.5, (math.nan,)], "b": -math.inf}) == {"a": ["inf", 1.5, ["nan"]], "b": "-inf"}


def about(one, epochs):
    """Return all of an evaluation that does not come from the outcome."""
    names = ("text", "signature", "task", "fidelity", "device", "versions", "formula", "metrics", "split")
    return {"epochs": epochs, **{name: getattr(one, name) for name in names}}
