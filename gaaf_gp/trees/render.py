"""Trees as text for people: infix formulas, LaTeX, and the canonical text that is a tree's identity."""

from __future__ import annotations

import itertools
import re
import sys
from typing import Any

from gaaf_gp.trees.primitive import ATOM, Traits
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.trees.tree import Constant, Nodes, fold
from gaaf_gp.util.checks import whole_number

INFIX_PARENTHESES = ("(", ")")
LATEX_PARENTHESES = (r"\left(", r"\right)")
BARE = re.compile(r"\{0(:\d+)?\}")
"""The template of a primitive that is written as its argument."""
MOST_DIGITS = 50
"""Digits of a constant; a float64 has no more than 17."""


class Piece:
    """A rendered subtree: ``format(piece, "2")`` puts parentheses around it if it binds less tightly than 2."""

    def __init__(self, text: str, precedence: int, parentheses: tuple[str, str]) -> None:
        self.text = text
        self.precedence = precedence
        self.parentheses = parentheses

    def __format__(self, spec: str) -> str:
        if spec and self.precedence < int(spec):
            return self.parentheses[0] + self.text + self.parentheses[1]
        return self.text


def infix(nodes: Nodes, pset: PrimitiveSet, digits: int = 4) -> str:
    """Return the formula as a person writes it, such as ``sin(x) + x``; constants keep ``digits`` digits."""

    def template(name: str, traits: Traits, arity: int) -> str:
        return traits.infix or f"{name}({_arguments(traits, arity)})"

    return _render(nodes, pset, template, INFIX_PARENTHESES, digits)


def latex(nodes: Nodes, pset: PrimitiveSet, digits: int = 4) -> str:
    r"""Return the formula in LaTeX's mathematics mode, such as ``\sin\left(x\right) + x``."""

    def template(name: str, traits: Traits, arity: int) -> str:
        if traits.latex:
            return traits.latex
        escaped = name.replace("_", r"\_")
        return rf"\operatorname{{{{{escaped}}}}}\left({_arguments(traits, arity)}\right)"

    return _render(nodes, pset, template, LATEX_PARENTHESES, digits)


def vector_names(nodes: Nodes, pset: PrimitiveSet) -> dict[int, list[str]]:
    """Return for each node that learns the names s0, s1, ... of its vectors, numbered in depth-first order.

    They are the parameters' names in the ``state_dict`` of :class:`gaaf_gp.Activation` too.
    """
    names: dict[int, list[str]] = {}
    number = itertools.count()
    for index, node in enumerate(nodes):
        if node.name in pset.traits and pset.traits[node.name].learnable:
            names[index] = [f"s{next(number)}" for _ in pset.traits[node.name].learnable]
    return names


def _arguments(traits: Traits, arity: int) -> str:
    places = [f"{{{i}}}" for i in range(arity)] + [f"{{s{i}}}" for i in range(len(traits.learnable))]
    return ", ".join(places)


def _render(nodes: Nodes, pset: PrimitiveSet, template: Any, parentheses: tuple[str, str], digits: int) -> str:
    names, digits = vector_names(nodes, pset), whole_number("digits", digits, 0, MOST_DIGITS)

    def piece(index: int, node: Any, children: list[Piece]) -> Piece:
        if isinstance(node, Constant):
            # A negative number binds like a minus sign: x - (-1), (-1)^2.
            number = f"{node.value:.{digits}g}"
            return Piece(number, 1 if number.startswith("-") else ATOM, parentheses)
        traits = pset.traits[node.name]
        vectors = names.get(index, [])
        if parentheses is LATEX_PARENTHESES:
            vectors = [f"s_{{{name[1:]}}}" for name in vectors]
        if node.arity == 0:
            plain = traits.latex if parentheses is LATEX_PARENTHESES else traits.infix
            return Piece(vectors[0] if vectors else plain, ATOM, parentheses)
        written = template(node.name, traits, node.arity)
        if node.arity == 1 and BARE.fullmatch(written):  # as it is: one pair of parentheses is enough
            return children[0]
        vector_names = {f"s{i}": name for i, name in enumerate(vectors)} | {"s": vectors[0] if vectors else ""}
        return Piece(written.format(*children, **vector_names), traits.precedence, parentheses)

    return fold(nodes, piece).text


def text(nodes: Nodes) -> str:
    """Return the tree in DEAP's notation, such as ``add(sin(x), x)``, exactly as :func:`gaaf_gp.parse` reads it."""
    return fold(nodes, lambda _index, node, children: str(node.format(*children)))


def canonical(nodes: Nodes, pset: PrimitiveSet) -> str:
    """Return the text with the arguments of commutative primitives in a fixed order.

    Floating-point sums, products and maxima do not depend on that order, so trees with one canonical text are one
    function to the last bit.
    """

    def piece(_index: int, node: Any, children: list[str]) -> str:
        if node.name in pset.traits and pset.traits[node.name].commutative:
            children = sorted(children)
        return str(node.format(*children))

    # One object for one text: a search keeps that of a candidate in many places.
    return sys.intern(fold(nodes, piece))


def canonical_nodes(nodes: Nodes, pset: PrimitiveSet) -> list[Any]:
    """Return the nodes with the arguments of commutative primitives in the order of :func:`canonical`."""

    def piece(_index: int, node: Any, children: list[list[Any]]) -> list[Any]:
        if node.name in pset.traits and pset.traits[node.name].commutative:
            children = sorted(children, key=text)
        return [node, *itertools.chain(*children)]

    return fold(nodes, piece)
