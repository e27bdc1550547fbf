"""What a search found: the luck of its best."""

import pytest

from gaaf_gp import evolve
from gaaf_gp.evaluation.evaluator import Evaluator
from gaaf_gp.search.result import SearchResult
from gaaf_gp.statistics import additive_fit, expected_luck


@pytest.mark.parametrize("extra_seeds", [0, 2])
def test_the_luck_of_the_best_is_that_of_its_rows(make_stub, free, extra_seeds):
    with Evaluator(make_stub(noise=0.05), free, extra_seeds=extra_seeds) as evaluator:
        found = evolve(free, evaluator, evaluations=40, population_size=8, seed=2)
    rows = {one.text: one.by_seed for one in found.records if one.same_as is None and one.failure is None}
    luck = found.luck()
    if not extra_seeds:
        assert luck is None, "one seed says nothing about noise"
    else:
        assert luck == expected_luck(rows, winner=found.best.text)
        assert luck.noise == pytest.approx(additive_fit(rows.values()).deviation / len(found.best.outcomes) ** 0.5)
        assert 0 < luck.expected <= luck.most
    given = found.luck(0.05)
    assert given.candidates == len(rows)
    assert given.noise == pytest.approx(0.05 / len(found.best.outcomes) ** 0.5)


def test_there_is_no_luck_without_training(minimal):
    assert SearchResult().luck() is None
    assert evolve(minimal, len, evaluations=8, population_size=4).luck(0.1) is None
