"""Genealogies: against ones worked out by hand and a real run of DEAP; boxes stand apart, and every text in its box."""

from __future__ import annotations

import itertools
import random
from typing import Any

import networkx as nx
import numpy as np
import pytest
from deap import algorithms, tools
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation.fitness_function import as_fitness_function
from gaaf_gp.plots.genealogy import FILLS, ancestry, plot_genealogy
from gaaf_gp.plots.style import DARK
from gaaf_gp.search.toolbox import make_toolbox
from gaaf_gp.trees.individual import Individual
from gaaf_gp.trees.parser import parse
from primitives.gaaf import free

PSET = free()
TEXTS = {
    1: "sin(x)", 2: "cos(x)", 3: "mul(x, x)",  # at the start
    4: "add(sin(x), cos(x))", 5: "cos(x)",  # a crossover of 1 and 2; 5 is 2 again
    6: "add(sin(x), tan(x))",  # a mutation of 4
    7: "sub(cos(x), mul(x, x))",  # a crossover of 5 and 3
    8: "mul(add(sin(x), tan(x)), cos(x))",  # a crossover of 6 and 7
    9: "x",  # somebody else
}  # fmt: skip
PARENTS = {1: (), 2: (), 3: (), 4: (1, 2), 5: (1, 2), 6: (4,), 7: (5, 3), 8: (6, 7), 9: (8,)}
INDIVIDUALS = {index: parse(text, PSET) for index, text in TEXTS.items()}


def test_ancestors_and_rows_worked_out_by_hand() -> None:
    graph = ancestry(PARENTS, INDIVIDUALS, 8)
    assert set(graph.edges) == {(6, 8), (7, 8), (4, 6), (1, 4), (2, 4), (2, 7), (3, 7)}
    assert {node: graph.nodes[node]["row"] for node in graph} == {8: 0, 6: 1, 7: 1, 4: 2, 3: 2, 1: 3, 2: 3}
    kinds = {node: graph.nodes[node]["kind"] for node in graph}
    assert kinds == {8: "the winner", **dict.fromkeys((4, 6, 7), "bred"), **dict.fromkeys((1, 2, 3), "at the start")}
    assert {graph.nodes[node]["value"] for node in graph} == {None}


def test_a_winner_that_is_a_clone_is_what_it_is_a_clone_of() -> None:
    graph = ancestry(PARENTS, INDIVIDUALS, 5)
    assert {node: graph.nodes[node]["kind"] for node in graph} == {2: "the winner"}
    chain = {1: (), 2: (1,), 3: (2,), 4: (3,)}
    same = {index: parse(text, PSET) for index, text in enumerate(["sin(x)", "sin(x)", "cos(x)", "cos(x)"], 1)}
    assert list(ancestry(chain, same, 4).edges) == [(1, 3)]


def test_a_row_that_does_not_fit_is_left_out_and_said_so() -> None:
    graph = ancestry(PARENTS, INDIVIDUALS, 8, most=6)
    assert set(graph) == {8, 6, 7, 4, 2, 3}, "1 is one row further"
    assert graph.nodes[4]["kind"] == "older ancestors not shown"
    assert graph.nodes[2]["kind"] == "at the start"
    assert set(ancestry(PARENTS, INDIVIDUALS, 8, most=1)) == {8}


def test_values_go_by_canonical_text() -> None:
    graph = ancestry(PARENTS, INDIVIDUALS, 8, values={"sin(x)": 0.25, INDIVIDUALS[8].canonical: 0.5})
    assert {node: graph.nodes[node]["value"] for node in (1, 2, 8)} == {1: 0.25, 2: None, 8: 0.5}


def boxes(axes: Axes) -> dict[int, FancyBboxPatch]:
    return {
        int(str(patch.get_gid()).removeprefix("individual-")): patch
        for patch in axes.patches
        if isinstance(patch, FancyBboxPatch)
    }


def check_drawing(axes: Axes, graph: nx.DiGraph[int]) -> None:
    figure = axes.figure
    assert isinstance(figure, Figure)
    figure.draw_without_rendering()
    found = boxes(axes)
    assert set(found) == set(graph)
    extents = {node: patch.get_window_extent() for node, patch in found.items()}
    for box, text in zip(extents.values(), axes.texts, strict=True):
        inner = text.get_window_extent()
        assert box.x0 <= inner.x0 <= inner.x1 <= box.x1
        assert box.y0 <= inner.y0 <= inner.y1 <= box.y1
    legend = axes.get_legend()
    assert legend is not None
    around = legend.get_window_extent()
    for box in extents.values():
        assert axes.bbox.x0 - 1 <= box.x0 <= box.x1 <= axes.bbox.x1 + 1
        assert around.y1 <= box.y0
        assert box.y1 <= axes.bbox.y1 + 1
    for a, b in itertools.combinations(extents.values(), 2):
        assert a.x1 < b.x0 or b.x1 < a.x0 or a.y1 < b.y0 or b.y1 < a.y0
    for parent, child in graph.edges:
        assert extents[parent].y0 > extents[child].y1, "parents stand above their children"
    lines = [np.asarray(path.vertices).tolist() for path in axes.collections[0].get_paths()]
    back = axes.transData.inverted()
    for (parent, child), line in zip(graph.edges, lines, strict=True):
        above, below = (extents[node].transformed(back) for node in (parent, child))
        np.testing.assert_allclose(line, [[(above.x0 + above.x1) / 2, above.y0], [(below.x0 + below.x1) / 2, below.y1]])


def test_boxes_say_what_and_how_good() -> None:
    axes = plot_genealogy(PARENTS, INDIVIDUALS, 8, values={"sin(x)": 0.25})
    graph = ancestry(PARENTS, INDIVIDUALS, 8)
    check_drawing(axes, graph)
    texts = dict(zip(boxes(axes), (text.get_text() for text in axes.texts), strict=True))
    assert texts[1] == "sin(x)\n25.0 %"
    assert texts[2] == "cos(x)"
    fills = {node: to_hex(patch.get_facecolor()).upper() for node, patch in boxes(axes).items()}
    assert fills == {node: FILLS[graph.nodes[node]["kind"]] for node in graph}
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["at the start", "bred", "the winner"]


@pytest.fixture(scope="module")
def run() -> tuple[tools.History, Individual]:
    """A real run of DEAP's eaSimple whose history has crossovers and mutations of many generations."""
    judge = as_fitness_function(lambda one: (-abs(len(one) - 20) + sum(map(ord, str(one))) % 7) / 100, PSET)
    toolbox, history = make_toolbox(PSET, judge, rng=1, heights=(2, 4)), tools.History()
    for name in ("mate", "mutate"):
        toolbox.decorate(name, history.decorator)
    population = toolbox.population(n=30)
    history.update(population)
    random.seed(1)
    best = tools.HallOfFame(1)
    algorithms.eaSimple(population, toolbox, 0.6, 0.4, 12, halloffame=best, verbose=False)
    return history, best[0]


@pytest.mark.parametrize("most", [1, 10, 60])
def test_the_history_of_a_run_of_deap(run: tuple[tools.History, Any], most: int) -> None:
    history, winner = run
    arguments = (history.genealogy_tree, history.genealogy_history, winner.history_index)
    graph = ancestry(*arguments, most=most)
    assert 1 <= len(graph) <= most
    assert most == 1 or len(graph) > 4
    assert nx.is_directed_acyclic_graph(graph)
    every = history.getGenealogy(winner)
    assert {*graph} <= {*every, *(parent for parents in every.values() for parent in parents)}
    texts = {node: history.genealogy_history[node].canonical for node in graph}
    assert texts[next(node for node in graph if not graph.out_degree(node))] == winner.canonical
    assert all(texts[parent] != texts[child] for parent, child in graph.edges)
    assert all(graph.in_degree(node) <= 2 for node in graph), "two parents of a crossover, one of a mutation"
    for parent, child in graph.edges:
        assert graph.nodes[parent]["row"] > graph.nodes[child]["row"]
    check_drawing(plot_genealogy(*arguments, most=most), graph)


def test_in_given_axes_and_in_the_dark() -> None:
    axes = Figure(figsize=(3, 3), dpi=300, facecolor=DARK.paper).add_subplot()
    assert plot_genealogy(PARENTS, INDIVIDUALS, 8, axes, style=DARK) is axes
    check_drawing(axes, ancestry(PARENTS, INDIVIDUALS, 8))


def test_what_is_not_in_the_history_is_refused() -> None:
    with pytest.raises(GaafError, match="must be in the history, got index 10 of 9: pass history_index"):
        ancestry(PARENTS, INDIVIDUALS, 10)
    with pytest.raises(GaafError, match="most must be a whole number of at least 1, got 0"):
        ancestry(PARENTS, INDIVIDUALS, 8, most=0)
