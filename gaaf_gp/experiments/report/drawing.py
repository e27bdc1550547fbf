"""Trees and functions as the numbers of small drawings, which a template of the page makes SVG of.

Pictures of matplotlib are some ten times as large and as slow; a page has hundreds of these.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from gaaf_gp.activations.response import Array, Drawn, response
from gaaf_gp.errors import GaafError
from gaaf_gp.experiments.report.figures import priced
from gaaf_gp.experiments.run_data import RunData
from gaaf_gp.plots.style import text_width
from gaaf_gp.plots.tree_layout import tree_graph, tree_layout
from gaaf_gp.statistics import pareto_front
from gaaf_gp.trees.candidate import TwoTrees
from gaaf_gp.trees.individual import Individual

MOST_NODES = 200
"""Of a tree that is drawn."""
DOTS = 100.0
"""Units of a drawing in an inch of text."""
POINTS, BOX, ROW, GAP, PADDING, EDGE = 9.5, 24.0, 46.0, 12.0, 8.0, 3.0
"""Size of letters, and units: height of a box, from row to row, between boxes, within them, around."""
SAMPLES, REACH, HIGHEST = 161, 4.0, 4.0
"""Values of x at which a function is computed, from -REACH to REACH, and what lies beyond the view at most."""
WIDTH, HEIGHT = 300.0, 190.0
"""Units of the picture of a function, without its axes."""


@dataclass(frozen=True)
class Box:
    """A node: its centre and width, its label, and its kind as a class of the style sheet."""

    x: float
    y: float
    width: float
    label: str
    kind: str


@dataclass(frozen=True)
class TreeDrawing:
    """A tree.

    Attributes:
        width: of the drawing.
        height: of it.
        boxes: of the nodes.
        edges: path of all lines.
        kinds: class -> name of the kinds that there are.
        label: what the tree is called, empty for one by itself.
    """

    width: float
    height: float
    boxes: tuple[Box, ...]
    edges: str
    kinds: dict[str, str]
    label: str = ""


@dataclass(frozen=True)
class FunctionDrawing:
    """A function over x from -4 to 4.

    Attributes:
        values: path of f(x).
        slope: path of the slope that training sees.
        backward: path of the function whose slope that is, empty where it is f.
        bands: left end and width of where the sign is +1.
        window: heights of the edges of the window, from above.
        zero: height of y = 0.
        marks: height and text of the marks of the axis.
    """

    values: str
    slope: str
    backward: str
    bands: tuple[tuple[float, float], ...]
    window: tuple[float, ...]
    zero: float
    marks: tuple[tuple[float, str], ...]


def draw_trees(evolved: Individual | TwoTrees) -> tuple[TreeDrawing, ...]:
    """Return the drawing of a tree, or of two; none of one that is too large."""
    if evolved.size > MOST_NODES:
        return ()
    if isinstance(evolved, TwoTrees):
        return _drawn(evolved.forward, "forward"), _drawn(evolved.backward, "backward")
    return (_drawn(evolved),)


def _drawn(tree: Individual, label: str = "") -> TreeDrawing:
    graph = tree_graph(tree)
    labels = {node: str(graph.nodes[node]["label"]) for node in graph}
    widths = {node: text_width(text, POINTS) * DOTS + 2 * PADDING for node, text in labels.items()}
    places = tree_layout(graph, widths, GAP)
    left = min(x - widths[node] / 2 for node, (x, _) in places.items()) - EDGE
    right = max(x + widths[node] / 2 for node, (x, _) in places.items()) + EDGE
    levels = -min(y for _, y in places.values())
    kinds = {node: str(graph.nodes[node]["kind"]) for node in graph}
    boxes = {
        node: Box(x - left, -y * ROW + BOX / 2 + EDGE, widths[node], labels[node], _class(kinds[node]))
        for node, (x, y) in places.items()
    }
    edges = "".join(
        f"M{boxes[a].x:.0f} {boxes[a].y + BOX / 2:.0f}L{boxes[b].x:.0f} {boxes[b].y - BOX / 2:.0f}"
        for a, b in graph.edges
    )
    height = levels * ROW + BOX + 2 * EDGE
    return TreeDrawing(
        right - left, height, tuple(boxes.values()), edges, {_class(kind): kind for kind in kinds.values()}, label
    )


def _class(kind: str) -> str:
    return "k-" + kind.split(maxsplit=1)[0]


def draw_function(function: Drawn) -> FunctionDrawing | None:
    """Return the drawing of a function, None of one that cannot be computed."""
    x = np.linspace(-REACH, REACH, SAMPLES)
    try:
        found = response(function, x)
    except GaafError:
        return None
    rows = [np.median(one, axis=1) for one in (found.values, found.slope)]
    other = None if found.backward is None else np.median(found.backward, axis=1)
    low, high = _limits(x, rows, found.surrogate.window)

    def height(y: float) -> float:
        return HEIGHT * (high - y) / (high - low)

    def path(values: Array | None) -> str:
        return "" if values is None else _path(x, values, low, high)

    edges = [edge for edge in (-found.surrogate.window, found.surrogate.window) if low < edge < high]
    return FunctionDrawing(
        path(rows[0]),
        path(rows[1]),
        path(other),
        tuple((_across(left), _across(right) - _across(left)) for left, right in found.positive),
        tuple(height(edge) for edge in edges),
        height(0.0),
        tuple((height(mark), f"{mark:g}".replace("-", "−")) for mark in range(math.ceil(low), math.floor(high) + 1)),
    )


def _limits(x: Array, rows: list[Array], window: float) -> tuple[float, float]:
    """Return the limits that show what most inputs meet."""
    reached = [-1.1, 1.1]
    for values in rows:
        usual = values[(np.abs(x) <= 2) & np.isfinite(values)]
        reached += np.quantile(usual, (0.01, 0.99)).tolist() if len(usual) else []
    if window <= HIGHEST:
        reached += [-window, window]
    margin = 0.06 * (max(reached) - min(reached))
    return max(min(reached) - margin, -HIGHEST), min(max(reached) + margin, HIGHEST)


def _across(x: float) -> float:
    return WIDTH * (x + REACH) / (2 * REACH)


def _path(x: Array, values: Array, low: float, high: float) -> str:
    """Return a line through what can be seen, and to a place just outside; broken at poles and where it is not finite.

    Points on a straight line between their neighbours are left out.
    """
    beyond = 0.3 * (high - low)
    pieces: list[list[tuple[float, float]]] = [[]]
    for (left, value), (_, following) in pairwise([*zip(x, values, strict=True), (x[-1], values[-1])]):
        if math.isfinite(value):
            seen = min(max(value, low - beyond), high + beyond)
            pieces[-1].append((_across(left), HEIGHT * (high - seen) / (high - low)))
        pole = (value > high and following < low) or (value < low and following > high)
        if pieces[-1] and (pole or not math.isfinite(value)):
            pieces.append([])
    return "".join("M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in _thinned(piece)) for piece in pieces if piece)


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    kept = points[:1]
    for place in range(1, len(points) - 1):
        (ax, ay), (bx, by), (cx, cy) = kept[-1], points[place], points[place + 1]
        if abs(ay + (cy - ay) * (bx - ax) / (cx - ax) - by) > 0.05 or place % 20 == 0:
            kept.append(points[place])
    return kept + points[1:][-1:]


SCATTER_WIDTH, SCATTER_HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 360.0, 260.0, 40.0, 12.0, 12.0, 38.0
MARKS = 5
"""Steps of an axis, about."""
STEPS = (1.0, 2.0, 2.5, 5.0)
MOST = 500
"""Points beside those of the front, best first."""


@dataclass(frozen=True)
class Point:
    """One function: its place, canonical text and formula, cost and accuracy (0 to 1)."""

    x: float
    y: float
    text: str
    formula: str
    cost: float
    accuracy: float


@dataclass(frozen=True)
class Scatter:
    """Accuracy against cost.

    Attributes:
        front: those that no other is both better and cheaper than, cheapest first.
        rest: the others.
        line: path along the front.
        across: place and text of the marks of the cost.
        up: height and text of the marks of the accuracy.
    """

    front: tuple[Point, ...]
    rest: tuple[Point, ...]
    line: str
    across: tuple[tuple[float, str], ...]
    up: tuple[tuple[float, str], ...]
    left: float = LEFT


def scatter(data: RunData) -> Scatter | None:
    """Return the figure, None while no candidate was trained in full."""
    found = priced(data)
    if not found:
        return None
    costs, values = [cost for *_, cost in found], [one.accuracy for one, *_ in found]
    across, up = _marks(min(costs), max(costs)), _marks(100 * min(values), 100 * max(values))
    texts = [f"{mark:g}" for mark in up]
    left = LEFT + max(0.0, max(text_width(text, 9) for text in texts) * 100 - 22)
    scale_x = (SCATTER_WIDTH - left - RIGHT) / (across[-1] - across[0])
    scale_y = (SCATTER_HEIGHT - TOP - BOTTOM) / (up[-1] - up[0])

    def place(cost: float, per_cent: float) -> tuple[float, float]:
        return left + (cost - across[0]) * scale_x, SCATTER_HEIGHT - BOTTOM - (per_cent - up[0]) * scale_y

    points = [
        Point(*place(cost, 100 * one.accuracy), one.text, formula, cost, one.accuracy) for one, formula, cost in found
    ]
    best = pareto_front(costs, values)
    front = tuple(points[index] for index in best)
    path = f"M{front[0].x:.1f} {front[0].y:.1f}" + "".join(f"H{one.x:.1f}V{one.y:.1f}" for one in front[1:])
    return Scatter(
        front,
        tuple(point for index, point in enumerate(points) if index not in set(best))[:MOST],
        path,
        tuple((place(mark, up[0])[0], f"{mark:g}") for mark in across),
        tuple((place(across[0], mark)[1], text) for mark, text in zip(up, texts, strict=True)),
        left,
    )


def _marks(low: float, high: float) -> list[float]:
    """Return round numbers from below the lowest to above the highest."""
    span = (high - low) or max(abs(high), 1.0) * 0.2
    size = 10.0 ** _order(span / MARKS)
    step = next((one * size for one in STEPS if span / (one * size) <= MARKS), 10 * size)
    first, last = int(low // step), int(-(-high // step))
    return [step * number for number in range(first, max(last, first + 1) + 1)]


def _order(value: float) -> int:
    return int(f"{value:e}".partition("e")[2])
