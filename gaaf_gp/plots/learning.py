"""Learning curves: how accurate networks are after each epoch, the best functions beside the baselines."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from gaaf_gp.errors import GaafError, listed
from gaaf_gp.plots.style import LABEL_POINTS, LIGHT, Style, add_legend, new_axes, own_settings
from gaaf_gp.statistics import rank_correlation


def curves_of(names: Mapping[str, str | None], entries: Iterable[Mapping[str, Any]]) -> dict[str, list[list[float]]]:
    """Return the learning curves of a retraining; trainings that failed are left out.

    Args:
        names: name -> canonical text, None for the plain sign.
        entries: of its file, ``retrain.jsonl``, or ``[one.entry() for one in retrained.trainings]``.

    Returns:
        Name -> for each seed the validation accuracy (0 to 1) after each epoch.
    """
    ended = [entry for entry in entries if entry["failure"] is None]
    return {
        name: [[accuracy for _, accuracy in one["curve"]] for one in ended if one["text"] == text]
        for name, text in names.items()
    }


@own_settings()
def plot_learning_curves(
    curves: Mapping[str, Sequence[Sequence[float]]],
    ax: Axes | None = None,
    *,
    baselines: Collection[str] = (),
    first: int = 1,
    accuracy: str = "validation accuracy (%)",
    style: Style = LIGHT,
) -> Axes:
    """Draw a thin line for each training and a thick one for the mean of each function.

    Args:
        curves: name -> for each seed the accuracy (0 to 1) after each epoch; a mean ends with the shortest.
        ax: where to draw; a new figure by default.
        baselines: names among them that are dashed.
        first: epochs ahead of this one are left out.
        accuracy: what the axis says.
        style: the colours.

    Returns:
        The axes: epoch, accuracy in per cent.

    Raises:
        GaafError: for no function or more than there are colours, one without a curve, a baseline that is none of
            them, or no epoch from ``first`` on.
    """
    if not 1 <= len(curves) <= len(style.lines):
        raise GaafError(f"a figure shows the curves of 1 to {len(style.lines)} functions, got {len(curves)}")
    if unknown := [name for name in baselines if name not in curves]:
        raise GaafError(f"baselines must be among {listed(curves)}, got {listed(unknown)}: correct their names")
    lengths = {name: min(map(len, rows), default=0) for name, rows in curves.items()}
    if short := [name for name, length in lengths.items() if not 1 <= first <= length]:
        raise GaafError(f"each function must have curves that reach epoch {first!r}, and {listed(short)} have not")
    axes = new_axes(ax, style=style)
    for (name, rows), colour in zip(curves.items(), style.lines, strict=False):
        dashes = "--" if name in baselines else "-"
        for row in rows if len(rows) > 1 else ():
            x = range(first, len(row) + 1)
            axes.plot(x, [100 * value for value in row[first - 1 :]], dashes, color=colour, linewidth=0.6, alpha=0.45)
        mean = 100 * np.mean([row[: lengths[name]] for row in rows], axis=0)
        x = range(first, lengths[name] + 1)
        axes.plot(x, mean[first - 1 :], dashes, color=colour, linewidth=2.2, label=name, gid=name, zorder=3)
    axes.set(xlabel="epoch", ylabel=accuracy)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    add_legend(axes, style, handlelength=2.6)
    return axes


@own_settings()
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
        names: of the two measurements, for the axes.
        style: the colours.

    Returns:
        The axes: both accuracies in per cent.

    Raises:
        GaafError: as :func:`gaaf_gp.statistics.rank_correlation`.
    """
    correlation = rank_correlation(first, second)
    axes = new_axes(ax, size=(4.8, 4.4), style=style)
    x, y = ([100 * value for value in values] for values in (first, second))
    axes.scatter(x, y, s=22, color=style.lines[0], alpha=0.8, linewidth=0)
    axes.set(xlabel=f"accuracy, {names[0]} (%)", ylabel=f"accuracy, {names[1]} (%)")
    span = f"95 % interval {correlation.low:.2f} to {correlation.high:.2f}"
    title = f"{correlation.n} functions: Kendall's tau {correlation.tau:.2f}\n({span})"
    axes.set_title(title, fontsize=LABEL_POINTS, color=style.ink)
    return axes
