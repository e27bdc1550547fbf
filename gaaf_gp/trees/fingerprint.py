"""What a primitive set is: its primitives in their order, their types, and what each of them computes.

Names alone do not tell two sets apart: a ``protected_div`` may have been repaired, and every random draw depends on the
order in which primitives were added. So each function is tried at a few points. Values are compared with a tolerance,
because two processors may differ in the last bits of a sine.
"""

from __future__ import annotations

import math
import random
from typing import Any

import torch
from deap import gp

from gaaf_gp.trees.primitive import Traits, try_out
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.util.devices import plain_defaults
from gaaf_gp.util.randomness import as_global

POINTS = (-2.3, -0.7, 0.0, 0.37, 1.9)
"""Where each argument is tried; the second one is tried at them from the second on, and so forth."""
TOLERANCE = 1e-3
"""Of values, relative and absolute: far above the noise of float32, far below what a repair changes."""
DRAWS = 3
NAME, VALUES = "name", "values"

Entry = dict[str, Any]


@plain_defaults()
def set_signature(pset: PrimitiveSet) -> list[Entry]:
    """Return one entry for each argument, primitive and terminal, in the order in which they were added.

    Each is fit for JSON: its name, the types it takes and returns, and the values that it has at ``POINTS``. A random
    constant has those of its first draws with a fixed generator. A value that is not finite is a text, such as "nan".
    """
    return [_entry(pset, name, node) for name, node in pset.mapping.items()]


def first_difference(before: Any, now: list[Entry]) -> str:
    """Return in words what differs between two signatures, the first of which may be anything; "" if nothing does."""
    if not isinstance(before, list) or not all(isinstance(entry, dict) for entry in before):
        return "its primitives cannot be read"
    for place, (one, other) in enumerate(zip(before, now, strict=False), 1):
        if one.get(NAME) != other[NAME]:
            return f"entry {place} was {one.get(NAME)!r} and is {other[NAME]!r} now"
        if not same_numbers(one.get(VALUES), other[VALUES], TOLERANCE):
            return f"{other[NAME]!r} computes something else than it did"
        if {**one, VALUES: ()} != {**other, VALUES: ()}:
            return f"{other[NAME]!r} takes, returns or costs something else than it did"
    return "" if len(before) == len(now) else f"it had {len(before)} entries and has {len(now)} now"


def same_numbers(one: Any, other: Any, tolerance: float) -> bool:
    """Return whether two values of JSON are equal but for the last digits of their numbers."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same_numbers, one, other, [tolerance] * len(one)))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance)
    return type(one) is type(other) and bool(one == other)


def plain_number(value: float) -> float | str:
    """Return a number fit for JSON: one that is not finite as the text "nan", "inf" or "-inf"."""
    return float(value) if math.isfinite(value) else repr(float(value))


def _entry(pset: PrimitiveSet, name: str, node: Any) -> Entry:
    traits = pset.traits.get(name, Traits(None, cost=0.0))
    return {
        NAME: name,
        "takes": [argument.__name__ for argument in getattr(node, "args", ())],
        "returns": node.ret.__name__,
        "cost": plain_number(traits.cost),
        "commutative": traits.commutative,
        VALUES: [plain_number(value) for value in _values(pset, name, node, traits)],
    }


def _values(pset: PrimitiveSet, name: str, node: Any, traits: Traits) -> list[float]:
    if isinstance(node, gp.Primitive):
        shifts = [place % len(POINTS) for place in range(node.arity)]
        points = [
            torch.tensor([*POINTS[shift:], *POINTS[:shift]], dtype=torch.float32, device="cpu") for shift in shifts
        ]
        return [*traits.learnable, *try_out(name, traits, node.args, points).tolist()]
    if isinstance(node, gp.MetaEphemeral):
        with as_global(random.Random(0)):
            return [node().value for _ in range(DRAWS)]
    if traits.learnable:
        return list(traits.learnable)
    number = pset.context.get(name, node.value)  # DEAP keeps the number of a named terminal there
    return [float(number)] if isinstance(number, int | float) else []
