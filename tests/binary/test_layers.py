"""Binary layers against torch's plain operations on tensors that are binarized by hand."""

import copy
import io
import math
import pickle
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from gaaf_gp import Activation, parse
from gaaf_gp.activations import two_signs
from gaaf_gp.binary import (
    KERNELS,
    BinaryConv2d,
    BinaryLayer,
    BinaryLinear,
    PooledRepeat,
    RPReLU,
    RSign,
    Surrogate,
    TableActivation,
    best_kernels,
    binarize,
    binarize_model,
    binary_layers,
    clip_latent_weights,
    native,
    table_binarize,
    tabulate,
    use_kernels,
    use_real_weights,
)
from gaaf_gp.errors import GaafError
from gaaf_gp.trees import TwoTrees
from primitives import gaaf

NEEDS_KERNELS = pytest.mark.skipif(not native.available(), reason=f"no kernels: {native.unavailable_reason()}")
NEEDS_AVX2 = pytest.mark.skipif(not native.whole_numbers(), reason="whole numbers need AVX2")
COMPILED = [pytest.param("float32", marks=NEEDS_KERNELS), pytest.param("fixed", marks=[NEEDS_KERNELS, NEEDS_AVX2])]
PRECISION = {"float32": 1e-5, "fixed": 4e-3}


class Wave(nn.Module):
    """sin(s x) with a learnable s per channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.s = nn.Parameter(torch.linspace(0.5, 1.5, channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return sin(s x)."""
        return torch.sin(self.s.view(-1, *[1] * (x.dim() - 2)) * x)


def sign(x: Tensor) -> Tensor:
    return torch.where(x >= 0, 1.0, -1.0).to(x.dtype)


def seeded(*shape: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    x = scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.where(x.abs() < 0.1, 0.0, x)  # zeros are where signs go wrong


def set_weight(layer: BinaryLayer, seed: int = 1) -> Tensor:
    with torch.no_grad():
        layer.weight.copy_(seeded(*layer.weight.shape, seed=seed))
    return layer.weight.detach().clone()


@pytest.mark.parametrize("pad_value", [0.0, 1.0, -1.0])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation", "groups"),
    [(3, 1, 1, 1, 1), (3, 2, 1, 1, 2), ((1, 3), (2, 1), (0, 2), (1, 2), 4), (2, 1, 0, 1, 1), (1, 2, 0, 1, 1)],
)
def test_convolution_of_signs(
    pad_value: float,
    kernel: int | tuple[int, int],
    stride: int | tuple[int, int],
    padding: int | tuple[int, int],
    dilation: int | tuple[int, int],
    groups: int,
) -> None:
    layer = BinaryConv2d(
        4, 8, kernel, stride=stride, padding=padding, dilation=dilation, groups=groups, pad_value=pad_value
    ).double()
    weight, x = set_weight(layer), seeded(2, 4, 7, 9)
    height, width = padding if isinstance(padding, tuple) else (padding, padding)
    padded = torch.full((2, 4, 7 + 2 * height, 9 + 2 * width), pad_value, dtype=torch.float64)
    padded[:, :, height : height + 7, width : width + 9] = sign(x)
    expected = functional.conv2d(padded, sign(weight), None, stride, 0, dilation, groups)
    assert torch.equal(layer(x), expected)


def test_linear_of_signs() -> None:
    layer = BinaryLinear(5, 3, activation=Wave(5)).double()
    weight, x = set_weight(layer), seeded(4, 5)
    f = torch.sin(torch.linspace(0.5, 1.5, 5).double() * x)
    assert torch.equal(layer(x), torch.einsum("ni,oi->no", sign(f), sign(weight)))


@pytest.mark.parametrize("pad_value", [0.0, 1.0, -1.0])
def test_gradients_of_the_convolution_by_hand(pad_value: float) -> None:
    layer = BinaryConv2d(
        4, 6, 3, stride=2, padding=1, groups=2, pad_value=pad_value, activation=Wave(4), window=0.8, weight_window=1.2
    ).double()
    weight, x, incoming = set_weight(layer), seeded(2, 4, 6, 6, scale=2).requires_grad_(), seeded(2, 6, 3, 3, seed=2)
    layer(x).backward(incoming)

    s = torch.linspace(0.5, 1.5, 4).double().view(1, 4, 1, 1)
    f = torch.sin(s * x.detach())
    signs = functional.pad(sign(f), (1, 1, 1, 1), value=pad_value).requires_grad_()
    weight_signs = sign(weight).requires_grad_()
    functional.conv2d(signs, weight_signs, None, 2, 0, 1, 2).backward(incoming)
    assert signs.grad is not None
    assert weight_signs.grad is not None
    through_sign = signs.grad[:, :, 1:-1, 1:-1] * (f.abs() <= 0.8)
    slope = torch.cos(s * x.detach())

    torch.testing.assert_close(layer.weight.grad, weight_signs.grad * (weight.abs() <= 1.2))
    torch.testing.assert_close(x.grad, through_sign * slope * s)
    assert isinstance(layer.activation, Wave)
    torch.testing.assert_close(layer.activation.s.grad, (through_sign * slope * x.detach()).sum((0, 2, 3)))


def test_gradients_of_the_linear_layer_by_hand() -> None:
    layer = BinaryLinear(5, 3, surrogate="triangle", window=2.0, weight_window=0.9).double()
    weight, x, incoming = set_weight(layer), seeded(4, 5, scale=2).requires_grad_(), seeded(4, 3, seed=2)
    layer(x).backward(incoming)
    by_input = torch.einsum("no,oi->ni", incoming, sign(weight))
    torch.testing.assert_close(x.grad, by_input * (2 - x.detach().abs()).clamp(min=0))
    by_weight = torch.einsum("no,ni->oi", incoming, sign(x.detach()))
    torch.testing.assert_close(layer.weight.grad, by_weight * (weight.abs() <= 0.9))


@settings(max_examples=30, deadline=None)
@given(features=st.integers(1, 40), rows=st.integers(1, 4), outputs=st.integers(1, 5), seed=st.integers(0, 2**16))
def test_sums_are_integers_of_the_right_parity(features: int, rows: int, outputs: int, seed: int) -> None:
    layer = BinaryLinear(features, outputs).double()
    weight, x = set_weight(layer, seed=seed), seeded(rows, features, seed=seed + 1)
    agreements = ((x.unsqueeze(1) >= 0) == (weight >= 0)).sum(-1)
    assert torch.equal(layer(x), (2 * agreements - features).double())


def test_the_border_is_binary_with_nonzero_padding_only() -> None:
    x = torch.ones(1, 1, 1, 1)
    corners = {}
    for pad_value in (0, 1, -1):
        layer = BinaryConv2d(1, 1, 3, padding=1, pad_value=pad_value)
        with torch.no_grad():
            layer.weight.fill_(0.5)
        corners[pad_value] = layer(x).item()
    assert corners == {0: 1.0, 1: 9.0, -1: -7.0}


def outcome(layer: BinaryLayer, x: Tensor, autocast: bool) -> list[Tensor]:
    """The result, and its gradients by the weights, the activation and the input."""
    leaf = x.clone().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        y = layer(leaf)
    inputs = [*layer.parameters(), leaf]
    incoming = seeded(*y.shape, seed=5).to(y.dtype)
    return [y.detach(), *torch.autograd.grad(y, inputs, incoming)]


@pytest.mark.parametrize("kernels", ["torch", *COMPILED])
@pytest.mark.parametrize("activation", [None, Wave])
@pytest.mark.parametrize("make", [lambda f: BinaryConv2d(57, 3, 3, activation=f), lambda f: BinaryLinear(513, 3)])
def test_autocast_changes_no_sum_and_no_gradient(
    make: Callable[[nn.Module | None], BinaryLayer], activation: type[Wave] | None, kernels: str
) -> None:
    layer = make(activation and activation(57))
    set_weight(layer)
    with torch.no_grad():
        layer.weight[0] = 1.0
    use_kernels(layer, kernels)
    x = seeded(*((2, 57, 5, 5) if isinstance(layer, BinaryConv2d) else (2, 513)), seed=3).float()
    x[0] = 1.0
    expected = outcome(layer, x, autocast=False)
    if activation is None:
        assert float(expected[0][0].max()) == 513, "which no bfloat16 is"
    found = outcome(layer, x, autocast=True)
    assert [(a.dtype, a.shape) for a in found] == [(a.dtype, a.shape) for a in expected]
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
    low = outcome(layer, x.bfloat16(), autocast=True)
    wide = outcome(layer, x.bfloat16().float(), autocast=False)
    assert low[-1].dtype == torch.bfloat16, "the input's own"
    for one, other in zip(low, wide, strict=True):
        assert torch.equal(one, other.to(one.dtype))


@pytest.mark.parametrize("pad_value", [0.0, -1.0])
def test_channels_last_gives_the_same(pad_value: float) -> None:
    layer = BinaryConv2d(4, 8, 3, padding=1, pad_value=pad_value)
    x = seeded(2, 4, 8, 8).float()
    expected = layer(x)
    layer.weight.data = layer.weight.data.contiguous(memory_format=torch.channels_last)
    y = layer(x.to(memory_format=torch.channels_last))
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(y.contiguous(), expected)


def test_latent_weights_are_real_and_start_within_the_fan_in_bound() -> None:
    torch.manual_seed(3)
    layer = BinaryConv2d(8, 16, 3, groups=2)
    assert list(layer.state_dict()) == ["weight"]
    assert layer.weight.shape == (16, 4, 3, 3)
    bound = 1 / math.sqrt(4 * 9)
    assert layer.weight.abs().max() <= bound
    assert layer.weight.abs().max() > 0.9 * bound
    assert layer.weight.unique().numel() > 500


def test_state_dict_round_trip_keeps_latent_weights() -> None:
    layer = BinaryConv2d(3, 4, 3, activation=Wave(3)).double()
    weight = set_weight(layer)
    stream = io.BytesIO()
    torch.save(layer.state_dict(), stream)
    stream.seek(0)
    other = BinaryConv2d(3, 4, 3, activation=Wave(3)).double()
    other.load_state_dict(torch.load(stream, weights_only=True))
    assert torch.equal(other.weight, weight)
    assert sorted(other.state_dict()) == ["activation.s", "weight"]
    x = seeded(2, 3, 5, 5)
    assert torch.equal(other(x), layer(x))


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))])
@pytest.mark.parametrize(
    "layer",
    [
        BinaryConv2d(3, 4, 3, padding=1, pad_value=1, activation=Wave(3), surrogate="tanh", sharpness=2.0),
        BinaryLinear(3, 4, surrogate="swish", window=0.5),
    ],
)
def test_copies_behave_alike_and_share_nothing(
    layer: BinaryLayer, duplicate: Callable[[BinaryLayer], BinaryLayer]
) -> None:
    twin = duplicate(layer)
    shape = (2, 3, 4, 4) if isinstance(layer, BinaryConv2d) else (2, 3)
    x, y = seeded(*shape).float().requires_grad_(), seeded(*shape).float().requires_grad_()
    out, twin_out = layer(x), twin(y)
    assert torch.equal(out, twin_out)
    out.square().sum().backward()
    twin_out.square().sum().backward()
    assert x.grad is not None
    assert y.grad is not None
    assert torch.equal(x.grad, y.grad)
    assert repr(layer) == repr(twin)
    before = layer.weight.detach().clone()
    with torch.no_grad():
        twin.weight.neg_()
    assert torch.equal(layer.weight, before)


def test_binary_layers_are_found_once_each_in_order() -> None:
    shared = BinaryLinear(3, 3)
    model = nn.Sequential(BinaryConv2d(1, 2, 3), nn.Conv2d(2, 2, 1), nn.ModuleList([shared, nn.Linear(3, 3), shared]))
    assert list(binary_layers(model)) == [model[0], shared]
    assert list(binary_layers(shared)) == [shared]
    assert list(binary_layers(nn.Linear(1, 1))) == []


def test_clip_moves_latent_weights_only() -> None:
    model = nn.Sequential(BinaryConv2d(2, 2, 3, activation=Wave(2)), nn.Conv2d(2, 2, 1), BinaryLinear(2, 2))
    with torch.no_grad():
        for number, parameter in enumerate(model.parameters()):
            parameter.copy_(seeded(*parameter.shape, seed=number, scale=3))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    clip_latent_weights(model, 1.3)
    latent = {"0.weight", "2.weight"}
    assert any((before[name].abs() > 1.3).any() for name in latent)
    for name, value in model.state_dict().items():
        expected = before[name].clamp(-1.3, 1.3) if name in latent else before[name]
        assert torch.equal(value, expected)
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_clipped_latent_weights_still_learn() -> None:
    layer = BinaryLinear(4, 2, weight_window=1.3)
    with torch.no_grad():
        layer.weight.fill_(5.0)
    clip_latent_weights(layer, 1.3)
    layer(torch.ones(1, 4)).sum().backward()
    assert layer.weight.grad is not None
    assert (layer.weight.grad == 1).all()


def test_repr_names_the_settings() -> None:
    layer = BinaryConv2d(2, 4, 3, padding=1, pad_value=-1, surrogate="swish", weight_window=0.7)
    assert repr(layer) == (
        "BinaryConv2d(2, 4, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), dilation=(1, 1), groups=1, "
        "pad_value=-1, surrogate=swish(window=1.3, sharpness=5), weight_window=0.7)"
    )
    assert repr(BinaryLinear(2, 4)) == "BinaryLinear(2, 4, surrogate=clipped(window=1.3), weight_window=1.3)"


def test_settings_are_kept() -> None:
    layer = BinaryConv2d(2, 4, 3, surrogate="tanh", window=0.5, sharpness=3.0, weight_window=math.inf)
    assert layer.surrogate == Surrogate("tanh", 0.5, 3.0)
    assert layer.weight_surrogate == Surrogate("clipped", math.inf)
    assert (layer.channels, BinaryLinear(5, 3).channels) == (2, 5)


def test_the_activation_can_be_replaced() -> None:
    layer = BinaryLinear(3, 2)
    layer.set_activation(Wave(3))
    assert list(layer.state_dict()) == ["weight", "activation.s"]
    layer.set_activation(None)
    assert list(layer.state_dict()) == ["weight"]
    assert repr(layer) == repr(BinaryLinear(3, 2))
    with pytest.raises(GaafError, match="activation must be a torch module or None"):
        layer.set_activation(torch.sin)  # type: ignore[arg-type]


def test_an_activation_that_changes_the_shape_is_refused() -> None:
    layer = BinaryConv2d(2, 2, 3, activation=nn.AvgPool2d(2))
    with pytest.raises(GaafError, match=r"keep the shape of its input, got \(1, 2, 4, 4\) from \(1, 2, 8, 8\)"):
        layer(torch.zeros(1, 2, 8, 8))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: BinaryConv2d(2, 2, 3, pad_value=0.5), r"pad_value must be 0, 1 or -1, got 0\.5"),
        (lambda: BinaryConv2d(2, 2, 3, pad_value=math.nan), "pad_value must be 0, 1 or -1, got nan"),
        (lambda: BinaryConv2d(2, 2, 3, window=-1.0), r"window must be a number above 0.*got -1\.0"),
        (lambda: BinaryConv2d(2, 2, 3, weight_window=-1.0), r"^weight_window must be a number above 0.*got -1\.0"),
        (lambda: BinaryConv2d(2, 2, 3, surrogate="relu"), "surrogate must be a known name, got 'relu'"),
        (lambda: BinaryConv2d(0, 2, 3), "in_channels must be a whole number of at least 1, got 0"),
        (lambda: BinaryConv2d(2, 2.0, 3), r"out_channels must be a whole number .*got 2\.0"),  # type: ignore[arg-type]
        (lambda: BinaryConv2d(2, 2, 0), "kernel_size must be a whole number of at least 1, got 0"),
        (lambda: BinaryConv2d(2, 2, (3, 3, 3)), "kernel_size must be one whole number or two"),  # type: ignore[arg-type]
        (lambda: BinaryConv2d(2, 2, 3, stride=0), "stride must be a whole number of at least 1, got 0"),
        (lambda: BinaryConv2d(2, 2, 3, padding=-1), "padding must be a whole number of at least 0, got -1"),
        (lambda: BinaryConv2d(2, 2, 3, padding="same"), "padding must be .*got 'same'"),  # type: ignore[arg-type]
        (lambda: BinaryConv2d(2, 2, 3, dilation=True), "dilation must be a whole number .*got True"),
        (lambda: BinaryConv2d(4, 6, 3, groups=4), "groups must divide in_channels and out_channels, got groups=4"),
        (lambda: BinaryConv2d(4, 4, 3, groups=0), "groups must be a whole number of at least 1, got 0"),
        (lambda: BinaryConv2d(2, 2, 3, activation=torch.sin), "activation must be a torch module"),  # type: ignore[arg-type]
        (lambda: BinaryLinear(2, 0), "out_features must be a whole number of at least 1, got 0"),
        (lambda: BinaryLinear(2, 2, sharpness=2.0), "clipped has no sharpness"),
        (lambda: clip_latent_weights(BinaryLinear(2, 2), 0.0), "limit must be a number above 0"),
    ],
)
def test_bad_arguments_are_refused_in_one_line(build: Callable[[], object], message: str) -> None:
    with pytest.raises(GaafError, match=message) as caught:
        build()
    assert "\n" not in str(caught.value)


def tables(function: Callable[[Tensor], Tensor] = torch.sin, window: float = 0.8) -> TableActivation:
    return TableActivation(tabulate(function, Surrogate("clipped", window)))


def relative_error(actual: Tensor | None, expected: Tensor | None) -> float:
    assert actual is not None
    assert expected is not None
    return float((actual.double() - expected.double()).norm() / expected.double().norm())


@pytest.mark.parametrize("kernels", COMPILED)
@pytest.mark.parametrize("activation", [lambda: None, tables, lambda: Wave(6)], ids=["none", "tables", "learnable"])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "pad_value"),
    [(3, 1, 1, 0.0), (3, (2, 1), (1, 2), 1.0), ((2, 3), 1, 1, -1.0), (1, 2, 0, 0.0)],
)
def test_compiled_kernels_do_what_torch_does(
    kernels: str,
    activation: Callable[[], nn.Module | None],
    kernel: int | tuple[int, int],
    stride: int | tuple[int, int],
    padding: int | tuple[int, int],
    pad_value: float,
) -> None:
    layer = BinaryConv2d(
        6, 20, kernel, stride=stride, padding=padding, pad_value=pad_value, window=0.8, activation=activation()
    )
    set_weight(layer)
    twin = copy.deepcopy(layer)
    use_kernels(twin, kernels)
    assert (layer.kernels, twin.kernels) == ("torch", kernels)
    # of values that bfloat16 holds, for without tables torch does not round
    x = seeded(5, 6, 9, 8).bfloat16().float().requires_grad_()
    y = x.detach().clone().requires_grad_()
    out, twin_out = layer(x), twin(y)
    assert torch.equal(out, twin_out)
    incoming = torch.randn(out.shape, generator=torch.Generator().manual_seed(4))
    out.backward(incoming)
    twin_out.backward(incoming)
    assert relative_error(y.grad, x.grad) < PRECISION[kernels]
    for own, other in zip(twin.parameters(), layer.parameters(), strict=True):
        assert relative_error(own.grad, other.grad) < PRECISION[kernels]


@pytest.mark.parametrize("kernels", COMPILED)
def test_compiled_kernels_read_tables_whatever_became_of_them(kernels: str) -> None:
    layer = BinaryConv2d(3, 4, 3, padding=1, window=0.8, activation=tables())
    use_kernels(layer, kernels)
    x = seeded(2, 3, 5, 5).float()
    results: list[tuple[Tensor, Tensor]] = []
    conversions: list[Callable[[BinaryConv2d], BinaryConv2d]] = [
        lambda m: m,
        lambda m: m.float(),
        lambda m: m.double().float(),
        copy.deepcopy,
    ]
    for convert in conversions:
        leaf = x.clone().requires_grad_()
        y: Tensor = convert(layer)(leaf)
        (gradient,) = torch.autograd.grad(y.square().sum(), leaf)
        results.append((y, gradient))
    for y, gradient in results[1:]:
        assert torch.equal(y, results[0][0])
        assert torch.equal(gradient, results[0][1])


@pytest.mark.parametrize("kernels", COMPILED)
@pytest.mark.parametrize(
    "make",
    [
        lambda: (BinaryConv2d(4, 4, 3), seeded(2, 4, 5, 5)),  # float64 goes with a layer in float64
        lambda: (BinaryConv2d(4, 4, 3, padding=1), seeded(4, 5, 5).float()),  # a single image
        lambda: (BinaryConv2d(4, 4, 1, stride=2), seeded(4, 5, 5).float()),
        lambda: (BinaryConv2d(4, 4, 3), seeded(0, 4, 5, 5).float()),
        lambda: (BinaryConv2d(4, 4, 3, groups=2), seeded(2, 4, 5, 5).float()),
        lambda: (BinaryConv2d(4, 4, 3, dilation=(1, 2)), seeded(2, 4, 5, 5).float()),
        lambda: (BinaryConv2d(4, 4, 3).bfloat16(), seeded(2, 4, 5, 5).bfloat16()),
    ],
)
def test_what_the_kernels_cannot_do_stays_with_torch(
    kernels: str, make: Callable[[], tuple[BinaryConv2d, Tensor]], monkeypatch: pytest.MonkeyPatch
) -> None:
    layer, x = make()
    layer = layer.to(x.dtype)
    expected = layer(x)
    use_kernels(layer, kernels)
    assert layer.kernels == ("torch" if layer.groups > 1 or layer.dilation != (1, 1) else kernels)
    monkeypatch.setattr(native, "binary_convolution", pytest.fail)
    assert torch.equal(layer(x), expected)


@pytest.mark.parametrize("shape", [(2, 3, 5, 5), (2, 5, 5), (4, 5), (1, 2, 4, 5, 5)])
@pytest.mark.parametrize("kernels", ["torch", *COMPILED])
def test_images_of_another_shape_are_refused_with_the_fix(kernels: str, shape: tuple[int, ...]) -> None:
    layer = BinaryConv2d(4, 4, 3)
    use_kernels(layer, kernels)
    with pytest.raises(GaafError, match=r"takes inputs of shape \(N, 4, H, W\), got .*; make it with in_channels"):
        layer(torch.zeros(shape))


@pytest.mark.parametrize("shape", [(2, 5), (6, 3), ()])
def test_features_of_another_number_are_refused_with_the_fix(shape: tuple[int, ...]) -> None:
    with pytest.raises(GaafError, match=r"takes inputs of shape \(..., 6\), got .*; make it with the size of the last"):
        BinaryLinear(6, 4)(torch.zeros(shape))


@pytest.mark.parametrize("kernels", COMPILED)
def test_inputs_that_do_not_fit_the_layer_are_refused(kernels: str) -> None:
    layer = BinaryConv2d(4, 4, 3)
    use_kernels(layer, kernels)
    with pytest.raises(GaafError, match="a kernel must fit into the padded image, got 3x3 on 2x9"):
        layer(torch.zeros(2, 4, 2, 9))
    layer.set_activation(nn.AvgPool2d(2))
    with pytest.raises(GaafError, match="keep the shape of its input"):
        layer(torch.zeros(2, 4, 8, 8))


@NEEDS_KERNELS
def test_use_kernels_reaches_binary_convolutions_only() -> None:
    class Machine(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kernels = "rbf"

    layer, machine, linear = BinaryConv2d(2, 2, 3), Machine(), BinaryLinear(2, 2)
    model = nn.Sequential(layer, nn.Sequential(machine, linear))
    use_kernels(model, "float32")
    assert (layer.kernels, machine.kernels, hasattr(linear, "kernels")) == ("float32", "rbf", False)
    assert pickle.loads(pickle.dumps(layer)).kernels == "float32"
    use_kernels(model, "torch")
    assert (layer.kernels, machine.kernels) == ("torch", "rbf")


def test_kernels_that_are_not_there_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = BinaryConv2d(2, 2, 3)
    with pytest.raises(GaafError, match="kernels must be one of torch, float32, fixed, got 'cuda': choose one of them"):
        use_kernels(layer, "cuda")
    monkeypatch.setattr(native, "whole_numbers", lambda: False)
    monkeypatch.setattr(native, "available", lambda: True)
    with pytest.raises(GaafError, match=r"kernels 'fixed' need a processor with AVX2.*choose 'float32'"):
        use_kernels(layer, "fixed")
    assert best_kernels() == "float32"
    monkeypatch.setattr(native, "whole_numbers", lambda: True)
    assert best_kernels() == "fixed"
    monkeypatch.setattr(native, "available", lambda: False)
    monkeypatch.setattr(native, "unavailable_reason", lambda: "it rains")
    assert best_kernels() == "torch"
    for kernels in KERNELS[1:]:
        with pytest.raises(GaafError, match=f"kernels '{kernels}' must be compiled here, but it rains; or choose 'tor"):
            use_kernels(layer, kernels)
    use_kernels(layer, "torch")
    assert layer.kernels == "torch"


@pytest.mark.parametrize("layer", [BinaryConv2d(2, 2, 3, window=0.8), BinaryLinear(2, 2, window=0.8)])
def test_tables_of_another_surrogate_are_refused(layer: BinaryLayer) -> None:
    layer.set_activation(tables())
    for activation in (tables(window=0.9), TableActivation(tabulate(torch.sin, Surrogate("triangle", 0.8)))):
        with pytest.raises(GaafError, match=r"tables must hold .* layer, clipped\(window=0\.8\), got"):
            layer.set_activation(activation)
    assert isinstance(layer.activation, TableActivation)
    with pytest.raises(GaafError, match="tables must hold the surrogate of their layer"):
        BinaryConv2d(2, 2, 3, activation=tables(window=0.9))


@pytest.mark.parametrize("channels", [1, 3, 16])
@pytest.mark.parametrize("stride", [(2, 2), (3, 1), (1, 4)])
def test_a_strided_point_convolution_leaves_pixels_out_before_the_sign(channels: int, stride: tuple[int, int]) -> None:
    layer = BinaryConv2d(channels, 5, 1, stride=stride, activation=Wave(channels), window=0.8, weight_window=1.2)
    weight = set_weight(layer)
    incoming = seeded(3, 5, -(-7 // stride[0]), -(-6 // stride[1]), seed=2)
    for memory_format in (torch.contiguous_format, torch.channels_last):
        layer.zero_grad()
        x = seeded(3, channels, 7, 6, scale=2).float().contiguous(memory_format=memory_format).requires_grad_()
        y = layer(x)
        y.backward(incoming.float())
        f = torch.sin(torch.linspace(0.5, 1.5, channels).view(1, -1, 1, 1) * x.detach())
        signs, weight_signs = sign(f).double().requires_grad_(), sign(weight).double().requires_grad_()
        expected = functional.conv2d(signs, weight_signs, None, stride)
        assert torch.equal(y.double(), expected)
        expected.backward(incoming)
        assert signs.grad is not None
        assert weight_signs.grad is not None
        slope = torch.cos(torch.linspace(0.5, 1.5, channels).view(1, -1, 1, 1) * x.detach())
        slope = slope * torch.linspace(0.5, 1.5, channels).view(1, -1, 1, 1) * (f.abs() <= 0.8)
        torch.testing.assert_close(x.grad, (signs.grad * slope).float(), rtol=1e-5, atol=1e-6)
        of_weight = weight_signs.grad * (weight.abs() <= 1.2)
        torch.testing.assert_close(layer.weight.grad, of_weight.float(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kernels", ["torch", *COMPILED])
@pytest.mark.parametrize("pad_value", [0.0, 1.0])
def test_real_weights_are_used_as_they_are_over_binary_inputs(kernels: str, pad_value: float) -> None:
    layer = BinaryConv2d(3, 4, 3, padding=1, pad_value=pad_value, activation=tables(window=0.8), window=0.8)
    use_kernels(layer, kernels)
    weight = set_weight(layer)
    use_real_weights(layer)
    x = seeded(2, 3, 6, 5, scale=2).float().requires_grad_()
    assert not layer.fits(x), "the compiled kernels know signs only"
    incoming = seeded(2, 4, 6, 5, seed=2)
    y = layer(x)
    y.backward(incoming.float())
    rounded = x.detach().to(torch.bfloat16).double()  # tables round their inputs
    signs = sign(torch.sin(rounded)).requires_grad_()
    real = weight.double().requires_grad_()
    padded = functional.pad(signs, (1, 1, 1, 1), value=pad_value)
    expected = functional.conv2d(padded, real)
    expected.backward(incoming)
    torch.testing.assert_close(y.double(), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(layer.weight.grad.double(), real.grad, rtol=1e-5, atol=1e-5), "no window of weights"
    slope = torch.cos(rounded) * (torch.sin(rounded).abs() <= 0.8)
    torch.testing.assert_close(x.grad.double(), signs.grad * slope, rtol=1e-2, atol=1e-2)
    use_real_weights(layer, False)
    again = functional.conv2d(padded.detach(), sign(weight).double())
    assert torch.equal(layer(x.detach()).double(), again)


def test_a_linear_layer_has_real_weights_too() -> None:
    layer = BinaryLinear(6, 4)
    weight = set_weight(layer)
    x = seeded(5, 6)
    use_real_weights(nn.Sequential(nn.ReLU(), layer))
    assert "real_weights=True" in repr(layer)
    torch.testing.assert_close(layer(x.float()).double(), sign(x) @ weight.double().T, rtol=1e-5, atol=1e-5)
    use_real_weights(layer, False)
    assert "real_weights" not in repr(layer)
    assert torch.equal(layer(x.float()).double(), sign(x).double() @ sign(weight).double().T)
    assert list(layer.state_dict()) == ["weight"], "the switch is no part of what is learned"


LEARNED: dict[str, Callable[[int], nn.Module]] = {
    "one tree": lambda channels: Activation(parse("mul(shift(x), scale(x))", gaaf.free()), channels),
    "two trees": lambda channels: two_signs(
        TwoTrees(parse("shift(x)", gaaf.free()), parse("scale(sin(x))", gaaf.free())), channels, Surrogate("clipped")
    ),
    "rsign": RSign,
    "rprelu": RPReLU,
}


def with_learned(layer: BinaryLayer, name: str) -> BinaryLayer:
    layer.set_activation(LEARNED[name](layer.channels))
    with torch.no_grad():
        for parameter in layer.activation.parameters():  # type: ignore[union-attr]
            parameter.copy_(torch.randn(parameter.shape))
    return layer


@pytest.mark.parametrize("name", LEARNED)
def test_the_axis_of_the_channels_is_that_of_the_layer_whatever_the_sizes(name: str) -> None:
    torch.manual_seed(0)
    linear, image = with_learned(BinaryLinear(4, 3), name), with_learned(BinaryConv2d(4, 3, 3, padding=1), name)
    for shape in [(4,), (2, 4), (4, 4), (2, 4, 4), (2, 5, 4), (4, 4, 4, 4), (0, 4, 4)]:
        x = torch.randn(shape)
        rows = linear(x.reshape(-1, 4))
        assert torch.equal(linear(x), rows.reshape(*shape[:-1], 3)), shape
    for shape in [(4, 4, 4), (4, 5, 6), (4, 4, 1)]:
        x = torch.randn(shape)
        assert torch.equal(image(x), image(x.unsqueeze(0)).squeeze(0)), shape
        last = x.unsqueeze(0).to(memory_format=torch.channels_last)
        assert torch.equal(image(last), image(x.unsqueeze(0)))


@pytest.mark.parametrize("name", LEARNED)
def test_a_converted_layer_sees_its_channels_too(name: str) -> None:
    torch.manual_seed(0)
    binary, _ = binarize_model(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)), LEARNED[name], keep_ends=False)
    x = torch.randn(2, 4, 4)
    for parameter in binary.parameters():
        parameter.data += 0.3 * torch.randn(parameter.shape)
    assert torch.equal(binary(x), binary(x.reshape(-1, 4)).reshape(x.shape))


def test_a_shortcut_repeats_the_channels_of_a_single_image() -> None:
    x = torch.randn(2, 4, 4)
    shortcut = PooledRepeat(3)
    assert torch.equal(shortcut(x), shortcut(x.unsqueeze(0)).squeeze(0))


@pytest.mark.parametrize(
    "came", [np.ones((2, 4), np.float32), "x", None, [1.0] * 4, torch.ones(2, 4, dtype=torch.int64)]
)
def test_what_is_no_floating_point_tensor_is_refused_in_one_line(came: object) -> None:
    for take in (binarize, BinaryLinear(4, 2), lambda x: table_binarize(x, tabulate(torch.sin, Surrogate("clipped")))):
        with pytest.raises(GaafError, match="must be a floating-point tensor, got"):
            take(came)  # type: ignore[arg-type, operator]
