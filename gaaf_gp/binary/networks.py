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
from torch.nn import functional

from gaaf_gp import native
from gaaf_gp.binary.binarize import whole_number
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


class BatchNorm(nn.BatchNorm2d):
    """Batch normalization that adds a shortcut in the same pass where it has the compiled kernels.

    Attributes:
        kernels: one of :data:`gaaf_gp.binary.KERNELS`; all but "torch" stand for the compiled ones.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.kernels = "torch"

    def forward(self, x: Tensor, shortcut: Tensor | None = None) -> Tensor:
        """Return the normalized (N, C, H, W), plus ``shortcut`` of the same shape if there is one."""
        fits = x.is_cpu and x.dtype == torch.float32 and x.dim() == 4 and x.numel() > x.shape[1]
        if self.kernels == "torch" or not fits or not self.track_running_stats:
            y = super().forward(x)
            return y if shortcut is None else y + shortcut
        moments = None if self.training else (self.running_mean, self.running_var)
        y, mean, variance = native.batch_norm(x, self.weight, self.bias, self.eps, shortcut, moments)
        if self.training:
            count = x.numel() // x.shape[1]
            self.num_batches_tracked.add_(1)
            # without a momentum torch keeps the average of all batches
            momentum = 1 / self.num_batches_tracked.item() if self.momentum is None else self.momentum
            self.running_mean.lerp_(mean, momentum)
            self.running_var.lerp_(variance * (count / (count - 1)), momentum)  # the unbiased one, as torch keeps
        return y


class Residual(nn.Module):
    """The sum of a body and its shortcut, both of which see the same (N, C, H, W) input.

    The body is a sequence that ends with a :class:`BatchNorm`, which does the sum.
    """

    def __init__(self, body: nn.Sequential, shortcut: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Return body(x) + shortcut(x)."""
        *layers, last = self.body
        y = x
        for layer in layers:
            y = layer(y)
        total: Tensor = last(y, self.shortcut(x))
        return total


class PooledRepeat(nn.Module):
    """A shortcut without parameters: 2x2 average pooling, then the channels repeated ``times`` times.

    (N, C, H, W) becomes (N, times C, ceil(H/2), ceil(W/2)), as a 3x3 convolution of stride 2 and padding 1 makes it; at
    an odd edge the average is over the pixels that are there.
    """

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def forward(self, x: Tensor) -> Tensor:
        """Return the pooled and repeated ``x``."""
        y = functional.avg_pool2d(x, 2, ceil_mode=True)
        return torch.cat([y] * self.times, 1) if self.times > 1 else y

    def extra_repr(self) -> str:
        """Return the settings that ``repr`` shows."""
        return f"times={self.times}"


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
        y: Tensor = self.classifier(self.stages(self.stem(x)).mean((2, 3)))
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
        halving = _normalized(convolution(before, after, 3, stride=2 if units else 1, padding=1))
        keeping = _normalized(convolution(after, after, 3, padding=1))
        units += [Residual(halving, shortcut), Residual(keeping, nn.Identity())]
    stem = _normalized(nn.Conv2d(in_channels, widths[0], 3, stride=2, padding=1, bias=False))
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
    stem = _normalized(nn.Conv2d(in_channels, widths[0], 3, padding=1, bias=False))
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


def _normalized(convolution: BinaryConv2d | nn.Conv2d) -> nn.Sequential:
    return nn.Sequential(convolution, BatchNorm(convolution.out_channels))


def _basic_block(convolution: Callable[..., BinaryConv2d], before: int, after: int, stride: int) -> Residual:
    body = nn.Sequential(
        *_normalized(convolution(before, after, 3, stride=stride, padding=1)),
        *_normalized(convolution(after, after, 3, padding=1)),
    )
    same = stride == 1 and before == after
    return Residual(body, nn.Identity() if same else _normalized(convolution(before, after, 1, stride=stride)))


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
