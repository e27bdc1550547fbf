"""The binary networks that candidates are trained in.

Stem and classifier stay real, all other convolutions are binary and carry an activation of their own. The weights of a
network depend on the seed and the settings only, never on the activation, so that candidates can be compared in pairs.
"""

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, TypedDict, Unpack

import torch
from torch import Tensor, nn

from gaaf_gp.binary.binarize import whole_number
from gaaf_gp.binary.blocks import NormalizedConvolution, PooledRepeat, Residual
from gaaf_gp.binary.layers import BinaryConv2d, binary_layers
from gaaf_gp.errors import GaafError, listed

ActivationFactory = Callable[[int], nn.Module]
"""Takes a number of channels and returns a new activation for that many."""


class BinarySettings(TypedDict, total=False):
    """How the binary convolutions of a network binarize, as in ``BinaryConv2d``; what is left out is the paper's.

    Attributes:
        pad_value: what padding adds to the signs: 0 (the default), +1 or -1.
        surrogate: name of the surrogate gradient; "clipped" by default.
        window: its window, in units of f(x); 1.3 by default.
        weight_window: window of the latent weights, in their units; 1.3 by default.
        sharpness: for the surrogates that have one.
    """

    pad_value: float
    surrogate: str
    window: float
    weight_window: float
    sharpness: float | None


PAPER: BinarySettings = {"pad_value": 0.0, "surrogate": "clipped", "window": 1.3, "weight_window": 1.3}
"""The settings of the GAAF paper's networks."""


class BinaryNetwork(nn.Module):
    """A real stem, binary stages and a real classifier over the average of the last feature map.

    Attributes:
        stem: (N, in_channels, H, W) to (N, C, H', W').
        stages: the residual units, in order.
        classifier: a linear layer with bias.
    """

    def __init__(self, stem: nn.Module, stages: nn.Module, classifier: nn.Module) -> None:
        super().__init__()
        self.stem = stem
        self.stages = stages
        self.classifier = classifier

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (N, num_classes) of float images (N, in_channels, H, W)."""
        features: Tensor = self.stages(self.stem(x))
        # the mean, divided last: its gradient then is a view, where torch's own fills a tensor
        y: Tensor = self.classifier(features.sum((2, 3)) / features[0, 0].numel())
        return y


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
        binary: see :class:`BinarySettings`.

    Raises:
        GaafError: an argument is out of its range.
    """
    _check_sizes(num_classes, in_channels, widths)
    for before, after in pairwise(widths):
        if after % before:
            raise GaafError(
                f"each width of the small network must be a multiple of the one before, got {after} after {before}; "
                f"use for example {2 * before}"
            )
    convolution = _convolution(binary)
    units: list[nn.Module] = []
    for before, after in pairwise((widths[0], *widths)):
        shortcut = PooledRepeat(after // before) if units else nn.Identity()
        halving = NormalizedConvolution(convolution(before, after, 3, stride=2 if units else 1, padding=1))
        keeping = NormalizedConvolution(convolution(after, after, 3, padding=1))
        units += [Residual(halving, shortcut), Residual(keeping, nn.Identity())]
    stem = NormalizedConvolution(nn.Conv2d(in_channels, widths[0], 3, stride=2, padding=1, bias=False))
    network = BinaryNetwork(stem, nn.Sequential(*units), nn.Linear(widths[-1], num_classes))
    return _activated(network, activation)


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
    _check_sizes(num_classes, in_channels, widths)
    if len(widths) != 4:
        raise GaafError(f"resnet18 has four stages, got {len(widths)} widths; give four, as in (64, 128, 256, 512)")
    convolution = _convolution(binary)
    blocks: list[nn.Module] = []
    for before, after in pairwise((widths[0], *widths)):
        stride = 2 if blocks else 1
        blocks += [_basic_block(convolution, before, after, stride), _basic_block(convolution, after, after, 1)]
    stem = NormalizedConvolution(nn.Conv2d(in_channels, widths[0], 3, padding=1, bias=False))
    network = BinaryNetwork(stem, nn.Sequential(*blocks), nn.Linear(widths[-1], num_classes))
    return _activated(network, activation)


NETWORKS: dict[str, Callable[..., nn.Module]] = {"small": small_network, "resnet18": resnet18}
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


def _check_sizes(num_classes: int, in_channels: int, widths: Sequence[int]) -> None:
    whole_number("num_classes", num_classes)
    whole_number("in_channels", in_channels)
    if not isinstance(widths, Sequence) or isinstance(widths, str) or not widths:
        raise GaafError(f"widths must be a sequence of at least one whole number, got {widths!r}; give (16, 32, 64)")
    for width in widths:
        whole_number("widths", width)


def _convolution(binary: BinarySettings) -> Callable[..., BinaryConv2d]:
    settings: BinarySettings = {**PAPER, **binary}
    return partial(BinaryConv2d, **settings)


def _basic_block(convolution: Callable[..., BinaryConv2d], before: int, after: int, stride: int) -> Residual:
    body = nn.Sequential(
        NormalizedConvolution(convolution(before, after, 3, stride=stride, padding=1)),
        NormalizedConvolution(convolution(after, after, 3, padding=1)),
    )
    same = stride == 1 and before == after
    return Residual(
        body, nn.Identity() if same else NormalizedConvolution(convolution(before, after, 1, stride=stride))
    )


def _activated(network: BinaryNetwork, activation: ActivationFactory | None) -> BinaryNetwork:
    """Give every binary convolution of ``network`` an activation of its own, and return the network.

    This comes after all weights are drawn, and the random generators end as they began: neither these weights nor
    anything drawn later depends on what a factory draws.
    """
    if activation is None:
        return network
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    with torch.random.fork_rng(devices):
        for layer in binary_layers(network):
            layer.set_activation(activation(layer.channels))
    return network
