"""What runs in the workers of a Dask cluster; it needs the extra ``dask``."""

from __future__ import annotations

import functools
import os
import pickle
import time
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import distributed

from gaaf_gp.errors import GaafError
from gaaf_gp.sending import Delivered, Parcel, call, delivered, forget

FLUSH = 0.5
"""Seconds that the last words of a worker have to reach the scheduler."""
DECIDING = ("gaaf-gp", "torch")
"""Packages that must be the same everywhere: with another version a training may go another way."""


class Delivery(distributed.WorkerPlugin):
    """Brings what is in a parcel to each worker of a cluster, also to those that come later.

    Args:
        token: of the parcel; also the topic under which a worker says why it ends.
        content: a pickle, which is read when the first job comes.
    """

    def __init__(self, token: str, content: bytes) -> None:
        self.token = token
        self.content = content

    def setup(self, worker: distributed.Worker) -> None:
        """Keep the content in this process."""
        delivered[self.token] = Delivered(self.content, functools.partial(_end, worker, self.token))

    def teardown(self, worker: distributed.Worker) -> None:  # noqa: ARG002  Dask passes it
        """Let go of it; trainings that still run end at their next step."""
        forget(self.token)


def _end(worker: distributed.Worker, token: str, name: str, reason: str) -> None:
    worker.log_event(token, {"call": name, "reason": reason})
    time.sleep(FLUSH)
    os._exit(1)


@functools.cache
def versions() -> dict[str, str]:
    """Return the versions of the packages that decide how a training goes."""
    return {name: _version(name) for name in DECIDING}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:  # run from its folder
        return "unknown"


def work(parcel: Parcel, name: str, wanted: dict[str, str], content: bytes) -> Any:
    """Return what one job returns.

    Args:
        parcel: has the state.
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
    return call(parcel, name, function, arguments)
