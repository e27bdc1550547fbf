"""Several activation functions against a baseline, seed by seed, and two fidelities against each other.

Whoever looks at several candidates finds a significant one among equals sooner or later; the p-values here are
corrected for it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy

from gaaf_gp.errors import GaafError
from gaaf_gp.statistics import (
    BootstrapInterval,
    Interval,
    bootstrap_interval,
    check_confidence,
    holm,
    paired_difference,
    standard_error,
)


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
    error = standard_error(differences)
    if error is None:
        raise GaafError(f"a paired test needs two or more differences, got {len(differences)}: use more seeds")
    mean = math.fsum(differences) / len(differences)
    if error == 0:
        return 1.0 if mean == 0 else 0.0
    return float(2 * scipy.stats.t.sf(abs(mean) / error, len(differences) - 1))


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
    if resamples < 100 or seed < 0:
        raise GaafError(f"resamples must be at least 100 and seed at least 0, got {resamples!r} and {seed!r}")
    result = scipy.stats.kendalltau(one, two, variant="b")
    taus = _resampled_taus(one, two, resamples, np.random.default_rng(seed))
    low, high = np.quantile(taus, [(1 - confidence) / 2, (1 + confidence) / 2])
    return RankCorrelation(
        float(result.statistic), float(low), float(high), float(result.pvalue), len(one), confidence, len(taus)
    )


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
