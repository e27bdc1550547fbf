"""A forward and a backward tree side by side in one figure."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gaaf_gp.candidates import Evolved, TwoTrees
from gaaf_gp.plots.style import LIGHT, TITLE_POINTS, Style, as_svg
from gaaf_gp.plots.tree import plot_tree

LABELS = ("forward: its sign is taken", "backward: its derivative is used")
BETWEEN = 0.3
"""Inches between the two trees."""
ABOVE = 0.35
"""Inches for the labels above them."""


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
    found = []
    for tree, label, (width, height) in zip(trees, LABELS, sizes, strict=True):
        axes = figure.add_axes((left / wide, 1 - (ABOVE + height) / high, width / wide, height / high))
        found.append(plot_tree(tree, axes, style=style))
        place = ((left + width / 2) / wide, 1 - ABOVE / 2 / high)
        figure.text(*place, label, ha="center", va="center", fontsize=TITLE_POINTS, color=style.ink)
        left += width + BETWEEN
    return found[0]


def evolved_svg(evolved: Evolved) -> str:
    """Return the picture of one tree or two as SVG, which is what notebooks show of them."""
    return as_svg(plot_evolved(evolved))
