"""What is known of a primitive beyond its function and types: price, looks, periodicity, learnable vectors."""

from __future__ import annotations

import keyword
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
