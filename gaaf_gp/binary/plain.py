"""Networks without shortcuts: network in network, and the small VGG.

Stem and classifier stay real. Pooling comes before batch norm and works on the sums of a binary convolution, because
the maximum of signs would be +1 almost everywhere (XNOR-Net, Section 3.2). No layer has a scaling factor.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Unpack

from torch import Tensor, nn
from torch.nn import functional

from gaaf_gp.binary.blocks import BatchNorm, NormalizedConvolution
from gaaf_gp.binary.building import (
    ActivationFactory,
    BinaryNetwork,
    BinarySettings,
    activated,
    check_sizes,
    convolution_maker,
    real_stem,
)
from gaaf_gp.binary.layers import BinaryConv2d
from gaaf_gp.errors import GaafError
from gaaf_gp.util.checks import whole_number

_NIN_KERNELS = (5, 1, 1, 5, 1, 1, 3, 1)


class FlatNetwork(BinaryNetwork):
    """A :class:`BinaryNetwork` whose classifier sees a grid of the last feature map instead of its average.

    Input: floating (N, in_channels, H, W). Output: (N, num_classes).

    Attributes:
        grid: rows and columns of the grid; a feature map of another size is averaged down (or repeated) to it.
    """

    def __init__(self, stem: nn.Module, stages: nn.Module, classifier: nn.Module, grid: int) -> None:
        super().__init__(stem, stages, classifier)
        self.grid = grid

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (N, num_classes) of float images (N, in_channels, H, W)."""
        y: Tensor = self.stages(self.stem(x))
        if y.shape[-2:] != (self.grid, self.grid):
            y = functional.adaptive_avg_pool2d(y, self.grid)
        logits: Tensor = self.classifier(y.flatten(1))
        return logits


def nin(
    num_classes: int,
    in_channels: int,
    *,
    activation: ActivationFactory | None = None,
    widths: Sequence[int] = (192, 160, 96, 192, 192, 192, 192, 192),
    **binary: Unpack[BinarySettings],
) -> BinaryNetwork:
    """Return the network in network for 32x32 images (Lin et al. 2014, arXiv 1312.4400), binary as in XNOR-Net.

    XNOR-Net is by Rastegari et al. (2016, arXiv 1603.05279). Eight convolutions of 5, 1, 1, 5, 1, 1, 3 and 1 pixels,
    the first real and all others binary, each followed by batch norm; maximum pooling of stride 2 after the third,
    average pooling after the sixth. The last, real 1x1 convolution to the classes stands behind the global average as
    a linear layer, which is the same function. There is no dropout.

    Args:
        num_classes: number of logits.
        in_channels: channels of the images.
        activation: factory of the complementary functions, called once per binary convolution; None for none.
        widths: channels of the eight convolutions, any.
        binary: see :class:`~gaaf_gp.binary.building.BinarySettings`.

    Raises:
        GaafError: an argument is out of its range.
    """
    check_sizes(num_classes, in_channels, widths)
    if len(widths) != len(_NIN_KERNELS):
        raise GaafError(
            f"nin has eight convolutions ahead of its classifier, got {len(widths)} widths; give eight, as in "
            "(192, 160, 96, 192, 192, 192, 192, 192)"
        )
    convolution = convolution_maker(binary)
    pools = {2: nn.MaxPool2d(3, 2, padding=1), 5: nn.AvgPool2d(3, 2, padding=1, count_include_pad=False)}
    units = [
        _unit(convolution(before, after, kernel, padding=kernel // 2), pools.get(place))
        for place, ((before, after), kernel) in enumerate(zip(pairwise(widths), _NIN_KERNELS[1:], strict=True), 1)
    ]
    stem = real_stem(in_channels, widths[0], _NIN_KERNELS[0])
    network = BinaryNetwork(stem, nn.Sequential(*units), nn.Linear(widths[-1], num_classes))
    return activated(network, activation)


def vgg_small(
    num_classes: int,
    in_channels: int,
    *,
    activation: ActivationFactory | None = None,
    widths: Sequence[int] = (128, 128, 256, 256, 512, 512),
    grid: int = 4,
    **binary: Unpack[BinarySettings],
) -> BinaryNetwork:
    """Return the small VGG for 32x32 images of HWGQ (Cai et al. 2017, arXiv 1702.00953) and LQ-Nets (2018).

    Six 3x3 convolutions, the first real and all others binary, each followed by batch norm; after every second one the
    image is halved by maximum pooling, ahead of the batch norm. One real linear layer classifies the flattened grid,
    4x4 for images of 32x32.

    Args:
        num_classes: number of logits.
        in_channels: channels of the images.
        activation: see :func:`nin`.
        widths: channels of the convolutions, an even number of them.
        grid: rows and columns that the classifier sees; images of other sizes are averaged to it, see
            :class:`FlatNetwork`.
        binary: see :class:`~gaaf_gp.binary.building.BinarySettings`.

    Raises:
        GaafError: an argument is out of its range.
    """
    check_sizes(num_classes, in_channels, widths)
    grid = whole_number("grid", grid)
    if len(widths) % 2:
        raise GaafError(
            f"vgg_small pools after every second convolution, got {len(widths)} widths; give an even number, as in "
            "(128, 128, 256, 256, 512, 512)"
        )
    convolution = convolution_maker(binary)
    units = [
        # at an odd edge the maximum is over the pixels inside the image, so no image is too small
        _unit(convolution(before, after, 3, padding=1), nn.MaxPool2d(2, ceil_mode=True) if place % 2 else None)
        for place, (before, after) in enumerate(pairwise(widths), 1)
    ]
    stem = real_stem(in_channels, widths[0])
    classifier = nn.Linear(widths[-1] * grid**2, num_classes)
    return activated(FlatNetwork(stem, nn.Sequential(*units), classifier, grid), activation)


def _unit(convolution: BinaryConv2d, pool: nn.Module | None) -> nn.Sequential:
    if pool is None:
        return NormalizedConvolution(convolution)
    return nn.Sequential(convolution, pool, BatchNorm(convolution.out_channels))
