"""The sheet shows every primitive: lines by their data, maps by their pixels, and what has no number says so."""

import numpy as np
import pytest

from gaaf_gp.errors import GaafError
from gaaf_gp.plots.sheet import HIGHEST, plot_sheet
from gaaf_gp.plots.style import DARK, save_figure
from gaaf_gp.trees.describe import entries


def panel(pset, name):
    found = [one for one in entries(pset) if one.name in (name, "x")]
    axes = plot_sheet(found)
    assert len(axes) == 2
    return axes[[one.name for one in found].index(name)]


def line(axes):
    (found,) = [one for one in axes.lines if one.get_gid() == "values"]
    return found.get_xdata(), found.get_ydata()


def test_a_function_is_its_line(free):
    axes = panel(free, "sin")
    x, y = line(axes)
    assert y == pytest.approx(np.sin(x))
    assert axes.get_title() == "sin\nsin(x)"
    (shade,) = [one for one in axes.collections if one.get_gid() == "positive"]
    edges = shade.get_paths()[0].get_extents()
    assert (edges.x0, edges.x1) == (pytest.approx(0, abs=0.02), pytest.approx(3, abs=0.02))


def test_two_arguments_are_a_map(free):
    (image,) = panel(free, "sub").images
    values = image.get_array()
    assert values[0, -1] == pytest.approx(6), "x = 3, y = -3 is at the lower right"
    assert values[-1, 0] == pytest.approx(-6)
    assert image.origin == "lower"
    assert (image.norm.vmin, image.norm.vcenter, image.norm.vmax) == (-HIGHEST, 0, HIGHEST)


def test_poles_are_not_lines_and_heights_stay_readable(free):
    axes = panel(free, "tan")
    _, y = line(axes)
    steps = np.abs(np.diff(y))
    assert np.nanmax(steps) <= 2 * HIGHEST
    assert np.isnan(y).sum() >= 2, "both poles"
    assert -6 < axes.get_ylim()[0] < axes.get_ylim()[1] < 6


def test_constants_and_vectors_are_told(template):
    assert panel(template, "s").get_title() == "s\n(s from 1)"
    assert line(panel(template, "s"))[1] == pytest.approx(1)
    axes = panel(template, "number")
    assert [one.get_text() for one in axes.texts] == ["a number\ndrawn for\neach place"]
    assert not axes.lines


def test_colours_and_file(template, tmp_path):
    axes = plot_sheet(entries(template), columns=3, style=DARK)
    assert len(axes) == len(template.mapping) == 9
    assert axes[0].figure.get_facecolor()[:3] == pytest.approx([0x1B / 255] * 3)
    path = tmp_path / "sheet.svg"
    save_figure(axes[0], path)
    assert path.read_text().startswith("<?xml")


def test_an_empty_sheet_is_refused():
    with pytest.raises(GaafError, match="a sheet needs one or more primitives, got none"):
        plot_sheet([])
    with pytest.raises(GaafError, match="columns must be a whole number of at least 1, got 0"):
        plot_sheet([object()], columns=0)
