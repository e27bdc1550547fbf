"""Progress: numbers of real logbooks, ours and DEAP's; medians, quartiles and deviations worked out by numpy."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from deap import algorithms, tools
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from gaaf_gp.errors import GaafError
from gaaf_gp.plots.progress import QUANTITIES, Snapshot, plot_progress, plot_run, quartiles, snapshots
from gaaf_gp.search.evolve import evolve
from gaaf_gp.search.toolbox import make_toolbox
from gaaf_gp.trees.pset import PrimitiveSet


def steps(axes: Axes, name: str) -> dict[float, float]:
    (line,) = [one for one in axes.lines if one.get_gid() == name]
    assert line.get_drawstyle() == "steps-post"
    x, y = (np.asarray(values, dtype=float).tolist() for values in line.get_data())
    return dict(zip(x, y, strict=True))


def spread(axes: Axes, name: str, x: float) -> tuple[float, float]:
    """The band at x and just behind it."""
    (band,) = [one for one in axes.collections if one.get_gid() == f"{name} spread"]
    assert isinstance(band, PolyCollection)
    points = np.asarray(band.get_paths()[0].vertices)
    here = points[points[:, 0] == x, 1]
    return float(here.min()), float(here.max())


RUN = [Snapshot(10, 0.4, 0.2, 0.05, 4.0, 1.0, 1.0), Snapshot(20, 0.5, 0.3, 0.1, 6.0, 2.0, 0.5)]
OTHERS = [
    [Snapshot(10, 0.2, 0.1, 0, 5.0), Snapshot(25, 0.6, 0.2, 0, 7.0)],
    [Snapshot(12, 0.3, 0.3, 0, 6.0), Snapshot(20, 0.3, 0.3, 0, 9.0), Snapshot(40, 0.9, 0.3, 0, 9.0)],
]


def test_one_run_has_its_values_and_its_deviations() -> None:
    axes = plot_progress([RUN], baseline=0.35)
    assert steps(axes, "best") == {10: 40, 20: 50}
    assert steps(axes, "mean") == {10: 20, 20: 30}
    assert spread(axes, "mean", 20) == pytest.approx((15, 40)), "a step has the value before it there too"
    assert [line.get_label() for line in axes.lines][-1] == "plain sign (35.0 %)"
    assert {one.get_gid() for one in axes.collections} == {"mean spread"}
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("evaluations", "validation accuracy (%)")

    size = plot_progress([RUN], quantity="size")
    assert steps(size, "size") == {10: 4, 20: 6}
    assert spread(size, "size", 10) == pytest.approx((3, 5))
    diversity = plot_progress([RUN], quantity="diversity")
    assert steps(diversity, "diversity") == {10: 100, 20: 50}
    assert diversity.get_ylim() == (0, 105)
    assert not diversity.collections


def test_several_runs_have_medians_and_quartiles_at_their_common_evaluations() -> None:
    runs = [RUN, *OTHERS]
    axes = plot_progress(runs)
    bests = {12: [0.4, 0.2, 0.3], 20: [0.5, 0.2, 0.3], 25: [0.5, 0.6, 0.3], 40: [0.5, 0.6, 0.9]}
    assert steps(axes, "best") == pytest.approx({x: 100 * float(np.median(values)) for x, values in bests.items()})
    low, high = np.quantile([bests[25], bests[40]], (0.25, 0.75), axis=1) * 100
    assert spread(axes, "best", 40) == pytest.approx((low.min(), high.max()))
    sizes = plot_progress(runs, quantity="size")
    assert steps(sizes, "size") == pytest.approx({12: 5, 20: 6, 25: 7, 40: 7})


def test_one_run_shows_the_quartiles_of_its_population() -> None:
    values, sizes = [0.1, 0.2, 0.4, 0.9], [3.0, 5.0, 5.0, 31.0]
    kept = Snapshot(10, 0.9, 0.4, 0.3, 11.0, 11.6, 1.0, quartiles(values), quartiles(sizes))
    axes = plot_progress([[kept, replace(kept, evaluations=20)]])
    assert steps(axes, "mean") == pytest.approx({10: 30.0, 20: 30.0}), "the median"
    assert spread(axes, "mean", 20) == pytest.approx((17.5, 52.5))
    legend = axes.get_legend()
    assert legend is not None
    assert [one.get_text() for one in legend.get_texts()] == ["best so far", "median of the population"]
    nodes = plot_progress([[kept, replace(kept, evaluations=20)]], quantity="size")
    assert steps(nodes, "size") == pytest.approx({10: 5.0, 20: 5.0})
    assert spread(nodes, "size", 20) == pytest.approx((4.5, 11.5))


def test_a_deviation_reaches_neither_above_the_best_nor_below_one_node() -> None:
    wide = Snapshot(10, 0.5, 0.45, 0.2, 2.0, 3.0)
    assert spread(plot_progress([[wide, replace(wide, evaluations=20)]]), "mean", 20) == pytest.approx((25, 50))
    axes = plot_progress([[wide, replace(wide, evaluations=20)]], quantity="size")
    assert spread(axes, "size", 20) == pytest.approx((1, 5))


def test_panels_below_each_other_show_what_is_known() -> None:
    every, without = plot_run([RUN]), plot_run(OTHERS, baseline=0.4)
    assert [one.get_ylabel() for one in every] == list(QUANTITIES.values())
    assert [one.get_ylabel() for one in without] == list(QUANTITIES.values())[:2]
    assert [one.get_xlabel() for one in every] == ["", "", "evaluations"]
    for axes in (every, without):
        figure = axes[0].figure
        assert isinstance(figure, Figure)
        figure.draw_without_rendering()
        labels = [one.yaxis.label.get_window_extent() for one in axes]
        assert all(above.y0 > below.y1 for above, below in itertools.pairwise(labels))
        assert all(figure.bbox.x0 <= label.x0 for label in labels)
        legend = axes[0].get_legend()
        assert legend is not None
        assert legend.get_window_extent().y0 >= axes[0].bbox.y1 - 1


@pytest.fixture(scope="module")
def search(forced_module: PrimitiveSet, stub: Any) -> tuple[Any, list[list[Any]]]:
    populations: list[list[Any]] = []
    found = evolve(
        forced_module,
        stub,
        evaluations=16,
        population_size=6,
        on_generation=lambda now: populations.append(list(now.population)),
    )
    return found, populations


@pytest.fixture(scope="module")
def forced_module(forced: PrimitiveSet) -> PrimitiveSet:
    return forced


@pytest.fixture(scope="module")
def stub() -> Any:
    return lambda individual: sum(map(ord, str(individual))) % 97 / 100


def test_snapshots_of_our_own_loop(search: tuple[Any, list[list[Any]]]) -> None:
    found, populations = search
    made = snapshots(found.logbook, populations)
    assert [one.evaluations for one in made] == found.logbook.select("evaluations")
    assert [one.best for one in made] == found.logbook.select("best")
    values = [[one.fitness.values[0] for one in population] for population in populations]
    np.testing.assert_allclose([one.mean for one in made], [np.mean(row) for row in values])
    np.testing.assert_allclose([one.deviation for one in made], [np.std(row) for row in values])
    assert [one.size for one in made] == [5.0] * len(made)
    assert [one.diversity for one in made] == [
        len({one.canonical for one in population}) / len(population) for population in populations
    ]
    by_root = snapshots(found.logbook, populations, lambda one: one[0].name)
    assert [one.diversity for one in by_root] == [
        len({one[0].name for one in population}) / len(population) for population in populations
    ]
    assert steps(plot_progress([made]), "best")[made[-1].evaluations] == pytest.approx(100 * found.logbook[-1]["best"])


def test_snapshots_of_deaps_own_loop(forced: PrimitiveSet, make_stub: Any) -> None:
    from gaaf_gp.evaluation.evaluator import Evaluator

    with Evaluator(make_stub(), forced) as evaluator:
        toolbox = make_toolbox(forced, evaluator)
        statistics = tools.MultiStatistics(
            fitness=tools.Statistics(lambda one: one.fitness.values[0]), size=tools.Statistics(len)
        )
        for name, function in (("avg", np.mean), ("max", np.max)):
            statistics.register(name, function)
        random.seed(2)
        _, logbook = algorithms.eaSimple(toolbox.population(n=8), toolbox, 0.5, 0.5, 5, stats=statistics, verbose=False)
    made = snapshots(logbook)
    assert [one.evaluations for one in made] == np.cumsum(logbook.select("nevals")).tolist()
    highest = np.maximum.accumulate(logbook.chapters["fitness"].select("max"))
    np.testing.assert_allclose([one.best for one in made], highest)
    np.testing.assert_allclose([one.mean for one in made], logbook.chapters["fitness"].select("avg"))
    assert {one.deviation for one in made} == {0.0}
    assert {one.diversity for one in made} == {None}


def test_what_cannot_be_drawn_is_refused(search: tuple[Any, list[list[Any]]]) -> None:
    found, populations = search
    with pytest.raises(GaafError, match=f"a population for each of {len(populations)} rows, got 1"):
        snapshots(found.logbook, populations[:1])
    with pytest.raises(GaafError, match=r"got 0 rows and lacks fitness, size: use deap\.tools"):
        snapshots(tools.Logbook())
    with pytest.raises(GaafError, match="quantity must be one of fitness, size, diversity, got 'cost'"):
        plot_progress([RUN], quantity="cost")
    for empty in ([], [[]]):
        with pytest.raises(GaafError, match="one or more runs with generations, got none"):
            plot_progress(empty)
    with pytest.raises(GaafError, match="diversity is known of runs whose populations were kept"):
        plot_progress(OTHERS, quantity="diversity")


def test_in_given_axes() -> None:
    axes = Figure().add_subplot()
    assert plot_progress([RUN], axes) is axes


def test_the_best_of_deaps_logbook_is_the_best_so_far() -> None:
    logbook = tools.Logbook()
    for number, best in enumerate([0.9, 0.5, 0.95, 0.1]):
        logbook.record(
            gen=number,
            nevals=4,
            fitness={"avg": best / 2, "std": 0.1, "max": best},
            size={"avg": 3, "std": 1, "max": 5},
        )
    assert [one.best for one in snapshots(logbook)] == [0.9, 0.9, 0.95, 0.95]
    assert [one.evaluations for one in snapshots(logbook)] == [4, 8, 12, 16]
    assert [one.mean for one in snapshots(logbook)] == [0.45, 0.25, 0.475, 0.05]
