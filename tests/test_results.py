"""The verdict is honest, and figures that are compared are of the same seeds."""

import pytest

from gaaf_gp.evolve import Evolution, evolve
from gaaf_gp.fitness import Evaluator, Record
from gaaf_gp.proxy import Outcome
from gaaf_gp.results import sign_accuracy, summary, verdict


def _compared(low, mean, high):
    return {"seeds": [1, 2, 3], "difference": {"low": low, "mean": mean, "high": high}}


def test_the_verdict_is_honest():
    assert verdict(_compared(0.01, 0.02, 0.03), "").startswith(
        "The evolved activation is better than the plain sign (+2.00"
    )
    assert verdict(_compared(-0.01, 0.02, 0.05), "").startswith("The evolved activation is NOT shown to be better")
    assert "it is worse (-2.00 points" in verdict(_compared(-0.03, -0.02, -0.01), "")
    assert verdict(None, "no disk.") == "Not compared on the test split: no disk."
    assert "95 % interval +1.00 to +3.00, 3 fresh seeds" in verdict(_compared(0.01, 0.02, 0.03), "")


def test_the_plain_sign_is_seen_on_the_same_seeds():
    sign = {0: 0.5, 1: 0.6, 2: 0.8}
    record = Record("x", 0.9, tuple(Outcome(seed, 0.9, (), 0.0) for seed in (0, 1)), None)
    assert sign_accuracy(sign, record) == pytest.approx(0.55)
    assert sign_accuracy({0: 0.5}, record) == 0.5
    assert sign_accuracy(sign, None) == pytest.approx(1.9 / 3)
    assert sign_accuracy({}, record) is None
    assert sign_accuracy({}, None) is None


def test_a_summary_counts_what_was_done(stub_proxy, free):
    with Evaluator(stub_proxy, free, seeds=(4, 5)) as evaluator:
        found = evolve(free, evaluator, evaluations=30, population_size=8, seed=3)
    result = summary(found, {4: 0.25, 5: 0.35}, None)
    record = evaluator.records[found.hall_of_fame[0].canonical]
    assert result["best"] == str(found.hall_of_fame[0])
    assert result["validation"] == {
        "best": record.accuracy,
        "best_standard_error": record.standard_error,
        "sign": pytest.approx(0.3),
        "seeds": [4, 5],
    }
    assert result["evaluations"] == 30
    assert result["epochs_trained"] == 2 * 30
    assert result["duplicates"] == found.rejected["same behaviour"] > 0
    assert result["dropped"] == {}


def test_a_summary_of_nothing_is_empty():
    result = summary(Evolution(), {7: 0.5}, None)
    assert result["best"] is None
    assert result["validation"] == {"best": None, "best_standard_error": None, "sign": 0.5, "seeds": [7]}
    assert result["evaluations"] == result["epochs_trained"] == 0
