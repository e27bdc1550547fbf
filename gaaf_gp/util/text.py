"""Text that must fit into a line."""

from __future__ import annotations


def shortened(text: str, most: int | None, dots: str = "...") -> str:
    """Return a text of at most ``most`` characters, with ``dots`` where the rest of it was; None for any number."""
    return text if most is None or len(text) <= most else text[: max(0, most - len(dots))] + dots
