"""The best of many noisy values is better than it is: how much, and how much was to be expected."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import scipy

from gaaf_gp.errors import GaafError
from gaaf_gp.statistics import Interval, additive_fit, paired_difference

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
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise GaafError(f"n must be a whole number of at least 1, got {n!r}")
    if not (math.isfinite(sigma) and sigma >= 0):
        raise GaafError(f"sigma must be a number of at least 0, got {sigma!r}")
    edge = math.sqrt(2 * math.log(n)) if n > 1 else 1.0  # about where Phi^n rises from 0 to 1
    quad, log_ndtr = scipy.integrate.quad, scipy.special.log_ndtr
    above, _ = quad(lambda x: -math.expm1(n * log_ndtr(x)), 0, _FAR, points=[edge], limit=500)
    below, _ = quad(lambda x: math.exp(n * log_ndtr(x)), -_FAR, 0, points=[-1.0], limit=500)
    return sigma * float(above - below)


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
    rows = {name: row for name, row in searched.items() if row}
    if not rows or (winner is not None and winner not in rows):
        raise GaafError(
            f"the winner must be one of the candidates of the search, which have values; got {winner!r} and "
            f"{len(rows)} candidates"
        )
    means = {name: statistics.fmean(row.values()) for name, row in rows.items()}
    if len(fresh) < 2 or not all(map(math.isfinite, [*fresh, *means.values()])):
        raise GaafError(f"two or more fresh values are needed, and all must be finite; got {list(fresh)!r}")
    chosen = max(means, key=means.__getitem__) if winner is None else winner
    honest = paired_difference(fresh, [0.0] * len(fresh), confidence)
    single, source = _deviation(rows, fresh, deviation)
    noise = single / math.sqrt(len(rows[chosen]))
    expected = expected_best_bias(len(rows), noise)
    # Normal true values seen through normal noise: of a mean's distance from the centre, noise is this share.
    total = max(statistics.stdev(means.values()) if len(means) > 1 else 0.0, noise)
    spread = expected * noise / total if total else 0.0
    bias = means[chosen] - honest.mean
    return WinnersCurse(chosen, len(rows), means[chosen], honest, bias, noise, source, expected, spread)


def _deviation(
    rows: Mapping[str, Mapping[int, float]], fresh: Sequence[float], given: float | None
) -> tuple[float, Literal["given", "search", "fresh"]]:
    if given is not None:
        if not (math.isfinite(given) and given >= 0):
            raise GaafError(f"deviation must be a number of at least 0, got {given!r}")
        return given, "given"
    fit = additive_fit(rows.values())
    return (fit.deviation, "search") if fit.freedom else (statistics.stdev(fresh), "fresh")
