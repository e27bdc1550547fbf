"""Fresh processes that start quickly.

They are forked by a server that has imported what is measured and has done nothing else. That is a fresh process to a
measurement of memory, and to a DataLoader it starts about as fast as by torch's default on Linux, a plain fork, which
must not be used after a backward pass: it would inherit the locks of threads that it does not have. Where there is no
fork server a new interpreter is started instead.
"""

from __future__ import annotations

import functools
import multiprocessing
import signal
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.context import BaseContext
from typing import Any, TypeVar

Result = TypeVar("Result")

IMPORTED = "benchmarks.scaling"
"""Imports all that any of these processes needs."""


@functools.cache
def context() -> BaseContext:
    """Return what starts the processes; the server itself starts with the first of them."""
    methods = multiprocessing.get_all_start_methods()
    if "forkserver" not in methods:
        return multiprocessing.get_context("spawn")
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload([IMPORTED])
    return server


def in_new_process(function: Callable[..., Result], **arguments: Any) -> Result:
    """Call an importable function in a process that nothing has used before, and return what it returns."""
    with ProcessPoolExecutor(1, mp_context=context(), initializer=_end_on_interrupt) as pool:
        return pool.submit(function, **arguments).result()


def _end_on_interrupt() -> None:
    # Ctrl-C reaches this process too: it ends at once, and says nothing beside what its parent says.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
