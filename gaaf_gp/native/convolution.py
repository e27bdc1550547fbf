"""The convolution of sign(f(x)) with the signs of latent weights as one torch operation on a CPU.

Forward keeps the bfloat16 nearest to x (two bytes) and one bit a value; torch's separate operations would keep x, f(x)
and its sign in four bytes each, and what f needs for its gradient. Backward multiplies by the tabulated slope of f in
the same pass that computes the gradient.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gaaf_gp.errors import GaafError
from gaaf_gp.native.build import library
from gaaf_gp.native.calls import address, check, require

_VALUES = 1 << 16
_FIELDS = (
    "images", "height", "width", "channels", "out_height", "out_width", "out_channels", "kernel_height", "kernel_width",
    "stride_height", "stride_width", "pad_height", "pad_width", "pad_sign",
)  # fmt: skip


class Shape(ctypes.Structure):
    """The shape of a convolution, as in ``common.h``."""

    _fields_ = [(name, ctypes.c_int64) for name in _FIELDS]


@dataclass(frozen=True)
class Geometry:
    """How a convolution moves: (height, width) of its stride and padding in pixels, and what padding adds to the signs.

    ``pad_sign`` is 0, +1 or -1.

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


def binary_convolution(
    x: Tensor, weight: Tensor, sign: Tensor, slope: Tensor, geometry: Geometry, weight_window: float, whole: bool
) -> Tensor:
    """Return the convolution of the signs of f(x) with the signs of ``weight``, differentiable in both.

    Args:
        x: (N, C, H, W) float32 on the CPU; channels last is quickest.
        weight: (O, C, KH, KW) float32, the latent weights.
        sign: (65536,) bool, whether f(v) >= 0 for the bfloat16 v with these bits.
        slope: (65536,) bfloat16, the windowed derivative of f there, which multiplies the gradient of the sign; other
            floats are rounded to bfloat16.
        geometry: stride and padding.
        weight_window: the gradient of a latent weight beyond +-weight_window is zero.
        whole: gradients are rounded to whole numbers of 11 bits, with a scale for each image (for the weights: for each
            channel of some images), and summed exactly; else everything is float32.

    Returns:
        (N, O, H', W') float32, channels last; its values are exact integers.

    Raises:
        GaafError: a tensor has another type or shape, or the kernel is larger than the padded image.
        RuntimeError: the kernels are not available.
        MemoryError: there is no memory for what the kernels need.
    """
    require("sign", sign, torch.bool, _VALUES)
    slope = slope.to(torch.bfloat16)  # module.float() makes float32 of it
    require("slope", slope, torch.bfloat16, _VALUES)
    tables = sign.contiguous(), slope.contiguous()
    return cast(Tensor, _Convolution.apply(x, weight, *tables, geometry, weight_window, whole))  # type: ignore[no-untyped-call]


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        sign: Tensor,
        slope: Tensor,
        geometry: Geometry,
        weight_window: float,
        whole: bool,
    ) -> Tensor:
        shape = packed_shape(x, weight, geometry)
        x = x.contiguous(memory_format=torch.channels_last)
        pixels, channels = x.numel() // x.shape[1], x.shape[1]
        index, bits = (
            torch.empty(x.numel(), dtype=torch.int16),
            torch.empty(pixels * -(-channels // 64), dtype=torch.int64),
        )
        sizes, threads = (ctypes.c_int64(pixels), ctypes.c_int64(channels)), ctypes.c_int64(torch.get_num_threads())
        library().sign_by_table(address(x), address(sign), *sizes, address(index), address(bits), threads)
        ctx.save_for_backward(index, bits, weight, slope)
        ctx.shape, ctx.weight_window, ctx.whole = shape, weight_window, whole
        return convolve(bits, weight, shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        index, bits, weight, slope = ctx.saved_tensors
        wanted = ctx.needs_input_grad[0], ctx.needs_input_grad[1]
        window, whole = ctx.weight_window, ctx.whole
        of_x, of_weight = gradients(gradient, weight, bits, (slope, index), ctx.shape, window, whole, wanted)
        return of_x, of_weight, None, None, None, None, None


def convolve(bits: Tensor, weight: Tensor, shape: Shape) -> Tensor:
    """Return the convolution of packed signs with those of ``weight``, (N, O, H', W') float32, channels last.

    Raises:
        MemoryError: there is no memory for what the kernels need.
    """
    kernels, threads = library(), ctypes.c_int64(torch.get_num_threads())
    packed = torch.empty(shape.out_channels * kernels.patch_words(ctypes.byref(shape)), dtype=torch.int64)
    kernels.pack_weights(address(weight), _strides(weight), ctypes.byref(shape), address(packed))
    size = (shape.images, shape.out_channels, shape.out_height, shape.out_width)
    y = torch.empty(size, memory_format=torch.channels_last)
    check(kernels.convolve(address(bits), address(packed), ctypes.byref(shape), address(y), threads))
    return y


def gradients(
    gradient: Tensor,
    weight: Tensor,
    bits: Tensor,
    tables: tuple[Tensor, Tensor] | None,
    shape: Shape,
    weight_window: float,
    whole: bool,
    wanted: tuple[bool, bool],
) -> tuple[Tensor | None, Tensor | None]:
    """Return the gradients of the input and of the weights, each if it is wanted.

    Args:
        gradient: of the output.
        weight: the latent weights.
        bits: the packed signs of the input.
        tables: slope and index, by which the gradient of the input is multiplied; None for the gradient of the signs.
        shape: of the convolution.
        weight_window: see :func:`binary_convolution`.
        whole: there.
        wanted: that of the input, that of the weights.

    Raises:
        MemoryError: there is no memory for what the kernels need.
    """
    gradient = gradient.contiguous(memory_format=torch.channels_last)
    kernels, threads, form = library(), ctypes.c_int64(torch.get_num_threads()), ctypes.byref(shape)
    of_x = of_weight = None
    if wanted[1]:
        of_weight = torch.empty(weight.shape, memory_format=torch.channels_last)
        window = ctypes.c_float(weight_window)
        make = kernels.weight_gradient_fixed if whole else kernels.weight_gradient
        arguments = (address(bits), address(gradient), address(weight), _strides(weight), window)
        check(make(*arguments, form, address(of_weight), threads))
    if wanted[0]:
        slope, index = (None, None) if tables is None else tables
        size = (shape.images, shape.channels, shape.height, shape.width)
        of_x = torch.empty(size, memory_format=torch.channels_last)
        make = kernels.input_gradient_fixed if whole else kernels.input_gradient
        sources = (address(gradient), address(weight), _strides(weight), address(slope), address(index))
        check(make(*sources, form, address(of_x), threads))
    return of_x, of_weight


def packed_shape(x: Tensor, weight: Tensor, geometry: Geometry) -> Shape:
    """Return the shape of a convolution as the kernels take it.

    Raises:
        GaafError: a tensor has another type or shape, or the kernel is larger than the padded image.
    """
    require("x", x, torch.float32, x.shape[0] if x.dim() else None, None, None, None)
    require("weight", weight, torch.float32, None, None, None, None)
    images, channels, *size = x.shape
    outputs, inputs, *kernel = weight.shape
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


def _strides(weight: Tensor) -> Any:
    return (ctypes.c_int64 * 4)(*weight.stride())
