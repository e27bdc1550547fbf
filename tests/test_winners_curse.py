"""The expected best of n against closed forms and simulation; the correction against searches with known truth."""

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from gaaf_gp.errors import GaafError
from gaaf_gp.statistics import additive_fit, expected_best_bias, expected_luck, paired_difference, winners_curse

ROOT_PI = math.sqrt(math.pi)


@pytest.mark.parametrize(
    ("n", "expected"),
    [
        (1, 0.0),
        (2, 1 / ROOT_PI),
        (3, 3 / (2 * ROOT_PI)),
        (4, 3 / ROOT_PI * (0.5 + math.asin(1 / 3) / math.pi)),
        (5, 5 / (4 * ROOT_PI) * (1 + 6 / math.pi * math.asin(1 / 3))),
        (10, 1.5387527),  # Harter 1961, table of expected normal order statistics
        (100, 2.5075936),
    ],
)
def test_the_expected_best_of_few_has_a_closed_form(n, expected):
    assert expected_best_bias(n) == pytest.approx(expected, abs=1e-7)
    assert expected_best_bias(n, 0.5) == pytest.approx(expected / 2, abs=1e-7)


def test_the_expected_best_of_a_whole_search():
    draws = np.random.default_rng(0).random(200_000)
    # The largest of n uniform numbers is a uniform number to the power of 1 / n.
    simulated = stats.norm.ppf(draws ** (1 / 2030)).mean()
    assert expected_best_bias(2030) == pytest.approx(simulated, abs=0.005)
    assert expected_best_bias(2030, 0.5) == pytest.approx(1.72, abs=0.01)


@given(st.integers(1, 10**12))
def test_more_candidates_mean_more_bias(n):
    more = expected_best_bias(n + 1 + n // 10)
    assert expected_best_bias(n) < more
    # Above the median of the maximum (from n = 2 on, its distribution leans to the right), below sqrt(2 ln n).
    assert expected_best_bias(n + 1) > stats.norm.isf(-math.expm1(-math.log(2) / (n + 1)))
    assert expected_best_bias(n + 1) < math.sqrt(2 * math.log(n + 1))


@pytest.mark.parametrize(("n", "sigma"), [(0, 1.0), (2.0, 1.0), (True, 1.0), (3, -1.0), (3, math.nan)])
def test_what_is_no_search_is_refused(n, sigma):
    with pytest.raises(GaafError, match="must be a"):
        expected_best_bias(n, sigma)


SEARCHED = {"a": {0: 0.50, 1: 0.54}, "b": {0: 0.58, 1: 0.60}, "c": {0: 0.51}, "d": {0: 0.44, 1: 0.50}, "e": {}}


def test_a_correction_by_hand():
    found = winners_curse(SEARCHED, [0.55, 0.57, 0.56], deviation=0.02)
    assert (found.winner, found.candidates, found.noise_from) == ("b", 4, "given")
    assert found.optimistic == pytest.approx(0.59)
    assert found.honest == paired_difference([0.55, 0.57, 0.56], [0.0, 0.0, 0.0])
    assert found.bias == pytest.approx(0.03)
    assert found.noise == pytest.approx(0.02 / math.sqrt(2))
    assert found.expected_bias == pytest.approx(expected_best_bias(4) * found.noise)
    spread = statistics.stdev([0.52, 0.59, 0.51, 0.47])
    assert found.expected_bias_spread == pytest.approx(expected_best_bias(4) * found.noise**2 / spread)


def test_noise_comes_from_the_search_or_else_from_the_fresh_seeds():
    found = winners_curse(SEARCHED, [0.55, 0.57], winner="d")
    assert (found.winner, found.noise_from) == ("d", "search")
    assert found.noise == pytest.approx(additive_fit(SEARCHED.values()).deviation / math.sqrt(2))
    single = {"a": {0: 0.5}, "b": {0: 0.6}}
    found = winners_curse(single, [0.54, 0.56])
    assert (found.noise, found.noise_from) == (pytest.approx(statistics.stdev([0.54, 0.56])), "fresh")
    alone = winners_curse({"a": {0: 0.5}}, [0.5, 0.5])
    assert (alone.expected_bias, alone.expected_bias_spread, alone.bias) == (0, 0, 0)


def test_the_luck_of_a_search_needs_the_noise_of_seeds_only():
    luck = expected_luck(SEARCHED)
    noise = additive_fit(SEARCHED.values()).deviation / math.sqrt(2)
    assert (luck.winner, luck.candidates) == ("b", 4)
    assert luck.lead == pytest.approx(0.59 - (0.52 + 0.59 + 0.51 + 0.47) / 4)
    assert luck.noise == pytest.approx(noise)
    assert luck.most == pytest.approx(expected_best_bias(4, noise))
    assert luck.expected == pytest.approx(luck.most * noise / statistics.stdev([0.52, 0.59, 0.51, 0.47]))
    single = {"a": {0: 0.5}, "b": {0: 0.6}}
    assert expected_luck(single) is None
    assert expected_luck(single, deviation=0.02).most == pytest.approx(expected_best_bias(2, 0.02))
    assert expected_luck({"a": {0: 0.5}}, deviation=0.0).expected == 0


@pytest.mark.parametrize("spread", [0.0, 1.0, 3.0])
def test_the_expected_bias_is_met_on_average(spread):
    generator = np.random.default_rng(1)
    biases, expected = [], []
    for _ in range(400):
        truths = generator.normal(0, spread, 40)
        seen = truths + generator.normal(0, 1, 40)
        best = int(seen.argmax())
        searched = {str(number): {0: value} for number, value in enumerate(seen.tolist())}
        fresh = (truths[best] + generator.normal(0, 1, 5)).tolist()
        found = winners_curse(searched, fresh, deviation=1.0)
        assert found.winner == str(best)
        biases.append(found.bias)
        expected.append(found.expected_bias_spread)
        assert found.expected_bias == pytest.approx(expected_best_bias(40))
    error = statistics.stdev(biases) / math.sqrt(len(biases))
    assert statistics.fmean(biases) == pytest.approx(statistics.fmean(expected), abs=4 * error)


@pytest.mark.parametrize(
    ("searched", "fresh", "options", "message"),
    [
        ({}, [0.5, 0.5], {}, "got None and 0 candidates"),
        (SEARCHED, [0.5, 0.5], {"winner": "z"}, "got 'z' and 4 candidates"),
        (SEARCHED, [0.5, 0.5], {"winner": "e"}, "got 'e' and 4 candidates"),
        (SEARCHED, [0.5], {}, r"two or more fresh values .* got \[0\.5\]"),
        ({"a": {0: math.nan}}, [0.5, 0.5], {}, "must be finite"),
        (SEARCHED, [0.5, 0.5], {"deviation": -1.0}, r"deviation must be a finite number of at least 0, got -1\.0"),
    ],
)
def test_a_correction_without_grounds_is_refused(searched, fresh, options, message):
    with pytest.raises(GaafError, match=message):
        winners_curse(searched, fresh, **options)


def test_equal_means_with_noise_lose_all_of_the_bias():
    searched = {name: {0: 0.5, 1: 0.5} for name in "abcde"}
    luck = expected_luck(searched, deviation=0.01)
    assert luck.noise == pytest.approx(0.01 / math.sqrt(2))
    assert luck.expected == luck.most == pytest.approx(expected_best_bias(5) * 0.01 / math.sqrt(2))
    assert luck.lead == 0
    assert luck.winner == "a"
    found = winners_curse(searched, [0.48, 0.50], deviation=0.01)
    assert found.expected_bias_spread == found.expected_bias == luck.most
    assert found.bias == pytest.approx(0.01)


def test_noise_is_that_of_the_mean_of_the_winner_s_own_seeds():
    searched = {"a": {0: 0.6, 1: 0.6, 2: 0.6, 3: 0.6}, "b": {0: 0.2}, "c": {0: 0.4}}
    luck = expected_luck(searched, deviation=0.02)
    assert (luck.winner, luck.noise) == ("a", pytest.approx(0.01))
    assert expected_luck(searched, winner="c", deviation=0.02).noise == pytest.approx(0.02)
    assert expected_luck(searched, winner="c", deviation=0.02).lead == pytest.approx(0.0)
    with pytest.raises(GaafError, match="deviation must be a finite number"):
        expected_luck(searched, deviation=math.inf)


def test_the_confidence_of_the_honest_mean_is_kept():
    fresh = [0.55, 0.57, 0.56]
    found = winners_curse(SEARCHED, fresh, confidence=0.8)
    assert found.honest == paired_difference(fresh, [0.0] * 3, 0.8)
    assert winners_curse(SEARCHED, fresh).honest.confidence == 0.95
    assert winners_curse(SEARCHED, fresh, winner="d").optimistic == pytest.approx(0.47)
    with pytest.raises(GaafError, match="two or more fresh values"):
        winners_curse(SEARCHED, [0.5, math.nan])


def test_the_best_of_one_is_its_mean():
    assert expected_best_bias(1, 5.0) == pytest.approx(0, abs=1e-9)
    assert expected_best_bias(3, 0.0) == 0
    assert expected_best_bias(2, 3.0) == pytest.approx(3 / math.sqrt(math.pi))
