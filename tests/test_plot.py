"""What the figures show: nodes, places, texts and limits, not pixels; and that no text is clipped or covered."""

from __future__ import annotations

import itertools
import math
import random
import re
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.patches import FancyBboxPatch
from matplotlib.transforms import BboxBase
from PIL import Image

from gaaf_gp.errors import GaafError
from gaaf_gp.fitness import Record
from gaaf_gp.generation import gen_half_and_half
from gaaf_gp.individual import Individual
from gaaf_gp.parser import parse
from gaaf_gp.plot import COLOURS, INK, plot_history, plot_tree, save_figure, tree_graph, tree_layout
from gaaf_gp.pset import PrimitiveSet
from gaaf_gp.types import Channel, Feature, Scalar
from primitives.gaaf import free

PSET = free()
X = PSET.mapping["x"]


def tree(size: int, seed: int = 0) -> Individual:
    rng = random.Random(seed)
    while True:
        nodes = gen_half_and_half(PSET, 0, 8, rng=rng, max_size=size)
        if len(nodes) == size:
            return Individual(nodes, PSET)


@st.composite
def trees(draw: st.DrawFn) -> Individual:
    rng = random.Random(draw(st.integers(0, 10**6)))
    least = draw(st.integers(0, 4))
    nodes = gen_half_and_half(PSET, least, draw(st.integers(least, 8)), rng=rng, max_size=draw(st.integers(1, 60)))
    return Individual(nodes, PSET)


def arguments(individual: Individual) -> dict[int, list[int]]:
    """Return index -> indices of its arguments, by plain recursive descent."""
    found: dict[int, list[int]] = {}

    def read(index: int) -> int:
        following = index + 1
        found[index] = []
        for _ in range(individual[index].arity):
            found[index].append(following)
            following = read(following)
        return following

    assert read(0) == len(individual)
    return found


def labels(individual: Individual) -> list[str]:
    graph = tree_graph(individual)
    return [graph.nodes[node]["label"] for node in graph]


def kinds(individual: Individual) -> list[str]:
    graph = tree_graph(individual)
    return [graph.nodes[node]["kind"] for node in graph]


def test_graph_of_a_small_tree() -> None:
    graph = tree_graph(parse("sub(sin(x), mix(x, const(0.123456)))", PSET))
    assert [(node, dict(graph.nodes[node])) for node in graph] == [
        (0, {"label": "sub", "kind": "other operator"}),
        (1, {"label": "sin", "kind": "periodic"}),
        (2, {"label": "x", "kind": "argument"}),
        (3, {"label": "mix s0", "kind": "learnable"}),
        (4, {"label": "x", "kind": "argument"}),
        (5, {"label": "const", "kind": "other operator"}),
        (6, {"label": "0.1235", "kind": "constant"}),
    ]
    assert list(graph.edges) == [(0, 1), (0, 3), (1, 2), (3, 4), (3, 5), (5, 6)]


def test_graph_numbers_vectors_as_in_the_formula() -> None:
    individual = parse("add(scale(x), mix(shift(x), channel(x)))", PSET)
    assert labels(individual) == ["add", "scale s0", "x", "mix s1", "shift s2", "x", "channel s3", "x"]
    assert individual.infix() == "s0 * x + (s1 * (x + s2) + (1 - s1) * s3[x])"


@pytest.mark.parametrize(
    ("value", "label"), [("0.5", "0.5"), ("-1.23456", "-1.235"), ("123456.0", "1.235e+05"), ("2.0", "2")]
)
def test_graph_constants_keep_four_digits(value: str, label: str) -> None:
    assert labels(parse(f"const({value})", PSET)) == ["const", label]


def test_graph_named_terminals_and_a_periodic_node_that_learns() -> None:
    pset = PrimitiveSet(arguments=("z",))
    pset.addPrimitive(lambda x, s: torch.sin(s * x), [Feature], Feature, "wave", periodic=True, learnable=(1.0,))
    pset.addPrimitive(lambda x, c, s: x + c * s, [Feature, Scalar, Channel], Feature, "join")
    pset.addTerminal(math.pi, Scalar, name="pi")
    pset.addLearnable("slope")
    individual = parse("join(wave(z), pi, slope)", pset)
    assert labels(individual) == ["join", "wave s0", "z", "pi", "slope s1"]
    assert kinds(individual) == ["other operator", "periodic", "argument", "constant", "learnable"]


@given(trees())
@settings(max_examples=60, deadline=None)
def test_graph_is_the_tree(individual: Individual) -> None:
    graph = tree_graph(individual)
    assert list(graph) == list(range(len(individual)))
    assert {node: list(graph.successors(node)) for node in graph} == arguments(individual)
    names = [label.split(" ")[0] for label in labels(individual)]
    assert names == [n.name if n.name in PSET.mapping else f"{float(n.name):.4g}" for n in individual]
    assert set(kinds(individual)) <= set(COLOURS)


@given(trees())
@settings(max_examples=60, deadline=None)
def test_layout_is_tidy(individual: Individual) -> None:
    below = arguments(individual)
    places = tree_layout(tree_graph(individual))
    assert places.keys() == below.keys()
    assert places[0][1] == 0
    leaves = [node for node in sorted(below) if not below[node]]
    assert [places[node][0] for node in leaves] == list(range(len(leaves)))
    for parent, children in below.items():
        assert [places[child][1] for child in children] == [places[parent][1] - 1] * len(children)
        if children:
            assert places[parent][0] == (places[children[0]][0] + places[children[-1]][0]) / 2
    for (ax, ay), (bx, by) in itertools.combinations(places.values(), 2):
        assert ay != by or abs(ax - bx) >= 1


def test_layout_of_a_very_deep_tree() -> None:
    deep = Individual([PSET.mapping["sin"]] * 3000 + [X], PSET)
    assert tree_layout(tree_graph(deep)) == {node: (0.0, -float(node)) for node in range(3001)}


@pytest.mark.parametrize(("edges", "nodes"), [([], []), ([], [0, 1]), ([(0, 1), (1, 0)], []), ([(0, 2), (1, 2)], [])])
def test_layout_refuses_what_is_not_one_tree(edges: list[tuple[int, int]], nodes: list[int]) -> None:
    graph: nx.DiGraph[int] = nx.DiGraph(edges)
    graph.add_nodes_from(nodes)
    message = f"one tree .* got {len(graph)} nodes and {len(edges)} edges: make it with tree_graph"
    with pytest.raises(GaafError, match=message):
        tree_layout(graph)


def figure_of(axes: Axes) -> Figure:
    figure = axes.figure
    assert isinstance(figure, Figure)
    return figure


def boxes_of(axes: Axes) -> list[FancyBboxPatch]:
    return [patch for patch in axes.patches if isinstance(patch, FancyBboxPatch)]


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


@pytest.mark.parametrize("size", [1, 2, 5, 15, 30, 60])
def test_tree_in_a_figure_of_its_own(size: int) -> None:
    individual = tree(size, seed=size)
    axes = plot_tree(individual)
    check_drawing(axes)
    assert [text.get_text() for text in axes.texts] == labels(individual)
    colours = [to_hex(box.get_facecolor()).upper() for box in boxes_of(axes)]
    assert colours == [COLOURS[kind] for kind in kinds(individual)]
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


@given(trees())
@settings(max_examples=8, deadline=None)
def test_tree_has_nothing_clipped_or_covered(individual: Individual) -> None:
    check_drawing(plot_tree(individual))


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
    every = parse("sub(sin(x), mix(x, const(0.5)))", PSET)
    for individual, expected in ((every, list(COLOURS)), (parse("x", PSET), ["argument"])):
        legend = plot_tree(individual).get_legend()
        assert legend is not None
        assert [text.get_text() for text in legend.get_texts()] == expected
        shown = [to_hex(handle.get_facecolor()).upper() for handle in legend.get_patches()]
        assert shown == [COLOURS[kind] for kind in expected]


@pytest.mark.parametrize("colour", COLOURS.values())
def test_tree_text_is_readable_on_every_colour(colour: str) -> None:
    def luminance(name: str) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(name)]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    # The contrast that the Web Content Accessibility Guidelines ask of normal text.
    assert (luminance(colour) + 0.05) / (luminance(INK) + 0.05) >= 4.5


def test_tree_pyplot_knows_of_no_figure(tmp_path: Path) -> None:
    save_figure(plot_tree(tree(5)), tmp_path / "tree.png")
    save_figure(plot_history(run(0.4)), tmp_path / "history.png")
    assert plt.get_fignums() == []


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


@pytest.mark.parametrize(
    ("name", "start"),
    [("a.png", b"\x89PNG\r\n"), ("a.PNG", b"\x89PNG\r\n"), ("a.svg", b"<?xml"), ("a.b.pdf", b"%PDF-")],
)
def test_saving_goes_by_the_ending(name: str, start: bytes, tmp_path: Path) -> None:
    save_figure(plot_tree(tree(2)), tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(start)


def test_saving_takes_text_as_a_path_and_a_png_has_150_dots_per_inch(tmp_path: Path) -> None:
    save_figure(plot_tree(tree(2)), str(tmp_path / "a.png"))
    with Image.open(tmp_path / "a.png") as image:
        assert image.info["dpi"] == pytest.approx((150, 150), abs=0.1)


def test_saving_axes_in_a_part_of_a_figure(tmp_path: Path) -> None:
    part = Figure(figsize=(6, 3)).add_subfigure(GridSpec(1, 2)[0])
    save_figure(plot_tree(tree(5), ax=part.add_subplot()), tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 0


@pytest.mark.parametrize("name", ["a.jpg", "a", "png", ".png"])
def test_saving_refuses_another_ending(name: str, tmp_path: Path) -> None:
    with pytest.raises(GaafError, match=rf"must end in .png, .svg, .pdf, got '{re.escape(name)}': rename it"):
        save_figure(plot_tree(tree(1)), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_saving_refuses_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(GaafError, match=r"needs an existing folder, got '.*nowhere': make it"):
        save_figure(plot_tree(tree(1)), tmp_path / "nowhere" / "a.png")


def test_saving_refuses_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()
    with pytest.raises(GaafError, match=r"must be writable, '.*a.png' is not \(.*directory\): name another"):
        save_figure(plot_tree(tree(1)), tmp_path / "a.png")
