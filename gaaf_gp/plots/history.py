"""How a search went: the validation accuracy of every candidate in the order of evaluation, and the best so far."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from gaaf_gp.errors import GaafError
from gaaf_gp.fitness import Record
from gaaf_gp.plots.style import LIGHT, SKY, VERMILLION, Style, add_legend, new_axes


def plot_history(
    records: Sequence[Record], baseline: float | None = None, ax: Axes | None = None, *, style: Style = LIGHT
) -> Axes:
    """Draw the validation accuracy of every candidate of a search and the best so far.

    Args:
        records: the evaluated candidates, in order of evaluation. Failed ones are crosses at the bottom edge.
        baseline: validation accuracy of the plain sign (0 to 1), drawn as a dashed line.
        ax: where to draw; a new figure by default.
        style: the colours.

    Returns:
        The axes: number of candidates evaluated, validation accuracy in per cent.

    Raises:
        GaafError: without a record, or if ``baseline`` is not an accuracy.
    """
    if not records:
        raise GaafError("a history needs at least one evaluated candidate, got none: pass the records of a run")
    if baseline is not None and not 0 <= baseline <= 1:
        raise GaafError(f"baseline must be an accuracy from 0 to 1, got {baseline!r}: divide per cent by 100")
    axes = new_axes(ax, style=style)
    scored = {place: 100 * record.accuracy for place, record in enumerate(records, 1) if not record.failure}
    failed = [place for place, record in enumerate(records, 1) if record.failure]
    if scored:
        axes.scatter(list(scored), list(scored.values()), s=18, color=SKY, label="candidate", zorder=2)
        best = list(itertools.accumulate(scored.values(), max))
        x, y = [*scored, len(records) + 0.5], [*best, best[-1]]
        axes.step(x, y, where="post", color=style.lines[0], label=f"best so far ({best[-1]:.1f} %)", zorder=3)
    if failed:
        # Heights in parts of the axes: a failure has no accuracy, and its declared one would stretch the scale.
        look: dict[str, Any] = {"s": 24, "marker": "x", "color": VERMILLION, "transform": axes.get_xaxis_transform()}
        axes.scatter(failed, [0.03] * len(failed), label=f"failed ({len(failed)})", zorder=2, **look)
    values = list(scored.values())
    if baseline is not None:
        values.append(100 * baseline)
        axes.axhline(
            values[-1], color=style.ink, linestyle="--", linewidth=1.2, label=f"plain sign ({values[-1]:.1f} %)"
        )
    _scale(axes, len(records), values)
    axes.set(xlabel="candidates evaluated", ylabel="validation accuracy (%)")
    add_legend(axes, style)
    return axes


def _scale(axes: Axes, number: int, values: Sequence[float]) -> None:
    """Show the values with a margin, which at the bottom also keeps them clear of the crosses of failures."""
    low, high = (min(values), max(values)) if values else (0.0, 100.0)
    margin = max(0.1 * (high - low), 1.0)
    axes.set(xlim=(0.5 - 0.02 * number, 0.5 + 1.02 * number), ylim=(low - margin, high + 0.6 * margin))
    axes.xaxis.set_major_locator(MaxNLocator(steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
