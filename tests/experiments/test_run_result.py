"""The verdict is honest, and figures that are compared are of the same seeds."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation.evaluator import Evaluator
from gaaf_gp.evaluation.records import Record
from gaaf_gp.experiments.confirm import Competitor, Confirmation, Gain
from gaaf_gp.experiments.run_data import read_result
from gaaf_gp.experiments.run_result import RunResult, luck, result_of, sign_accuracy, standing, verdict
from gaaf_gp.search.evolve import evolve
from gaaf_gp.search.genetic import random_search
from gaaf_gp.search.result import SearchResult
from gaaf_gp.search.toolbox import make_toolbox
from gaaf_gp.statistics import Interval
from gaaf_gp.training.outcome import Outcome
from tests.made_results import content, drawn, made


def _compared(low, mean, high):
    return Confirmation((1, 2, 3), (), (), 0.5, 0.5, Interval(mean, low, high, 3, 0.95), (), {}, None)


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
    result = result_of(found, {4: 0.25, 5: 0.35}, None).as_json()
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


def test_luck_comes_from_the_seeds_of_the_search_or_else_from_the_confirmation(make_stub, free):
    noisy = make_stub(noise=0.01)
    with Evaluator(noisy, free, seeds=(4, 5)) as evaluator:
        found = evolve(free, evaluator, evaluations=20, population_size=6, seed=3)
    expected = found.luck()
    described = luck(found, None)
    assert described == {**asdict(expected), "words": described["words"]}
    assert described["words"] == (
        f"In the search the winner was {100 * expected.lead:.2f} points above the mean of {expected.candidates} "
        f"candidates. Between {100 * expected.expected:.2f} and {100 * expected.most:.2f} points of that are expected "
        "luck (the more, the more candidates are about as good): the best of many noisy trainings looks better than it "
        "is."
    )
    with Evaluator(noisy, free) as evaluator:
        found = evolve(free, evaluator, evaluations=20, population_size=6, seed=3)
    assert luck(found, None) is None, "one seed says nothing of the noise"
    first, second = (0.5, 0.7, 0.6), (0.4, 0.5, 0.6)
    competitors = {
        "sign": _trained(second), "random": _trained(first), "rsign": _trained((0.0, 0.5, 0.5), ("out of memory",)),
    }  # fmt: skip
    test = replace(_compared(0.01, 0.02, 0.03), best=first, competitors=competitors)
    differences = np.subtract(first, second)  # of two candidates, the noise of one has half the variance
    deviation = differences.std(ddof=1) / np.sqrt(2)
    assert luck(found, test)["noise"] == pytest.approx(deviation)
    assert luck(found, replace(test, failures=("lost",), competitors={})) is None
    assert luck(SearchResult(), test) is None


def test_a_summary_of_nothing_is_empty():
    result = result_of(SearchResult(), {7: 0.5}, None).as_json()
    assert result["best"] is None
    assert result["validation"] == {"best": None, "best_standard_error": None, "sign": 0.5, "seeds": [7]}
    assert result["evaluations"] == result["epochs_trained"] == 0


def _competitor(mean, significant):
    difference = None if mean is None else Interval(mean, mean, mean, 3, 0.95)
    return _trained((0.5, 0.5, 0.5), gain=Gain(difference, 0.01, 0.02, significant))


def _trained(accuracies, failures=(), gain=None):
    return Competitor("sin(x)", "sin(x)", accuracies, 0.5, failures, gain or Gain())


def test_the_standing_names_every_competitor_once():
    competitors = {
        "sign": _competitor(0.02, True),
        "rsign": _competitor(0.01, False),
        "rprelu": _competitor(None, None),
        "random": _competitor(-0.01, True),
        "forward": _competitor(0.03, True),
    }
    test = replace(_compared(0.01, 0.02, 0.03), competitors=competitors)
    assert standing(test) == (
        "Against 5 competitors, p-values corrected for all (Holm, 5 %): better than plain sign, forward tree alone; "
        "worse than best of random search; no significant difference from RSign; not compared with RPReLU."
    )
    assert standing(None) is None


def test_a_summary_says_what_random_search_found(stub_proxy, free):
    with Evaluator(stub_proxy, free) as evaluator:
        found = evolve(free, evaluator, evaluations=20, population_size=6, seed=3)
        toolbox = make_toolbox(free, evaluator, rng=3, heights=(1, 3))
        drawn = random_search(free, evaluator, evaluations=12, batch=6, make=toolbox.individual)
    result = result_of(found, {0: 0.25}, None, drawn).as_json()["random_search"]
    assert result["best"] == str(drawn.hall_of_fame[0])
    assert result["best_infix"] == drawn.hall_of_fame[0].infix()
    assert result["validation"] == max(record.accuracy for record in drawn.records)
    assert result["evaluations"] == 12
    assert result["of_the_search"] == len({one.text for one in drawn.records} & {one.text for one in found.records})
    assert result["of_the_search"] >= 6, "the first ones are those of the search"
    assert len(stub_proxy.trained) == 20 + 12 - result["of_the_search"], "what both meet is trained once"
    assert result_of(found, {0: 0.25}, None).as_json()["random_search"] is None
    assert result_of(found, {}, None, SearchResult()).as_json()["random_search"]["best"] is None


def test_a_result_is_read_as_a_dict_with_a_warning_until_users_change_their_scripts():
    result = result_of(SearchResult(), {7: 0.5}, None, why="no disk.", seed=3)
    content = result.as_json()
    assert (list(result), len(result), "best" in content) == (list(content), len(content), True)
    with pytest.warns(DeprecationWarning, match=r"write result\.verdict, or result\.as_json\(\)"):
        assert result["verdict"] == "Not compared on the test split: no disk."
    with pytest.warns(DeprecationWarning, match="no dict any more"):
        assert dict(result) == content
    with pytest.warns(DeprecationWarning, match="no dict any more"):
        assert result.get("seed") == result.seed == 3
    with pytest.raises(KeyError), pytest.warns(DeprecationWarning, match="no dict any more"):
        result["nothing"]


def test_a_result_is_read_as_it_was_written(minimal):
    found = evolve(minimal, lambda tree: 1 / len(tree), evaluations=6, population_size=4)
    assert RunResult.from_json(json.loads(json.dumps(result_of(found, {0: 0.5}, None).as_json()))) == result_of(
        found, {0: 0.5}, None
    )
    whole = made(
        test=Confirmation(
            (1, 2), (0.5, 0.6), (0.4, 0.5), 0.55, 0.45, Interval(0.1, 0.0, 0.2, 2, 0.95), (),
            {"sign": Competitor("@sign", "x", (0.4, 0.5), 0.45, (), Gain())}, {"forward": Gain()},
        ).as_json(),
        random_search=drawn(),
    )  # fmt: skip
    assert RunResult.from_json(json.loads(json.dumps(whole.as_json()))) == whole


@pytest.mark.parametrize(
    "damage",
    [
        {"test": {}}, {"test": 3}, {"seconds": "long"}, {"seconds": True}, {"rejected": [1]},
        {"rejected": {"same": "many"}}, {"luck": {}}, {"luck": {"words": 3}}, {"verdict": None}, {"validation": 3},
        {"validation": {"best": 1.0}}, {"random_search": {"best": "x"}}, {"random_search": 7}, {"evaluations": None},
    ],
)  # fmt: skip
def test_a_result_that_is_none_is_refused_in_one_line(tmp_path, damage):
    (tmp_path / "result.json").write_text(json.dumps(content(**damage)))
    with pytest.raises(GaafError, match=r"result\.json must hold the results of a run of gaaf-gp evolve, .*restore"):
        read_result(tmp_path)


def test_a_folder_without_a_result_has_none(tmp_path):
    assert read_result(tmp_path) is None
