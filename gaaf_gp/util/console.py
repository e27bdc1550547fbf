"""How something long is watched: a live display, plain lines for a log, JSON lines for a program, or nothing at all."""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from datetime import timedelta
from enum import StrEnum
from types import TracebackType
from typing import Any, Self, TypeAlias

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from gaaf_gp.errors import GaafError, listed
from gaaf_gp.util.files import finite
from gaaf_gp.util.text import shortened

EVERY = 10.0
"""Seconds from one plain line to the next, at least; the first and the last one always come."""
WIDEST = 40
"""Characters of a bar, at most."""
LEAST = 4
"""Characters of a bar below which there is none."""


class Mode(StrEnum):
    """How progress is shown."""

    AUTO = "auto"
    BAR = "bar"
    LINES = "lines"
    JSON = "json"
    NONE = "none"


Show: TypeAlias = bool | str
"""Whether and how progress is shown: a :class:`Mode` or its name; True for "auto", False for "none"."""


def as_mode(show: Show) -> Mode:
    """Return the mode that ``show`` names.

    Raises:
        GaafError: it is none.
    """
    if isinstance(show, bool):
        return Mode.AUTO if show else Mode.NONE
    if show not in list(Mode):
        raise GaafError(f"progress must be True, False or one of {listed(Mode)}, got {show!r}: choose one of them")
    return Mode(show)


class Pace:
    """Counts what is really done, for a rate that what was known before does not flatter.

    As long as everything comes from memory, no time has passed: a run that is gone on with has the rate of what it
    trains, from the moment when it came to where it was.

    Args:
        clock: gives seconds.

    Attributes:
        fresh: what was done and not known before.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self.fresh = 0

    def step(self, *, known: bool = False) -> None:
        """Count one thing that is done; ``known`` says that it cost nothing, because it was done before."""
        if not known:
            self.fresh += 1
        elif not self.fresh:
            self._began = self._clock()

    @property
    def per_minute(self) -> float | None:
        """Things done in a minute; None while that is not known."""
        seconds = self._clock() - self._began
        return 60 * self.fresh / seconds if self.fresh and seconds > 0 else None


class Display(ABC):
    """Shows how far something is, as a context manager. Subclasses say what else is worth showing.

    Args:
        what: is done, for people and as the ``stage`` of every event.
        total: of it.
        show: whether and how, see :data:`Show`. By itself ("auto") it is a live display in a terminal and plain lines
            elsewhere.
        console: where to; standard error by default.
        clock: gives seconds.

    Attributes:
        done: how much of ``total``.

    Raises:
        GaafError: ``show`` names no mode.
    """

    event = "progress"
    """What a step is called in JSON lines."""

    def __init__(
        self,
        what: str,
        total: int,
        *,
        show: Show = True,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        mode, self._console = as_mode(show), Console(stderr=True) if console is None else console
        if mode is Mode.AUTO:
            watched = (self._console.is_terminal and not self._console.is_dumb_terminal) or self._console.is_jupyter
            mode = Mode.BAR if watched else Mode.LINES
        self.what, self.total, self.done, self.mode = what, total, 0, mode
        self._clock, self._pace, self._began = clock, Pace(clock), clock()
        self._said: float | None = None
        self._said_of = -1
        self._live: Live | None = None

    @abstractmethod
    def notes(self, width: int | None) -> Sequence[str]:
        """Return what else is shown, a line each; ``width`` is the number of characters of a line, None for any."""

    @abstractmethod
    def fields(self) -> dict[str, Any]:
        """Return what else every JSON line holds."""

    @property
    def seconds_left(self) -> float | None:
        """Until all is done, at the rate so far; None while that is not known."""
        rate = self._pace.per_minute
        return None if rate is None else 60 * max(0, self.total - self.done) / rate

    def step(self, done: int, *, known: bool = False, **details: Any) -> None:
        """Show that ``done`` are done, one more than before.

        Args:
            done: of all.
            known: whether that one was done before and cost nothing.
            details: what a JSON line tells of it beside :meth:`fields`.
        """
        self.done = done
        self._pace.step(known=known)
        if self.mode is Mode.JSON:
            self._emit(self.event, **details)
        elif self.mode is Mode.LINES and (self._said is None or self._clock() - self._said >= EVERY):
            self._say()

    def __enter__(self) -> Self:
        self._began = self._clock()
        self._pace = Pace(self._clock)
        if self.mode is Mode.BAR:
            self._live = Live(console=self._console, get_renderable=self._picture, refresh_per_second=2)
            self._live.start()
        elif self.mode is Mode.JSON:
            self._emit("start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
        elif self.mode is Mode.LINES and self._said_of != self.done:
            self._say()
        elif self.mode is Mode.JSON:
            self._emit("end")

    def _emit(self, event: str, **details: Any) -> None:
        write_event(
            self._console.file,
            event,
            stage=self.what,
            done=self.done,
            of=self.total,
            seconds=_rounded(self._clock() - self._began),
            rate=_rounded(self._pace.per_minute),
            seconds_left=_rounded(self.seconds_left),
            **self.fields(),
            **details,
        )

    def _say(self) -> None:
        self._said, self._said_of = self._clock(), self.done
        self._console.file.write(", ".join([f"{self.what} {self.done}/{self.total}", self._times(), *self.notes(None)]))
        self._console.file.write("\n")
        self._console.file.flush()

    def _times(self) -> str:
        rate, left = self._pace.per_minute, self.seconds_left
        if rate is None or left is None:
            return f"{_span(self._clock() - self._began)} so far"
        return f"{rate:.3g} a minute, {_span(left)} left"

    def _picture(self) -> Group:
        """Return the lines of a live display: they fit into any width, and only the last ones may wrap."""
        head, times, width = f"{self.what} {self.done}/{self.total}", self._times(), self._console.width
        bar = min(WIDEST, width - len(head) - len(times) - 2)
        if bar >= LEAST:
            first = Table.grid(padding=(0, 1))
            first.add_row(Text(head), ProgressBar(self.total, self.done, width=bar), Text(times))
            lines: list[Table | Text] = [first]
        else:
            lines = [Text(part, no_wrap=True, overflow="ellipsis") for part in (head, times)]
        return Group(*lines, *map(Text, self.notes(width)))


def write_event(file: Any, event: str, **fields: Any) -> None:
    """Write one line of JSON: what happened, and its fields."""
    file.write(json.dumps({"event": event, **finite(fields)}, allow_nan=False) + "\n")
    file.flush()


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 3)


def _span(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


class EpochProgress(Display):
    """Shows trainings that take long; a context manager.

    Args:
        total: epochs of all trainings together.
        what: is trained.
        show: whether and how, see :data:`gaaf_gp.util.console.Show`.
        console: where to; standard error by default.
        settings: of :class:`gaaf_gp.util.console.Display`.
    """

    event = "epoch"

    def __init__(
        self,
        total: int,
        *,
        what: str = "epochs",
        show: Show = True,
        console: Console | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(what, total, show=show, console=console, **settings)
        self._text = ""

    def reach(self, epochs: int, text: str = "", *, known: bool = False) -> None:
        """Show that ``epochs`` are done after one more step, and a text beside it.

        Args:
            epochs: of all trainings together.
            text: what was reached.
            known: whether nothing was trained for it: it is where an earlier run had come to.
        """
        self._text = text
        self.step(epochs, known=known)

    def fields(self) -> dict[str, Any]:
        """Return what was reached."""
        return {"text": self._text}

    def notes(self, width: int | None) -> Sequence[str]:
        """Return what was reached."""
        return [shortened(self._text, width)] if self._text else []
