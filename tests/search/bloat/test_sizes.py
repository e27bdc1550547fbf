"""Sizes of trees in every measure, against counts by hand."""

import pytest
import torch

from gaaf_gp.errors import GaafError
from gaaf_gp.search.bloat.sizes import SIZES, size_measure, thresholds
from gaaf_gp.trees.candidate import TwoTrees
from gaaf_gp.trees.grid import visited
from gaaf_gp.trees.parser import parse


@pytest.mark.parametrize(
    ("text", "nodes", "height"), [("identity(x)", 2, 1), ("add(sin(x), x)", 4, 2), ("x", 1, 0), ("const(0.5)", 2, 1)]
)
def test_nodes_and_height_are_counted(free, text, nodes, height):
    tree = parse(text, free)
    assert SIZES["nodes"](tree) == nodes
    assert SIZES["height"](tree) == height
    assert SIZES["cost"](tree) == sum(free.traits[node.name].cost for node in tree if node.name in free.traits)


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("identity(x)", 1),  # at 0, which is left out
        ("square(x)", 0),
        ("positive(x)", 0),  # 0 counts as positive
        ("negative(x)", 1),
        ("sub(square(x), const(1.0))", 2),
        ("sin(x)", 41),  # at 0 and at k pi up to 64: twenty on each side
        ("const(0.5)", 0),
        ("max(identity(x), sin(x))", 21),  # at 0; for negative x wherever the sine changes its sign
    ],
)
def test_thresholds_are_the_changes_of_the_sign(free, text, changes):
    assert thresholds(parse(text, free)) == changes


def test_thresholds_follow_a_tree_that_changes(free):
    tree = parse("sin(x)", free)
    assert thresholds(tree) == 41
    tree[0] = free.mapping["identity"]
    assert thresholds(tree) == 1


def test_two_trees_are_measured_together(free):
    pair = TwoTrees(parse("sin(x)", free), parse("add(square(x), identity(x))", free))
    assert SIZES["nodes"](pair) == 7
    assert SIZES["height"](pair) == 2
    assert SIZES["thresholds"](pair) == 41
    assert SIZES["cost"](pair) == pair.forward.cost + pair.backward.cost


def test_the_visited_range_is_looked_at_in_order():
    from gaaf_gp.search.bloat.sizes import _in_order

    points = _in_order().flatten()
    assert bool((points[1:] > points[:-1]).all())
    assert torch.equal(points, visited().flatten().unique())


def test_an_unknown_measure_is_refused():
    with pytest.raises(GaafError, match=r"size must be one of nodes, height, cost, thresholds, got 'bytes'"):
        size_measure("bytes")
