"""How the page writes numbers and texts."""

from __future__ import annotations

import math
from collections.abc import Callable

NARROW, MINUS, NOTHING = "\u202f", "\u2212", "\u2013"
"""A narrow space that does not break, a minus sign, and what stands where no figure is."""
LONG = 160
"""Characters of a formula in a table; the whole is on its card."""


def per_cent(value: float | None, digits: int = 2) -> str:
    """Return an accuracy from 0 to 1 as per cent."""
    return NOTHING if value is None or not math.isfinite(value) else f"{100 * value:.{digits}f}{NARROW}%"


def signed(value: float | None, digits: int = 2) -> str:
    """Return a difference with its sign."""
    return NOTHING if value is None or not math.isfinite(value) else f"{value:+.{digits}f}".replace("-", MINUS)


def number(value: float | None) -> str:
    """Return a number as short as it can be said."""
    return NOTHING if value is None or not math.isfinite(value) else f"{value:g}".replace("-", MINUS)


def p_value(value: float | None) -> str:
    """Return a p-value with two digits."""
    if value is None:
        return NOTHING
    return f"{value:.2g}" if value >= 1e-4 else "<" + NARROW + "0.0001"


def duration(seconds: float | None) -> str:
    """Return a time in the largest units that it fills."""
    if seconds is None or not math.isfinite(seconds):
        return NOTHING
    whole = round(seconds)
    if whole < 120:
        return f"{whole}{NARROW}s" if seconds >= 10 else f"{seconds:.1f}{NARROW}s"
    minutes, hours = whole // 60, whole // 3600
    return f"{minutes}{NARROW}min" if minutes < 120 else f"{hours}{NARROW}h {minutes % 60}{NARROW}min"


def moment(iso: str | None) -> str:
    """Return a time of an archive, UTC, as people write it."""
    return NOTHING if not iso else iso[:19].replace("T", " ") + " UTC"


def clipped(text: str, most: int = LONG) -> str:
    """Return a text, cut where it is too long for a table."""
    return text if len(text) <= most else text[: most - 1] + "…"


def coordinate(value: float) -> str:
    """Return a number of a drawing."""
    return f"{value:.1f}".removesuffix(".0")


def filters() -> dict[str, Callable[..., str]]:
    """Return all of them by the names that templates use."""
    return {
        "per_cent": per_cent, "signed": signed, "number": number, "p_value": p_value, "duration": duration,
        "moment": moment, "clipped": clipped, "c": coordinate,
    }  # fmt: skip
