"""The figures of a run, each drawn of what its archive has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gaaf_gp.candidates import PLAIN_SIGN
from gaaf_gp.comparison import rank_correlation
from gaaf_gp.errors import GaafError
from gaaf_gp.plots.fidelities import plot_fidelities
from gaaf_gp.plots.front import pareto_front, plot_front
from gaaf_gp.plots.genealogy import plot_genealogy
from gaaf_gp.plots.history import plot_history
from gaaf_gp.plots.learning import plot_learning_curves
from gaaf_gp.plots.primitives import plot_primitive_use
from gaaf_gp.plots.progress import QUANTITIES, plot_progress
from gaaf_gp.plots.style import LEGEND_POINTS, LIGHT, Style, literal, new_axes, shortened
from gaaf_gp.records import Record
from gaaf_gp.report.progressing import (
    evolved_populations,
    fidelities,
    genealogy,
    learning_curves,
    number_of,
    run_snapshots,
)
from gaaf_gp.report.reading import RunData

SIZE = (4.6, 3.4)
"""Inches of a figure: narrow enough to be read on a telephone."""
NAME_WIDTH = 1.3
"""Inches of a formula in a legend."""
ANCESTORS = 20
NO_SET = "the primitive set of the run is not loaded, so that no tree can be read"
NO_REGISTER = "the archive has no register of this search: who was bred when, and of whom"
NOTHING = "no candidate has been trained yet"

Drawing: TypeAlias = Axes | str
"""Axes, or in words why there is nothing to draw."""


@dataclass(frozen=True)
class RunFigure:
    """One figure.

    Attributes:
        name: of its file.
        title: what it shows.
        caption: how it is to be read.
        draw: from a run and a style to the axes, in a figure of their own, or to what is missing.
    """

    name: str
    title: str
    caption: str
    draw: Callable[[RunData, Style], Drawing]


def axes_of(size: tuple[float, float] = SIZE, style: Style = LIGHT) -> Axes:
    """Return axes of a figure of ``size`` inches."""
    return new_axes(size=size, style=style)


def progress(data: RunData, style: Style = LIGHT) -> Drawing:
    """Draw fitness, size and diversity over the evaluations."""
    found = run_snapshots(data)
    if not found:
        return NO_REGISTER if data.records and not data.births else "no generation has ended yet"
    figure = Figure(figsize=(SIZE[0], 5.4), layout="constrained", facecolor=style.paper)
    grid = figure.subplots(3, 1, sharex=True, height_ratios=(1.6, 1, 1)).tolist()
    for ax, name in zip(grid, QUANTITIES, strict=True):
        plot_progress([found], ax, quantity=name, baseline=data.baseline, style=style)
        ax.set_xlabel("evaluations" if ax is grid[-1] else "")
        if name == "fitness":
            ax.set_ylabel("accuracy (%)")
    figure.align_ylabels(grid)
    first: Axes = grid[0]
    return first


def history(data: RunData, style: Style = LIGHT) -> Drawing:
    """Draw every candidate that was trained in full."""
    whole = [one for one in data.records.values() if one.complete]
    if not whole:
        return NOTHING
    beside = (
        None if data.best is None else data.sign_beside(data.best)
    )  # on its seeds, as that is what it is drawn with
    return plot_history(whole, data.baseline if beside is None else beside, axes_of(style=style), style=style)


def priced(data: RunData) -> list[tuple[Record, str, float]]:
    """Return what was trained in full and did not fail, with formula and cost, where that is known."""
    found = []
    for one in data.ranked:
        about = data.about(one.text)
        if one.complete and one.failure is None and about.cost is not None:
            found.append((one, about.formula, about.cost))
    return found


def front(data: RunData, style: Style = LIGHT) -> Drawing:
    """Draw accuracy against cost."""
    found = priced(data)
    if not found:
        return NOTHING
    records, formulas, costs = zip(*found, strict=True)
    figure = Figure(figsize=(8.0, 4.2), facecolor=style.paper)
    axes = new_axes(figure.add_axes((0.09, 0.13, 0.57, 0.76)), style=style)
    plain = [literal(formula) for formula in formulas]
    return plot_front(plain, costs, [one.accuracy for one in records], axes, style=style)


def front_places(data: RunData) -> set[str]:
    """Return the texts of those that no other is both better and cheaper than."""
    found = priced(data)
    places = pareto_front([cost for *_, cost in found], [one.accuracy for one, *_ in found])
    return {found[place][0].text for place in places}


def primitive_use(data: RunData, style: Style = LIGHT) -> Drawing:
    """Draw which primitives the populations use."""
    if data.pset is None:
        return NO_SET
    if not data.generations:
        return NO_REGISTER if data.records and not data.births else "no generation has ended yet"
    found = evolved_populations(data)
    try:
        axes = axes_of((SIZE[0], 4.6), style)
        return plot_primitive_use(found, axes, style=style)
    except GaafError:
        return "the populations have no tree with a primitive"


def learning(data: RunData, style: Style = LIGHT) -> Drawing:
    """Draw the learning curves of the best beside the baselines."""
    curves, baselines, split = learning_curves(data)
    reached = {text: rows for text, rows in curves.items() if min(map(len, rows), default=0)}
    if not reached:
        return NOTHING
    names = {text: _name(data, text) for text in list(reached)[: len(style.lines)]}
    shown = {names[text]: reached[text] for text in names}
    dashed = [names[text] for text in baselines if text in names]
    axes = axes_of((SIZE[0], 4.0), style)
    plot_learning_curves(shown, axes, baselines=dashed, accuracy=f"{split} accuracy (%)", style=style)
    return axes


def _name(data: RunData, text: str) -> str:
    if text == PLAIN_SIGN:
        return "plain sign"
    if text in ("@rsign", "@rprelu"):
        return {"@rsign": "RSign", "@rprelu": "RPReLU"}[text]
    return literal(shortened(data.about(text).formula, NAME_WIDTH, LEGEND_POINTS))


def ancestors(data: RunData, style: Style = LIGHT) -> Drawing:
    """Draw where the winner comes from."""
    if data.pset is None:
        return NO_SET
    if data.best is None:
        return NOTHING
    number, known = number_of(data, data.best.text), genealogy(data)
    if number is None or number not in known.genealogy_history:
        return NO_REGISTER
    values = {text: one.accuracy for text, one in data.records.items() if one.failure is None and one.complete}
    return plot_genealogy(
        known.genealogy_tree, known.genealogy_history, number, most=ANCESTORS, values=values, style=style
    )


def ranks(data: RunData, style: Style = LIGHT) -> Drawing:
    """Draw the accuracy after few epochs against that after all."""
    found = fidelities(data)
    if found is None:
        return "it takes trainings of two or more epochs, and three candidates trained in full"
    short, whole, first, second = found
    try:
        rank_correlation(first, second)
    except GaafError:
        return "all of these candidates are tied"
    names = (f"{short} epoch{'s' * (short > 1)}", f"{whole} epochs")
    return plot_fidelities(first, second, axes_of((4.6, 4.0), style), names=names, style=style)


FIGURES = (
    RunFigure(
        "progress", "Fitness, size and diversity",
        "Best so far, and the mean of the population with one standard deviation to either side. Diversity is the "
        "share of the population that is distinct.", progress,
    ),
    RunFigure(
        "front", "Accuracy against cost",
        "The Pareto front: no other function is both better and cheaper. Cost is in additions per element.", front,
    ),
    RunFigure(
        "history", "Every candidate", "All that were trained in full, in the order in which they were evaluated.",
        history,
    ),
    RunFigure(
        "learning_curves", "Learning curves",
        "Accuracy after each epoch, the best beside the baselines, which are dashed. Thin lines are single trainings.",
        learning,
    ),
    RunFigure(
        "primitive_use", "Use of primitives",
        "Share of the population that uses each, generation by generation. Periodic operators come first, with a wave.",
        primitive_use,
    ),
    RunFigure(
        "fidelities", "Rank correlation of fidelities",
        "How far a short training may be trusted, on candidates that were trained in full: those that dropped out of a "
        "race are not among them.", ranks,
    ),
    RunFigure(
        "genealogy", "Ancestors of the winner",
        "Two lines into a box are a crossover, one is a mutation. Below each formula is its validation accuracy.",
        ancestors,
    ),
)  # fmt: skip
"""All figures of a run, in the order of the page."""
