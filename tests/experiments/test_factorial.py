"""Effects of a factorial; tests/experiments/test_explanation.py holds every figure against numpy and scipy."""

import itertools
import random

import pytest

from gaaf_gp.experiments.factorial import FACTORS, estimate

CELLS = list(itertools.product((False, True), repeat=3))


def test_only_effects_that_are_tested_are_corrected_for():
    draw = random.Random(0)
    base = {levels: [draw.random() for _ in range(5)] for levels in ((False, False), (False, True))}
    cells = list(itertools.product((False, True), repeat=3))
    values = {levels: base[False, levels[2]] for levels in cells}
    _, effects = estimate(values, {levels: str(levels[2]) for levels in cells})
    (scale,) = [one for one in effects if one.tested]
    assert scale.name == "slope scale"
    assert scale.gain.p_holm == scale.gain.p_value < 1


def test_single_effects_and_the_interaction_of_all_three_make_the_gain():
    draw = random.Random(1)
    values = {levels: [draw.random() for _ in range(4)] for levels in CELLS}
    gain, effects = estimate(values, {levels: str(levels) for levels in CELLS})
    means = {one.name: one.gain.difference.mean for one in effects}
    assert all(one.tested for one in effects)
    assert sum(means[name] for name in (*FACTORS, " x ".join(FACTORS))) == pytest.approx(gain.difference.mean)


@pytest.mark.parametrize("seeds", [0, 1])
def test_fewer_than_two_seeds_have_no_interval(seeds):
    gain, effects = estimate({levels: [0.5] * seeds for levels in CELLS}, {levels: str(levels) for levels in CELLS})
    assert {gain.difference, *(one.gain.difference for one in effects)} == {None}
