"""Figure that compares searches: the best fitness so far against evaluations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import StrMethodFormatter

from gaaf_gp.errors import GaafError
from gaaf_gp.plots.style import LIGHT, Style, add_legend, new_axes, own_settings
from gaaf_gp.statistics import Band

LINES = LIGHT.lines
"""The colours of up to so many searches."""


@own_settings()
def plot_searches(bands: Mapping[str, Band], ax: Axes | None = None, *, first: int = 1, style: Style = LIGHT) -> Axes:
    """Draw the best fitness so far of several searches: median, quartiles, and 5 to 95 % of the runs.

    Args:
        bands: name of a search -> spread of its curves, accuracies from 0 to 1; all of one length.
        ax: where to draw; a new figure by default.
        first: evaluations before this one are not shown, because the best of a few candidates may have any fitness.
        style: the colours.

    Returns:
        The axes: evaluations (a logarithmic scale), best validation accuracy so far in per cent.

    Raises:
        GaafError: without a search, for more than there are colours, or if ``first`` is none of the evaluations.
    """
    if not 1 <= len(bands) <= len(LINES):
        raise GaafError(f"a figure of searches shows 1 to {len(LINES)} of them, got {len(bands)}")
    longest = max(len(spread.median) for spread in bands.values())
    if not 1 <= first <= longest:
        raise GaafError(f"the first evaluation that is shown must be from 1 to {longest}, got {first!r}")
    axes = new_axes(ax, style=style)
    for (name, spread), colour in zip(bands.items(), style.lines, strict=False):
        evaluations = range(1, len(spread.median) + 1)
        per_cent = {key: [100 * value for value in values] for key, values in vars(spread).items()}
        for low, high, opacity in (("p5", "p95", 0.1), ("p25", "p75", 0.25)):
            look: dict[str, Any] = {"color": colour, "alpha": opacity, "linewidth": 0, "step": "post"}
            axes.fill_between(evaluations, per_cent[low], per_cent[high], **look)
        axes.step(evaluations, per_cent["median"], where="post", color=colour, linewidth=1.6, label=name)
    axes.set(xscale="log", xlabel="evaluations", ylabel="best validation accuracy so far (%)")
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    if first > 1:
        bottom = min(min(spread.p5[first - 1 :]) for spread in bands.values())
        top = max(max(spread.p95) for spread in bands.values())
        margin = 0.05 * (top - bottom) or 0.01
        axes.set_xlim(first, longest)
        axes.set_ylim(100 * (bottom - margin), 100 * (top + margin))
    add_legend(axes, style)
    return axes
