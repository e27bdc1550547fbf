"""Replacing a real layer by a binary one, with modules for scale, bias and padding, which binary layers do not have."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, cast

import torch
from torch import Tensor, nn

from gaaf_gp.binary.building import ActivationFactory, BinarySettings
from gaaf_gp.binary.layers import BinaryConv2d, BinaryLayer, BinaryLinear

_PADS: dict[str, type[nn.Module]] = {
    "reflect": nn.ReflectionPad2d,
    "replicate": nn.ReplicationPad2d,
    "circular": nn.CircularPad2d,
}


class ChannelAffine(nn.Module):
    """A scale and a bias per output channel, placed after a binary layer, which has neither.

    y = scale * x + bias.

    Input: floating (N, channels, H, W), or (..., channels) after a linear layer. Output: the same shape and dtype.

    Attributes:
        scale: (channels,) or None for 1.
        bias: (channels,) or None for 0.
        spatial: number of dimensions after the channels: 2 for a convolution, 0 for a linear layer.
    """

    scale: nn.Parameter | None
    bias: nn.Parameter | None

    def __init__(self, scale: nn.Parameter | None, bias: nn.Parameter | None, spatial: int) -> None:
        super().__init__()
        self.register_parameter("scale", scale)
        self.register_parameter("bias", bias)
        self.spatial = spatial

    def forward(self, x: Tensor) -> Tensor:
        """Return the scaled and shifted ``x`` in its shape, (N, channels, H, W) or (..., channels), and its dtype."""
        shape = (-1, *(1,) * self.spatial)
        if self.scale is not None:
            x = x * self.scale.to(x.dtype).view(shape)
        return x if self.bias is None else x + self.bias.to(x.dtype).view(shape)

    def extra_repr(self) -> str:
        """Return which of the two there are."""
        return f"scale={self.scale is not None}, bias={self.bias is not None}"


def replacement(
    layer: nn.Conv2d | nn.Linear, activation: ActivationFactory | None, scale: bool, binary: BinarySettings
) -> nn.Module:
    """Return the binary replacement of ``layer``, whose weights become the latent weights.

    It is a binary layer, or a sequence of ``pad``, ``binary`` and ``affine`` that leaves out what is not needed.

    Args:
        layer: a plain layer without obstacles (see ``survey``).
        activation: factory of the complementary functions; None for none.
        scale: whether to multiply by a learnable factor per output channel, which starts as the mean of |W|.
        binary: all settings of the binarization.

    Raises:
        GaafError: a setting is out of its range, or the factory makes no module.
    """
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    with torch.device("meta"):  # no new weights are needed
        core, pad = _convolution(layer, binary) if isinstance(layer, nn.Conv2d) else (_linear(layer, binary), None)
    core.weight = cast(nn.Parameter, layer.weight)
    if activation is not None:
        core.set_activation(activation(core.channels))
        if core.activation is not None:
            core.activation.to(layer.weight.device)
    if pad is not None:
        parts["pad"] = pad
    parts["binary"] = core
    if scale or layer.bias is not None:
        parts["affine"] = _affine(layer, scale)
    new = core if len(parts) == 1 else nn.Sequential(parts)
    return new.train(layer.training)


def _affine(layer: nn.Conv2d | nn.Linear, scale: bool) -> ChannelAffine:
    weight = layer.weight
    means = weight.detach().abs().flatten(1).mean(1)
    factor = nn.Parameter(means, requires_grad=weight.requires_grad) if scale else None
    return ChannelAffine(factor, cast(nn.Parameter | None, layer.bias), spatial=weight.dim() - 2)


def _linear(layer: nn.Linear, binary: BinarySettings) -> BinaryLinear:
    rest: dict[str, Any] = {key: value for key, value in binary.items() if key != "pad_value"}
    return BinaryLinear(layer.in_features, layer.out_features, **rest)


def _convolution(layer: nn.Conv2d, binary: BinarySettings) -> tuple[BinaryLayer, nn.Module | None]:
    padding, pad = _padding(layer), None
    if layer.padding_mode != "zeros" and any(padding):
        # f and the sign work value by value, so padding before them equals padding after them
        (top, bottom), (left, right) = ((total // 2, total - total // 2) for total in padding)
        pad, padding = _PADS[layer.padding_mode]((left, right, top, bottom)), (0, 0)
    core = BinaryConv2d(
        layer.in_channels,
        layer.out_channels,
        _two(layer.kernel_size),
        stride=_two(layer.stride),
        padding=(padding[0] // 2, padding[1] // 2),
        dilation=_two(layer.dilation),
        groups=layer.groups,
        **binary,
    )
    return core, pad


def _two(sides: tuple[int, ...]) -> tuple[int, int]:
    height, width = sides
    return height, width


def _padding(layer: nn.Conv2d) -> tuple[int, int]:
    """Return the total numbers of rows and of columns that the layer adds."""
    if layer.padding == "valid":
        return 0, 0
    if layer.padding == "same":
        height, width = (d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size, strict=True))
    else:
        height, width = (2 * side for side in layer.padding if isinstance(side, int))
    return height, width
