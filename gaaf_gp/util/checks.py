"""NEW gaaf_gp/util/checks.py."""

from __future__ import annotations

import math
from numbers import Real

from gaaf_gp.errors import GaafError


def whole_number(name: str, value: object, least: int = 1) -> int:
    """Return ``value`` as it is.

    Raises:
        GaafError: it is no int of at least ``least``; ``name`` is in the message.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise GaafError(
            f"{name} must be a whole number of at least {least}, got {value!r}; give {name}={least} or more"
        )
    return value


def positive_number(name: str, value: object, *, finite: bool = False) -> float:
    """Return ``value`` as a float.

    Raises:
        GaafError: it is no number above zero, or infinite where ``finite`` is asked; ``name`` is in the message.
    """
    number = float(value) if isinstance(value, Real) and not isinstance(value, bool) else math.nan
    if not number > 0 or (finite and math.isinf(number)):
        allowed = "a finite number above 0" if finite else "a number above 0 (math.inf for no limit)"
        raise GaafError(f"{name} must be {allowed}, got {value!r}; give for example {name}=1.0")
    return number


def check_whole(name: str, number: object, least: int) -> None:
    """Refuse what is no whole number of at least ``least``.

    Raises:
        GaafError: naming the setting.
    """
    if isinstance(number, bool) or not isinstance(number, int) or number < least:
        raise GaafError(f"{name} must be a whole number of at least {least}, got {number!r}")


def check_number(name: str, number: object, least: float, most: float = math.inf) -> None:
    """Refuse what is no number from ``least`` to ``most``.

    Raises:
        GaafError: naming the setting and its range.
    """
    if isinstance(number, bool) or not isinstance(number, int | float) or not least <= number <= most:
        span = f"of at least {least:g}" if math.isinf(most) else f"from {least:g} to {most:g}"
        raise GaafError(f"{name} must be a number {span}, got {number!r}")


def _check_whole(name: str, number: object) -> None:
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise GaafError(f"{name} must be a whole number of at least 0, got {number!r}")
