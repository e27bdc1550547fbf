"""Fitness, size and diversity of a search over its evaluations, of one run or of several together."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from deap import tools
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from gaaf_gp.errors import GaafError, listed
from gaaf_gp.plots.style import LIGHT, SKY, VERMILLION, Style, add_legend, new_axes, own_settings
from gaaf_gp.trees.candidate import Evolved
from gaaf_gp.util.checks import choice

QUANTITIES = {
    "fitness": "validation accuracy (%)",
    "size": "size (nodes)",
    "diversity": "distinct (%)",
}
"""Quantity -> label of its axis."""

Quartiles: TypeAlias = tuple[float, float, float]
"""First, second and third."""

SPREADS = {"mean": "spread", "size": "size_spread"}


@dataclass(frozen=True)
class Snapshot:
    """A search after a generation.

    Attributes:
        evaluations: until then.
        best: fitness of the best so far, an accuracy from 0 to 1, as are the next two.
        mean: mean fitness of the population.
        deviation: standard deviation of it.
        size: mean number of nodes.
        size_deviation: standard deviation of it.
        diversity: share of the population that is distinct, 0 to 1; None where that is not known.
        quartiles: first, second and third quartile of the fitness of the population; None where only its mean is known.
        size_quartiles: the same of the number of nodes.
    """

    evaluations: int
    best: float
    mean: float
    deviation: float
    size: float
    size_deviation: float = 0.0
    diversity: float | None = None
    quartiles: Quartiles | None = None
    size_quartiles: Quartiles | None = None

    @property
    def spread(self) -> Quartiles:
        """What is drawn of the fitness: quartiles, or mean and one deviation to either side, not above the best."""
        return self.quartiles or (self.mean - self.deviation, self.mean, min(self.mean + self.deviation, self.best))

    @property
    def size_spread(self) -> Quartiles:
        """The same of the number of nodes, not below 1."""
        low, high = max(self.size - self.size_deviation, 1.0), self.size + self.size_deviation
        return self.size_quartiles or (low, self.size, high)


def quartiles(values: Sequence[float]) -> Quartiles:
    """Return the first, second and third quartile of one or more finite values."""
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75)).tolist()
    return low, middle, high


def snapshots(
    logbook: tools.Logbook,
    populations: Sequence[Sequence[Evolved]] | None = None,
    identity: Callable[[Evolved], str] | None = None,
) -> list[Snapshot]:
    """Return the generations of a run as its logbook has them.

    Args:
        logbook: of :func:`gaaf_gp.evolve`, or of DEAP's algorithms with a ``MultiStatistics`` of ``fitness`` and
            ``size`` that registers avg, std and max; evaluations are the sum of ``nevals`` where they are no column.
        populations: of each generation, to count the distinct individuals in.
        identity: individuals with the same identity count once. By default it is the canonical text; with
            ``lambda individual: proxy.behaviour(individual).signature`` those that train alike count once.

    Raises:
        GaafError: a column is missing, or there is not a population for each row.
    """
    missing = [name for name in ("fitness", "size") if name not in logbook.chapters]
    if missing or not len(logbook):
        raise GaafError(
            f"a logbook must have rows, and chapters fitness and size with avg, std and max, got {len(logbook)} rows "
            f"and lacks {listed(missing) or 'none'}: use deap.tools.MultiStatistics(fitness=..., size=...)"
        )
    if populations is not None and len(populations) != len(logbook):
        raise GaafError(f"there must be a population for each of {len(logbook)} rows, got {len(populations)}")
    fitness, size = logbook.chapters["fitness"], logbook.chapters["size"]
    taken: list[Snapshot] = []
    for place, row in enumerate(logbook):
        evaluations = row.get("evaluations", row.get("nevals", 0) + (taken[-1].evaluations if taken else 0))
        best = row.get("best", max([fitness[place]["max"], *(earlier.best for earlier in taken[-1:])]))
        among = None if populations is None else _distinct(populations[place], identity)
        avg, std = float(fitness[place]["avg"]), float(fitness[place].get("std", 0.0))
        sizes = float(size[place]["avg"]), float(size[place].get("std", 0.0))
        taken.append(Snapshot(int(evaluations), float(best), avg, std, *sizes, among))
    return taken


def _distinct(population: Sequence[Evolved], identity: Callable[[Evolved], str] | None) -> float:
    names = {individual.canonical if identity is None else identity(individual) for individual in population}
    return len(names) / max(1, len(population))


@own_settings()
def plot_progress(
    runs: Sequence[Sequence[Snapshot]],
    ax: Axes | None = None,
    *,
    quantity: str = "fitness",
    baseline: float | None = None,
    style: Style = LIGHT,
) -> Axes:
    """Draw one quantity of a search over its evaluations.

    Fitness has two lines, the best so far and the middle of the population. Of one run that is the median, and a band
    reaches from the first to the third quartile of the population; where snapshots have no quartiles it is the mean
    with one standard deviation to either side, but never above the best. Of several runs lines are medians over the
    runs of their means, and bands reach from the first to the third quartile; a run that has ended keeps its last
    values.

    Args:
        runs: at least one, each as :func:`snapshots` returns it.
        ax: where to draw; a new figure by default.
        quantity: one of ``QUANTITIES``.
        baseline: accuracy of the plain sign (0 to 1), drawn as a dashed line beside fitness.
        style: the colours.

    Returns:
        The axes: evaluations, and the quantity.

    Raises:
        GaafError: for another quantity, no run, an empty one, or a diversity that is not known.
    """
    choice("quantity", quantity, QUANTITIES)
    if not runs or not all(runs):
        raise GaafError("progress is drawn of one or more runs with generations, got none: pass snapshots(logbook)")
    if quantity == "diversity" and any(snapshot.diversity is None for run in runs for snapshot in run):
        raise GaafError("diversity is known of runs whose populations were kept: pass them to snapshots")
    axes = new_axes(ax, style=style)
    names = {"fitness": ("best", "mean")}.get(quantity, (quantity,))
    alone = runs[0] if len(runs) == 1 else []
    middle_name = "median" if alone and all(snapshot.quartiles for snapshot in alone) else "mean"
    labels = {"best": "best so far", "mean": f"{middle_name} of the population"}
    factor = 1.0 if quantity == "size" else 100.0
    for name, colour in zip(names, style.lines, strict=False):
        x, rows = _aligned(runs, name)
        middle = factor * np.median(rows, axis=0)
        low, high = factor * np.quantile(rows, (0.25, 0.75), axis=0)
        if alone and name in SPREADS:
            low, middle, high = factor * np.array([getattr(snapshot, SPREADS[name]) for snapshot in alone]).T
        axes.step(x, middle, where="post", color=colour, linewidth=1.7, label=labels.get(name), gid=name)
        if (high > low).any():
            look: dict[str, Any] = {"color": colour, "alpha": 0.2, "linewidth": 0, "step": "post"}
            axes.fill_between(x, low, high, gid=f"{name} spread", **look)
    if quantity == "fitness" and baseline is not None:
        label = f"plain sign ({100 * baseline:.1f} %)"
        axes.axhline(100 * baseline, color=style.ink, linestyle="--", linewidth=1.2, label=label)
    axes.set(xlabel="evaluations", ylabel=QUANTITIES[quantity])
    if quantity == "diversity":
        axes.set_ylim(0, 105)
    if quantity == "fitness":
        add_legend(axes, style)
    return axes


@own_settings()
def plot_run(runs: Sequence[Sequence[Snapshot]], *, baseline: float | None = None, style: Style = LIGHT) -> list[Axes]:
    """Draw fitness, size and, where it is known, diversity below each other, as :func:`plot_progress` does.

    Returns:
        The axes, in a new figure.
    """
    all_known = all(snapshot.diversity is not None for run in runs for snapshot in run)
    shown = [name for name in QUANTITIES if all_known or name != "diversity"]
    figure = Figure(figsize=(6.4, 1.2 + 1.7 * len(shown)), layout="constrained", facecolor=style.paper)
    heights = [1.6 if name == "fitness" else 1.0 for name in shown]
    grid = figure.subplots(len(shown), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for ax, name in zip(grid, shown, strict=True):
        plot_progress(runs, ax, quantity=name, baseline=baseline, style=style)
        ax.set_xlabel("evaluations" if ax is grid[-1] else "")
    figure.align_ylabels(grid.tolist())
    return list(grid)


def _aligned(runs: Sequence[Sequence[Snapshot]], name: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return evaluations that all runs have begun by, and for each run (rows) its value after each of them."""
    places = [np.array([snapshot.evaluations for snapshot in run]) for run in runs]
    every = np.unique(np.concatenate(places))
    x = every[every >= max(run_places[0] for run_places in places)]
    rows = [
        np.array([getattr(snapshot, name) for snapshot in run], dtype=np.float64)[
            np.searchsorted(run_places, x, "right") - 1
        ]
        for run, run_places in zip(runs, places, strict=True)
    ]
    return x, np.array(rows)


class Judged(Protocol):
    """A candidate that was evaluated, such as a :class:`gaaf_gp.evaluation.Record`."""

    @property
    def accuracy(self) -> float:
        """Validation accuracy, 0 to 1."""

    @property
    def failure(self) -> str | None:
        """Why it failed."""


@own_settings()
def plot_history(
    records: Sequence[Judged], baseline: float | None = None, ax: Axes | None = None, *, style: Style = LIGHT
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
