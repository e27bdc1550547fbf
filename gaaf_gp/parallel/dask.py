"""Jobs on a Dask cluster: the backend, its connection to the scheduler, and the side of the workers; needs an extra.

The extra is ``gaaf-gp[dask]``. Workers import this module on machines that have no more: keep its imports light.
"""

from __future__ import annotations

import functools
import logging
import os
import pickle
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import cloudpickle
import distributed
from distributed.utils import silence_logging_cmgr

from gaaf_gp.errors import GaafError, one_line
from gaaf_gp.parallel.transfer import (
    LOST,
    NOT_BEGUN,
    STARTS,
    Delivered,
    SharedObject,
    WorkerLostError,
    WorkersGoneError,
    call,
    delivered,
    forget,
    interrupts_held,
    share,
)
from gaaf_gp.util.provenance import version
from gaaf_gp.util.spawning import guard

FLUSH = 0.5
"""Seconds that the last words of a worker have to reach the scheduler."""
DECIDING = ("gaaf-gp", "torch")
"""Packages that must be the same everywhere: with another version a training may go another way."""
PATIENCE = 10.0
"""Seconds in which a scheduler must answer."""
POLL = 0.5
"""Seconds between two looks at who is there."""
Identity = tuple[str, str]
"""Address of a worker and its own folder: a worker that was started again may have the address of the old one."""

_log = logging.getLogger(__name__)


class Cluster:
    """Jobs on a Dask cluster.

    Args:
        state: the first argument of every job.
        workers: processes of a cluster that is made here; without effect on one that is there.
        given: address of a scheduler, None for a cluster to be made on this machine, or a Client.
    """

    breaks_as_a_whole = False

    def __init__(self, state: Any, workers: int, given: str | distributed.Client | None) -> None:
        self._state = state
        self._asked = workers
        self._given = given
        self._link: Link | None = None
        self._shared: dict[int, tuple[Any, SharedObject]] = {}

    @property
    def workers(self) -> int:
        """Jobs that run at a time now."""
        return max(1, sum(self._link.threads.values())) if self._link is not None else self._asked

    def room(self, _running: Collection[Future[Any]], alone: bool, _spare: int) -> bool:
        """Return whether a worker is free; ``alone`` is for one with nothing else to do."""
        return self._linked().free(alone) is not None

    def shared(self, thing: Any) -> SharedObject:
        """Return what stands for an object in the arguments of jobs; each worker gets it once."""
        if id(thing) not in self._shared:
            shared = share(thing, None, b"")
            self._shared[id(thing)] = thing, shared
            self._linked().deliver(shared, thing)
        return self._shared[id(thing)][1]

    def begin(self, function: Callable[..., Any], arguments: tuple[Any, ...], alone: bool) -> Future[Any]:
        """Return the future of one job on a worker that is free."""
        return self._linked().submit(self.shared(self._state), function, arguments, alone)

    def wait(self, running: Collection[Future[Any]]) -> set[Future[Any]]:
        """Return those that have finished; none if there is no worker to run any."""
        return self._linked().wait(running)

    def result(self, future: Future[Any]) -> Any:
        """Return the result of a future that has finished.

        Raises:
            WorkerLostError: the worker died.
        """
        return future.result()

    def replace(self) -> bool:
        """Do nothing, and return that a job can be to blame: who is there is looked up all the time."""
        return True

    def close(self) -> None:
        """Leave the cluster, and end it if it was made here; trainings that run end at their next step."""
        link, self._link = self._link, None
        if link is not None:
            link.close()
        for _, shared in self._shared.values():
            forget(shared.token)
        self._shared.clear()

    stop = close

    def _linked(self) -> Link:
        if self._link is None:
            self._link = connected(self._given, self._asked)
        return self._link


def connected(given: str | distributed.Client | None, workers: int) -> Link:
    """Return the connection to a scheduler.

    Args:
        given: its address, a client of it, or None for a cluster of this machine that is made here.
        workers: processes of the cluster that is made here.

    Raises:
        WorkersGoneError: no scheduler answers.
    """
    with ExitStack() as stack:
        if isinstance(given, distributed.Client):
            return Link(given, stack)
        stack.enter_context(silence_logging_cmgr(logging.CRITICAL + 1))  # the user hears from us what matters
        try:
            address = stack.enter_context(_local_cluster(workers)) if given is None else given
            client = distributed.Client(address, set_as_default=False, timeout=PATIENCE)
        except (OSError, ValueError, RuntimeError) as error:
            if given is None:
                raise WorkersGoneError(
                    f"the workers of a Dask cluster must be able to start on this machine, and did not "
                    f"({one_line(error)}): {guard()}"
                ) from error
            raise WorkersGoneError(
                f"a Dask scheduler must answer at {given}, and none did in {PATIENCE:g} s "
                f"({one_line(error)}): start one with dask scheduler, or correct the address"
            ) from error
        stack.enter_context(client)
        return Link(client, stack.pop_all())


@contextmanager
def _local_cluster(workers: int) -> Iterator[str]:
    with interrupts_held():  # threads and processes that are started here are deaf to Ctrl-C
        cluster = distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",  # its page needs a port of its own, or two clusters collide
            scheduler_kwargs={"dashboard": False},
            memory_limit=0,
            silence_logs=logging.CRITICAL + 1,
        )
    with cluster:
        yield cluster.scheduler_address


@dataclass(frozen=True)
class _Job:
    """A job that is on its way: what Dask knows of it, which worker has it, its name, and whether nothing is beside."""

    asked: Any
    worker: Identity
    name: str
    alone: bool


class Link:
    """Sends jobs to workers by name, and sees who comes and goes.

    Args:
        client: connected.
        stack: what ends with the connection, the client too if it was made here.

    Attributes:
        threads: jobs that each worker can run at a time.

    Raises:
        WorkersGoneError: the scheduler does not answer; all methods do so too.
    """

    def __init__(self, client: distributed.Client, stack: ExitStack) -> None:
        self._client: Any = client
        self._stack = stack
        self._address = client.scheduler.address if client.scheduler is not None else "its address"
        self.threads: dict[Identity, int] = {}
        self._jobs: dict[Future[Any], _Job] = {}
        self._tokens: list[str] = []
        self._news = threading.Event()
        self._looked = 0.0
        self._failed_starts = 0
        self._empty_since: float | None = time.monotonic()
        self._look()

    def deliver(self, shared: SharedObject, thing: Any) -> None:
        """Bring an object to all workers, and to those that come later."""
        content = cloudpickle.dumps(thing)  # also what was defined in a notebook
        self._tokens.append(shared.token)
        with self._asking():
            self._client.register_plugin(Delivery(shared.token, content), name=shared.token)

    def free(self, alone: bool) -> Identity | None:
        """Return the least busy worker with a thread to spare, or with nothing to do."""
        if time.monotonic() - self._looked > POLL:
            self._look()
        busy, taken = Counter[Identity](), set[Identity]()
        for future, job in self._jobs.items():
            if not future.done():
                busy[job.worker] += 1
                taken |= {job.worker} if job.alone else set()
        most = {one: 1 if alone else threads for one, threads in self.threads.items() if one not in taken}
        return min((one for one in most if busy[one] < most[one]), key=lambda one: busy[one], default=None)

    def submit(
        self, state: SharedObject, function: Callable[..., Any], arguments: tuple[Any, ...], alone: bool
    ) -> Future[Any]:
        """Return the future of one job on the worker that :meth:`free` names."""
        worker, name = self.free(alone), uuid4().hex
        assert worker is not None
        content = cloudpickle.dumps((function, arguments))
        with warnings.catch_warnings(), self._asking():
            warnings.simplefilter("ignore", UserWarning)  # a training that goes on takes its weights along
            asked = self._client.submit(
                work, state, name, versions(), content, key=f"gaaf-gp-{name}", workers=[worker[0]], pure=False
            )
        asked.add_done_callback(lambda _asked: self._news.set())
        future: Future[Any] = Future()
        self._jobs[future] = _Job(asked, worker, name, alone)
        return future

    def wait(self, running: Collection[Future[Any]]) -> set[Future[Any]]:
        """Return those that have finished; none if there is no worker to run any."""
        while True:
            self._news.clear()
            self._collect()
            done = {future for future in running if future.done()}
            if done:
                return done
            self._news.wait(POLL)
            self._look()
            if not running:
                return set()

    def close(self) -> None:
        """Let the workers go, and leave."""
        with suppress(Exception):  # nothing is left to be lost
            if self._client.status == "running":
                self._client.cancel([job.asked for job in self._jobs.values()])
                for token in self._tokens:
                    self._client.unregister_worker_plugin(token)
        self._jobs.clear()
        with suppress(Exception):
            self._stack.close()

    def _look(self) -> None:
        """See who is there; a job whose worker is gone is lost."""
        with self._asking():
            known = self._client.sync(self._client.scheduler.identity, callback_timeout=PATIENCE)
        self._looked = time.monotonic()
        self.threads = {
            (address, one["local_directory"]): one["nthreads"]
            for address, one in known["workers"].items()
            if one["status"] == "running"
        }
        present = {(address, one["local_directory"]) for address, one in known["workers"].items()}
        self._mention(bool(present))
        for future, job in list(self._jobs.items()):
            if job.worker not in present and not self._take(future, job):
                self._lose(future, job)

    def _mention(self, somebody: bool) -> None:
        """Say once that nobody is there: workers may be hours away in a queue, or forgotten."""
        if somebody:
            self._empty_since = None
        elif self._empty_since is None:
            self._empty_since = time.monotonic()
        elif self._empty_since + PATIENCE < time.monotonic():
            _log.warning("the Dask scheduler at %s has no worker, waiting for one", self._address)
            self._empty_since = float("inf")

    def _collect(self) -> None:
        for future, job in list(self._jobs.items()):
            if future.cancelled() or job.asked.status != "pending":
                self._take(future, job)

    def _take(self, future: Future[Any], job: _Job) -> bool:
        """Take a result if it can be had, and return whether the job has ended."""
        if future.cancelled():
            job.asked.cancel()
        elif job.asked.status == "finished":
            with suppress(TimeoutError):  # its worker may be gone
                future.set_result(job.asked.result(timeout=PATIENCE))
                self._failed_starts = 0
        elif job.asked.status == "error":
            error = job.asked.exception()
            if isinstance(error, distributed.KilledWorker):
                self._lose(future, job)
            else:
                future.set_exception(error)
        elif job.asked.status in {"cancelled", "lost"}:
            if self._client.status != "running":
                self._gone(None)
            self._lose(future, job)
        if future.done():
            self._jobs.pop(future, None)
        return future.done()

    def _lose(self, future: Future[Any], job: _Job) -> None:
        with self._asking():
            job.asked.cancel()
            events = [words for token in self._tokens for _, words in self._client.get_events(token)]
        reasons = {words["call"]: words["reason"] for words in events if "call" in words}
        self._jobs.pop(future, None)
        if job.worker not in (tuple(words["opened"]) for words in events if "opened" in words):
            self._failed_starts += 1
            reasons = {job.name: NOT_BEGUN}
        if not future.cancelled():
            future.set_exception(WorkerLostError(reasons.get(job.name, LOST)))
        if self._failed_starts >= STARTS:
            raise WorkersGoneError(
                f"a Dask worker must be able to load what a search is made of, and {self._failed_starts} in a row died "
                "over it: look into the log of a worker for why it ended; packages and your own primitives must import "
                "there, and its memory must suffice"
            )

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Say that the scheduler is lost if what is asked of it fails."""
        if self._client.status != "running":
            self._gone(None)
        try:
            yield
        except (OSError, RuntimeError, distributed.client.FutureCancelledError) as error:
            self._gone(error)

    def _gone(self, error: Exception | None) -> None:
        reason = f" ({one_line(error)})" if error is not None else ""
        raise WorkersGoneError(
            f"the Dask scheduler at {self._address} must be there to the end, and was lost{reason}: start one again "
            "and go on with gaaf-gp resume FOLDER, which takes --executor; what was trained is kept"
        ) from error


class Delivery(distributed.WorkerPlugin):
    """Brings a shared object to each worker of a cluster, also to those that come later.

    Args:
        token: of the shared object; also the topic under which a worker says why it ends.
        content: a pickle, which is read when the first job comes.
    """

    def __init__(self, token: str, content: bytes) -> None:
        self.token = token
        self.content = content

    def setup(self, worker: distributed.Worker) -> None:
        """Keep the content in this process."""
        delivered[self.token] = Delivered(
            self.content,
            functools.partial(_end, worker, self.token),
            functools.partial(_opened, worker, self.token),
        )

    def teardown(self, worker: distributed.Worker) -> None:  # noqa: ARG002  Dask passes it
        """Let go of it; trainings that still run end at their next step."""
        forget(self.token)


def _opened(worker: distributed.Worker, token: str) -> None:
    """Say that from here on a death is a job's."""
    worker.log_event(token, {"opened": (worker.address, worker.local_directory)})
    time.sleep(FLUSH)  # once a process and object; the job may end the process at once


def _end(worker: distributed.Worker, token: str, name: str, reason: str) -> None:
    worker.log_event(token, {"call": name, "reason": reason})
    time.sleep(FLUSH)
    os._exit(1)


@functools.cache
def versions() -> dict[str, str]:
    """Return the versions of the packages that decide how a training goes."""
    return {name: version(name) for name in DECIDING}


def work(state: SharedObject, name: str, wanted: dict[str, str], content: bytes) -> Any:
    """Return what one job returns.

    Args:
        state: the first argument of the function.
        name: of this call.
        wanted: versions that this process must have.
        content: a pickle of the function and its arguments, of the coordinator of this cluster's client.

    Raises:
        GaafError: it has others.
    """
    if versions() != wanted:
        raise GaafError(
            f"workers must have the versions of the search, or results would differ: a worker has {versions()}, the "
            f"search {wanted}: install the same there"
        )
    function, arguments = pickle.loads(content)
    return call(state, name, function, arguments)
