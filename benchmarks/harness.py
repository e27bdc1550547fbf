"""How a comparison is made and written down: sides that take turns, medians, tables, and JSON that is never half."""

from __future__ import annotations

import gc
import json
import math
import os
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from gaaf_gp import GaafError

OURS, TEXTBOOK = "ours", "textbook"
Say = Callable[[str], None]
"""Takes one line of progress for a person."""


@dataclass(frozen=True)
class Timing:
    """Wall times in seconds of one side, in order, and what each call returned."""

    seconds: tuple[float, ...]
    results: tuple[Any, ...] = ()

    @property
    def median(self) -> float:
        """The median of the seconds."""
        return statistics.median(self.seconds)


def alternate(
    sides: Mapping[str, Callable[[int], Any]],
    repetitions: int,
    *,
    warmup: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Timing]:
    """Time all sides in turns, A B A B ..., so that whatever else the machine does falls on all of them.

    Args:
        sides: name -> what is timed; it is called with the number of the repetition, from 0, or -1 to warm up.
        repetitions: timed calls of each side.
        warmup: calls of each side ahead of those, in the same order and not timed.
        clock: returns seconds.

    Raises:
        GaafError: for fewer than one repetition.
    """
    if repetitions < 1:
        raise GaafError(f"repetitions must be at least 1, got {repetitions}: a median needs a value")
    for _ in range(warmup):
        for call in sides.values():
            call(-1)
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    results: dict[str, list[Any]] = {name: [] for name in sides}
    for repetition in range(repetitions):
        for name, call in sides.items():
            gc.collect()  # the garbage of one side must not be swept while the other is timed
            started = clock()
            result = call(repetition)
            seconds[name].append(clock() - started)
            results[name].append(result)
    return {name: Timing(tuple(seconds[name]), tuple(results[name])) for name in sides}


def compared(timings: Mapping[str, Timing], *, ours: str = OURS, baseline: str = TEXTBOOK) -> dict[str, Any]:
    """Return how many times faster ``ours`` is than ``baseline``, with the raw times, fit for JSON.

    ``ratio`` is that of the medians; ``ratio_range`` holds the least and the greatest ratio of two neighbouring turns.
    """
    pairs = [b / a for a, b in zip(timings[ours].seconds, timings[baseline].seconds, strict=True)]
    return {
        "ratio": timings[baseline].median / timings[ours].median,
        "ratio_range": [min(pairs), max(pairs)],
        "repetitions": len(pairs),
        "unit": "s",
        **{name: {"median": timings[name].median, "seconds": list(timings[name].seconds)} for name in (baseline, ours)},
    }


def geometric_mean(values: Iterable[float]) -> float:
    """Return the geometric mean of positive numbers, the right mean of ratios."""
    return statistics.geometric_mean(values)


class Report:
    """The results of one run: part -> what it measured, written to a JSON file after every change.

    The file is replaced as a whole, so that it always holds everything that was finished.

    Args:
        path: where to write; None for nowhere.
        content: what it starts with.

    Raises:
        GaafError: if the file cannot be written.
    """

    def __init__(self, path: Path | None, content: Mapping[str, Any] | None = None) -> None:
        self.path = path
        self.content: dict[str, Any] = dict(content or {})
        self.write()

    def put(self, part: str, result: Mapping[str, Any]) -> None:
        """Set the result of one part, finished or on its way, and write the file."""
        self.content[part] = dict(result)
        self.write()

    def write(self) -> None:
        """Write the file, if there is one."""
        if self.path is None:
            return
        text = json.dumps(self.content, indent=2, allow_nan=False) + "\n"
        draft = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            draft.write_text(text, encoding="utf-8")
            draft.replace(self.path)
        except OSError as error:
            with suppress(OSError):
                draft.unlink()
            raise GaafError(f"the JSON file must be writable, but {self.path} is not ({error.strerror})") from error


def read_report(path: Path) -> dict[str, Any]:
    """Return what an earlier run wrote; nothing if there is no file.

    Raises:
        GaafError: if the file is not one JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise GaafError(f"a run is resumed from its own JSON file, but {path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise GaafError(f"a run is resumed from its own JSON file, but {path} holds a {type(content).__name__}")
    return content


def show(
    console: Console, title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], note: str = ""
) -> None:
    """Print a table: the first column holds words, the others numbers."""
    table = Table(title=title, title_justify="left", caption=note or None, caption_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, str) else brief(cell) for cell in row))
    console.print(table)


def brief(value: object) -> str:
    """Return a number with three significant digits, a dash for None."""
    if value is None:
        return "-"
    if not isinstance(value, float):
        return str(value)
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{digits}f}"
