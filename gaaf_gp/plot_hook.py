"""How an individual comes to its picture in a notebook without knowing any room that draws.

Notebooks ask an object for ``_repr_svg_``. Individuals are far below the figures and may not import them, so they ask
here, and the package says who draws: :mod:`gaaf_gp` itself, which stands above all rooms and imports matplotlib only
when a picture is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Draw = Callable[[Any], str]
"""From an individual to its picture as SVG."""
_known: list[Draw] = []


def draw_with(draw: Draw) -> Draw:
    """Let ``draw`` make the pictures from now on; it is returned, so that this decorates a function."""
    _known[:] = [draw]
    return draw


def svg_of(individual: object) -> str | None:
    """Return the picture of an individual as SVG, None where nobody draws: a notebook then shows its text."""
    return _known[0](individual) if _known else None
