"""Crossover and mutation that never fail, never break a type and never pass a limit.

The signatures are DEAP's (``mate`` takes two individuals and returns two, ``mutate`` returns a 1-tuple, both change
their arguments in place), with the random generator and the limits as keywords. All choices go through the given
``random.Random`` in an order that depends on the trees and the set alone, so a seed gives the same trees in every
process.
"""

from __future__ import annotations

import functools
import inspect
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from deap import gp

from gaaf_gp.errors import GaafError
from gaaf_gp.trees.candidate import TwoTrees
from gaaf_gp.trees.generation import DEFAULT_LIMITS, Limits, generate
from gaaf_gp.trees.individual import Fitness, Individual
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.trees.tree import Constant, Nodes, depths, heights, slot_types, subtree_ends

LEAF_PROBABILITY = 0.1
"""Koza's share of crossovers at a leaf: most exchange something with structure."""
TURNED = 0.1
"""Share of log-uniform steps of a constant that turn its sign."""
CONSTANT_DIGITS = 4
"""Significant digits kept of a mutated constant, so that formulas stay readable."""
SIDES = ("forward", "backward")
"""The trees of a :class:`~gaaf_gp.trees.candidate.TwoTrees`."""


@dataclass
class _Shape:
    """What variation needs to know of every node of one tree, computed once."""

    ends: list[int]
    heights: list[int]
    depths: list[int]
    slots: list[type]

    @classmethod
    def of(cls, individual: Individual) -> _Shape:
        return cls(
            subtree_ends(individual),
            heights(individual),
            depths(individual),
            slot_types(individual, individual.pset.ret),
        )


def _replace(individual: Individual, begin: int, end: int, nodes: Nodes) -> None:
    # Not PrimitiveTree.__setitem__: it counts arities again, and the caller has already checked more than that.
    list.__setitem__(individual, slice(begin, end), list(nodes))


def _fits(shape: _Shape, index: int, nodes_height: int, nodes_size: int, limits: Limits) -> bool:
    """Whether a subtree of that height and size may replace node ``index``."""
    size = len(shape.ends) - (shape.ends[index] - index) + nodes_size
    return shape.depths[index] + nodes_height <= limits.height and size <= limits.size


def cx_one_point(
    first: Individual, second: Individual, *, rng: random.Random, limits: Limits = DEFAULT_LIMITS
) -> tuple[Individual, Individual]:
    """Exchange one subtree, among all exchanges that keep both trees well-typed and within the limits.

    Both trees are changed in place. Exchanging whole trees would change nothing and is left out; when no exchange is
    possible, both come back as they were.
    """
    if first is second:
        return first, second
    a, b = _Shape.of(first), _Shape.of(second)
    for i in _shuffled_points(first, rng):
        partners = [j for j in range(len(second)) if _may_exchange(first, a, i, second, b, j, limits)]
        inner = [j for j in partners if second[j].arity]
        if inner and rng.random() >= LEAF_PROBABILITY:
            partners = inner
        if partners:
            j = rng.choice(partners)
            left, right = first[i : a.ends[i]], second[j : b.ends[j]]
            _replace(first, i, a.ends[i], right)
            _replace(second, j, b.ends[j], left)
            break
    return first, second


def _shuffled_points(individual: Individual, rng: random.Random) -> list[int]:
    """Return all nodes in random order, inner nodes first nine times out of ten."""
    points = list(range(len(individual)))
    rng.shuffle(points)
    if rng.random() >= LEAF_PROBABILITY:
        points.sort(key=lambda index: individual[index].arity == 0)
    return points


def _may_exchange(first: Individual, a: _Shape, i: int, second: Individual, b: _Shape, j: int, limits: Limits) -> bool:
    return (
        not i == j == 0
        and issubclass(second[j].ret, a.slots[i])
        and issubclass(first[i].ret, b.slots[j])
        and _fits(a, i, b.heights[j], b.ends[j] - j, limits)
        and _fits(b, j, a.heights[i], a.ends[i] - i, limits)
    )


def mut_uniform(
    individual: Individual, *, rng: random.Random, limits: Limits = DEFAULT_LIMITS, max_height: int = 2
) -> tuple[Individual]:
    """Replace a random subtree by a new one, at most ``max_height`` high where the type allows it."""
    shape = _Shape.of(individual)
    pset = individual.pset
    index = rng.randrange(len(individual))
    slot = shape.slots[index]
    height = limits.height - shape.depths[index]
    size = limits.size - (len(individual) - (shape.ends[index] - index))
    lowest = pset.least_height(slot)
    wanted = int(min(height, max(max_height, lowest)))
    if pset.min_size(slot, wanted) > size:
        wanted = height
    if pset.min_size(slot, wanted) <= size:
        nodes = generate(pset, 0, wanted, slot, rng=rng, max_size=size)
        _replace(individual, index, shape.ends[index], nodes)
    return (individual,)


def mut_node_replacement(
    individual: Individual,
    *,
    rng: random.Random,
    limits: Limits = DEFAULT_LIMITS,  # noqa: ARG001 (kept because the shape is)
) -> tuple[Individual]:
    """Replace a random node by another one of the same argument types; the tree keeps its shape.

    Nodes that have no alternative are left out, so it changes the tree whenever any node can change.
    """
    slots = slot_types(individual, individual.pset.ret)
    points = list(range(len(individual)))
    rng.shuffle(points)
    for index in points:
        others = _alternatives(individual, index, slots[index])
        new = individual.pset.draw(rng.choice(others), rng) if others else individual[index]
        if new != individual[index]:
            individual[index] = new
            break
    return (individual,)


def _alternatives(individual: Individual, index: int, slot: type) -> list[Any]:
    node, pset = individual[index], individual.pset
    if node.arity:
        return [p for p in pset.primitives.get(slot, ()) if p.args == node.args and p.name != node.name]
    return [t for t in pset.terminals.get(slot, ()) if isinstance(t, type) or t != node]


def mut_shrink(
    individual: Individual,
    *,
    rng: random.Random,
    limits: Limits = DEFAULT_LIMITS,  # noqa: ARG001 (a smaller tree keeps them)
) -> tuple[Individual]:
    """Replace a random inner node by one of its own arguments of a fitting type; the tree gets smaller."""
    shape = _Shape.of(individual)
    choices = [
        (index, child)
        for index, node in enumerate(individual)
        for child in _children(shape, index, node.arity)
        if issubclass(individual[child].ret, shape.slots[index])
    ]
    if choices:
        index, child = rng.choice(choices)
        _replace(individual, index, shape.ends[index], individual[child : shape.ends[child]])
    return (individual,)


def _children(shape: _Shape, index: int, arity: int) -> list[int]:
    places, child = [], index + 1
    for _ in range(arity):
        places.append(child)
        child = shape.ends[child]
    return places


def mut_insert(individual: Individual, *, rng: random.Random, limits: Limits = DEFAULT_LIMITS) -> tuple[Individual]:
    """Put a new primitive above a random subtree, which becomes one of its arguments; the others are new, low trees."""
    shape, pset = _Shape.of(individual), individual.pset
    points = list(range(len(individual)))
    rng.shuffle(points)
    for index in points:
        if not pset.varies(shape.slots[index]):
            continue  # an operator on a constant makes another constant, which mut_constant does better
        choices = [
            (primitive, place)
            for primitive in pset.primitives.get(shape.slots[index], ())
            for place, argument in enumerate(primitive.args)
            if issubclass(individual[index].ret, argument)
            and _insertion_fits(shape, index, primitive, place, pset, limits)
        ]
        if choices:
            primitive, place = rng.choice(choices)
            _insert(individual, shape, index, primitive, place, rng, limits)
            break
    return (individual,)


def _insertion_fits(shape: _Shape, index: int, primitive: Any, place: int, pset: PrimitiveSet, limits: Limits) -> bool:
    room = limits.height - shape.depths[index] - 1
    others = sum(pset.min_size(argument, room) for i, argument in enumerate(primitive.args) if i != place)
    size = len(shape.ends) + 1 + others
    return shape.heights[index] <= room and size <= limits.size


def _insert(
    individual: Individual, shape: _Shape, index: int, primitive: Any, place: int, rng: random.Random, limits: Limits
) -> None:
    pset, room = individual.pset, limits.height - shape.depths[index] - 1
    least = {i: pset.min_size(argument, room) for i, argument in enumerate(primitive.args) if i != place}
    spare = limits.size - (len(individual) + 1 + sum(least.values()))
    nodes: list[Any] = [primitive]
    for i, argument in enumerate(primitive.args):
        if i == place:
            nodes.extend(individual[index : shape.ends[index]])
        else:
            # Nearly as small as can be: an insertion adds one operator, not a forest.
            height = int(min(room, pset.least_height(argument) + 1))
            height = height if pset.min_size(argument, height) <= least[i] else room
            new = generate(pset, 0, height, argument, rng=rng, max_size=least[i] + min(1, spare))
            spare -= len(new) - least[i]
            nodes.extend(new)
    _replace(individual, index, shape.ends[index], nodes)


def constant_places(individual: Individual) -> list[int]:
    """Return where the evolved constants of a tree stand: numbers of types that its set draws."""
    pset = individual.pset
    return [i for i, node in enumerate(individual) if isinstance(node, Constant) and pset.draws(node.ret)]


def mut_constant(
    individual: Individual,
    *,
    rng: random.Random,
    limits: Limits = DEFAULT_LIMITS,  # noqa: ARG001 (the shape stays)
    sigma: float = 0.3,
) -> tuple[Individual]:
    """Move one random constant by a Gaussian step of ``sigma`` times (its magnitude + 0.1)."""
    return _move_constant(individual, rng, lambda old: old + rng.gauss(0.0, sigma) * (abs(old) + 0.1))


def mut_constant_scale(
    individual: Individual,
    *,
    rng: random.Random,
    limits: Limits = DEFAULT_LIMITS,  # noqa: ARG001 (the shape stays)
    decades: float = 1.0,
) -> tuple[Individual]:
    """Multiply one random constant by a log-uniform factor, up to ``decades`` powers of ten; one in ten turns its sign.

    A constant of zero, which no factor moves, becomes 1 times the factor. Not among ``MUTATIONS``: for constants whose
    magnitude is not known, give ``mutations=(*MUTATIONS, mut_constant_scale)``.
    """

    def scaled(old: float) -> float:
        factor: float = 10.0 ** rng.uniform(-decades, decades)
        return (old or 1.0) * (-factor if rng.random() < TURNED else factor)

    return _move_constant(individual, rng, scaled)


def _move_constant(individual: Individual, rng: random.Random, move: Callable[[float], float]) -> tuple[Individual]:
    places = constant_places(individual)
    if places:
        index = rng.choice(places)
        old = individual[index]
        rounded = float(f"{move(old.value):.{CONSTANT_DIGITS}g}")
        if math.isfinite(rounded):
            individual[index] = Constant(rounded, old.ret)
    return (individual,)


MUTATIONS: tuple[Callable[..., tuple[Individual]], ...] = (
    mut_uniform,
    mut_node_replacement,
    mut_shrink,
    mut_insert,
    mut_constant,
)


def mut_any(
    individual: Individual,
    *,
    rng: random.Random,
    limits: Limits = DEFAULT_LIMITS,
    mutations: Sequence[Callable[..., tuple[Individual]]] = MUTATIONS,
) -> tuple[Individual]:
    """Apply one random mutation; when it changes nothing, try the others in random order.

    Args:
        individual: changed in place, or not, as the mutation does; what that returns is the child.
        rng: of the choice, and of mutations that take ``rng``.
        limits: given to mutations that take ``limits``.
        mutations: functions of an individual, perhaps with ``rng`` and ``limits``, that return ``(individual,)``, as
            those of DEAP do.

    Raises:
        GaafError: a mutation returns something else.
    """
    before, pset, fitness = list(individual), individual.pset, individual.fitness
    child = individual
    for mutation in rng.sample(list(mutations), len(mutations)):
        given = {"rng": rng, "limits": limits}
        own = {name: value for name, value in given.items() if name in _keywords(mutation)}
        child = only_child(mutation(child, **own), mutation)
        if not isinstance(child, Individual):
            child = Individual(child, pset, fitness)
        if child != before:
            break
    return (child,)


@functools.lru_cache(maxsize=256)
def _keywords(mutation: Callable[..., Any]) -> frozenset[str]:
    """Return which of ``rng`` and ``limits`` a mutation takes."""
    parameters = inspect.signature(mutation).parameters.values()
    everything = any(one.kind is one.VAR_KEYWORD for one in parameters)
    names = {one.name for one in parameters if one.kind is not one.POSITIONAL_ONLY}
    return frozenset(name for name in ("rng", "limits") if everything or name in names)


def only_child(returned: object, operator: Callable[..., Any]) -> Any:
    """Return the child in what a mutation returned.

    Raises:
        GaafError: that is no tuple of one.
    """
    if not isinstance(returned, tuple | list) or isinstance(returned, gp.PrimitiveTree) or len(returned) != 1:
        name = getattr(operator, "__name__", repr(operator))
        raise GaafError(
            f"a mutation must return a tuple of one individual, got {returned!r} of {name}: end it with a "
            "comma, as in return (individual,)"
        )
    return returned[0]


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
    for side in rng.sample(SIDES, len(SIDES)):
        first_tree, second_tree = getattr(first, side), getattr(second, side)
        before = str(first_tree), str(second_tree)
        cx_one_point(first_tree, second_tree, rng=rng, limits=limits)
        if (str(first_tree), str(second_tree)) != before:
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
    for side in rng.sample(SIDES, len(SIDES)):
        tree = getattr(individual, side)
        before = list(tree)
        (changed,) = mut_any(tree, rng=rng, limits=limits, mutations=mutations)
        setattr(individual, side, changed)
        if changed != before:
            break
    return (individual,)
