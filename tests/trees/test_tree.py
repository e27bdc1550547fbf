"""Walking lists of nodes against plain recursion, and constants against their text."""

from __future__ import annotations

import copy
import math
import pickle
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from deap import gp
from hypothesis import given, settings
from hypothesis import strategies as st

from gaaf_gp.errors import GaafError
from gaaf_gp.trees.generation import generate
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.trees.tree import Constant, check_tree, depths, fold, heights, slot_types, subtree_ends
from gaaf_gp.types import Feature, Scalar

Reader = Callable[[Sequence[Any], type], Any]

TREES = 10
"""Trees made for each of hypothesis's 100 examples."""
FINITE = st.floats(allow_nan=False, allow_infinity=False)


def nodes_of(pset: PrimitiveSet, *names: str) -> list[Any]:
    return [pset.mapping[name] for name in names]


@settings(max_examples=100)
@given(seed=st.integers(0, 2**32))
def test_walks_equal_plain_recursion(pset: PrimitiveSet, nested: Reader, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(TREES):
        nodes = generate(pset, 0, 6, rng=rng)
        walk = list(nested(nodes, pset.ret).walk())
        assert [place.node for place in walk] == nodes
        assert subtree_ends(nodes) == [index + place.size for index, place in enumerate(walk)]
        assert heights(nodes) == [place.height for place in walk]
        assert depths(nodes) == [place.depth for place in walk]
        assert slot_types(nodes, pset.ret) == [place.slot for place in walk]
        check_tree(nodes, pset.ret)


def test_places_ask_for_the_types_of_the_primitive_above(strict_pset: PrimitiveSet, nested: Reader) -> None:
    rng = random.Random(0)
    for _ in range(200):
        nodes = generate(strict_pset, 3, 5, rng=rng)
        assert slot_types(nodes, strict_pset.ret) == [place.slot for place in nested(nodes, strict_pset.ret).walk()]
        check_tree(nodes, strict_pset.ret)


def test_fold_hands_over_each_node_once_with_its_children_in_order(pset: PrimitiveSet, nested: Reader) -> None:
    rng = random.Random(0)

    def recursive(tree: Any) -> Any:
        return (tree.node.name, [recursive(child) for child in tree.children])

    for _ in range(100):
        nodes = generate(pset, 2, 5, rng=rng)
        seen: list[int] = []

        def combine(index: int, node: Any, children: list[Any], nodes: Any = nodes, seen: list[int] = seen) -> Any:
            assert node is nodes[index]
            seen.append(index)
            return (node.name, children)

        assert fold(nodes, combine) == recursive(nested(nodes, pset.ret))
        assert sorted(seen) == list(range(len(nodes)))


def test_depth_is_bounded_by_memory_only(minimal: PrimitiveSet) -> None:
    levels = 20_000
    nodes = nodes_of(minimal, "sin") * levels + nodes_of(minimal, "x")
    assert heights(nodes) == list(range(levels, -1, -1))
    assert depths(nodes) == list(range(levels + 1))
    assert subtree_ends(nodes) == [levels + 1] * (levels + 1)
    assert slot_types(nodes, Feature) == [Feature] * (levels + 1)
    check_tree(nodes, Feature)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "must be complete"),
        (["sin"], r"must be complete, but 1 argument\(s\) are missing after node 0"),
        (["add"], r"but 2 argument\(s\) are missing after node 0"),
        (["add", "x"], r"but 1 argument\(s\) are missing after node 1"),
        (["add", "x", "sin"], r"but 1 argument\(s\) are missing after node 2"),
        (["x", "x"], r"must be one expression, but node 1 \(x\) stands after its end"),
        (["add", "x", "x", "sin", "x"], r"but node 3 \(sin\) stands after its end"),
        (["const", "x"], r"a Scalar is needed at node 1, but x returns Feature: use a node that returns Scalar"),
        (["cadd"], r"a Feature is needed at node 0, but cadd returns Scalar: use a node that returns Feature"),
        (["add", "x", "const", "cadd", "x"], r"a Scalar is needed at node 4, but x returns Feature"),
    ],
)
def test_what_is_no_tree_is_refused(free: PrimitiveSet, names: list[str], message: str) -> None:
    with pytest.raises(GaafError, match=message):
        check_tree(nodes_of(free, *names), Feature)


def test_constants_are_typed_too(free: PrimitiveSet) -> None:
    check_tree([*nodes_of(free, "const"), Constant(1.5, Scalar)], Feature)
    with pytest.raises(GaafError, match=r"a Feature is needed at node 0, but 1\.5 returns Scalar"):
        check_tree([Constant(1.5, Scalar)], Feature)


@settings(max_examples=300)
@given(value=FINITE, other=FINITE)
def test_constants_are_equal_when_their_text_is(value: float, other: float) -> None:
    first, second = Constant(value, Scalar), Constant(other, Scalar)
    assert first == Constant(value, Scalar)
    assert hash(first) == hash(Constant(value, Scalar))
    assert (first == second) == (repr(value) == repr(other))
    assert first.format() == first.name == repr(value)
    assert math.copysign(1.0, float(first.format())) == math.copysign(1.0, value)
    assert float(first.format()) == first.value == value


@pytest.mark.parametrize("value", [0.0, -0.0, 1.5, -1e-300, 1.7976931348623157e308, 5e-324, 0.1 + 0.2])
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_constants_survive_pickling_and_copying(value: float, protocol: int) -> None:
    constant = Constant(value, Scalar)
    for copied in (pickle.loads(pickle.dumps(constant, protocol)), copy.copy(constant), copy.deepcopy(constant)):
        assert type(copied) is Constant
        assert copied == constant
        assert hash(copied) == hash(constant)
        assert (copied.ret, copied.arity, copied.format()) == (Scalar, 0, repr(value))


def test_zeros_of_both_signs_stay_apart() -> None:
    assert Constant(0.0, Scalar) != Constant(-0.0, Scalar)
    assert len({Constant(0.0, Scalar), Constant(-0.0, Scalar), Constant(0, Scalar)}) == 2


def test_a_constant_is_neither_one_of_another_type_nor_a_stock_terminal() -> None:
    constant = Constant(1.0, Scalar)
    assert constant != Constant(1.0, Feature)
    assert constant != gp.Terminal(1.0, False, Scalar)
    assert gp.Terminal(1.0, False, Scalar) != constant
    assert constant != 1.0


@pytest.mark.parametrize("value", [3, True, np.float32(3.0), np.int64(3)])
def test_any_number_becomes_a_plain_float(value: Any) -> None:
    constant = Constant(value, Scalar)
    assert type(constant.value) is float
    assert constant == Constant(float(value), Scalar)
    assert repr(Constant(value, Scalar)) == f"Constant({float(value)}, Scalar)"


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, pytest.param(10**400, id="10**400"), "half", None, 1j, [1.0]]
)
def test_what_is_no_finite_number_is_refused(value: Any) -> None:
    with pytest.raises(
        GaafError, match=r"a constant must be a finite number, got .*: check the function that draws it"
    ):
        Constant(value, Scalar)
