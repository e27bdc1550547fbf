"""Variation of two trees: one of them changes, the limits hold for each, and a seed decides everything."""

import copy
import random

from hypothesis import given
from hypothesis import strategies as st

from gaaf_gp.trees.candidate import TwoTrees, parse_candidate
from gaaf_gp.trees.generation import Limits, gen_half_and_half
from gaaf_gp.trees.individual import ParetoFitness
from gaaf_gp.trees.operators import cx_one_of_two, init_two_trees, mut_one_of_two
from gaaf_gp.trees.tree import check_tree
from primitives import gaaf

FREE = gaaf.free()
LIMITS = Limits(height=4, size=9)


def made(rng: random.Random) -> TwoTrees:
    return init_two_trees(lambda: gen_half_and_half(FREE, 1, 3, rng=rng, max_size=LIMITS.size), FREE)


def sound(pair: TwoTrees) -> None:
    for tree in (pair.forward, pair.backward):
        check_tree(tree, FREE.ret)
        assert tree.height <= LIMITS.height
        assert tree.size <= LIMITS.size


def changed(one: TwoTrees, other: TwoTrees) -> list[str]:
    return [side for side in ("forward", "backward") if getattr(one, side) != getattr(other, side)]


def test_new_trees_are_made_forward_first() -> None:
    calls = iter([[FREE.mapping["sin"], FREE.mapping["x"]], [FREE.mapping["x"]]])
    pair = init_two_trees(lambda: next(calls), FREE, ParetoFitness)
    assert str(pair) == "sin(x) | x"
    assert isinstance(pair.fitness, ParetoFitness)


@given(seed=st.integers(0, 10**6))
def test_crossover_exchanges_on_one_side(seed: int) -> None:
    rng = random.Random(seed)
    first, second = made(rng), made(rng)
    before = copy.deepcopy((first, second))
    sizes = [first.forward.size + second.forward.size, first.backward.size + second.backward.size]
    left, right = cx_one_of_two(first, second, rng=rng, limits=LIMITS)
    assert left is first
    assert right is second
    sound(left)
    sound(right)
    sides = {*changed(left, before[0]), *changed(right, before[1])}
    assert len(sides) <= 1
    assert [left.forward.size + right.forward.size, left.backward.size + right.backward.size] == sizes


def test_both_sides_get_their_turn() -> None:
    rng, seen = random.Random(3), []
    for _ in range(200):
        first, second = made(rng), made(rng)
        before = copy.deepcopy(first)
        seen.extend(changed(cx_one_of_two(first, second, rng=rng, limits=LIMITS)[0], before))
        before = copy.deepcopy(first)
        seen.extend(changed(mut_one_of_two(first, rng=rng, limits=LIMITS)[0], before))
    assert 100 < seen.count("forward") < 300
    assert 100 < seen.count("backward") < 300


def test_where_one_side_can_exchange_nothing_the_other_does() -> None:
    for seed in range(20):
        first, second = (parse_candidate(text, FREE) for text in ("x | sin(x)", "x | mul(x, cos(x))"))
        assert isinstance(first, TwoTrees)
        assert isinstance(second, TwoTrees)
        cx_one_of_two(first, second, rng=random.Random(seed), limits=LIMITS)
        assert str(first.forward) == str(second.forward) == "x"
        assert {str(first.backward), str(second.backward)} != {"sin(x)", "mul(x, cos(x))"}


def test_a_pair_crossed_with_itself_stays() -> None:
    pair = made(random.Random(1))
    before = str(pair)
    assert cx_one_of_two(pair, pair, rng=random.Random(2), limits=LIMITS) == (pair, pair)
    assert str(pair) == before


@given(seed=st.integers(0, 10**6))
def test_mutation_changes_one_side(seed: int) -> None:
    rng = random.Random(seed)
    pair = made(rng)
    before = copy.deepcopy(pair)
    (after,) = mut_one_of_two(pair, rng=rng, limits=LIMITS)
    assert after is pair
    sound(after)
    assert len(changed(after, before)) == 1


def test_a_seed_decides_everything() -> None:
    found = []
    for seed in (5, 5, 6):
        rng = random.Random(seed)
        first, second = made(rng), made(rng)
        cx_one_of_two(first, second, rng=rng, limits=LIMITS)
        mut_one_of_two(first, rng=rng, limits=LIMITS)
        found.append((str(first), str(second)))
    assert found[0] == found[1] != found[2]
