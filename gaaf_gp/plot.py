"""Figures: an evolved expression tree, and how a search went.

Every figure is a function of data and ``ax`` that returns the axes. Without ``ax`` it makes a figure of its own that
pyplot knows nothing of, so that figures can be drawn in processes without a display and need not be closed.
"""

from __future__ import annotations

import itertools
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import networkx as nx
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import FancyBboxPatch, Patch
from matplotlib.textpath import text_to_path
from matplotlib.ticker import MaxNLocator

from gaaf_gp.errors import GaafError, listed
from gaaf_gp.fitness import Record
from gaaf_gp.individual import Individual
from gaaf_gp.render import vector_names
from gaaf_gp.tree import Constant, fold

COLOURS = {
    "periodic": "#E69F00",
    "learnable": "#CC79A7",
    "constant": "#F0E442",
    "argument": "#56B4E9",
    "other operator": "#E0E0E0",
}
"""Fill of a node by kind: Okabe and Ito's palette, safe for colour-blind readers, and a light grey for the rest."""
INK = "#1A1A1A"
BLUE, VERMILLION = "#0072B2", "#D55E00"
ENDINGS = (".png", ".svg", ".pdf")

LABEL_POINTS, TITLE_POINTS, LEGEND_POINTS = 10.0, 11.0, 9.0
BOX, PADDING, GAP, MARGIN = 0.3, 0.09, 0.13, 0.15  # inches: height of a box, room in it, between boxes, at the edges
ROW, HIGHEST_ROW = 0.6, 1.1  # inches from one level to the next: at least, and at most in very wide trees
TITLE_WIDTH, TITLE_LINES = 5.0, 8  # a title this wide (inches) is not wrapped; longer than so many lines it is cut
LEGEND_STYLE = {"handlelength": 1.4, "handletextpad": 0.5, "columnspacing": 1.5, "borderpad": 0.3}  # in font sizes
PLAIN: dict[str, Any] = {"parse_math": False, "usetex": False, "color": INK}


def tree_graph(individual: Individual) -> nx.DiGraph[int]:
    """Return the tree as a graph.

    Returns:
        A graph whose nodes are the indices in the individual, with attributes ``label`` (the primitive's name, a
        constant with 4 digits; behind a learnable node's name that of its vector, as in the formula) and ``kind`` (a
        key of ``COLOURS``; a periodic node that also learns is periodic). Edges go from a node to its arguments, in
        their order.
    """
    vectors = {index: f" {', '.join(names)}" for index, names in vector_names(individual, individual.pset).items()}
    graph: nx.DiGraph[int] = nx.DiGraph()
    for index, node in enumerate(individual):
        label = f"{node.value:.4g}" if isinstance(node, Constant) else node.name + vectors.get(index, "")
        graph.add_node(index, label=label, kind=_kind(node, individual))

    def connect(index: int, _node: Any, children: list[int]) -> int:
        graph.add_edges_from((index, child) for child in children)
        return index

    fold(individual, connect)
    return graph


def _kind(node: Any, individual: Individual) -> str:
    if isinstance(node, Constant):
        return "constant"
    traits = individual.pset.traits[node.name]
    if traits.periodic:
        return "periodic"
    if traits.learnable:
        return "learnable"
    if node.arity:
        return "other operator"
    return "argument" if node.name in individual.pset.arguments else "constant"


def tree_layout(graph: nx.DiGraph[int]) -> dict[int, tuple[float, float]]:
    """Return a place (x, y) for every node of a rooted tree, in columns and levels.

    Leaves stand at x = 0, 1, 2, ... in their order, a parent stands halfway between its first and its last child, and
    y is minus the distance from the root. Nodes of one level are therefore at least one column apart.

    Raises:
        GaafError: if the graph is not one rooted tree.
    """
    if not len(graph) or not nx.is_arborescence(graph):
        raise GaafError(
            f"a layout needs a graph that is one tree with edges from parents to children, got {len(graph)} nodes and "
            f"{graph.number_of_edges()} edges: make it with tree_graph(individual)"
        )
    root = next(node for node, degree in graph.in_degree() if degree == 0)
    levels = nx.single_source_shortest_path_length(graph, root)
    columns: dict[int, float] = {}
    leaves = itertools.count()
    for node in nx.dfs_postorder_nodes(graph, root):
        children = list(graph.successors(node))
        columns[node] = (columns[children[0]] + columns[children[-1]]) / 2 if children else float(next(leaves))
    return {node: (columns[node], -float(levels[node])) for node in graph}


def plot_tree(individual: Individual, ax: Axes | None = None) -> Axes:
    """Draw the expression tree with its formula as the title and a legend of the kinds of nodes in it.

    Args:
        individual: the tree.
        ax: where to draw; everything is scaled to lie inside it as large as it is now. By default a new figure of
            the size that the tree needs.

    Returns:
        The axes, in inches of the drawing at full size.
    """
    graph = tree_graph(individual)
    boxes = _boxes(graph)
    present = {graph.nodes[node]["kind"] for node in graph}
    kinds = [kind for kind in COLOURS if kind in present]
    formula = individual.infix()
    width = max(boxes.width, _legend_width(kinds), min(TITLE_WIDTH, _text_width(formula, TITLE_POINTS)))
    if ax is not None:
        width = max(width, ax.bbox.width / ax.figure.dpi - 2 * MARGIN)
    title = _wrapped(formula, width)
    above = 1.3 * TITLE_POINTS / 72 * len(title) + 2 * MARGIN
    wide, high = width + 2 * MARGIN, above + boxes.height + 2 * LEGEND_POINTS / 72 + 2 * MARGIN
    axes = Figure(figsize=(wide, high)).add_axes((0, 0, 1, 1)) if ax is None else ax
    room = [side / axes.figure.dpi for side in axes.bbox.size]
    scale = min(1.0, room[0] / wide, room[1] / high)
    across, down = room[0] / scale, room[1] / scale
    left, top = (boxes.width - across) / 2, above + (down - high) / 2
    axes.set(xlim=(left, left + across), ylim=(top - down, top))
    axes.set_axis_off()
    _draw(axes, graph, boxes, scale)
    edge = MARGIN / down
    axes.set_title("\n".join(title), fontsize=TITLE_POINTS * scale, y=1 - edge, va="top", pad=0, **PLAIN)
    _add_legend(axes, kinds, scale, edge)
    return axes


@dataclass(frozen=True)
class _Boxes:
    """Where the boxes of a tree stand, in inches at full size: x from 0 to ``width``, y from 0 to ``-height``."""

    centres: dict[int, tuple[float, float]]
    widths: dict[int, float]
    width: float
    height: float


def _boxes(graph: nx.DiGraph[int]) -> _Boxes:
    """Give the columns of the layout the least width at which no two boxes of one level touch."""
    widths = {node: _text_width(graph.nodes[node]["label"], LABEL_POINTS) + 2 * PADDING for node in graph}
    places = tree_layout(graph)
    ordered = sorted(places, key=lambda node: (places[node][1], places[node][0]))
    neighbours = [(a, b) for a, b in itertools.pairwise(ordered) if places[a][1] == places[b][1]]
    column = max(
        (((widths[a] + widths[b]) / 2 + GAP) / (places[b][0] - places[a][0]) for a, b in neighbours), default=1.0
    )
    left = min(places[node][0] * column - widths[node] / 2 for node in places)
    width = max(places[node][0] * column + widths[node] / 2 for node in places) - left
    row = min(max(ROW, width / 16), HIGHEST_ROW)
    levels = -min(y for _, y in places.values())
    centres = {node: (x * column - left, y * row - BOX / 2) for node, (x, y) in places.items()}
    return _Boxes(centres, widths, width, levels * row + BOX)


def _draw(axes: Axes, graph: nx.DiGraph[int], boxes: _Boxes, scale: float) -> None:
    ends = [(boxes.centres[a], boxes.centres[b]) for a, b in graph.edges]
    # From the lower to the upper edge of the boxes: such lines stay between two levels and cross no box.
    lines = [[(ax, ay - BOX / 2), (bx, by + BOX / 2)] for (ax, ay), (bx, by) in ends]
    axes.add_collection(LineCollection(lines, colors="#7F7F7F", linewidths=1.2 * scale, zorder=1), autolim=False)
    for node, (x, y) in boxes.centres.items():
        wide, fill = boxes.widths[node], COLOURS[graph.nodes[node]["kind"]]
        style = f"round,pad=0,rounding_size={0.3 * BOX}"
        corner, line = (x - wide / 2, y - BOX / 2), 0.8 * scale
        axes.add_patch(FancyBboxPatch(corner, wide, BOX, style, fc=fill, ec=INK, linewidth=line, zorder=2))
        label = graph.nodes[node]["label"]
        axes.text(x, y, label, ha="center", va="center_baseline", fontsize=LABEL_POINTS * scale, zorder=3, **PLAIN)


def _text_width(text: str, points: float) -> float:
    """Return the width of one line of text in inches, without a renderer."""
    return float(text_to_path.get_text_width_height_descent(text, FontProperties(size=points), ismath=False)[0]) / 72


def _add_legend(axes: Axes, kinds: Sequence[str], scale: float, edge: float) -> None:
    """Explain the colours on one line along the lower edge."""
    axes.legend(
        handles=[Patch(facecolor=COLOURS[kind], edgecolor=INK, linewidth=0.8 * scale, label=kind) for kind in kinds],
        ncols=len(kinds), loc="lower center", bbox_to_anchor=(0.5, edge), borderaxespad=0, frameon=False,
        fontsize=LEGEND_POINTS * scale, **LEGEND_STYLE,
    )  # fmt: skip


def _legend_width(kinds: Sequence[str]) -> float:
    text = sum(_text_width(kind, LEGEND_POINTS) for kind in kinds)
    between = LEGEND_STYLE["handlelength"] + LEGEND_STYLE["handletextpad"] + LEGEND_STYLE["columnspacing"]
    return text + len(kinds) * between * LEGEND_POINTS / 72


class _FormulaWrapper(textwrap.TextWrapper):
    """Breaks lines at spaces and, in nested calls without any, behind an opening parenthesis."""

    wordsep_simple_re = re.compile(r"(\s+|(?<=\())")


def _wrapped(formula: str, width: float) -> list[str]:
    """Return the formula in lines no wider than ``width`` inches, cut after ``TITLE_LINES`` of them."""
    characters = 1 + int(width / _text_width("i", TITLE_POINTS))
    while True:
        wrapper = _FormulaWrapper(characters, break_on_hyphens=False, max_lines=TITLE_LINES, placeholder=" …")
        lines = wrapper.wrap(formula)
        widest = max(_text_width(line, TITLE_POINTS) for line in lines)
        if widest <= width:
            return lines
        characters = min(characters - 1, int(characters * width / widest))


def plot_history(records: Sequence[Record], baseline: float | None = None, ax: Axes | None = None) -> Axes:
    """Draw the validation accuracy of every candidate of a search and the best so far.

    Args:
        records: the evaluated candidates, in order of evaluation. Failed ones are crosses at the bottom edge.
        baseline: validation accuracy of the plain sign (0 to 1), drawn as a dashed line.
        ax: where to draw; a new figure by default.

    Returns:
        The axes: number of candidates evaluated, validation accuracy in per cent.

    Raises:
        GaafError: without a record, or if ``baseline`` is not an accuracy.
    """
    if not records:
        raise GaafError("a history needs at least one evaluated candidate, got none: pass the records of a run")
    if baseline is not None and not 0 <= baseline <= 1:
        raise GaafError(f"baseline must be an accuracy from 0 to 1, got {baseline!r}: divide per cent by 100")
    axes = Figure(figsize=(6.4, 4.2), layout="constrained").add_subplot() if ax is None else ax
    scored = {place: 100 * record.accuracy for place, record in enumerate(records, 1) if not record.failure}
    failed = [place for place, record in enumerate(records, 1) if record.failure]
    if scored:
        axes.scatter(list(scored), list(scored.values()), s=18, color=COLOURS["argument"], label="candidate", zorder=2)
        best = list(itertools.accumulate(scored.values(), max))
        x, y = [*scored, len(records) + 0.5], [*best, best[-1]]
        axes.step(x, y, where="post", color=BLUE, label=f"best so far ({best[-1]:.1f} %)", zorder=3)
    if failed:
        # Heights in parts of the axes: a failure has no accuracy, and its declared one would stretch the scale.
        style: dict[str, Any] = {"s": 24, "marker": "x", "color": VERMILLION, "transform": axes.get_xaxis_transform()}
        axes.scatter(failed, [0.03] * len(failed), label=f"failed ({len(failed)})", zorder=2, **style)
    values = list(scored.values())
    if baseline is not None:
        values.append(100 * baseline)
        axes.axhline(values[-1], color=INK, linestyle="--", linewidth=1.2, label=f"plain sign ({values[-1]:.1f} %)")
    _scale(axes, len(records), values)
    axes.set(xlabel="candidates evaluated", ylabel="validation accuracy (%)")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)
    return axes


def _scale(axes: Axes, number: int, values: Sequence[float]) -> None:
    """Show the values with a margin, which at the bottom also keeps them clear of the crosses of failures."""
    low, high = (min(values), max(values)) if values else (0.0, 100.0)
    margin = max(0.1 * (high - low), 1.0)
    axes.set(xlim=(0.5 - 0.02 * number, 0.5 + 1.02 * number), ylim=(low - margin, high + 0.6 * margin))
    axes.xaxis.set_major_locator(MaxNLocator(steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    axes.spines[["top", "right"]].set_visible(False)


def save_figure(axes: Axes, path: str | Path) -> None:
    """Write the figure of ``axes`` to a PNG (150 dots per inch), SVG or PDF file, by the ending of ``path``.

    Raises:
        GaafError: for another ending, a folder that does not exist, or a file that cannot be written.
    """
    target = Path(path)
    if target.suffix.lower() not in ENDINGS:
        raise GaafError(f"a figure's file must end in {listed(ENDINGS)}, got {target.name!r}: rename it")
    if not target.parent.is_dir():
        raise GaafError(f"a figure needs an existing folder, got {str(target.parent)!r}: make it, or name another")
    try:
        axes.figure.figure.savefig(target, dpi=150, bbox_inches="tight")
    except OSError as error:
        reason = error.strerror or error
        raise GaafError(f"a figure's file must be writable, {str(target)!r} is not ({reason}): name another") from None
