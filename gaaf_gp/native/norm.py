"""Batch normalization and the addition of a shortcut as one torch operation on a CPU, in channels-last memory."""

from __future__ import annotations

import ctypes
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gaaf_gp.native.build import library
from gaaf_gp.native.calls import address, check, require


def batch_norm(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    epsilon: float,
    shortcut: Tensor | None = None,
    moments: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the normalized ``x`` plus ``shortcut``, and the mean and variance of ``x``.

    Args:
        x: (N, C, H, W) float32 on the CPU; channels last is quickest.
        weight: (C,) float32.
        bias: (C,) float32.
        epsilon: added to the variance.
        shortcut: of the shape of ``x``, or None; its gradient is that of the result.
        moments: the mean and the variance to normalize with, (C,) float32; those of the batch by default, through which
            the gradient then goes.

    Returns:
        (N, C, H, W) float32, channels last; (C,) mean and (C,) biased variance, float32, which have no gradient.

    Results and gradients have the accuracy of float32 however far the mean is from zero: squares are taken from near
    the mean.

    Raises:
        GaafError: a tensor has another type or shape.
        RuntimeError: the kernels are not available.
        MemoryError: there is no memory for what the kernels need.
    """
    require("x", x, torch.float32, None, None, None, None)
    fixed = (None, None) if moments is None else moments
    for name, vector in zip(("weight", "bias", "mean", "variance"), (weight, bias, *fixed), strict=True):
        if vector is not None:
            require(name, vector, torch.float32, x.shape[1])
    if shortcut is not None:
        require("shortcut", shortcut, torch.float32, *x.shape)
    result = _BatchNorm.apply(x, weight, bias, epsilon, shortcut, *fixed)  # type: ignore[no-untyped-call]
    return cast(tuple[Tensor, Tensor, Tensor], result)


class _BatchNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        epsilon: float,
        shortcut: Tensor | None,
        mean: Tensor | None,
        variance: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        x = x.contiguous(memory_format=torch.channels_last)
        pixels, channels = x.numel() // x.shape[1], x.shape[1]
        sizes = ctypes.c_int64(pixels), ctypes.c_int64(channels)
        threads = ctypes.c_int64(torch.get_num_threads())
        ctx.batch = mean is None or variance is None
        if mean is None or variance is None:
            center, totals = torch.empty(channels), torch.empty(2, channels, dtype=torch.float64)
            check(library().norm_moments(address(x), *sizes, address(center), address(totals), threads))
            apart = totals / pixels
            variance = (apart[1] - apart[0].square()).clamp_(min=0).float()
            exact = center.double() + apart[0]
            mean = exact.float()
        else:
            mean = mean.contiguous()
            exact = mean.double()
        inverse = (variance.double() + epsilon).rsqrt()
        scale = inverse * weight.double()
        rounding = mean.double() - exact
        scales, shifts = scale.float(), (bias.double() + rounding * scale).float()
        if shortcut is not None:
            shortcut = shortcut.contiguous(memory_format=torch.channels_last)
        y = torch.empty_like(x)
        library().norm_apply(
            *(address(tensor) for tensor in (x, shortcut, mean, scales, shifts)), *sizes, address(y), threads
        )
        ctx.save_for_backward(x, weight, mean, inverse, rounding)
        ctx.mark_non_differentiable(mean, variance)
        ctx.set_materialize_grads(False)
        return y, mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor | None, *_moments: Tensor | None) -> tuple[Tensor | None, ...]:
        if gradient is None:
            return (None,) * 7
        x, weight, mean, inverse, rounding = ctx.saved_tensors
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        pixels, channels = x.numel() // x.shape[1], x.shape[1]
        sizes = ctypes.c_int64(pixels), ctypes.c_int64(channels)
        threads = ctypes.c_int64(torch.get_num_threads())
        totals = torch.empty(2, channels, dtype=torch.float64)
        check(
            library().norm_covariances(address(gradient), address(x), address(mean), *sizes, address(totals), threads)
        )
        totals[1] += rounding * totals[0]
        of_g = inverse * weight.double()
        of_x = -of_g * inverse.square() * totals[1] / pixels if ctx.batch else torch.zeros_like(of_g)
        rest = of_x * rounding - of_g * totals[0] / pixels if ctx.batch else torch.zeros_like(of_g)
        factors = [mean, *(factor.float() for factor in (of_g, of_x, rest))]
        dx = torch.empty_like(x)
        library().norm_backward(
            address(gradient), address(x), *(address(factor) for factor in factors), *sizes, address(dx), threads
        )
        of_weight, of_bias = (totals[1] * inverse).float(), totals[0].float()
        of_shortcut = gradient if ctx.needs_input_grad[4] else None
        return dx, of_weight, of_bias, None, of_shortcut, None, None
