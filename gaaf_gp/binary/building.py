"""Common parts of the binary networks: settings, base class, checks of arguments, and helpers of their builders.

Stem and classifier stay real; the other convolutions are binary, each with its own activation. The weights of a network
depend on the seed and the settings only, never on the activation, so that candidates can be compared in pairs.
"""

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import TypedDict, TypeVar

import torch
from torch import Tensor, nn

from gaaf_gp.binary.binarize import WINDOW
from gaaf_gp.binary.blocks import NormalizedConvolution
from gaaf_gp.binary.layers import BinaryConv2d, binary_layers
from gaaf_gp.errors import GaafError
from gaaf_gp.util.checks import whole_number

Network = TypeVar("Network", bound=nn.Module)

ActivationFactory = Callable[[int], nn.Module]
"""Takes a number of channels and returns a new activation for that many."""


def check_factory(activation: object) -> ActivationFactory | None:
    """Return the factory of activations, or None.

    Raises:
        GaafError: it is no function of a number of channels, such as a tree, a module that is made already, or a class
            of torch that takes its first argument for something else.
    """
    if activation is None:
        return None
    fix = "give a function such as lambda channels: Activation(tree, channels)"
    if isinstance(activation, nn.Module) or not callable(activation):
        raise GaafError(
            f"activation must be a factory that takes a number of channels, or None, got {type(activation).__name__}; "
            f"{fix}"
        )
    name = getattr(activation, "__name__", type(activation).__name__)
    other = isinstance(activation, type) and activation.__module__ == nn.ReLU.__module__ and activation is not nn.PReLU
    try:
        inspect.signature(activation).bind(1)
    except TypeError:
        other = True
    except ValueError:  # it has no signature to look at
        pass
    if other:
        raise GaafError(f"activation must be a factory that takes a number of channels, and {name} does not; {fix}")
    return activation


class BinarySettings(TypedDict, total=False):
    """How the binary convolutions of a network binarize, as in ``BinaryConv2d``; the defaults are the paper's.

    Attributes:
        pad_value: the sign that padding adds: 0 (the default), +1 or -1.
        surrogate: name of the surrogate gradient; "clipped" by default.
        window: window of the surrogate, in units of f(x); 1.3 by default.
        weight_window: window of the latent weights, in their units; 1.3 by default.
        sharpness: for the surrogates that have one.
    """

    pad_value: float
    surrogate: str
    window: float
    weight_window: float
    sharpness: float | None


PAPER: BinarySettings = {"pad_value": 0.0, "surrogate": "clipped", "window": WINDOW, "weight_window": WINDOW}
"""The settings of the GAAF paper's networks."""


class BinaryNetwork(nn.Module):
    """A real stem, binary stages and a real classifier over the average of the last feature map.

    logits = classifier(mean over H and W of stages(stem(x))).

    Input: floating (N, in_channels, H, W). Output: (N, num_classes).

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
        # the mean as a division after the sum: its gradient is a view, while that of torch's mean fills a tensor
        y: Tensor = self.classifier(features.sum((2, 3)) / features[0, 0].numel())
        return y


def check_sizes(num_classes: int, in_channels: int, widths: Sequence[int]) -> None:
    """Refuse numbers of classes and channels that no network has.

    Raises:
        GaafError: one is not a whole number of at least 1, or there is no width.
    """
    whole_number("num_classes", num_classes)
    whole_number("in_channels", in_channels)
    if not isinstance(widths, Sequence) or isinstance(widths, str) or not widths:
        raise GaafError(f"widths must be a sequence of at least one whole number, got {widths!r}; give (16, 32, 64)")
    for width in widths:
        whole_number("widths", width)


def check_multiples(network: str, widths: Sequence[int]) -> None:
    """Refuse widths between which a shortcut without parameters is impossible.

    Raises:
        GaafError: a width is not a multiple of the one before.
    """
    for before, after in pairwise(widths):
        if after % before:
            raise GaafError(
                f"each width of {network} must be a multiple of the one before, got {after} after {before}; use for "
                f"example {2 * before}"
            )


def convolution_maker(binary: BinarySettings) -> Callable[..., BinaryConv2d]:
    """Return ``BinaryConv2d`` with the given settings; those that are not given are the paper's."""
    settings: BinarySettings = {**PAPER, **binary}
    return partial(BinaryConv2d, **settings)


def real_stem(in_channels: int, width: int, kernel: int = 3, stride: int = 1) -> NormalizedConvolution:
    """Return the real convolution and batch norm that a network begins with: (N, in_channels, H, W) to ``width``."""
    return NormalizedConvolution(nn.Conv2d(in_channels, width, kernel, stride=stride, padding=kernel // 2, bias=False))


def activated(network: Network, activation: ActivationFactory | None) -> Network:
    """Give every binary convolution of ``network`` its own activation, and return the network.

    Call it after all weights are drawn. The state of the random generators is restored, so neither the weights nor
    anything drawn later depends on the draws of a factory.
    """
    factory = check_factory(activation)
    if factory is None:
        return network
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    with torch.random.fork_rng(devices):
        for layer in binary_layers(network):
            layer.set_activation(factory(layer.channels))
    return network
