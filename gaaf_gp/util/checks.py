"""Checks of arguments: each returns the plain value, or raises an error that names the setting and what is allowed.

A whole number may be anything that ``operator.index`` takes, such as numpy's integers, and a number any
``numbers.Real``, such as numpy's floats; a bool is neither. What is returned is an int or a float of Python, which JSON
and SQLite can hold.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Collection, Sequence
from numbers import Integral, Real
from typing import SupportsIndex, TypeVar

from gaaf_gp.errors import GaafError, listed

LARGEST = 2**63 - 1
"""The largest whole number of 64 bits: torch takes no larger seed, and SQLite holds no larger number."""

Chosen = TypeVar("Chosen")


def whole_number(name: str, value: object, least: int = 1, most: int = LARGEST) -> int:
    """Return ``value`` as an int.

    Args:
        name: of the setting, as the user knows it.
        value: what came.
        least: the smallest number that is allowed.
        most: the largest one.

    Raises:
        GaafError: it is no whole number from ``least`` to ``most``.
    """
    number = plain_whole(value)
    if number is not None and least <= number <= most:
        return number
    if most < LARGEST or (number is not None and number > most):
        raise GaafError(f"{name} must be a whole number from {least} to {most}, got {value!r}: give one of these")
    raise GaafError(f"{name} must be a whole number of at least {least}, got {value!r}: give {least} or more")


def whole_fields(settings: object, owner: str = "", /, **least: int) -> None:
    """Check whole numbers among the fields of a dataclass, frozen or not, and replace each by a plain int.

    Args:
        settings: the dataclass.
        owner: what the message puts before the name of a field, such as ``"Islands."``.
        least: name of a field -> the smallest number that is allowed there.

    Raises:
        GaafError: a field is no whole number of at least that.
    """
    for name, bound in least.items():
        object.__setattr__(settings, name, whole_number(owner + name, getattr(settings, name), bound))


def different_seeds(seeds: Sequence[int], least: int = 1) -> tuple[int, ...]:
    """Return seeds as a tuple of ints.

    Args:
        seeds: what came.
        least: how many there must be.

    Raises:
        GaafError: one is no whole number of 64 bits, two are the same, or there are fewer than ``least``.
    """
    numbers = tuple(whole_number("a seed", seed, -LARGEST) for seed in seeds)
    if len(set(numbers)) != len(numbers) or len(numbers) < least:
        raise GaafError(
            f"seeds must be {least} or more different whole numbers, got {list(numbers)}: give for example "
            f"{list(range(max(least, 5)))}"
        )
    return numbers


def any_seed(value: object) -> int:
    """Return the seed of a search or of a training as an int.

    Raises:
        GaafError: it is no whole number of 64 bits.
    """
    return whole_number("seed", value, -LARGEST)


def any_number(name: str, value: object) -> float:
    """Return ``value`` as an int or a float; infinity and NaN are welcome.

    Raises:
        GaafError: it is no number.
    """
    plain = plain_number(value)
    if plain is None:
        raise GaafError(f"{name} must be a number, got {value!r}: give an int or a float")
    return plain


def number(
    name: str, value: object, least: float = -math.inf, most: float = math.inf, *, finite: bool = False
) -> float:
    """Return ``value`` as an int or a float.

    Args:
        name: of the setting, as the user knows it.
        value: what came.
        least: the smallest number that is allowed.
        most: the largest one.
        finite: whether infinity is refused. NaN always is.

    Raises:
        GaafError: it is no number from ``least`` to ``most``.
    """
    plain = plain_number(value)
    if plain is not None and least <= plain <= most and not (finite and math.isinf(plain)):
        return plain
    kind = "a finite number" if finite else "a number"
    if not math.isinf(most):
        raise GaafError(f"{name} must be {kind} from {least:g} to {most:g}, got {value!r}: give one of these")
    allowed, fix = (f"{kind} of at least {least:g}", f"{least:g} or more") if not math.isinf(least) else (kind, "one")
    raise GaafError(f"{name} must be {allowed}, got {value!r}: give {fix}")


def positive_number(name: str, value: object, *, finite: bool = False) -> float:
    """Return ``value`` as an int or a float above 0.

    Raises:
        GaafError: it is no number above 0, or infinite where ``finite`` is asked.
    """
    plain = plain_number(value)
    if plain is None or not plain > 0 or (finite and math.isinf(plain)):
        allowed = "a finite number above 0" if finite else "a number above 0 (math.inf for no limit)"
        raise GaafError(f"{name} must be {allowed}, got {value!r}: give for example 1.0")
    return plain


def probability(name: str, value: object) -> float:
    """Return ``value`` as an int or a float from 0 to 1.

    Raises:
        GaafError: it is none.
    """
    plain = plain_number(value)
    if plain is None or not 0 <= plain <= 1:
        raise GaafError(f"{name} must be a probability from 0 to 1, got {value!r}: give for example 0.5")
    return plain


def choice(name: str, value: object, allowed: Collection[Chosen]) -> Chosen:
    """Return the one of ``allowed`` that equals ``value``.

    Raises:
        GaafError: it is none of them; the message lists all.
    """
    for chosen in allowed:
        if chosen == value:
            return chosen
    raise GaafError(f"{name} must be one of {listed(allowed, 99)}, got {value!r}: choose one of them")


def plain_whole(value: object) -> int | None:
    """Return a whole number of any kind as an int, None for what is none."""
    truth = isinstance(value, bool) or str(getattr(value, "dtype", "")).endswith("bool")  # torch counts it as 0 or 1
    if truth or not isinstance(value, SupportsIndex):
        return None
    try:
        return operator.index(value)
    except TypeError:  # arrays have __index__ too
        return None


def plain_number(value: object) -> float | None:
    """Return a number of any kind as an int or a float, None for what is none."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    return int(value) if isinstance(value, Integral) else float(value)


def check_text(what: str, value: object) -> None:
    """Refuse a text that cannot be written as UTF-8, such as a name of a file in another encoding.

    What is written down could not be read again. Anything but a text passes.

    Raises:
        GaafError: naming ``what`` it is.
    """
    try:
        str(value).encode()
    except UnicodeEncodeError as error:
        raise GaafError(
            f"{what} must be text in UTF-8, because results are written down with it, got {value!r}: rename the file "
            "or folder, or write the text in UTF-8"
        ) from error
