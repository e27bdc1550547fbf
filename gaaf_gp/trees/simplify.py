"""Smaller trees of the same function: rules of algebra for any primitive set.

:func:`simplify` applies the rules from the leaves up. They know primitives by what they compute, not by their names
(:class:`Algebra`), and each keeps value and gradient.
"""

from __future__ import annotations

import functools
import math
import random
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import torch
from torch import Tensor

from gaaf_gp.errors import GaafError
from gaaf_gp.trees.candidate import Evolved, TwoTrees
from gaaf_gp.trees.generation import DEFAULT_LIMITS, Limits
from gaaf_gp.trees.grid import visited
from gaaf_gp.trees.individual import Individual
from gaaf_gp.trees.primitive import Traits, try_out
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.trees.tree import Constant, Nodes, fold, slot_types
from gaaf_gp.types import Feature
from gaaf_gp.util.devices import plain_defaults

UNARY: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda x: x,
    "zero": torch.zeros_like,
    "neg": torch.neg,
    "abs": torch.abs,
    "square": torch.square,
    "positive": lambda x: x.clamp(min=0),
    "negative": lambda x: x.clamp(max=0),
}
"""Kind of a primitive of one argument -> what it computes."""
BINARY: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "max": torch.maximum,
    "min": torch.minimum,
}
"""Kind of a primitive of two arguments -> what it computes."""
KEEPS_SIGN = "keeps the sign"
"""Kind of any other primitive of one argument whose value has the sign of its argument wherever training may be."""
COARSE = 97
"""Of the visited inputs one in so many is looked at where an argument is dropped."""
SAME_SQUARE = ("neg", "abs")
NOT_NEGATIVE = ("abs", "square", "positive")


@overload
def simplify(candidate: Individual, *, rescale: bool = False) -> Individual: ...
@overload
def simplify(candidate: TwoTrees, *, rescale: bool = False) -> TwoTrees: ...
@plain_defaults()
def simplify(candidate: Evolved, *, rescale: bool = False) -> Evolved:
    """Return a new individual, without fitness, of the same function and no more nodes.

    Args:
        candidate: a tree, or two, each of which is simplified.
        rescale: also drop what only keeps the sign at the root, such as atan or a positive factor. The gradient is then
            another one: for a forward tree, whose gradient is not used. Of two trees only the forward one is rescaled.
    """
    if isinstance(candidate, TwoTrees):
        backward = simplify(candidate.backward)
        return TwoTrees(simplify(candidate.forward, rescale=rescale), backward, type(candidate.fitness)())
    pset = candidate.pset
    rules = _rules(pset)
    term = rules.simplified(candidate, pset.ret)
    while rescale and (smaller := rules.rescaled(term, pset.ret)) is not None:
        term = rules.simplified(smaller.nodes(), pset.ret)
    return Individual(term.nodes(), pset, type(candidate.fitness)())


def mut_simplify(
    individual: Individual,
    *,
    rng: random.Random,  # noqa: ARG001 (nothing is left to chance)
    limits: Limits = DEFAULT_LIMITS,  # noqa: ARG001 (a smaller tree keeps them)
) -> tuple[Individual]:
    """Replace a tree by its simplified form, in place: a mutation as those of :mod:`gaaf_gp.trees.operators`."""
    list.__setitem__(individual, slice(None), list(simplify(individual)))
    return (individual,)


class Algebra:
    """The kinds of the primitives of one set.

    Attributes:
        kinds: name of a primitive -> its kind, or nothing. Primitives that learn have none.

    Args:
        pset: the set.
    """

    def __init__(self, pset: PrimitiveSet) -> None:
        self._pset = pset
        self.kinds: dict[str, str] = {}
        for primitives in pset.primitives.values():
            for primitive in primitives:
                traits = pset.traits[primitive.name]
                if primitive.name not in self.kinds and not traits.learnable:
                    self.kinds[primitive.name] = _kind(primitive.name, traits, len(primitive.args))

    def kind(self, node: Any) -> str:
        """Return the kind of a node, or nothing."""
        return self.kinds.get(node.name, "")

    def primitive(self, kind: str, slot: type, *arguments: type) -> Any | None:
        """Return a primitive of a kind that fits a place and takes arguments of such types, or None."""
        for primitive in self._pset.primitives.get(slot, ()):
            fits = self.kind(primitive) == kind and len(primitive.args) == len(arguments)
            if fits and all(map(issubclass, arguments, primitive.args)):
                return primitive
        return None


@dataclass(frozen=True)
class Term:
    """A subtree as a value: a node and what it takes.

    Attributes:
        node: of DEAP.
        children: what it takes.
        text: canonical; equal texts without learnable operators are equal functions.
        learns: whether there is a learnable operator in it.
        value: the number that it is whatever x and the vectors are, as float32 computes it; None if it is none.
    """

    node: Any
    children: tuple[Term, ...] = ()
    text: str = field(default="", compare=False)
    learns: bool = False
    value: float | None = None

    def nodes(self) -> list[Any]:
        """Return the nodes in depth-first order."""
        found, stack = [], [self]
        while stack:
            term = stack.pop()
            found.append(term.node)
            stack.extend(reversed(term.children))
        return found


class Rules:
    """The rewrites of one set: each uses only primitives that the set has, where their types fit."""

    def __init__(self, pset: PrimitiveSet) -> None:
        # a weak reference, since this is kept by the set itself
        self._set = weakref.ref(pset)
        self._algebra = Algebra(pset)
        self._one: dict[str, Callable[[Term, type], Term | None]] = {
            "identity": self._identity,
            "neg": self._neg,
            "abs": self._abs,
            "square": self._square,
            "positive": self._positive,
            "negative": self._negative,
        }
        self._two: dict[str, Callable[[Term, Term, type], Term | None]] = {
            "add": self._add,
            "sub": self._sub,
            "mul": self._mul,
            "max": self._extreme,
            "min": self._extreme,
        }

    @property
    def pset(self) -> PrimitiveSet:
        """The set."""
        pset = self._set()
        assert pset is not None
        return pset

    def simplified(self, nodes: Nodes, slot: type) -> Term:
        """Return a term of the same function that fits the place ``slot``: all rules applied, from the leaves up."""
        slots = slot_types(nodes, slot)
        return fold(nodes, lambda index, node, children: self._settled(self._term(node, *children), slots[index]))

    def rescaled(self, term: Term, slot: type) -> Term | None:
        """Return a smaller term with the same sign, or None."""
        if self._kind(term) == KEEPS_SIGN:
            return self._fits(term.children[0], slot)
        if self._kind(term) == "mul":
            for factor, rest in (term.children, term.children[::-1]):
                if factor.value is not None and factor.value > 0:
                    return self._fits(rest, slot)
        return None

    def _settled(self, term: Term, slot: type) -> Term:
        """Apply rules at the root until none applies; each leaves fewer nodes."""
        while (rewritten := self._rewritten(term, slot)) is not None:
            term = rewritten
        return term

    def _rewritten(self, term: Term, slot: type) -> Term | None:
        if not term.children:
            return None
        if term.value is not None:
            constant = self._constant(term.value, slot)
            return constant if constant is not None and len(constant.nodes()) < len(term.nodes()) else None
        kind, simpler = self._kind(term), None
        if kind in self._one:
            (argument,) = term.children
            simpler = self._one[kind](argument, slot)
        elif kind in self._two:
            first, second = term.children
            simpler = self._two[kind](first, second, slot)
        return None if simpler is None else self._fits(simpler, slot)

    def _identity(self, a: Term, slot: type) -> Term | None:  # noqa: ARG002
        return a

    def _positive(self, a: Term, slot: type) -> Term | None:  # noqa: ARG002
        return a if self._kind(a) in NOT_NEGATIVE else None

    def _negative(self, a: Term, slot: type) -> Term | None:  # noqa: ARG002
        return a if self._kind(a) == "negative" else None

    def _neg(self, a: Term, slot: type) -> Term | None:
        if self._kind(a) == "neg":
            return a.children[0]
        return self._made("sub", slot, *a.children[::-1]) if self._kind(a) == "sub" else None

    def _abs(self, a: Term, slot: type) -> Term | None:
        if self._kind(a) in NOT_NEGATIVE:
            return a
        return self._made("abs", slot, a.children[0]) if self._kind(a) == "neg" else None

    def _square(self, a: Term, slot: type) -> Term | None:
        return self._made("square", slot, a.children[0]) if self._kind(a) in SAME_SQUARE else None

    def _add(self, a: Term, b: Term, slot: type) -> Term | None:
        for one, other in ((a, b), (b, a)):
            if other.value == 0:
                return one
            if self._kind(other) == "neg":
                return self._made("sub", slot, one, other.children[0])
        return None

    def _sub(self, a: Term, b: Term, slot: type) -> Term | None:
        if b.value == 0:
            return a
        if a.value == 0:
            return self._made("neg", slot, b)
        if self._kind(b) == "neg":
            return self._made("add", slot, a, b.children[0])
        return self._constant(0.0, slot) if _same(a, b) and self._finite(a) else None

    def _mul(self, a: Term, b: Term, slot: type) -> Term | None:
        for one, other in ((a, b), (b, a)):
            factor = other.value
            if factor == 1:
                return one
            if factor == -1:
                return self._made("neg", slot, one)
            if factor == 0 and self._finite(one):
                return self._constant(0.0, slot)
        return self._made("square", slot, a) if _same(a, b) else None

    def _extreme(self, a: Term, b: Term, slot: type) -> Term | None:  # noqa: ARG002
        return a if _same(a, b) else None

    def _term(self, node: Any, *children: Term) -> Term:
        traits = self.pset.traits.get(node.name)
        texts = [child.text for child in children]
        learns = any(child.learns for child in children)
        if traits is not None:
            texts = sorted(texts) if traits.commutative else texts
            learns = learns or bool(traits.learnable)
        return Term(node, children, str(node.format(*texts)), learns, self._number(node, children, learns))

    def _number(self, node: Any, children: Sequence[Term], learns: bool) -> float | None:
        if isinstance(node, Constant):
            return float(node.value)
        if children and self._algebra.kind(node) == "zero":
            return 0.0
        values = [child.value for child in children if child.value is not None]
        if learns or not children or len(values) < len(children):
            return None
        function = self.pset.traits[node.name].function
        assert function is not None
        result = float(function(*(torch.tensor(value, dtype=torch.float32) for value in values)))
        return result if math.isfinite(result) else None

    def _kind(self, term: Term) -> str:
        return self._algebra.kind(term.node) if term.children else ""

    def _fits(self, term: Term, slot: type) -> Term | None:
        return term if issubclass(term.node.ret, slot) else None

    def _made(self, kind: str, slot: type, *children: Term) -> Term | None:
        primitive = self._algebra.primitive(kind, slot, *(child.node.ret for child in children))
        return None if primitive is None else self._term(primitive, *children)

    def _constant(self, value: float, slot: type) -> Term | None:
        """Return the smallest term that is a number wherever it stands, or None if the set cannot say it."""
        pset = self.pset
        number = pset.constant(value, slot)
        if number is not None:
            return self._term(number)
        for primitive in pset.primitives.get(slot, ()):
            if self._algebra.kind(primitive) == "identity":
                inner = pset.constant(value, primitive.args[0])
                if inner is not None:
                    return self._term(primitive, self._term(inner))
        if value == 0:
            for primitive in pset.primitives.get(slot, ()):
                leaves = [leaf for leaf in pset.terminals.get(primitive.args[0], ()) if leaf.name in pset.arguments]
                if self._algebra.kind(primitive) == "zero" and leaves:
                    return self._term(primitive, self._term(leaves[0]))
        return None

    @torch.no_grad()
    def _finite(self, term: Term) -> bool:
        """Return whether a term is finite on a part of the inputs that training may meet, vectors at their start."""
        inputs = visited()[::COARSE]

        def value(_index: int, node: Any, children: list[Tensor]) -> Tensor:
            if isinstance(node, Constant):
                return torch.tensor(float(node.value), dtype=torch.float32, device="cpu")
            if not node.arity:
                return inputs
            traits = self.pset.traits[node.name]
            starts = [torch.tensor([start], dtype=torch.float32, device="cpu") for start in traits.learnable]
            assert traits.function is not None
            return traits.function(*children, *starts)

        return bool(fold(term.nodes(), value).isfinite().all())


_RULES: weakref.WeakKeyDictionary[PrimitiveSet, tuple[int, Rules]] = weakref.WeakKeyDictionary()
"""Set -> how many names it had, and its rules."""


def _rules(pset: PrimitiveSet) -> Rules:
    made = _RULES.get(pset)
    if made is None or made[0] != len(pset.traits):  # a set may grow
        made = _RULES[pset] = len(pset.traits), Rules(pset)
    return made[1]


def _same(a: Term, b: Term) -> bool:
    return a.text == b.text and not a.learns


def _kind(name: str, traits: Traits, arity: int) -> str:
    references: dict[int, dict[str, Callable[..., Tensor]]] = {1: {**UNARY}, 2: {**BINARY}}
    inputs: Sequence[Tensor] = _values()[:arity]
    features = [Feature] * arity
    try:
        values = try_out(name, traits, features, inputs)
        for kind, reference in references.get(arity, {}).items():
            if torch.equal(values, reference(*inputs)):
                return kind
        every = visited().flatten()
        if arity == 1 and torch.equal(try_out(name, traits, features, [every]) >= 0, every >= 0):
            return KEEPS_SIGN
    except GaafError:  # what cannot be tried has no kind
        return ""
    return ""


@functools.cache
def _values() -> tuple[Tensor, Tensor]:
    """Two times (257,) float32 of both signs and many magnitudes, both zeros and equal pairs among them."""
    settings: Any = {"dtype": torch.float32, "device": "cpu"}
    generator = torch.Generator("cpu").manual_seed(0)
    size = torch.exp2(torch.rand(2, 250, generator=generator, **settings) * 24 - 16)
    signs = torch.randint(2, (2, 250), generator=generator, device="cpu") * 2 - 1
    extra = torch.tensor([[0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 64.0], [1.0, 0.5, 1.0, 0.0, 0.5, -2.0, -64.0]], **settings)
    both = torch.cat([size * signs, extra], 1)
    return both[0], both[1]
