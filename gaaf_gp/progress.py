"""What a person sees while something long runs: what is done, how well, time left."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from gaaf_gp.fitness import Record

OTHER_WIDTH = 86
"""Characters of a line that are not the best formula."""
DAY = 86_400.0
"""Seconds."""


class _Line:
    """A progress line as a context manager: shown from its beginning to its end, unless it is disabled."""

    _bar: RichProgress

    def __enter__(self) -> Self:
        if not self._bar.disable:  # a disabled bar of an older rich still writes an empty line
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._bar.disable:
            self._bar.stop()


class Progress(_Line):
    """A progress line on standard error; a context manager. Nothing is shown when ``enabled`` is false."""

    def __init__(self, total: int, *, enabled: bool = True, console: Console | None = None) -> None:
        self.best: Record | None = None
        self.failed = 0
        self.dropped = 0
        screen = Console(stderr=True) if console is None else console
        self._room = max(8, screen.width - OTHER_WIDTH)
        self._bar = RichProgress(
            TextColumn("candidates"),
            BarColumn(bar_width=8),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.description}", markup=False),
            console=screen,
            disable=not enabled,
        )
        self._task = self._bar.add_task("", total=total)

    def advance(self, record: Record) -> None:
        """Count one evaluated candidate; only one that was trained in full may be the best."""
        self.failed += record.failure is not None
        self.dropped += not record.complete
        if record.complete and (self.best is None or record.fitness > self.best.fitness):
            self.best = record
        counts = "".join(
            f", {count} {what}" for count, what in ((self.dropped, "dropped"), (self.failed, "failed")) if count
        )
        self._bar.update(self._task, advance=1, description=self._best() + counts)

    def _best(self) -> str:
        if self.best is None:
            return "no candidate trained in full yet"
        text = self.best.text if len(self.best.text) <= self._room else self.best.text[: self._room - 3] + "..."
        return f"best {self.best.accuracy:.2%} {text}"


class EpochProgress(_Line):
    """A progress line on standard error for trainings that take long; a context manager.

    Args:
        total: epochs of all trainings together.
        what: what is trained.
        enabled: whether anything is shown.
        console: where to; standard error by default.
    """

    def __init__(
        self, total: int, *, what: str = "epochs", enabled: bool = True, console: Console | None = None
    ) -> None:
        self._bar = RichProgress(
            TextColumn(what),
            BarColumn(bar_width=8),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.description}", markup=False),
            console=Console(stderr=True) if console is None else console,
            disable=not enabled,
            speed_estimate_period=DAY,  # an epoch may take an hour
        )
        self._task = self._bar.add_task("", total=total)

    def reach(self, epochs: int, text: str = "") -> None:
        """Show that ``epochs`` are done, and a text beside it."""
        self._bar.update(self._task, completed=epochs, description=text)
