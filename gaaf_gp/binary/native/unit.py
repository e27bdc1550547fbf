"""A unit of a binary network as one torch operation on a CPU: sign(f(x)), convolution, batch norm and shortcut.

Small networks spend as much time between operations as in them, and the gradient of a shortcut is a pass of its own.
Forward keeps one bit of each sign, two bytes of each slope and the convolution's integers; backward goes through all
parts at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gaaf_gp.binary.native.calls import require
from gaaf_gp.binary.native.convolution import Convolved, Geometry, convolve, gradients, packed_shape, signs
from gaaf_gp.binary.native.norm import Norm, halve, halve_backward, normalize, normalize_backward
from gaaf_gp.errors import GaafError


class Signs(Protocol):
    """How sign(f(x)) is found, and the gradient through it."""

    def look(self, x: Tensor, vectors: Sequence[Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return the packed signs of f(x), and the tensors that :meth:`gradients` needs besides.

        ``x`` is dense channels last; ``vectors`` are the learnable ones of f, (C,) each.
        """

    def gradients(
        self, kept: tuple[Tensor, ...], convolved: Convolved, more: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None, tuple[Tensor | None, ...]]:
        """Return the gradients of the input, plus ``more``, of the latent weights and of the vectors."""


class TableSigns:
    """The signs of a tabulated function.

    Args:
        table: sign and slope of f by the bits of a bfloat16, see :func:`gaaf_gp.binary.native.packed_table`.

    Raises:
        GaafError: the table has another type or shape.
    """

    def __init__(self, table: Tensor) -> None:
        require("table", table, torch.int32, 1 << 16)
        self.table = table.contiguous()

    def look(self, x: Tensor, _vectors: Sequence[Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return the packed signs of f(x), and its slopes."""
        slopes, bits = signs(x, self.table)
        return bits, (slopes,)

    def gradients(
        self, kept: tuple[Tensor, ...], convolved: Convolved, more: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None, tuple[Tensor | None, ...]]:
        """Return the gradients of the input, plus ``more``, and of the latent weights."""
        return *convolved(kept[0], more), ()


@dataclass(frozen=True, eq=False)
class Unit:
    """What a unit is besides its tensors.

    Attributes:
        signs: of f.
        geometry: stride and padding.
        weight_window: the gradient of a latent weight beyond +-weight_window is zero.
        whole: gradients are rounded to whole numbers of 11 bits, with a scale for each image (for the weights: for each
            channel of some images), and summed exactly; else everything is float32.
        vectors: the learnable ones of f, (C,) float32 each.
        norm: what follows the convolution, if anything.
        shortcut: what is added in the end: a tensor of the result's shape; 0 for the input itself; k for the input
            halved by averages of 2x2 and its channels repeated k times; None for nothing.
    """

    signs: Signs
    geometry: Geometry
    weight_window: float
    whole: bool
    vectors: tuple[Tensor, ...] = ()
    norm: Norm | None = None
    shortcut: Tensor | int | None = None

    def check(self, x: Tensor, result: tuple[int, ...]) -> None:
        """Check norm and shortcut against the input and the shape of the result.

        Raises:
            GaafError: they do not fit.
        """
        if self.norm is None:
            if self.shortcut is not None:
                raise GaafError(
                    "a shortcut is added by the batch norm, got one without; give a norm, or add it outside"
                )
            return
        self.norm.check(result[1])
        if isinstance(self.shortcut, Tensor):
            require("shortcut", self.shortcut, torch.float32, *result)
        elif self.shortcut is not None:
            images, channels, *sides = x.shape
            halves = [-(-side // 2) for side in sides]
            shortcut_shape = (images, self.shortcut * channels, *halves) if self.shortcut else tuple(x.shape)
            if shortcut_shape != result:
                raise GaafError(
                    f"a shortcut must have the shape of the result, {result}, got {shortcut_shape}; use another "
                    "stride, padding or number of channels, or give a shortcut as a tensor"
                )


def binary_unit(x: Tensor, weight: Tensor, unit: Unit) -> Tensor:
    """Return the convolution of the signs of f(x) with those of ``weight``, normalized and joined with a shortcut.

    Args:
        x: (N, C, H, W) float32 on the CPU; channels last is quickest.
        weight: (O, C, KH, KW) float32, the latent weights.
        unit: the rest.

    Returns:
        (N, O, H', W') float32, channels last; without a norm its values are exact integers. It is differentiable, once,
        in all tensors that went in.

    Raises:
        GaafError: a tensor has another type or shape, or the kernel is larger than the padded image.
        RuntimeError: the kernels are not available.
        MemoryError: there is no memory for what the kernels need.
    """
    shape = packed_shape(x, weight, unit.geometry)
    unit.check(x, (shape.images, shape.out_channels, shape.out_height, shape.out_width))
    norm = (None, None) if unit.norm is None else (unit.norm.weight, unit.norm.bias)
    shortcut = unit.shortcut if isinstance(unit.shortcut, Tensor) else None
    return cast(Tensor, _Unit.apply(unit, shape, x, weight, *norm, shortcut, *unit.vectors))  # type: ignore[no-untyped-call]


def binary_convolution(
    x: Tensor, weight: Tensor, table: Tensor, geometry: Geometry, weight_window: float, whole: bool
) -> Tensor:
    """Return the convolution alone of a tabulated function, see :class:`TableSigns` and :func:`binary_unit`."""
    return binary_unit(x, weight, Unit(TableSigns(table), geometry, weight_window, whole))


class _Unit(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        unit: Unit,
        shape: Any,
        x: Tensor,
        weight: Tensor,
        norm_weight: Tensor | None,
        _norm_bias: Tensor | None,
        shortcut: Tensor | None,
        *vectors: Tensor,
    ) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        bits, kept = unit.signs.look(x, vectors)
        result = y = convolve(bits, weight, shape)
        moments = None
        if unit.norm is not None:
            if shortcut is not None:
                shortcut = shortcut.contiguous(memory_format=torch.channels_last)
            elif isinstance(unit.shortcut, int):
                shortcut = halve(x) if unit.shortcut else x
            result, moments = normalize(y, unit.norm, shortcut)
        ctx.unit, ctx.shape, ctx.size = unit, shape, x.shape
        integers = None if unit.norm is None else y
        ctx.save_for_backward(weight, bits, integers, norm_weight, moments, *kept)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        weight, bits, integers, norm_weight, moments, *kept = ctx.saved_tensors
        unit, needs = ctx.unit, ctx.needs_input_grad
        through = gradient = gradient.contiguous(memory_format=torch.channels_last)
        of_weight = of_bias = more = None
        if unit.norm is not None:
            given = unit.norm.momentum is None
            through, of_weight, of_bias = normalize_backward(gradient, integers, norm_weight, moments, given)
        if isinstance(unit.shortcut, int) and needs[2]:
            more = halve_backward(gradient, ctx.size, unit.shortcut) if unit.shortcut else gradient
        wanted = needs[2] or any(needs[7:]), needs[3]

        def convolved(slopes: Tensor | None, more: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
            window = unit.weight_window
            return gradients(through, weight, bits, slopes, ctx.shape, window, unit.whole, wanted, more)

        of_x, of_latent, of_vectors = unit.signs.gradients(tuple(kept), convolved, more)
        of_shortcut = gradient if needs[6] else None
        return None, None, of_x, of_latent, of_weight, of_bias, of_shortcut, *of_vectors
