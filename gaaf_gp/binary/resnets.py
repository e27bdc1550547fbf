"""Residual networks of the literature: ResNet-20 for 32x32 images, Bi-Real Net of 18 and 34 layers for large ones.

Stem and classifier stay real, as do the 1x1 convolutions in the shortcuts of Bi-Real Net. Batch norm follows every
convolution; no layer has a scaling factor.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Unpack

from torch import nn

from gaaf_gp.binary.blocks import NormalizedConvolution, PooledRepeat, Residual
from gaaf_gp.binary.building import (
    ActivationFactory,
    BinaryNetwork,
    BinarySettings,
    activated,
    check_sizes,
    convolution_maker,
)
from gaaf_gp.binary.layers import BinaryConv2d
from gaaf_gp.errors import GaafError
from gaaf_gp.util.checks import whole_number


def resnet20(
    num_classes: int,
    in_channels: int,
    *,
    activation: ActivationFactory | None = None,
    widths: Sequence[int] = (16, 32, 64),
    blocks: int = 3,
    shortcut_every: int = 1,
    **binary: Unpack[BinarySettings],
) -> BinaryNetwork:
    """Return the ResNet-20 for 32x32 images (He et al. 2016, arXiv 1512.03385, Section 4.2), with binary convolutions.

    A real 3x3 stem, then one stage per width of ``blocks`` pairs of binary 3x3 convolutions, each followed by batch
    norm. Every stage but the first halves the image. No shortcut has parameters, as in the original's option A; where
    the shape changes it pools and repeats channels instead of dropping pixels and adding zeros, so that no channel
    of it is constant.

    Args:
        num_classes: number of logits.
        in_channels: channels of the images.
        activation: factory of the complementary functions, called once per binary convolution; None for none.
        widths: channels of the stages, each a multiple of the one before.
        blocks: pairs of convolutions in each stage; with three stages there are 6 ``blocks`` + 2 layers.
        shortcut_every: one shortcut over so many convolutions: 1 as in Bi-Real Net, 2 as in the original.
        binary: see :class:`~gaaf_gp.binary.building.BinarySettings`.

    Raises:
        GaafError: an argument is out of its range.
    """
    check_sizes(num_classes, in_channels, widths)
    blocks = whole_number("blocks", blocks)
    shortcut_every = whole_number("shortcut_every", shortcut_every, 1, 2)
    for before, after in pairwise(widths):
        if after % before:
            raise GaafError(
                f"each width of resnet20 must be a multiple of the one before, got {after} after {before}; use for "
                f"example {2 * before}"
            )
    convolution = convolution_maker(binary)
    units: list[nn.Module] = []
    for stage, (before, after) in enumerate(pairwise((widths[0], *widths))):
        for block in range(blocks):
            halves = bool(stage) and not block
            first = NormalizedConvolution(
                convolution(after if block else before, after, 3, stride=1 + halves, padding=1)
            )
            second = NormalizedConvolution(convolution(after, after, 3, padding=1))
            shortcut = PooledRepeat(after // before) if halves else nn.Identity()
            if shortcut_every == 1:
                units += [Residual(first, shortcut), Residual(second, nn.Identity())]
            else:
                units.append(Residual(nn.Sequential(first, second), shortcut))
    stem = NormalizedConvolution(nn.Conv2d(in_channels, widths[0], 3, padding=1, bias=False))
    network = BinaryNetwork(stem, nn.Sequential(*units), nn.Linear(widths[-1], num_classes))
    return activated(network, activation)


def bireal18(
    num_classes: int,
    in_channels: int,
    *,
    activation: ActivationFactory | None = None,
    widths: Sequence[int] = (64, 128, 256, 512),
    **binary: Unpack[BinarySettings],
) -> BinaryNetwork:
    """Return the 18-layer Bi-Real Net for large images such as 224x224 (Liu et al. 2018, arXiv 1808.00278).

    A real 7x7 stem of stride 2 with batch norm and max pooling, which divides the image by 4, then four stages of 4
    binary 3x3 convolutions, each followed by batch norm and added to its own shortcut. Where the shape changes the
    shortcut is average pooling, a real 1x1 convolution and batch norm. Real layers hold no activation. The original
    trains with ``surrogate="triangle", window=1.0``; the defaults here are those of all networks of this package.

    Args:
        num_classes: number of logits.
        in_channels: channels of the images.
        activation: see :func:`resnet20`, as for all that follow.
        widths: channels of the four stages, any.
        binary: there.

    Raises:
        GaafError: an argument is out of its range.
    """
    return _bireal("bireal18", (2, 2, 2, 2), num_classes, in_channels, activation, widths, binary)


def bireal34(
    num_classes: int,
    in_channels: int,
    *,
    activation: ActivationFactory | None = None,
    widths: Sequence[int] = (64, 128, 256, 512),
    **binary: Unpack[BinarySettings],
) -> BinaryNetwork:
    """Return the 34-layer Bi-Real Net (Liu et al. 2018): as :func:`bireal18`, with 6, 8, 12 and 6 convolutions.

    Args:
        num_classes: number of logits.
        in_channels: channels of the images.
        activation: see :func:`resnet20`, as for all that follow.
        widths: channels of the four stages, any.
        binary: there.

    Raises:
        GaafError: an argument is out of its range.
    """
    return _bireal("bireal34", (3, 4, 6, 3), num_classes, in_channels, activation, widths, binary)


def _bireal(
    name: str,
    blocks: tuple[int, ...],
    num_classes: int,
    in_channels: int,
    activation: ActivationFactory | None,
    widths: Sequence[int],
    binary: BinarySettings,
) -> BinaryNetwork:
    check_sizes(num_classes, in_channels, widths)
    if len(widths) != len(blocks):
        raise GaafError(f"{name} has four stages, got {len(widths)} widths; give four, as in (64, 128, 256, 512)")
    convolution = convolution_maker(binary)
    units: list[nn.Module] = []
    for count, (before, after) in zip(blocks, pairwise((widths[0], *widths)), strict=True):
        units.append(_bireal_unit(convolution, before, after, stride=2 if units else 1))
        units += [_bireal_unit(convolution, after, after, stride=1) for _ in range(2 * count - 1)]
    stem = nn.Sequential(
        NormalizedConvolution(nn.Conv2d(in_channels, widths[0], 7, stride=2, padding=3, bias=False)),
        nn.MaxPool2d(3, stride=2, padding=1),
    )
    network = BinaryNetwork(stem, nn.Sequential(*units), nn.Linear(widths[-1], num_classes))
    return activated(network, activation)


def _bireal_unit(convolution: Callable[..., BinaryConv2d], before: int, after: int, stride: int) -> Residual:
    body = NormalizedConvolution(convolution(before, after, 3, stride=stride, padding=1))
    if stride == 1:
        return Residual(body, nn.Identity())
    # at an odd edge the convolution leaves half a pixel more, and so must the pooling
    pool = nn.AvgPool2d(2, stride, ceil_mode=True)
    return Residual(body, nn.Sequential(pool, NormalizedConvolution(nn.Conv2d(before, after, 1, bias=False))))
