"""How a network is computed: on which device, on how many threads, and in which precision.

Mixed precision is ``torch.autocast``. What must stay exact does: the sums of a binary layer exceed the eight bits of a
bfloat16, so binary layers leave autocast and compute in float32, as do the statistics of batch norm, the loss, the
weights and the optimiser. What is left for 16 bits are the real layers: stem, classifier, convolutions in shortcuts.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext

import psutil
import torch

from gaaf_gp.errors import GaafError
from gaaf_gp.util.checks import choice

PRECISIONS = ("float32", "bfloat16", "float16")
"""What the real layers of a network compute in."""


def available_cores() -> int:
    """Return the number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_device(device: torch.device | str) -> torch.device:
    """Return the device as tensors on it name it, such as ``cuda:0`` for ``"cuda"``.

    Raises:
        GaafError: torch cannot use it here.
    """
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0]
        raise GaafError(f"device must be one that torch can use here, and {device} is not: {reason}") from error


def devices_of(given: torch.device | str | Sequence[torch.device | str]) -> tuple[str, ...]:
    """Return the names of devices given as one, as a text with commas, or as a sequence.

    Raises:
        GaafError: there is none, or they are of several kinds, whose results would differ.
    """
    words = str(given).split(",") if isinstance(given, str | torch.device) else list(map(str, given))
    names = tuple(word.strip() for word in words)
    kinds = {name.partition(":")[0] for name in names}
    if not all(names) or len(kinds) != 1:
        raise GaafError(
            f"devices must be one or more of one kind, such as cuda:0,cuda:1, because results of other kinds differ, "
            f"got {given!r}"
        )
    return names


def memory_used(device: torch.device | None) -> int:
    """Return the bytes that this process has in memory, and those that its tensors take on a GPU."""
    here: int = _process().memory_info().rss
    return here + (torch.cuda.memory_allocated(device) if device is not None and device.type == "cuda" else 0)


@functools.cache
def _process() -> psutil.Process:
    return psutil.Process()


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Let torch use ``number`` threads inside the block, and as many as before after it."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def check_precision(precision: str, device: torch.device) -> None:
    """Refuse a precision that is unknown, or that a device does not have.

    Raises:
        GaafError: it is none of :data:`PRECISIONS`, or float16 elsewhere than on a GPU.
    """
    choice("precision", precision, PRECISIONS)
    if precision == "float16" and device.type != "cuda":
        raise GaafError(
            f"precision float16 is for a GPU, and the data is on {device}; choose float32, which is as fast there, or "
            "give device='cuda' to the data"
        )


def lowered(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Return a context in which the real layers compute in ``precision``; with float32 it does nothing."""
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, getattr(torch, precision))


def lowers(device: torch.device) -> bool:
    """Return whether autocast is on for ``device``."""
    return device.type != "meta" and torch.is_autocast_enabled(device.type)


@contextmanager
def plain_defaults() -> Iterator[None]:
    """Let torch compute as it does by default inside the block, whatever the user has set.

    Tensors are made in float32 on the CPU, nothing is lowered by autocast, and a gradient may be NaN, which autograd's
    detection of anomalies would not let pass.
    """
    dtype, device = torch.get_default_dtype(), torch.get_default_device()
    torch.set_default_dtype(torch.float32)
    try:
        with ExitStack() as stack:
            if device.type != "cpu":  # a device as context slows every call down
                stack.enter_context(torch.device("cpu"))
            if torch.is_anomaly_enabled():
                stack.enter_context(torch.autograd.set_detect_anomaly(False))
            for kind in ("cpu", "cuda"):
                if torch.is_autocast_enabled(kind):
                    stack.enter_context(torch.autocast(kind, enabled=False))
            yield
    finally:
        torch.set_default_dtype(dtype)


@contextmanager
def gradients() -> Iterator[None]:
    """Let torch compute as it does by default inside the block, with gradients, whatever the user has set."""
    with torch.inference_mode(False), torch.enable_grad(), plain_defaults():
        yield
