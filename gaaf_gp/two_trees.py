"""Variation of two trees at once, with the signatures of :mod:`gaaf_gp.operators`.

Each changes one tree of an individual and leaves the other as it is. What selection has found good is a pair: a child
that keeps half of it shows what the change of the other half does, and one that changes both in one step is, more often
than not, as good as random. Forward trees meet forward trees only, backward ones backward ones.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from gaaf_gp.candidates import TwoTrees
from gaaf_gp.generation import DEFAULT_LIMITS, Limits
from gaaf_gp.individual import Fitness, Individual
from gaaf_gp.operators import MUTATIONS, cx_one_point, mut_any
from gaaf_gp.pset import PrimitiveSet

SIDES = ("forward", "backward")


def init_two_trees(expr: Callable[[], list[Any]], pset: PrimitiveSet, fitness: type[Fitness] = Fitness) -> TwoTrees:
    """Return two new trees, each of the nodes that one call of ``expr`` makes, forward first."""
    forward = Individual(expr(), pset)
    return TwoTrees(forward, Individual(expr(), pset), fitness())


def cx_one_of_two(
    first: TwoTrees, second: TwoTrees, *, rng: random.Random, limits: Limits = DEFAULT_LIMITS
) -> tuple[TwoTrees, TwoTrees]:
    """Exchange one subtree between the forward trees or between the backward ones, with equal probability.

    Both pairs are changed in place, and the limits hold for each tree. Where one side allows no exchange that changes
    anything the other one is tried.
    """
    for one, other in _sides(first, second, rng):
        before = str(one), str(other)
        cx_one_point(one, other, rng=rng, limits=limits)
        if (str(one), str(other)) != before:
            break
    return first, second


def mut_one_of_two(
    individual: TwoTrees,
    *,
    rng: random.Random,
    limits: Limits = DEFAULT_LIMITS,
    mutations: Sequence[Callable[..., tuple[Individual]]] = MUTATIONS,
) -> tuple[TwoTrees]:
    """Apply one random mutation to one of the two trees, or to the other one where it changes nothing."""
    for tree, _ in _sides(individual, individual, rng):
        before = list(tree)
        mut_any(tree, rng=rng, limits=limits, mutations=mutations)
        if tree != before:
            break
    return (individual,)


def _sides(first: TwoTrees, second: TwoTrees, rng: random.Random) -> Iterator[tuple[Individual, Individual]]:
    for side in rng.sample(SIDES, len(SIDES)):
        yield getattr(first, side), getattr(second, side)
