"""Text that must fit into a line."""

from __future__ import annotations


def signed(value: float, digits: int = 2) -> str:
    """Return a number with its sign and a fixed number of decimals; what rounds to zero has a plus, never a minus."""
    return f"{round(value, digits) + 0.0:+.{digits}f}"


def shortened(text: str, most: int | None, dots: str = "...") -> str:
    """Return a text of at most ``most`` characters, with ``dots`` where the rest of it was; None for any number."""
    return text if most is None or len(text) <= most else text[: max(0, most - len(dots))] + dots
