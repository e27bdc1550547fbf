"""ResNet-20 and Bi-Real Net: their sizes, which layers are binary, and units computed by hand."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from gaaf_gp.binary import BinaryConv2d, PooledRepeat, bireal18, bireal34, resnet20
from gaaf_gp.data.torchvision_compat import import_torchvision
from gaaf_gp.errors import GaafError


def seeded(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def without_memory(build: Callable[..., nn.Module], *arguments: Any, **settings: Any) -> nn.Module:
    with torch.device("meta"):
        return build(*arguments, **settings)


def size(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def binary_convolutions(network: nn.Module) -> list[BinaryConv2d]:
    return [module for module in network.modules() if isinstance(module, BinaryConv2d)]


def signs(x: Tensor) -> Tensor:
    return torch.where(x >= 0, 1.0, -1.0).double()


@pytest.mark.parametrize(("build", "theirs", "binary"), [(bireal18, "resnet18", 16), (bireal34, "resnet34", 32)])
@pytest.mark.parametrize(("classes", "channels"), [(1000, 3), (7, 1)])
def test_bireal_has_the_parameters_of_the_real_network(
    build: Callable[..., nn.Module], theirs: str, binary: int, classes: int, channels: int
) -> None:
    network = without_memory(build, classes, channels)
    real = without_memory(getattr(import_torchvision().models, theirs), num_classes=classes)
    # torchvision's are for three channels: the stem has 7x7 weights less for each that is missing
    assert size(network) == size(real) - (3 - channels) * 64 * 49
    convolutions = binary_convolutions(network)
    assert len(convolutions) == binary
    assert {layer.kernel_size for layer in convolutions} == {(3, 3)}
    assert sum(layer.stride == (2, 2) for layer in convolutions) == 3
    left = {name: type(m) for name, m in network.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}
    assert list(left.values()) == [nn.Conv2d] * 4 + [nn.Linear]
    assert [name.split(".")[0] for name in left] == ["stem", *["stages"] * 3, "classifier"]


@pytest.mark.parametrize(("image", "feature_map"), [((224, 224), (7, 7)), ((33, 65), (2, 3)), ((1, 1), (1, 1))])
def test_bireal_divides_images_by_32_and_rounds_up(image: tuple[int, int], feature_map: tuple[int, int]) -> None:
    network = without_memory(bireal18, 5, 3, widths=(4, 8, 8, 8)).eval()
    stem: nn.Module = network.get_submodule("stem")
    x = stem(torch.empty(1, 3, *image, device="meta"))
    assert x.shape == (1, 4, *(math.ceil(side / 4) for side in image))
    assert network.get_submodule("stages")(x).shape == (1, 8, *feature_map)
    assert network(torch.empty(2, 3, *image, device="meta")).shape == (2, 5)


def test_a_halving_unit_of_bireal_by_hand() -> None:
    torch.manual_seed(0)
    unit = bireal18(2, 3, widths=(2, 4, 4, 4)).get_submodule("stages.4").double().eval()
    x = seeded(2, 2, 5, 6)
    weights = {tuple(value.shape): value for value in unit.parameters() if value.dim() == 4}
    body = functional.conv2d(signs(x), signs(weights[4, 2, 3, 3]), None, 2, 1)
    # 5 rows become 3: the last mean is over one row
    means = torch.stack(
        [x[:, :, a:b].reshape(2, 2, b - a, 3, 2).mean((2, 4)) for a, b in ((0, 2), (2, 4), (4, 5))], dim=2
    )
    shortcut = torch.einsum("oc,nchw->nohw", weights[4, 2, 1, 1][:, :, 0, 0], means)
    # fresh running statistics: mean 0, variance 1
    torch.testing.assert_close(unit(x), (body + shortcut) / math.sqrt(1 + 1e-5))


@pytest.mark.parametrize(("channels", "shortcut_every"), [(3, 1), (1, 2)])
def test_resnet20_has_twenty_layers_of_the_published_widths(channels: int, shortcut_every: int) -> None:
    network = without_memory(resnet20, 10, channels, shortcut_every=shortcut_every)
    convolutions = binary_convolutions(network)
    assert [layer.out_channels for layer in convolutions] == [16] * 6 + [32] * 6 + [64] * 6
    assert [place for place, layer in enumerate(convolutions) if layer.stride == (2, 2)] == [6, 12]
    left = [name for name, m in network.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert left == ["stem.0", "classifier"]
    # per stage 3 blocks of 2 convolutions, two values a channel for 19 batch norms; shortcuts have nothing
    convolved = 9 * (channels * 16 + 6 * 16 * 16 + 16 * 32 + 5 * 32 * 32 + 32 * 64 + 5 * 64 * 64)
    assert size(network) == convolved + 2 * (7 * 16 + 6 * 32 + 6 * 64) + 64 * 10 + 10
    units = network.get_submodule("stages")
    assert len(list(units.children())) == 18 // shortcut_every
    assert sum(isinstance(module, PooledRepeat) for module in network.modules()) == 2


@pytest.mark.parametrize("blocks", [1, 2])
@pytest.mark.parametrize("channels", [1, 3])
def test_resnet20_at_other_sizes(blocks: int, channels: int) -> None:
    network = resnet20(4, channels, widths=(2, 4), blocks=blocks)
    assert len(binary_convolutions(network)) == 4 * blocks
    assert network(torch.ones(2, channels, 7, 9)).shape == (2, 4)


@pytest.mark.parametrize("shortcut_every", [1, 2])
def test_resnet20_blocks_by_hand(shortcut_every: int) -> None:
    torch.manual_seed(0)
    network = resnet20(2, 3, widths=(2, 6), blocks=1, shortcut_every=shortcut_every, pad_value=1.0).double().eval()
    x = seeded(2, 2, 6, 6)
    y = x
    for place, layer in enumerate(binary_convolutions(network)):
        stride = 2 if place == 2 else 1
        if place == 2:
            pooled = y.reshape(2, 2, 3, 2, 3, 2).mean((3, 5)).repeat(1, 3, 1, 1)
        if place % shortcut_every == 0:
            shortcut = pooled if place == 2 else y
        padded = functional.pad(signs(y), (1, 1, 1, 1), value=1.0)
        y = functional.conv2d(padded, signs(layer.weight), None, stride) / math.sqrt(1 + 1e-5)
        if (place + 1) % shortcut_every == 0:
            y = y + shortcut
    torch.testing.assert_close(network.get_submodule("stages")(x), y)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: resnet20(2, 1, widths=(4, 6)), "each width of resnet20 must be a multiple .*got 6 after 4"),
        (lambda: resnet20(2, 1, blocks=0), "blocks must be a whole number of at least 1, got 0"),
        (lambda: resnet20(2, 1, shortcut_every=3), "shortcut_every must be a whole number from 1 to 2, got 3"),
        (lambda: resnet20(2, 1, shortcut_every=True), "shortcut_every must be a whole number from 1 to 2, got True"),
        (lambda: bireal18(2, 1, widths=(4, 8)), "bireal18 has four stages, got 2 widths"),
        (lambda: bireal34(2, 1, widths=(4,) * 5), "bireal34 has four stages, got 5 widths"),
        (lambda: bireal34(0, 1), "num_classes must be a whole number of at least 1, got 0"),
    ],
)
def test_bad_arguments_are_refused(build: Callable[[], nn.Module], message: str) -> None:
    with pytest.raises(GaafError, match=message):
        build()
