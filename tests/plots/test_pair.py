"""Two trees in one figure: beside each other, each labelled, neither outside."""

import pytest
from matplotlib.figure import Figure

from gaaf_gp.plots import save_figure
from gaaf_gp.plots.tree import LABELS, plot_evolved
from gaaf_gp.trees.candidate import parse_candidate


@pytest.mark.parametrize("text", ["sin(x) | x", "mix(sin(x), scale(add(x, cos(x)))) | mul(cube(x), gauss(x))", "x | x"])
def test_two_trees_stand_beside_each_other(free, text):
    pair = parse_candidate(text, free)
    figure = plot_evolved(pair).figure
    assert isinstance(figure, Figure)
    left, right = figure.axes
    assert left.get_position().x1 <= right.get_position().x0
    for axes, tree in ((left, pair.forward), (right, pair.backward)):
        assert axes.get_title().replace("\n", " ") == tree.infix()
        assert len(axes.patches) == tree.size
        box = axes.get_position()
        assert min(box.x0, box.y0) >= -1e-9
        assert max(box.x1, box.y1) <= 1 + 1e-9
    shown = {one.get_text(): one.get_position() for one in figure.texts}
    assert tuple(shown) == LABELS
    assert shown[LABELS[0]][0] == pytest.approx(left.get_position().x0 + left.get_position().width / 2)
    assert all(y > axes.get_position().y1 - 1e-9 for (_, y), axes in zip(shown.values(), (left, right), strict=True))


def test_one_tree_is_drawn_as_ever(free):
    axes = plot_evolved(parse_candidate("sin(x)", free))
    assert axes.figure.axes == [axes]
    assert axes.get_title() == "sin(x)"


def test_the_figure_can_be_written(free, tmp_path):
    save_figure(plot_evolved(parse_candidate("sin(x) | cube(x)", free)), tmp_path / "pair.png")
    assert (tmp_path / "pair.png").read_bytes().startswith(b"\x89PNG")
