"""Which nodes differ: against examples worked out by hand, and properties of all pairs of trees."""

from __future__ import annotations

import copy
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaaf_gp.errors import GaafError
from gaaf_gp.plots.tree import differing_nodes, subtree_nodes
from gaaf_gp.trees.generation import gen_half_and_half
from gaaf_gp.trees.individual import Individual
from gaaf_gp.trees.operators import mut_node_replacement
from gaaf_gp.trees.parser import parse
from primitives.gaaf import free

PSET = free()


@st.composite
def trees(draw: st.DrawFn) -> Individual:
    rng = random.Random(draw(st.integers(0, 10**6)))
    return Individual(gen_half_and_half(PSET, 0, 6, rng=rng, max_size=40), PSET)


@pytest.mark.parametrize(
    ("text", "other", "expected"),
    [
        ("add(sin(x), x)", "add(sin(x), x)", set()),
        ("add(cos(x), x)", "add(sin(x), x)", {1}),  # what is below a changed node is still compared
        ("add(cos(neg(x)), x)", "add(sin(x), x)", {1, 2, 3}),  # neg has an argument where x has none
        ("add(sin(x), mul(x, x))", "add(sin(x), x)", {3, 4, 5}),
        ("add(sin(x), x)", "add(sin(x), mul(x, x))", {3}),
        ("sin(x)", "add(x, x)", {0, 1}),
        ("mul(x, x)", "add(x, x)", {0}),
        ("add(x, const(0.5))", "add(x, const(0.25))", {3}),
        ("add(sin(x), x)", "add(x, sin(x))", {1, 2, 3}),  # commuted arguments are not looked for
        ("x", "x", set()),
        ("x", "sin(x)", {0}),
    ],
)
def test_differences_worked_out_by_hand(text: str, other: str, expected: set[int]) -> None:
    assert differing_nodes(parse(text, PSET), parse(other, PSET)) == expected


@given(trees(), trees())
@settings(max_examples=60, deadline=None)
def test_differences_have_no_direction_where_shapes_agree(first: Individual, second: Individual) -> None:
    there, back = differing_nodes(first, second), differing_nodes(second, first)
    assert bool(there) == bool(back) == (str(first) != str(second))
    if [node.arity for node in first] == [node.arity for node in second]:
        assert (
            there
            == back
            == {place for place, (one, other) in enumerate(zip(first, second, strict=True)) if one.name != other.name}
        )


@given(trees(), st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_a_replaced_node_is_the_only_difference(parent: Individual, seed: int) -> None:
    child = copy.deepcopy(parent)
    mut_node_replacement(child, rng=random.Random(seed))
    changed = [place for place, (one, other) in enumerate(zip(parent, child, strict=True)) if one.name != other.name]
    assert differing_nodes(child, parent) == set(changed)
    assert len(changed) <= 1


@given(trees(), trees(), st.data())
@settings(max_examples=60, deadline=None)
def test_a_grafted_subtree_holds_all_differences(parent: Individual, graft: Individual, data: st.DataObject) -> None:
    features = [place for place, node in enumerate(parent) if node.ret is graft[0].ret]
    root = data.draw(st.sampled_from(features))
    where = parent.searchSubtree(root)
    child = Individual([*parent[: where.start], *graft, *parent[where.stop :]], PSET)
    assert differing_nodes(child, parent) <= subtree_nodes(child, root)
    assert differing_nodes(parent, child) <= subtree_nodes(parent, root)


@given(trees(), st.data())
@settings(max_examples=40, deadline=None)
def test_subtrees_are_those_of_deap(individual: Individual, data: st.DataObject) -> None:
    root = data.draw(st.integers(0, len(individual) - 1))
    where = individual.searchSubtree(root)
    assert subtree_nodes(individual, root) == set(range(where.start, where.stop))


@pytest.mark.parametrize("root", [-1, 2, None, "0", True])
def test_a_subtree_that_is_not_there_is_refused(root: object) -> None:
    with pytest.raises(GaafError, match=r"index of a subtree's root, .* must be a whole number from 0 to 1"):
        subtree_nodes(parse("sin(x)", PSET), root)  # type: ignore[arg-type]
