"""Random trees that always succeed: grow, full and half-and-half in a typed set, within height and size limits.

DEAP's generators fail late when a type has no terminal, and know no limit of size. Here every choice is made among the
nodes that can still be closed within what is left of both limits, so a tree is never thrown away or repaired.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Any

from gaaf_gp.errors import GaafError
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.util.checks import LARGEST, whole_fields, whole_number


@dataclass(frozen=True)
class Limits:
    """Static limits of a tree: height in edges (a leaf has 0) and size in nodes.

    Raises:
        GaafError: if a limit is below the smallest tree.
    """

    height: int = 6
    size: int = 30

    def __post_init__(self) -> None:
        whole_fields(self, "the limit of a tree's ", height=0, size=1)


DEFAULT_LIMITS = Limits()


def starting_heights(pset: PrimitiveSet, limits: Limits) -> tuple[int, int]:
    """Return between which heights the first trees of a search are drawn.

    1 and 3, or as high as the types of the set ask for; never beyond the limit.
    """
    highest = max(3, int(min(pset.least_height(pset.ret), limits.height)))
    return min(1, limits.height), min(highest, limits.height)


@dataclass
class _Budget:
    """Nodes that may still be placed, counting what the open places need at least."""

    size: float


def generate(
    pset: PrimitiveSet,
    min_height: int,
    max_height: int,
    marker: type | None = None,
    *,
    rng: random.Random,
    full: bool = False,
    max_size: float = math.inf,
) -> list[Any]:
    """Return the nodes of a random tree.

    Args:
        pset: the primitive set.
        min_height: a branch goes at least this deep where types and ``max_size`` allow it.
        max_height: no branch goes deeper; the height of a tree is drawn uniformly between the two.
        marker: type to return; that of the set by default.
        rng: source of all choices.
        full: make all branches as deep as the drawn height, where types and size allow it.
        max_size: most nodes.

    Raises:
        GaafError: if no tree of that type fits into ``max_height`` and ``max_size``.
    """
    pset.check()
    min_height = whole_number("min_height", min_height, -LARGEST)
    max_height = whole_number("max_height", max_height, -LARGEST)
    root = pset.ret if marker is None else marker
    if pset.least_height(root) > max_height:
        raise GaafError(
            f"limits must leave room for a tree, but the lowest {root.__name__} of set {pset.name!r} has height "
            f"{pset.least_height(root):g} and {max_height} is allowed: raise the limits"
        )
    if pset.min_size(root, max_height) > max_size:
        raise GaafError(
            f"limits must leave room for a tree, but the smallest {root.__name__} of set {pset.name!r} no higher than "
            f"{max_height} has {pset.min_size(root, max_height):g} nodes and {max_size:g} are allowed: raise the limits"
        )
    # Smaller trees may need more height, so all heights from the lowest feasible one on are feasible.
    lowest = min(min_height, max_height)
    while math.isinf(pset.min_size(root, lowest)) or pset.min_size(root, lowest) > max_size:
        lowest += 1
    height = rng.randint(lowest, max_height)
    nodes: list[Any] = []
    budget = _Budget(max_size - pset.min_size(root, height))
    stack: list[tuple[int, type]] = [(height, root)]
    while stack:
        room, wanted = stack.pop()
        stop = not full and height - room >= min_height and rng.random() < _leaf_share(pset, wanted)
        node = _choose(pset, wanted, room, budget, stop, rng)
        nodes.append(node)
        stack.extend((room - 1, argument) for argument in reversed(getattr(node, "args", ())))
    return nodes


def _leaf_share(pset: PrimitiveSet, marker: type) -> float:
    """The share of terminals among what returns ``marker``: DEAP counts the whole set, whatever the type."""
    leaves, calls = len(pset.terminals.get(marker, ())), len(pset.primitives.get(marker, ()))
    return leaves / max(1, leaves + calls)


def _choose(pset: PrimitiveSet, marker: type, room: int, budget: _Budget, stop: bool, rng: random.Random) -> Any:
    """Draw a node for one place: a terminal if it is time to stop or nothing else fits, else a primitive that fits."""
    least = pset.min_size(marker, room)
    terminals = pset.terminals.get(marker, [])
    fitting = []
    if not (terminals and (stop or not pset.varies(marker))):
        for candidate in pset.primitives.get(marker, ()):
            needed = 1 + sum(pset.min_size(argument, room - 1) for argument in candidate.args) if room > 0 else math.inf
            if needed - least <= budget.size and math.isfinite(needed):
                fitting.append((candidate, needed))
    if not fitting:
        return pset.draw(rng.choice(terminals), rng)
    chosen, needed = rng.choice(fitting)
    budget.size -= needed - least
    return chosen


def gen_full(pset: PrimitiveSet, min_height: int, max_height: int, **settings: Any) -> list[Any]:
    """Return a tree whose branches all reach one drawn height, where types and size allow it (:func:`generate`)."""
    return generate(pset, min_height, max_height, full=True, **settings)


def gen_grow(pset: PrimitiveSet, min_height: int, max_height: int, **settings: Any) -> list[Any]:
    """Return a tree whose branches end anywhere between the two heights (:func:`generate`)."""
    return generate(pset, min_height, max_height, full=False, **settings)


def gen_half_and_half(
    pset: PrimitiveSet, min_height: int, max_height: int, *, rng: random.Random, **settings: Any
) -> list[Any]:
    """Return a full or a grown tree with equal probability (Koza's ramped half-and-half)."""
    return generate(pset, min_height, max_height, rng=rng, full=rng.random() < 0.5, **settings)
