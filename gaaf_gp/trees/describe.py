"""What is in a primitive set, entry by entry: types, formula, cost, tags, and the values that a small plot shows."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from deap import gp
from numpy.typing import NDArray

from gaaf_gp.errors import GaafError
from gaaf_gp.trees import primitive
from gaaf_gp.trees.primitive import Traits, try_out
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.trees.tree import Constant
from gaaf_gp.types import Feature, kind_of
from gaaf_gp.util.checks import choice

Array: TypeAlias = NDArray[np.float64]
RANGE = (-3.0, 3.0)
"""Of the inputs that are shown."""
OTHERS = 1.0
"""What stands for the arguments that are not varied."""
NAMES = ("x", "y", "z")
FUNCTION, INPUT, CONSTANT, DRAWN, VECTOR = "function", "input", "constant", "drawn constant", "learnable vector"
"""Kinds of entries."""
TAGS = (*primitive.TAGS, "constant", "input")
"""Tags of entries: those of primitives, and what stands in a tree without being one."""


@dataclass(frozen=True)
class Entry:
    """One primitive or terminal of a set.

    Attributes:
        name: in texts.
        kind: one of ``FUNCTION``, ``INPUT``, ``CONSTANT``, ``DRAWN`` and ``VECTOR``.
        arguments: names of the types that it takes.
        returns: name of the type that it returns.
        formula: as a person writes it, of x, y and z; learned vectors are s, or s0 and s1.
        latex: the same in LaTeX.
        cost: of one call, in units of an addition.
        tags: some of :data:`TAGS`.
        learnable: initial values of the vectors that it learns.
        shown: what :meth:`curve` computes, such as "f(x, 1)"; empty where there is no number to compute.
    """

    name: str
    kind: str
    arguments: tuple[str, ...]
    returns: str
    formula: str
    latex: str
    cost: float
    tags: tuple[str, ...]
    learnable: tuple[float, ...]
    shown: str
    _values: Callable[[Array], Array]

    def as_json(self) -> dict[str, Any]:
        """Return it fit for JSON."""
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}

    def curve(self, points: int = 121) -> tuple[Array, Array]:
        """Return x over :data:`RANGE` and the values of ``shown``, both (points,).

        Vectors that are learned have their initial values. What the function cannot compute is NaN.
        """
        x = np.linspace(*RANGE, points)
        rows = np.full((points, max(1, len(self.arguments))), OTHERS)
        rows[:, 0] = x
        return x, self._values(rows)

    def surface(self, points: int = 61) -> tuple[Array, Array]:
        """Return x, (points,), and f(x, y), (points, points) with a row for each y, over :data:`RANGE` both.

        Raises:
            GaafError: it does not take two or more arguments.
        """
        if len(self.arguments) < 2:
            raise GaafError(f"a surface is that of two or more arguments, and {self.name!r} takes {self.arguments}")
        x = np.linspace(*RANGE, points)
        rows = np.full((points * points, len(self.arguments)), OTHERS)
        rows[:, 0], rows[:, 1] = np.tile(x, points), np.repeat(x, points)
        return x, self._values(rows).reshape(points, points)


def entries(pset: PrimitiveSet, tag: str | None = None) -> list[Entry]:
    """Return what is in a set: its inputs, its functions in the order in which they were added, then its constants.

    Args:
        pset: the set.
        tag: only those that have it, one of :data:`TAGS`.

    Raises:
        GaafError: there is no such tag.
    """
    if tag is not None:
        choice("a tag of primitives", tag, TAGS)
    nodes = {**{name: pset.mapping[name] for name in pset.arguments}, **pset.mapping}
    entries = [_entry(name, node, pset) for name, node in nodes.items()]
    order = (INPUT, FUNCTION, VECTOR, CONSTANT, DRAWN).index
    return sorted((entry for entry in entries if tag is None or tag in entry.tags), key=lambda entry: order(entry.kind))


class _Name:
    """Stands for an argument in a template."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __format__(self, _spec: str) -> str:
        return self._text


def _entry(name: str, node: Any, pset: PrimitiveSet) -> Entry:
    if isinstance(node, gp.Primitive):
        return _function(name, node, pset.traits[name])
    traits = pset.traits.get(name)
    returns = node.ret.__name__
    if isinstance(node, gp.MetaEphemeral):
        return Entry(name, DRAWN, (), returns, name, name, 0.0, ("constant",), (), "", _nothing)
    if name in pset.arguments:
        values: Callable[[Array], Array] = _first
        return Entry(name, INPUT, (), returns, name, name, 0.0, ("input",), (), name, values)
    if traits is not None and traits.learnable:
        start = traits.learnable[0]
        return Entry(
            name,
            VECTOR,
            (),
            returns,
            "s",
            "s",
            traits.cost,
            ("learnable",),
            traits.learnable,
            f"{start:g}",
            _level(start),
        )
    number = float(node.value) if isinstance(node.value, int | float) else float(pset.context[name])
    text = node.name if isinstance(node, Constant) else f"{name} = {number:.4g}"
    return Entry(name, CONSTANT, (), returns, text, text, 0.0, ("constant",), (), f"{number:.4g}", _level(number))


def _function(name: str, node: gp.Primitive, traits: Traits) -> Entry:
    arguments = [NAMES[i] if i < len(NAMES) else f"x{i}" for i in range(node.arity)]
    vectors = ["s"] if len(traits.learnable) == 1 else [f"s{i}" for i in range(len(traits.learnable))]
    called = ", ".join([*arguments, *vectors])
    return Entry(
        name,
        FUNCTION,
        tuple(marker.__name__ for marker in node.args),
        node.ret.__name__,
        _filled(traits.infix, arguments, vectors) or f"{name}({called})",
        _filled(traits.latex, arguments, vectors)
        or rf"\operatorname{{{name}}}\left({called}\right)".replace("_", r"\_"),
        traits.cost,
        traits.tags,
        traits.learnable,
        f"f({', '.join(['x', *['1'] * (node.arity - 1)])})",
        _computed(name, traits, node.args),
    )


def _filled(template: str, arguments: Sequence[str], vectors: Sequence[str]) -> str:
    named = {f"s{i}": name for i, name in enumerate(vectors)} | ({"s": vectors[0]} if vectors else {})
    return template.format(*map(_Name, arguments), **named)


def _computed(name: str, traits: Traits, types: Sequence[type]) -> Callable[[Array], Array]:
    """Return what computes a function for rows of arguments, (n, arity) -> (n,); NaN where it cannot be computed."""
    features = [kind_of(marker) is Feature for marker in types]

    def values(rows: Array) -> Array:
        constant = [bool((column == column[0]).all()) for column in rows.T]
        together = any(features) and all(map(operator.or_, features, constant))
        try:
            parts = [rows] if together else [row[None] for row in rows]
            return np.concatenate(
                [try_out(name, traits, types, list(torch.from_numpy(part.T.copy()))) for part in parts]
            )
        except GaafError:
            return np.full(len(rows), np.nan)

    return values


def _first(rows: Array) -> Array:
    return rows[:, 0]


def _level(number: float) -> Callable[[Array], Array]:
    return lambda rows: np.full(len(rows), number)


def _nothing(rows: Array) -> Array:
    return np.full(len(rows), np.nan)
