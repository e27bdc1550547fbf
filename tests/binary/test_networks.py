"""The networks: shapes, which layers are binary, one training step, and initial weights that pair up."""

import copy
import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from gaaf_gp.binary import (
    NETWORKS,
    ActivationFactory,
    BinaryConv2d,
    Surrogate,
    TableActivation,
    binary_layers,
    build_network,
    clip_latent_weights,
    native,
    resnet18,
    small_network,
    tabulate,
    use_kernels,
)
from gaaf_gp.binary.blocks import BatchNorm
from gaaf_gp.errors import GaafError

NARROW = {
    "small": (4, 8, 16),
    "resnet18": (4, 8, 16, 32),
    "resnet20": (4, 8),
    "bireal18": (4, 8, 8, 8),
    "bireal34": (4, 4, 4, 8),
    "nin": (4, 8, 4, 8, 8, 8, 8, 8),
    "vgg_small": (4, 8, 8, 8),
}
NEEDS_KERNELS = pytest.mark.skipif(not native.available(), reason=f"no kernels: {native.unavailable_reason()}")
NEEDS_AVX2 = pytest.mark.skipif(not native.whole_numbers(), reason="whole numbers need AVX2")
COMPILED = [pytest.param("float32", marks=NEEDS_KERNELS), pytest.param("fixed", marks=[NEEDS_KERNELS, NEEDS_AVX2])]


class Shift(nn.Module):
    """x + s with a random s per channel, drawn when it is made."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.s = nn.Parameter(torch.randn(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return x + s."""
        return x + self.s.view(1, -1, 1, 1)


def seeded(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def convolutions(network: nn.Module) -> list[BinaryConv2d]:
    return [layer for layer in binary_layers(network) if isinstance(layer, BinaryConv2d)]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("shape", [(2, 1, 28, 28), (2, 3, 32, 32), (3, 2, 9, 5)])
def test_logits_of_any_image_size(name: str, shape: tuple[int, ...]) -> None:
    network = build_network(name, 7, shape[1], widths=NARROW[name])
    logits = network(seeded(*shape))
    assert logits.shape == (shape[0], 7)
    assert logits.isfinite().all()


@settings(max_examples=15, deadline=None)
@given(first=st.integers(1, 3), factors=st.lists(st.integers(1, 3), max_size=3), classes=st.integers(1, 5))
def test_small_network_of_any_widths(first: int, factors: list[int], classes: int) -> None:
    widths = [first]
    for factor in factors:
        widths.append(widths[-1] * factor)
    network = small_network(classes, 1, widths=widths)
    assert network(seeded(2, 1, 12, 12)).shape == (2, classes)
    expected = [shape for a, b in pairwise((first, *widths)) for shape in ((b, a, 3, 3), (b, b, 3, 3))]
    assert [tuple(layer.weight.shape) for layer in binary_layers(network)] == expected


def test_small_network_by_hand() -> None:
    torch.manual_seed(0)
    network = small_network(3, 2, widths=(4, 8), pad_value=-1.0).double()
    x = seeded(5, 2, 10, 10).double()
    state = {name: value.clone() for name, value in network.state_dict().items()}

    def normalized(y: Tensor, key: str) -> Tensor:
        mean, variance = y.mean((0, 2, 3), keepdim=True), y.var((0, 2, 3), keepdim=True, correction=0)
        scale: Tensor = state[f"{key}.weight"].view(1, -1, 1, 1)
        offset: Tensor = state[f"{key}.bias"].view(1, -1, 1, 1)
        return (y - mean) / (variance + 1e-5).sqrt() * scale + offset

    y = normalized(functional.conv2d(x, state["stem.0.weight"], None, 2, 1), "stem.1")
    shortcuts: list[Callable[[Tensor], Tensor]] = [lambda y: y] * 4
    # 5x5 pooled to 3x3: at the odd edge the average is over what is there
    widths = torch.tensor([2.0, 2.0, 1.0], dtype=torch.float64)
    areas = widths.view(3, 1) * widths
    shortcuts[2] = lambda y: (
        functional.pad(y, (0, 1, 0, 1)).unfold(2, 2, 2).unfold(3, 2, 2).sum((-1, -2)) / areas
    ).repeat(1, 2, 1, 1)
    for unit, shortcut in enumerate(shortcuts):
        signs = functional.pad(torch.where(y >= 0, 1.0, -1.0).double(), (1, 1, 1, 1), value=-1.0)
        weight = torch.where(state[f"stages.{unit}.body.0.weight"] >= 0, 1.0, -1.0).double()
        sums = functional.conv2d(signs, weight, None, 2 if unit == 2 else 1)
        y = normalized(sums, f"stages.{unit}.body.1") + shortcut(y)
    expected = y.mean((2, 3)) @ state["classifier.weight"].T + state["classifier.bias"]

    torch.testing.assert_close(network(x), expected)


def test_resnet18_is_that_of_the_paper() -> None:
    network = resnet18(10, 3)
    binary = convolutions(network)
    assert len(binary) == 19
    shortcuts = [layer for layer in binary if layer.kernel_size == (1, 1)]
    assert [(s.in_channels, s.out_channels, s.stride) for s in shortcuts] == [
        (64, 128, (2, 2)),
        (128, 256, (2, 2)),
        (256, 512, (2, 2)),
    ]
    assert [layer.out_channels for layer in binary if layer.kernel_size == (3, 3)] == [
        width for width in (64, 128, 256, 512) for _ in range(4)
    ]
    assert sum(layer.stride == (2, 2) for layer in binary) == 6
    real = {name: module for name, module in network.named_modules() if isinstance(module, (nn.Conv2d, nn.Linear))}
    assert list(real) == ["stem.0", "classifier"]
    assert isinstance(real["stem.0"], nn.Conv2d)
    assert real["stem.0"].stride == (1, 1)
    assert real["stem.0"].bias is None
    assert real["classifier"].weight.shape == (10, 512)
    # 3x3 and 1x1 binary convolutions, stem, classifier, and two values per channel of 20 batch norms: no scaling factor
    batch_norms = 2 * (64 + sum((5 if width > 64 else 4) * width for width in (64, 128, 256, 512)))
    convolved = 9 * 4 * 64**2 + sum(9 * (a * b + 3 * b * b) + a * b for a, b in ((64, 128), (128, 256), (256, 512)))
    assert sum(p.numel() for p in network.parameters()) == 27 * 64 + 5130 + batch_norms + convolved


def test_resnet18_block_by_hand() -> None:
    torch.manual_seed(0)
    block = resnet18(2, 3, widths=(4, 8, 8, 8)).stages[2].double().eval()  # type: ignore[index]
    x = seeded(2, 4, 6, 6).double()
    state = block.state_dict()

    def step(y: Tensor, convolution: str, stride: int, padding: int) -> Tensor:
        weight = torch.where(state[convolution] >= 0, 1.0, -1.0).double()
        signs = torch.where(y >= 0, 1.0, -1.0).double()
        # fresh running statistics: mean 0, variance 1
        return functional.conv2d(signs, weight, None, stride, padding) / math.sqrt(1 + 1e-5)

    body = step(step(x, "body.0.0.weight", 2, 1), "body.1.0.weight", 1, 1)
    torch.testing.assert_close(block(x), body + step(x, "shortcut.0.weight", 2, 0))


@pytest.mark.parametrize("name", NETWORKS)
def test_settings_reach_every_binary_convolution(name: str) -> None:
    defaults = build_network(name, 2, 1, widths=NARROW[name])
    assert {layer.surrogate for layer in binary_layers(defaults)} == {Surrogate("clipped", 1.3)}
    assert {layer.weight_surrogate for layer in binary_layers(defaults)} == {Surrogate("clipped", 1.3)}
    assert {layer.pad_value for layer in convolutions(defaults)} == {0.0}
    network = build_network(
        name, 2, 1, widths=NARROW[name], pad_value=1, surrogate="tanh", window=2.0, weight_window=0.5, sharpness=3.0
    )
    assert {layer.surrogate for layer in binary_layers(network)} == {Surrogate("tanh", 2.0, 3.0)}
    assert {layer.weight_surrogate for layer in binary_layers(network)} == {Surrogate("clipped", 0.5)}
    assert {layer.pad_value for layer in convolutions(network)} == {1.0}


@pytest.mark.parametrize("name", NETWORKS)
def test_one_activation_per_binary_convolution(name: str) -> None:
    made: list[int] = []

    def factory(channels: int) -> nn.Module:
        made.append(channels)
        return Shift(channels)

    network = build_network(name, 2, 1, factory, widths=NARROW[name])
    activations = [layer.activation for layer in binary_layers(network)]
    assert made == [layer.in_channels for layer in convolutions(network)]
    assert len({id(activation) for activation in activations}) == len(activations) == len(made)
    plain = build_network(name, 2, 1, widths=NARROW[name])
    assert all(layer.activation is None for layer in binary_layers(plain))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("factory", [Shift, lambda _: nn.Tanh()])
def test_initial_weights_do_not_depend_on_the_activation(name: str, factory: ActivationFactory) -> None:
    torch.manual_seed(11)
    plain = build_network(name, 3, 1, widths=NARROW[name])
    next_draw = torch.rand(4)
    torch.manual_seed(11)
    active = build_network(name, 3, 1, factory, widths=NARROW[name])
    assert torch.equal(torch.rand(4), next_draw)
    common = plain.state_dict()
    rest = {key: value for key, value in active.state_dict().items() if ".activation." not in key}
    assert list(common) == list(rest)
    assert all(torch.equal(common[key], rest[key]) for key in common)
    torch.manual_seed(12)
    other = build_network(name, 3, 1, widths=NARROW[name]).state_dict()
    first = next(key for key in common if key.startswith("stages.0."))
    assert not torch.equal(other[first], common[first])


def test_random_activations_follow_the_seed_and_differ_by_layer() -> None:
    def shifts(seed: int) -> list[Tensor]:
        torch.manual_seed(seed)
        network = small_network(2, 1, activation=Shift, widths=(4, 4))
        return [value for key, value in network.state_dict().items() if key.endswith("activation.s")]

    first, again, other = shifts(1), shifts(1), shifts(2)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])
    assert not torch.equal(first[0], first[1])


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("autocast", [False, True])
def test_a_training_step_moves_latent_weights(name: str, autocast: bool) -> None:
    torch.manual_seed(0)
    network = build_network(name, 4, 1, Shift, widths=NARROW[name])
    optimizer = torch.optim.Adam(network.parameters(), lr=0.05)
    before = {key: value.clone() for key, value in network.named_parameters()}
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        logits = network(seeded(16, 1, 16, 16))
    functional.cross_entropy(logits.float(), torch.arange(16) % 4).backward()
    optimizer.step()
    clip_latent_weights(network, 1.3)
    for key, value in network.named_parameters():
        assert value.isfinite().all()
        assert not torch.equal(value, before[key]), key


@pytest.mark.parametrize("kernels", ["torch", *COMPILED])
@pytest.mark.parametrize("name", ["small", "bireal18", "vgg_small"])
def test_autocast_lowers_the_real_layers_only(name: str, kernels: str) -> None:
    torch.manual_seed(0)
    network = build_network(name, 4, 1, Shift, widths=NARROW[name])
    use_kernels(network, kernels)
    dtypes: dict[str, list[torch.dtype]] = {}
    inputs: list[tuple[BatchNorm, Tensor]] = []

    def note(module: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
        dtypes.setdefault(type(module).__name__, []).append(output.dtype)
        if isinstance(module, BatchNorm):
            inputs.append((module, given[0].detach().clone()))

    for module in network.modules():
        if isinstance(module, (BinaryConv2d, nn.Conv2d, nn.Linear, BatchNorm)):
            module.register_forward_hook(note)  # type: ignore[arg-type]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        network(seeded(16, 1, 64, 64))
    assert set(dtypes["BinaryConv2d"]) == {torch.float32}
    assert set(dtypes["Conv2d"] + dtypes["Linear"]) == {torch.bfloat16}
    for norm, x in inputs:
        mean = x.double().mean((0, 2, 3))
        torch.testing.assert_close(norm.running_mean.double(), 0.1 * mean, rtol=1e-5, atol=1e-5)
        deviation = x.double().var((0, 2, 3))
        torch.testing.assert_close(norm.running_var.double(), 0.9 + 0.1 * deviation, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kernels", COMPILED)
@pytest.mark.parametrize("name", ["small", "resnet18", "bireal18"])
def test_compiled_and_plain_networks_agree_under_autocast(name: str, kernels: str) -> None:
    theirs, ours = twins(name, kernels)
    x = seeded(16, 1, 16, 16, seed=7)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        have, want = ours(x), theirs(x)
    assert have.dtype == want.dtype == torch.bfloat16
    same = (have.double() - want.double()).abs() < 0.05
    assert same.double().mean() > 0.9


def test_the_small_network_learns() -> None:
    torch.manual_seed(0)
    x = seeded(64, 1, 12, 12)
    target = (x[:, 0, :6].mean((1, 2)) > x[:, 0, 6:].mean((1, 2))).long()
    network = small_network(2, 1, widths=(8, 16))
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = functional.cross_entropy(network(x), target)
        loss.backward()
        optimizer.step()
        clip_latent_weights(network, 1.3)
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: build_network("vgg", 2, 1), "network must be a known name, got 'vgg'; known: small, resnet18"),
        (
            lambda: build_network("small", 2, 1, depth=3),
            "network small has no setting depth; known: widths, pad_value, surrogate, window, weight_window",
        ),
        (lambda: build_network("small", 0, 1), "num_classes must be a whole number of at least 1, got 0"),
        (lambda: build_network("small", 2, 0), "in_channels must be a whole number of at least 1, got 0"),
        (lambda: small_network(2, 1, widths=()), r"widths must be a sequence .*got \(\)"),
        (lambda: small_network(2, 1, widths=16), "widths must be a sequence .*got 16"),  # type: ignore[arg-type]
        (lambda: small_network(2, 1, widths=(4, 0)), "widths must be a whole number of at least 1, got 0"),
        (lambda: small_network(2, 1, widths=(4, 6)), "multiple of the one before, got 6 after 4"),
        (lambda: small_network(2, 1, widths=(8, 4)), "multiple of the one before, got 4 after 8"),
        (lambda: small_network(2, 1, pad_value=0.5), r"pad_value must be 0, 1 or -1, got 0\.5"),
        (lambda: resnet18(2, 1, widths=(4, 8)), "resnet18 has four stages, got 2 widths"),
        (
            lambda: small_network(2, 1, activation=lambda _: torch.sin),  # type: ignore[arg-type, return-value]
            "activation must be a torch module or None",
        ),
    ],
)
def test_bad_arguments_are_refused_in_one_line(build: Callable[[], object], message: str) -> None:
    with pytest.raises(GaafError, match=message) as caught:
        build()
    assert "\n" not in str(caught.value)


def wavy(_channels: int) -> nn.Module:
    """sin(2x) in tables."""
    return TableActivation(tabulate(lambda x: torch.sin(2 * x), Surrogate("clipped", 1.3)))


def twins(name: str, kernels: str, **settings: Any) -> tuple[nn.Module, nn.Module]:
    """Return one network in torch and the same with compiled kernels, with statistics of a few batches."""
    torch.manual_seed(0)
    theirs = build_network(name, 4, 1, wavy, widths=NARROW[name], **settings)
    for seed in range(3):
        theirs(seeded(16, 1, 16, 16, seed=seed))
    ours = copy.deepcopy(theirs)
    use_kernels(ours, kernels)
    return theirs, ours


@pytest.mark.parametrize("kernels", COMPILED)
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("training", [False, True])
def test_compiled_layers_get_the_same_from_the_same(name: str, kernels: str, training: bool) -> None:
    """Layer by layer: the integers bit for bit, the batch norms up to rounding."""
    theirs, ours = twins(name, kernels, pad_value=-1.0)
    theirs.train(training)
    ours.train(training)
    assert {layer.kernels for layer in convolutions(ours)} == {kernels}
    assert {m.kernels for m in ours.modules() if isinstance(m, BatchNorm)} == {kernels}
    compared: list[str] = []

    def compare(key: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def hook(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            twin = ours.get_submodule(key)(*inputs)
            if isinstance(twin_module := ours.get_submodule(key), BinaryConv2d):
                assert torch.equal(twin, output), key
            else:
                assert isinstance(twin_module, BatchNorm)
                torch.testing.assert_close(twin, output, rtol=1e-5, atol=1e-5)
            compared.append(key)

        return hook

    for key, module in theirs.named_modules():
        if isinstance(module, (BinaryConv2d, BatchNorm)):
            module.register_forward_hook(compare(key))
    theirs(seeded(8, 1, 16, 16, seed=7))
    norms = sum(isinstance(module, BatchNorm) for module in theirs.modules())
    assert len(compared) == len(set(compared)) == len(convolutions(theirs)) + norms


@pytest.mark.parametrize("kernels", COMPILED)
@pytest.mark.parametrize("name", NETWORKS)
def test_compiled_networks_give_the_same_logits(name: str, kernels: str) -> None:
    theirs, ours = (network.eval() for network in twins(name, kernels))
    x = seeded(32, 1, 16, 16, seed=7)
    with torch.no_grad():
        same = ((theirs(x) - ours(x)).abs() < 1e-4).all(1)
    # the last bit of a batch norm may turn a sign; that is one of a great many
    assert same.double().mean() > 0.9


@pytest.mark.parametrize("kernels", COMPILED)
@pytest.mark.parametrize("name", NETWORKS)
def test_compiled_networks_take_the_same_step(name: str, kernels: str) -> None:
    theirs, ours = twins(name, kernels)
    x, labels = seeded(16, 1, 16, 16, seed=7), torch.arange(16) % 4
    steps, losses = [], []
    for network in (theirs, ours):
        before = torch.cat([parameter.detach().flatten() for parameter in network.parameters()])
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        loss = functional.cross_entropy(network(x), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        steps.append(torch.cat([parameter.detach().flatten() for parameter in network.parameters()]) - before)
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    assert (steps[0] - steps[1]).norm() / steps[0].norm() < {"float32": 2e-3, "fixed": 2e-2}[kernels]
    for (key, own), other in zip(ours.named_buffers(), theirs.buffers(), strict=True):
        torch.testing.assert_close(own, other, rtol=1e-4, atol=1e-4, msg=key)


@pytest.mark.parametrize("kernels", COMPILED)
def test_the_small_network_learns_with_compiled_kernels(kernels: str) -> None:
    torch.manual_seed(0)
    x = seeded(64, 1, 12, 12)
    target = (x[:, 0, :6].mean((1, 2)) > x[:, 0, 6:].mean((1, 2))).long()
    network = small_network(2, 1, widths=(8, 16))
    use_kernels(network, kernels)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = functional.cross_entropy(network(x), target)
        loss.backward()
        optimizer.step()
        clip_latent_weights(network, 1.3)
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]
