"""Worker processes of a Dask cluster: on this machine, or on as many others as its scheduler knows.

The state goes to the scheduler once, and from there once to each worker, also to those that come later. Every job is
sent to one worker by name, and one at a time to each of its threads: so a worker that dies says whose fault it may
be, and Dask, which would try a job again as often as its own configuration says, leaves that to us.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from gaaf_gp.errors import GaafError
from gaaf_gp.sending import Parcel, forget, pack

if TYPE_CHECKING:
    import distributed

    from gaaf_gp.dask_link import Link

PREFIX = "dask://"


class Cluster:
    """Jobs on a Dask cluster.

    Args:
        state: the first argument of every job.
        workers: processes of a cluster that is made here; without effect on one that is there.
        given: ``dask`` for a cluster on this machine, ``dask://HOST:PORT`` for the scheduler of another, or a Client.

    Raises:
        GaafError: there is no scheduler, its address makes no sense, or Dask is not installed.
    """

    takes_all_along = False

    def __init__(self, state: Any, workers: int, given: str | distributed.Client) -> None:
        self._state = state
        self._asked = workers
        self._given = given
        if isinstance(given, str):
            check_address(given)
        try:
            from gaaf_gp import dask_link  # noqa: PLC0415  an optional extra
        except ImportError as error:
            raise GaafError(
                "a Dask executor needs the package distributed, which is not installed: pip install 'gaaf-gp[dask]'"
            ) from error
        self._connect = dask_link.connected
        self._link: Link | None = None
        self._parcels: dict[int, tuple[Any, Parcel]] = {}

    @property
    def workers(self) -> int:
        """Jobs that run at a time now."""
        return max(1, sum(self._link.threads.values())) if self._link is not None else self._asked

    def room(self, _running: Collection[Future[Any]], alone: bool, _spare: int) -> bool:
        """Return whether a worker is free; ``alone`` is for one with nothing else to do."""
        return self._linked().free(alone) is not None

    def shared(self, thing: Any) -> Parcel:
        """Return what stands for an object in the arguments of jobs; each worker gets it once."""
        if id(thing) not in self._parcels:
            parcel = pack(thing, None, b"")
            self._parcels[id(thing)] = thing, parcel
            self._linked().deliver(parcel, thing)
        return self._parcels[id(thing)][1]

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

    def replace(self) -> None:
        """Do nothing: who is there is looked up all the time."""

    def close(self) -> None:
        """Leave the cluster, and end it if it was made here; trainings that run end at their next step."""
        link, self._link = self._link, None
        if link is not None:
            link.close()
        for _, parcel in self._parcels.values():
            forget(parcel.token)
        self._parcels.clear()

    stop = close

    def _linked(self) -> Link:
        if self._link is None:
            given = self._given
            self._link = self._connect(check_address(given) if isinstance(given, str) else given, self._asked)
        return self._link


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
