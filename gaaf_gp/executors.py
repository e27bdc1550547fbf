"""Runs jobs that share one state: in this process, or in worker processes started with spawn.

Workers are spawned, not forked: a forked child hangs once its parent has run a backward pass. A worker that dies takes
its own job with it and nothing else.
"""

from __future__ import annotations

import os
import pickle
import signal
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from types import TracebackType
from typing import Any, Generic, TypeVar

from gaaf_gp.errors import GaafError

State = TypeVar("State")
Result = TypeVar("Result")

CALLS = 3
"""Calls of a job whose worker dies before it is given up."""

_state: Any = None


class WorkerLost:
    """Stands for the result of a job whose worker process died (killed, out of memory, crashed) every time."""


def _start(state: Any) -> None:
    # Ctrl-C reaches the whole process group; the coordinator alone decides what to do about it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_coordinator, daemon=True).start()
    globals()["_state"] = state


def _end_with_coordinator() -> None:
    """Wait until the coordinator is gone: if it was killed nobody else ends this process."""
    coordinator = parent_process()
    if coordinator is not None:
        coordinator.join()
        os._exit(1)


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
        """Yield (index of the job, its result) as the jobs finish, in any order; ``function`` must be importable."""
        flow = Flow(self, function, spare=1)
        for index, arguments in enumerate(jobs):
            flow.put(index, arguments)
        while len(flow):
            yield from flow.get()

    def run_on(
        self, function: Callable[..., Result], jobs: Sequence[tuple[Any, ...]], unfinished: Callable[[Result], bool]
    ) -> Iterator[tuple[int, Result | WorkerLost]]:
        """Yield (index of the job, its result), and call a job again and again while its result is ``unfinished``.

        Jobs are begun in their order, and one that is unfinished goes on before another begins. What a job has done
        must not be in the process that it ran in: the next call may be in another one.
        """
        flow = Flow(self, function)
        for index, arguments in enumerate(jobs):
            flow.put(index, arguments)
        while len(flow):
            for index, result in flow.get():
                if not isinstance(result, WorkerLost) and unfinished(result):
                    flow.put(index, jobs[index], first=True)
                yield index, result

    def begun(self, function: Callable[..., Result], arguments: tuple[Any, ...]) -> Future[Result]:
        """Return the future of one job; with one worker it is done already."""
        if self.workers > 1:
            return self._submit(function, arguments)
        done: Future[Result] = Future()
        done.set_result(function(self.state, *arguments))
        return done

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

    def stop(self) -> None:
        """End the processes at once, in the middle of their jobs."""
        if self._pool is not None:
            # what ProcessPoolExecutor.terminate_workers of Python 3.14 does
            for process in list((self._pool._processes or {}).values()):
                process.terminate()
            self.close()

    def __enter__(self) -> Workers[State]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Flow(Generic[Result]):
    """Jobs that are put one by one and begun in their order, and whose results are taken as they finish.

    No worker waits for another: whenever one is free, the next job begins. A call whose worker is lost is made again,
    up to twice and with nothing beside it, so that a neighbour of the guilty one is not blamed. With one worker a job
    runs when a result is asked for.

    Args:
        workers: run the jobs.
        function: called as ``function(state, *arguments)``; it must be importable.
        spare: jobs that are handed to the processes beyond their number, so that none idles while results are taken.
    """

    def __init__(self, workers: Workers[Any], function: Callable[..., Result], spare: int = 0) -> None:
        self._workers = workers
        self._function = function
        self._most = workers.workers + (spare if workers.workers > 1 else 0)
        self._arguments: dict[int, tuple[Any, ...]] = {}
        self._waiting = deque[int]()
        self._running: dict[Future[Result], int] = {}
        self._losses = Counter[int]()

    def __len__(self) -> int:
        """Return the number of jobs whose results were not taken."""
        return len(self._arguments)

    def put(self, index: int, arguments: tuple[Any, ...], first: bool = False) -> None:
        """Hand a job in, behind all others or ahead of those that were not begun; ``index`` is its name."""
        self._arguments[index] = arguments
        (self._waiting.appendleft if first else self._waiting.append)(index)

    def get(self) -> list[tuple[int, Result | WorkerLost]]:
        """Wait until a job has finished, and return (index, result) of those that have; empty if one is repeated."""
        self._begin()
        done = wait(self._running, return_when=FIRST_COMPLETED).done
        results = [(self._running.pop(future), _result(future)) for future in done]
        if any(isinstance(result, WorkerLost) for _, result in results):  # then the pool is, and all that ran in it
            results += [(index, _result(future)) for future, index in self._running.items()]
            self._running.clear()
            self._workers.close()
        taken: list[tuple[int, Result | WorkerLost]] = []
        for index, result in results:
            self._losses[index] += isinstance(result, WorkerLost)
            if isinstance(result, WorkerLost) and self._losses[index] < CALLS:
                self._waiting.appendleft(index)
                continue
            del self._losses[index], self._arguments[index]
            taken.append((index, result))
        return taken

    def drop(self) -> None:
        """Give up the jobs that have not begun; what runs is finished, and nobody hears of it."""
        for future in self._running:
            future.cancel()
        self._running.clear()
        self._waiting.clear()
        self._arguments.clear()

    def _begin(self) -> None:
        while self._waiting and self._has_room(self._waiting[0]):
            index = self._waiting.popleft()
            self._running[self._workers.begun(self._function, self._arguments[index])] = index

    def _has_room(self, following: int) -> bool:
        alone = any(self._losses[index] for index in (following, *self._running.values()))
        return len(self._running) < (1 if alone else self._most)


def _result(future: Future[Any]) -> Any:
    """Return what a job returned, or that its worker was lost."""
    try:
        return future.result()
    except BrokenProcessPool:
        return WorkerLost()


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
