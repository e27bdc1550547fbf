"""Layouts: tidy, as narrow as can be, without recursion; Graphviz only where it is installed."""

from __future__ import annotations

import itertools
import random
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaaf_gp.errors import GaafError
from gaaf_gp.plots.tree_layout import graphviz_layout, places, tree_graph, tree_layout
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


GRAPH = tree_graph(parse("add(sin(x), mul(x, x))", PSET))
WIDTHS = dict.fromkeys(GRAPH, 0.5)


class FakeNode:
    """A node as pydot returns it."""

    def __init__(self, place: str) -> None:
        self.place = place

    def get_pos(self) -> str:
        return self.place


class FakeDot:
    """Stands for pydot.Dot: notes what it is given; its program puts node n at x = 72 n points."""

    last: FakeDot
    broken = False

    def __init__(self, *_: object, **settings: object) -> None:
        FakeDot.last = self
        self.settings: dict[str, object] = settings
        self.nodes: dict[str, dict[str, str]] = {}
        self.edges: list[tuple[str, str]] = []

    def set_node_defaults(self, **settings: str) -> None:
        self.settings.update(settings)

    def set_edge_defaults(self, **settings: str) -> None:
        raise AssertionError(f"edges have no look here, got {settings}")

    def add_node(self, node: tuple[str, dict[str, str]]) -> None:
        self.nodes[node[0]] = node[1]

    def add_edge(self, edge: tuple[str, str]) -> None:
        self.edges.append(edge)

    def create_dot(self, prog: str) -> bytes:
        if FakeDot.broken:
            raise OSError("dot ended with status 1")
        return f"{prog} of {len(self.nodes)}".encode()

    def get_node(self, name: str) -> list[FakeNode]:
        return [FakeNode(f'"{72 * int(name)},36"')]


@pytest.fixture
def graphviz(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A program called dot and a module called pydot, as far as networkx uses it."""
    program = tmp_path / "dot"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    fake = ModuleType("pydot")
    fake.__spec__ = sys.__spec__
    fake.Dot = FakeDot  # type: ignore[attr-defined]
    fake.Node = lambda name, **settings: (name, settings)  # type: ignore[attr-defined]
    fake.Edge = lambda a, b, **_: (a, b)  # type: ignore[attr-defined]
    fake.quote_id_if_necessary = str  # type: ignore[attr-defined]
    fake.graph_from_dot_data = lambda text: [FakeDot.last] if text == f"dot of {len(GRAPH)}" else []  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pydot", fake)
    monkeypatch.setattr(FakeDot, "broken", False)


@pytest.mark.usefixtures("graphviz")
def test_graphviz_gives_the_columns_where_it_is_installed() -> None:
    found = graphviz_layout(GRAPH, WIDTHS, 0.2)
    assert found == {node: (float(node), tree_layout(GRAPH)[node][1]) for node in GRAPH}, "points are 1/72 inch"
    given = FakeDot.last
    assert given.settings["ordering"] == "out", "arguments keep their order"
    assert float(str(given.settings["nodesep"])) == 0.2
    assert (given.settings["shape"], given.settings["fixedsize"]) == ("box", "true")
    assert {float(settings["width"]) for settings in given.nodes.values()} == {0.5}
    assert given.edges == [(str(a), str(b)) for a, b in GRAPH.edges]
    for layout in ("auto", "graphviz"):
        assert places(GRAPH, WIDTHS, 0.2, layout) == found
    assert places(GRAPH, WIDTHS, 0.2, "own") == tree_layout(GRAPH, WIDTHS, 0.2) != found


@pytest.mark.usefixtures("graphviz")
def test_a_graphviz_that_fails_costs_nobody_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeDot, "broken", True)
    assert places(GRAPH, WIDTHS, 0.2) == tree_layout(GRAPH, WIDTHS, 0.2)
    with pytest.raises(GaafError, match="ended with OSError: dot ended with status 1: use layout='own'"):
        places(GRAPH, WIDTHS, 0.2, "graphviz")


@pytest.mark.usefixtures("graphviz")
def test_a_graphviz_that_lets_boxes_touch_is_not_used() -> None:
    wide = dict.fromkeys(GRAPH, 5.0)
    assert places(GRAPH, wide, 0.2) == tree_layout(GRAPH, wide, 0.2)


def test_without_graphviz_the_layout_is_our_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert places(GRAPH, WIDTHS, 0.2) == tree_layout(GRAPH, WIDTHS, 0.2)
    with pytest.raises(GaafError, match="needs Graphviz's program dot and Python's pygraphviz or pydot"):
        places(GRAPH, WIDTHS, 0.2, "graphviz")
    with pytest.raises(GaafError, match="layout must be one of auto, own, graphviz, got 'neato': choose one"):
        places(GRAPH, WIDTHS, 0.2, "neato")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of pydot itself
@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
def test_the_real_graphviz_keeps_the_order_of_arguments_and_boxes_apart() -> None:
    pytest.importorskip("pydot")
    individual = Individual(gen_half_and_half(PSET, 5, 8, rng=random.Random(3), max_size=60), PSET)
    graph = tree_graph(individual)
    widths = {node: 0.2 + 0.1 * len(graph.nodes[node]["label"]) for node in graph}
    found = graphviz_layout(graph, widths, 0.16)
    for a, b in itertools.combinations(graph, 2):
        if level(found, a) == level(found, b):
            assert abs(found[a][0] - found[b][0]) >= (widths[a] + widths[b]) / 2 + 0.1
    for parent in graph:
        columns = [found[child][0] for child in graph.successors(parent)]
        assert columns == sorted(columns)
