"""Networks with shortcuts: a small one, ResNet-18 and ResNet-20 for 32x32 images, Bi-Real Net for large ones.

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
    check_multiples,
    check_sizes,
    convolution_maker,
    real_stem,
)
from gaaf_gp.errors import GaafError
from gaaf_gp.util.checks import whole_number

Unit = Callable[[int, int, bool], Sequence[Residual]]
"""Takes channels before and after, and whether the image is halved; returns the residual units of one block."""


def small_network(
    num_classes: int,
    in_channels: int,
    *,
    activation: ActivationFactory | None = None,
    widths: Sequence[int] = (16, 32, 64),
    **binary: Unpack[BinarySettings],
) -> BinaryNetwork:
    """Return a small network for quick proxies, with a shortcut per convolution (Bi-Real Net, Liu et al. 2018).

    A stem of stride 2, then one block of two binary 3x3 convolutions per width, each followed by batch norm and added
    to its own shortcut. Every block but the first halves the image.

    Args:
        num_classes: number of logits.
        in_channels: channels of the images.
        activation: factory of the complementary functions, called once per binary convolution; None for none.
        widths: channels of the blocks, each a multiple of the one before.
        binary: see :class:`~gaaf_gp.binary.building.BinarySettings`.

    Raises:
        GaafError: an argument is out of its range.
    """
    check_sizes(num_classes, in_channels, widths)
    stages = _paired_stages("the small network", widths, 1, 1, binary)
    return _finished(real_stem(in_channels, widths[0], stride=2), stages, widths, num_classes, activation)


def resnet18(
    num_classes: int,
    in_channels: int,
    *,
    activation: ActivationFactory | None = None,
    widths: Sequence[int] = (64, 128, 256, 512),
    **binary: Unpack[BinarySettings],
) -> BinaryNetwork:
    """Return the ResNet-18 for 32x32 images of the GAAF paper (Li et al. 2023, arXiv 2206.03291).

    A stem of stride 1, then four stages of two basic blocks. A block has two binary 3x3 convolutions, each followed by
    batch norm, and one shortcut; where the shape changes the shortcut is a binary 1x1 convolution with batch norm.
    There are no scaling factors.

    Args:
        num_classes: number of logits.
        in_channels: channels of the images.
        activation: see :func:`small_network`.
        widths: channels of the four stages.
        binary: see :class:`~gaaf_gp.binary.building.BinarySettings`.

    Raises:
        GaafError: an argument is out of its range.
    """
    check_sizes(num_classes, in_channels, widths)
    _check_four("resnet18", widths)
    convolution = convolution_maker(binary)

    def unit(before: int, after: int, halves: bool) -> list[Residual]:
        body = nn.Sequential(
            NormalizedConvolution(convolution(before, after, 3, stride=1 + halves, padding=1)),
            NormalizedConvolution(convolution(after, after, 3, padding=1)),
        )
        shortcut = NormalizedConvolution(convolution(before, after, 1, stride=2)) if halves else nn.Identity()
        return [Residual(body, shortcut)]

    stages = _stages(widths, (2, 2, 2, 2), unit)
    return _finished(real_stem(in_channels, widths[0]), stages, widths, num_classes, activation)


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
        activation: see :func:`small_network`.
        widths: channels of the stages, each a multiple of the one before.
        blocks: pairs of convolutions in each stage; with three stages there are 6 ``blocks`` + 2 layers.
        shortcut_every: number of convolutions per shortcut: 1 as in Bi-Real Net, 2 as in the original.
        binary: see :class:`~gaaf_gp.binary.building.BinarySettings`.

    Raises:
        GaafError: an argument is out of its range.
    """
    check_sizes(num_classes, in_channels, widths)
    blocks = whole_number("blocks", blocks)
    shortcut_every = whole_number("shortcut_every", shortcut_every, 1, 2)
    stages = _paired_stages("resnet20", widths, blocks, shortcut_every, binary)
    return _finished(real_stem(in_channels, widths[0]), stages, widths, num_classes, activation)


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
        activation: see :func:`small_network`.
        widths: channels of the four stages, any.
        binary: see :class:`~gaaf_gp.binary.building.BinarySettings`.

    Raises:
        GaafError: an argument is out of its range.
    """
    return _bireal("bireal18", (4, 4, 4, 4), num_classes, in_channels, activation, widths, binary)


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
        activation: see :func:`small_network`.
        widths: channels of the four stages, any.
        binary: see :class:`~gaaf_gp.binary.building.BinarySettings`.

    Raises:
        GaafError: an argument is out of its range.
    """
    return _bireal("bireal34", (6, 8, 12, 6), num_classes, in_channels, activation, widths, binary)


def _stages(widths: Sequence[int], blocks: Sequence[int], unit: Unit) -> nn.Sequential:
    """Return one stage per width of so many blocks each; every stage but the first begins by halving the image."""
    units: list[Residual] = []
    for stage, (count, (before, after)) in enumerate(zip(blocks, pairwise((widths[0], *widths)), strict=True)):
        for block in range(count):
            units += unit(after if block else before, after, bool(stage) and not block)
    return nn.Sequential(*units)


def _paired_stages(
    name: str, widths: Sequence[int], blocks: int, shortcut_every: int, binary: BinarySettings
) -> nn.Sequential:
    """Return stages of pairs of convolutions, whose shortcuts over one or two of them have no parameters."""
    check_multiples(name, widths)
    convolution = convolution_maker(binary)

    def unit(before: int, after: int, halves: bool) -> list[Residual]:
        first = NormalizedConvolution(convolution(before, after, 3, stride=1 + halves, padding=1))
        second = NormalizedConvolution(convolution(after, after, 3, padding=1))
        shortcut = PooledRepeat(after // before) if halves else nn.Identity()
        if shortcut_every == 2:
            return [Residual(nn.Sequential(first, second), shortcut)]
        return [Residual(first, shortcut), Residual(second, nn.Identity())]

    return _stages(widths, [blocks] * len(widths), unit)


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
    _check_four(name, widths)
    convolution = convolution_maker(binary)

    def unit(before: int, after: int, halves: bool) -> list[Residual]:
        body = NormalizedConvolution(convolution(before, after, 3, stride=1 + halves, padding=1))
        if not halves:
            return [Residual(body, nn.Identity())]
        # at an odd edge the convolution rounds the size up, and the pooling must do the same
        pool = nn.AvgPool2d(2, 2, ceil_mode=True)
        return [Residual(body, nn.Sequential(pool, NormalizedConvolution(nn.Conv2d(before, after, 1, bias=False))))]

    stages = _stages(widths, blocks, unit)
    stem = nn.Sequential(real_stem(in_channels, widths[0], 7, 2), nn.MaxPool2d(3, stride=2, padding=1))
    return _finished(stem, stages, widths, num_classes, activation)


def _finished(
    stem: nn.Module, stages: nn.Module, widths: Sequence[int], num_classes: int, activation: ActivationFactory | None
) -> BinaryNetwork:
    """Return the network with a new classifier; stages are drawn first, then the stem, and the classifier last."""
    return activated(BinaryNetwork(stem, stages, nn.Linear(widths[-1], num_classes)), activation)


def _check_four(name: str, widths: Sequence[int]) -> None:
    if len(widths) != 4:
        raise GaafError(f"{name} has four stages, got {len(widths)} widths; give four, as in (64, 128, 256, 512)")
