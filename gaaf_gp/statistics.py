"""How sure a mean and a difference are, and what is left of significance when several are looked at."""

from __future__ import annotations

import functools
import math
import statistics
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import scipy  # its parts are read when they are first used: stats takes most of a second

from gaaf_gp.errors import GaafError


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
    independent and about normal; with few pairs it is wide, and rightly so.

    Raises:
        GaafError: unless both have the same number of values, at least two.
    """
    if len(first) != len(second) or len(first) < 2:
        raise GaafError(
            f"a paired interval needs two or more pairs, got {len(first)} and {len(second)} values: use more seeds"
        )
    check_confidence(confidence)
    differences = [a - b for a, b in zip(first, second, strict=True)]
    mean, count = statistics.fmean(differences), len(differences)
    error = statistics.stdev(differences) / math.sqrt(count)
    half = _quantile(confidence, count - 1) * error
    return Interval(mean, mean - half, mean + half, count, confidence)


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
    if resamples < 100 or seed < 0:
        raise GaafError(f"resamples must be at least 100 and seed at least 0, got {resamples!r} and {seed!r}")
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
    if not 0 < confidence < 1:
        raise GaafError(f"confidence must lie between 0 and 1, got {confidence!r}: 0.95 is usual")


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
