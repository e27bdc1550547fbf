"""Picture of an expression tree: boxes coloured by kind, the formula above, a legend below, and marks on nodes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import networkx as nx
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Patch

from gaaf_gp.errors import GaafError
from gaaf_gp.plots.style import (
    INK,
    LABEL_POINTS,
    LEGEND_POINTS,
    LIGHT,
    TITLE_POINTS,
    VERMILLION,
    Style,
    as_svg,
    inch_axes,
    own_settings,
    plain_text,
    text_width,
    wrapped,
)
from gaaf_gp.plots.tree_layout import COLOURS, tree_graph, tree_layout
from gaaf_gp.trees.candidate import Evolved, TwoTrees
from gaaf_gp.trees.individual import Individual
from gaaf_gp.trees.tree import Nodes, subtree_ends
from gaaf_gp.util.checks import whole_number

BOX, PADDING, GAP, MARGIN = 0.3, 0.09, 0.16, 0.15  # inches: height of a box, room in it, between boxes, at the edges
ROW, HIGHEST_ROW = 0.6, 1.1  # inches from one level to the next: at least, and at most in very wide trees
RING = 0.045  # inches from a box to the ring that marks it
TITLE_WIDTH = 5.0  # a title this wide (inches) is not wrapped
LEGEND_STYLE = {"handlelength": 1.4, "handletextpad": 0.5, "columnspacing": 1.5, "borderpad": 0.3}  # in font sizes


@own_settings()
def plot_tree(
    individual: Individual,
    ax: Axes | None = None,
    *,
    highlight: int | None = None,
    compare_to: Individual | None = None,
    style: Style = LIGHT,
) -> Axes:
    """Draw the expression tree with its formula as the title and a legend of the kinds of nodes in it.

    Args:
        individual: the tree.
        ax: where to draw; everything is scaled to lie inside it as large as it is now. By default a new figure of
            the size that the tree needs.
        highlight: index of the root of a subtree, in depth-first order, whose nodes get a ring.
        compare_to: the parent, or another tree; nodes get a ring that differ from it
            (:func:`gaaf_gp.plots.tree.differing_nodes`).
        style: the colours.

    Returns:
        The axes, in inches of the drawing at full size. A node's box has the id ``node-`` and its index, a ring
        ``ring-`` and its index, also in SVG files.

    Raises:
        GaafError: for both kinds of marks at once, or an index that no node has.
    """
    marked, what = _marks(individual, highlight, compare_to)
    graph = tree_graph(individual)
    boxes = _boxes(graph)
    legend = _legend(graph, what if marked else None, style)
    formula = individual.infix()
    width = max(boxes.width, _legend_width(legend), min(TITLE_WIDTH, text_width(formula, TITLE_POINTS)))
    if ax is not None:
        width = max(width, ax.bbox.width / ax.figure.dpi - 2 * MARGIN)
    title = wrapped(formula, width)
    above = 1.3 * TITLE_POINTS / 72 * len(title) + 2 * MARGIN
    wide, high = width + 2 * MARGIN, above + boxes.height + 2 * LEGEND_POINTS / 72 + 2 * MARGIN
    axes, scale = inch_axes(ax, (wide, high), (boxes.width / 2, above - high / 2), style)
    _draw(axes, graph, boxes, marked, scale, style)
    edge = MARGIN * scale * axes.figure.dpi / axes.bbox.height
    text = plain_text(style)
    axes.set_title("\n".join(title), fontsize=TITLE_POINTS * scale, y=1 - edge, va="top", pad=0, **text)
    _add_legend(axes, legend, scale, edge, style)
    return axes


def subtree_nodes(individual: Individual, root: int) -> frozenset[int]:
    """Return the indices of the nodes of the subtree whose root has this index.

    Raises:
        GaafError: there is no such node.
    """
    root = whole_number("the index of a subtree's root, in depth-first order,", root, 0, len(individual) - 1)
    return frozenset(range(root, subtree_ends(individual)[root]))


def differing_nodes(individual: Nodes, other: Nodes) -> frozenset[int]:
    """Return the indices of the nodes of a tree that another one, such as its parent, does not have.

    Both trees are walked from their roots side by side, argument by argument, as far as the numbers of arguments agree:
    that is their common region (Poli and Langdon, Schema theory for genetic programming with one-point crossover and
    point mutation, 1998). In it a node differs where its name does, a constant where its value does, and what lies
    below is still compared. Where the numbers of arguments differ the whole subtree does. The same subtree somewhere
    else is not looked for, nor are commuted arguments.

    Args:
        individual: the tree whose nodes are returned.
        other: the tree that it is compared with.
    """
    ends, other_ends = subtree_ends(individual), subtree_ends(other)
    differing: set[int] = set()
    pairs = [(0, 0)]
    while pairs:
        here, there = pairs.pop()
        if individual[here].arity != other[there].arity:
            differing.update(range(here, ends[here]))
            continue
        if individual[here].name != other[there].name:
            differing.add(here)
        child, counterpart = here + 1, there + 1
        for _ in range(individual[here].arity):
            pairs.append((child, counterpart))
            child, counterpart = ends[child], other_ends[counterpart]
    return frozenset(differing)


def _marks(individual: Individual, highlight: int | None, compare_to: Individual | None) -> tuple[Collection[int], str]:
    """Return which nodes get a ring, and what it says of them."""
    if highlight is not None and compare_to is not None:
        raise GaafError("a ring marks a subtree or a difference, got highlight and compare_to: pass one of them")
    if compare_to is not None:
        return differing_nodes(individual, compare_to), "not in the other tree"
    return (subtree_nodes(individual, highlight) if highlight is not None else ()), "highlighted"


@dataclass(frozen=True)
class _Boxes:
    """Where the boxes of a tree stand, in inches at full size: x from 0 to ``width``, y from 0 to ``-height``."""

    centres: dict[int, tuple[float, float]]
    widths: dict[int, float]
    width: float
    height: float


def _boxes(graph: nx.DiGraph[int]) -> _Boxes:
    widths = {node: text_width(graph.nodes[node]["label"], LABEL_POINTS) + 2 * PADDING for node in graph}
    places = tree_layout(graph, widths, GAP)
    left = min(x - widths[node] / 2 for node, (x, _) in places.items())
    width = max(x + widths[node] / 2 for node, (x, _) in places.items()) - left
    row = min(max(ROW, width / 16), HIGHEST_ROW)
    levels = -min(y for _, y in places.values())
    centres = {node: (x - left, y * row - BOX / 2) for node, (x, y) in places.items()}
    return _Boxes(centres, widths, width, levels * row + BOX)


def _draw(
    axes: Axes, graph: nx.DiGraph[int], boxes: _Boxes, marked: Collection[int], scale: float, style: Style
) -> None:
    # From the lower to the upper edge of the boxes: such lines stay between two levels and cross no box.
    ends = [(boxes.centres[a], boxes.centres[b]) for a, b in graph.edges]
    lines = [[(ax, ay - BOX / 2), (bx, by + BOX / 2)] for (ax, ay), (bx, by) in ends]
    colours = [VERMILLION if {*edge} <= {*marked} else style.muted for edge in graph.edges]
    axes.add_collection(LineCollection(lines, colors=colours, linewidths=1.2 * scale, zorder=1), autolim=False)
    for node, centre in boxes.centres.items():
        wide, fill = boxes.widths[node], COLOURS[graph.nodes[node]["kind"]]
        _add_box(axes, centre, (wide, BOX), f"node-{node}", fc=fill, ec=INK, lw=0.8 * scale, zorder=2)
        if node in marked:
            size = (wide + 2 * RING, BOX + 2 * RING)
            _add_box(axes, centre, size, f"ring-{node}", fc="none", ec=VERMILLION, lw=2 * scale, zorder=2)
        label, text = graph.nodes[node]["label"], {**plain_text(style), "color": INK}
        axes.text(*centre, label, ha="center", va="center_baseline", fontsize=LABEL_POINTS * scale, zorder=3, **text)


def _add_box(axes: Axes, centre: tuple[float, float], size: tuple[float, float], name: str, **look: Any) -> None:
    corner = (centre[0] - size[0] / 2, centre[1] - size[1] / 2)
    shape = f"round,pad=0,rounding_size={0.3 * size[1]}"
    axes.add_patch(FancyBboxPatch(corner, *size, shape, gid=name, **look))


def _legend(graph: nx.DiGraph[int], mark: str | None, style: Style) -> list[Patch]:
    """Return what the legend shows: the kinds that are there, in one order, and the ring."""
    present = {graph.nodes[node]["kind"] for node in graph}
    shown = [Patch(fc=fill, ec=INK, lw=0.8, label=kind) for kind, fill in COLOURS.items() if kind in present]
    return shown + ([Patch(fc=style.paper, ec=VERMILLION, lw=2, label=mark)] if mark is not None else [])


def _add_legend(axes: Axes, shown: Sequence[Patch], scale: float, edge: float, style: Style) -> None:
    """Explain the colours on one line along the lower edge."""
    for patch in shown:
        patch.set_linewidth(patch.get_linewidth() * scale)
    axes.legend(
        handles=list(shown), ncols=len(shown), loc="lower center", bbox_to_anchor=(0.5, edge), borderaxespad=0,
        frameon=False, labelcolor=style.ink, fontsize=LEGEND_POINTS * scale, **LEGEND_STYLE,
    )  # fmt: skip


def _legend_width(shown: Sequence[Patch]) -> float:
    text = sum(text_width(str(patch.get_label()), LEGEND_POINTS) for patch in shown)
    between = LEGEND_STYLE["handlelength"] + LEGEND_STYLE["handletextpad"] + LEGEND_STYLE["columnspacing"]
    return text + len(shown) * between * LEGEND_POINTS / 72


LABELS = ("forward: its sign is taken", "backward: its derivative is used")
BETWEEN = 0.3
"""Inches between the two trees."""
ABOVE = 0.35
"""Inches for the labels above them."""


@own_settings()
def plot_evolved(evolved: Evolved, *, style: Style = LIGHT) -> Axes:
    """Draw one tree as :func:`gaaf_gp.plots.tree.plot_tree` does, or two beside each other, each with its label.

    Returns:
        The axes of the only, or of the forward tree, in a new figure.
    """
    if not isinstance(evolved, TwoTrees):
        return plot_tree(evolved, style=style)
    trees = (evolved.forward, evolved.backward)
    sizes = [plot_tree(tree).figure.get_size_inches() for tree in trees]  # type: ignore[union-attr]
    wide, high = sum(size[0] for size in sizes) + BETWEEN, max(size[1] for size in sizes) + ABOVE
    figure, left = Figure(figsize=(wide, high), facecolor=style.paper), 0.0
    axes_of_trees = []
    for tree, label, (width, height) in zip(trees, LABELS, sizes, strict=True):
        axes = figure.add_axes((left / wide, 1 - (ABOVE + height) / high, width / wide, height / high))
        axes_of_trees.append(plot_tree(tree, axes, style=style))
        place = ((left + width / 2) / wide, 1 - ABOVE / 2 / high)
        figure.text(*place, label, ha="center", va="center", fontsize=TITLE_POINTS, color=style.ink)
        left += width + BETWEEN
    return axes_of_trees[0]


def evolved_svg(evolved: Evolved) -> str:
    """Return the picture of one tree or two as SVG, which is what notebooks show of them."""
    return as_svg(plot_evolved(evolved))
