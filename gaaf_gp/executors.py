"""Runs jobs that share one state: in this process, or in worker processes started with spawn.

Workers are spawned, not forked: a forked child hangs once its parent has run a backward pass. A worker that dies takes
its own job with it and nothing else.
"""

from __future__ import annotations

import pickle
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from types import TracebackType
from typing import Any, Generic, TypeVar

from gaaf_gp.errors import GaafError

State = TypeVar("State")
Result = TypeVar("Result")

_state: Any = None


class WorkerLost:
    """Stands for the result of a job whose worker process died (killed, out of memory, crashed) twice."""


def _start(state: Any) -> None:
    # Ctrl-C reaches the whole process group; the coordinator alone decides what to do about it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    globals()["_state"] = state


def _call(function: Callable[..., Result], arguments: tuple[Any, ...]) -> Result:
    return function(_state, *arguments)


class Workers(Generic[State]):
    """``run`` calls ``function(state, *arguments)`` for many arguments; results do not depend on the worker count.

    The state is sent to each worker once. With one worker everything runs in this process. Use it as a context manager
    or call :meth:`close`, which ends the processes.

    Raises:
        GaafError: for a worker count below 1, or a state that cannot be sent to another process.
    """

    def __init__(self, state: State, workers: int = 1) -> None:
        if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
            raise GaafError(f"workers must be a whole number of at least 1, got {workers!r}")
        self.state = state
        self.workers = workers
        self._pool: ProcessPoolExecutor | None = None
        if workers > 1:
            _check_picklable(state)

    def run(
        self, function: Callable[..., Result], jobs: Sequence[tuple[Any, ...]]
    ) -> Iterator[tuple[int, Result | WorkerLost]]:
        """Yield (index of the job, its result) as the jobs finish, in any order.

        ``function`` must be importable. A job whose worker is lost is run once more on its own, so that a job that
        was only a neighbour of the guilty one is not blamed.
        """
        if self.workers == 1:
            for index, arguments in enumerate(jobs):
                yield index, function(self.state, *arguments)
            return
        suspects = []
        futures = {self._submit(function, arguments): index for index, arguments in enumerate(jobs)}
        for future in as_completed(futures):
            try:
                yield futures[future], future.result()
            except BrokenProcessPool:
                suspects.append(futures[future])
        if suspects:
            self.close()
        for index in sorted(suspects):
            try:
                yield index, self._submit(function, jobs[index]).result()
            except BrokenProcessPool:
                self.close()
                yield index, WorkerLost()

    def _submit(self, function: Callable[..., Result], arguments: tuple[Any, ...]) -> Future[Result]:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self.workers, mp_context=get_context("spawn"), initializer=_start, initargs=(self.state,)
            )
        try:
            with _interrupts_held():
                return self._pool.submit(_call, function, arguments)
        except BrokenProcessPool as broken:
            # The pool broke while jobs were still being handed in: those left are suspects like the others.
            failed: Future[Result] = Future()
            failed.set_exception(broken)
            return failed

    def close(self) -> None:
        """Drop the jobs that have not started, wait for those that run, and end the processes."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def __enter__(self) -> Workers[State]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back while processes are started.

    A child inherits the mask, so that an interrupt cannot kill it half-way through its imports; here it arrives at the
    end of the block.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _check_picklable(state: object) -> None:
    try:
        pickle.dumps(state)
    except Exception as error:
        raise GaafError(
            "what worker processes need must be picklable, but "
            f"{str(error).splitlines()[0]}: define primitives with def at the top of a module, or use workers=1"
        ) from error
