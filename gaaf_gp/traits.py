"""What is known of a primitive beyond its function and types: price, looks, periodicity, learnable vectors."""

from __future__ import annotations

import keyword
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from gaaf_gp.errors import GaafError
from gaaf_gp.types import kind_of

NONFINITE = ("value", "gradient")
ATOM = 9
"""Precedence of a call or a name, which never needs parentheses. Sums have 1, products 2, a minus sign 3, powers 4."""


@dataclass(frozen=True)
class Traits:
    """What is known of a primitive or a named terminal beyond its types.

    ``infix`` and ``latex`` are templates with ``{0}``, ``{1}`` for the arguments; ``{0:2}`` puts parentheses around an
    argument whose ``precedence`` is below 2, and ``{s}`` (``{s0}``, ``{s1}`` of several) is a learnable vector. Name
    each argument once: a formula grows as fast as its templates repeat. ``learnable`` holds the initial values of the
    per-channel vectors that the function takes after its tree arguments.
    """

    function: Callable[..., Tensor] | None
    cost: float = 1.0
    infix: str = ""
    latex: str = ""
    precedence: int = ATOM
    periodic: bool = False
    commutative: bool = False
    learnable: tuple[float, ...] = ()


def named(name: str) -> Traits:
    """Return the traits of a terminal that is written as its name."""
    escaped = name.replace("_", r"\_")
    return Traits(None, cost=0.0, infix=name, latex=name if len(name) == 1 else rf"\mathrm{{{escaped}}}")


class _Place:
    """Stands for an argument while a template is tried: it accepts what a rendered subtree accepts."""

    def __format__(self, spec: str) -> str:
        return str(int(spec)) if spec else ""


def check_traits(name: str, traits: Traits, in_types: Sequence[type]) -> None:
    """Refuse templates that cannot be filled in, a cost that is none, and commuting arguments of different types.

    Raises:
        GaafError: naming the primitive, what came and what is allowed.
    """
    if not (math.isfinite(traits.cost) and traits.cost >= 0):
        raise GaafError(f"the cost of primitive {name!r} must be a number of at least 0, got {traits.cost!r}")
    vectors = {f"s{i}": "" for i in range(len(traits.learnable))} | ({"s": ""} if traits.learnable else {})
    for kind, template in (("infix", traits.infix), ("latex", traits.latex)):
        try:
            template.format(*(_Place() for _ in in_types), **vectors)
        except (IndexError, KeyError, ValueError, AttributeError, TypeError) as error:
            allowed = [f"{{{place}}}" for place in [*range(len(in_types)), *vectors]]
            raise GaafError(
                f"{kind} template of primitive {name!r} may hold {', '.join(allowed)}, got {template!r}: write every "
                "other brace twice"
            ) from error
    if traits.commutative and (len(in_types) < 2 or len(set(in_types)) > 1):
        raise GaafError(
            f"primitive {name!r} can be commutative only with two or more arguments of one type, got "
            f"({', '.join(marker.__name__ for marker in in_types)}): leave commutative out"
        )


def check_name(name: str) -> None:
    """Refuse a name that could not stand in a text.

    Raises:
        GaafError: saying what a name must be.
    """
    if not (name.isascii() and name.isidentifier()) or keyword.iskeyword(name):
        raise GaafError(f'a name must be a plain identifier such as "sin2", got {name!r}: pass name="..."')


def check_types(owner: str, markers: Sequence[object]) -> None:
    """Refuse marker types that are not of a kind that trees know.

    Raises:
        GaafError: naming ``owner`` and the type that came.
    """
    for marker in markers:
        if not isinstance(marker, type) or kind_of(marker) is None:
            raise GaafError(
                f"types of {owner} must be Feature, Channel, Scalar or classes derived from them, got {marker!r}"
            )
