"""What can be trained: one tree, a forward and a backward tree, a hand-made baseline; None stands for the plain sign.

The canonical text of a candidate is its identity everywhere, and :func:`parse_candidate` reads it: ``add(sin(x), x)``
is one tree, ``sin(x) | x`` two trees, ``@rsign`` a baseline, ``@sign`` the plain sign.
"""

from __future__ import annotations

import copy
import functools
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from deap import base

from gaaf_gp.errors import GaafError, listed
from gaaf_gp.trees.individual import Fitness, Individual, svg_of
from gaaf_gp.trees.parser import parse
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.types import Feature
from gaaf_gp.util.checks import choice
from gaaf_gp.util.text import shortened

SEPARATOR = " | "
"""Stands between the forward and the backward tree in text."""
MARK = "@"
"""Begins what is ours and not the set's: the name of a baseline, or x and -x as one of two trees."""
PLAIN_SIGN = MARK + "sign"
"""The plain sign in text, where None cannot stand."""
LONGEST_NAME = 33
"""Characters shown of a name that no baseline has."""
IDENTITY_SET = "gaaf_gp.trees.candidate:identity"

_FORMULAS = {
    "rsign": ("x + s0", "x + s_{0}"),
    "rprelu": ("prelu(x + s0, s1) + s2", r"\operatorname{PReLU}\left(x + s_{0},\, s_{1}\right) + s_{2}"),
}
"""Baseline -> its formula for people and in LaTeX; s0, s1, ... are learnable vectors, numbered as its parameters."""


class TwoTrees:
    """Two trees of one set: layers take the sign of the forward one and the windowed derivative of the backward one.

    For DEAP it is an individual: it has a ``fitness`` and a length, and can be copied, compared, hashed and pickled.
    Its trees may be replaced.

    Args:
        forward: f, whose sign is taken.
        backward: g, whose windowed derivative stands for that of f.
        fitness: by default that of a class that DEAP's creator made, else a new :class:`~gaaf_gp.Fitness`.

    Raises:
        GaafError: if the trees are no Individuals, or not made of nodes of one set; :func:`identity` goes with any.
    """

    fitness: base.Fitness

    def __init__(self, forward: Individual, backward: Individual, fitness: base.Fitness | None = None) -> None:
        for name, tree in (("forward", forward), ("backward", backward)):
            if not isinstance(tree, Individual):
                raise GaafError(
                    f"the {name} tree must be an Individual, got {type(tree).__name__}: pass gaaf_gp.parse(text, pset)"
                )
        if not (_is_identity(forward) or _is_identity(backward) or all(map(forward.pset.holds, backward))):
            raise GaafError(
                f"two trees must come from one set, got {forward.pset.name!r} and {backward.pset.name!r}: make both "
                "with one set"
            )
        self.forward = forward
        self.backward = backward
        if fitness is not None:
            self.fitness = fitness
        elif "fitness" not in vars(self):  # classes of DEAP's creator have theirs by now
            self.fitness = Fitness()

    @property
    def pset(self) -> PrimitiveSet:
        """The set that the nodes come from; where one tree is :func:`identity`, that of the other."""
        return (self.backward if _is_identity(self.forward) else self.forward).pset

    @property
    def size(self) -> int:
        """Number of nodes of both trees."""
        return self.forward.size + self.backward.size

    @property
    def height(self) -> int:
        """Height of the higher tree, in edges."""
        return int(max(self.forward.height, self.backward.height))

    @property
    def cost(self) -> float:
        """Sum of the costs of the nodes of both trees, in units of one addition per element."""
        return self.forward.cost + self.backward.cost

    @property
    def canonical(self) -> str:
        """The identity of the pair: both canonical texts, forward first."""
        return SEPARATOR.join(_mark(tree) + tree.canonical for tree in (self.forward, self.backward))

    def infix(self, digits: int = 4) -> str:
        """Return both formulas as a person writes them, such as ``forward: sin(x); backward: x``."""
        return f"forward: {self.forward.infix(digits)}; backward: {self.backward.infix(digits)}"

    def latex(self, digits: int = 4) -> str:
        """Return both formulas in LaTeX's mathematics mode."""
        forward, backward = self.forward.latex(digits), self.backward.latex(digits)
        return rf"\mathrm{{forward:}}\ {forward};\ \mathrm{{backward:}}\ {backward}"

    def __len__(self) -> int:
        return self.size

    def __str__(self) -> str:
        return SEPARATOR.join(_mark(tree) + str(tree) for tree in (self.forward, self.backward))

    def __repr__(self) -> str:
        return f"TwoTrees({str(self)!r})"

    def _repr_svg_(self) -> str | None:
        """Return the picture that notebooks show."""
        return svg_of(self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TwoTrees):
            return NotImplemented
        same = self.forward == other.forward and self.backward == other.backward
        return bool(same and str(self) == str(other))  # x of the set and x as identity() are told apart

    def __hash__(self) -> int:
        return hash(str(self))

    def __deepcopy__(self, memo: dict[int, Any]) -> TwoTrees:
        """Copy trees and fitness; nodes and set are shared, as those of an Individual are."""
        new = type(self).__new__(type(self))
        memo[id(self)] = new
        new.__dict__.update((key, copy.deepcopy(value, memo)) for key, value in self.__dict__.items())
        return new


@dataclass(frozen=True)
class Baseline:
    """A hand-made activation that evolved ones are compared with, by its name in :data:`gaaf_gp.binary.BASELINES`.

    The plain sign is no Baseline but None, everywhere.

    Attributes:
        name: "rsign" or "rprelu".

    Raises:
        GaafError: for another name.
    """

    name: str

    def __post_init__(self) -> None:
        if self.name == "sign":
            raise GaafError("the plain sign is None wherever a candidate is asked for, got Baseline('sign'): pass None")
        choice("a baseline", self.name, _FORMULAS)

    @property
    def canonical(self) -> str:
        """The identity of the baseline, such as ``@rsign``."""
        return MARK + self.name

    def infix(self, digits: int = 4) -> str:  # noqa: ARG002 (the shape stays)
        """Return the formula as a person writes it, such as ``x + s0``; it has no constant to round."""
        return _FORMULAS[self.name][0]

    def latex(self, digits: int = 4) -> str:  # noqa: ARG002 (the shape stays)
        """Return the formula in LaTeX's mathematics mode."""
        return _FORMULAS[self.name][1]

    def __str__(self) -> str:
        return self.canonical


Candidate: TypeAlias = Individual | TwoTrees | Baseline
"""What is trained; ``Candidate | None`` where the plain sign is welcome too."""
Evolved: TypeAlias = Individual | TwoTrees
"""What a search breeds."""


def identity(negated: bool = False) -> Individual:
    """Return x or -x as a tree to go into :class:`TwoTrees`, whatever the set of the other tree can express.

    Forward it is the plain sign, backward the clipped identity. As one of two trees its text is ``@x`` or ``@neg(x)``.
    """
    return parse("neg(x)" if negated else "x", _identity_set())


def parse_candidate(text: str | None, pset: PrimitiveSet) -> Candidate | None:
    """Return the candidate written as ``text``; None and ``@sign`` give None, the plain sign.

    ``parse_candidate(candidate.canonical, pset)`` is the candidate in its canonical form.

    Args:
        text: one tree, ``FORWARD | BACKWARD``, or ``@`` and the name of a baseline. Bounds as for
            :func:`gaaf_gp.parse`, which reads each tree.
        pset: the set in which names are looked up.

    Raises:
        GaafError: for text that is none of these; the message marks the place or lists what is allowed.
    """
    if text is None:
        return None
    bar = SEPARATOR.strip()
    parts = text.split(bar, 2) if isinstance(text, str) else [text]
    if len(parts) > 2:
        raise GaafError(
            "a candidate has one tree, or a forward and a backward one with a single | between them, got "
            f"{text.count(bar) + 1} parts: write FORWARD | BACKWARD"
        )
    if len(parts) == 2:
        return TwoTrees(*(_one_of_two(part.strip(), pset) for part in parts))
    if isinstance(text, str) and text.strip().startswith(MARK):
        name = text.strip().removeprefix(MARK)
        return None if name == "sign" else _baseline(name)
    return parse(text, pset)


def text_of(candidate: Candidate | None) -> str | None:
    """Return the canonical text of a candidate, None for the plain sign."""
    return None if candidate is None else candidate.canonical


def _one_of_two(text: str, pset: PrimitiveSet) -> Individual:
    return parse(text.removeprefix(MARK), _identity_set()) if text.startswith(MARK) else parse(text, pset)


def _baseline(name: str) -> Baseline:
    if name not in _FORMULAS:
        allowed = listed(MARK + name for name in ("sign", *_FORMULAS))
        shown = MARK + shortened(name, LONGEST_NAME)
        raise GaafError(f"a baseline must be one of {allowed}, got {shown!r}: choose one of them")
    return Baseline(name)


@functools.cache
def _identity_set() -> PrimitiveSet:
    pset = PrimitiveSet(IDENTITY_SET)
    pset.addPrimitive(torch.neg, [Feature], Feature, name="neg", infix="-{0:3}", latex="-{0:3}", precedence=1)
    return pset.check()


def _is_identity(tree: Individual) -> bool:
    return bool(tree.pset.name == IDENTITY_SET)


def _mark(tree: Individual) -> str:
    return MARK if _is_identity(tree) else ""
