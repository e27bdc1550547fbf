"""The figure of searches: medians as lines, two bands each, in per cent, and it can be written."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from gaaf_gp.errors import GaafError
from gaaf_gp.plots import save_figure
from gaaf_gp.plots.searches import LINES, plot_searches
from gaaf_gp.statistics import band

BANDS = {"paper": band([[0.1, 0.2, 0.4], [0.2, 0.3, 0.3], [0.3, 0.3, 0.5]]), "random": band([[0.1, 0.1, 0.2]])}


def test_lines_are_medians_and_bands_are_quantiles():
    axes = plot_searches(BANDS)
    assert [line.get_label() for line in axes.lines] == ["paper", "random"]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["paper", "random"]
    for line, spread in zip(axes.lines, BANDS.values(), strict=True):
        assert list(line.get_xdata()) == [1, 2, 3]
        np.testing.assert_allclose(line.get_ydata(), [100 * value for value in spread.median])
    outer, inner = axes.collections[0], axes.collections[1]
    for area, low, high in (
        (outer, BANDS["paper"].p5, BANDS["paper"].p95),
        (inner, BANDS["paper"].p25, BANDS["paper"].p75),
    ):
        points = area.get_paths()[0].vertices
        for place in range(3):
            heights = points[points[:, 0] == place + 1, 1].tolist()  # a step has the value before it there too
            assert any(height == pytest.approx(100 * low[place]) for height in heights)
            assert any(height == pytest.approx(100 * high[place]) for height in heights)
        assert points[:, 1].min() == pytest.approx(100 * min(low))
        assert points[:, 1].max() == pytest.approx(100 * max(high))
    assert axes.get_xscale() == "log"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("evaluations", "best validation accuracy so far (%)")


def test_it_draws_where_it_is_told_and_is_written(tmp_path):
    axes = Figure().add_subplot()
    assert plot_searches(BANDS, axes) is axes
    save_figure(axes, tmp_path / "searches.png")
    assert (tmp_path / "searches.png").stat().st_size > 5_000


def test_the_first_evaluations_may_be_left_out_of_sight():
    axes = plot_searches({"paper": BANDS["paper"]}, first=2)
    low, high = 100 * min(BANDS["paper"].p5[1:]), 100 * max(BANDS["paper"].p95)
    assert axes.get_xlim() == (2, 3)
    assert axes.get_ylim() == pytest.approx((low - 0.05 * (high - low), high + 0.05 * (high - low)))
    for wrong in (0, 4):
        with pytest.raises(GaafError, match=f"must be from 1 to 3, got {wrong}"):
            plot_searches({"paper": BANDS["paper"]}, first=wrong)


def test_the_colours_of_searches_differ():
    assert len(set(LINES)) == len(LINES)
    colours = {line.get_color() for line in plot_searches(BANDS).lines}
    assert len(colours) == 2


@pytest.mark.parametrize("number", [0, len(LINES) + 1])
def test_too_few_or_too_many_searches_are_refused(number):
    with pytest.raises(GaafError, match=f"shows 1 to {len(LINES)} of them, got {number}"):
        plot_searches({str(place): BANDS["random"] for place in range(number)})
