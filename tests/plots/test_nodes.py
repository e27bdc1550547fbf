"""The graph of a tree: its nodes are those of the tree, with labels and kinds as documented."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from matplotlib.colors import to_rgb

from gaaf_gp.plots.style import INK
from gaaf_gp.plots.tree_layout import COLOURS, tree_graph
from gaaf_gp.trees.individual import Individual
from gaaf_gp.trees.parser import parse
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.types import Channel, Feature, Scalar
from primitives import minimal
from primitives.gaaf import encoding2
from tests.drawn import PSET, arguments, kinds, labels, trees

OPERATORS = [node.name for node in PSET.primitives[Feature] if node.name != "const"]


def test_graph_of_a_small_tree() -> None:
    graph = tree_graph(parse("sub(sin(x), mix(x, const(0.123456)))", PSET))
    assert [(node, dict(graph.nodes[node])) for node in graph] == [
        (0, {"label": "sub", "kind": "arithmetic"}),
        (1, {"label": "sin", "kind": "periodic"}),
        (2, {"label": "x", "kind": "argument"}),
        (3, {"label": "mix s0", "kind": "learnable"}),
        (4, {"label": "x", "kind": "argument"}),
        (5, {"label": "const", "kind": "constant"}),
        (6, {"label": "0.1235", "kind": "constant"}),
    ]
    assert list(graph.edges) == [(0, 1), (0, 3), (1, 2), (3, 4), (3, 5), (5, 6)]


def test_graph_numbers_vectors_as_in_the_formula() -> None:
    individual = parse("add(scale(x), mix(shift(x), channel(x)))", PSET)
    assert labels(individual) == ["add", "scale s0", "x", "mix s1", "shift s2", "x", "channel s3", "x"]
    assert individual.infix() == "s0 * x + (s1 * (x + s2) + (1 - s1) * s3)"


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


def test_arithmetic_is_found_out_by_trying() -> None:
    kind_of = {name: kinds(parse(f"{name}(x{', x' * (PSET.mapping[name].arity - 1)})", PSET))[0] for name in OPERATORS}
    assert {name for name, kind in kind_of.items() if kind == "arithmetic"} == {
        "neg", "square", "cube", "add", "sub", "mul", "div", "ratio",
    }  # fmt: skip
    assert {name for name, kind in kind_of.items() if kind == "periodic"} == {"sin", "cos", "tan"}
    assert {name for name, kind in kind_of.items() if kind == "learnable"} == {"scale", "shift", "channel", "mix"}
    assert {name for name, kind in kind_of.items() if kind == "other operator"} == {
        "identity", "zero", "signed_sqrt", "log_abs", "sigmoid", "atan", "erf", "erfc", "exp_neg_abs", "gauss", "abs",
        "positive", "negative", "max", "min", "gate", "gauss_distance", "exp_distance",
    }  # fmt: skip


def test_arithmetic_of_other_sets_and_under_other_names() -> None:
    assert kinds(parse("mul(add(x, x), tanh(sub(x, x)))", minimal.make_pset())) == [
        "arithmetic", "arithmetic", "argument", "argument", "other operator", "arithmetic", "argument", "argument",
    ]  # fmt: skip
    assert kinds(parse("b1_add(u2_neg(mul(cube(x), sin(x))), neg(x))", encoding2()))[:3] == ["arithmetic"] * 3
    pset = PrimitiveSet()
    pset.addPrimitive(lambda x, y: y - x, [Feature] * 2, Feature, "swapped")
    pset.addPrimitive(lambda x, y: x * y, [Feature] * 2, Feature, "sin_of_sorts")
    assert kinds(parse("swapped(x, sin_of_sorts(x, x))", pset))[:3] == ["arithmetic", "argument", "arithmetic"]


def test_constants_through_all_that_passes_them_on() -> None:
    assert kinds(parse("const(cadd(0.5, cmul(1.0, 2.0)))", PSET)) == [
        "constant", "arithmetic", "constant", "arithmetic", "constant", "constant",
    ]  # fmt: skip


def test_a_function_that_cannot_be_tried_is_another_operator() -> None:
    pset = PrimitiveSet()

    def picky(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        if x.dtype == torch.float64:
            raise RuntimeError("no")
        return x + y

    pset.addPrimitive(torch.neg, [Feature], Feature, "neg")
    pset.addPrimitive(picky, [Feature] * 2, Feature)
    tree = parse("picky(x, neg(x))", pset)
    assert kinds(tree) == ["other operator", "argument", "arithmetic", "argument"]


@pytest.mark.parametrize("colour", COLOURS.values())
def test_tree_text_is_readable_on_every_colour(colour: str) -> None:
    def luminance(name: str) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(name)]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    # The contrast that the Web Content Accessibility Guidelines ask of normal text.
    assert (luminance(colour) + 0.05) / (luminance(INK) + 0.05) >= 4.5
