"""Random trees to draw, and what a drawing of one must show, read by plain recursive descent."""

from __future__ import annotations

import random

from hypothesis import strategies as st

from gaaf_gp.plots.tree_layout import tree_graph
from gaaf_gp.trees.generation import gen_half_and_half
from gaaf_gp.trees.individual import Individual
from primitives.gaaf import free

PSET = free()


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
