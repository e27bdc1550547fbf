"""Limits of wall time and memory of one training.

A training checks its budget before each step and fails if it is over it. If a step never ends, or uses ever more
memory, a watching thread of the worker process reports the reason and ends the process: nothing else can stop the code
of a primitive in the middle.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from gaaf_gp.parallel.transfer import End, worker_state
from gaaf_gp.util.devices import memory_used

POLL = 0.05
"""Seconds between two looks of the watching thread."""
GRACE = 2.0
"""Seconds that a training over its budget has to come to its next step, before its process is ended."""
RUNAWAY = 2.0
"""Times the memory budget from which on a training has no grace."""
GIB = 2**30


class FailedError(Exception):
    """Ends the training of one candidate; the message is the reason that is kept."""


def out_of_time(seconds: float) -> str:
    """Return the reason of failure of a training that took more than ``seconds``."""
    return f"time budget of {seconds:g} s exhausted"


class Budget:
    """Wall time and memory of one training.

    Attributes:
        started: when it began, in seconds of ``time.perf_counter``.
        seconds: most seconds of wall time, None for no limit.
        memory: most GiB by which the process may grow, None for no limit.

    Args:
        started: when it began, in seconds of ``time.perf_counter``.
        seconds: most seconds of wall time, None for no limit.
        memory: GiB by which the process may grow from now on, the memory that torch holds on ``device`` included; None
            for no limit.
        device: where the network trains.
    """

    def __init__(
        self, started: float, seconds: float | None, memory: float | None = None, device: torch.device | None = None
    ) -> None:
        self.started = started
        self.seconds = seconds
        self.memory = memory
        self._device = device
        self._before = 0 if memory is None else memory_used(device)
        self._peak = 0.0

    def check(self, number: int) -> None:
        """Check the budget ahead of a step of epoch ``number``, counted from 1.

        Raises:
            FailedError: the budget is exhausted, or nobody waits for the result of this training any more.
        """
        if worker_state.wanted is not None and not worker_state.wanted():
            raise FailedError("given up")
        reason = self._exhausted()
        if reason is not None:
            raise FailedError(f"{reason} in epoch {number}")

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Watch time and memory from another thread while the context lasts, see the module."""
        if self.memory is None and (self.seconds is None or worker_state.end is None):
            yield
            return
        over = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(over, worker_state.end), daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()

    def _exhausted(self) -> str | None:
        if self.seconds is not None and time.perf_counter() - self.started > self.seconds:
            return out_of_time(self.seconds)
        if self.memory is not None and self._grown() > self.memory:
            return f"memory budget of {self.memory:g} GiB exceeded"
        return None

    def _grown(self) -> float:
        """Return the most GiB that the process was seen to have grown by."""
        self._peak = max(self._peak, (memory_used(self._device) - self._before) / GIB)
        return self._peak

    def _watch(self, over: threading.Event, end: End | None) -> None:
        since: float | None = None
        while not over.wait(POLL):
            reason = self._exhausted()
            if reason is None or end is None:
                continue
            since = time.perf_counter() if since is None else since
            runaway = self.memory is not None and self._peak > RUNAWAY * self.memory
            if runaway or time.perf_counter() - since > GRACE:
                end(reason)
                return
