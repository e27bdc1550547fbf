"""Network in network and the small VGG: their sizes, which layers are binary, and the whole networks by hand."""

import math
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from gaaf_gp.binary import BinaryConv2d, nin, vgg_small
from gaaf_gp.errors import GaafError

NIN_KERNELS = (5, 1, 1, 5, 1, 1, 3, 1)


def seeded(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def on_meta(build: Callable[..., nn.Module], classes: int, channels: int) -> nn.Module:
    with torch.device("meta"):
        return build(classes, channels)


def size(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def binary_convolutions(network: nn.Module) -> list[BinaryConv2d]:
    return [module for module in network.modules() if isinstance(module, BinaryConv2d)]


def real_layers(network: nn.Module) -> list[str]:
    return [name for name, module in network.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)]


def signs(x: Tensor) -> Tensor:
    return torch.where(x >= 0, 1.0, -1.0).double()


def fresh(y: Tensor) -> Tensor:
    """Return what a batch norm with fresh running statistics, mean 0 and variance 1, makes of ``y``."""
    return y / math.sqrt(1 + 1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_nin_has_the_published_sizes(channels: int) -> None:
    network = on_meta(nin, 10, channels)
    widths = (192, 160, 96, 192, 192, 192, 192, 192)
    weights = [kernel**2 * a * b for kernel, (a, b) in zip(NIN_KERNELS, pairwise((channels, *widths)), strict=True)]
    assert size(network) == sum(weights) + 2 * sum(widths) + 192 * 10 + 10
    assert [layer.weight.numel() for layer in binary_convolutions(network)] == weights[1:]
    assert real_layers(network) == ["stem.0", "classifier"]


@pytest.mark.parametrize("channels", [1, 3])
def test_vgg_small_has_the_published_sizes(channels: int) -> None:
    network = on_meta(vgg_small, 10, channels)
    widths = (128, 128, 256, 256, 512, 512)
    weights = [9 * a * b for a, b in pairwise((channels, *widths))]
    assert size(network) == sum(weights) + 2 * sum(widths) + 8192 * 10 + 10
    assert [layer.weight.numel() for layer in binary_convolutions(network)] == weights[1:]
    assert real_layers(network) == ["stem.0", "classifier"]
    assert network.get_submodule("stages")(torch.empty(1, 128, 32, 32, device="meta")).shape == (1, 512, 4, 4)


def test_nin_by_hand() -> None:
    torch.manual_seed(0)
    network = nin(3, 2, widths=(3, 4, 5, 4, 3, 5, 4, 6)).double().eval()
    x = seeded(2, 2, 8, 8)
    y = fresh(functional.conv2d(x, network.state_dict()["stem.0.weight"], None, 1, 2))
    layers = binary_convolutions(network)
    for place, (layer, kernel) in enumerate(zip(layers, NIN_KERNELS[1:], strict=True)):
        y = functional.conv2d(signs(y), signs(layer.weight), None, 1, kernel // 2)
        if place == 1:  # 8x8 to 4x4, windows of 3 at each second pixel; nothing outside the image is a maximum
            windows = functional.pad(y, (1, 1, 1, 1), value=-math.inf).unfold(2, 3, 2).unfold(3, 3, 2)
            y = windows.amax((-1, -2))
        if place == 4:  # 4x4 to 2x2, the mean is over the pixels that are there
            windows, ones = (functional.pad(t, (1, 1, 1, 1)).unfold(2, 3, 2).unfold(3, 3, 2) for t in (y, y * 0 + 1))
            y = windows.sum((-1, -2)) / ones.sum((-1, -2))
        y = fresh(y)
    expected = y.mean((2, 3)) @ network.classifier.weight.T + network.classifier.bias  # type: ignore[operator, union-attr]
    torch.testing.assert_close(network(x), expected)


@pytest.mark.parametrize("grid", [1, 2, 4])
def test_vgg_small_by_hand(grid: int) -> None:
    torch.manual_seed(0)
    network = vgg_small(3, 2, widths=(3, 4, 5, 4), grid=grid, pad_value=-1.0).double().eval()
    x = seeded(2, 2, 16, 16)
    y = fresh(functional.conv2d(x, network.state_dict()["stem.0.weight"], None, 1, 1))
    for place, layer in enumerate(binary_convolutions(network)):
        y = functional.conv2d(functional.pad(signs(y), (1, 1, 1, 1), value=-1.0), signs(layer.weight))
        if place in (0, 2):
            y = y.reshape(*y.shape[:2], y.shape[2] // 2, 2, y.shape[3] // 2, 2).amax((3, 5))
        y = fresh(y)
    assert y.shape == (2, 4, 4, 4)
    cells = y.reshape(2, 4, grid, 4 // grid, grid, 4 // grid).mean((3, 5)).reshape(2, -1)
    expected = cells @ network.classifier.weight.T + network.classifier.bias  # type: ignore[operator, union-attr]
    torch.testing.assert_close(network(x), expected)


def test_a_flat_network_repeats_what_is_smaller_than_its_grid() -> None:
    network = vgg_small(3, 1, widths=(2, 2), grid=4).eval()
    small, large = torch.ones(1, 1, 2, 2), torch.ones(1, 1, 8, 8)
    assert network(small).shape == network(large).shape == (1, 3)
    features = network.stages(network.stem(small))
    assert features.shape == (1, 2, 1, 1)
    torch.testing.assert_close(network(small), network.classifier(features.expand(1, 2, 4, 4).flatten(1)))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: nin(2, 1, widths=(4, 4)), "nin has eight convolutions ahead of its classifier, got 2 widths"),
        (lambda: vgg_small(2, 1, widths=(4, 4, 4)), "vgg_small pools after every second .*got 3 widths"),
        (lambda: vgg_small(2, 1, grid=0), "grid must be a whole number of at least 1, got 0"),
        (lambda: nin(2, 0), "in_channels must be a whole number of at least 1, got 0"),
    ],
)
def test_bad_arguments_are_refused(build: Callable[[], nn.Module], message: str) -> None:
    with pytest.raises(GaafError, match=message):
        build()
