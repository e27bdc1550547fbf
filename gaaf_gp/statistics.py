"""How sure a mean and a difference are, and what is left of significance when several are looked at."""

from __future__ import annotations

import functools
import math
import statistics
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
import scipy  # its parts are read when they are first used: stats takes most of a second
from numpy.typing import NDArray

from gaaf_gp.errors import GaafError
from gaaf_gp.util.checks import LARGEST, number, plain_number, plain_whole, whole_number


def pareto_front(costs: Sequence[float], accuracies: Sequence[float]) -> list[int]:
    """Return the places that no other dominates: none is as cheap and as accurate, and one of both strictly.

    Those that equal another in both are one point: the first stands for it.

    Returns:
        The places, by rising cost and accuracy.
    """
    ranked = sorted(range(len(costs)), key=lambda place: (costs[place], -accuracies[place], place))
    front: list[int] = []
    for place in ranked:
        if not front or accuracies[place] > accuracies[front[-1]]:
            front.append(place)
    return front


@dataclass(frozen=True)
class Interval:
    """A mean and its confidence interval, in the unit of the data; ``n`` is the number of pairs."""

    mean: float
    low: float
    high: float
    n: int
    confidence: float


def paired_difference(first: Sequence[float], second: Sequence[float], confidence: float = 0.95) -> Interval:
    """Return the mean of ``first[i] - second[i]`` with its Student-t interval.

    The pairs share a seed each, so what the seed does to both cancels. The interval assumes that differences are
    independent and about normal; with few pairs it is wide, and rightly so. Equal differences have no width.

    Args:
        first: (n,) values, such as accuracies.
        second: (n,) values on the same seeds in the same order.
        confidence: of the interval, between 0 and 1.

    Raises:
        GaafError: unless both have the same number of values, at least two, or for a confidence out of its range.
    """
    if len(first) != len(second) or len(first) < 2:
        raise GaafError(
            f"a paired interval needs two or more pairs, got {len(first)} and {len(second)} values: use more seeds"
        )
    check_confidence(confidence)
    differences = np.subtract(first, second)
    mean, test = float(differences.mean()), _paired_test(differences)
    if test is None:
        return Interval(mean, mean, mean, len(differences), confidence)
    span = test.confidence_interval(confidence)
    return Interval(mean, float(span.low), float(span.high), len(differences), confidence)


def _paired_test(differences: NDArray[np.float64]) -> Any:
    """Return scipy's paired t-test of two or more differences, None where they have no variance."""
    if (differences == differences[0]).all():
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of differences that are almost equal
        test = scipy.stats.ttest_rel(differences, np.zeros_like(differences))
    return test if math.isfinite(test.statistic) else None  # else the variance is below the least float64


@dataclass(frozen=True)
class BootstrapInterval:
    """A mean or median and its bootstrap interval, in the unit of the data.

    Attributes:
        estimate: of the ``n`` values themselves.
        low: lower end.
        high: upper end.
        n: number of values.
        confidence: such as 0.95.
        method: "BCa" or "percentile", as it was computed.
        resamples: samples drawn with replacement.
    """

    estimate: float
    low: float
    high: float
    n: int
    confidence: float
    method: str
    resamples: int


def bootstrap_interval(
    values: Sequence[float],
    *,
    statistic: Literal["mean", "median"] = "mean",
    confidence: float = 0.95,
    method: Literal["BCa", "percentile"] = "BCa",
    resamples: int = 9_999,
    seed: int = 0,
) -> BootstrapInterval:
    """Return a bootstrap interval, which assumes no normal distribution (Efron and Tibshirani 1993, chapters 13, 14).

    With few values it is too narrow: of five normal ones, either method at 95 % covers the mean about four times in
    five. Student's t is the better one there; this is a check on it, and for larger samples.

    Args:
        values: at least two, finite.
        statistic: what the interval is of.
        confidence: between 0 and 1.
        method: "BCa" corrects bias and skewness. Where it cannot be computed, percentiles are, and the result says so.
        resamples: at least 100.
        seed: of the resampling; not negative.

    Raises:
        GaafError: for values or settings out of their range.
    """
    data = np.asarray(values, dtype=np.float64)
    if data.ndim != 1 or len(data) < 2 or not np.isfinite(data).all():
        raise GaafError(f"a bootstrap needs two or more finite values, got {list(values)!r}: use more seeds")
    if statistic not in _STATISTICS or method not in ("BCa", "percentile"):
        raise GaafError(
            f'statistic must be "mean" or "median" and method "BCa" or "percentile", got {statistic!r} and {method!r}'
        )
    check_confidence(confidence)
    resamples, seed = _resampling(resamples, seed)
    function = _STATISTICS[statistic]
    estimate = float(function(data))
    if data.min() == data.max():
        return BootstrapInterval(estimate, estimate, estimate, len(data), confidence, method, resamples)
    for chosen in dict.fromkeys((method, "percentile")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # what cannot be computed comes as NaN, seen below
            found = scipy.stats.bootstrap(
                (data,),
                function,
                confidence_level=confidence,
                method=chosen,
                n_resamples=resamples,
                rng=np.random.default_rng(seed),
            ).confidence_interval
        low, high = float(found.low), float(found.high)
        if math.isfinite(low) and math.isfinite(high):
            break
    return BootstrapInterval(estimate, low, high, len(data), confidence, chosen, resamples)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for looking at all of them (Holm 1979), in the order given.

    The i-th smallest of m is multiplied by m - i + 1, never falls below a smaller one's, and is at most 1. If those
    of at most alpha are called significant, the chance of any false one is at most alpha, however they hang together.

    Raises:
        GaafError: for a value outside 0 to 1.
    """
    wrong = [value for value in p_values if not 0 <= value <= 1]
    if wrong:
        raise GaafError(f"p-values must lie from 0 to 1, got {wrong[0]!r}")
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted


def check_confidence(confidence: float) -> None:
    """Refuse a confidence that is none.

    Raises:
        GaafError: unless it lies between 0 and 1.
    """
    plain = plain_number(confidence)
    if plain is None or not 0 < plain < 1:
        raise GaafError(f"confidence must lie between 0 and 1, got {confidence!r}: 0.95 is usual")


def _resampling(resamples: int, seed: int) -> tuple[int, int]:
    many, start = plain_whole(resamples), plain_whole(seed)
    if many is None or start is None or not 100 <= many <= LARGEST or not 0 <= start <= LARGEST:
        raise GaafError(
            f"resamples must be at least 100 and seed at least 0, got {resamples!r} and {seed!r}: give "
            "whole numbers such as 2000 and 0"
        )
    return many, start


def standard_error(values: Sequence[float], deviation: float | None = None) -> float | None:
    """Return the standard error of the mean of ``values``, s / sqrt(n).

    Args:
        values: at least one.
        deviation: stands for s where a single value cannot tell it, such as :func:`pooled_deviation` of others; None
            makes the result None.
    """
    if len(values) > 1:
        return statistics.stdev(values) / math.sqrt(len(values))
    return deviation


def pooled_deviation(groups: Iterable[Sequence[float]]) -> float | None:
    """Return the standard deviation within groups, pooled: sqrt(sum of squares about the groups' means / freedom).

    The degrees of freedom are the sum of n - 1 over the groups. None if no group has two values.
    """
    squares, freedom = 0.0, 0
    for group in groups:
        if len(group) > 1:
            squares += (len(group) - 1) * statistics.variance(group)
            freedom += len(group) - 1
    return math.sqrt(squares / freedom) if freedom else None


@dataclass(frozen=True)
class AdditiveFit:
    """Least squares of value = candidate + seed + noise.

    Attributes:
        effects: seed -> what it adds to every candidate; they sum to 0.
        deviation: standard deviation of the noise, 0 if ``freedom`` is.
        freedom: its degrees of freedom; 0 means that nothing is known of the noise.
    """

    effects: Mapping[int, float]
    deviation: float
    freedom: int


def additive_fit(rows: Iterable[Mapping[int, float]]) -> AdditiveFit:
    """Fit candidates and seeds to a table with gaps: two-way analysis of variance without interaction.

    Args:
        rows: for each candidate, seed -> value. Rows with one value say nothing and are left out.
    """
    full = [row for row in rows if len(row) > 1]
    seeds = sorted({seed for row in full for seed in row})
    if not full:
        return AdditiveFit({}, 0.0, 0)
    there = np.array([[seed in row for seed in seeds] for row in full], dtype=np.float64)
    values = np.array([[row.get(seed, 0.0) for seed in seeds] for row in full])
    counts = there.sum(1, keepdims=True)
    centred = (values - (values * there).sum(1, keepdims=True) / counts) * there
    # Normal equations after the candidates are swept out; the pseudo-inverse picks effects that sum to 0.
    normal = np.diag(there.sum(0)) - (there / counts).T @ there
    effects = np.linalg.pinv(normal, hermitian=True) @ centred.sum(0)
    residuals = (centred - effects + (there @ effects)[:, None] / counts) * there
    freedom = int((counts - 1).sum()) - int(np.linalg.matrix_rank(normal, hermitian=True))
    deviation = math.sqrt(float((residuals**2).sum()) / freedom) if freedom else 0.0
    return AdditiveFit(dict(zip(seeds, effects.tolist(), strict=True)), deviation, freedom)


def indistinguishable(
    first: Mapping[int, float], second: Mapping[int, float], fit: AdditiveFit, confidence: float = 0.95
) -> bool:
    """Return whether the mean paired difference of two candidates may be zero, at ``confidence``.

    The difference is over the seeds that both have, whose effects cancel in it. With n of them it is uncertain by
    t s sqrt(2 / n), where s is the noise that all candidates share and t the quantile for its degrees of freedom:
    two or three pairs alone could not tell.

    Raises:
        GaafError: without a common seed, or if nothing is known of the noise.
    """
    common = first.keys() & second.keys()
    if not common or not fit.freedom:
        raise GaafError(
            f"a comparison needs a common seed and an estimate of the noise, got {len(common)} common seeds and "
            f"{fit.freedom} degrees of freedom: train both on one seed, and two candidates on two"
        )
    mean = math.fsum(first[seed] - second[seed] for seed in common) / len(common)
    return abs(mean) <= _quantile(confidence, fit.freedom) * fit.deviation * math.sqrt(2 / len(common))


_STATISTICS: dict[str, Callable[..., Any]] = {"mean": np.mean, "median": np.median}


@functools.cache
def _quantile(confidence: float, freedom: int) -> float:
    return float(scipy.stats.t.ppf((1 + confidence) / 2, freedom))


@dataclass(frozen=True)
class Comparison:
    """One candidate against the baseline, paired by seed.

    Attributes:
        name: of the candidate.
        difference: mean of candidate minus baseline over the common seeds, with Student's t interval; for this
            candidate alone, not for all of them together.
        bootstrap: the same with a bootstrap interval.
        p_value: of the paired t-test, two-sided, by itself.
        p_holm: the same, corrected for all candidates of the comparison.
        significant: whether ``p_holm`` is at most 1 - confidence.
    """

    name: str
    difference: Interval
    bootstrap: BootstrapInterval
    p_value: float
    p_holm: float
    significant: bool


def compare(
    candidates: Mapping[str, Mapping[int, float]],
    baseline: Mapping[int, float],
    *,
    confidence: float = 0.95,
    resamples: int = 9_999,
    seed: int = 0,
) -> tuple[Comparison, ...]:
    """Compare candidates with a baseline on the seeds that each has in common with it.

    Args:
        candidates: name -> seed -> value, such as an accuracy; at least one.
        baseline: seed -> value.
        confidence: of the intervals and, as 1 - alpha, of the verdict.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Returns:
        One comparison for each candidate, in the order given.

    Raises:
        GaafError: if there is no candidate, one has fewer than two seeds in common with the baseline, or a value is not
            finite.
    """
    if not candidates:
        raise GaafError("a comparison needs at least one candidate, got none")
    check_confidence(confidence)
    found = []
    for name, values in candidates.items():
        common = sorted(values.keys() & baseline.keys())
        pairs = [(values[one], baseline[one]) for one in common]
        if len(pairs) < 2 or not all(math.isfinite(value) for pair in pairs for value in pair):
            raise GaafError(
                f"candidate {name!r} must have finite values on two or more seeds of the baseline, got {pairs!r} on "
                f"seeds {common}: train both on the same seeds, and leave failed trainings out"
            )
        first, second = ([pair[side] for pair in pairs] for side in (0, 1))
        differences = [a - b for a, b in pairs]
        found.append(
            (
                name,
                paired_difference(first, second, confidence),
                bootstrap_interval(differences, confidence=confidence, resamples=resamples, seed=seed),
                paired_p_value(differences),
            )
        )
    adjusted = holm([p_value for *_, p_value in found])
    return tuple(
        Comparison(*one, corrected, corrected <= 1 - confidence) for one, corrected in zip(found, adjusted, strict=True)
    )


def paired_p_value(differences: Sequence[float]) -> float:
    """Return the two-sided p-value of Student's paired t-test that the mean difference is zero.

    Equal differences, which no noise explains, have 0, or 1 if they are zero.

    Raises:
        GaafError: for fewer than two differences.
    """
    if len(differences) < 2:
        raise GaafError(f"a paired test needs two or more differences, got {len(differences)}: use more seeds")
    test = _paired_test(np.asarray(differences, dtype=np.float64))
    if test is None:
        return 0.0 if abs(math.fsum(differences)) > 0 else 1.0
    return float(test.pvalue)


@dataclass(frozen=True)
class RankCorrelation:
    """How well one ranking agrees with another.

    Attributes:
        tau: Kendall's tau-b, -1 to 1; 1 for the same order.
        low: lower end of the percentile bootstrap interval.
        high: upper end.
        p_value: two-sided, that the rankings are independent.
        n: candidates.
        confidence: of the interval.
        resamples: samples of candidates drawn with replacement, those in which all are tied left out.
    """

    tau: float
    low: float
    high: float
    p_value: float
    n: int
    confidence: float
    resamples: int


def rank_correlation(
    first: Sequence[float],
    second: Sequence[float],
    *,
    confidence: float = 0.95,
    resamples: int = 2_000,
    seed: int = 0,
) -> RankCorrelation:
    """Return Kendall's tau-b between two judgements of the same candidates, such as a short and a full training.

    Pairs that are tied in one ranking count neither for nor against (Kendall 1945). A resampled candidate is tied with
    its copies in both. Memory and time grow with the square of the candidates.

    Args:
        first: one value for each candidate, at least three.
        second: the same candidates in the same order.
        confidence: of the interval.
        resamples: at least 100.
        seed: of the resampling.

    Raises:
        GaafError: for lengths that differ, too few candidates, values that are not finite or are all equal.
    """
    one, two = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if one.shape != two.shape or one.ndim != 1 or len(one) < 3:
        raise GaafError(
            f"a rank correlation needs two values of each of three or more candidates, got {one.shape} and {two.shape}"
        )
    if not (np.isfinite(one).all() and np.isfinite(two).all()) or 0 in (np.ptp(one), np.ptp(two)):
        raise GaafError("a ranking needs finite values that are not all equal: leave failed candidates out")
    check_confidence(confidence)
    resamples, seed = _resampling(resamples, seed)
    result = scipy.stats.kendalltau(one, two, variant="b")
    taus = _resampled_taus(one, two, resamples, np.random.default_rng(seed))
    low, high = np.quantile(taus, [(1 - confidence) / 2, (1 + confidence) / 2])
    return RankCorrelation(
        float(result.statistic), float(low), float(high), float(result.pvalue), len(one), confidence, len(taus)
    )


def tau_ceiling(seeds: Sequence[Sequence[float]]) -> float:
    """Return Kendall's tau between the mean of noisy judgements and what they would be without noise.

    No other judgement can be expected to agree better with that mean. The mean tau t of two seeds stands for the
    correlation r = sin(pi t / 2) (Greiner 1909), the mean of k seeds has the reliability R = k r / (1 + (k - 1) r)
    (Spearman 1910, Brown 1910), and its correlation with the truth, sqrt(R), is a tau of 2/pi asin(sqrt(R)). This holds
    for normal values.

    Args:
        seeds: two or more rows: one value of each candidate; the same candidates in the same order.

    Returns:
        From 0 to 1; 0 where the seeds do not agree at all.

    Raises:
        GaafError: for fewer than two seeds, or rows that :func:`rank_correlation` refuses.
    """
    if len(seeds) < 2:
        raise GaafError(f"a ceiling needs the values of two or more seeds, got {len(seeds)}: judge on another seed")
    pairs = [rank_correlation(first, second, resamples=100).tau for first, second in combinations(seeds, 2)]
    correlation = math.sin(math.pi / 2 * max(0.0, math.fsum(pairs) / len(pairs)))
    reliability = len(seeds) * correlation / (1 + (len(seeds) - 1) * correlation)
    return 2 / math.pi * math.asin(math.sqrt(reliability))


def better_half_tau(values: Sequence[float], reference: Sequence[float]) -> float | None:
    """Return Kendall's tau among the candidates that are in the better half by ``reference``.

    Functions that hardly work are easily told from those that do; a search needs the order of the good ones.

    Args:
        values: one value for each candidate.
        reference: the judgement to compare with, of the same candidates; those at or above its median are taken.

    Returns:
        tau-b, or None for fewer than three such candidates, or if a judgement gives all of them one value.

    Raises:
        GaafError: for no candidates, or lengths that differ.
    """
    if not 0 < len(values) == len(reference):
        raise GaafError(
            f"both judgements must be of the same candidates, got {len(values)} and {len(reference)} values"
        )
    cut = statistics.median(reference)
    pairs = [(value, judged) for value, judged in zip(values, reference, strict=True) if judged >= cut]
    first, second = zip(*pairs, strict=True)
    if len(pairs) < 3 or len(set(first)) == 1 or len(set(second)) == 1:
        return None
    return rank_correlation(first, second).tau


def evenly_spread(values: Mapping[str, float], number: int) -> list[str]:
    """Return the names of ``number`` candidates whose values are spread as evenly as possible from least to greatest.

    Args:
        values: value of each candidate by its name.
        number: how many to take; all of them if there are no more.

    Raises:
        GaafError: there is no candidate, or ``number`` is below 1.
    """
    if not values:
        raise GaafError("candidates to choose from must be at least one, got none: draw more")
    number = whole_number("the number of candidates", number)
    left = dict(values)
    low, high = min(left.values()), max(left.values())
    chosen = []
    for place in range(min(number, len(left))):
        wanted = low + (high - low) * place / max(1, number - 1)
        nearest = min(left, key=lambda name: (abs(left[name] - wanted), name))
        chosen.append(nearest)
        del left[nearest]
    return chosen


def _resampled_taus(
    first: np.ndarray, second: np.ndarray, resamples: int, generator: np.random.Generator
) -> np.ndarray:
    """Return tau-b of samples of candidates: with w_i copies of each, sums over pairs are quadratic forms in w."""
    count = len(first)
    signs = [np.sign(values[:, None] - values) for values in (first, second)]
    weights = generator.multinomial(count, np.full(count, 1 / count), size=resamples).astype(np.float64)
    concordance, untied_first, untied_second = (
        ((weights @ pairs) * weights).sum(1) for pairs in (signs[0] * signs[1], signs[0] ** 2, signs[1] ** 2)
    )
    some = (untied_first > 0) & (untied_second > 0)
    return np.asarray(concordance[some] / np.sqrt(untied_first[some] * untied_second[some]))


_FAR = 40.0
"""Beyond so many standard deviations a normal density is zero in float64."""


def expected_best_bias(n: int, sigma: float = 1.0) -> float:
    """Return the expected maximum of ``n`` independent normal values of mean 0 and standard deviation ``sigma``.

    That is by how much the best of n equally good candidates looks better than it is. It is the integral of 1 - Phi^n
    over the positive numbers minus that of Phi^n over the negative ones, computed numerically to about 1e-10.

    Args:
        n: values to choose from, at least 1.
        sigma: standard deviation of one, in the unit of the result.

    Raises:
        GaafError: for ``n`` or ``sigma`` out of range.
    """
    n, sigma = whole_number("n", n), number("sigma", sigma, 0, finite=True)
    edge = math.sqrt(2 * math.log(n)) if n > 1 else 1.0  # about where Phi^n rises from 0 to 1
    quad, log_ndtr = scipy.integrate.quad, scipy.special.log_ndtr
    above, _ = quad(lambda x: -math.expm1(n * log_ndtr(x)), 0, _FAR, points=[edge], limit=500)
    below, _ = quad(lambda x: math.exp(n * log_ndtr(x)), -_FAR, 0, points=[-1.0], limit=500)
    return sigma * float(above - below)


@dataclass(frozen=True)
class Luck:
    """How much of the lead of a search's best is luck: the best of many noisy values is too high. All in their unit.

    Attributes:
        winner: name of the best candidate.
        candidates: how many there were to choose from.
        lead: mean of the best minus the mean of all candidates.
        noise: standard deviation of a candidate's mean about its true value, if all had as many seeds as the best.
        most: expected luck of the best if all candidates were equally good. It bounds what noise explains.
        expected: expected luck of the best if true values are spread normally, as far as the spread of the means
            exceeds the noise. The best is expected to lose it on fresh seeds.
    """

    winner: str
    candidates: int
    lead: float
    noise: float
    most: float
    expected: float


def expected_luck(
    searched: Mapping[str, Mapping[int, float]], *, winner: str | None = None, deviation: float | None = None
) -> Luck | None:
    """Return the luck to expect in a search's best, given the noise of seeds and the number of candidates.

    Args:
        searched: name -> seed -> value of every candidate that could have won.
        winner: its name; by default the candidate with the highest mean.
        deviation: standard deviation of one value about its candidate's true one; by default it is estimated from the
            candidates with several seeds, the common effects of the seeds removed (:func:`additive_fit`).

    Returns:
        The estimate; None if nothing is known of the noise, because no two candidates share two seeds.

    Raises:
        GaafError: without candidates, for an unknown winner, or for values that are not finite.
    """
    rows = {name: row for name, row in searched.items() if row}
    if not rows or (winner is not None and winner not in rows):
        raise GaafError(
            f"the winner must be one of the candidates of the search, which have values; got {winner!r} and "
            f"{len(rows)} candidates"
        )
    means = {name: statistics.fmean(row.values()) for name, row in rows.items()}
    if not all(map(math.isfinite, means.values())):
        raise GaafError("the values of a search must be finite, and some are not: leave failed candidates out")
    if deviation is None:
        fit = additive_fit(rows.values())
        if not fit.freedom:
            return None
        deviation = fit.deviation
    else:
        deviation = number("deviation", deviation, 0, finite=True)
    best = max(means, key=means.__getitem__) if winner is None else winner
    noise = deviation / math.sqrt(len(rows[best]))
    most = expected_best_bias(len(rows), noise)
    # Normal true values seen through normal noise: of a mean's distance from the centre, noise is this share.
    total = max(statistics.stdev(means.values()) if len(means) > 1 else 0.0, noise)
    lead = means[best] - statistics.fmean(means.values())
    return Luck(best, len(rows), lead, noise, most, most * noise / total if total else 0.0)


@dataclass(frozen=True)
class WinnersCurse:
    """A winner as its search saw it and as fresh seeds see it, all in the unit of the values.

    Attributes:
        winner: name of the best candidate of the search.
        candidates: how many there were to choose from.
        optimistic: its mean in the search; biased upwards, because it was chosen for it.
        honest: its mean on fresh seeds, with Student's t interval.
        bias: ``optimistic - honest.mean``.
        noise: standard deviation of a candidate's mean in the search about its true value, if all had as many seeds as
            the winner.
        noise_from: "given", the "search" (spread over seeds, their common effects removed), or the "fresh" seeds, whose
            spread has the effects of the seeds in it and is rather too large.
        expected_bias: of the best if all candidates were equally good. It bounds what noise explains.
        expected_bias_spread: of the best if true values are spread normally, as far as the spread of the means in the
            search exceeds the noise.
    """

    winner: str
    candidates: int
    optimistic: float
    honest: Interval
    bias: float
    noise: float
    noise_from: Literal["given", "search", "fresh"]
    expected_bias: float
    expected_bias_spread: float


def winners_curse(
    searched: Mapping[str, Mapping[int, float]],
    fresh: Sequence[float],
    *,
    winner: str | None = None,
    deviation: float | None = None,
    confidence: float = 0.95,
) -> WinnersCurse:
    """Compare what a search found with fresh seeds.

    Both must be accuracies on the same split, or the difference of the splits is taken for bias.

    Args:
        searched: name -> seed -> value of every candidate that could have won; of a search
            ``{r.text: r.by_seed for r in records if r.complete and not r.failure and r.same_as is None}``.
        fresh: values of the winner on seeds that the search did not use; at least two.
        winner: its name; by default the candidate with the highest mean.
        deviation: standard deviation of one value about its candidate's true one, if it is known from elsewhere.
        confidence: of the interval.

    Raises:
        GaafError: without candidates, for an unknown winner, or for fewer than two fresh values.
    """
    if len(fresh) < 2 or not all(map(math.isfinite, fresh)):
        raise GaafError(f"two or more fresh values are needed, and all must be finite; got {list(fresh)!r}")
    honest = paired_difference(fresh, [0.0] * len(fresh), confidence)
    source: Literal["given", "search", "fresh"] = "search" if deviation is None else "given"
    luck = expected_luck(searched, winner=winner, deviation=deviation)
    if luck is None:
        luck, source = expected_luck(searched, winner=winner, deviation=statistics.stdev(fresh)), "fresh"
        assert luck is not None
    optimistic = statistics.fmean(searched[luck.winner].values())
    bias = optimistic - honest.mean
    return WinnersCurse(
        luck.winner, luck.candidates, optimistic, honest, bias, luck.noise, source, luck.most, luck.expected
    )


QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Band:
    """How runs are spread: the value of each quantile of ``QUANTILES`` after 1, 2, ... evaluations."""

    p5: tuple[float, ...]
    p25: tuple[float, ...]
    median: tuple[float, ...]
    p75: tuple[float, ...]
    p95: tuple[float, ...]


def band(curves: Sequence[Sequence[float]]) -> Band:
    """Return the spread of curves of one length, at least one; between two runs quantiles are interpolated linearly.

    Raises:
        GaafError: without a curve, or for curves of different lengths.
    """
    lengths = {len(curve) for curve in curves}
    if len(lengths) != 1:
        raise GaafError(
            f"curves must be one or more of one length, got {len(curves)} with lengths {sorted(lengths)}: let every "
            "run have the same budget"
        )
    rows = np.quantile(np.array(curves, dtype=np.float64), QUANTILES, axis=0)
    return Band(*(tuple(row.tolist()) for row in rows))
