"""What a primitive computes, found out by trying: x + y, -x, max(x, 0) and the like, whatever its name.

Simplification needs to know which primitive of a set adds. A set is anybody's, so nobody is asked: a function that
agrees with x + y in every bit on some hundred values of all magnitudes is x + y.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from gaaf_gp.grid import visited
from gaaf_gp.pset import PrimitiveSet

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
                    self.kinds[primitive.name] = _kind(traits.function, len(primitive.args))

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


def _kind(function: Any, arity: int) -> str:
    references: dict[int, dict[str, Callable[..., Tensor]]] = {1: {**UNARY}, 2: {**BINARY}}
    inputs: Sequence[Tensor] = _values()[:arity]
    try:
        found = function(*inputs)
        for kind, reference in references.get(arity, {}).items():
            if _equal(found, reference(*inputs)):
                return kind
        if arity == 1 and torch.equal(function(visited()) >= 0, visited() >= 0):
            return KEEPS_SIGN
    except Exception:  # anybody's code: what cannot be tried has no kind
        return ""
    return ""


def _equal(found: Any, expected: Tensor) -> bool:
    return isinstance(found, Tensor) and found.shape == expected.shape and torch.equal(found, expected)


@functools.cache
def _values() -> tuple[Tensor, Tensor]:
    """Two times (257, 1) float32 of both signs and many magnitudes, both zeros and equal pairs among them."""
    generator = torch.Generator().manual_seed(0)
    size = torch.exp2(torch.rand(2, 250, generator=generator) * 24 - 16)
    signs = torch.randint(2, (2, 250), generator=generator) * 2 - 1
    extra = torch.tensor([[0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 64.0], [1.0, 0.5, 1.0, 0.0, 0.5, -2.0, -64.0]])
    both = torch.cat([size * signs, extra], 1).unsqueeze(2)
    return both[0], both[1]
