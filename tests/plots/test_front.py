"""The Pareto front against its definition and DEAP's own; its names stand apart, in sight and beside the axes."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from deap import base, tools
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text

from gaaf_gp.errors import GaafError
from gaaf_gp.plots.front import LABEL_WIDTH, plot_front
from gaaf_gp.plots.style import LEGEND_POINTS, text_width
from gaaf_gp.statistics import pareto_front

POINTS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 20)), min_size=1, max_size=60)


def names(axes: Axes) -> list[Annotation]:
    return [one for one in axes.texts if isinstance(one, Annotation)]


@given(POINTS)
def test_front_by_its_definition(points: list[tuple[int, int]]) -> None:
    costs, accuracies = ([float(value) for value in values] for values in zip(*points, strict=True))
    front = pareto_front(costs, accuracies)
    assert [costs[place] for place in front] == sorted({costs[place] for place in front})
    assert [accuracies[place] for place in front] == sorted({accuracies[place] for place in front})
    for cost, accuracy in points:
        beaten = any(
            other_cost <= cost and other >= accuracy and (other_cost, other) != (cost, accuracy)
            for other_cost, other in points
        )
        on_front = any((costs[place], accuracies[place]) == (cost, accuracy) for place in front)
        assert on_front != beaten


class TwoGoals(base.Fitness):  # type: ignore[misc]
    """Cost as low, accuracy as high as can be."""

    weights = (-1.0, 1.0)


class Point:
    """What DEAP sorts."""

    def __init__(self, values: tuple[int, int]) -> None:
        self.fitness = TwoGoals(values)


@given(POINTS)
@settings(max_examples=30)
def test_front_is_that_of_deap(points: list[tuple[int, int]]) -> None:
    individuals = [Point(values) for values in points]
    first = tools.sortNondominated(individuals, len(individuals), first_front_only=True)[0]
    ours = pareto_front(*([float(value) for value in values] for values in zip(*points, strict=True)))
    assert {one.fitness.values for one in first} == {points[place] for place in ours}


def test_points_and_names_are_where_they_belong() -> None:
    formulas, costs, accuracies = ["x", "sin(x)", "x^3", "max(x, sin(x))"], [0, 4, 2, 5], [0.5, 0.6, 0.4, 0.7]
    axes = plot_front(formulas, costs, accuracies)
    rest, front = axes.collections
    assert np.asarray(rest.get_offsets()).tolist() == [[2, 40]]
    np.testing.assert_allclose(np.asarray(front.get_offsets()), [[0, 50], [4, 60], [5, 70]])
    (steps,) = axes.lines
    assert steps.get_drawstyle() == "steps-post"
    assert [one.get_text() for one in names(axes)] == ["x", "sin(x)", "max(x, sin(x))"]
    assert [tuple(one.xy) for one in names(axes)] == [(0, 50), (4, 60), (5, 70)]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("cost (additions per element)", "accuracy (%)")
    assert plot_front(["x"], [1], [0.5], cost="nodes").get_xlabel() == "nodes"


def check_names(axes: Axes) -> None:
    figure = axes.figure
    assert isinstance(figure, Figure)
    figure.draw_without_rendering()
    texts = [Text.get_window_extent(one) for one in names(axes)]  # without the line to the point
    assert texts
    for text in texts:
        assert text.x0 > axes.bbox.x1, "beside the axes, where no point is"
        assert text.x1 <= figure.bbox.x1 + 1
        assert figure.bbox.y0 <= text.y0 <= text.y1 <= figure.bbox.y1
    for first, second in itertools.combinations(texts, 2):
        assert first.y1 <= second.y0 or second.y1 <= first.y0


@pytest.mark.parametrize("number", [1, 2, 8, 40])
@pytest.mark.parametrize("near", [False, True])
def test_names_stand_apart_in_the_figure(number: int, near: bool) -> None:
    accuracies = [0.5 + 0.4 * (place / 1000 if near else place / number) for place in range(number)]
    formulas = [f"{'max(' * place}x + sin(x){')' * place}" for place in range(number)]
    axes = plot_front([*formulas, "bad"], [*range(number), 5], [*accuracies, 0.1])
    check_names(axes)
    shown = [one.get_text() for one in names(axes)]
    assert shown[0] == formulas[0]
    assert shown[-1].rstrip("…") == formulas[-1][: len(shown[-1].rstrip("…"))]
    assert all(text_width(text, LEGEND_POINTS) <= LABEL_WIDTH for text in shown)
    assert len(shown) == number or number == 40


def test_names_rise_with_their_points() -> None:
    axes = plot_front([str(place) for place in range(10)], [*range(10)], [0.5 + 0.001 * place for place in range(10)])
    heights = [one.get_position()[1] for one in names(axes)]
    assert heights == sorted(heights)
    assert min(heights) >= 0
    assert max(heights) <= 1


@pytest.mark.parametrize(
    ("formulas", "costs", "accuracies", "message"),
    [
        ([], [], [], "must have a formula, a cost and an accuracy, got 0, 0 and 0"),
        (["x"], [1, 2], [0.5], "got 1, 2 and 1: pass one or more of each"),
        (["x"], [math.inf], [0.5], "must be finite numbers: leave failed functions out"),
        (["x"], [1], [math.nan], "must be finite numbers"),
    ],
)
def test_what_is_no_point_is_refused(
    formulas: list[str], costs: list[float], accuracies: list[float], message: str
) -> None:
    with pytest.raises(GaafError, match=message):
        plot_front(formulas, costs, accuracies)
