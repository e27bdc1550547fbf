"""Worker processes of this machine: spawned ones of our own, or those of any ``concurrent.futures.Executor``.

Workers are spawned, not forked: a forked child hangs once its parent has run a backward pass.
"""

from __future__ import annotations

import os
import pickle
import secrets
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Collection
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait
from contextlib import suppress
from multiprocessing import AuthenticationError, get_context, parent_process
from multiprocessing.connection import Client, Connection, Listener, answer_challenge, deliver_challenge
from typing import Any
from uuid import uuid4
from weakref import WeakSet

from gaaf_gp.errors import GaafError, listed
from gaaf_gp.parallel.transfer import (
    LOST,
    STARTS,
    Address,
    SharedObject,
    WorkerLostError,
    WorkersGoneError,
    call,
    forget,
    interrupts_held,
    share,
)
from gaaf_gp.util.spawning import not_started

Given = Executor | Callable[[], Executor]
"""What a user may give to run jobs: an executor, or a function that makes one, and makes it again when it broke."""


class Pool:
    """Jobs in an executor. When one of its processes dies the executor is broken, and another takes its place.

    Args:
        state: the first argument of every job.
        workers: jobs at a time, where the executor does not say how many it has.
        given: the user's executor, or what makes one; None for spawned processes.

    Raises:
        GaafError: the processes of the executor are forked.
    """

    breaks_as_a_whole = True
    """A process that dies takes all jobs along, and nobody knows whose fault it was."""

    def __init__(self, state: Any, workers: int, given: Given | None = None) -> None:
        self._state = state
        self._given = given
        self._most = workers
        self._executor: Executor | None = None
        self._own = False
        self._coordinator: Coordinator | None = None
        self._shared: dict[int, tuple[Any, SharedObject]] = {}
        self._names: dict[Future[Any], str] = {}
        self._alone = WeakSet[Future[Any]]()
        self._reached_before = 0
        self._failed_starts = 0
        if isinstance(given, Executor):
            self._most = getattr(given, "_max_workers", workers)
            _check_start(given)

    @property
    def workers(self) -> int:
        """Jobs that run at a time."""
        return self._most

    @property
    def coordinator(self) -> Coordinator:
        """What sends shared objects to the processes, and hears why they end."""
        if self._coordinator is None:
            self._coordinator = Coordinator()
        return self._coordinator

    def room(self, running: Collection[Future[Any]], alone: bool, spare: int) -> bool:
        """Return whether a job may begin beside those that run; ``alone`` is for nothing beside it."""
        alone = alone or any(future in self._alone for future in running)
        return len(running) < (1 if alone else self._most + spare)

    def shared(self, thing: Any) -> SharedObject:
        """Return what stands for an object in the arguments of jobs; each process fetches it once."""
        if id(thing) not in self._shared:
            self._shared[id(thing)] = thing, self.coordinator.share(thing)  # held, so that no other gets its id
        return self._shared[id(thing)][1]

    def begin(self, function: Callable[..., Any], arguments: tuple[Any, ...], alone: bool) -> Future[Any]:
        """Return the future of one job."""
        state, name = self.shared(self._state), uuid4().hex
        try:
            with interrupts_held():
                future = self._made().submit(call, state, name, function, arguments)
        except BrokenExecutor as broken:
            # The pool broke while jobs were still being handed in: those left are suspects like the others.
            future = Future()
            future.set_exception(broken)
        except RuntimeError as error:
            raise GaafError(
                f"an executor must be open while jobs are handed in, and this one is not: {error}"
            ) from error
        self._names[future] = name
        if alone:
            self._alone.add(future)
        return future

    def wait(self, running: Collection[Future[Any]]) -> set[Future[Any]]:
        """Return those that have finished, one at least."""
        return set(wait(running, return_when=FIRST_COMPLETED).done)

    def result(self, future: Future[Any]) -> Any:
        """Wait for a result and return it.

        Raises:
            WorkerLostError: the process died.
        """
        name = self._names.pop(future, "")
        try:
            return future.result()
        except BrokenExecutor as broken:
            raise WorkerLostError(self.coordinator.reasons.pop(name, LOST)) from broken

    def replace(self) -> bool:
        """Put another executor in the place of the broken one; return whether one of its processes came to a job.

        Raises:
            WorkersGoneError: the user's executor cannot be made again, or its processes end ahead of any job: not by a
                signal, or :data:`STARTS` times in a row.
        """
        broken = self._executor
        processes = list((getattr(broken, "_processes", None) or {}).values())
        self._end()
        at_work = self.coordinator.reached.total() > self._reached_before
        self._failed_starts = 0 if at_work else self._failed_starts + 1
        if not at_work:
            self._check_starts([process.exitcode for process in processes])
        if isinstance(self._given, Executor) and not isinstance(broken, ProcessPoolExecutor):
            raise WorkersGoneError(
                f"a {type(broken).__name__} whose worker died cannot be used again: give a function that makes one, as "
                "in executor=lambda: Executor(4), and it will be made anew (gaaf-gp resume goes on with a run)"
            )
        if isinstance(broken, ProcessPoolExecutor) and isinstance(self._given, Executor):
            self._given = lambda: _like(broken)
        return at_work

    def _check_starts(self, exit_codes: list[int | None]) -> None:
        reason = not_started(exit_codes)
        if reason is None and self._failed_starts >= STARTS:
            reason = (
                f"worker processes must be able to start, and {self._failed_starts} times in a row they ended ahead of "
                f"their first job (exit codes {listed(exit_codes) or 'unknown'}; -9 is what a system without memory "
                "does): use fewer workers, or free memory"
            )
        if reason is not None:
            raise WorkersGoneError(reason)

    def close(self) -> None:
        """Drop the jobs that have not started, wait for those that run, and end the processes that are ours."""
        self._end()
        if self._coordinator is not None:
            self._coordinator.close()
            self._coordinator = None
            self._shared.clear()
        self._names.clear()

    def stop(self) -> None:
        """End processes that are ours at once, in the middle of their jobs."""
        if self._own and isinstance(self._executor, ProcessPoolExecutor):
            # what ProcessPoolExecutor.terminate_workers of Python 3.14 does
            for process in list((self._executor._processes or {}).values()):
                process.terminate()
        self.close()

    def _made(self) -> Executor:
        if self._executor is None:
            self._reached_before = self.coordinator.reached.total()
            self._own = not isinstance(self._given, Executor)
            if isinstance(self._given, Executor):
                self._executor = self._given
            elif self._given is not None:
                self._executor = self._given()
                self._most = getattr(self._executor, "_max_workers", self._most)
            else:
                context = get_context("spawn")
                self._executor = ProcessPoolExecutor(self._most, mp_context=context, initializer=_start)
        return self._executor

    def _end(self) -> None:
        for future in self._names:
            future.cancel()
        if self._executor is not None and self._own:
            self._executor.shutdown()
        self._executor = None


class Coordinator:
    """Listens for worker processes: they ask for shared objects, and say why they must end.

    Attributes:
        sent: token -> how many processes asked for it.
        reached: token -> how many of them could read it: what they have to import is there.
        reasons: name of a call -> why its process was ended.
    """

    def __init__(self) -> None:
        self.sent = Counter[str]()
        self.reached = Counter[str]()
        self.reasons: dict[str, str] = {}
        self._key = secrets.token_bytes(32)
        self._listener = _listener()
        self._address: Address = self._listener.address
        self._shared: dict[str, SharedObject] = {}
        self._pickles: dict[str, bytes] = {}
        self._lock = threading.Lock()
        self._closing = False
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def share(self, thing: Any) -> SharedObject:
        """Return what stands for an object in other processes."""
        shared = share(thing, self._address, self._key)
        self._shared[shared.token] = shared
        return shared

    def close(self) -> None:
        """Listen no longer; shared objects that were not fetched are lost."""
        self._closing = True
        with suppress(OSError, EOFError), Client(self._address):  # wakes the thread
            pass
        self._thread.join()
        self._listener.close()
        for token in self._shared:
            forget(token)
        self._shared.clear()
        self._pickles.clear()

    def _listen(self) -> None:
        while not self._closing:
            with suppress(OSError, EOFError):
                line = self._listener.accept()
                # a process that says nothing must not keep the others waiting
                threading.Thread(target=self._answer, args=(line,), daemon=True).start()

    def _answer(self, line: Connection) -> None:
        with line, suppress(OSError, EOFError, AuthenticationError):
            deliver_challenge(line, self._key)
            answer_challenge(line, self._key)
            what, *words = line.recv()
            if what == "get":
                line.send_bytes(self._pickled(*words))
                self.reached[line.recv()] += 1
                line.send_bytes(b"heard")
            else:
                name, reason = words
                self.reasons[name] = reason
                line.send_bytes(b"heard")

    def _pickled(self, token: str) -> bytes:
        with self._lock:
            self.sent[token] += 1
            if token not in self._pickles:
                self._pickles[token] = pickle.dumps(self._shared[token].open(), pickle.HIGHEST_PROTOCOL)
            return self._pickles[token]


def _like(broken: ProcessPoolExecutor) -> ProcessPoolExecutor:
    """Return a pool with the settings of another; it has no public name for them."""
    known = vars(broken)
    return ProcessPoolExecutor(
        known["_max_workers"],
        mp_context=known["_mp_context"],
        initializer=known["_initializer"],
        initargs=known["_initargs"],
        max_tasks_per_child=known.get("_max_tasks_per_child"),
    )


def _check_start(given: Executor) -> None:
    context = vars(given).get("_mp_context")
    if isinstance(given, ProcessPoolExecutor) and context is not None and context.get_start_method() == "fork":
        raise GaafError(
            "worker processes must be spawned, because forked ones hang in training: make the ProcessPoolExecutor with "
            "mp_context=multiprocessing.get_context('spawn')"
        )


def _start() -> None:
    # Ctrl-C reaches the whole process group; the coordinator alone decides what to do about it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.stdout = sys.stderr  # that of the coordinator is for its results, not for what a primitive prints
    threading.Thread(target=_end_with_coordinator, daemon=True).start()


def _end_with_coordinator() -> None:
    """Wait until the coordinator is gone: if it was killed nobody else ends this process."""
    coordinator = parent_process()
    if coordinator is not None:
        coordinator.join()
        os._exit(1)


def _listener() -> Listener:
    try:
        return Listener(backlog=64)
    except OSError:  # such as a folder for temporary files whose name is too long for a socket
        return Listener(("127.0.0.1", 0), backlog=64)
