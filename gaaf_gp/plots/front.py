"""Accuracy against cost, with the Pareto front: functions for which no other is both better and cheaper."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from gaaf_gp.errors import GaafError
from gaaf_gp.plots.style import LEGEND_POINTS, LIGHT, Style, add_legend, new_axes, own_settings, plain_text, shortened
from gaaf_gp.statistics import pareto_front

LABEL_WIDTH = 2.4
"""Inches of a formula; longer ones are cut."""


@own_settings()
def plot_front(
    formulas: Sequence[str],
    costs: Sequence[float],
    accuracies: Sequence[float],
    ax: Axes | None = None,
    *,
    cost: str = "cost (additions per element)",
    style: Style = LIGHT,
) -> Axes:
    """Draw accuracy against cost with the Pareto front, whose functions are named beside the axes.

    Args:
        formulas: of the functions, one each.
        costs: of each, such as ``individual.cost`` or ``individual.size``.
        accuracies: of each, 0 to 1.
        ax: where to draw; the names take room on its right. A new figure by default.
        cost: what the axis says.
        style: the colours.

    Returns:
        The axes: cost, and accuracy in per cent. There are as many names as fit; of a longer front both ends have one,
        and others in between.

    Raises:
        GaafError: for no function, lengths that differ, or numbers that are not finite.
    """
    if not len(formulas) == len(costs) == len(accuracies) or not formulas:
        raise GaafError(
            f"each function must have a formula, a cost and an accuracy, got {len(formulas)}, {len(costs)} and "
            f"{len(accuracies)}: pass one or more of each"
        )
    if not (np.isfinite(costs).all() and np.isfinite(accuracies).all()):
        raise GaafError("costs and accuracies must be finite numbers: leave failed functions out")
    axes = new_axes(ax, size=(8.4, 4.4), style=style)
    per_cent = [100 * value for value in accuracies]
    front = pareto_front(costs, accuracies)
    rest = [place for place in range(len(costs)) if place not in set(front)]
    axes.scatter(
        [costs[place] for place in rest], [per_cent[place] for place in rest], s=14, color=style.muted, alpha=0.5,
        linewidth=0, label="function", zorder=2,
    )  # fmt: skip
    x, y = [costs[place] for place in front], [per_cent[place] for place in front]
    axes.step(x, y, where="post", color=style.lines[0], linewidth=1.4, zorder=3)
    axes.scatter(x, y, s=34, color=style.lines[0], label="Pareto front", zorder=4)
    axes.set(xlabel=cost, ylabel="accuracy (%)")
    add_legend(axes, style)
    _name(axes, [(formulas[place], costs[place], per_cent[place]) for place in front], style)
    return axes


def _name(axes: Axes, points: Sequence[tuple[str, float, float]], style: Style) -> None:
    """Write the names in a column on the right, each at the height of its point or as near as others leave room."""
    axes.autoscale_view()
    low, high = axes.get_ylim()
    line = 1.35 * LEGEND_POINTS / 72 / (0.8 * axes.bbox.height / axes.figure.dpi)
    fit = max(1, int(1 / line))
    if len(points) > fit:
        places = np.unique(np.linspace(0, len(points) - 1, fit).round().astype(int))
        points = [points[place] for place in places]
    heights = _spread([(y - low) / (high - low) for _, _, y in points], line)
    for (formula, x, y), height in zip(points, heights, strict=True):
        axes.annotate(
            shortened(formula, LABEL_WIDTH, LEGEND_POINTS), (x, y), (1.04, height), textcoords="axes fraction",
            va="center", fontsize=LEGEND_POINTS, annotation_clip=False, **plain_text(style),
            arrowprops={"arrowstyle": "-", "color": style.muted, "linewidth": 0.6, "shrinkB": 4, "zorder": 1},
        )  # fmt: skip


def _spread(wanted: Sequence[float], least: float) -> list[float]:
    """Return heights from 0 to 1 near the wanted ones, which rise, no two of them nearer than ``least``."""
    heights: list[float] = []
    for place, height in enumerate(wanted):
        above = 1 - least * (len(wanted) - 1 - place)  # what follows needs its room too
        heights.append(min(max(height, heights[-1] + least if heights else 0.0), max(above, 0.0)))
    return heights
