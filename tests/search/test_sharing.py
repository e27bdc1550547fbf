"""Shared fitness, against its formula, and what it does to a population."""

import random

import pytest
import torch

from gaaf_gp.errors import GaafError
from gaaf_gp.search.evolve import evolve
from gaaf_gp.search.sharing import POINTS, Sharing
from gaaf_gp.trees.candidate import TwoTrees
from gaaf_gp.trees.parser import parse


def _tree(free, text, accuracy):
    tree = parse(text, free)
    tree.fitness.values = (accuracy,)
    return tree


def test_fitness_is_divided_by_the_crowd(free):
    same, twin, opposite, other = (
        _tree(free, text, 0.6) for text in ("identity(x)", "erf(x)", "neg(x)", "sub(square(x), const(1.0))")
    )
    control = Sharing(radius=0.2)
    control.learn([same, twin, opposite, other])
    assert control.key(same) == control.key(twin) == control.key(opposite) == pytest.approx(0.6 / 3, rel=1e-3)
    assert control.key(other) == pytest.approx(0.6), "its signs differ from those of x in nearly half of the inputs"
    other.fitness.values = (-0.5,)
    assert control.key(other) == pytest.approx(-0.5)
    same.fitness.values = (-0.5,)
    assert control.key(same) == pytest.approx(-1.5, rel=1e-3), "a crowd is worse for what is negative too"


def test_the_distance_is_the_share_of_inputs_with_another_sign(free):
    first, second = _tree(free, "identity(x)", 0.5), _tree(free, "sub(x, const(0.3))", 0.5)
    control = Sharing(radius=0.5, sharpness=2.0)
    control.learn([first, second])
    normal = torch.special.ndtri((torch.arange(POINTS, dtype=torch.float64) + 0.5) / POINTS)
    distance = float(((normal >= 0) != (normal >= 0.3)).double().mean())
    assert 0.1 < distance < 0.13  # of a normal input between 0 and 0.3: 0.118
    assert control.key(first) == pytest.approx(0.5 / (1 + 1 - (distance / 0.5) ** 2), rel=1e-4)


def test_shared_selection_prefers_what_is_alone(free):
    crowd = [_tree(free, text, 0.70) for text in ("identity(x)", "erf(x)", "atan(x)", "cube(x)", "signed_sqrt(x)")]
    alone = _tree(free, "sub(square(x), const(1.0))", 0.60)
    control = Sharing()
    population = [*crowd, alone]
    control.learn(population)
    chosen = control.select(population, 200, random.Random(0))
    assert sum(one is alone for one in chosen) > 80  # at random it is a sixth of each draw of four: about a half


def test_it_is_a_control_among_others(free):
    found = evolve(free, lambda tree: 1 / (1 + len(tree)), evaluations=40, bloat=["tarpeian", Sharing(radius=0.3)])
    assert len(found.records) == 40
    pair = TwoTrees(parse("sin(x)", free), parse("x", free))
    pair.fitness.values = (0.5,)
    control = Sharing()
    control.learn([pair])
    assert control.key(pair) == 0.5


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"radius": 0}, r"radius must be above 0"), ({"radius": 2}, r"radius must be a number from 0 to 1, got 2")],
)
def test_settings_out_of_their_range_are_refused(settings, message):
    with pytest.raises(GaafError, match=message):
        Sharing(**settings)
