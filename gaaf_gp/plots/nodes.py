"""An expression tree as a graph whose nodes know their label and their kind, and the colours of the kinds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import networkx as nx
import torch
from torch import Tensor

from gaaf_gp.individual import Individual
from gaaf_gp.plots.style import GREEN, ORANGE, PURPLE, SKY, YELLOW
from gaaf_gp.render import vector_names
from gaaf_gp.tree import Constant, fold
from gaaf_gp.types import Scalar

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
    if node.arity == 1 and issubclass(node.args[0], Scalar) and _computes(traits.function, 1, (lambda x: x,)):
        return "constant"
    arithmetic = _computes(traits.function, node.arity, ARITHMETIC.get(node.arity, ()))
    return "arithmetic" if arithmetic else "other operator"


def _computes(function: Any, arity: int, references: Sequence[Callable[..., Tensor]]) -> bool:
    """Return whether a function is one of these, but for what protects it from a division by zero."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(arity, 64, 1, generator=generator, dtype=torch.float64).unbind()
    try:
        found = function(*inputs)
        return any(torch.allclose(found, reference(*inputs), rtol=1e-4) for reference in references)
    except Exception:  # anybody's code: what cannot be tried is nothing that we know
        return False
