"""Random trees: well-typed, within their limits, of the shapes asked for, and drawn from the given generator alone."""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gaaf_gp.errors import GaafError
from gaaf_gp.trees.generation import (
    DEFAULT_LIMITS,
    Limits,
    gen_full,
    gen_grow,
    gen_half_and_half,
    generate,
    starting_heights,
)
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.trees.render import text
from gaaf_gp.trees.tree import Constant
from gaaf_gp.types import Channel, Feature, Scalar

Reader = Callable[[Sequence[Any], type], Any]

TREES = 10
"""Trees made for each of hypothesis's 100 examples."""
GENERATORS = [gen_full, gen_grow, gen_half_and_half]


def from_the_set(nodes: Sequence[Any], pset: PrimitiveSet) -> bool:
    return all(isinstance(node, Constant) or pset.mapping[node.name] is node for node in nodes)


def leaf_depths(tree: Any, name: str = "x") -> set[int]:
    return {place.depth for place in tree.walk() if place.node.name == name}


@settings(max_examples=100)
@given(
    seed=st.integers(0, 2**32),
    low=st.integers(0, 4),
    more=st.integers(0, 3),
    max_size=st.one_of(st.just(math.inf), st.integers(1, 40)),
    generator=st.sampled_from(GENERATORS),
)
def test_trees_are_well_typed_and_within_their_limits(
    pset: PrimitiveSet, nested: Reader, seed: int, low: int, more: int, max_size: float, generator: Any
) -> None:
    rng = random.Random(seed)
    for _ in range(TREES):
        nodes = generator(pset, low, low + more, rng=rng, max_size=max_size)
        tree = nested(nodes, pset.ret)
        assert tree.well_typed
        assert tree.height <= low + more
        assert tree.size == len(nodes) <= max_size
        assert from_the_set(nodes, pset)


@settings(max_examples=50)
@given(seed=st.integers(0, 2**32), low=st.integers(0, 3), more=st.integers(0, 3), spare=st.integers(0, 20))
@pytest.mark.parametrize("generator", GENERATORS)
def test_so_they_are_where_types_leave_few_trees(
    strict_pset: PrimitiveSet, nested: Reader, generator: Any, seed: int, low: int, more: int, spare: int
) -> None:
    rng = random.Random(seed)
    for _ in range(TREES):
        nodes = generator(strict_pset, low, 3 + more, rng=rng, max_size=7 + spare)
        tree = nested(nodes, strict_pset.ret)
        assert tree.well_typed
        assert tree.height <= 3 + more
        assert tree.size == len(nodes) <= 7 + spare
        assert from_the_set(nodes, strict_pset)


@pytest.mark.parametrize("generator", GENERATORS)
@pytest.mark.parametrize("low", [0, 1, 3])
def test_a_set_whose_lowest_trees_are_high_needs_no_limit_of_size(
    tall: PrimitiveSet, nested: Reader, generator: Any, low: int
) -> None:
    rng = random.Random(0)
    found = Counter(nested(generator(tall, low, 5, rng=rng), tall.ret).height for _ in range(200))
    assert set(found) == {3, 4, 5}


@pytest.mark.parametrize("generator", GENERATORS)
@pytest.mark.parametrize(("low", "high"), [(0, 2), (1, 4), (2, 2), (5, 9)])
def test_types_may_force_the_shape(forced: PrimitiveSet, nested: Reader, generator: Any, low: int, high: int) -> None:
    rng = random.Random(0)
    trees = [generator(forced, low, high, rng=rng) for _ in range(400)]
    assert {(nested(nodes, forced.ret).height, len(nodes)) for nodes in trees} == {(2, 5)}
    unary = ["sin(x)", "cos(x)", "tanh(x)"]
    every = {f"{b}({u}, {v})" for b in ("add", "sub") for u, v in itertools.product(unary, unary)}
    assert {text(nodes) for nodes in trees} == every


def test_full_trees_reach_one_height_with_all_branches(minimal: PrimitiveSet, nested: Reader) -> None:
    rng = random.Random(0)
    reached = Counter()  # type: Counter[int]
    for _ in range(900):
        tree = nested(gen_full(minimal, 1, 3, rng=rng), minimal.ret)
        assert leaf_depths(tree) == {tree.height}
        reached[tree.height] += 1
    # Heights are equally likely: 300 of 900 each, with a standard deviation of 14.
    assert all(abs(reached[height] - 300) < 60 for height in (1, 2, 3))


def test_full_trees_of_other_sets_reach_one_height_with_all_arguments(pset: PrimitiveSet, nested: Reader) -> None:
    rng = random.Random(0)
    for _ in range(300):
        depths = leaf_depths(nested(gen_full(pset, 2, 4, rng=rng), pset.ret))
        assert len(depths) <= 1
        assert depths <= {2, 3, 4}


def test_grown_trees_end_anywhere_between_the_heights(pset: PrimitiveSet, nested: Reader) -> None:
    rng = random.Random(0)
    seen: set[int] = set()
    for _ in range(500):
        depths = leaf_depths(nested(gen_grow(pset, 2, 4, rng=rng), pset.ret))
        assert depths <= {2, 3, 4}
        seen |= depths
    assert seen == {2, 3, 4}


def test_the_roots_of_grown_trees_are_drawn_fairly(minimal: PrimitiveSet) -> None:
    rng = random.Random(0)
    roots = Counter(gen_grow(minimal, 0, 4, rng=rng)[0].name for _ in range(3000))
    # A leaf when the height drawn is 0 (one in five), or when growth stops at once: x is one of seven nodes.
    leaf = 1 / 5 + 4 / 5 / 7
    assert roots["x"] / 3000 == pytest.approx(leaf, abs=0.03)
    for name in ("add", "sub", "mul", "sin", "cos", "tanh"):
        assert roots[name] / 3000 == pytest.approx((1 - leaf) / 6, abs=0.03)


def test_half_of_half_and_half_is_full(minimal: PrimitiveSet, nested: Reader) -> None:
    def even(generator: Any) -> float:
        rng = random.Random(0)
        trees = [nested(generator(minimal, 2, 5, rng=rng), minimal.ret) for _ in range(1000)]
        return sum(len(leaf_depths(tree)) == 1 for tree in trees) / 1000

    assert even(gen_full) == 1.0
    assert even(gen_grow) < 0.8
    assert even(gen_half_and_half) == pytest.approx((1 + even(gen_grow)) / 2, abs=0.06)


@pytest.mark.parametrize("full", [True, False])
def test_tight_sizes_are_kept(pset: PrimitiveSet, nested: Reader, full: bool) -> None:
    rng = random.Random(0)
    for max_size in range(1, 9):
        sizes = Counter(
            nested(generate(pset, 6, 6, rng=rng, full=full, max_size=max_size), pset.ret).size for _ in range(60)
        )
        assert max(sizes) <= max_size
        assert max_size == 1 or max(sizes) > 1


def test_the_smallest_tree_is_found_when_only_that_fits(tall: PrimitiveSet, forced: PrimitiveSet) -> None:
    rng = random.Random(0)
    assert {text(generate(tall, 0, 9, rng=rng, max_size=4)) for _ in range(50)} == {"tanh(cos(sin(x)))"}
    assert {len(generate(forced, 0, 9, rng=rng, max_size=5)) for _ in range(50)} == {5}


def test_a_low_tree_that_is_too_large_gives_way_to_a_higher_one(uneven: PrimitiveSet) -> None:
    rng = random.Random(0)
    small, low = {"sin(cos(tanh(x)))", "erf(cos(tanh(x)))"}, {"sum6(x, x, x, x, x, x)"}
    assert {text(generate(uneven, 1, 3, rng=rng, max_size=6)) for _ in range(50)} == small
    assert {text(generate(uneven, 1, 3, rng=rng, max_size=7)) for _ in range(50)} == small | low
    assert {text(generate(uneven, 1, 1, rng=rng)) for _ in range(50)} == low


@pytest.mark.parametrize(
    ("name", "high", "max_size", "numbers"),
    [
        ("tall", 2, math.inf, [2]),
        ("tall", 2, 9, [2]),
        ("tall", 5, 3, [5, 4, 3]),
        ("forced", 1, math.inf, [1]),
        ("forced", 6, 4, [6, 5, 4]),
        ("uneven", 2, 6, [2, 7, 6]),
        ("minimal", 6, 0, [6, 1, 0]),
        ("minimal", -1, math.inf, [-1]),
    ],
)
@pytest.mark.parametrize("generator", GENERATORS)
def test_impossible_limits_are_refused_with_the_numbers(
    request: pytest.FixtureRequest, generator: Any, name: str, high: int, max_size: float, numbers: list[int]
) -> None:
    pset: PrimitiveSet = request.getfixturevalue(name)
    with pytest.raises(GaafError, match=r"limits must leave room for a tree, but .*: raise the limits") as caught:
        generator(pset, 0, high, rng=random.Random(0), max_size=max_size)
    words = str(caught.value).replace(":", " ").split()
    assert {pset.ret.__name__, *map(str, numbers)} <= set(words)


def test_a_set_that_cannot_be_closed_is_refused() -> None:
    pset = PrimitiveSet("open")
    pset.addPrimitive(torch.mul, [Channel, Feature], Feature)
    with pytest.raises(GaafError, match="every type of set 'open' must be closed"):
        generate(pset, 1, 2, rng=random.Random(0))


def test_a_whole_tree_may_return_a_subtype_of_what_is_asked_for(nested: Reader) -> None:
    class Part(Feature):
        pass

    pset = PrimitiveSet("parts only", [Part], Feature)
    pset.addPrimitive(torch.sin, [Part], Part)
    assert text(generate(pset, 2, 2, rng=random.Random(0))) == "sin(sin(x))"


def test_other_types_can_be_asked_for(free: PrimitiveSet, template: PrimitiveSet, subtyped: PrimitiveSet) -> None:
    rng = random.Random(0)
    assert all(isinstance(generate(free, 0, 3, Scalar, rng=rng)[0], Constant) for _ in range(50))
    assert {text(generate(template, 0, 3, Channel, rng=rng)) for _ in range(20)} == {"s"}
    leaf = subtyped.mapping["sin"].ret
    roots = {generate(subtyped, 1, 3, leaf, rng=rng)[0].name for _ in range(100)}
    assert roots == {"sin", "cos"}
    with pytest.raises(GaafError, match=r"limits must leave room for a tree, but .* Leaf of set 'subtyped' "):
        generate(subtyped, 0, 0, leaf, rng=rng, max_size=9)


def test_a_constant_is_not_made_by_operators_on_constants(free: PrimitiveSet) -> None:
    rng = random.Random(0)
    names = {node.name for _ in range(500) for node in generate(free, 3, 5, rng=rng)}
    assert "const" in names
    assert names.isdisjoint({"cadd", "cmul"})


def test_no_branch_passes_the_greatest_height_even_when_the_least_is_above_it(
    minimal: PrimitiveSet, nested: Reader
) -> None:
    rng = random.Random(0)
    for _ in range(50):
        assert nested(generate(minimal, 9, 2, rng=rng), minimal.ret).height <= 2


@pytest.mark.parametrize("generator", GENERATORS)
def test_the_seed_decides_and_nothing_else_is_drawn_from(pset: PrimitiveSet, generator: Any) -> None:
    def draw(seed: int) -> list[str]:
        rng = random.Random(seed)
        return [text(generator(pset, 1, 5, rng=rng, max_size=30)) for _ in range(20)]

    plain, arrays, tensors = (
        random.getstate(),
        np.random.get_state(legacy=False)["state"]["key"].tolist(),
        torch.get_rng_state(),
    )
    first = draw(1)
    random.seed(99)
    try:
        assert draw(1) == first
        assert draw(2) != first
    finally:
        random.setstate(plain)
    assert draw(1) == first
    assert random.getstate() == plain
    assert np.random.get_state(legacy=False)["state"]["key"].tolist() == arrays
    assert torch.equal(torch.get_rng_state(), tensors)


def test_limits_have_sensible_defaults_and_cannot_be_changed() -> None:
    assert Limits() == DEFAULT_LIMITS == Limits(height=6, size=30)
    assert Limits(0, 1) == Limits(height=0, size=1)
    with pytest.raises(AttributeError, match="cannot assign to field 'height'"):
        DEFAULT_LIMITS.height = 9  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "value", "least"),
    [("height", -1, 0), ("height", 1.5, 0), ("height", "6", 0), ("height", None, 0), ("size", 0, 1), ("size", 30.0, 1)],
)
def test_limits_below_the_smallest_tree_are_refused(name: str, value: Any, least: int) -> None:
    with pytest.raises(
        GaafError, match=rf"limit of a tree's {name} must be a whole number of at least {least}, got {value!r}"
    ):
        Limits(**{name: value})


def tower(stories):
    """Return a set whose only tree is sin of sin of ... x, so high."""
    floors = [type(f"Floor{i}", (Feature,), {}) for i in range(stories + 1)]
    pset = PrimitiveSet("tower", [floors[0]], floors[-1])
    for number in range(stories):
        pset.addPrimitive(torch.sin, [floors[number]], floors[number + 1], f"sin{number}")
    return pset.check()


def test_first_trees_are_as_high_as_their_types_ask_for(minimal, tall):
    assert starting_heights(minimal, DEFAULT_LIMITS) == (1, 3)
    assert starting_heights(minimal, Limits(0, 1)) == (0, 0)
    assert starting_heights(tall, DEFAULT_LIMITS) == (1, 3)
    assert starting_heights(tower(5), DEFAULT_LIMITS) == (1, 5)
    assert starting_heights(tower(5), Limits(4, 9)) == (1, 4)


def test_growth_stops_with_the_share_of_terminals() -> None:
    """One terminal and one primitive: half of the trees that may stop at once do."""
    pset = PrimitiveSet("even")
    pset.addPrimitive(torch.sin, [Feature], Feature)
    pset.check()
    rng, number = random.Random(0), 4000
    heights = Counter(len(gen_grow(pset, 0, 1, rng=rng)) - 1 for _ in range(number))
    # height 0 is drawn for one in two; of the others half stop at once
    assert heights[0] / number == pytest.approx(3 / 4, abs=0.03)
    pset.addPrimitive(torch.cos, [Feature], Feature)
    pset.addPrimitive(torch.tanh, [Feature], Feature)
    pset.check()
    heights = Counter(len(gen_grow(pset, 0, 1, rng=rng)) - 1 for _ in range(number))
    assert heights[0] / number == pytest.approx(1 / 2 + 1 / 2 / 4, abs=0.03)
