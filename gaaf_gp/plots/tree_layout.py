"""An expression tree as a graph: labels, kinds and positions of its nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import networkx as nx
import torch
from torch import Tensor

from gaaf_gp.errors import GaafError
from gaaf_gp.plots.style import GREEN, ORANGE, PURPLE, SKY, YELLOW
from gaaf_gp.trees.individual import Individual
from gaaf_gp.trees.primitive import Traits, try_out
from gaaf_gp.trees.render import vector_names
from gaaf_gp.trees.tree import Constant, fold
from gaaf_gp.types import Feature, Scalar

COLOURS = {
    "periodic": ORANGE,
    "learnable": PURPLE,
    "constant": YELLOW,
    "argument": SKY,
    "arithmetic": GREEN,
    "other operator": "#E0E0E0",
}
"""Fill of a node by kind: Okabe and Ito's palette, safe for colour-blind readers, and a light grey for the rest."""

ARITHMETIC: dict[int, tuple[Callable[..., Tensor], ...]] = {
    1: (lambda x: -x, lambda x: x * x, lambda x: x * x * x, lambda x: 1 / x),
    2: (
        lambda x, y: x + y,
        lambda x, y: x - y,
        lambda x, y: y - x,
        lambda x, y: x * y,
        lambda x, y: x / y,
        lambda x, y: y / x,
        lambda x, y: x / (x + y),
    ),
}
"""Number of arguments -> what counts as arithmetic: sums, products and quotients of the arguments."""
PASSING_ON: dict[int, tuple[Callable[..., Tensor], ...]] = {1: (lambda x: x,)}
"""Likewise: what only passes a number on."""


def tree_graph(individual: Individual) -> nx.DiGraph[int]:
    """Return the tree as a graph.

    Returns:
        A graph whose nodes are the indices in the individual, with attributes ``label`` (the primitive's name, a
        constant with 4 digits; behind a learnable node's name that of its vector, as in the formula) and ``kind`` (a
        key of ``COLOURS``, see :func:`node_kind`). Edges go from a node to its arguments, in their order.
    """
    vectors = {index: f" {', '.join(names)}" for index, names in vector_names(individual, individual.pset).items()}
    graph: nx.DiGraph[int] = nx.DiGraph()
    for index, node in enumerate(individual):
        label = f"{node.value:.4g}" if isinstance(node, Constant) else node.name + vectors.get(index, "")
        graph.add_node(index, label=label, kind=node_kind(node, individual))

    def connect(index: int, _node: Any, children: list[int]) -> int:
        graph.add_edges_from((index, child) for child in children)
        return index

    fold(individual, connect)
    return graph


def node_kind(node: Any, individual: Individual) -> str:
    """Return the first of these that is true of a node.

    ``periodic`` and ``learnable`` are what the set says of the primitive; a ``constant`` is a number, named or not, or
    what passes one on; an ``argument`` is one of the set; ``arithmetic`` is what computes one of ``ARITHMETIC``, found
    out by trying, whatever its name; all else is ``other operator``.
    """
    if isinstance(node, Constant):
        return "constant"
    traits = individual.pset.traits[node.name]
    if traits.periodic:
        return "periodic"
    if traits.learnable:
        return "learnable"
    if not node.arity:
        return "argument" if node.name in individual.pset.arguments else "constant"
    if node.arity == 1 and issubclass(node.args[0], Scalar) and _computes(node.name, traits, PASSING_ON, 1):
        return "constant"
    return "arithmetic" if _computes(node.name, traits, ARITHMETIC, node.arity) else "other operator"


def tree_layout(
    graph: nx.DiGraph[int], widths: Mapping[int, float] | None = None, gap: float = 1.0
) -> dict[int, tuple[float, float]]:
    """Return a place (x, y) for every node of a rooted tree: tidy, and as narrow as its order allows.

    y is minus the distance from the root, whose x is 0. A parent stands halfway between its first and its last child.
    The subtrees of one parent stand as close as they can from left to right: on no level is less than ``gap`` between
    two nodes (Reingold and Tilford, Tidier drawings of trees, 1981; here for nodes of any width).

    Args:
        graph: edges go from parents to children, in the order of the children.
        widths: of the nodes, in the unit of x; 0 by default.
        gap: between the edges of two neighbours.

    Raises:
        GaafError: if the graph is not one rooted tree.
    """
    if not len(graph) or not nx.is_arborescence(graph):
        raise GaafError(
            f"a layout needs a graph that is one tree with edges from parents to children, got {len(graph)} nodes and "
            f"{graph.number_of_edges()} edges: make it with tree_graph(individual)"
        )
    root = next(node for node, degree in graph.in_degree() if degree == 0)
    outlines: dict[int, _Outline] = {}
    beside: dict[int, float] = {root: 0.0}
    for node in nx.dfs_postorder_nodes(graph, root):
        outline, places = _joined([outlines.pop(child) for child in graph.successors(node)], gap)
        beside.update(zip(graph.successors(node), places, strict=True))
        half = widths[node] / 2 if widths is not None else 0.0
        outline.left.append(-half)
        outline.right.append(half)
        outlines[node] = outline
    spots = {root: (0.0, 0.0)}
    for parent, child in nx.dfs_edges(graph, root):
        x, y = spots[parent]
        spots[child] = (x + beside[child], y - 1)
    return {node: spots[node] for node in graph}


def _computes(name: str, traits: Traits, references: Mapping[int, Sequence[Callable[..., Tensor]]], arity: int) -> bool:
    """Return whether a function is one of these, but for what protects it from a division by zero."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(arity, 64, generator=generator, dtype=torch.float64, device="cpu").unbind()
    try:
        values = try_out(name, traits, [Feature] * arity, inputs)
    except GaafError:  # what cannot be tried is nothing that we know
        return False
    return any(torch.allclose(values, reference(*inputs), rtol=1e-4) for reference in references.get(arity, ()))


class _Outline:
    """How far a subtree reaches to both sides of its root on each level, the lowest level first."""

    def __init__(self, left: list[float], right: list[float]) -> None:
        self.left = left
        self.right = right


def _joined(outlines: list[_Outline], gap: float) -> tuple[_Outline, list[float]]:
    """Return the outline of all subtrees of a parent, and where beside it each of their roots stands."""
    if len(outlines) < 2:  # deep chains are nothing but this: no list is copied
        return (outlines[0] if outlines else _Outline([], [])), [0.0] * len(outlines)
    left, right = outlines[0].left[::-1], outlines[0].right[::-1]  # the roots first
    places = [0.0]
    for outline in outlines[1:]:
        own_left, own_right = outline.left[::-1], outline.right[::-1]
        place = max(side + gap - left_side for side, left_side in zip(right, own_left, strict=False))
        places.append(place)
        left += [side + place for side in own_left[len(left) :]]
        right[: len(own_right)] = [side + place for side in own_right]
    middle = places[-1] / 2
    joined = _Outline([side - middle for side in left[::-1]], [side - middle for side in right[::-1]])
    return joined, [place - middle for place in places]
