"""A handful of operators, for first steps, tests and examples."""

from __future__ import annotations

import torch

from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.types import Feature


def make_pset() -> PrimitiveSet:
    """Return a set of one argument ``x``, six operators and no constants; DEAP's generators work on it as they are."""
    pset = PrimitiveSet("primitives.minimal:make_pset")
    two = [Feature, Feature]
    pset.addPrimitive(
        torch.add, two, Feature, infix="{0:1} + {1:1}", latex="{0:1} + {1:1}", precedence=1, commutative=True
    )
    pset.addPrimitive(torch.sub, two, Feature, infix="{0:1} - {1:2}", latex="{0:1} - {1:2}", precedence=1)
    pset.addPrimitive(
        torch.mul, two, Feature, infix="{0:2} * {1:2}", latex=r"{0:2} \cdot {1:2}", precedence=2, commutative=True
    )
    pset.addPrimitive(torch.sin, [Feature], Feature, cost=4, latex=r"\sin\left({0}\right)", periodic=True)
    pset.addPrimitive(torch.cos, [Feature], Feature, cost=4, latex=r"\cos\left({0}\right)", periodic=True)
    pset.addPrimitive(torch.tanh, [Feature], Feature, cost=4, latex=r"\tanh\left({0}\right)")
    return pset.check()
