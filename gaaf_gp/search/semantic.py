"""Variation that changes behaviour: no child has the signature of one of its parents.

Much of what crossover and mutation make is a parent's function in another form. ``evolve`` never trains such a child;
DEAP's loops do, unless their operators are wrapped here (``make_toolbox(semantic=True)``).
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from gaaf_gp.errors import GaafError
from gaaf_gp.trees.candidate import Evolved

ATTEMPTS = 25
"""Times that an operator tries before a random individual takes the place of the child."""
DRAWS = 1000
"""Random individuals that are drawn before giving up."""


def semantic(
    operate: Callable[..., tuple[Any, ...]],
    signature: Callable[[Evolved], str],
    fresh: Callable[[], Evolved],
) -> Callable[..., tuple[Any, ...]]:
    """Return an operator none of whose children has the signature of a parent, or of the other child.

    Args:
        operate: mates two individuals or mutates one, in place, as DEAP's operators do; returns a tuple.
        signature: of an individual, such as ``lambda one: evaluator.behaviour(one).signature``.
        fresh: draws a new individual: what a child becomes that the operator cannot make differ.

    Raises:
        GaafError: when called, if no random individual differs either.
    """

    def apply(*parents: Evolved) -> tuple[Any, ...]:
        taken = {signature(parent) for parent in parents}
        children: list[Any] = []
        for place in range(len(parents)):
            child = _differing(operate, parents, place, taken, signature) or _drawn(fresh, taken, signature)
            taken.add(signature(child))
            children.append(child)
        return tuple(children)

    return apply


def _differing(
    operate: Callable[..., tuple[Any, ...]],
    parents: tuple[Evolved, ...],
    place: int,
    taken: set[str],
    signature: Callable[[Evolved], str],
) -> Evolved | None:
    for _ in range(ATTEMPTS):
        child: Evolved = operate(*map(copy.deepcopy, parents))[place]
        if signature(child) not in taken:
            return child
    return None


def _drawn(fresh: Callable[[], Evolved], taken: set[str], signature: Callable[[Evolved], str]) -> Evolved:
    for _ in range(DRAWS):
        child = fresh()
        if signature(child) not in taken:
            return child
    raise GaafError(
        f"semantic variation needs a set with trees that behave differently, but {DRAWS} random ones all behave as the "
        "parents do: add primitives or loosen limits and constraints"
    )
