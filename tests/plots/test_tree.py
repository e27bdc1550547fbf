"""What the picture of a tree shows: boxes, places, texts and limits, not pixels; no text is clipped or covered."""

from __future__ import annotations

import itertools
import math
import random
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from matplotlib.transforms import BboxBase

from gaaf_gp.errors import GaafError
from gaaf_gp.plots.style import DARK, LIGHT, VERMILLION, as_svg
from gaaf_gp.plots.tree import differing_nodes, plot_tree
from gaaf_gp.plots.tree_layout import COLOURS, tree_graph
from gaaf_gp.trees.generation import gen_half_and_half
from gaaf_gp.trees.individual import Individual
from gaaf_gp.trees.parser import parse
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.types import Feature
from tests.drawn import PSET, arguments, kinds, labels, trees

X = PSET.mapping["x"]


def tree(size: int, seed: int = 0) -> Individual:
    rng = random.Random(seed)
    while True:
        nodes = gen_half_and_half(PSET, 0, 8, rng=rng, max_size=size)
        if len(nodes) == size:
            return Individual(nodes, PSET)


def figure_of(axes: Axes) -> Figure:
    figure = axes.figure
    assert isinstance(figure, Figure)
    return figure


def boxes_of(axes: Axes, name: str = "node") -> list[FancyBboxPatch]:
    return [
        patch for patch in axes.patches if isinstance(patch, FancyBboxPatch) and str(patch.get_gid()).startswith(name)
    ]


def overlap(first: BboxBase, second: BboxBase) -> bool:
    return bool(first.x0 < second.x1 and second.x0 < first.x1 and first.y0 < second.y1 and second.y0 < first.y1)


def within(inner: BboxBase, outer: BboxBase) -> bool:
    return bool(outer.x0 <= inner.x0 and inner.x1 <= outer.x1 and outer.y0 <= inner.y0 and inner.y1 <= outer.y1)


def check_drawing(axes: Axes) -> None:
    """Every label lies in its box, everything in the axes, and nothing covers anything else."""
    figure_of(axes).draw_without_rendering()
    boxes = [patch.get_window_extent() for patch in boxes_of(axes)]
    texts = [text.get_window_extent() for text in axes.texts]
    legend = axes.get_legend()
    assert legend is not None
    around = [axes.title.get_window_extent(), *(text.get_window_extent() for text in legend.get_texts())]
    assert len(texts) == len(boxes)
    for text, box in zip(texts, boxes, strict=True):
        assert within(text, box)
    for thing in [*boxes, *around]:
        assert within(thing, axes.bbox.padded(0.5))
    for first, second in itertools.combinations([*boxes, *around], 2):
        assert not overlap(first, second)
    rings = [patch.get_window_extent() for patch in boxes_of(axes, "ring")]
    for ring in rings:
        assert sum(overlap(ring, box) for box in boxes) == 1
        assert within(ring, axes.bbox)
        assert not any(overlap(ring, one) for one in around)
    assert not any(overlap(first, second) for first, second in itertools.combinations(rings, 2))


@pytest.mark.parametrize("size", [1, 2, 5, 15, 30, 60])
def test_tree_in_a_figure_of_its_own(size: int) -> None:
    individual = tree(size, seed=size)
    axes = plot_tree(individual)
    check_drawing(axes)
    assert [text.get_text() for text in axes.texts] == labels(individual)
    colours = {box.get_gid(): to_hex(box.get_facecolor()).upper() for box in boxes_of(axes)}
    assert colours == {f"node-{node}": COLOURS[kind] for node, kind in enumerate(kinds(individual))}
    assert len(axes.collections[0].get_paths()) == size - 1


@pytest.mark.parametrize("shape", [(2.0, 1.5), (12.0, 2.0), (3.0, 12.0)])
@pytest.mark.parametrize("size", [1, 30])
def test_tree_in_given_axes(size: int, shape: tuple[float, float]) -> None:
    # So many dots that rounding to whole ones is no matter.
    figure = Figure(figsize=shape, dpi=400)
    axes = figure.subplots(1, 2)[1]
    assert plot_tree(tree(size), ax=axes) is axes
    assert tuple(figure.get_size_inches()) == shape
    check_drawing(axes)


def test_tree_in_small_axes_has_smaller_text_and_in_large_ones_the_same() -> None:
    individual = tree(15)
    sizes = [plot_tree(individual).texts[0].get_fontsize()]
    for side in (3.0, 40.0):
        sizes.append(plot_tree(individual, Figure(figsize=(side, side)).add_subplot()).texts[0].get_fontsize())
    assert float(sizes[1]) < float(sizes[0]) == float(sizes[2])


@given(trees(), st.data())
@settings(max_examples=25, deadline=None)
def test_tree_has_nothing_clipped_or_covered(individual: Individual, data: st.DataObject) -> None:
    check_drawing(plot_tree(individual, highlight=data.draw(st.none() | st.integers(0, len(individual) - 1))))


def test_tree_edges_run_between_two_levels() -> None:
    individual = tree(60)
    axes = plot_tree(individual)
    boxes = [patch.get_extents().transformed(axes.transData.inverted()) for patch in boxes_of(axes)]
    edges = [(parent, child) for parent, children in sorted(arguments(individual).items()) for child in children]
    drawn = [np.asarray(path.vertices).ravel().tolist() for path in axes.collections[0].get_paths()]
    expected = [
        [(boxes[a].x0 + boxes[a].x1) / 2, boxes[a].y0, (boxes[b].x0 + boxes[b].x1) / 2, boxes[b].y1] for a, b in edges
    ]
    np.testing.assert_allclose(drawn, expected, atol=1e-9)
    assert all(above > below for _, above, _, below in drawn)


def test_tree_figure_grows() -> None:
    areas = [math.prod(figure_of(plot_tree(tree(size))).get_size_inches()) for size in (1, 5, 15, 60)]
    assert areas == sorted(set(areas))


@pytest.mark.parametrize("size", [1, 5, 15, 30])
def test_tree_title_is_the_formula(size: int) -> None:
    individual = tree(size, seed=size)
    title = plot_tree(individual).get_title()
    assert re.sub(r"\s", "", title) == individual.infix().replace(" ", "")
    assert ("\n" in title) == (size >= 15)


def test_tree_a_formula_without_spaces_breaks_behind_a_parenthesis() -> None:
    individual = Individual([PSET.mapping["sin"]] * 30 + [X], PSET)
    lines = plot_tree(individual).get_title().split("\n")
    assert len(lines) > 1
    assert all(line.endswith("(") for line in lines[:-1])
    assert "".join(lines) == individual.infix()


def test_tree_an_endless_formula_is_cut() -> None:
    pset = PrimitiveSet()
    pset.addPrimitive(torch.sin, [Feature], Feature, "twice", infix="{0} {0}")
    endless = parse("twice(" * 10 + "x" + ")" * 10, pset)
    axes = plot_tree(endless)
    lines = axes.get_title().split("\n")
    assert len(lines) == 8
    assert lines[-1].endswith(" …")
    shown = re.sub(r"\s", "", "".join(lines)).removesuffix("…")
    assert endless.infix().replace(" ", "").startswith(shown)
    check_drawing(axes)


def test_tree_a_dollar_sign_is_no_mathematics() -> None:
    pset = PrimitiveSet()
    pset.addPrimitive(torch.sin, [Feature], Feature, "price", infix="$\\{0}$")
    axes = plot_tree(parse("price(x)", pset))
    figure_of(axes).draw_without_rendering()
    assert axes.get_title() == "$\\x$"


def test_tree_legend_names_the_kinds_present() -> None:
    every = parse("sub(sin(x), max(x, mix(x, const(0.5))))", PSET)
    for individual, expected in ((every, list(COLOURS)), (parse("x", PSET), ["argument"])):
        legend = plot_tree(individual).get_legend()
        assert legend is not None
        assert [text.get_text() for text in legend.get_texts()] == expected
        shown = [to_hex(handle.get_facecolor()).upper() for handle in legend.get_patches()]
        assert shown == [COLOURS[kind] for kind in expected]


def ringed(axes: Axes) -> set[int]:
    return {int(str(ring.get_gid()).removeprefix("ring-")) for ring in boxes_of(axes, "ring")}


def edge_colours(individual: Individual, axes: Axes) -> dict[tuple[int, int], str]:
    edges = tree_graph(individual).edges
    colours = [to_hex(colour).upper() for colour in axes.collections[0].get_colors()]  # type: ignore[attr-defined]
    return dict(zip(edges, colours, strict=True))


def test_tree_without_marks_has_no_ring() -> None:
    axes = plot_tree(tree(15))
    assert ringed(axes) == set()
    assert set(edge_colours(tree(15), axes).values()) == {LIGHT.muted}


@given(trees(), st.data())
@settings(max_examples=20, deadline=None)
def test_tree_highlights_the_nodes_and_edges_of_a_subtree(individual: Individual, data: st.DataObject) -> None:
    root = data.draw(st.integers(0, len(individual) - 1))
    below, open_nodes = {root}, [root]
    while open_nodes:
        children = arguments(individual)[open_nodes.pop()]
        below.update(children)
        open_nodes += children
    axes = plot_tree(individual, highlight=root)
    assert ringed(axes) == below
    if len(individual) > 1:
        marked = {edge for edge, colour in edge_colours(individual, axes).items() if colour == VERMILLION}
        assert marked == {(a, b) for a, b in tree_graph(individual).edges if a in below}
    legend = axes.get_legend()
    assert legend is not None
    assert legend.get_texts()[-1].get_text() == "highlighted"
    assert to_hex(legend.get_patches()[-1].get_edgecolor()).upper() == VERMILLION


def test_tree_marks_what_its_parent_does_not_have() -> None:
    parent, child = parse("add(sin(x), mul(x, x))", PSET), parse("add(cos(x), mul(x, exp_distance(x, x)))", PSET)
    for first, second in ((parent, child), (child, parent)):
        axes = plot_tree(first, compare_to=second)
        assert ringed(axes) == differing_nodes(first, second)
        check_drawing(axes)
    assert legend_of(plot_tree(child, compare_to=parent))[-1] == "not in the other tree"
    assert legend_of(plot_tree(child, compare_to=child))[-1] != "not in the other tree"


def legend_of(axes: Axes) -> list[str]:
    legend = axes.get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


@pytest.mark.parametrize("index", [-1, 3, True, 1.0])
def test_tree_refuses_a_subtree_that_is_not_there(index: int) -> None:
    with pytest.raises(GaafError, match=rf"root, .* whole number from 0 to 2, got {index!r}: give one"):
        plot_tree(parse("add(x, x)", PSET), highlight=index)


def test_tree_refuses_two_kinds_of_marks() -> None:
    one = parse("add(x, x)", PSET)
    with pytest.raises(GaafError, match="got highlight and compare_to: pass one"):
        plot_tree(one, highlight=1, compare_to=one)


def test_tree_in_the_dark_has_the_same_boxes_on_another_paper() -> None:
    individual = parse("add(sin(x), const(0.5))", PSET)
    light, dark = plot_tree(individual), plot_tree(individual, style=DARK)
    assert to_hex(figure_of(dark).get_facecolor()).upper() == DARK.paper
    assert to_hex(dark.title.get_color()).upper() == DARK.ink
    for first, second in zip(boxes_of(light), boxes_of(dark), strict=True):
        assert first.get_facecolor() == second.get_facecolor()
        assert first.get_bbox().bounds == second.get_bbox().bounds
    assert all(to_hex(text.get_color()).upper() == LIGHT.ink for text in dark.texts), "boxes are light on any paper"


def test_tree_as_svg_names_its_nodes() -> None:
    individual = parse("add(sin(x), const(0.5))", PSET)
    drawn = as_svg(plot_tree(individual, highlight=1))
    assert drawn == as_svg(plot_tree(individual, highlight=1)), "one figure, one text"
    assert re.findall(r'id="(node-\d+)"', drawn) == [f"node-{node}" for node in range(5)]
    assert re.findall(r'id="(ring-\d+)"', drawn) == ["ring-1", "ring-2"]
