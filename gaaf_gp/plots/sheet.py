"""All primitives of a set on one sheet of small plots."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure

from gaaf_gp.errors import GaafError
from gaaf_gp.plots.style import (
    LABEL_POINTS,
    LEGEND_POINTS,
    LIGHT,
    YELLOW,
    Style,
    new_axes,
    own_settings,
    plain_text,
    shortened,
)
from gaaf_gp.trees.describe import CONSTANT, DRAWN, RANGE, VECTOR, Entry
from gaaf_gp.util.checks import whole_number

PANEL = (1.75, 1.75)
"""Inches of one entry."""
COLUMNS = 6
HIGHEST = 4.0
"""What lies beyond this is cut off, however far a function goes."""
POINTS = 601
SHADES = 16
"""Levels of a map: few enough to distinguish their colours."""
BROKEN = 2 * HIGHEST
"""A step between two neighbours that is larger than this is a pole, and not drawn as a line."""


@own_settings()
def plot_sheet(entries: Sequence[Entry], *, columns: int = COLUMNS, style: Style = LIGHT) -> list[Axes]:
    """Draw every entry of a set over [-3, 3].

    A function of one argument is a line, shaded where its sign is +1. One of two arguments or more is a map of f(x, y):
    purple below zero, orange above, white and a line where the sign changes; further arguments are 1. Vectors that are
    learned have their initial values. A constant is a level, and a drawn one has none.

    Args:
        entries: what :func:`gaaf_gp.trees.describe.entries` returns.
        columns: of the sheet, at most.
        style: the colours.

    Returns:
        The axes of each, in a new figure.

    Raises:
        GaafError: without an entry, or for fewer than one column.
    """
    if not entries:
        raise GaafError("a sheet needs one or more primitives, got none: choose another set or tag")
    wide = min(len(entries), whole_number("columns", columns))
    high = math.ceil(len(entries) / wide)
    figure = Figure(figsize=(PANEL[0] * wide, PANEL[1] * high), layout="constrained", facecolor=style.paper)
    grid = figure.subplots(high, wide, squeeze=False).flatten().tolist()
    for unused in grid[len(entries) :]:
        unused.remove()
    for ax, entry in zip(grid, entries, strict=False):
        _panel(new_axes(ax, style=style), entry, style)
    axes: list[Axes] = grid[: len(entries)]
    return axes


def _panel(axes: Axes, entry: Entry, style: Style) -> None:
    axes.set(xlim=RANGE, xticks=(-3, 0, 3))
    axes.tick_params(labelsize=LEGEND_POINTS - 2)
    width = 0.9 * PANEL[0]
    lines = [entry.name, entry.formula if entry.formula != entry.name else ""]
    if entry.learnable:
        lines[1] += f" (s from {', '.join(f'{start:g}' for start in entry.learnable)})"
    points = (LABEL_POINTS, LEGEND_POINTS - 1)
    cut = [shortened(line.strip(), width, size) for line, size in zip(lines, points, strict=True)]
    axes.set_title("\n".join(cut), fontsize=LEGEND_POINTS - 1, **plain_text(style))
    if len(entry.arguments) > 1:
        _map(axes, entry, style)
    elif entry.kind == DRAWN:
        axes.set(xticks=(), yticks=())
        axes.spines[:].set_visible(False)
        axes.text(0.5, 0.5, "a number\ndrawn for\neach place", transform=axes.transAxes, ha="center", va="center",
                  color=style.muted, fontsize=LEGEND_POINTS)  # fmt: skip
    else:
        _line(axes, entry, style)


def _line(axes: Axes, entry: Entry, style: Style) -> None:
    x, values = entry.curve(POINTS)
    shown = np.where(np.isfinite(values), values, np.nan)
    inside = np.clip(shown[np.isfinite(shown)], -HIGHEST, HIGHEST)
    low, high = (float(inside.min()), float(inside.max())) if len(inside) else (-1.0, 1.0)
    margin = 0.1 * max(high - low, 1.0)
    axes.set_ylim(min(low, 0.0) - margin, max(high, 0.0) + margin)
    axes.fill_between(
        x, 0, 1, where=shown >= 0, transform=axes.get_xaxis_transform(), color=YELLOW, alpha=0.3, linewidth=0, zorder=0,
        gid="positive",
    )  # fmt: skip
    axes.axhline(0, color=style.muted, linewidth=0.6, zorder=1)
    line = shown.copy()
    line[1:][np.abs(np.diff(shown)) > BROKEN] = np.nan
    dashes = "--" if entry.kind in (CONSTANT, VECTOR) else "-"
    axes.plot(x, line, color=style.lines[0], linewidth=1.6, linestyle=dashes, zorder=3, gid="values")


def _map(axes: Axes, entry: Entry, style: Style) -> None:
    x, values = entry.surface()
    finite = values[np.isfinite(values)]
    limit = min(HIGHEST, float(np.abs(finite).max())) if len(finite) else 1.0
    norm = TwoSlopeNorm(0.0, -max(limit, 1e-6), max(limit, 1e-6))
    axes.imshow(
        values, cmap=colormaps["PuOr_r"].resampled(SHADES), norm=norm, origin="lower", extent=(*RANGE, *RANGE),
        aspect="auto", interpolation="nearest", gid="map",
    )  # fmt: skip
    if len(finite) == values.size and finite.min() < 0 <= finite.max():
        axes.contour(x, x, values, levels=[0.0], colors=style.ink if style is LIGHT else "#1A1A1A", linewidths=0.8)
    axes.set(yticks=(-3, 0, 3), ylim=RANGE)
    axes.spines[:].set_visible(False)
