"""sign(f(x)) with the derivative of g, against formulas in float64, in layers, and in the compiled kernels."""

import copy
import pickle
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from gaaf_gp.binary import (
    BinaryConv2d,
    SplitSign,
    Surrogate,
    TableActivation,
    binarize,
    native,
    split,
    tabulate,
    use_kernels,
)
from gaaf_gp.binary.adapters import replacement
from gaaf_gp.binary.building import PAPER
from gaaf_gp.errors import GaafError

CLIPPED = Surrogate("clipped", 1.3)
CHANNELS = 5
needs_kernels = pytest.mark.skipif(not native.available(), reason="the kernels cannot be compiled here")


class Wave(nn.Module):
    """sin(a x) with an a per channel."""

    def __init__(self, channels: int = CHANNELS) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.linspace(0.5, 3, channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return sin(a x)."""
        return torch.sin(self.a.view(1, -1, *(1,) * (x.dim() - 2)) * x)


class Cubic(nn.Module):
    """x^3 / 3 + b x with a b per channel."""

    def __init__(self, channels: int = CHANNELS) -> None:
        super().__init__()
        self.b = nn.Parameter(torch.linspace(-1, 1, channels))
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        """Return x^3 / 3 + b x."""
        self.calls += 1
        return x**3 / 3 + self.b.view(1, -1, *(1,) * (x.dim() - 2)) * x


def seeded(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def derivative(v: Tensor, surrogate: Surrogate) -> Tensor:
    """The clipped and the triangular derivative, written down once more."""
    inside = (v.abs() <= surrogate.window).double()
    return inside if surrogate.name == "clipped" else inside * (2 - 2 * v.abs() / surrogate.window)


@given(seed=st.integers(0, 10**6), name=st.sampled_from(["clipped", "triangle"]), window=st.floats(0.3, 3))
def test_value_and_gradients_by_their_formulas(seed: int, name: str, window: float) -> None:
    surrogate = Surrogate(name, window)
    module = SplitSign(Wave(), Cubic(), surrogate).double()
    x = seeded(3, CHANNELS, 2, 4, seed=seed).requires_grad_()
    y, incoming = module(x), seeded(3, CHANNELS, 2, 4, seed=seed + 1)
    y.backward(incoming)
    v = x.detach()
    a, b = (torch.linspace(low, high, CHANNELS).double().view(1, -1, 1, 1) for low, high in ((0.5, 3), (-1, 1)))
    f, g = torch.sin(a * v), v**3 / 3 + b * v
    through_f, through_g = (incoming * derivative(value, surrogate) for value in (f, g))
    assert torch.equal(y, torch.where(f >= 0, 1.0, -1.0).double())
    torch.testing.assert_close(x.grad, through_g * (v**2 + b))
    torch.testing.assert_close(module.f.a.grad, (through_f * v * torch.cos(a * v)).sum((0, 2, 3)))
    torch.testing.assert_close(module.g.b.grad, (through_g * v).sum((0, 2, 3)))


def test_one_function_twice_is_binarize() -> None:
    x, incoming = seeded(3, 4).requires_grad_(), seeded(3, 4, seed=1)
    twin = x.detach().clone().requires_grad_()
    for module, leaf in ((SplitSign(nn.Tanh(), nn.Tanh(), CLIPPED), x), (nn.Tanh(), twin)):
        made = module(leaf)
        (made if isinstance(module, SplitSign) else binarize(made, CLIPPED)).backward(incoming)
    assert torch.equal(x.grad, twin.grad)


def test_without_gradients_the_backward_function_is_not_computed() -> None:
    module = SplitSign(Wave(), Cubic(), CLIPPED)
    x = seeded(2, CHANNELS).float()
    with torch.no_grad():
        quiet = module(x)
    assert module.g.calls == 0
    assert torch.equal(quiet, module(x))
    assert module.g.calls == 1


def test_functions_of_other_shapes_are_refused() -> None:
    class Narrow(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[:1]

    with pytest.raises(GaafError, match=r"must keep the shape of their input, got \(2, 5\) and \(1, 5\) from \(2, 5\)"):
        SplitSign(Wave(), Narrow(), CLIPPED)(seeded(2, 5).float())
    layer = BinaryConv2d(CHANNELS, 2, 1, activation=SplitSign(Narrow(), Narrow(), Surrogate("clipped")))
    with pytest.raises(GaafError, match="must keep the shape of its input"):
        layer(seeded(2, CHANNELS, 3, 3).float())


def test_a_layer_takes_its_own_surrogate_only() -> None:
    layer = BinaryConv2d(2, 2, 3, window=0.8)
    with pytest.raises(GaafError, match=r"signs must hold the surrogate of their layer, clipped\(window=0\.8\), got"):
        layer.set_activation(SplitSign(nn.Identity(), nn.Tanh(), CLIPPED))
    layer.set_activation(SplitSign(nn.Identity(), nn.Tanh(), layer.surrogate))
    assert isinstance(layer.activation, SplitSign)


def test_a_copy_computes_the_same_and_the_surrogate_is_shown() -> None:
    module = SplitSign(Wave(), Cubic(), CLIPPED)
    x = seeded(2, CHANNELS).float()
    for again in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert torch.equal(again(x), module(x))
    assert "surrogate=clipped(window=1.3)" in repr(module)
    assert list(module.state_dict()) == ["f.a", "g.b"]


def layers(activation: nn.Module, kernels: str, surrogate: Surrogate) -> tuple[BinaryConv2d, BinaryConv2d]:
    """The same layer twice: in torch, and with compiled kernels."""
    torch.manual_seed(3)
    settings = {"surrogate": surrogate.name, "window": surrogate.window}
    layer = BinaryConv2d(CHANNELS, 7, 3, padding=1, activation=activation, **settings)
    twin = copy.deepcopy(layer)
    use_kernels(twin, kernels)
    return layer, twin


def agree(layer: BinaryConv2d, twin: BinaryConv2d, tolerance: float) -> None:
    x = seeded(4, CHANNELS, 6, 5, seed=7).float().contiguous(memory_format=torch.channels_last)
    weights = seeded(4, 7, 6, 5, seed=8).float()
    found = []
    for one in (layer, twin):
        leaf = x.clone().requires_grad_()
        y = one(leaf)
        gradients = torch.autograd.grad((y * weights).sum(), [leaf, *one.parameters()])
        found.append((y, gradients))
    assert torch.equal(found[0][0], found[1][0])
    for own, other in zip(found[0][1], found[1][1], strict=True):
        assert float((own - other).norm()) <= tolerance * float(own.norm())


@needs_kernels
@pytest.mark.parametrize("surrogate", [CLIPPED, Surrogate("clipped", 0.4), Surrogate("triangle", 1.3)])
def test_compiled_kernels_take_signs_and_their_gradients_as_they_are(surrogate: Surrogate) -> None:
    layer, twin = layers(SplitSign(Wave(), Cubic(), surrogate), "float32", surrogate)
    assert not twin.direct
    agree(layer, twin, 1e-5)


def of_wave(x: Tensor, a: Tensor) -> Tensor:
    return torch.sin(a * x)


def of_cubic(x: Tensor, b: Tensor) -> Tensor:
    return x**3 / 3 + b * x


@needs_kernels
@pytest.mark.parametrize("window", [0.4, 1.3])
def test_both_functions_become_one_program(window: float) -> None:
    surrogate = Surrogate("clipped", window)
    layer, twin = layers(SplitSign(Wave(), Cubic(), surrogate), "float32", surrogate)
    assert isinstance(twin.activation, SplitSign)
    program = native.program_of(split(of_wave, of_cubic, 1, window), 2)
    assert program is not None
    twin.activation.kernel = program
    assert twin.direct
    agree(layer, twin, 1e-5)


@needs_kernels
def test_a_program_computes_the_backward_function_in_its_backward_pass_only() -> None:
    alone, both = native.program_of(of_wave, 1), native.program_of(split(of_wave, of_cubic, 1, 1.3), 2)
    assert alone is not None
    assert both is not None
    assert len(both.forward) == len(alone.forward)
    assert len(both.backward) > len(alone.backward)


def test_split_is_differentiable_as_it_says() -> None:
    x, a, b = (seeded(40, seed=seed).requires_grad_() for seed in (0, 1, 2))
    value = split(of_wave, of_cubic, 1, 1.3)(x, a, b)
    assert torch.equal(value, torch.sin(a * x))
    incoming = seeded(40, seed=3)
    value.backward(incoming)
    v, s, t = x.detach(), a.detach(), b.detach()
    f, g = torch.sin(s * v), v**3 / 3 + t * v
    torch.testing.assert_close(x.grad, torch.where(g.abs() <= 1.3, incoming * (v**2 + t), 0.0))
    torch.testing.assert_close(a.grad, torch.where(f.abs() <= 1.3, incoming * v * torch.cos(s * v), 0.0))
    torch.testing.assert_close(b.grad, torch.where(g.abs() <= 1.3, incoming * v, 0.0))


def test_a_linear_layer_hands_both_functions_the_channels_that_they_expect() -> None:
    def factory(channels: int) -> nn.Module:
        return SplitSign(Wave(channels), Cubic(channels), Surrogate("clipped", 1.3))

    new = replacement(nn.Linear(4, 3, bias=False), factory, False, PAPER)
    x = seeded(2, 6, 4).float().requires_grad_()
    y = new(x)
    incoming = seeded(2, 6, 3, seed=1).float()
    y.backward(incoming)
    a, b, v = torch.linspace(0.5, 3, 4), torch.linspace(-1, 1, 4), x.detach()
    weight = torch.where(new.weight.detach() >= 0, 1.0, -1.0)
    assert torch.equal(y, torch.where(torch.sin(a * v) >= 0, 1.0, -1.0) @ weight.T)
    inside = (v**3 / 3 + b * v).abs() <= 1.3
    torch.testing.assert_close(x.grad, torch.where(inside, (incoming @ weight) * (v**2 + b), 0.0))


@pytest.mark.parametrize("make", [lambda f: TableActivation(tabulate(f, CLIPPED))])
def test_tables_return_signs_themselves_too(make: Callable[..., nn.Module]) -> None:
    layer = BinaryConv2d(2, 2, 1, activation=make(torch.sin), window=1.3)
    x = seeded(1, 2, 3, 3).float()
    assert torch.equal(layer.binary_input(x), layer.activated(x))
