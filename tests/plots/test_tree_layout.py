"""The layout is tidy, as narrow as can be, and made without recursion."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaaf_gp.errors import GaafError
from gaaf_gp.plots.tree_layout import tree_graph, tree_layout
from gaaf_gp.trees.generation import gen_half_and_half
from gaaf_gp.trees.individual import Individual
from gaaf_gp.trees.parser import parse
from primitives.gaaf import free

PSET = free()
Places = Mapping[int, tuple[float, float]]


@st.composite
def graphs(draw: st.DrawFn) -> nx.DiGraph[int]:
    rng = random.Random(draw(st.integers(0, 10**6)))
    nodes = gen_half_and_half(PSET, 0, draw(st.integers(0, 8)), rng=rng, max_size=draw(st.integers(1, 60)))
    return tree_graph(Individual(nodes, PSET))


@st.composite
def weighted(draw: st.DrawFn) -> tuple[nx.DiGraph[int], dict[int, float]]:
    graph = draw(graphs())
    return graph, {node: draw(st.floats(0, 3)) for node in graph}


def level(places: Places, node: int) -> float:
    return places[node][1]


@given(weighted(), st.floats(0.1, 2))
@settings(max_examples=60, deadline=None)
def test_layout_is_tidy(drawn: tuple[nx.DiGraph[int], dict[int, float]], gap: float) -> None:
    graph, widths = drawn
    found = tree_layout(graph, widths, gap)
    assert list(found) == list(graph)
    assert found[0] == (0.0, 0.0)
    for parent in graph:
        children = list(graph.successors(parent))
        assert [level(found, child) for child in children] == [level(found, parent) - 1] * len(children)
        assert [found[child][0] for child in children] == sorted(found[child][0] for child in children)
        if children:
            assert found[parent][0] == pytest.approx((found[children[0]][0] + found[children[-1]][0]) / 2)
    for a, b in itertools.combinations(graph, 2):
        if level(found, a) == level(found, b):
            assert abs(found[a][0] - found[b][0]) >= (widths[a] + widths[b]) / 2 + gap - 1e-9


@given(weighted(), st.floats(0.1, 2))
@settings(max_examples=40, deadline=None)
def test_two_subtrees_stand_as_near_as_they_can(drawn: tuple[nx.DiGraph[int], dict[int, float]], gap: float) -> None:
    graph, widths = drawn
    found = tree_layout(graph, widths, gap)
    for parent in graph:
        children = list(graph.successors(parent))
        if len(children) != 2:
            continue
        left, right = ({child, *nx.descendants(graph, child)} for child in children)
        rooms = [
            found[b][0] - widths[b] / 2 - found[a][0] - widths[a] / 2
            for a, b in itertools.product(left, right)
            if level(found, a) == level(found, b)
        ]
        assert min(rooms) == pytest.approx(gap)


@given(graphs())
@settings(max_examples=40, deadline=None)
def test_a_mirrored_tree_has_a_mirrored_layout(graph: nx.DiGraph[int]) -> None:
    mirrored: nx.DiGraph[int] = nx.DiGraph()
    mirrored.add_nodes_from(graph)
    for parent in graph:
        mirrored.add_edges_from((parent, child) for child in reversed(list(graph.successors(parent))))
    found, other = tree_layout(graph), tree_layout(mirrored)
    assert all(other[node] == pytest.approx((-x, y)) for node, (x, y) in found.items())


def test_equal_subtrees_are_drawn_alike_wherever_they_stand() -> None:
    found = tree_layout(tree_graph(parse("add(mul(sin(x), x), mul(sin(x), x))", PSET)))
    first, second = range(1, 5), range(5, 9)
    for one, other in zip(first, second, strict=True):
        assert found[one][0] - found[1][0] == pytest.approx(found[other][0] - found[5][0])


def test_layout_of_a_very_deep_tree() -> None:
    deep = Individual([PSET.mapping["sin"]] * 3000 + [PSET.mapping["x"]], PSET)
    assert tree_layout(tree_graph(deep)) == {node: (0.0, -float(node)) for node in range(3001)}


@pytest.mark.parametrize(("edges", "nodes"), [([], []), ([], [0, 1]), ([(0, 1), (1, 0)], []), ([(0, 2), (1, 2)], [])])
def test_layout_refuses_what_is_not_one_tree(edges: list[tuple[int, int]], nodes: list[int]) -> None:
    graph: nx.DiGraph[int] = nx.DiGraph(edges)
    graph.add_nodes_from(nodes)
    message = f"one tree .* got {len(graph)} nodes and {len(edges)} edges: make it with tree_graph"
    with pytest.raises(GaafError, match=message):
        tree_layout(graph)
