"""Effects of three factors at two levels each, from accuracies that are paired by seed.

With levels -1 and +1, the effect of a set of factors is sum(product of its levels * y) / 4 over the eight cells: a main
effect is the mean difference between both levels of its factor, and an interaction of two is half the difference of
one's effect between the levels of the other (Box, Hunter and Hunter, Statistics for Experimenters, chapter 5).
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from gaaf_gp.experiments.confirm import Gain
from gaaf_gp.statistics import holm, paired_difference, paired_p_value

FACTORS = ("threshold", "slope shape", "slope scale")
LEVELS = (("sign(x)", "sign(f)"), ("flat", "of f"), ("1", "m"))
"""Of each factor: as of the plain sign, as of f."""
Levels = tuple[bool, bool, bool]
"""Of a cell, one for each of :data:`FACTORS`: whether it is as of f."""
CELLS = cast(tuple[Levels, ...], tuple(itertools.product((False, True), repeat=3)))
PLAIN, WHOLE = CELLS[0], CELLS[-1]
EFFECTS = tuple(chosen for size in (1, 2, 3) for chosen in itertools.combinations(range(3), size))


@dataclass(frozen=True)
class Effect:
    """An effect on accuracy.

    Attributes:
        name: a factor, or factors with " x " between them.
        gain: its size from -1 to 1, with interval and p-values; without numbers if fewer than two seeds are left.
        tested: whether it could differ from zero; False where it is zero because cells train alike.
    """

    name: str
    gain: Gain
    tested: bool


def estimate(
    values: Mapping[Levels, Sequence[float]], trained: Mapping[Levels, str | None]
) -> tuple[Gain, tuple[Effect, ...]]:
    """Return the gain of f and the seven effects.

    Args:
        values: accuracies of each cell, on the same seeds in the same order.
        trained: what was trained for each cell; an effect in which equal ones cancel is not tested.
    """
    drafts = [_effect(factors, values, trained) for factors in EFFECTS]
    p_values = {one.name: one.gain.p_value for one in drafts if one.tested and one.gain.p_value is not None}
    corrected = dict(zip(p_values, holm(list(p_values.values())), strict=True))
    gain = _tested([whole - plain for whole, plain in zip(values[WHOLE], values[PLAIN], strict=True)])
    return gain, tuple(
        replace(one, gain=_corrected(one.gain, corrected[one.name])) if one.name in corrected else one for one in drafts
    )


def _effect(
    factors: Sequence[int], values: Mapping[Levels, Sequence[float]], trained: Mapping[Levels, str | None]
) -> Effect:
    """Return an effect whose p-value is not corrected yet."""
    weights = {levels: math.prod(1 if levels[factor] else -1 for factor in factors) for levels in values}
    sums: Counter[str | None] = Counter()
    for levels, weight in weights.items():
        sums[trained[levels]] += weight
    tested = any(sums.values())
    contrasts = [
        math.fsum(weight * values[levels][place] for levels, weight in weights.items()) / 4 if tested else 0.0
        for place in range(len(values[PLAIN]))
    ]
    return Effect(" x ".join(FACTORS[factor] for factor in factors), _tested(contrasts), tested)


def _tested(contrasts: Sequence[float]) -> Gain:
    if len(contrasts) < 2:
        return Gain()
    p_value = paired_p_value(contrasts)
    return Gain(paired_difference(contrasts, [0.0] * len(contrasts)), p_value, p_value, p_value <= 0.05)


def _corrected(gain: Gain, p_holm: float) -> Gain:
    return replace(gain, p_holm=p_holm, significant=p_holm <= 0.05)
