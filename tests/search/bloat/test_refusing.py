"""Controls that refuse children: how often, and what they learn."""

import math
import random

import pytest

from gaaf_gp.errors import GaafError
from gaaf_gp.search.bloat import Cap, DynamicLimit, Harm, Tarpeian, Within
from gaaf_gp.trees.candidate import TwoTrees
from gaaf_gp.trees.generation import Limits
from gaaf_gp.trees.parser import parse


def _tree(free, nodes, accuracy=0.5):
    text = "x"
    for _ in range(nodes - 1):
        text = f"sin({text})"
    tree = parse(text, free)
    assert len(tree) == nodes
    tree.fitness.values = (accuracy,)
    return tree


def test_tarpeian_throws_away_what_is_above_the_average_with_its_probability(free):
    control, rng = Tarpeian(probability=0.3), random.Random(0)
    assert control.judges(_tree(free, 9), rng), "nothing is known yet"
    control.learn([_tree(free, 2), _tree(free, 4)])
    assert all(control.judges(_tree(free, 3), rng) for _ in range(200)), "the average itself is not above it"
    refused = sum(not control.judges(_tree(free, 4), rng) for _ in range(2000))
    assert refused / 2000 == pytest.approx(0.3, abs=0.03)


def test_a_dynamic_limit_rises_only_for_a_new_best(free):
    control = DynamicLimit()
    assert control.accepts(_tree(free, 12), 0.2), "there is no limit before a population"
    control.learn([_tree(free, 3, 0.4), _tree(free, 5, 0.6)])
    assert (control.limit, control.best) == (5, 0.6)
    assert control.accepts(_tree(free, 5), 0.1)
    assert not control.accepts(_tree(free, 6), 0.6), "as good as the best is not better"
    assert control.limit == 5
    assert control.accepts(_tree(free, 7), 0.7)
    assert (control.limit, control.best) == (7, 0.7)
    assert control.accepts(_tree(free, 6), 0.3)


def test_harm_accepts_up_to_the_cutoff_and_thins_out_beyond(free):
    control, rng = Harm(alpha=0.0, beta=2.0, gamma=0.25, least_cutoff=3), random.Random(1)
    population = [_tree(free, size, accuracy) for size, accuracy in ((4, 0.9), (9, 0.8), (2, 0.1), (7, 0.2))]
    control.learn(population)
    assert control.cutoff == 4, "the best quarter is one tree"
    sizes = [2, 4, 6, 8, 10]
    trees = {size: _tree(free, size) for size in sizes}
    accepted = dict.fromkeys(sizes, 0)
    for _ in range(4000):
        size = rng.choice(sizes)
        accepted[size] += control.judges(trees[size], rng)
    assert accepted[2] + accepted[4] == pytest.approx(2 / 5 * 4000, rel=0.1), "nobody is refused there"
    # a fifth of all children has size 6, which the kernel sees as 0.4 of a fifth and 0.1 of each of two
    density = 0.4 / 5 + 0.1 / 5 + 0.1 / 5
    wanted = 0.25 * math.log(2) / 2 * math.exp(-math.log(2) * 2 / 2)
    assert accepted[6] / 800 == pytest.approx(wanted / density, abs=0.1)
    assert accepted[6] > accepted[8] > accepted[10]


def test_harm_refuses_nobody_before_it_has_seen_enough_and_forgets_slowly(free):
    control, rng = Harm(), random.Random(2)
    control.learn([_tree(free, 3, 0.9)])
    assert all(control.judges(_tree(free, 20), rng) for _ in range(49))
    for _ in range(2000):
        control.judges(_tree(free, 5), rng)
    assert control.seen.total() <= 2000
    assert control.seen[20] == 24, "halved once"


def test_caps_and_limits_hold_for_each_tree(free):
    rng = random.Random(0)
    cap = Cap(most=4.0, measure="cost")
    assert cap.admits(parse("sin(x)", free), rng) == (parse("sin(x)", free).cost <= 4)
    assert not Cap(most=2).admits(_tree(free, 3), rng)
    within = Within(limits=Limits(height=2, size=3))
    assert within.admits(TwoTrees(_tree(free, 3), _tree(free, 3)), rng)
    assert not within.admits(TwoTrees(_tree(free, 3), _tree(free, 4)), rng)
    assert not within.admits(parse("add(x, sin(x))", free), rng)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Tarpeian(probability=1.5), r"probability must be a probability from 0 to 1, got 1.5"),
        (lambda: Harm(beta=0), r"beta must be a number of at least 0.1, got 0"),
        (lambda: Harm(rho=True), r"rho must be a number from 0 to 1, got True"),
        (lambda: Cap(most=-1), r"most must be a number of at least 0, got -1"),
    ],
)
def test_settings_out_of_their_range_are_refused(make, message):
    with pytest.raises(GaafError, match=message):
        make()


def test_earlier_children_are_halved_and_single_ones_forgotten(free):
    control = Harm()
    control.seen.update({7: 48, 8: 1, 9: 3, 5: 1948})
    control.judges(_tree(free, 5), random.Random(0))
    assert dict(control.seen) == {7: 24, 9: 1, 5: 975}
    early = Harm()
    early.seen.update({7: 48, 8: 1, 5: 1950})
    early.judges(_tree(free, 5), random.Random(0))
    assert dict(early.seen) == {7: 48, 8: 1, 5: 1951}, "2000 are not exceeded yet"


def test_the_density_is_spread_over_two_neighbours_on_each_side(free):
    control = Harm()
    control.seen.update({4: 100, 5: 20, 6: 10, 7: 40, 8: 30})
    assert control._density(6) == pytest.approx((0.1 * 100 + 0.2 * 20 + 0.4 * 10 + 0.2 * 40 + 0.1 * 30) / 200)
    assert control._density(11) == 0


@pytest.mark.parametrize(("rho", "cutoff"), [(0.9, 9), (0.7, 4), (0.5, 4), (0.0, 3), (1.0, 9)])
def test_the_cut_off_is_the_smallest_of_the_best(free, rho, cutoff):
    sizes = ((9, 0.9), (4, 0.8), (8, 0.7), (2, 0.1))
    control = Harm(rho=rho)
    control.learn([_tree(free, size, accuracy) for size, accuracy in sizes])
    assert control.cutoff == cutoff, "2 is below the least"
    control.learn([])
    assert control.cutoff == cutoff


def test_caps_allow_what_they_name(free):
    for most in (1, 2, 3):
        for nodes in (1, 2, 3, 4):
            assert Cap(most=most).admits(_tree(free, nodes), random.Random(0)) == (nodes <= most)
    for limits, fits in ((Limits(2, 3), True), (Limits(1, 3), False), (Limits(2, 2), False)):
        assert Within(limits=limits).admits(_tree(free, 3), random.Random(0)) == fits
