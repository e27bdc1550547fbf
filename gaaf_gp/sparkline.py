"""A function in one line of text: the small plots of the command line."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

BLOCKS = "▁▂▃▄▅▆▇█"
"""Heights, the lowest first."""
ASCII = "_.-~=+*#"
"""The same where a stream cannot encode blocks."""


def sparkline(values: Sequence[float] | NDArray[np.float64], width: int = 16, *, plain: bool = False) -> str:
    """Return numbers as a row of blocks, from the least to the greatest of them.

    Each character stands for the mean of the values in its place. A blank stands where no value is finite, and a
    function that is the same everywhere is a row of the middle height.

    Args:
        values: at least one.
        width: number of characters; fewer where there are fewer values.
        plain: use ASCII.
    """
    marks = ASCII if plain else BLOCKS
    parts = np.array_split(np.asarray(values, dtype=np.float64), min(width, len(values)))
    finite = [part[np.isfinite(part)] for part in parts]
    heights = [float(part.mean()) if len(part) else None for part in finite]
    known = [height for height in heights if height is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)

    def mark(height: float | None) -> str:
        if height is None:
            return " "
        if high - low <= 1e-12 * max(1.0, abs(high)):
            return marks[len(marks) // 2]
        return marks[min(len(marks) - 1, int((height - low) / (high - low) * len(marks)))]

    return "".join(map(mark, heights))
