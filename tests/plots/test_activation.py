"""Pictures of functions: the lines are the response, bands end at its zeros, bars are the inputs, no text collides."""

from __future__ import annotations

import itertools
import math
import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from torch import nn

from gaaf_gp.activations.response import response
from gaaf_gp.binary import Surrogate
from gaaf_gp.errors import GaafError
from gaaf_gp.plots.activation import HIGHEST, SHARE, plot_activation, plot_activations
from gaaf_gp.plots.style import DARK, LIGHT
from gaaf_gp.trees.candidate import parse_candidate
from gaaf_gp.trees.compile import Activation
from gaaf_gp.trees.generation import gen_half_and_half
from gaaf_gp.trees.individual import Individual
from gaaf_gp.trees.parser import parse
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.types import Feature
from primitives.gaaf import free

PSET = free()


def line(axes: Axes, name: str) -> Line2D:
    (found,) = [one for one in axes.lines if one.get_gid() == name]
    return found


def area(axes: Axes, name: str) -> np.ndarray:
    (found,) = [one for one in axes.collections if isinstance(one, PolyCollection) and one.get_gid() == name]
    return np.asarray(found.get_paths()[0].vertices)


def bands(axes: Axes) -> list[tuple[float, float]]:
    spans = [patch for patch in axes.patches if isinstance(patch, Rectangle) and patch.get_gid() == "positive"]
    return [(span.get_x(), span.get_x() + span.get_width()) for span in spans]


def texts(axes: Axes) -> list[str]:
    figure = axes.figure.figure
    legend = axes.get_legend() or figure.legends[0]  # type: ignore[union-attr]
    return [text.get_text() for text in legend.get_texts()]


def check_texts(figure: Figure) -> None:
    """No title, axis or legend lies outside the figure or on another one."""
    figure.draw_without_rendering()
    shown = [thing for axes in figure.axes for thing in (axes.title, axes.xaxis.label) if thing.get_text()]
    boxes = [thing.get_window_extent() for thing in (*shown, *figure.legends)]
    for box in boxes:
        assert figure.bbox.x0 - 1 <= box.x0
        assert box.x1 <= figure.bbox.x1 + 1
        assert figure.bbox.y0 - 1 <= box.y0
        assert box.y1 <= figure.bbox.y1 + 1
    for a, b in itertools.combinations(boxes, 2):
        assert not (a.x0 < b.x1 and b.x0 < a.x1 and a.y0 < b.y1 and b.y0 < a.y1)


@pytest.mark.parametrize("text", ["sin(x)", "max(x, sin(x))", "gauss(x)", "cube(x)"])
def test_lines_are_the_response_and_bands_end_at_its_zeros(text: str) -> None:
    axes = plot_activation(parse(text, PSET))
    found = response(parse(text, PSET), np.asarray(line(axes, "values").get_xdata(), dtype=float))
    np.testing.assert_array_equal(line(axes, "values").get_ydata(), found.values[:, 0])
    np.testing.assert_array_equal(line(axes, "slope").get_ydata(), found.slope[:, 0])
    np.testing.assert_allclose(bands(axes), found.positive)
    assert axes.get_xlim() == (-4, 4) == (found.x[0], found.x[-1])
    assert axes.get_title() == parse(text, PSET).infix()
    assert axes.get_xlabel() == "x"
    assert texts(axes) == ["f(x)", "slope in training", "sign +1", "inputs, N(0, 1)", "window of f(x)"]


def test_bands_end_at_the_true_zeros() -> None:
    np.testing.assert_allclose(bands(plot_activation(parse("sin(x)", PSET))), [(-4, -math.pi), (0, math.pi)], atol=1e-7)


def test_a_line_breaks_at_a_pole_and_the_view_ends_somewhere() -> None:
    axes = plot_activation(parse("tan(x)", PSET))
    low, high = axes.get_ylim()
    assert -HIGHEST <= low < -1.3
    assert 1.3 < high <= HIGHEST
    y = np.asarray(line(axes, "values").get_ydata(), dtype=float)
    assert np.isnan(y).sum() == 2, "one for each pole"
    shown = [(a, b) for a, b in itertools.pairwise(y) if not math.isnan(a + b)]
    assert not any(min(a, b) < low and max(a, b) > high for a, b in shown), "no stroke crosses the view"


def test_the_window_is_marked_where_there_is_one() -> None:
    def edges(axes: Axes) -> list[float]:
        return sorted(float(np.asarray(one.get_ydata())[0]) for one in axes.lines if one.get_linestyle() == ":")

    function = parse("sin(x)", PSET)
    assert edges(plot_activation(function)) == [-1.3, 1.3]
    assert edges(plot_activation(function, surrogate=Surrogate("triangle", 0.5))) == [-0.5, 0.5]
    open_window = plot_activation(function, surrogate=Surrogate("swish", math.inf))
    assert edges(open_window) == []
    assert "window of f(x)" not in texts(open_window)


def test_inputs_are_the_normal_density_or_a_histogram() -> None:
    points = area(plot_activation(None), "inputs")
    curve = points[points[:, 1] > 0]
    np.testing.assert_allclose(curve[:, 1], SHARE * np.exp(-(curve[:, 0] ** 2) / 2), atol=1e-6)

    seen = np.concatenate([np.full(300, -1.5), np.full(100, 0.75), np.full(2, 2.9), [np.nan, np.inf]])
    axes = plot_activation(None, inputs=seen.reshape(2, -1).astype(np.float32))
    bars = area(axes, "inputs")
    height = {x: max(bars[np.abs(bars[:, 0] - x) < 0.06][:, 1]) for x in (-1.5, 0.75, 0.0)}
    assert height[-1.5] == pytest.approx(SHARE)
    assert height[0.75] == pytest.approx(SHARE / 3)
    assert height[0.0] == 0
    assert axes.get_xlim() == pytest.approx((-2.9, 2.9))
    assert "inputs of the layers" in texts(axes)


def test_inputs_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(GaafError, match="must have finite values, got 2 without one: measure again"):
        plot_activation(None, inputs=np.array([np.nan, np.inf]))


def test_a_trained_function_has_bands_over_its_channels() -> None:
    module = Activation(parse("scale(x)", PSET), 101)
    with torch.no_grad():
        module.s0.copy_(torch.linspace(0.5, 1.5, 101))
    axes = plot_activation(module)
    x = np.asarray(line(axes, "values").get_xdata(), dtype=float)
    np.testing.assert_allclose(np.asarray(line(axes, "values").get_ydata(), dtype=float), x, atol=1e-6)
    edge = area(axes, "values of channels")
    at_two = edge[np.abs(edge[:, 0] - 2) < 1e-9][:, 1]
    np.testing.assert_allclose([at_two.min(), at_two.max()], [2 * 0.55, 2 * 1.45], atol=1e-6)
    slopes = area(axes, "slope of channels")
    at_one = slopes[np.abs(slopes[:, 0] - 0.4) < 1e-9][:, 1]
    np.testing.assert_allclose([at_one.min(), at_one.max()], [0.55, 1.45], atol=1e-6)
    assert "5 to 95 % of channels" in texts(axes)


def test_an_untrained_function_has_no_band() -> None:
    axes = plot_activation(parse("scale(x)", PSET))
    assert [one.get_gid() for one in axes.collections] == ["inputs"]


def test_of_two_trees_both_are_drawn() -> None:
    axes = plot_activation(parse_candidate("sin(x) | x", PSET))
    x = np.asarray(line(axes, "backward").get_xdata(), dtype=float)
    np.testing.assert_array_equal(line(axes, "backward").get_ydata(), x)
    assert line(axes, "backward").get_linestyle() == "--"
    slope = np.asarray(line(axes, "slope").get_ydata(), dtype=float)
    np.testing.assert_array_equal(slope, np.abs(x) <= 1.3)
    assert "g(x), backward" in texts(axes)
    assert axes.get_title() == "forward: sin(x); backward: x"


def test_several_functions_have_one_scale_one_legend_and_a_panel_each() -> None:
    names = ["sin(x)", "tan(x)", "cube(x)", "scale(x)", "gauss(x)"]
    axes = plot_activations([parse(name, PSET) for name in names], columns=3)
    figure = axes[0].figure.figure
    assert isinstance(figure, Figure)
    assert [one.get_title() for one in axes] == [parse(name, PSET).infix() for name in names]
    assert figure.axes == axes, "an empty place has no axes"
    assert {one.get_xlim() for one in axes} == {(-4.0, 4.0)}
    assert len({one.get_ylim() for one in axes}) == 1
    assert [one.get_xlabel() for one in axes] == ["", "", "x", "x", "x"], "below others, or the last row ends early"
    assert len(figure.legends) == 1
    check_texts(figure)
    rows = {round(one.get_position().y0, 3) for one in axes}
    assert len(rows) == 2


def test_inputs_of_each_function_or_of_all() -> None:
    one, other = np.full(10, 1.0), np.full(10, 5.0)
    first, second, third = plot_activations([None] * 3, inputs=[one, other, None])
    assert first.get_xlim() == second.get_xlim() == third.get_xlim() == (-5.0, 5.0)
    peaks = [area(axes, "inputs")[np.argmax(area(axes, "inputs")[:, 1]), 0] for axes in (first, second, third)]
    np.testing.assert_allclose(peaks, [1, 5, 0], atol=0.2)
    both = plot_activations([None, None], inputs=one)
    np.testing.assert_array_equal(*(area(axes, "inputs") for axes in both))
    with pytest.raises(GaafError, match="inputs for each of 2 functions, got 1: or pass one"):
        plot_activations([None, None], inputs=[one])
    with pytest.raises(GaafError, match="at least one, got none"):
        plot_activations([])


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=6))
@settings(max_examples=4, deadline=None)
def test_texts_of_any_functions_do_not_collide(seeds: list[int]) -> None:
    drawn = [Individual(gen_half_and_half(PSET, 0, 6, rng=random.Random(seed), max_size=40), PSET) for seed in seeds]
    figure = plot_activations(drawn)[0].figure.figure
    assert isinstance(figure, Figure)
    check_texts(figure)


def test_a_function_that_is_nowhere_a_number_has_a_picture() -> None:
    pset = PrimitiveSet()
    pset.addPrimitive(
        lambda x: torch.sqrt(-1 - x * x), [Feature], Feature, "imaginary", nonfinite=("value", "gradient")
    )
    axes = plot_activation(parse("imaginary(x)", pset))
    assert bands(axes) == []
    assert np.isnan(np.asarray(line(axes, "values").get_ydata(), dtype=float)).all()


def test_in_given_axes_and_in_the_dark() -> None:
    figure = Figure(figsize=(9, 4), layout="constrained", facecolor=DARK.paper)
    left, right = figure.subplots(1, 2)
    assert plot_activation(None, left, style=DARK) is left
    plot_activation(nn.Identity(), right, style=DARK)
    assert to_hex(left.get_facecolor()).upper() == DARK.paper
    assert line(left, "values").get_color() == DARK.lines[0] != LIGHT.lines[0]
    assert texts(left) == texts(right)
    figure.draw_without_rendering()
    for axes in (left, right):
        legend = axes.get_legend()
        assert legend is not None
        assert legend.get_window_extent().y1 < axes.bbox.y0
        assert legend.get_window_extent().y0 >= figure.bbox.y0 - 1
