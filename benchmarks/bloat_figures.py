"""The figures of the benchmark of bloat: how sizes grow, and what is bought with them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from benchmarks.bloat_choices import CHOICES, EVOLVE
from benchmarks.bloat_report import by_choice, compared, in_loop, log_error
from benchmarks.bloat_results import Entries
from gaaf_gp.plots import LIGHT, new_axes
from gaaf_gp.plots.style import LEGEND_POINTS
from gaaf_gp.statistics import bootstrap_interval

DEAPS, OURS, SEARCH = "regression, DEAP's loop", "regression, evolve()", "activation functions, evolve()"
"""Titles of the panels."""
GRID = 60
"""Points of a curve."""
PANEL, STRIP, COLUMNS = (4.6, 3.7), 1.0, 2
Groups = Mapping[str, Entries]


def panels(found: Mapping[str, Entries]) -> dict[str, Groups]:
    """Return what each panel shows, by title; those without a run are left out."""
    regression = found.get("regression", [])
    shown = {DEAPS: in_loop(regression, ""), OURS: in_loop(regression, EVOLVE), SEARCH: found.get("search", [])}
    return {title: by_choice(entries) for title, entries in shown.items() if entries}


def plot_sizes(found: Mapping[str, Entries]) -> Axes:
    """Draw the mean size of the population against evaluations, for each choice; return the first axes."""
    shown = panels(found)
    places = _axes(shown)
    for title, groups in shown.items():
        axes = places[title]
        for name, runs in groups.items():
            evaluations, sizes = mean_course([one["course"] for one in runs])
            axes.plot(evaluations, sizes, linewidth=1.6, label=name, **_line(name))
        axes.set(xlabel="evaluations", ylabel="mean size of the population (nodes)")
        if title != SEARCH:
            axes.set_yscale("log")
            _plain_numbers(axes.yaxis)
    return _explained(places)


def plot_fronts(found: Mapping[str, Entries]) -> Axes:
    """Draw how good the best is against the mean size, for each choice; return the first axes.

    Bars are bootstrap intervals of 95 %: of a regression's difference from limits alone, paired by target and seed, and
    of the mean accuracy of a search's best on fresh seeds.
    """
    shown = panels(found)
    places = _axes(shown)
    for title, groups in shown.items():
        axes = places[title]
        for name, (size, middle, low, high) in marks(groups, title == SEARCH).items():
            axes.errorbar(size, middle, [[middle - low], [high - middle]], linewidth=0.9, label=name, **_marker(name))
        label = "accuracy on fresh seeds (%)" if title == SEARCH else "error, times that of limits only"
        axes.set(xlabel="mean size over generations (nodes)", ylabel=label)
        if title != SEARCH:
            axes.set(xscale="log", yscale="log")
            _plain_numbers(axes.xaxis)
            _plain_numbers(axes.yaxis)
    return _explained(places)


def marks(groups: Groups, search: bool) -> dict[str, tuple[float, float, float, float]]:
    """Return of each choice its mean size, how good its best is, and the ends of the interval of that."""
    errors = {} if search else compared(groups, log_error)
    found = {}
    for name, runs in groups.items():
        spread: tuple[float, float, float] = (1.0, 1.0, 1.0)
        if name in errors:
            interval = errors[name].bootstrap
            spread = 10**interval.estimate, 10**interval.low, 10**interval.high
        elif search:
            values = [100 * one["fresh"] for one in runs]
            spread = (values[0],) * 3
            if len(values) > 1:
                mean = bootstrap_interval(values)
                spread = mean.estimate, mean.low, mean.high
        found[name] = (statistics.fmean(one["mean_size"] for one in runs), *spread)
    return found


def mean_course(courses: Sequence[Sequence[tuple[int, float]]]) -> tuple[list[float], list[float]]:
    """Return evaluations and the mean over runs of their sizes there, between generations linearly interpolated.

    Args:
        courses: of each run, the evaluations and the mean size at every generation.
    """
    first = max(course[0][0] for course in courses)
    last = min(course[-1][0] for course in courses)
    grid = np.linspace(first, max(first, last), GRID)
    rows = [np.interp(grid, [at for at, _ in course], [size for _, size in course]) for course in courses]
    return grid.tolist(), np.mean(rows, axis=0).tolist()


def _axes(titles: Mapping[str, object]) -> dict[str, Axes]:
    """Return axes for each title in a figure of two columns, with room for a legend: a free place, or a strip below."""
    rows, free = math.ceil(len(titles) / COLUMNS), len(titles) % COLUMNS
    height = PANEL[1] * rows + (0 if free else STRIP)
    figure = Figure(figsize=(PANEL[0] * COLUMNS, height), layout="constrained")
    places = figure.subplots(rows, COLUMNS, squeeze=False).flatten()
    found = {title: new_axes(axes) for title, axes in zip(titles, places, strict=False)}
    for title, axes in found.items():
        axes.set_title(title, loc="left", fontsize=10, color=LIGHT.ink)
    if free:
        places[-1].set_axis_off()
        found[""] = places[-1]
    return found


def _explained(places: dict[str, Axes]) -> Axes:
    """Put one legend of all choices into the place for it, or below."""
    free = places.pop("", None)
    first = next(iter(places.values()))
    shown: dict[str, Any] = {}
    for axes in places.values():
        shown |= {label: handle for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    names = [name for name in CHOICES if name in shown]
    where = {"loc": "outside lower center", "ncols": 4} if free is None else {"loc": "center left"}
    explained = first.figure.figure if free is None else free
    explained.legend([shown[name] for name in names], names, frameon=False, fontsize=LEGEND_POINTS, **where)
    return first


def _plain_numbers(axis: Axis) -> None:
    """Label a logarithmic axis at 1, 1.5, 2, 3, 5, 7, 10 and so on."""
    axis.set_major_locator(LogLocator(10, subs=(1, 1.5, 2, 3, 5, 7)))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def _look(name: str) -> tuple[str, bool]:
    """Return the colour of a choice, and whether it is one of the second half, which is dashed or open."""
    place = list(CHOICES).index(name)
    return LIGHT.lines[place % len(LIGHT.lines)], place >= len(LIGHT.lines)


def _line(name: str) -> dict[str, Any]:
    colour, second = _look(name)
    return {"color": colour, "linestyle": (0, (3, 1.5)) if second else "-"}


def _marker(name: str) -> dict[str, Any]:
    colour, second = _look(name)
    return {
        "color": colour,
        "marker": "s" if second else "o",
        "markersize": 6.5,
        "markerfacecolor": LIGHT.paper if second else colour,
        "markeredgewidth": 1.6,
    }
