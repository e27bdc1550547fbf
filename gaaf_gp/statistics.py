"""How sure a mean and a difference are."""

from __future__ import annotations

import functools
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

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
    if not 0 < confidence < 1:
        raise GaafError(f"confidence must lie between 0 and 1, got {confidence!r}: 0.95 is usual")
    differences = [a - b for a, b in zip(first, second, strict=True)]
    mean, count = statistics.fmean(differences), len(differences)
    error = statistics.stdev(differences) / math.sqrt(count)
    half = _quantile(confidence, count - 1) * error
    return Interval(mean, mean - half, mean + half, count, confidence)


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


@functools.cache
def _quantile(confidence: float, freedom: int) -> float:
    return float(stats.t.ppf((1 + confidence) / 2, freedom))
