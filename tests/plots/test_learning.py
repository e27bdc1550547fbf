"""Learning curves: a thin line for each training, a thick one for their mean, dashes for baselines."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from gaaf_gp.errors import GaafError
from gaaf_gp.plots.learning import curves_of, plot_learning_curves
from gaaf_gp.plots.style import LIGHT
from gaaf_gp.training.outcome import Epoch
from gaaf_gp.training.retraining.result import TrainingResult

CURVES = {"sin": [[0.1, 0.3, 0.5], [0.2, 0.5, 0.6, 0.7]], "sign": [[0.1, 0.2, 0.3]]}
DATA = Path(__file__).resolve().parents[2] / "docs" / "data" / "top15_cifar10_jpeg.jsonl.gz"


def test_lines_are_trainings_and_their_means() -> None:
    axes = plot_learning_curves(CURVES, baselines=["sign"])
    thin = [line for line in axes.lines if line.get_gid() is None]
    thick = {line.get_gid(): line for line in axes.lines if line.get_gid() is not None}
    assert [np.asarray(line.get_xdata()).tolist() for line in thin] == [[1, 2, 3], [1, 2, 3, 4]]
    for line, row in zip(thin, CURVES["sin"], strict=True):
        np.testing.assert_allclose(np.asarray(line.get_ydata(), dtype=float), [100 * value for value in row])
        assert line.get_linewidth() < thick["sin"].get_linewidth()
        assert line.get_color() == thick["sin"].get_color() == LIGHT.lines[0]
    np.testing.assert_allclose(np.asarray(thick["sin"].get_ydata(), dtype=float), [15, 40, 55], atol=1e-9)
    assert (thick["sin"].get_linestyle(), thick["sign"].get_linestyle()) == ("-", "--")
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["sin", "sign"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("epoch", "validation accuracy (%)")


def test_early_epochs_may_be_left_out() -> None:
    axes = plot_learning_curves(CURVES, first=3)
    assert {tuple(np.asarray(line.get_xdata()).tolist()) for line in axes.lines} == {(3,), (3, 4)}


def test_curves_of_a_retraining_and_of_its_file() -> None:
    trainings = [
        TrainingResult("sin(x)", 1, 0.5, None, (Epoch(2.0, 0.1), Epoch(1.0, 0.3)), 1.0, ""),
        TrainingResult(None, 1, 0.5, None, (Epoch(2.0, 0.2),), 1.0, ""),
        TrainingResult("sin(x)", 2, None, "non-finite loss", (Epoch(2.0, 0.1),), 1.0, ""),
    ]
    names = {"sine": "sin(x)", "plain sign": None, "cosine": "cos(x)"}
    assert curves_of(names, [one.entry() for one in trainings]) == {
        "sine": [[0.1, 0.3]], "plain sign": [[0.2]], "cosine": [],
    }  # fmt: skip
    with gzip.open(DATA, "rt", encoding="utf-8") as file:
        entries = [json.loads(line) for line in file][1:]
    curves = curves_of({"sine": "max(identity(x), sin(x))", "plain sign": None}, entries)
    assert [len(rows) for rows in curves.values()] == [5, 5]
    assert {len(row) for rows in curves.values() for row in rows} == {20}
    figure = plot_learning_curves(curves, baselines=["plain sign"]).figure
    assert isinstance(figure, Figure)
    figure.draw_without_rendering()
    legend = figure.axes[0].get_legend()
    assert legend is not None
    assert legend.get_window_extent().y1 <= figure.bbox.y1
    assert len(figure.axes[0].lines) == 12


@pytest.mark.parametrize(
    ("curves", "settings", "message"),
    [
        ({}, {}, "the curves of 1 to 7 functions, got 0"),
        ({str(place): [[0.5]] for place in range(8)}, {}, "1 to 7 functions, got 8"),
        ({"a": []}, {}, "must have curves that reach epoch 1, and a have not"),
        ({"a": [[]]}, {}, "must have curves that reach epoch 1"),
        ({"a": [[0.1]]}, {"first": 2}, "must have curves that reach epoch 2, and a have not"),
        ({"a": [[0.1]]}, {"first": 0}, "reach epoch 0"),
        ({"a": [[0.1]]}, {"baselines": ["b"]}, "baselines must be among a, got b: correct their names"),
    ],
)
def test_what_cannot_be_drawn_is_refused(curves: dict, settings: dict, message: str) -> None:
    with pytest.raises(GaafError, match=message):
        plot_learning_curves(curves, **settings)


@pytest.mark.parametrize("first", [1, 2, 3])
def test_what_is_left_is_drawn_where_it_was(first: int) -> None:
    axes = plot_learning_curves(CURVES, first=first)
    lines = [np.asarray(line.get_ydata(), dtype=float).tolist() for line in axes.lines if line.get_gid() is None]
    assert lines == [pytest.approx([100 * value for value in row[first - 1 :]]) for row in CURVES["sin"]]
    means = {line.get_gid(): np.asarray(line.get_ydata(), dtype=float) for line in axes.lines if line.get_gid()}
    np.testing.assert_allclose(means["sin"], [15, 40, 55][first - 1 :], atol=1e-9)
    np.testing.assert_allclose(means["sign"], [10, 20, 30][first - 1 :], atol=1e-9)
