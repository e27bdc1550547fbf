"""Candidates against a baseline: the figures of compare, in two families, and nothing from trainings that failed."""

import pytest

from gaaf_gp.errors import GaafError
from gaaf_gp.statistics import compare
from gaaf_gp.training.outcome import Epoch
from gaaf_gp.training.retraining.result import RetrainResult, TrainingResult
from gaaf_gp.trees.candidate import Baseline
from gaaf_gp.trees.parser import parse

SEEDS = (11, 12, 13)
VALUES = {
    "sign": (0.70, 0.71, 0.72),
    "rsign": (0.70, 0.73, 0.71),
    "f1": (0.75, 0.77, 0.76),
    "f2": (0.70, 0.70, 0.73),
}


def trained(text, seed, accuracy, failure=None):
    curve = (Epoch(1.0, 0.5), Epoch(0.5, 0.6))
    return TrainingResult(text, seed, accuracy, failure, curve, 2.5, f"checkpoints/{seed}.safetensors")


@pytest.fixture
def candidates(free):
    return {"sign": None, "rsign": Baseline("rsign"), "f1": parse("sin(x)", free), "f2": parse("cos(x)", free)}


@pytest.fixture
def found(candidates):
    trainings = [
        trained(candidate and candidate.canonical, seed, VALUES[name][place])
        for place, seed in reversed(list(enumerate(SEEDS)))  # as they end, not in the order of the seeds
        for name, candidate in candidates.items()
    ]
    return RetrainResult(candidates, SEEDS, tuple(trainings), {})


def by_seed(name):
    return dict(zip(SEEDS, VALUES[name], strict=True))


def test_accuracies_are_by_seed(found):
    assert found.complete
    assert found.wanted == 12
    for name in VALUES:
        assert list(found.accuracies(name).items()) == list(by_seed(name).items())
        assert found.failures(name) == []


def test_functions_are_corrected_among_themselves_and_controls_too(found):
    compared = found.compared()
    assert list(compared) == ["f1", "f2", "rsign"]
    functions = compare({name: by_seed(name) for name in ("f1", "f2")}, by_seed("sign"))
    (control,) = compare({"rsign": by_seed("rsign")}, by_seed("sign"))
    assert (compared["f1"], compared["f2"], compared["rsign"]) == (*functions, control)
    assert compared["f1"].p_holm == pytest.approx(2 * compared["f1"].p_value)
    assert compared["f1"].significant


def test_any_candidate_may_be_the_baseline(found):
    compared = found.compared("rsign")
    assert list(compared) == ["f1", "f2", "sign"]
    assert compared["sign"].difference.mean == pytest.approx(-found.compared()["rsign"].difference.mean)
    assert list(found.compared("f1")) == ["f2", "sign", "rsign"]


def test_a_candidate_that_failed_once_is_not_compared(found, candidates):
    trainings = [one for one in found.trainings if (one.text, one.seed) != ("sin(x)", 12)]
    failed = RetrainResult(
        candidates, SEEDS, (*trainings, trained("sin(x)", 12, None, "non-finite loss in epoch 3")), {}
    )
    assert failed.complete
    assert failed.failures("f1") == ["non-finite loss in epoch 3"]
    assert list(failed.accuracies("f1")) == [11, 13]
    compared = failed.compared()
    assert list(compared) == ["f2", "rsign"]
    assert compared["f2"].p_holm == compared["f2"].p_value
    with pytest.raises(GaafError, match=r"must train on every seed, but f1 failed \(non-finite loss in epoch 3\)"):
        failed.compared("f1")


def test_what_is_missing_is_said(found, candidates):
    part = RetrainResult(candidates, SEEDS, found.trainings[:-1], {})
    assert not part.complete
    with pytest.raises(GaafError, match="11 of 12 trainings have ended: go on with the same settings"):
        part.compared()
    with pytest.raises(GaafError, match="one of the candidates, sign, rsign, f1, f2, got 'rprelu'"):
        found.compared("rprelu")


def test_a_training_comes_back_from_its_line(found):
    for one in found.trainings:
        assert TrainingResult.of(one.entry()) == one
