"""The binary networks that candidates are trained in, by name: a small one, the paper's, and those next door."""

import inspect
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Unpack

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
from gaaf_gp.binary.plain import nin, vgg_small
from gaaf_gp.binary.resnets import bireal18, bireal34, resnet20
from gaaf_gp.errors import GaafError, listed


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
    for before, after in pairwise(widths):
        if after % before:
            raise GaafError(
                f"each width of the small network must be a multiple of the one before, got {after} after {before}; "
                f"use for example {2 * before}"
            )
    convolution = convolution_maker(binary)
    units: list[nn.Module] = []
    for before, after in pairwise((widths[0], *widths)):
        shortcut = PooledRepeat(after // before) if units else nn.Identity()
        halving = NormalizedConvolution(convolution(before, after, 3, stride=2 if units else 1, padding=1))
        keeping = NormalizedConvolution(convolution(after, after, 3, padding=1))
        units += [Residual(halving, shortcut), Residual(keeping, nn.Identity())]
    stem = NormalizedConvolution(nn.Conv2d(in_channels, widths[0], 3, stride=2, padding=1, bias=False))
    network = BinaryNetwork(stem, nn.Sequential(*units), nn.Linear(widths[-1], num_classes))
    return activated(network, activation)


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
        activation: see :func:`small_network`, as for all that follow.
        widths: channels of the four stages.
        binary: there.

    Raises:
        GaafError: an argument is out of its range.
    """
    check_sizes(num_classes, in_channels, widths)
    if len(widths) != 4:
        raise GaafError(f"resnet18 has four stages, got {len(widths)} widths; give four, as in (64, 128, 256, 512)")
    convolution = convolution_maker(binary)
    blocks: list[nn.Module] = []
    for before, after in pairwise((widths[0], *widths)):
        stride = 2 if blocks else 1
        blocks += [_basic_block(convolution, before, after, stride), _basic_block(convolution, after, after, 1)]
    stem = NormalizedConvolution(nn.Conv2d(in_channels, widths[0], 3, padding=1, bias=False))
    network = BinaryNetwork(stem, nn.Sequential(*blocks), nn.Linear(widths[-1], num_classes))
    return activated(network, activation)


NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "small": small_network,
    "resnet18": resnet18,
    "resnet20": resnet20,
    "bireal18": bireal18,
    "bireal34": bireal34,
    "nin": nin,
    "vgg_small": vgg_small,
}
"""The builders by name."""


def build_network(
    name: str, num_classes: int, in_channels: int, activation: ActivationFactory | None = None, **settings: Any
) -> nn.Module:
    """Return the network that is called ``name``, one of :data:`NETWORKS`.

    Args:
        name: which builder to call.
        num_classes: number of logits.
        in_channels: channels of the images.
        activation: factory of the complementary functions; None for none.
        settings: the builder's further keywords, such as ``widths``.

    Raises:
        GaafError: unknown name or setting, or an argument out of its range.
    """
    builder = NETWORKS.get(name)
    if builder is None:
        raise GaafError(f"network must be a known name, got {name!r}; known: {listed(NETWORKS)}; choose one of them")
    fixed = ("num_classes", "in_channels", "activation", "binary")
    known = [key for key in inspect.signature(builder).parameters if key not in fixed]
    known += BinarySettings.__annotations__
    unknown = [key for key in settings if key not in known]
    if unknown:
        raise GaafError(
            f"network {name} has no setting {listed(unknown)}; known: {listed(known)}; leave it out or correct it"
        )
    return builder(num_classes, in_channels, activation=activation, **settings)


def _basic_block(convolution: Callable[..., BinaryConv2d], before: int, after: int, stride: int) -> Residual:
    body = nn.Sequential(
        NormalizedConvolution(convolution(before, after, 3, stride=stride, padding=1)),
        NormalizedConvolution(convolution(after, after, 3, padding=1)),
    )
    same = stride == 1 and before == after
    return Residual(
        body, nn.Identity() if same else NormalizedConvolution(convolution(before, after, 1, stride=stride))
    )
