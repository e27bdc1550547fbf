"""Plain facts about a tree as DEAP stores it: a list of nodes in depth-first order, parents before children.

Everything that walks trees (text, LaTeX, compiling, variation, drawing) uses these helpers, so none of them recurses
and a tree may be as deep as memory allows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from deap import gp

from gaaf_gp.errors import GaafError
from gaaf_gp.types import kind_of

T = TypeVar("T")
Nodes = Sequence[Any]
"""A depth-first list of ``gp.Primitive`` and ``gp.Terminal``; ``Any`` because DEAP is not typed."""


class Constant(gp.Terminal):  # type: ignore[misc]
    """A number in a tree, identified by its type and value alone, so that a tree read back equals the one written.

    DEAP makes a class for every ephemeral constant and tells constants apart by that class's memory address; two
    equal trees then differ once one was saved. ``value`` is a finite float.

    Raises:
        GaafError: if ``value`` is not a finite number.
    """

    __slots__ = ()

    def __init__(self, value: float, ret: type) -> None:
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            raise GaafError(f"a constant must be a finite number, got {value!r}: check the function that draws it")
        super().__init__(number, False, ret)

    def __eq__(self, other: object) -> bool:
        # By text, so that 0.0 and -0.0 stay apart; DEAP's own comparison looks at the slots of the class itself.
        return isinstance(other, Constant) and (kind_of(self.ret), self.name) == (kind_of(other.ret), other.name)

    def __hash__(self) -> int:
        return hash((kind_of(self.ret), self.name))

    def __repr__(self) -> str:
        return f"Constant({self.name}, {self.ret.__name__})"


def fold(nodes: Nodes, combine: Callable[[int, Any, list[T]], T]) -> T:
    """Return the value of the root, each node's value being ``combine(index, node, values of its children)``."""
    stack: list[T] = []
    for index in range(len(nodes) - 1, -1, -1):
        node = nodes[index]
        values = [stack.pop() for _ in range(node.arity)]
        stack.append(combine(index, node, values))
    return stack.pop()


def subtree_ends(nodes: Nodes) -> list[int]:
    """Return for each node the index just past its subtree."""
    ends = [0] * len(nodes)

    def close(index: int, _node: Any, children: list[int]) -> int:
        ends[index] = children[-1] if children else index + 1
        return ends[index]

    fold(nodes, close)
    return ends


def heights(nodes: Nodes) -> list[int]:
    """Return for each node the height of its subtree; a leaf has height 0."""
    result = [0] * len(nodes)

    def rise(index: int, _node: Any, children: list[int]) -> int:
        result[index] = 1 + max(children) if children else 0
        return result[index]

    fold(nodes, rise)
    return result


def depths(nodes: Nodes) -> list[int]:
    """Return for each node its distance from the root; the root has depth 0."""
    result: list[int] = []
    stack = [0]
    for node in nodes:
        depth = stack.pop()
        result.append(depth)
        stack.extend([depth + 1] * node.arity)
    return result


def slot_types(nodes: Nodes, root: type) -> list[type]:
    """Return for each node the type that its place asks for; ``root`` is what the whole tree must return."""
    result: list[type] = []
    stack: list[type] = [root]
    for node in nodes:
        result.append(stack.pop())
        if node.arity:
            stack.extend(reversed(node.args))
    return result


def check_tree(nodes: Nodes, root: type) -> None:
    """Refuse a list of nodes that is not one complete, well-typed tree returning ``root``.

    Raises:
        GaafError: naming the first node that is missing, left over or of a type that its place does not take.
    """
    places = 1
    expected: list[type] = [root]
    for index, node in enumerate(nodes):
        if places == 0:
            raise GaafError(f"a tree must be one expression, but node {index} ({node.name}) stands after its end")
        slot = expected.pop()
        if not issubclass(node.ret, slot):
            raise GaafError(
                f"a {slot.__name__} is needed at node {index}, but {node.name} returns {node.ret.__name__}: "
                f"use a node that returns {slot.__name__}"
            )
        if node.arity:
            expected.extend(reversed(node.args))
        places += node.arity - 1
    if places:
        where = f"after node {len(nodes) - 1}" if nodes else "because it has no nodes"
        raise GaafError(f"a tree must be complete, but {places} argument(s) are missing {where}")
