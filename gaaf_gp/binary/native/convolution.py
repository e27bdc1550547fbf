"""Convolution of sign(f(x)) with the signs of latent weights on a CPU, forward and backward.

The forward pass keeps the slope of f at x (two bytes) and one bit per value. torch's separate operations would keep x,
f(x) and its sign in four bytes each, and what the gradient of f needs. One look-up gives both slope and sign, and the
backward pass multiplies by the slopes while it computes the gradient.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gaaf_gp.binary.native.build import library
from gaaf_gp.binary.native.calls import address, check, require
from gaaf_gp.errors import GaafError

_VALUES = 1 << 16
_FIELDS = (
    "images", "height", "width", "channels", "out_height", "out_width", "out_channels", "kernel_height", "kernel_width",
    "stride_height", "stride_width", "pad_height", "pad_width", "pad_sign",
)  # fmt: skip


Convolved = Callable[[Tensor | None, Tensor | None], tuple[Tensor | None, Tensor | None]]
"""Takes slopes, which multiply the gradient of the signs, and a tensor to add; returns the gradients of the input and
of the latent weights, see :func:`gradients`."""


class Shape(ctypes.Structure):
    """The shape of a convolution, as in ``common.h``."""

    _fields_ = [(name, ctypes.c_int64) for name in _FIELDS]


@dataclass(frozen=True)
class Geometry:
    """Stride and padding of a convolution, (height, width) in pixels, and the sign that padding adds: 0, +1 or -1.

    Raises:
        GaafError: a number is out of its range.
    """

    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    pad_sign: int = 0

    def __post_init__(self) -> None:
        for name, pair, least in (("stride", self.stride, 1), ("padding", self.padding, 0)):
            if len(pair) != 2 or min(pair) < least:
                raise GaafError(
                    f"{name} must be two whole numbers (height, width) of at least {least}, got {pair!r}; "
                    f"give ({least}, {least}) or more"
                )
        if self.pad_sign not in (0, 1, -1):
            raise GaafError(f"pad_sign must be 0, +1 or -1, got {self.pad_sign!r}; choose one of them")


def packed_table(sign: Tensor, slope: Tensor) -> Tensor:
    """Return two tables by the bits of a bfloat16 as one, (65536,) int32: the sign's bit is the highest.

    Args:
        sign: (65536,) bool, whether f(v) >= 0 for the bfloat16 v with these bits.
        slope: (65536,) bfloat16, the windowed derivative of f there, which multiplies the gradient of the sign; other
            floats are rounded to bfloat16. It is the lower half of an entry.

    Raises:
        GaafError: a table has another type or shape.
    """
    require("sign", sign, torch.bool, _VALUES)
    slope = slope.to(torch.bfloat16)  # module.float() makes float32 of it
    require("slope", slope, torch.bfloat16, _VALUES)
    low = slope.detach().contiguous().view(torch.int16).to(torch.int32) & 0xFFFF
    return low | (sign.to(torch.int32) << 31)


def signs(x: Tensor, table: Tensor) -> tuple[Tensor, Tensor]:
    """Return the slopes of f at ``x`` and the packed signs of f(x), each in the order of channels-last memory.

    Args:
        x: (N, C, H, W) float32 on the CPU, not empty; channels last is quickest.
        table: (65536,) int32, dense, see :func:`packed_table`.

    Returns:
        (N * H * W * C,) int16, the bits of bfloat16 slopes; (N * H * W * words,) int64, a bit a channel and
        ceil(C / 64) words a pixel.
    """
    x = x.contiguous(memory_format=torch.channels_last)
    pixels, channels = x.numel() // x.shape[1], x.shape[1]
    slopes = torch.empty(x.numel(), dtype=torch.int16, device="cpu")
    bits = torch.empty(pixels * -(-channels // 64), dtype=torch.int64, device="cpu")
    places = address(slopes), address(bits)
    library().sign_by_table(address(x), address(table), pixels, channels, *places, torch.get_num_threads())
    return slopes, bits


def convolve(bits: Tensor, weight: Tensor, shape: Shape) -> Tensor:
    """Return the convolution of packed signs with those of ``weight``, (N, O, H', W') float32, channels last.

    Raises:
        MemoryError: there is no memory for what the kernels need.
    """
    size = (shape.images, shape.out_channels, shape.out_height, shape.out_width)
    y = torch.empty(size, memory_format=torch.channels_last, dtype=torch.float32, device="cpu")
    sources = address(bits), address(weight), _in_c(weight.stride())
    check(library().convolve(*sources, ctypes.byref(shape), address(y), torch.get_num_threads()))
    return y


def gradients(
    gradient: Tensor,
    weight: Tensor,
    bits: Tensor,
    slopes: Tensor | None,
    shape: Shape,
    weight_window: float,
    whole: bool,
    wanted: tuple[bool, bool],
    more: Tensor | None = None,
) -> tuple[Tensor | None, Tensor | None]:
    """Return the gradients of the input and of the weights, each if it is wanted.

    Args:
        gradient: of the output.
        weight: the latent weights.
        bits: the packed signs of the input.
        slopes: see :func:`signs`; the gradient of the input is multiplied by them. None for the gradient of the signs.
        shape: of the convolution.
        weight_window: see :class:`gaaf_gp.binary.native.Unit`.
        whole: see :class:`gaaf_gp.binary.native.Unit`.
        wanted: whether to compute that of the input, and that of the weights.
        more: (N, C, H, W) float32, added to the gradient of the input after the multiplication.

    Raises:
        GaafError: ``more`` has another type or shape.
        MemoryError: there is no memory for what the kernels need.
    """
    gradient = gradient.contiguous(memory_format=torch.channels_last)
    kernels, threads, form, strides = library(), torch.get_num_threads(), ctypes.byref(shape), _in_c(weight.stride())
    of_x = of_weight = None
    if wanted[1]:
        of_weight = torch.empty(weight.shape, memory_format=torch.channels_last, dtype=torch.float32, device="cpu")
        make = kernels.weight_gradient_fixed if whole else kernels.weight_gradient
        arguments = (address(bits), address(gradient), address(weight), strides, weight_window)
        check(make(*arguments, form, address(of_weight), threads))
    if wanted[0]:
        size = (shape.images, shape.channels, shape.height, shape.width)
        if more is not None:
            require("more", more, torch.float32, *size)
            more = more.contiguous(memory_format=torch.channels_last)
        of_x = torch.empty(size, memory_format=torch.channels_last, dtype=torch.float32, device="cpu")
        make = kernels.input_gradient_fixed if whole else kernels.input_gradient
        sources = (address(gradient), address(weight), strides, address(slopes), address(more))
        check(make(*sources, form, address(of_x), threads))
    return of_x, of_weight


def packed_shape(x: Tensor, weight: Tensor, geometry: Geometry) -> Shape:
    """Return the shape of a convolution as the kernels take it.

    Raises:
        GaafError: a tensor has another type or shape, or the kernel is larger than the padded image.
    """
    require("x", x, torch.float32, x.shape[0] if x.dim() else None, None, None, None)
    require("weight", weight, torch.float32, None, None, None, None)
    return _shape(tuple(x.shape), tuple(weight.shape), geometry)


@functools.lru_cache(maxsize=1024)
def _shape(x: tuple[int, ...], weight: tuple[int, ...], geometry: Geometry) -> Shape:
    images, channels, *size = x
    outputs, inputs, *kernel = weight
    if inputs != channels:
        raise GaafError(
            f"x and weight must have the same channels, got {channels} and {inputs}; give x those of the weight"
        )
    out = [
        (side + 2 * pad - tap) // step + 1
        for side, pad, tap, step in zip(size, geometry.padding, kernel, geometry.stride, strict=True)
    ]
    if min(out) < 1:
        padded = [side + 2 * pad for side, pad in zip(size, geometry.padding, strict=True)]
        raise GaafError(
            f"a kernel must fit into the padded image, got {kernel[0]}x{kernel[1]} on {padded[0]}x{padded[1]}; use a "
            "smaller kernel, more padding or larger images"
        )
    return Shape(
        images, *size, channels, *out, outputs, *kernel, *geometry.stride, *geometry.padding, geometry.pad_sign
    )


@functools.lru_cache(maxsize=1024)
def _in_c(strides: tuple[int, ...]) -> Any:
    return (ctypes.c_int64 * 4)(*strides)
