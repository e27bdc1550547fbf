"""A binary network as the GAAF authors' public code and the usual tutorials write it, in plain torch.

The networks are those of :mod:`gaaf_gp.binary`, layer by layer, and so are the results of a step; only the way to them
is the textbook's. The function f, its clamp and the sign are separate eager operations, the tensors are float32 in
torch's default layout, and the weights are swapped: latent weights are saved, replaced by their signs for forward and
backward, and restored for the optimiser. Nothing here imports gaaf_gp, so that what is measured against cannot get
faster or slower with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

LIMIT = 1.3
"""Where f(x) is clamped before the sign, and latent weights after each step (GAAF's published training code)."""

Factory = Callable[[int], nn.Module]
"""Takes a number of channels and returns a new function f for that many."""


class Sign(torch.autograd.Function):
    """torch's sign forward, with its 0 at 0, and the gradient straight through backward."""

    @staticmethod
    def forward(_ctx: Any, x: Tensor) -> Tensor:
        """Return the sign of ``x``."""
        return torch.sign(x)

    @staticmethod
    def backward(_ctx: Any, gradient: Tensor) -> Tensor:
        """Return the gradient as it comes: the clamp ahead of the sign has cut the window already."""
        return gradient


class BinaryActivation(nn.Module):
    """The sign of f(x), clamped; the clamp gives the straight-through estimator its window."""

    def __init__(self, function: nn.Module) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        """Return sign(clamp(f(x), -1.3, 1.3)) in the shape of ``x``."""
        clipped = torch.clamp(self.function(x), -LIMIT, LIMIT)
        return cast(Tensor, Sign.apply(clipped))  # type: ignore[no-untyped-call]


class BinaryConv2d(nn.Conv2d):
    """A convolution of binarized inputs; whoever trains it swaps its weights for their signs."""

    def __init__(self, before: int, after: int, kernel: int, function: Factory, stride: int = 1) -> None:
        super().__init__(before, after, kernel, stride, kernel // 2, bias=False)
        self.activation = BinaryActivation(function(before))

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution of a float (N, before, H, W) as (N, after, H', W')."""
        return super().forward(self.activation(x))


class Sine(nn.Module):
    """sin(x) + x."""

    def forward(self, x: Tensor) -> Tensor:
        """Return f(x)."""
        return torch.sin(x) + x


class ScaledSine(nn.Module):
    """sin(s*x) + x with a learnable s per channel, 1 at the start."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.s = nn.Parameter(torch.ones(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return f(x)."""
        return torch.sin(self.s * x) + x


FUNCTIONS: dict[str, Factory] = {
    "sign(x)": lambda _channels: nn.Identity(),
    "sin(x) + x": lambda _channels: Sine(),
    "sin(s*x) + x": ScaledSine,
}
"""The functions of ``benchmarks.task.ACTIVATIONS``, written as people write them."""


class PooledRepeat(nn.Module):
    """A shortcut without parameters: 2x2 average pooling, then the channels repeated."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, times C, ceil(H/2), ceil(W/2)) of (N, C, H, W)."""
        return torch.cat([functional.avg_pool2d(x, 2, ceil_mode=True)] * self.times, 1)


class Unit(nn.Module):
    """One or two binary convolutions, each with batch norm, and a shortcut around them."""

    def __init__(self, convolutions: Sequence[BinaryConv2d], shortcut: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential()
        for convolution in convolutions:
            self.body.extend([convolution, nn.BatchNorm2d(convolution.out_channels)])
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Return body(x) + shortcut(x)."""
        y: Tensor = self.body(x) + self.shortcut(x)
        return y


class Network(nn.Module):
    """A real stem, binary units, and a real classifier over the average of the last feature map."""

    def __init__(self, stem: nn.Conv2d, units: Sequence[Unit], classifier: nn.Linear) -> None:
        super().__init__()
        self.stem = nn.Sequential(stem, nn.BatchNorm2d(stem.out_channels))
        self.units = nn.Sequential(*units)
        self.classifier = classifier

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (N, classes) of float images (N, C, H, W)."""
        y = self.units(self.stem(x))
        logits: Tensor = self.classifier(functional.adaptive_avg_pool2d(y, 1).flatten(1))
        return logits


def small_network(classes: int, channels: int, function: Factory, widths: Sequence[int] = (16, 32, 64)) -> Network:
    """Return the small network: two binary 3x3 convolutions per width, a shortcut around each (Bi-Real Net)."""
    units: list[Unit] = []
    for before, after in pairwise((widths[0], *widths)):
        first = not units
        halving = BinaryConv2d(before, after, 3, function, stride=1 if first else 2)
        units.append(Unit([halving], nn.Identity() if first else PooledRepeat(after // before)))
        units.append(Unit([BinaryConv2d(after, after, 3, function)], nn.Identity()))
    stem = nn.Conv2d(channels, widths[0], 3, stride=2, padding=1, bias=False)
    return Network(stem, units, nn.Linear(widths[-1], classes))


def resnet18(classes: int, channels: int, function: Factory, widths: Sequence[int] = (64, 128, 256, 512)) -> Network:
    """Return the paper's ResNet-18 for 32x32 images: two basic blocks per width, 1x1 shortcuts binary too."""
    units: list[Unit] = []
    for before, after in pairwise((widths[0], *widths)):
        stride = 2 if units else 1
        for entering, step in ((before, stride), (after, 1)):
            body = [BinaryConv2d(entering, after, 3, function, step), BinaryConv2d(after, after, 3, function)]
            shortcut: nn.Module = nn.Identity()
            if step != 1 or entering != after:
                shortcut = nn.Sequential(BinaryConv2d(entering, after, 1, function, step), nn.BatchNorm2d(after))
            units.append(Unit(body, shortcut))
    stem = nn.Conv2d(channels, widths[0], 3, padding=1, bias=False)
    return Network(stem, units, nn.Linear(widths[-1], classes))


NETWORKS: dict[str, Callable[..., Network]] = {"small": small_network, "resnet18": resnet18}


def binary_convolutions(model: nn.Module) -> list[BinaryConv2d]:
    """Return the binary convolutions of ``model``."""
    return [module for module in model.modules() if isinstance(module, BinaryConv2d)]


@contextmanager
def binary_weights(model: nn.Module) -> Iterator[None]:
    """Let the weights be their signs inside the block, and the latent weights again after it."""
    convolutions = binary_convolutions(model)
    latent = [convolution.weight.data.clone() for convolution in convolutions]
    for convolution in convolutions:
        convolution.weight.data = torch.sign(convolution.weight.data)
    try:
        yield
    finally:
        for convolution, weight in zip(convolutions, latent, strict=True):
            convolution.weight.data = weight


def make_optimizer(model: nn.Module, learning_rate: float) -> torch.optim.Optimizer:
    """Return torch's Adam with its default settings but the learning rate."""
    return torch.optim.Adam(model.parameters(), lr=learning_rate)


def training_step(model: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor) -> float:
    """Train on one batch and return its loss (cross-entropy, nats).

    Args:
        model: one of the networks above, in training mode.
        optimizer: over its parameters.
        images: (N, C, H, W) float32.
        labels: (N,) int64.
    """
    with binary_weights(model):
        loss = functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
    optimizer.step()
    for convolution in binary_convolutions(model):
        convolution.weight.data.clamp_(-LIMIT, LIMIT)
    return loss.item()
