"""Smaller trees of the same function: constants folded, what adds nothing left out, double signs resolved.

Each rewrite (:mod:`gaaf_gp.rewriting`) keeps value and gradient wherever training may be. Every sign stays as it is; a
slope may round otherwise in its last bit, since the sums of a gradient are taken in another order, so that signatures
are nearly always those of the tree, and not always. Learnable operators have vectors of their own: two that look alike
are two, and neither is ever dropped for the other. What absorbs its argument (x - x, 0 * x) drops it only if it is
finite on a sample of the inputs from -64 to 64.
"""

from __future__ import annotations

import random
import weakref
from typing import overload

from gaaf_gp.candidates import Evolved, TwoTrees
from gaaf_gp.generation import DEFAULT_LIMITS, Limits
from gaaf_gp.individual import Individual
from gaaf_gp.pset import PrimitiveSet
from gaaf_gp.rewriting import Rules


@overload
def simplify(candidate: Individual, *, rescale: bool = False) -> Individual: ...
@overload
def simplify(candidate: TwoTrees, *, rescale: bool = False) -> TwoTrees: ...
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
    """Replace a tree by its simplified form, in place: a mutation as those of :mod:`gaaf_gp.operators`."""
    list.__setitem__(individual, slice(None), list(simplify(individual)))
    return (individual,)


_KNOWN: weakref.WeakKeyDictionary[PrimitiveSet, tuple[int, Rules]] = weakref.WeakKeyDictionary()


def _rules(pset: PrimitiveSet) -> Rules:
    known = _KNOWN.get(pset)
    if known is None or known[0] != len(pset.traits):  # a set may grow
        known = _KNOWN[pset] = len(pset.traits), Rules(pset)
    return known[1]
