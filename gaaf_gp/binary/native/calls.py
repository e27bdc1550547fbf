"""Calling the kernels from Python: checks of tensors, their addresses, and errors.

C does not check sizes and types, so every tensor from outside is checked here first.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gaaf_gp.errors import GaafError


def require(name: str, tensor: Tensor, dtype: torch.dtype, *sizes: int | None) -> None:
    """Check that a kernel can read ``tensor``.

    Args:
        name: its name in the message.
        tensor: the tensor to check.
        dtype: the required dtype.
        sizes: the required shape, None for any size of at least one.

    Raises:
        GaafError: it has another type or shape, or is not on the CPU.
    """
    shape = tuple(tensor.shape)
    if shape == sizes and tensor.dtype == dtype and tensor.is_cpu:
        return
    fits = len(shape) == len(sizes) and all(
        have == want if want is not None else have > 0 for have, want in zip(shape, sizes, strict=True)
    )
    if not fits or tensor.dtype != dtype or not tensor.is_cpu:
        wanted = "(" + ", ".join("any" if size is None else str(size) for size in sizes) + ")"
        raise GaafError(
            f"{name} must be a {_named(dtype)} tensor of shape {wanted} on the CPU, got a {_named(tensor.dtype)} "
            f"tensor of shape {shape} on {tensor.device.type}; convert it, or use torch's own operations"
        )


def _named(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def address(tensor: Tensor | None) -> int | None:
    """Return the address of the numbers of ``tensor``, None (null in C) for None. The caller keeps the tensor alive."""
    return None if tensor is None else tensor.data_ptr()


def check(failed: int) -> None:
    """Raise an error if a kernel reported one.

    Raises:
        MemoryError: the kernel could not allocate memory.
    """
    if failed:
        raise MemoryError("out of memory: the compiled kernels could not allocate what they need")
