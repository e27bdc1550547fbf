"""Intervals against numbers worked out by hand, fits against least squares with a column for every unknown."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from gaaf_gp.errors import GaafError
from gaaf_gp.statistics import (
    AdditiveFit,
    additive_fit,
    band,
    better_half_tau,
    bootstrap_interval,
    evenly_spread,
    holm,
    indistinguishable,
    paired_difference,
    pareto_front,
    pooled_deviation,
    standard_error,
    tau_ceiling,
)

T_4 = 2.7764451051977987
"""The 97.5 % quantile of Student's t with 4 degrees of freedom, from a printed table."""


def test_interval_of_five_pairs_by_hand():
    first, second = [0.5, 0.6, 0.7, 0.8, 0.9], [0.4, 0.4, 0.4, 0.4, 0.4]
    interval = paired_difference(first, second)
    # Differences 0.1 0.2 0.3 0.4 0.5: mean 0.3, standard deviation sqrt(0.025), error sqrt(0.005).
    half = T_4 * math.sqrt(0.005)
    assert interval.mean == pytest.approx(0.3)
    assert interval.low == pytest.approx(0.3 - half)
    assert interval.high == pytest.approx(0.3 + half)
    assert (interval.n, interval.confidence) == (5, 0.95)


def test_equal_differences_have_no_width():
    interval = paired_difference([2.0, 3.0], [1.0, 2.0])
    assert (interval.low, interval.mean, interval.high) == (1.0, 1.0, 1.0)


@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=2, max_size=9))
def test_swapping_the_sides_mirrors_the_interval(pairs):
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    one, other = paired_difference(first, second), paired_difference(second, first)
    assert one.mean == pytest.approx(-other.mean, abs=1e-12)
    assert one.low == pytest.approx(-other.high, abs=1e-12)
    assert one.low <= one.mean <= one.high


def test_more_confidence_is_wider():
    first, second = [1.0, 2.0, 4.0], [0.0, 0.0, 0.0]
    narrow, wide = paired_difference(first, second, 0.5), paired_difference(first, second, 0.99)
    assert wide.high - wide.low > narrow.high - narrow.low > 0


@pytest.mark.parametrize(("first", "second"), [([1.0], [1.0]), ([], []), ([1.0, 2.0], [1.0])])
def test_too_few_or_unpaired_values_are_refused(first, second):
    with pytest.raises(GaafError, match="two or more pairs"):
        paired_difference(first, second)


def test_confidence_out_of_range_is_refused():
    with pytest.raises(GaafError, match=r"between 0 and 1, got 95"):
        paired_difference([1.0, 2.0], [1.0, 1.0], 95)


def test_standard_errors_are_those_of_scipy():
    values = [0.4, 0.5, 0.55, 0.3]
    assert standard_error(values) == pytest.approx(stats.sem(values))
    assert standard_error(values, 9.0) == pytest.approx(stats.sem(values)), "its own seeds say more than others'"
    assert standard_error([0.4]) is None
    assert standard_error([0.4], 0.01) == 0.01


def test_the_pooled_deviation_is_within_groups():
    groups = [[1.0, 3.0], [10.0, 10.0, 13.0], [7.0]]
    assert pooled_deviation(groups) == pytest.approx(math.sqrt((2.0 + 6.0) / 3))
    equal = np.random.default_rng(0).normal(size=(6, 4))
    assert pooled_deviation(equal.tolist()) == pytest.approx(np.sqrt(equal.var(axis=1, ddof=1).mean()))
    assert pooled_deviation([[1.0], [2.0]]) is None
    assert pooled_deviation([]) is None


def test_a_full_table_is_fitted_by_its_means():
    table = np.random.default_rng(1).normal(size=(5, 3)) + np.array([0.5, -1.0, 2.0])
    fit = additive_fit([{7: a, 2: b, 9: c} for a, b, c in table.tolist()])
    columns = table.mean(0) - table.mean()
    residuals = table - table.mean(1, keepdims=True) - columns
    assert fit.effects == pytest.approx(dict(zip((7, 2, 9), columns.tolist(), strict=True)))
    assert fit.freedom == (5 - 1) * (3 - 1)
    assert fit.deviation == pytest.approx(math.sqrt((residuals**2).sum() / fit.freedom))


tables = st.lists(st.dictionaries(st.integers(0, 3), st.floats(0, 1), min_size=1), min_size=1, max_size=7)


@given(tables)
def test_a_table_with_gaps_is_fitted_by_least_squares(rows):
    rows = [{0: 0.5, **row} for row in rows]  # all have one seed in common
    useful = [row for row in rows if len(row) > 1]
    assume(useful)
    seeds = sorted({seed for row in useful for seed in row})
    cells = [(number, seeds.index(seed), value) for number, row in enumerate(useful) for seed, value in row.items()]
    design = np.zeros((len(cells), len(useful) + len(seeds)))
    for line, (number, place, _) in enumerate(cells):
        design[line, number] = design[line, len(useful) + place] = 1
    values = np.array([value for *_, value in cells])
    found, *_ = np.linalg.lstsq(design, values, rcond=None)
    freedom = len(cells) - np.linalg.matrix_rank(design)
    residuals = values - design @ found
    fit = additive_fit(rows)
    effects = found[len(useful) :] - found[len(useful) :].mean()
    assert [fit.effects[seed] for seed in seeds] == pytest.approx(effects.tolist(), abs=1e-9)
    assert fit.freedom == freedom
    expected = math.sqrt((residuals**2).sum() / freedom) if freedom else 0.0
    assert fit.deviation == pytest.approx(expected, abs=1e-9)


@given(tables, st.floats(-1, 1))
def test_an_easy_seed_changes_no_noise(rows, easy):
    moved = [{seed: value + easy * (seed == 2) for seed, value in row.items()} for row in rows]
    before, after = additive_fit(rows), additive_fit(moved)
    assert after.deviation == pytest.approx(before.deviation, abs=1e-9)
    assert after.freedom == before.freedom


def test_single_values_say_nothing_of_seeds():
    assert additive_fit([{0: 0.5}, {0: 0.7}, {1: 0.2}]) == AdditiveFit({}, 0.0, 0)
    assert additive_fit([{0: 0.5, 1: 0.7}]).freedom == 0


def test_the_least_significant_difference_by_hand():
    fit = AdditiveFit({}, 0.02, 4)
    half = T_4 * 0.02 * math.sqrt(2 / 3)
    first = {0: 0.5, 1: 0.6, 2: 0.7, 9: 0.0}
    for shift, close in ((half - 1e-9, True), (half + 1e-9, False), (-half + 1e-9, True), (-half - 1e-9, False)):
        second = {seed: first[seed] + shift for seed in (0, 1, 2)} | {5: 1.0}
        assert indistinguishable(first, second, fit) is close
        assert indistinguishable(second, first, fit) is close


def test_of_equal_candidates_one_in_twenty_is_told_apart():
    generator = np.random.default_rng(3)
    rounds = 400
    apart = 0
    for _ in range(rounds):
        table = generator.normal(size=(4, 3)) + generator.normal(size=3)
        rows = [dict(enumerate(row)) for row in table.tolist()]
        fit = additive_fit(rows)
        apart += sum(not indistinguishable(a, b, fit) for a, b in itertools.combinations(rows, 2))
    share = apart / (rounds * 6)
    assert share == pytest.approx(0.05, abs=0.015)


def test_a_comparison_without_grounds_is_refused():
    with pytest.raises(GaafError, match="got 0 common seeds and 3 degrees of freedom"):
        indistinguishable({0: 0.5}, {1: 0.5}, AdditiveFit({}, 0.1, 3))
    with pytest.raises(GaafError, match="got 1 common seeds and 0 degrees of freedom"):
        indistinguishable({0: 0.5}, {0: 0.5}, AdditiveFit({}, 0.0, 0))


def exact_bootstrap(values, function):
    """All n^n samples with replacement, each equally likely, in order."""
    return np.sort([function(sample) for sample in itertools.product(values, repeat=len(values))])


SKEWED = [0.1, 0.2, 0.4, 0.5, 1.9]


@pytest.mark.parametrize(("statistic", "function"), [("mean", np.mean), ("median", np.median)])
def test_percentiles_are_those_of_all_resamples(statistic, function):
    everything = exact_bootstrap(SKEWED, function)
    found = bootstrap_interval(SKEWED, statistic=statistic, method="percentile", confidence=0.8, resamples=20_000)
    assert found.estimate == pytest.approx(function(SKEWED))
    assert (found.n, found.confidence, found.method, found.resamples) == (5, 0.8, "percentile", 20_000)
    assert found.low == pytest.approx(np.quantile(everything, 0.1), abs=0.03)
    assert found.high == pytest.approx(np.quantile(everything, 0.9), abs=0.03)


def test_bca_corrects_bias_and_skewness_by_its_formula():
    # Efron and Tibshirani 1993, equations 14.9 to 14.15, with all resamples instead of a drawn part of them.
    everything, mean = exact_bootstrap(SKEWED, np.mean), np.mean(SKEWED)
    below = ((everything < mean - 1e-12).mean() + (everything < mean + 1e-12).mean()) / 2
    bias = stats.norm.ppf(below)
    left_out = np.array([np.mean(SKEWED[:i] + SKEWED[i + 1 :]) for i in range(5)])
    gaps = left_out.mean() - left_out
    acceleration = (gaps**3).sum() / (6 * (gaps**2).sum() ** 1.5)
    ends = []
    for quantile in (0.1, 0.9):
        z = bias + stats.norm.ppf(quantile)
        ends.append(np.quantile(everything, stats.norm.cdf(bias + z / (1 - acceleration * z))))
    found = bootstrap_interval(SKEWED, confidence=0.8, resamples=20_000)
    assert found.method == "BCa"
    assert (found.low, found.high) == pytest.approx(tuple(ends), abs=0.03)
    plain = bootstrap_interval(SKEWED, confidence=0.8, resamples=20_000, method="percentile")
    assert found.high > plain.high + 0.05, "a long tail above moves the interval up"


@given(
    st.lists(st.integers(-9, 9), min_size=2, max_size=8),
    st.sampled_from(["BCa", "percentile"]),
    st.sampled_from(["mean", "median"]),
    st.integers(0, 5),
)
@settings(max_examples=25, deadline=None)
def test_a_bootstrap_interval_moves_with_the_data_and_lies_within_it(values, method, statistic, seed):
    options = {"method": method, "statistic": statistic, "seed": seed, "resamples": 200}
    one = bootstrap_interval(values, **options)
    moved = bootstrap_interval([4 * value + 8 for value in values], **options)
    assert (moved.low, moved.high) == pytest.approx((4 * one.low + 8, 4 * one.high + 8))
    assert min(values) <= one.low <= one.high <= max(values)
    assert one == bootstrap_interval(values, **options), "one seed, one result"


def test_equal_values_have_no_bootstrap_width():
    found = bootstrap_interval([0.3, 0.3, 0.3])
    assert found.low == found.estimate == found.high == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ([1.0], {}, r"two or more finite values, got \[1\.0\]"),
        ([1.0, math.nan], {}, "two or more finite values, got"),
        ([1.0, 2.0], {"statistic": "mode"}, '"mean" or "median" .* got \'mode\''),
        ([1.0, 2.0], {"method": "basic"}, '"BCa" or "percentile", got .* \'basic\''),
        ([1.0, 2.0], {"confidence": 1.0}, r"between 0 and 1, got 1\.0"),
        ([1.0, 2.0], {"resamples": 99}, "at least 100 .* got 99"),
        ([1.0, 2.0], {"seed": -1}, "seed at least 0, got 9999 and -1"),
    ],
)
def test_a_bootstrap_without_grounds_is_refused(values, options, message):
    with pytest.raises(GaafError, match=message):
        bootstrap_interval(values, **options)


def test_holm_by_hand():
    # In order: 0.005 x 4, 0.01 x 3, 0.03 x 2, then 0.04 x 1, which must not fall below 0.06.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


p_values = st.lists(st.floats(0, 1), max_size=7)


@given(p_values, st.floats(0.001, 0.999))
def test_holm_rejects_what_stepping_down_rejects(values, alpha):
    rejected = set()
    for step, place in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        if values[place] * (len(values) - step) > alpha:
            break
        rejected.add(place)
    assert {place for place, value in enumerate(holm(values)) if value <= alpha} == rejected


@given(p_values)
def test_holm_lies_between_none_and_bonferroni(values):
    for plain, adjusted in zip(values, holm(values), strict=True):
        assert plain <= adjusted <= 1
    if values:
        least = min(values)
        assert min(holm(values)) == pytest.approx(min(1.0, len(values) * least)), "the least one is Bonferroni's"


@pytest.mark.parametrize("wrong", [-0.1, 1.1, math.nan])
def test_what_is_no_p_value_is_refused(wrong):
    with pytest.raises(GaafError, match="p-values must lie from 0 to 1, got"):
        holm([0.5, wrong])


def test_the_ceiling_of_tau_is_what_a_judgement_without_noise_reaches():
    generator = np.random.default_rng(0)
    truth = generator.normal(size=1500)
    for seeds, noise in ((2, 0.5), (3, 1.0), (5, 2.0)):
        rows = [truth + noise * generator.normal(size=truth.size) for _ in range(seeds)]
        reached = stats.kendalltau(truth, np.mean(rows, axis=0)).statistic
        assert tau_ceiling(rows) == pytest.approx(reached, abs=0.02)
    assert tau_ceiling([truth, truth]) == pytest.approx(1)
    assert tau_ceiling([truth, -truth]) == 0
    with pytest.raises(GaafError, match="needs the values of two or more seeds, got 1"):
        tau_ceiling([truth])


def test_functions_are_spread_over_the_whole_range():
    accuracies = {f"f{place}": 0.1 + 0.8 * (place / 99) ** 4 for place in range(100)}  # most of them at the lower end
    chosen = [accuracies[text] for text in evenly_spread(accuracies, 5)]
    assert len(set(chosen)) == 5
    assert chosen == pytest.approx([0.1, 0.3, 0.5, 0.7, 0.9], abs=0.015)


def test_the_better_half_is_that_of_the_long_training():
    long = [0.1, 0.2, 0.3, 0.6, 0.7, 0.8]
    assert better_half_tau([0.3, 0.2, 0.1, 0.5, 0.6, 0.4], long) == pytest.approx(-1 / 3)
    assert better_half_tau([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], long) == pytest.approx(1.0)
    assert better_half_tau([0.1, 0.2, 0.3, 0.5, 0.5, 0.5], long) is None
    assert better_half_tau([0.1, 0.2], [0.1, 0.2]) is None


def test_no_more_functions_are_taken_than_there_are():
    assert sorted(evenly_spread({"a": 0.1, "b": 0.2}, 5)) == ["a", "b"]


def test_too_few_candidates_are_refused():
    with pytest.raises(GaafError, match="to choose from must be at least one, got none"):
        evenly_spread({}, 3)
    with pytest.raises(GaafError, match="of the same candidates, got 2 and 3 values"):
        better_half_tau([0.1, 0.2], [0.1, 0.2, 0.3])


def test_a_wider_confidence_and_another_seed_are_other_bootstrap_intervals():
    narrow, wide = (bootstrap_interval(SKEWED, confidence=confidence, resamples=2_000) for confidence in (0.8, 0.95))
    assert (narrow.confidence, wide.confidence) == (0.8, 0.95)
    assert wide.low < narrow.low < narrow.high < wide.high
    first, other, again = (bootstrap_interval(SKEWED, seed=seed, resamples=150) for seed in (0, 1, 0))
    assert first == again == bootstrap_interval(SKEWED, resamples=150)
    assert (first.low, first.high) != (other.low, other.high)
    usual = bootstrap_interval([0.1, 0.4])
    assert (usual.n, usual.confidence, usual.resamples) == (2, 0.95, 9_999)
    assert bootstrap_interval(SKEWED, resamples=100, seed=0).resamples == 100, "the least that is allowed"


def test_where_bca_is_undefined_percentiles_are_computed_and_named():
    # The median stays where it is whichever value is left out, so that there is no acceleration.
    found = bootstrap_interval([0, 0, 0, 0, 1], statistic="median", resamples=100)
    assert (found.method, found.estimate, found.low, found.high) == ("percentile", 0.0, 0.0, 1.0)
    assert bootstrap_interval(SKEWED, resamples=100).method == "BCa"


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_a_value_that_is_not_finite_has_no_bootstrap(value):
    with pytest.raises(GaafError, match="two or more finite values"):
        bootstrap_interval([0.1, value, 0.3])
    with pytest.raises(GaafError, match="two or more finite values"):
        bootstrap_interval([[0.1, 0.2], [0.3, 0.4]])


def test_a_front_has_what_no_other_dominates():
    costs, accuracies = [3, 1, 2, 2, 5, 4, 1, 0], [0.7, 0.5, 0.6, 0.6, 0.7, 0.9, 0.4, 0.1]
    assert pareto_front(costs, accuracies) == [7, 1, 2, 0, 5], "of equals the first"
    assert pareto_front([], []) == []
    assert pareto_front([2, 2], [0.1, 0.3]) == [1]
    assert pareto_front([1, 2], [0.3, 0.3]) == [0], "as accurate and dearer is dominated"


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=9))
def test_a_front_is_that_of_comparing_all_pairs(points):
    undominated = {
        point
        for point in points
        if not any(other != point and other[0] <= point[0] and other[1] >= point[1] for other in points)
    }
    front = pareto_front(*([point[side] for point in points] for side in (0, 1)))
    assert [points[place] for place in front] == sorted(undominated)
    assert all(points.index(points[place]) == place for place in front)


def test_a_band_interpolates_between_runs():
    found = band([[0.0, 8.0], [1.0, 8.0], [2.0, 8.0], [3.0, 8.0], [4.0, 8.0]])
    firsts = [part[0] for part in (found.p5, found.p25, found.median, found.p75, found.p95)]
    assert firsts == pytest.approx([0.2, 1.0, 2.0, 3.0, 3.8])
    assert {part[1] for part in (found.p5, found.p25, found.median, found.p75, found.p95)} == {8.0}
    assert band([[0.5, 0.7]]).median == (0.5, 0.7)
    for wrong in ([], [[1.0], [1.0, 2.0]]):
        with pytest.raises(GaafError, match=f"curves must be one or more of one length, got {len(wrong)} with lengths"):
            band(wrong)


def test_two_candidates_differ_just_beyond_the_least_significant_difference():
    fit, seeds = AdditiveFit({}, 0.1, 4), (0, 1)
    least = T_4 * 0.1 * math.sqrt(2 / 2)
    for share, same in ((0.999, True), (1.001, False)):
        for sign in (1, -1):
            first = dict.fromkeys(seeds, 0.5 + sign * share * least)
            assert indistinguishable(first | {7: 99.0}, dict.fromkeys((*seeds, 8), 0.5), fit) == same
    half = stats.t.ppf(0.75, 4) * 0.1
    assert indistinguishable({0: 0.5, 1: 0.5 + 1.99 * half}, {0: 0.5, 1: 0.5}, fit, 0.5)
    assert not indistinguishable({0: 0.5, 1: 0.5 + 2.01 * half}, {0: 0.5, 1: 0.5}, fit, 0.5)


def test_a_single_value_has_the_deviation_that_is_given():
    assert standard_error([0.5]) is None
    assert standard_error([0.5], 0.2) == 0.2
    assert standard_error([0.5, 0.7], 9.0) == pytest.approx(math.sqrt(0.02) / math.sqrt(2))
    assert pooled_deviation([[0.5], []]) is None
    # squares about the means: 0.02 and 0.08, with 1 and 2 degrees of freedom
    assert pooled_deviation([[0.1, 0.3], [0.5], [0.0, 0.2, 0.4]]) == pytest.approx(math.sqrt(0.1 / 3))


@pytest.mark.parametrize("confidence", [0.0, 1.0, -0.5, math.nan])
def test_the_ends_are_no_confidence(confidence):
    with pytest.raises(GaafError, match="confidence must lie between 0 and 1"):
        paired_difference([1.0, 2.0], [1.0, 1.0], confidence)


def test_holm_allows_the_ends_of_its_range():
    assert holm([0.0, 1.0]) == [0.0, 1.0]
    assert holm([]) == []
    assert holm([0.01, 0.011, 0.5]) == pytest.approx([0.03, 0.03, 0.5])
    for wrong in (-1e-9, 1 + 1e-9, math.nan):
        with pytest.raises(GaafError, match="p-values must lie from 0 to 1"):
            holm([0.5, wrong])
