"""Small drawings: boxes apart, lines that are the function, and SVG of matplotlib that lies in a page."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaaf_gp.experiments.report.cards import duration, number, p_value, per_cent, signed
from gaaf_gp.experiments.report.drawing import HEIGHT, MOST_NODES, WIDTH, _marks, draw_function, draw_trees
from gaaf_gp.experiments.report.svg import PAGE, XLINK, _clean, page_svg
from gaaf_gp.plots.style import new_axes
from gaaf_gp.trees.candidate import parse_candidate
from gaaf_gp.trees.parser import parse
from tests.experiments.report.parsed import Page


def points(path):
    return [tuple(map(float, one.split())) for one in re.split("[ML]", path) if one]


def test_boxes_of_a_tree_do_not_touch(pset):
    (drawn,) = draw_trees(parse("max(sin(mul(x, const(1.5))), add(scale(x), erf(x)))", pset))
    assert [box.label for box in drawn.boxes][:2] == ["max", "sin"]
    assert {box.kind for box in drawn.boxes} == {
        "k-other",
        "k-periodic",
        "k-arithmetic",
        "k-argument",
        "k-constant",
        "k-learnable",
    }
    for box in drawn.boxes:
        assert 0 <= box.x - box.width / 2 <= box.x + box.width / 2 <= drawn.width
        assert 12 <= box.y <= drawn.height - 12
        row = [one for one in drawn.boxes if one.y == box.y and one is not box]
        assert all(abs(one.x - box.x) > (one.width + box.width) / 2 + 5 for one in row)
    assert drawn.edges.count("M") == len(drawn.boxes) - 1


def test_two_trees_and_large_ones(pset):
    pair = parse_candidate("sin(x) | x", pset)
    assert [one.label for one in draw_trees(pair)] == ["forward", "backward"]
    deep = parse("neg(" * MOST_NODES + "x" + ")" * MOST_NODES, pset)
    assert draw_trees(deep) == ()


def test_the_line_of_a_function_is_the_function(pset):
    drawn = draw_function(parse("sin(x)", pset))
    top, bottom = drawn.marks[-1], drawn.marks[0]
    scale = (bottom[0] - top[0]) / (float(top[1]) - float(bottom[1].replace("\u2212", "-")))
    line = np.array(points(drawn.values))
    x, y = 8 * line[:, 0] / WIDTH - 4, (drawn.zero - line[:, 1]) / scale
    assert np.abs(y - np.sin(x)).max() < 0.01
    bands = [(8 * left / WIDTH - 4, 8 * (left + wide) / WIDTH - 4) for left, wide in drawn.bands]
    assert bands == [pytest.approx(one, abs=1e-6) for one in [(-4, -np.pi), (0, np.pi)]]
    assert drawn.backward == ""
    assert draw_function(parse_candidate("sin(x) | x", pset)).backward != ""


def test_lines_break_at_poles_and_stay_near_the_view(pset):
    drawn = draw_function(parse("tan(x)", pset))
    assert drawn.values.count("M") >= 3
    assert all(-0.5 * HEIGHT < y < 1.5 * HEIGHT for _, y in points(drawn.values))


def test_svg_of_a_figure_has_no_styles_and_names_of_its_own():
    axes = new_axes(size=(3, 2), style=PAGE)
    axes.plot([0, 1], [0, 1], color=PAGE.lines[0])
    axes.scatter([0.5], [0.5], color=PAGE.lines[1])
    axes.set_title("a < b & c", color=PAGE.ink)
    svg = page_svg(axes, "figure-a", 'what "it" is <b>')
    found = Page(svg)
    root = found.root.children[0]
    assert root.attributes["role"] == "img"
    assert root.children[0].text == 'what "it" is <b>'
    assert "style=" not in svg
    assert "xlink" not in svg
    for name in ("ink", "c0", "c1", "paper"):
        assert f"var(--{name})" in svg
    identities = [one.attributes["id"] for one in found.all if "id" in one.attributes]
    assert all(one.startswith("figure-a") for one in identities)
    used = set(re.findall(r"#([\w-]+)\)|href=\"#([\w-]+)\"", svg))
    assert {one for pair in used for one in pair if one} <= set(identities)
    assert "a < b & c" in [one.text for one in found.find("text")]


@given(low=st.floats(-1e4, 1e4), span=st.floats(0, 1e5))
@settings(max_examples=100, deadline=None)
def test_marks_of_an_axis_are_round_and_around(low, span):
    marks = _marks(low, low + span)
    assert marks[0] <= low + 1e-6 * abs(low) + 1e-9
    assert marks[-1] >= low + span - 1e-6 * (abs(low) + span) - 1e-9
    assert 2 <= len(marks) <= 9
    assert np.allclose(np.diff(marks), marks[1] - marks[0])


def test_numbers():
    assert [per_cent(one) for one in (0.12345, None, float("nan"))] == ["12.35\u202f%", "\u2013", "\u2013"]
    assert [signed(one) for one in (1.005, -2.0, None)] == ["+1.00", "\u22122.00", "\u2013"]
    assert [number(one) for one in (3, 2.5, -1.0, None)] == ["3", "2.5", "\u22121", "\u2013"]
    assert [p_value(one) for one in (0.04567, 1e-9, None)] == ["0.046", "<\u202f0.0001", "\u2013"]
    assert [duration(one) for one in (1.26, 61, 7100, 7300, None)] == [
        "1.3\u202fs", "61\u202fs", "118\u202fmin", "2\u202fh 1\u202fmin", "\u2013",
    ]  # fmt: skip


def test_names_links_and_styles_of_an_element_are_made_its_own():
    element = ET.Element("use", {
        f"{{{XLINK}}}href": "#m1", "id": "p", "style": "stroke-width: 2; opacity: 0.5", "clip-path": "url(#c7)",
        "x": "3", "{http://elsewhere}space": "preserve",
    })  # fmt: skip
    _clean(element, "front")
    assert element.attrib == {
        "href": "#front-m1", "id": "front-p", "stroke-width": "2", "opacity": "0.5", "clip-path": "url(#front-c7)",
        "x": "3",
    }  # fmt: skip
    link = ET.Element("a", {f"{{{XLINK}}}href": "https://example.org/#m1"})
    _clean(link, "front")
    assert link.attrib == {"href": "https://example.org/#m1"}
