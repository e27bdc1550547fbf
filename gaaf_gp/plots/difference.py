"""Which nodes of a tree are meant: those of a subtree, or those in which a child differs from its parent."""

from __future__ import annotations

from gaaf_gp.errors import GaafError
from gaaf_gp.individual import Individual
from gaaf_gp.tree import Nodes, subtree_ends


def subtree_nodes(individual: Individual, root: int) -> frozenset[int]:
    """Return the indices of the nodes of the subtree whose root has this index.

    Raises:
        GaafError: there is no such node.
    """
    if isinstance(root, bool) or not isinstance(root, int) or not 0 <= root < len(individual):
        raise GaafError(
            f"a subtree is named by the index of its root, 0 to {len(individual) - 1} in depth-first order, got "
            f"{root!r}: choose one of them"
        )
    return frozenset(range(root, subtree_ends(individual)[root]))


def differing_nodes(individual: Nodes, other: Nodes) -> frozenset[int]:
    """Return the indices of the nodes of a tree that another one, such as its parent, does not have.

    Both trees are walked from their roots side by side, argument by argument, as far as the numbers of arguments agree:
    that is their common region (Poli and Langdon, Schema theory for genetic programming with one-point crossover and
    point mutation, 1998). In it a node differs where its name does, a constant where its value does, and what lies
    below is still compared. Where the numbers of arguments differ the whole subtree does. The same subtree somewhere
    else is not looked for, nor are commuted arguments.

    Args:
        individual: the tree whose nodes are returned.
        other: the tree that it is compared with.
    """
    ends, other_ends = subtree_ends(individual), subtree_ends(other)
    found: set[int] = set()
    pairs = [(0, 0)]
    while pairs:
        here, there = pairs.pop()
        if individual[here].arity != other[there].arity:
            found.update(range(here, ends[here]))
            continue
        if individual[here].name != other[there].name:
            found.add(here)
        child, counterpart = here + 1, there + 1
        for _ in range(individual[here].arity):
            pairs.append((child, counterpart))
            child, counterpart = ends[child], other_ends[counterpart]
    return frozenset(found)
