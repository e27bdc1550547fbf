"""The style sheet: how axes look, how formulas are broken, and what files figures become."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import rc_context, rcParams
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from PIL import Image

from gaaf_gp import parse
from gaaf_gp.errors import GaafError
from gaaf_gp.plots import plot_tree
from gaaf_gp.plots.style import (
    DARK,
    LIGHT,
    Style,
    as_svg,
    inch_axes,
    new_axes,
    save_figure,
    shortened,
    text_width,
    wrapped,
)
from primitives import minimal


def drawing() -> Axes:
    axes = new_axes(size=(2.0, 1.5))
    axes.plot([0, 1], [0, 1])
    return axes


@pytest.mark.parametrize(
    ("name", "start"),
    [("a.png", b"\x89PNG\r\n"), ("a.PNG", b"\x89PNG\r\n"), ("a.svg", b"<?xml"), ("a.b.pdf", b"%PDF-")],
)
def test_saving_goes_by_the_ending(name: str, start: bytes, tmp_path: Path) -> None:
    save_figure(drawing(), tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(start)


def test_saving_takes_text_as_a_path_and_a_png_has_150_dots_per_inch(tmp_path: Path) -> None:
    save_figure(drawing(), str(tmp_path / "a.png"))
    with Image.open(tmp_path / "a.png") as image:
        assert image.info["dpi"] == pytest.approx((150, 150), abs=0.1)


def test_saving_axes_in_a_part_of_a_figure(tmp_path: Path) -> None:
    part = Figure(figsize=(6, 3)).add_subfigure(GridSpec(1, 2)[0])
    save_figure(new_axes(part.add_subplot()), tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 0


@pytest.mark.parametrize("name", ["a.jpg", "a", "png", ".png"])
def test_saving_refuses_another_ending(name: str, tmp_path: Path) -> None:
    with pytest.raises(GaafError, match=rf"must end in .png, .svg, .pdf, got '{re.escape(name)}': rename it"):
        save_figure(drawing(), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_saving_refuses_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(GaafError, match=r"needs an existing folder, got '.*nowhere': make it"):
        save_figure(drawing(), tmp_path / "nowhere" / "a.png")


def test_saving_refuses_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()
    with pytest.raises(GaafError, match=r"must be writable, '.*a.png' is not \(.*directory\): name another"):
        save_figure(drawing(), tmp_path / "a.png")


def luminance(colour: str) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    """The ratio of the Web Content Accessibility Guidelines, from 1 to 21."""
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("style", [LIGHT, DARK], ids=["light", "dark"])
def test_what_is_drawn_stands_out_from_the_paper(style: Style) -> None:
    assert contrast(style.ink, style.paper) >= 7
    assert contrast(style.muted, style.paper) >= 3
    assert contrast(style.lines[0], style.paper) >= 3, "what has no text needs 3"
    assert contrast(style.lines[1], style.paper) >= 3
    assert len(set(style.lines)) == len(style.lines) == 7


def test_colours_are_those_of_okabe_and_ito() -> None:
    palette = {"#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7"}
    assert {*LIGHT.lines} - {LIGHT.ink} < palette
    assert {*DARK.lines} - {DARK.ink} < palette


def test_new_axes_wear_the_style() -> None:
    for style in (LIGHT, DARK):
        axes = new_axes(size=(3.0, 2.0), style=style)
        axes.set(xlabel="x", ylabel="y")
        figure = axes.figure.figure
        assert tuple(figure.get_size_inches()) == (3.0, 2.0)
        assert [to_hex(one.get_facecolor()).upper() for one in (figure.patch, axes.patch)] == [style.paper] * 2
        assert [name for name, spine in axes.spines.items() if spine.get_visible()] == ["left", "bottom"]
        inked = [axes.xaxis.label.get_color(), axes.yaxis.label.get_color(), axes.spines["left"].get_edgecolor()]
        inked += [label.get_color() for label in (*axes.get_xticklabels(), *axes.get_yticklabels())]
        assert {to_hex(colour).upper() for colour in inked} == {style.ink}
    given = Figure(facecolor="red").add_subplot()
    assert new_axes(given, style=DARK) is given
    assert to_hex(given.figure.get_facecolor()) == "#ff0000", "a figure that is not ours keeps its paper"


@pytest.mark.parametrize(
    ("figure", "scale", "xlim", "ylim"),
    [
        (None, 1.0, (-1.0, 3.0), (-3.0, -1.0)),
        ((8.0, 8.0), 1.0, (-3.0, 5.0), (-6.0, 2.0)),
        ((2.0, 2.0), 0.5, (-1.0, 3.0), (-4.0, 0.0)),
        ((4.0, 0.5), 0.25, (-7.0, 9.0), (-3.0, -1.0)),
    ],
)
def test_inch_axes_hold_the_drawing(
    figure: tuple[float, float] | None, scale: float, xlim: tuple[float, float], ylim: tuple[float, float]
) -> None:
    given = None if figure is None else Figure(figsize=figure).add_axes((0, 0, 1, 1))
    axes, found = inch_axes(given, (4.0, 2.0), (1.0, -2.0), LIGHT)
    assert (axes.get_xlim(), axes.get_ylim()) == (xlim, ylim)
    assert found == scale
    (left, low), (right, high) = axes.transData.transform([(-1, -3), (3, -1)])
    assert (right - left, high - low) == pytest.approx((4 * scale * axes.figure.dpi, 2 * scale * axes.figure.dpi))


FORMULA = st.text("abc (+,)", min_size=1, max_size=120).map(lambda text: " ".join(text.split()) or "x")


@given(FORMULA, st.floats(0.4, 4), st.integers(1, 5))
def test_lines_of_a_formula_are_no_wider_than_asked_and_lose_nothing(formula: str, width: float, most: int) -> None:
    lines = wrapped(formula, width, 10, most)
    assert 1 <= len(lines) <= most
    assert all(text_width(line, 10) <= width for line in lines)
    shown, whole = "".join(lines).replace(" ", ""), formula.replace(" ", "")
    assert shown == whole or (shown.endswith("…") and whole.startswith(shown[:-1]))


def test_a_formula_breaks_at_spaces_first_and_behind_parentheses_next() -> None:
    assert wrapped("sin(cos(x)) + tan(x)", 10, 10) == ["sin(cos(x)) + tan(x)"]
    assert wrapped("sin(cos(x)) + tan(x)", 1.05, 10) == ["sin(cos(x)) +", "tan(x)"]
    assert wrapped("sin(cos(tan(x)))", 0.8, 10) == ["sin(cos(", "tan(x)))"]
    assert "".join(wrapped("x" * 40, 0.5, 10)) == "x" * 40


@given(st.text("abcdef", max_size=40), st.floats(0.3, 3))
def test_a_shortened_text_fits(text: str, width: float) -> None:
    cut = shortened(text, width, 10)
    assert text_width(cut, 10) <= width
    assert cut == text or (cut.endswith("…") and text.startswith(cut[:-1]))
    if cut != text:
        assert text_width(text, 10) > width
        assert text_width(text[: len(cut)] + "…", 10) > width, "no more would fit"


def test_svg_is_the_same_text_for_the_same_figure() -> None:
    assert as_svg(drawing()) == as_svg(drawing())
    assert as_svg(drawing()).startswith("<?xml")
    assert "<dc:date>" not in as_svg(drawing())


def test_settings_of_the_user_change_nothing(tmp_path: Path) -> None:
    tree = parse("add(sin(x), x)", minimal.make_pset())
    plain = as_svg(plot_tree(tree))
    theirs = {
        "text.usetex": True,
        "font.family": "no such font",
        "savefig.format": "pdf",
        "savefig.transparent": True,
        "axes.unicode_minus": False,
        "figure.dpi": 7,
        "lines.linewidth": 40,
    }
    with rc_context(theirs):
        assert as_svg(plot_tree(tree)) == plain
        save_figure(plot_tree(tree), tmp_path / "tree.png")
        assert {name: rcParams[name] for name in theirs} == {**theirs, "font.family": ["no such font"]}
    assert (tmp_path / "tree.png").stat().st_size > 1000
