"""Where jobs run beside this process, and what all such places have in common."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Collection
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol, Union

from gaaf_gp.clusters import Cluster
from gaaf_gp.errors import GaafError
from gaaf_gp.pools import Pool

if TYPE_CHECKING:
    from distributed import Client

ExecutorLike = Union[Executor, Callable[[], Executor], str, "Client"]
"""What runs workers: an executor, a function that makes one, ``dask``, ``dask://HOST:PORT``, or a client of Dask."""


class Backend(Protocol):
    """Where jobs run beside this process."""

    takes_all_along: bool

    @property
    def workers(self) -> int:
        """Jobs that run at a time now."""

    def room(self, running: Collection[Future[Any]], alone: bool, spare: int, /) -> bool:
        """Return whether a job may begin beside those that run; ``alone`` is for one that may have killed a worker."""

    def begin(self, function: Callable[..., Any], arguments: tuple[Any, ...], alone: bool, /) -> Future[Any]:
        """Return the future of one job."""

    def shared(self, thing: Any) -> Any:
        """Return what stands for an object in the arguments of jobs, see :func:`gaaf_gp.sending.opened`."""

    def wait(self, running: Collection[Future[Any]]) -> set[Future[Any]]:
        """Return those that have finished."""

    def result(self, future: Future[Any]) -> Any:
        """Return the result of a future; raises a ``WorkerLostError``."""

    def replace(self) -> None:
        """Get over the death of a worker."""

    def close(self) -> None:
        """End."""

    def stop(self) -> None:
        """End at once."""


def backend_for(state: object, workers: int, executor: ExecutorLike | None) -> Backend | None:
    """Return where jobs run, None for this process.

    Raises:
        GaafError: nobody knows such an executor, or the state cannot be sent to another process.
    """
    if executor is None and workers == 1:
        return None
    given: Any = executor
    if isinstance(executor, str):
        return Cluster(state, workers, executor)
    if type(executor).__module__.partition(".")[0] == "distributed":  # a client of Dask, or the executor that it gives
        return Cluster(state, workers, getattr(given, "_client", given))
    if executor is None or isinstance(executor, Executor) or callable(executor):
        if not isinstance(executor, ThreadPoolExecutor):
            _check_picklable(state)
        return Pool(state, workers, executor)
    raise GaafError(
        f"executor must be a concurrent.futures.Executor, a function that makes one, dask or dask://HOST:PORT, got "
        f"{executor!r}"
    )


def _check_picklable(state: object) -> None:
    try:
        pickle.dumps(state)
    except Exception as error:
        raise GaafError(
            "what worker processes need must be picklable, but "
            f"{str(error).splitlines()[0]}: define primitives with def at the top of a module, or use workers=1"
        ) from error
