"""What worker processes and their coordinator say to each other: shared objects, reasons to end, and losses.

A job carries a :class:`SharedObject`, some bytes long. A process that meets it for the first time asks the coordinator
for the object, over a local connection on which both sides prove that they know a secret, and keeps it. On a Dask
cluster the scheduler hands it out instead (:mod:`gaaf_gp.parallel.dask`). No pickle is ever read from a file.
"""

from __future__ import annotations

import os
import pickle
import secrets
import signal
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Client
from typing import Any, TypeVar

from gaaf_gp.errors import FOREIGN, GaafError, one_line

LOST = "worker lost"
"""The reason of a job whose worker died and did not say why."""
NOT_BEGUN = "worker lost ahead of the job"
"""The reason of a job whose worker died before it came to any job: nobody is to blame."""
STARTS = 3
"""Times in a row that workers die ahead of any job, until it is no accident."""
KEPT = 8
"""Shared objects that a process keeps; an executor may outlive many searches."""

Address = str | tuple[str, int]
"""Where a coordinator listens."""
End = Callable[[str], object]
"""Reports a reason and ends this process."""
Result = TypeVar("Result")


@dataclass(frozen=True)
class WorkerLost:
    """Stands for the result of a job whose worker process died.

    Attributes:
        reason: ``LOST`` if it died (killed, out of memory, crashed) every time, else why it was ended the first time.
    """

    reason: str = LOST


class WorkerLostError(Exception):
    """A worker died with its job; the message is a reason as of :class:`WorkerLost`."""


class WorkersGoneError(GaafError):
    """What runs the workers is gone, such as the scheduler of a cluster: no candidate is to blame, the run ends."""


@dataclass(frozen=True)
class SharedObject:
    """Stands for an object that the coordinator has; the same in every process of a machine or cluster.

    Attributes:
        token: its name.
        address: where the coordinator listens, None if a cluster delivers.
        key: the secret.
    """

    token: str
    address: Address | None
    key: bytes

    @property
    def at_home(self) -> bool:
        """Whether this process is the coordinator."""
        return _mine.get(self.token, (0, None))[0] == os.getpid()

    @property
    def wanted(self) -> bool:
        """Whether anybody waits for the results; only a cluster can tell."""
        return self.address is not None or self.token in delivered

    def open(self) -> Any:
        """Return the object; it is fetched once.

        Raises:
            GaafError: it cannot be had, or not be read here.
        """
        if self.at_home:
            return _mine[self.token][1]
        with _opening:
            if self.token not in _opened:
                _opened[self.token] = self._read()
                while len(_opened) > KEPT:
                    _opened.popitem(last=False)
            _opened.move_to_end(self.token)
            return _opened[self.token]

    def end(self, call: str, reason: str) -> None:
        """Tell the coordinator why a call must end, and end this process with it."""
        if self.address is None:
            if self.token in delivered:
                delivered[self.token].end(call, reason)
            return
        with suppress(OSError, EOFError), Client(self.address, authkey=self.key) as line:
            line.send(("end", call, reason))
            line.recv_bytes()  # it has been heard
        os._exit(1)

    def _read(self) -> Any:
        if self.address is None:
            thing = _unpickled(self._delivered().content)
            self._delivered().opened()
            return thing
        try:
            with Client(self.address, authkey=self.key) as line:
                line.send(("get", self.token))
                thing = _unpickled(line.recv_bytes())
                line.send(self.token)  # from here on a death is a job's
                line.recv_bytes()
                return thing
        except (OSError, EOFError) as error:
            raise GaafError(
                f"the workers of an executor must run on the machine of the search while it lasts, and one could not "
                f"reach it ({one_line(error)}): use executor='dask://HOST:PORT' for other machines"
            ) from error

    def _delivered(self) -> Delivered:
        if self.token not in delivered:
            raise GaafError("a job was left over from a search that has ended, and its worker has nothing to work with")
        return delivered[self.token]


def _unpickled(content: bytes) -> Any:
    try:
        return pickle.loads(content)  # of this process's own coordinator
    except FOREIGN as error:
        raise GaafError(
            f"workers must be able to import what a search is made of, and one got {one_line(error)}: keep your own "
            "primitives in a file that imports alike everywhere (not in a notebook, after python -c, or on standard "
            "input), and install the same packages"
        ) from error


def share(thing: Any, address: Address | None, key: bytes) -> SharedObject:
    """Return what stands for an object of this process in others; :func:`forget` lets go of it."""
    shared = SharedObject(secrets.token_hex(16), address, key)
    _mine[shared.token] = os.getpid(), thing
    return shared


def opened(thing: Any) -> Any:
    """Return the object that a :class:`SharedObject` stands for, and anything else as it is."""
    return thing.open() if isinstance(thing, SharedObject) else thing


def forget(token: str) -> None:
    """Let go of what this process has of a shared object."""
    _mine.pop(token, None)
    delivered.pop(token, None)
    _opened.pop(token, None)


def call(state: SharedObject, name: str, function: Callable[..., Result], arguments: tuple[Any, ...]) -> Result:
    """Return ``function(state, *arguments)``; ``name`` is that of this call."""
    first = state.open()
    end = None if state.at_home else lambda reason: state.end(name, reason)
    with expendable(end, lambda: state.wanted):
        return function(first, *arguments)


@contextmanager
def expendable(end: End | None, wanted: Callable[[], bool] | None = None) -> Iterator[None]:
    """Say for the block, and this thread, how a training may end the process, and who knows if it is still wanted.

    Args:
        end: called in another thread with the reason, once; it does not return. None where the process must live.
        wanted: asked before each step; False ends the training.
    """
    before = worker_state.end, worker_state.wanted
    worker_state.end, worker_state.wanted = end, wanted
    try:
        yield
    finally:
        worker_state.end, worker_state.wanted = before


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back while processes are started.

    A child inherits the mask, so that an interrupt cannot kill it half-way through its imports; here it arrives at the
    end of the block.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # started by the first child, it would lift the mask again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@dataclass
class Delivered:
    """What a cluster has brought to this process.

    Attributes:
        content: a pickle.
        end: called with the name of a call and a reason; it ends the process.
        opened: called when the object has been read here.
    """

    content: bytes
    end: Callable[[str, str], object]
    opened: Callable[[], object]


class _WorkerState(threading.local):
    """Of this thread: how the process is ended, None where it must not be, and whether its work is still wanted."""

    end: End | None = None
    wanted: Callable[[], bool] | None = None


worker_state = _WorkerState()

delivered: dict[str, Delivered] = {}
"""Of this process, by token; what is taken out again is not wanted any longer."""
_mine: dict[str, tuple[int, Any]] = {}
"""What this process shares itself, with its process id: a forked child must not take it for its own."""
_opened: OrderedDict[str, Any] = OrderedDict()
_opening = threading.Lock()
