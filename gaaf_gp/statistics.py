"""How sure a difference is."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

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
    half = float(stats.t.ppf((1 + confidence) / 2, count - 1)) * error
    return Interval(mean, mean - half, mean + half, count, confidence)
