"""The use of primitives: shares counted by hand, periodic operators marked and on top."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from matplotlib.figure import Figure

from gaaf_gp.errors import GaafError
from gaaf_gp.plots.primitives import WAVE, plot_primitive_use, primitive_use
from gaaf_gp.trees.candidate import parse_candidate
from gaaf_gp.trees.parser import parse
from primitives.gaaf import free
from primitives.template import make_pset as template

PSET = free()
TEXTS = [["sin(sin(x))", "add(x, x)"], ["add(sin(x), x)", "mul(x, const(0.5))"], ["add(x, x)", "mul(x, tan(x))"]]
POPULATIONS = [[parse(text, PSET) for text in texts] for texts in TEXTS]


def test_shares_are_counted_once_for_each_individual() -> None:
    assert primitive_use(POPULATIONS) == {
        "add": [0.5, 0.5, 0.5], "const": [0, 0.5, 0], "mul": [0, 0.5, 0.5], "sin": [0.5, 0.5, 0], "tan": [0, 0, 0.5],
    }  # fmt: skip


def test_two_trees_count_together_and_learnable_terminals_too() -> None:
    pair = parse_candidate("sin(x) | mul(x, x)", PSET)
    assert primitive_use([[pair, parse("sin(x)", PSET)]]) == {"mul": [0.5], "sin": [1.0]}  # type: ignore[list-item]
    pset = template()
    learnable = next(name for name, traits in pset.traits.items() if traits.learnable and name not in pset.context)
    node = pset.mapping[learnable]
    text = next(
        f"{primitive.name}({', '.join(learnable if arg is node.ret else 'x' for arg in primitive.args)})"
        for primitives in pset.primitives.values()
        for primitive in primitives
        if node.ret in primitive.args and all(arg in (node.ret, pset.ins[0]) for arg in primitive.args)
        and primitive.ret is pset.ret
    )  # fmt: skip
    assert learnable in primitive_use([[parse(text, pset)]])


def test_the_image_has_a_row_for_each_primitive() -> None:
    axes = plot_primitive_use(POPULATIONS)
    (image,) = axes.images
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == [f"{WAVE}sin", f"{WAVE}tan", "add", "mul", "const"]
    use = primitive_use(POPULATIONS)
    expected = [[100 * share for share in use[label.removeprefix(WAVE)]] for label in labels]
    np.testing.assert_allclose(np.asarray(image.get_array()), expected)
    assert image.get_clim() == (0, 100)
    weights = [label.get_fontweight() for label in axes.get_yticklabels()]
    assert weights == ["bold", "bold", "normal", "normal", "normal"]
    assert axes.get_xlabel() == "generation (∿ periodic)"
    assert [tick for tick in axes.get_xticks() if 0 <= tick <= 2] == [0, 1, 2]


def test_without_periodic_operators_nothing_is_said_of_them() -> None:
    axes = plot_primitive_use([[parse("add(x, x)", PSET)]])
    assert axes.get_xlabel() == "generation"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["add"]
    (image,) = axes.images
    assert np.asarray(image.get_array()).tolist() == [[100.0]]


def test_only_the_most_used_are_shown_and_every_text_is_in_the_figure() -> None:
    axes = plot_primitive_use(POPULATIONS, most=3)
    assert [label.get_text() for label in axes.get_yticklabels()] == [f"{WAVE}sin", "add", "mul"]
    many = "gauss_distance(exp_distance(signed_sqrt(x), log_abs(x)), add(tan(x), mul(cos(x), sigmoid(x))))"
    figure = plot_primitive_use([[parse(many, PSET)]]).figure
    assert isinstance(figure, Figure)
    figure.draw_without_rendering()
    axes, bar = figure.axes
    for label in (*axes.get_yticklabels(), axes.xaxis.label, bar.yaxis.label):
        box = label.get_window_extent()
        assert figure.bbox.x0 <= box.x0 <= box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 <= box.y1 <= figure.bbox.y1
    boxes = [label.get_window_extent() for label in axes.get_yticklabels()]
    assert all(above.y0 >= below.y1 for above, below in itertools.pairwise(boxes))


def test_trees_of_x_alone_use_nothing_and_are_refused() -> None:
    with pytest.raises(GaafError, match="no primitive"):
        plot_primitive_use([[parse("x", PSET)]])


@pytest.mark.parametrize("populations", [[], [[]], [[parse("x", PSET)], []]])
def test_empty_populations_are_refused(populations: list[list[object]]) -> None:
    with pytest.raises(GaafError, match="one or more populations with individuals, got none"):
        plot_primitive_use(populations)  # type: ignore[arg-type]
    with pytest.raises(GaafError, match="most must be a whole number of at least 1, got 0"):
        plot_primitive_use(POPULATIONS, most=0)
