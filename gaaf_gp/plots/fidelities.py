"""Two judgements of the same functions against each other, such as a short and a long training."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes

from gaaf_gp.comparison import rank_correlation
from gaaf_gp.plots.style import LABEL_POINTS, LIGHT, Style, new_axes


def plot_fidelities(
    first: Sequence[float],
    second: Sequence[float],
    ax: Axes | None = None,
    *,
    names: tuple[str, str] = ("low fidelity", "high fidelity"),
    style: Style = LIGHT,
) -> Axes:
    """Draw one accuracy against the other, with Kendall's tau and its 95 % interval as the title.

    Args:
        first: accuracy (0 to 1) of each function, at least three.
        second: of the same functions in the same order.
        ax: where to draw; a new figure by default.
        names: of the two judgements, for the axes.
        style: the colours.

    Returns:
        The axes: both accuracies in per cent.

    Raises:
        GaafError: as :func:`gaaf_gp.comparison.rank_correlation`.
    """
    found = rank_correlation(first, second)
    axes = new_axes(ax, size=(4.8, 4.4), style=style)
    x, y = ([100 * value for value in values] for values in (first, second))
    axes.scatter(x, y, s=22, color=style.lines[0], alpha=0.8, linewidth=0)
    axes.set(xlabel=f"accuracy, {names[0]} (%)", ylabel=f"accuracy, {names[1]} (%)")
    span = f"95 % interval {found.low:.2f} to {found.high:.2f}"
    title = f"{found.n} functions: Kendall's tau {found.tau:.2f}\n({span})"
    axes.set_title(title, fontsize=LABEL_POINTS, color=style.ink)
    return axes
