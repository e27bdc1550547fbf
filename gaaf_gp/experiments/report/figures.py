"""The figures of a run, each drawn of what its archive has."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from deap import tools
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation.records import Record
from gaaf_gp.experiments.run_data import RunData
from gaaf_gp.plots.front import plot_front
from gaaf_gp.plots.genealogy import plot_genealogy
from gaaf_gp.plots.learning import plot_fidelities, plot_learning_curves
from gaaf_gp.plots.primitives import plot_primitive_use
from gaaf_gp.plots.progress import QUANTITIES, Snapshot, plot_history, plot_progress, quartiles
from gaaf_gp.plots.style import LEGEND_POINTS, LIGHT, Style, literal, new_axes, own_settings, shortened
from gaaf_gp.statistics import pareto_front, rank_correlation
from gaaf_gp.trees.candidate import PLAIN_SIGN, Evolved

LEAST_EPOCHS = 2
"""Of a training, for a shorter one to be compared with it."""


def populations(data: RunData) -> list[list[str]]:
    """Return the texts of the population after each generation."""
    texts = {birth.number: birth.text for birth in data.births}
    return [[texts[number] for number in generation.population if number in texts] for generation in data.generations]


def evolved_populations(data: RunData) -> list[list[Evolved]]:
    """Return the trees of the population after each generation; those that nobody can read are left out."""
    trees = ([data.evolved(text) for text in population] for population in populations(data))
    found = [[individual for individual in population if individual is not None] for population in trees]
    return [population for population in found if population]


def run_snapshots(data: RunData) -> list[Snapshot]:
    """Return the search after each generation that has one in its population whose fitness is known.

    Fitness is what the individuals are worth by now: what later seeds changed changes earlier generations too.
    """
    found = []
    order = list(data.records.values())
    for generation, texts in zip(data.generations, populations(data), strict=True):
        judged = [data.records[text] for text in texts if text in data.records]
        values = [one.fitness for one in judged if one.failure is None and math.isfinite(one.fitness)]
        sizes = [size for text in texts if (size := data.about(text).size) is not None]
        best = _best(order[: generation.evaluations])
        if values and sizes and best is not None:
            found.append(
                Snapshot(
                    generation.evaluations, best, statistics.fmean(values), statistics.pstdev(values),
                    statistics.fmean(sizes), statistics.pstdev(sizes), len(set(texts)) / len(texts),
                    quartiles(values), quartiles(sizes),
                )
            )  # fmt: skip
    return found


def _best(records: Sequence[Record]) -> float | None:
    return max((record.fitness for record in records if record.complete and record.failure is None), default=None)


def genealogy(data: RunData) -> tools.History:
    """Return DEAP's history of the search: every candidate whose tree can be read, under the number of its birth."""
    history = tools.History()
    for birth in data.births:
        tree = data.evolved(birth.text)
        if tree is not None:
            history.genealogy_history[birth.number] = tree
            history.genealogy_tree[birth.number] = birth.parents
            history.genealogy_index = birth.number
    return history


def number_of(data: RunData, text: str) -> int | None:
    """Return the number under which a candidate was born, None if it is in no register."""
    return next((birth.number for birth in data.births if birth.text == text), None)


def fidelities(data: RunData) -> tuple[int, int, list[float], list[float]] | None:
    """Return the accuracy after few epochs beside that after all, of what was trained in full.

    Returns:
        The two numbers of epochs, and for each candidate its accuracy after either, the mean over its seeds; None where
        trainings have one epoch, or fewer than three candidates were trained in full.
    """
    whole = data.epochs or 0
    full = [
        record
        for record in data.records.values()
        if record.failure is None and record.complete and record.same_as is None
    ]
    curves = [one.curve for one in full if len(one.curve) == whole]
    if whole < LEAST_EPOCHS or len(curves) < 3:
        return None
    short = first_rung(data.config, whole)
    return short, whole, [curve[short - 1] for curve in curves], [curve[-1] for curve in curves]


def first_rung(config: Mapping[str, object], whole: int) -> int:
    """Return the epochs after which candidates dropped out first, or a third of all where none race."""
    racing = config.get("racing")
    rungs = racing.get("rungs") if isinstance(racing, dict) else None
    first = rungs[0] if isinstance(rungs, list) and rungs else None
    return first if isinstance(first, int) and 0 < first < whole else max(1, whole // 3)


def learning_curves(data: RunData, most: int = 3) -> tuple[dict[str, list[list[float]]], list[str], str]:
    """Return learning curves of the best beside the baselines.

    Where the winner was confirmed they are those on the test split, on fresh seeds; before, those of the search.

    Returns:
        Canonical text -> for each seed the accuracy after each epoch; the baselines among them; the name of the split.
    """
    tested: dict[str, list[list[float]]] = {}
    for evaluation in data.tested:
        if evaluation.failure is None:
            tested.setdefault(evaluation.text, []).append(list(evaluation.curve))
    if data.best is not None and data.best.text in tested:
        return tested, [text for text in tested if text.startswith("@") and "|" not in text], "test"
    curves = {
        one.text: [[epoch.accuracy for epoch in outcome.history] for outcome in one.outcomes]
        for one in data.ranked[:most]
        if one.failure is None and one.complete
    }
    if data.sign_curves:
        curves[PLAIN_SIGN] = [list(curve) for curve in data.sign_curves.values()]
    return {text: rows for text, rows in curves.items() if rows}, [PLAIN_SIGN] * bool(data.sign_curves), "validation"


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
        drawing: from a run and a style to the axes, in a figure of their own, or to what is missing.
    """

    name: str
    title: str
    caption: str
    drawing: Callable[[RunData, Style], Drawing]

    @own_settings()
    def draw(self, data: RunData, style: Style) -> Drawing:
        """Return the axes, in a figure of their own, or what is missing."""
        return self.drawing(data, style)


def axes_of(size: tuple[float, float] = SIZE, style: Style = LIGHT) -> Axes:
    """Return axes of a figure of ``size`` inches."""
    return new_axes(size=size, style=style)


def progress(data: RunData, style: Style = LIGHT) -> Drawing:
    """Draw fitness, size and diversity over the evaluations."""
    found = run_snapshots(data)
    if not found:
        return NO_REGISTER if data.records and not data.births else "no generation has ended yet"
    alike = any(snapshot.diversity != 1 for snapshot in found)
    shown = [name for name in QUANTITIES if name != "diversity" or alike]  # a line at 100 % says nothing
    ratios = [1.6 if name == "fitness" else 1.0 for name in shown]
    figure = Figure(figsize=(SIZE[0], 1.5 * sum(ratios)), layout="constrained", facecolor=style.paper)
    grid = figure.subplots(len(shown), 1, sharex=True, height_ratios=ratios).tolist()
    for ax, name in zip(grid, shown, strict=True):
        plot_progress([found], ax, quantity=name, baseline=data.baseline, style=style)
        ax.set_xlabel("evaluations" if ax is grid[-1] else "")
        if name == "fitness":
            ax.set_ylabel("accuracy (%)")
    figure.align_ylabels(grid)
    first: Axes = grid[0]
    return first


def history(data: RunData, style: Style = LIGHT) -> Drawing:
    """Draw every candidate that was trained in full."""
    whole = [record for record in data.records.values() if record.complete]
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
    return plot_front(plain, costs, [record.accuracy for record in records], axes, style=style)


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
    if not known.genealogy_tree[number]:
        return "the winner was not bred of others: it was made at random or given"
    values = {
        text: record.accuracy for text, record in data.records.items() if record.failure is None and record.complete
    }
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
        "Best so far, and the median of the population with its quartiles. Diversity is the share of the population "
        "that is distinct; it is left out where all were.", progress,
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
