"""What the page begins with: the words and counts of results that are written down here."""

import math
from pathlib import Path
from types import SimpleNamespace

import pytest

from gaaf_gp.archive import FAILED, FINISHED, INTERRUPTED, RUNNING
from gaaf_gp.archive.births import Birth
from gaaf_gp.evaluation.records import Record
from gaaf_gp.experiments.report.cards import marks
from gaaf_gp.experiments.report.summary import NO_RESULT, NOT_CONFIRMED, STATES, Against, summarise
from gaaf_gp.training.outcome import Epoch, Outcome
from tests.made_results import made


def gain(mean=None, low=None, high=None, significant=True, p_holm=0.01):
    if mean is None:
        return {"difference": None, "p_value": None, "p_holm": None, "significant": None}
    difference = {"mean": mean, "low": low, "high": high, "n": 3, "confidence": 0.95}
    return {"difference": difference, "p_value": 0.005, "p_holm": p_holm, "significant": significant}


def competitor(*gained, infix="x", mean=0.5, **settings):
    about = {"text": "t", "infix": infix, "accuracies": [0.5], "mean": mean, "failures": []}
    return about | gain(*gained, **settings)


def confirmed(separation=None, **competitors):
    return {
        "seeds": [1, 2, 3], "best": [0.5, 0.6, 0.7], "sign": [0.4] * 3, "best_mean": 0.6, "sign_mean": 0.4,
        "difference": gain(0.2, 0.1, 0.3)["difference"], "failures": [], "competitors": competitors,
        "separation": separation,
    }  # fmt: skip


def outcome(seconds=1.0, epochs=1, failure=None):
    return Outcome(0, 0.5, (Epoch(1.0, 0.5),) * epochs, seconds, failure)


def record(text, *outcomes, failure=None, fidelity=1.0):
    return Record(text, 0.5, outcomes, failure, fidelity=fidelity)


def run(result=None, status=FINISHED, records=(), births=(), drawn=()):
    return SimpleNamespace(
        place=SimpleNamespace(folder=Path("folder")),
        run=SimpleNamespace(status=status),
        result=result,
        records={one.text: one for one in records},
        births=[Birth(number, text, 0, "random", ()) for number, text in enumerate(births, 1)],
        drawn=dict.fromkeys(drawn),
    )


def test_a_difference_is_better_worse_or_not_significant():
    test = confirmed(
        sign=competitor(0.05, 0.01, 0.09, mean=0.55),
        rsign=competitor(-0.05, -0.09, -0.01, p_holm=0.04),
        random=competitor(0.001, -0.01, 0.02, significant=False, p_holm=0.7, infix="sin(x)", mean=None),
        rprelu=competitor(infix="p", mean=None),
    )
    found = summarise(run(made(test=test)))
    assert [one.said for one in found.against] == ["better", "worse", "not significant", "too few trainings"]
    sign, rsign, random, rprelu = found.against
    assert (sign.difference, sign.low, sign.high) == pytest.approx((5.0, 1.0, 9.0)), "points of per cent"
    assert (rsign.difference, rsign.low, rsign.high) == pytest.approx((-5.0, -9.0, -1.0))
    assert [one.p_value for one in found.against] == [0.01, 0.04, 0.7, None]
    assert (random.formula, random.mean, sign.mean) == ("sin(x)", None, 0.55)
    assert rprelu == Against(rprelu.name, "p", None)


def test_the_scale_reaches_over_both_ends_of_all_intervals():
    results = confirmed(sign=competitor(-0.04, -0.09, 0.01), rsign=competitor(0.0, -0.02, 0.03))
    assert summarise(run(made(test=results))).reach == pytest.approx(1.08 * 9)
    results["separation"] = {"forward": gain(0.05, -0.01, 0.12)}
    assert summarise(run(made(test=results))).reach == pytest.approx(1.08 * 12)
    assert summarise(run(made(test=confirmed(sign=competitor())))).reach == pytest.approx(1.08)
    assert summarise(run(made(test=confirmed(sign=competitor(0.0, 0.0, 0.0))))).reach == 1.0
    assert summarise(run()).reach == pytest.approx(1.08)


def test_two_trees_are_compared_by_either_alone():
    parts = {"forward": gain(0.05, 0.01, 0.12), "backward": gain(-0.05, -0.1, -0.01)}
    found = summarise(run(made(test=confirmed(parts, sign=competitor(0.1, 0.05, 0.15)))))
    assert [(one.difference, one.said) for one in found.separation] == [
        (pytest.approx(5.0), "better"),
        (pytest.approx(-5.0), "worse"),
    ]
    assert [one.mean for one in found.separation] == [None, None]
    assert len({one.name for one in found.separation}) == 2
    assert summarise(run()).separation == ()


def test_what_became_of_the_candidates_is_counted():
    records = [
        *(record(f"good {number}", outcome()) for number in range(3)),
        record("bad", outcome(failure="non-finite loss"), failure="non-finite loss"),
        record("rejected", failure="constant sign", fidelity=0.0),
        record("out", outcome(epochs=2), fidelity=0.2),
        record("also out", outcome(epochs=2), fidelity=0.2),
        record("out early", outcome(epochs=1), fidelity=0.1),
    ]
    births = ["good 0", "good 1", "waiting", "bad", "also waiting"]
    result = made(rejected={"same": 7, "too large": 2, "never": 0})
    found = summarise(run(result, records=records, births=births, drawn=["a", "b"]))
    assert found.counts == (
        (3, "trained in full"),
        (1, "dropped out of a race after epoch 1"),
        (2, "dropped out of a race after epoch 2"),
        (2, "failed"),
        (2, "bred and not judged yet"),
        (7, "rejected untrained: same"),
        (2, "rejected untrained: too large"),
        (2, "more of random search"),
    )
    assert summarise(run()).counts == ()


def test_seconds_are_those_of_the_run_or_else_of_its_trainings():
    records = [record("a", outcome(2.0), outcome(3.0)), record("b", outcome(math.inf)), record("c", outcome(0.5))]
    assert summarise(run(made(seconds=77), records=records)).seconds == 77
    assert summarise(run(made(seconds=0.0), records=records)).seconds == 0
    assert summarise(run(None, records=records)).seconds == 5.5, "what is not finite is left out"
    assert summarise(run()).seconds is None


@pytest.mark.parametrize(
    ("status", "state", "words"),
    [
        (RUNNING, "running, or killed", NOT_CONFIRMED),
        (INTERRUPTED, "interrupted", NOT_CONFIRMED),
        (FAILED, "ended with an error", NOT_CONFIRMED),
        (FINISHED, "finished", NO_RESULT),
        ("new", "new", NOT_CONFIRMED),
    ],
)
def test_what_is_not_confirmed_says_why(status, state, words):
    found = summarise(run(status=status))
    assert (found.status, found.state, found.verdict) == (status, state, words)
    assert (found.confirmed, found.test_mean, found.seeds, found.against) == (False, None, 0, ())
    assert (found.standing, found.luck) == ("", "")
    assert set(STATES) == {RUNNING, INTERRUPTED, FAILED, FINISHED}
    assert summarise(run(made(), status)).verdict == "It is better."


def test_what_is_confirmed_is_told_as_it_was():
    result = made(
        test=confirmed(sign=competitor(0.1, 0.05, 0.15)),
        verdict="sin(x) is better.",
        standing="Better than all.",
        luck={"words": "Half is luck."},
    )
    found = summarise(run(result))
    assert (found.confirmed, found.test_mean, found.seeds) == (True, 0.6, 3)
    assert (found.verdict, found.standing, found.luck) == ("sin(x) is better.", "Better than all.", "Half is luck.")


@pytest.mark.parametrize(
    ("reach", "end"),
    [(30.2, 20), (9.72, 5), (1.08, 0.5), (1.0, 0.5), (12.96, 10), (0.05, 0.02), (112.0, 100), (2.3, 2)],
)
def test_the_scale_below_intervals_has_round_numbers(reach, end):
    assert marks(reach) == [
        (pytest.approx(-end), f"\N{MINUS SIGN}{end:g}"),
        (0.0, "0"),
        (pytest.approx(end), f"+{end:g}"),
    ]
