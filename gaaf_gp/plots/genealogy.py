"""Ancestors of a winner, as recorded by DEAP's History, in rows from the oldest down to the winner."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import networkx as nx
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import FancyBboxPatch, Patch

from gaaf_gp.errors import GaafError
from gaaf_gp.plots.style import (
    INK,
    LEGEND_POINTS,
    LIGHT,
    SKY,
    YELLOW,
    Style,
    inch_axes,
    own_settings,
    plain_text,
    shortened,
    text_width,
)
from gaaf_gp.trees.candidate import Evolved
from gaaf_gp.util.checks import whole_number

FILLS = {"at the start": SKY, "bred": "#E0E0E0", "older ancestors not shown": "#FFFFFF", "the winner": YELLOW}
"""What an individual is -> the fill of its box."""
FORMULA, BOX, ROW, GAP, MARGIN = (
    1.9,
    0.4,
    0.8,
    0.15,
    0.2,
)  # inches: of a formula at most, of boxes, rows, between, around
LEGEND_ROOM = 0.15  # inches that the legend needs of the lowest row
SWEEPS = 8  # over all rows, down and up, until boxes stand near their parents and children


def ancestry(
    parents: Mapping[int, Sequence[int]],
    individuals: Mapping[int, Evolved],
    winner: int,
    *,
    most: int = 30,
    values: Mapping[str, float] | None = None,
) -> nx.DiGraph[int]:
    """Return the nearest ancestors of an individual as a graph from parents to children.

    An individual with the canonical text of one of its parents is that parent: a clone is no generation of its own, nor
    is a variation that changed nothing.

    Args:
        parents: ``genealogy_tree`` of :class:`deap.tools.History`.
        individuals: its ``genealogy_history``.
        winner: its index, ``individual.history_index``.
        most: individuals in the graph: whole rows are added, nearest first, as long as they are no more.
        values: canonical text -> fitness, 0 to 1. History itself keeps individuals without their fitness.

    Returns:
        Nodes are the indices, with attributes ``label``, ``value`` (None if it is not known), ``row``, 0 for the winner
        and for others one more than that of their highest child, and ``kind``, a key of ``FILLS``.

    Raises:
        GaafError: for an unknown winner, or room for fewer than one.
    """
    if winner not in parents or winner not in individuals:
        raise GaafError(
            f"the winner must be in the history, got index {winner!r} of {len(individuals)}: pass history_index of an "
            "individual whose variation was recorded"
        )
    most = whole_number("most", most)
    parents_of = _ancestors(parents, individuals, winner)
    full: nx.DiGraph[int] = nx.DiGraph()
    full.add_nodes_from(parents_of)
    full.add_edges_from((parent, child) for child, all_parents in parents_of.items() for parent in all_parents)
    root = next(node for node in full if full.out_degree(node) == 0)
    kept: set[int] = set()
    for layer in nx.bfs_layers(full.reverse(), root):
        if kept and len(kept) + len(layer) > most:
            break
        kept.update(layer)
    graph: nx.DiGraph[int] = nx.DiGraph(full.subgraph(kept))
    for row, nodes in enumerate(nx.topological_generations(graph.reverse())):
        for node in nodes:
            individual = individuals[node]
            value = None if values is None else values.get(individual.canonical)
            graph.add_node(node, row=row, label=individual.infix(), value=value, kind=_kind(full, graph, node, root))
    return graph


def _ancestors(
    parents: Mapping[int, Sequence[int]], individuals: Mapping[int, Evolved], winner: int
) -> dict[int, tuple[int, ...]]:
    """Return each ancestor and the winner -> its parents, where clones are what they are clones of."""
    every, open_ones = {winner}, [winner]
    while open_ones:
        new = {parent for parent in parents.get(open_ones.pop(), ()) if parent in individuals} - every
        every |= new
        open_ones += new
    same: dict[int, int] = {}
    texts = {index: individuals[index].canonical for index in every}
    for index in sorted(every):  # a child's index is above those of its parents
        earlier = [parent for parent in parents.get(index, ()) if parent in same]
        same[index] = next((same[parent] for parent in earlier if texts[parent] == texts[index]), index)
    parents_of: dict[int, tuple[int, ...]] = {}
    wanted = [same[winner]]
    while wanted:
        index = wanted.pop()
        if index not in parents_of:
            parents_of[index] = tuple(
                dict.fromkeys(same[parent] for parent in parents.get(index, ()) if parent in same)
            )
            wanted += parents_of[index]
    return parents_of


def _kind(full: nx.DiGraph[int], graph: nx.DiGraph[int], node: int, winner: int) -> str:
    if node == winner:
        return "the winner"
    if not full.in_degree(node):
        return "at the start"
    return "bred" if full.in_degree(node) == graph.in_degree(node) else "older ancestors not shown"


@own_settings()
def plot_genealogy(
    parents: Mapping[int, Sequence[int]],
    individuals: Mapping[int, Evolved],
    winner: int,
    ax: Axes | None = None,
    *,
    most: int = 30,
    values: Mapping[str, float] | None = None,
    style: Style = LIGHT,
) -> Axes:
    """Draw the ancestors of a winner above it: two lines into a box are a crossover, one is a mutation.

    Args:
        parents: see :func:`ancestry`, as for all that follow.
        individuals: there.
        winner: there.
        ax: where to draw; everything is scaled to lie inside it. By default a new figure of the size that it needs.
        most: there.
        values: there; they stand below the formulas, in per cent.
        style: the colours.

    Returns:
        The axes, in inches of the drawing at full size. The box of an individual has the id ``individual-`` and its
        index.

    Raises:
        GaafError: as :func:`ancestry`.
    """
    graph = ancestry(parents, individuals, winner, most=most, values=values)
    boxes = _boxes(graph)
    kinds = [kind for kind in FILLS if kind in {graph.nodes[node]["kind"] for node in graph}]
    wide = max(boxes.right - boxes.left, sum(text_width(kind, LEGEND_POINTS) + 0.55 for kind in kinds)) + 2 * MARGIN
    high = (1 + max(graph.nodes[node]["row"] for node in graph)) * ROW + 2 * MARGIN
    centre = ((boxes.left + boxes.right) / 2, (high - ROW) / 2 - MARGIN)
    axes, scale = inch_axes(ax, (wide, high), centre, style)
    _draw(axes, graph, boxes, scale, style)
    axes.legend(
        handles=[Patch(fc=FILLS[kind], ec=INK, lw=0.8 * scale, label=kind) for kind in kinds], ncols=len(kinds),
        loc="lower center", bbox_to_anchor=(0.5, 0), frameon=False, labelcolor=style.ink, handlelength=1.4,
        columnspacing=1.2, fontsize=LEGEND_POINTS * scale,
    )  # fmt: skip
    return axes


@dataclass(frozen=True)
class _Boxes:
    """Where the individuals stand, in inches at full size, and what their boxes say."""

    centres: dict[int, tuple[float, float]]
    widths: dict[int, float]
    texts: dict[int, str]
    left: float
    right: float


def _boxes(graph: nx.DiGraph[int]) -> _Boxes:
    lines = {node: _lines(graph.nodes[node]) for node in graph}
    widths = {node: max(text_width(line, LEGEND_POINTS) for line in lines[node]) + 0.2 for node in graph}
    columns = _columns(graph, widths)
    centres = {node: (columns[node], graph.nodes[node]["row"] * ROW + LEGEND_ROOM) for node in graph}
    left = min(columns[node] - widths[node] / 2 for node in graph)
    right = max(columns[node] + widths[node] / 2 for node in graph)
    return _Boxes(centres, widths, {node: "\n".join(lines[node]) for node in graph}, left, right)


def _lines(about: Mapping[str, object]) -> list[str]:
    """Return what the box of an individual says."""
    formula = shortened(str(about["label"]), FORMULA, LEGEND_POINTS)
    value = about["value"]
    return [formula, f"{100 * value:.1f} %"] if isinstance(value, float) else [formula]


def _draw(axes: Axes, graph: nx.DiGraph[int], boxes: _Boxes, scale: float, style: Style) -> None:
    ends = [(boxes.centres[parent], boxes.centres[child]) for parent, child in graph.edges]
    edges = [[(ax, ay - BOX / 2), (bx, by + BOX / 2)] for (ax, ay), (bx, by) in ends]
    axes.add_collection(LineCollection(edges, colors=style.muted, linewidths=1.1 * scale, zorder=1), autolim=False)
    text = {**plain_text(style), "color": INK, "fontsize": LEGEND_POINTS * scale, "linespacing": 1.15}
    look: dict[str, Any] = {"ec": INK, "lw": 0.8 * scale, "zorder": 2}
    for node, (x, y) in boxes.centres.items():
        wide, fill = boxes.widths[node], FILLS[graph.nodes[node]["kind"]]
        corner, shape = (x - wide / 2, y - BOX / 2), f"round,pad=0,rounding_size={0.2 * BOX}"
        axes.add_patch(FancyBboxPatch(corner, wide, BOX, shape, fc=fill, gid=f"individual-{node}", **look))
        axes.text(x, y, boxes.texts[node], ha="center", va="center", zorder=3, **text)


def _columns(graph: nx.DiGraph[int], widths: Mapping[int, float]) -> dict[int, float]:
    """Return x of each individual, near its parents and children and apart from its neighbours in the row."""
    rows: dict[int, list[int]] = {}
    for node in sorted(graph):
        rows.setdefault(graph.nodes[node]["row"], []).append(node)
    x = {node: float(place) for nodes in rows.values() for place, node in enumerate(nodes)}
    for sweep in range(SWEEPS):
        for row in sorted(rows, reverse=bool(sweep % 2)):
            wanted = {node: _wanted(graph, node, x, children=sweep == 0) for node in rows[row]}
            x.update(_apart(wanted, widths))
    return x


def _wanted(graph: nx.DiGraph[int], node: int, x: Mapping[int, float], *, children: bool) -> float:
    near = [*graph.successors(node), *(() if children else graph.predecessors(node))]
    return statistics.fmean(x[neighbour] for neighbour in near) if near else x[node]


def _apart(wanted: Mapping[int, float], widths: Mapping[int, float]) -> dict[int, float]:
    """Return places in the order of the wanted ones, as near to them on average, with room for every box."""
    places: dict[int, float] = {}
    least = -float("inf")
    for node in sorted(wanted, key=lambda index: (wanted[index], index)):
        places[node] = max(wanted[node], least + widths[node] / 2)
        least = places[node] + widths[node] / 2 + GAP
    shift = statistics.fmean(wanted[node] - places[node] for node in places)
    return {node: place + shift for node, place in places.items()}
