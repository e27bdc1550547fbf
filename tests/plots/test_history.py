"""The history of a search: every record is in view, failures do not stretch it, and no text is clipped."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import BboxBase

from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation.records import Record
from gaaf_gp.plots.progress import plot_history


def figure_of(axes: Axes) -> Figure:
    figure = axes.figure
    assert isinstance(figure, Figure)
    return figure


def overlap(first: BboxBase, second: BboxBase) -> bool:
    return bool(first.x0 < second.x1 and second.x0 < first.x1 and first.y0 < second.y1 and second.y0 < first.y1)


def within(inner: BboxBase, outer: BboxBase) -> bool:
    return bool(outer.x0 <= inner.x0 and inner.x1 <= outer.x1 and outer.y0 <= inner.y0 and inner.y1 <= outer.y1)


def run(*accuracies: float | None) -> list[Record]:
    """Return records with these accuracies; None failed."""
    return [
        Record(f"f{place}", 0.0, (), "not finite") if value is None else Record(f"f{place}", value, (), None)
        for place, value in enumerate(accuracies)
    ]


def legend_of(axes: Axes) -> list[str]:
    legend = axes.get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def test_history_has_dots_crosses_best_and_baseline() -> None:
    axes = plot_history(run(None, 0.40, 0.35, None, 0.45, 0.41), baseline=0.411)
    dots, crosses = axes.collections
    best, sign = axes.lines
    np.testing.assert_allclose(np.asarray(dots.get_offsets(), dtype=float), [[2, 40], [3, 35], [5, 45], [6, 41]])
    np.testing.assert_array_equal(np.asarray(crosses.get_offsets())[:, 0], [1, 4])
    np.testing.assert_allclose(np.asarray(best.get_xdata(), dtype=float), [2, 3, 5, 6, 6.5])
    np.testing.assert_allclose(np.asarray(best.get_ydata(), dtype=float), [40, 40, 45, 45, 45])
    assert best.get_drawstyle() == "steps-post"
    np.testing.assert_allclose(np.asarray(sign.get_ydata(), dtype=float), [41.1, 41.1])
    assert sign.get_linestyle() == "--"
    assert legend_of(axes) == ["candidate", "best so far (45.0 %)", "failed (2)", "plain sign (41.1 %)"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("candidates evaluated", "validation accuracy (%)")


def test_history_failures_lie_below_all_dots_and_do_not_stretch_the_axis() -> None:
    axes = plot_history(run(0.40, None, 0.44))
    low, high = axes.get_ylim()
    assert 38 < low < 40
    assert 44 < high < 46
    figure_of(axes).draw_without_rendering()
    dots, crosses = axes.collections
    (lowest, _), (cross,) = (
        sorted(c.get_offset_transform().transform(np.asarray(c.get_offsets()))[:, 1]) for c in (dots, crosses)
    )
    assert axes.bbox.y0 < cross < axes.bbox.y0 + 0.05 * axes.bbox.height
    assert lowest - cross > 0.03 * axes.bbox.height


def test_history_of_one_record() -> None:
    axes = plot_history(run(0.4))
    low, high = axes.get_ylim()
    assert high - low >= 1
    assert low < 40 < high
    left, right = axes.get_xlim()
    assert [tick for tick in axes.get_xticks() if left <= tick <= right] == [1]
    assert legend_of(axes) == ["candidate", "best so far (40.0 %)"]


def test_history_of_only_failures() -> None:
    axes = plot_history(run(None, None))
    assert legend_of(axes) == ["failed (2)"]
    assert not axes.lines
    low, high = axes.get_ylim()
    assert low < 0
    assert high > 100
    assert legend_of(plot_history(run(None), baseline=0.4)) == ["failed (1)", "plain sign (40.0 %)"]


def test_history_baseline_is_always_in_view() -> None:
    for baseline in (0.0, 0.2, 0.9, 1.0):
        low, high = plot_history(run(0.4, 0.5), baseline=baseline).get_ylim()
        assert low < 100 * baseline < high


@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), min_size=1, max_size=40))
@settings(max_examples=15, deadline=None)
def test_history_every_record_is_in_view(accuracies: list[float | None]) -> None:
    axes = plot_history(run(*accuracies))
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    assert left < 1 <= len(accuracies) < right
    scored = [100 * value for value in accuracies if value is not None]
    assert all(low < value < high for value in scored)
    assert sum(len(np.asarray(c.get_offsets())) for c in axes.collections) == len(accuracies)
    if scored:
        assert max(np.asarray(axes.lines[0].get_ydata())) == max(scored)


def test_history_in_given_axes() -> None:
    axes = Figure().subplots(1, 2)[0]
    assert plot_history(run(0.4), ax=axes) is axes


def test_history_texts_stay_in_the_figure() -> None:
    axes = plot_history(run(*[0.3 + 0.003 * place for place in range(50)], None), baseline=0.4)
    figure = figure_of(axes)
    figure.draw_without_rendering()
    legend = axes.get_legend()
    assert legend is not None
    for thing in (legend, axes.xaxis.label, axes.yaxis.label):
        assert within(thing.get_window_extent(), figure.bbox)
    assert not overlap(legend.get_window_extent(), axes.bbox.padded(-0.5))


def test_history_refuses_an_empty_history() -> None:
    with pytest.raises(GaafError, match="at least one evaluated candidate, got none: pass the records"):
        plot_history([])


@pytest.mark.parametrize("baseline", [41.1, -0.1, math.nan])
def test_history_refuses_a_baseline_that_is_no_accuracy(baseline: float) -> None:
    with pytest.raises(GaafError, match=rf"from 0 to 1, got {baseline!r}: divide per cent by 100"):
        plot_history(run(0.4), baseline=baseline)
