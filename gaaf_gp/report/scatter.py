"""The Pareto front of the page: every point can be pointed at, those on the front can be reached by keyboard too."""

from __future__ import annotations

from dataclasses import dataclass

from gaaf_gp.plots.front import pareto_front
from gaaf_gp.plots.style import text_width
from gaaf_gp.report.figures import priced
from gaaf_gp.report.reading import RunData

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 360.0, 260.0, 40.0, 12.0, 12.0, 38.0
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
    scale_x = (WIDTH - left - RIGHT) / (across[-1] - across[0])
    scale_y = (HEIGHT - TOP - BOTTOM) / (up[-1] - up[0])

    def place(cost: float, per_cent: float) -> tuple[float, float]:
        return left + (cost - across[0]) * scale_x, HEIGHT - BOTTOM - (per_cent - up[0]) * scale_y

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
