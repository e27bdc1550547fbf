"""Batch normalization and the addition of a shortcut as one torch operation on a CPU, in channels-last memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gaaf_gp.binary.native.build import library
from gaaf_gp.binary.native.calls import address, check, require


@dataclass(frozen=True, eq=False)
class Norm:
    """The arguments of a batch normalization of C channels besides its input.

    Attributes:
        weight: (C,) float32.
        bias: (C,) float32.
        running: the running mean and variance, (C,) float32.
        momentum: by which the running moments follow those of the batch, in place; with None the running moments are
            used for the normalization, as in evaluation.
        epsilon: added to the variance.
    """

    weight: Tensor
    bias: Tensor
    running: tuple[Tensor, Tensor]
    momentum: float | None
    epsilon: float

    def check(self, channels: int) -> None:
        """Check the tensors.

        Raises:
            GaafError: one has another type or shape.
        """
        names = ("weight", "bias", "running mean", "running variance")
        for name, vector in zip(names, (self.weight, self.bias, *self.running), strict=True):
            require(name, vector, torch.float32, channels)


def batch_norm(x: Tensor, norm: Norm, shortcut: Tensor | None = None) -> Tensor:
    """Return the normalized ``x`` plus ``shortcut``, (N, C, H, W) float32, channels last.

    Results and gradients have the accuracy of float32 even if the mean is far from zero, because squares are taken of
    differences from a value near the mean.

    Args:
        x: (N, C, H, W) float32 on the CPU; channels last is fastest. With a momentum, more than one value per channel.
        norm: see :class:`Norm`; without a momentum no gradient goes through the moments.
        shortcut: of the shape of ``x``, or None; its gradient is that of the result.

    Raises:
        GaafError: a tensor has another type or shape.
        RuntimeError: the kernels are not available.
        MemoryError: there is no memory for what the kernels need.
    """
    require("x", x, torch.float32, None, None, None, None)
    norm.check(x.shape[1])
    if shortcut is not None:
        require("shortcut", shortcut, torch.float32, *x.shape)
    return cast(Tensor, _BatchNorm.apply(x, norm.weight, norm.bias, norm, shortcut))  # type: ignore[no-untyped-call]


class _BatchNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, _bias: Tensor, norm: Norm, shortcut: Tensor | None) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        if shortcut is not None:
            shortcut = shortcut.contiguous(memory_format=torch.channels_last)
        y, kept = normalize(x, norm, shortcut)
        ctx.save_for_backward(x, weight, kept)
        ctx.given = norm.momentum is None
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, kept = ctx.saved_tensors
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        of_x, of_weight, of_bias = normalize_backward(gradient, x, weight, kept, ctx.given)
        return of_x, of_weight, of_bias, None, gradient if ctx.needs_input_grad[4] else None


def normalize(x: Tensor, norm: Norm, shortcut: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return the normalized ``x`` plus the shortcut, and the moments for :func:`normalize_backward`.

    Args:
        x: dense channels last.
        norm: already checked; its running moments are updated if there is a momentum.
        shortcut: dense channels last, of the shape of ``x`` or with a fraction of its channels, which are then
            repeated.

    Raises:
        MemoryError: there is no memory for what the kernels need.
    """
    pixels, channels = x.numel() // x.shape[1], x.shape[1]
    given = norm.momentum is None
    running = tuple(vector.contiguous() for vector in norm.running)
    weight, bias = norm.weight.contiguous(), norm.bias.contiguous()
    moments = running if given else torch.empty(2, channels, dtype=torch.float32, device="cpu").unbind()
    kept, y = torch.empty(3, channels, dtype=torch.float64, device="cpu"), torch.empty_like(x)
    failed = library().norm_forward(
        *(address(x), address(shortcut), 0 if shortcut is None else shortcut.shape[1]),
        *(address(weight), address(bias), norm.epsilon, given),
        *(address(vector) for vector in moments),
        *(None if given else address(vector) for vector in running),
        *(norm.momentum or 0.0, pixels, channels, address(kept), address(y), torch.get_num_threads()),
    )
    check(failed)
    if not given:
        for vector, contiguous in zip(norm.running, running, strict=True):
            if contiguous is not vector:
                vector.copy_(contiguous)
    return y, kept


def normalize_backward(
    gradient: Tensor, x: Tensor, weight: Tensor, kept: Tensor, given: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of the input, the weight and the bias of :func:`normalize`.

    Args:
        gradient: of the result, dense channels last.
        x: the input of :func:`normalize`, dense channels last.
        weight: (C,).
        kept: the moments that :func:`normalize` returned.
        given: whether the momentum was None.

    Raises:
        MemoryError: there is no memory for what the kernels need.
    """
    pixels, channels = x.numel() // x.shape[1], x.shape[1]
    weight = weight.contiguous()
    of_x = torch.empty_like(x)
    of_weight, of_bias = torch.empty(2, channels, dtype=torch.float32, device="cpu").unbind()
    failed = library().norm_backward(
        *(address(gradient), address(x), address(weight), address(kept), given, pixels, channels),
        *(address(of_x), address(of_weight), address(of_bias), torch.get_num_threads()),
    )
    check(failed)
    return of_x, of_weight, of_bias


def halve(x: Tensor) -> Tensor:
    """Return the means of 2x2 pixels, (N, C, ceil(H/2), ceil(W/2)); at an odd edge of the pixels inside the image.

    ``x`` is (N, C, H, W) float32, dense channels last, and so is the result.
    """
    images, channels, height, width = x.shape
    size = (images, channels, -(-height // 2), -(-width // 2))
    y = torch.empty(size, memory_format=torch.channels_last, dtype=torch.float32, device="cpu")
    library().halve(address(x), images, height, width, channels, address(y), torch.get_num_threads())
    return y


def halve_backward(gradient: Tensor, shape: torch.Size, times: int) -> Tensor:
    """Return the gradient of the input of :func:`halve`, of this ``shape``, whose result was repeated ``times`` times.

    ``gradient`` is (N, times C, ceil(H/2), ceil(W/2)) float32, dense channels last.
    """
    images, channels, height, width = shape
    of_x = torch.empty(shape, memory_format=torch.channels_last, dtype=torch.float32, device="cpu")
    sizes = images, height, width, channels, times
    library().spread_halves(address(gradient), *sizes, address(of_x), torch.get_num_threads())
    return of_x
