"""Two judgements of the same functions: points in per cent, and a tau counted by hand in the title."""

import itertools

import numpy as np
import pytest
from matplotlib.figure import Figure

from gaaf_gp.errors import GaafError
from gaaf_gp.plots.learning import plot_fidelities

FIRST = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
SECOND = [0.2, 0.1, 0.3, 0.5, 0.4, 0.6]


def test_points_are_the_accuracies_and_the_title_has_tau():
    axes = plot_fidelities(FIRST, SECOND, names=("1 epoch", "10 epochs"))
    (points,) = axes.collections
    np.testing.assert_allclose(np.asarray(points.get_offsets()), np.transpose([FIRST, SECOND]) * 100)
    pairs = list(itertools.combinations(range(6), 2))
    agree = sum((FIRST[a] - FIRST[b]) * (SECOND[a] - SECOND[b]) > 0 for a, b in pairs)
    tau = (2 * agree - len(pairs)) / len(pairs)
    assert axes.get_title().startswith(f"6 functions: Kendall's tau {tau:.2f}\n(95 % interval ")
    assert axes.get_xlabel() == "accuracy, 1 epoch (%)"
    assert axes.get_ylabel() == "accuracy, 10 epochs (%)"


def test_it_draws_where_it_is_told_and_its_title_is_in_the_figure():
    axes = Figure().add_subplot()
    assert plot_fidelities(FIRST, SECOND, axes) is axes
    figure = plot_fidelities(FIRST, SECOND).figure
    figure.draw_without_rendering()
    box = figure.axes[0].title.get_window_extent()
    assert figure.bbox.x0 <= box.x0
    assert box.x1 <= figure.bbox.x1
    assert box.y1 <= figure.bbox.y1


def test_what_has_no_ranking_is_refused():
    with pytest.raises(GaafError, match="leave failed candidates out"):
        plot_fidelities(FIRST, [0.5] * 6)
    with pytest.raises(GaafError, match="two values of each of three or more candidates"):
        plot_fidelities(FIRST, SECOND[:5])
