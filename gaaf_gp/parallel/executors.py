"""Runs jobs that share one state: in this process, in worker processes, in any executor, or on a Dask cluster.

A worker that dies takes its own job with it and nothing else.
"""

from __future__ import annotations

import pickle
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, Union

from gaaf_gp.errors import GaafError
from gaaf_gp.parallel.processes import Pool
from gaaf_gp.parallel.transfer import LOST, NOT_BEGUN, WorkerLost, WorkerLostError
from gaaf_gp.util.checks import whole_number
from gaaf_gp.util.spawning import check_script

__all__ = ["CALLS", "ExecutorLike", "Flow", "Workers"]

if TYPE_CHECKING:
    from distributed import Client

ExecutorLike = Union[Executor, Callable[[], Executor], str, "Client"]
"""What runs workers: an executor, a function that makes one, ``dask``, ``dask://HOST:PORT``, or a client of Dask."""
PREFIX = "dask://"
CALLS = 3
"""Calls of a job whose worker dies before it is given up."""
POOL_BROKEN = WorkerLost("pool broken")
"""Stands for the result of a job whose worker died because of another fault, which is known: of a job, or ahead of all
jobs."""

State = TypeVar("State")
Result = TypeVar("Result")


class Workers(Generic[State]):
    """``run`` calls ``function(state, *arguments)`` for many arguments; results do not depend on the worker count.

    The state is sent to each worker once. With one worker and no executor everything runs in this process. Use it as a
    context manager or call :meth:`close`, which ends the processes.

    Args:
        state: the first argument of every job.
        workers: number of processes.
        executor: other workers than spawned processes of this machine. Its processes must not be forked; threads share
            the state. Executors that were given stay open.

    Raises:
        GaafError: for a worker count below 1, a state that cannot be sent to another process, or an executor that
            nobody knows.
    """

    def __init__(self, state: State, workers: int = 1, executor: ExecutorLike | None = None) -> None:
        self.state = state
        self._backend = backend_for(state, whole_number("workers", workers), executor)

    @property
    def workers(self) -> int:
        """Jobs that run at a time."""
        return 1 if self._backend is None else self._backend.workers

    def shared(self, thing: Any) -> Any:
        """Return what stands for a large object in the arguments of jobs: each worker gets it once.

        The function of a job gets it by :func:`gaaf_gp.parallel.transfer.opened`.
        """
        return thing if self._backend is None else self._backend.shared(thing)

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

    def begun(self, function: Callable[..., Result], arguments: tuple[Any, ...], alone: bool) -> Future[Result]:
        """Return the future of one job; in this process it is done already."""
        if self._backend is not None:
            return self._backend.begin(function, arguments, alone)
        done: Future[Result] = Future()
        done.set_result(function(self.state, *arguments))
        return done

    def room(self, running: Collection[Future[Any]], alone: bool, spare: int) -> bool:
        """Return whether a job may begin beside those that run, see :class:`Flow`."""
        return not running if self._backend is None else self._backend.room(running, alone, spare)

    def finished(self, running: Collection[Future[Any]]) -> dict[Future[Any], Any]:
        """Wait, and return the results of those that have finished, of all if a loss takes all along."""
        if self._backend is None:
            return {future: future.result() for future in running}
        backend = self._backend
        results = {future: _result(backend, future) for future in backend.wait(running)}
        results |= {future: POOL_BROKEN for future, one in results.items() if one == WorkerLost(NOT_BEGUN)}
        if not backend.breaks_as_a_whole or not any(isinstance(result, WorkerLost) for result in results.values()):
            return results
        results |= {future: _result(backend, future) for future in running if future not in results}
        at_work = backend.replace()
        lost = {future: result for future, result in results.items() if isinstance(result, WorkerLost)}
        # a process said why it ended, or none had come to a job
        if not at_work or any(loss.reason != LOST for loss in lost.values()):
            results |= {future: POOL_BROKEN for future, one in lost.items() if one.reason == LOST}
        return results

    def close(self) -> None:
        """Drop the jobs that have not started, wait for those that run, and end the processes."""
        if self._backend is not None:
            self._backend.close()

    def stop(self) -> None:
        """End the processes at once, in the middle of their jobs."""
        if self._backend is not None:
            self._backend.stop()

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
        self._spare = spare
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
        taken: list[tuple[int, Result | WorkerLost]] = []
        for future, result in self._workers.finished(self._running).items():
            index = self._running.pop(future)
            if isinstance(result, WorkerLost):
                self._losses[index] += result.reason == LOST
                if result is POOL_BROKEN or (result.reason == LOST and self._losses[index] < CALLS):
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
        while self._waiting:
            index = self._waiting[0]
            alone = self._losses[index] > 0
            if not self._workers.room(self._running, alone, self._spare):
                return
            self._waiting.popleft()
            self._running[self._workers.begun(self._function, self._arguments[index], alone)] = index


class Backend(Protocol):
    """Where jobs run beside this process: the contract that :class:`Workers` and :class:`Flow` rely on.

    **Threads.** All methods are called from one thread, that of the search; nothing else about a backend has to be safe
    for several threads. The processes may end at any time, and methods must not assume that they live.

    **Order.** Futures may finish in any order. Whoever hands jobs in sorts their results.

    **Errors.** What the function of a job raises comes out of :meth:`result` as it was raised. The death of a worker is
    a ``WorkerLostError`` of :meth:`result` only, and costs no other job its result for good: what was lost with it is
    handed in again. A ``WorkersGoneError`` may come out of every method and ends the search. Ctrl-C may interrupt every
    method; :meth:`close` and :meth:`stop` still work after it.

    **Life.** Nothing is started before the first job. :meth:`close` and :meth:`stop` may be called more than once, and
    a job that is handed in afterwards starts it anew. An executor that the user gave is never shut down.

    Attributes:
        breaks_as_a_whole: whether a dead worker takes all jobs along, so that nobody knows whose fault it was. Then
            :meth:`replace` is called before another job is handed in.
    """

    breaks_as_a_whole: bool

    @property
    def workers(self) -> int:
        """Jobs that run at a time now, at least 1; it may change while a cluster grows."""

    def room(self, running: Collection[Future[Any]], alone: bool, spare: int, /) -> bool:
        """Return whether a job may begin beside those that run.

        Args:
            running: futures that were not taken, finished or not.
            alone: whether the job needs a worker with nothing beside it, because it may have killed one before.
            spare: jobs that may wait in the processes beyond their number.
        """

    def begin(self, function: Callable[..., Any], arguments: tuple[Any, ...], alone: bool, /) -> Future[Any]:
        """Return the future of ``function(state, *arguments)``, at once.

        Raises:
            GaafError: the executor that the user gave is closed, or the job cannot be sent.
        """

    def shared(self, thing: Any) -> Any:
        """Return what stands for an object in the arguments of jobs, the same for the same object.

        The function of a job gets the object by :func:`gaaf_gp.parallel.transfer.opened`; each worker fetches it once.
        """

    def wait(self, running: Collection[Future[Any]]) -> set[Future[Any]]:
        """Wait until one at least has finished, and return all that have; a cluster without workers may return none."""

    def result(self, future: Future[Any]) -> Any:
        """Return the result of a future, waiting for it.

        Raises:
            WorkerLostError: its worker died; the message is why, ``LOST`` if it did not say.
            Exception: whatever the function raised.
        """

    def replace(self) -> bool:
        """Get over the death of a worker, so that jobs can be handed in again; return whether a job can be to blame.

        Raises:
            WorkersGoneError: there is no way to make another executor, or its workers cannot start.
        """

    def close(self) -> None:
        """Drop the jobs that have not begun, wait for those that run, and end the processes that are ours."""

    def stop(self) -> None:
        """End the processes that are ours at once, in the middle of their jobs."""


def backend_for(state: object, workers: int, executor: ExecutorLike | None) -> Backend | None:
    """Return where jobs run, None for this process.

    Raises:
        GaafError: nobody knows such an executor, Dask is not installed, or the state cannot be sent to another process.
    """
    if executor is None and workers == 1:
        return None
    given: Any = executor
    if not isinstance(executor, ThreadPoolExecutor):
        check_script()
    if isinstance(executor, str):
        return _cluster(state, workers, check_address(executor))
    if type(executor).__module__.partition(".")[0] == "distributed":  # a client of Dask, or the executor that it gives
        return _cluster(state, workers, getattr(given, "_client", given))
    if executor is None or isinstance(executor, Executor) or callable(executor):
        if not isinstance(executor, ThreadPoolExecutor):
            _check_picklable(state)
        return Pool(state, workers, executor)
    raise GaafError(
        f"executor must be a concurrent.futures.Executor, a function that makes one, dask or dask://HOST:PORT, got "
        f"{executor!r}"
    )


def _cluster(state: object, workers: int, given: str | Client | None) -> Backend:
    try:
        from gaaf_gp.parallel.dask import Cluster  # noqa: PLC0415  an optional extra
    except ImportError as error:
        raise GaafError(
            "a Dask executor needs the package distributed, which is not installed: pip install 'gaaf-gp[dask]'"
        ) from error
    return Cluster(state, workers, given)


def check_address(given: str) -> str | None:
    """Return the address of a scheduler as Dask writes it, None for a cluster to be made here.

    Raises:
        GaafError: it is something else.
    """
    if given == "dask":
        return None
    host, _, port = given.removeprefix(PREFIX).rpartition(":")
    if not given.startswith(PREFIX) or not host or not port.isdecimal():
        raise GaafError(f"executor must be dask, dask://HOST:PORT or an Executor of your own, got {given!r}")
    return f"tcp://{host}:{port}"


def _check_picklable(state: object) -> None:
    try:
        pickle.dumps(state)
    except Exception as error:
        raise GaafError(
            "what worker processes need must be picklable, but "
            f"{str(error).splitlines()[0]}: define primitives with def at the top of a module, or use one worker"
        ) from error


def _result(backend: Backend, future: Future[Any]) -> Any:
    """Return what a job returned, or that its worker was lost."""
    try:
        return backend.result(future)
    except WorkerLostError as lost:
        return WorkerLost(str(lost))
