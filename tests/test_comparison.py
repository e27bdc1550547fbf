"""Comparisons against scipy's own t-test, and rank correlation against counting pairs."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from gaaf_gp.errors import GaafError
from gaaf_gp.statistics import (
    _resampled_taus,
    bootstrap_interval,
    compare,
    holm,
    paired_difference,
    paired_p_value,
    rank_correlation,
)

BASE = {0: 0.50, 1: 0.54, 2: 0.47, 3: 0.52}
RUNS = {
    "better": {0: 0.56, 1: 0.59, 2: 0.54, 3: 0.57, 9: 0.0},
    "alike": {3: 0.53, 0: 0.49, 1: 0.55, 2: 0.47},
    "worse": {0: 0.40, 1: 0.50, 2: 0.40},
}


def test_each_candidate_is_compared_on_the_common_seeds():
    found = {one.name: one for one in compare(RUNS, BASE, resamples=500)}
    assert list(found) == list(RUNS)
    for name, one in found.items():
        common = sorted(RUNS[name].keys() & BASE.keys())
        first, second = [RUNS[name][seed] for seed in common], [BASE[seed] for seed in common]
        assert one.difference == paired_difference(first, second)
        assert one.bootstrap == bootstrap_interval(np.subtract(first, second).tolist(), resamples=500)
        assert one.p_value == pytest.approx(stats.ttest_rel(first, second).pvalue)
    assert [one.difference.n for one in found.values()] == [4, 4, 3]
    assert [one.p_holm for one in found.values()] == holm([one.p_value for one in found.values()])
    assert [one.significant for one in found.values()] == [True, False, False]


def test_what_is_significant_alone_need_not_be_among_many():
    one = {"a": {0: 0.60, 1: 0.63, 2: 0.58}}
    base = {0: 0.50, 1: 0.51, 2: 0.50}
    assert compare(one, base, resamples=100)[0].significant
    equals = {f"equal {number}": {0: 0.5, 1: 0.52, 2: 0.49 + number / 1000} for number in range(8)}
    among = compare(one | equals, base, resamples=100)[0]
    assert among.p_holm == pytest.approx(9 * among.p_value)
    assert not among.significant


@pytest.mark.parametrize(
    ("differences", "p_value"),
    [([0.5, 0.5], 0), ([0.0, 0.0], 1), ([0.1] * 3, 0), ([-0.1] * 7, 0), ([1e-200, 3e-200], 0), ([1e-200, -1e-200], 1)],
)
def test_differences_without_variance_leave_no_doubt(differences, p_value):
    assert paired_p_value(differences) == p_value
    interval = paired_difference(differences, [0.0] * len(differences))
    assert interval.low == interval.mean == interval.high


def test_almost_equal_differences_are_compared_without_a_warning():
    differences = [0.75 - 0.70, 0.76 - 0.71, 0.05]
    assert len(set(differences)) > 1
    assert 0 < paired_p_value(differences) < 1e-20
    interval = paired_difference(differences, [0.0] * 3)
    assert interval.low <= interval.mean <= interval.high


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=8))
def test_the_p_value_is_below_alpha_where_the_interval_leaves_out_zero(values):
    values = [round(value, 6) for value in values]
    interval = paired_difference(values, [0.0] * len(values), 0.9)
    assume(min(abs(interval.low), abs(interval.high)) > 1e-9)
    assert (paired_p_value(values) < 0.1) == (not interval.low <= 0 <= interval.high)


@pytest.mark.parametrize(
    ("candidates", "message"),
    [
        ({}, "at least one candidate, got none"),
        ({"a": {0: 0.5}}, r"'a' must have finite values on two or more seeds .* on seeds \[0\]"),
        ({"a": {0: 0.5, 1: math.nan}}, "'a' must have finite values"),
        ({"a": {7: 0.5, 8: 0.5}}, r"got \[\] on seeds \[\]"),
    ],
)
def test_comparisons_without_grounds_are_refused(candidates, message):
    with pytest.raises(GaafError, match=message):
        compare(candidates, BASE)
    with pytest.raises(GaafError, match="two or more differences, got 1"):
        paired_p_value([0.1])


def tau_b(first, second):
    """Count pairs one by one (Kendall 1945)."""
    score = untied_first = untied_second = 0
    for (a, b), (c, d) in itertools.combinations(zip(first, second, strict=True), 2):
        score += int(np.sign(a - c) * np.sign(b - d))
        untied_first += a != c
        untied_second += b != d
    return score / math.sqrt(untied_first * untied_second)


def test_rank_correlation_by_hand():
    # Of ten pairs 8 agree and 2 do not; with a tie in the second ranking 8 agree, 1 does not, and 9 are untied there.
    assert rank_correlation([1, 2, 3, 4, 5], [2, 1, 3, 5, 4]).tau == pytest.approx(0.6)
    assert rank_correlation([1, 2, 3, 4, 5], [2, 1, 3, 4, 4]).tau == pytest.approx(7 / math.sqrt(10 * 9))
    assert rank_correlation([1, 2, 3], [30, 20, 10]).tau == pytest.approx(-1)


ranks = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=3, max_size=12)


@given(ranks)
@settings(max_examples=40, deadline=None)
def test_rank_correlation_counts_pairs(pairs):
    first, second = zip(*pairs, strict=True)
    assume(len(set(first)) > 1 and len(set(second)) > 1)
    found = rank_correlation(first, second, resamples=100)
    assert found.tau == pytest.approx(tau_b(first, second))
    assert -1 - 1e-9 <= found.low <= found.high <= 1 + 1e-9
    mirrored = rank_correlation(first, [-value for value in second], resamples=100)
    assert (mirrored.low, mirrored.high) == pytest.approx((-found.high, -found.low))
    assert found.n == len(pairs)


def test_resampled_candidates_are_tied_with_their_copies():
    first, second = np.array([1.0, 2.0, 2.0, 5.0, 7.0]), np.array([2.0, 1.0, 3.0, 3.0, 9.0])
    weights = np.random.default_rng(4).multinomial(5, np.full(5, 0.2), size=50)
    expected = []
    for row in weights:
        one, two = np.repeat(first, row), np.repeat(second, row)
        if len(set(one)) > 1 and len(set(two)) > 1:
            expected.append(tau_b(one, two))
    assert _resampled_taus(first, second, 50, np.random.default_rng(4)) == pytest.approx(np.array(expected))


def test_the_interval_holds_the_true_correlation_about_as_often_as_it_says():
    # Two normal values of correlation r have tau = 2 asin(r) / pi (Kendall and Gibbons, Rank Correlation Methods).
    generator = np.random.default_rng(0)
    truth, inside = 2 * math.asin(0.8) / math.pi, 0
    for number in range(100):
        one = generator.normal(size=40)
        two = 0.8 * one + 0.6 * generator.normal(size=40)
        found = rank_correlation(one.tolist(), two.tolist(), resamples=300, seed=number)
        inside += found.low <= truth <= found.high
    assert 88 <= inside <= 100


@pytest.mark.parametrize(
    ("first", "second", "options", "message"),
    [
        ([1, 2], [1, 2], {}, r"three or more candidates, got \(2,\) and \(2,\)"),
        ([1, 2, 3], [1, 2], {}, r"got \(3,\) and \(2,\)"),
        ([1, 1, 1], [1, 2, 3], {}, "not all equal"),
        ([1, 2, math.inf], [1, 2, 3], {}, "finite values"),
        ([1, 2, 3], [1, 2, 3], {"resamples": 5}, "at least 100 .* got 5"),
        ([1, 2, 3], [1, 2, 3], {"confidence": 0}, "between 0 and 1, got 0"),
    ],
)
def test_rankings_without_grounds_are_refused(first, second, options, message):
    with pytest.raises(GaafError, match=message):
        rank_correlation(first, second, **options)


UNEVEN = ([0.1, 0.4, 0.2, 0.9, 0.5, 0.7], [0.3, 0.2, 0.1, 0.6, 0.9, 0.8])


def test_confidence_is_that_of_every_part_of_a_comparison():
    usual, narrow = (compare(RUNS, BASE, resamples=2_000, **options) for options in ({}, {"confidence": 0.8}))
    for one, other in zip(usual, narrow, strict=True):
        assert (one.difference.confidence, one.bootstrap.confidence) == (0.95, 0.95)
        assert (other.difference.confidence, other.bootstrap.confidence) == (0.8, 0.8)
        assert other.difference.low > one.difference.low
        assert other.difference.high < one.difference.high
        assert other.bootstrap.high - other.bootstrap.low < one.bootstrap.high - one.bootstrap.low
        assert (one.bootstrap.resamples, one.bootstrap.n) == (2_000, one.difference.n)
        assert other.significant == (other.p_holm <= 0.2)
        assert one.significant == (one.p_holm <= 0.05)
    assert [one.significant for one in usual] == [True, False, False]
    assert [one.significant for one in narrow] == [True, False, True]


def test_the_seed_of_a_comparison_is_that_of_its_resamples():
    first, again, other = (compare(RUNS, BASE, resamples=200, seed=seed) for seed in (0, 0, 1))
    assert first == again
    ends = [[(one.bootstrap.low, one.bootstrap.high) for one in found] for found in (first, other)]
    assert ends[0] != ends[1]
    assert [one.difference for one in first] == [one.difference for one in other]
    assert first == compare(RUNS, BASE, resamples=200), "0 is the usual one"


def test_the_ends_of_a_rank_correlation_are_the_outer_quantiles_of_all_resamples():
    """Every one of 4^4 samples with replacement is equally likely; those in which all are tied say nothing."""
    first, second = [1.0, 2.0, 3.0, 4.0], [1.0, 3.0, 2.0, 4.0]
    everything = []
    for places in itertools.product(range(4), repeat=4):
        one, two = [first[place] for place in places], [second[place] for place in places]
        if len(set(one)) > 1:
            everything.append(tau_b(one, two))
    for confidence in (0.95, 0.5):
        found = rank_correlation(first, second, confidence=confidence, resamples=20_000)
        low, high = np.quantile(everything, [(1 - confidence) / 2, (1 + confidence) / 2])
        assert (found.low, found.high) == pytest.approx((low, high), abs=0.03)
        assert found.confidence == confidence
        assert found.resamples == pytest.approx(20_000 * len(everything) / 4**4, rel=0.01)


def test_a_rank_correlation_has_the_p_value_of_kendall_and_repeats():
    first, again, other = (rank_correlation(*UNEVEN, resamples=150, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert (first.low, first.high) != (other.low, other.high)
    assert (first.tau, first.p_value) == pytest.approx(tuple(stats.kendalltau(*UNEVEN)))
    assert (first.confidence, first.resamples, first.n) == (0.95, 150, 6)
    assert rank_correlation(*UNEVEN).resamples == pytest.approx(2_000, abs=2)
    assert rank_correlation(*UNEVEN, resamples=100).resamples == 100, "the least that is allowed"


@pytest.mark.parametrize("wrong", [[0.5], [], [[0.1, 0.2]]])
def test_a_p_value_needs_two_differences(wrong):
    with pytest.raises(GaafError, match=r"two or more differences, got [01]"):
        paired_p_value(wrong)


@pytest.mark.parametrize("options", [{"seed": -1}, {"resamples": 99}, {"confidence": 0.0}])
def test_a_resampling_out_of_its_range_is_refused(options):
    with pytest.raises(GaafError, match=r"at least 100 and seed at least 0|confidence must lie"):
        rank_correlation(*UNEVEN, **options)
    with pytest.raises(GaafError, match=r"at least 100 and seed at least 0|confidence must lie"):
        compare(RUNS, BASE, **options)


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("values", [[1.0, 1.0, 1.0], [1.0, math.nan, 2.0]])
def test_either_ranking_may_be_no_ranking(side, values):
    pair = [[1.0, 2.0, 3.0], values]
    with pytest.raises(GaafError, match="finite values that are not all equal"):
        rank_correlation(pair[side], pair[1 - side])
