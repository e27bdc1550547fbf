"""Learnable functions in the kernels: value and gradients as torch has them, for every primitive and random trees."""

from __future__ import annotations

import copy
import pickle
import random

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from gaaf_gp.binary import BinaryConv2d, native
from gaaf_gp.binary.native.tracing import NotElementary, trace
from gaaf_gp.trees.compile import Activation
from gaaf_gp.trees.generation import generate as random_tree
from gaaf_gp.trees.individual import Individual
from gaaf_gp.trees.parser import parse
from primitives import gaaf

pytestmark = pytest.mark.skipif(not native.available(), reason="the kernels cannot be compiled here")
CHANNELS = 11
WINDOW = 1.3


def layer_with(activation: Activation, kernels: str) -> BinaryConv2d:
    torch.manual_seed(3)
    layer = BinaryConv2d(CHANNELS, 5, 3, padding=1, activation=activation, window=WINDOW)
    layer.kernels = kernels
    return layer


def gradients(layer: BinaryConv2d, x: Tensor) -> list[Tensor]:
    """Return the output of the layer, and the gradients of input, weights and vectors for a fixed random loss."""
    x = x.clone().requires_grad_()
    layer.zero_grad()
    y = layer(x)
    wanted = [x, layer.weight, *layer.activation.parameters()]
    weights = torch.randn(y.shape, generator=torch.Generator().manual_seed(9))
    found = torch.autograd.grad((y * weights).sum(), wanted, allow_unused=True)
    return [y.detach(), *(torch.zeros_like(w) if g is None else g for w, g in zip(wanted, found, strict=True))]


def both(tree: Individual, seed: int = 0) -> tuple[list[Tensor], list[Tensor]]:
    """Return what torch and what the generated code make of one layer with this function."""
    activation = Activation(tree, CHANNELS)
    torch.manual_seed(seed)
    with torch.no_grad():
        for vector in activation.parameters():
            vector.add_(0.3 * torch.randn(CHANNELS))
    x = torch.randn(4, CHANNELS, 6, 7).contiguous(memory_format=torch.channels_last)
    eager = gradients(layer_with(activation, "torch"), x)
    activation = copy.deepcopy(activation)
    activation.kernel = native.program_of(activation.function(), len(list(activation.parameters())))
    assert activation.kernel is not None
    return eager, gradients(layer_with(activation, "float32"), x)


def assert_close(eager: list[Tensor], compiled: list[Tensor]) -> None:
    for one, other in zip(eager, compiled, strict=True):
        scale = float(one.abs().max())
        torch.testing.assert_close(other, one, rtol=2e-5, atol=2e-5 * max(scale, 1e-3))


@pytest.mark.parametrize("name", gaaf.UNARY)
def test_unary_primitives_of_a_learnable_argument(name, free):
    assert_close(*both(parse(f"add({name}(scale(x)), channel(x))", free)))


@pytest.mark.parametrize("name", gaaf.BINARY)
def test_binary_primitives_of_learnable_arguments(name, free):
    assert_close(*both(parse(f"{name}(scale(x), shift(x))", free)))


def test_random_trees(free):
    rng, checked = random.Random(5), 0
    while checked < 8:
        tree = Individual(random_tree(free, 2, 4, rng=rng), free)
        activation = Activation(tree, 1)
        x = torch.randn(500, 1)
        vectors = len(list(activation.parameters()))
        values = activation(x).detach()
        if not vectors or not bool(torch.isfinite(values).all()) or float(values.abs().max()) > 1e3:
            continue
        x.requires_grad_()
        (slope,) = torch.autograd.grad(activation(x).sum(), x, allow_unused=True, materialize_grads=True)
        if not bool(torch.isfinite(slope).all()) or float(slope.abs().max()) > 1e3:
            continue  # poles magnify the last bit of a sine beyond any tolerance
        eager, compiled = both(tree)
        if not torch.equal(eager[0], compiled[0]):
            continue  # a value at the edge of a sign, on the other side by its last bit
        for one, other in zip(eager, compiled, strict=True):  # in norm: single values may cancel out
            assert float((one - other).norm()) <= 1e-3 * float(one.norm()) + 1e-6
        checked += 1


def test_the_window_is_that_of_the_layer(free):
    tree = parse("scale(x)", free)
    activation = Activation(tree, CHANNELS)
    activation.kernel = native.program_of(activation.function(), 1)
    layer = layer_with(activation, "float32")
    x = torch.tensor([0.5, 1.29, 1.31, -1.29, -1.31, 40.0]).view(6, 1, 1, 1).expand(6, CHANNELS, 1, 1)
    _, of_x, *_ = gradients(layer, x)
    inside = x.abs() <= WINDOW
    assert bool((of_x[~inside] == 0).all())
    assert bool((of_x[inside] != 0).all())


def test_other_surrogates_use_torch(free):
    activation = Activation(parse("scale(x)", free), CHANNELS)
    torch.manual_seed(0)
    x = torch.randn(2, CHANNELS, 4, 4)
    results = []
    for generated in (None, native.program_of(activation.function(), 1)):
        activation.kernel = generated
        torch.manual_seed(3)
        layer = BinaryConv2d(CHANNELS, 5, 3, padding=1, activation=activation, surrogate="triangle", window=WINDOW)
        layer.kernels = "float32"
        results.append(gradients(layer, x))
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)


def test_gradients_of_frozen_parts_are_left_out(free):
    activation = Activation(parse("sin(scale(x))", free), CHANNELS)
    activation.kernel = native.program_of(activation.function(), 1)
    layer = layer_with(activation, "float32")
    x = torch.randn(2, CHANNELS, 4, 4)
    layer(x).sum().backward()
    (vector,) = activation.parameters()
    assert vector.grad is not None
    assert vector.grad.shape == (CHANNELS,)
    vector.grad = None
    vector.requires_grad_(False)
    layer(x.requires_grad_()).sum().backward()
    assert vector.grad is None
    assert x.grad is not None


def test_a_copied_activation_keeps_its_program(free):
    activation = Activation(parse("add(sin(scale(x)), x)", free), CHANNELS)
    activation.kernel = native.program_of(activation.function(), 1)
    x = torch.randn(2, CHANNELS, 4, 4)
    expected = gradients(layer_with(activation, "float32"), x)
    for again in (pickle.loads(pickle.dumps(activation)), copy.deepcopy(activation)):
        assert again.kernel is not None
        for one, other in zip(gradients(layer_with(again, "float32"), x), expected, strict=True):
            assert torch.equal(one, other)


def smoothed(x: Tensor) -> Tensor:
    return x - x.mean()


def chosen(x: Tensor) -> Tensor:
    return x if float(x.sum()) > 0 else -x


@pytest.mark.parametrize("function", [smoothed, chosen, torch.special.i0, lambda x: torch.cumsum(x, 0)])
def test_what_has_no_program_is_left_to_torch(function):
    assert native.program_of(lambda x, s: function(s * x), 1) is None


def test_a_trace_says_what_is_missing():
    with pytest.raises(NotElementary, match="cumsum"):
        trace(lambda x, s: torch.cumsum(s * x, 0), 1)


OPERATIONS = {
    "trigonometry": lambda x, s: torch.asin(s * x) + torch.acos(x) + torch.tan(s * x) + torch.atan2(x, s),
    "hyperbolic": lambda x, s: (
        torch.sinh(s * x) - torch.cosh(x) + torch.asinh(s * x) + torch.acosh(1 + x * x) + torch.atanh(s * x)
    ),
    "exponents": lambda x, s: (
        torch.exp2(s * x) + torch.expm1(x) + torch.log1p(x * x) + torch.log2(1 + s * s) + torch.log10(2 + x)
    ),
    "powers": lambda x, s: (
        (2 + x) ** s + (2 + x) ** 2.5 + (s * x) ** 3 + (2 + x) ** -1 + (2 + x) ** 0.5 + torch.rsqrt(2 + s)
    ),
    "rounding": lambda x, s: s * (torch.floor(5 * x) + torch.ceil(3 * x) + torch.trunc(2 * x) + torch.sign(x)),
    "bounds": lambda x, s: (
        torch.clamp(s * x, -0.3, 0.4) + torch.clamp(x, min=s * 0.1) + torch.clamp_max(x, 0.2) + s.clamp_min(0.1)
    ),
    "choices": lambda x, s: torch.where((x > 0) & ~(s < x) | torch.isnan(x), s * x, x - s),
    "in place": lambda x, s: (s * x).add_(1).mul_(x).masked_fill_(x > 0.5, 0.25),
    "composed": lambda x, s: functional.silu(s * x) + functional.softplus(s * x),
    "constants": lambda x, s: (
        s * x * 0.1 + 1e-8 + torch.tensor(2.0) * x - torch.ones_like(x) + (3 - x) + torch.full_like(x, -0.0)
    ),
    "no number in a maximum": lambda x, s: torch.maximum(torch.log(s * x), s * 0 + 0.5),
    "no number beside a maximum": lambda x, s: torch.maximum(s * 0 + 0.5, torch.log(s * x)),
    "no number in a minimum": lambda x, s: torch.minimum(torch.log(s * x), s * 0 + 0.5),
    "no number beside a minimum": lambda x, s: torch.minimum(s * 0 + 0.5, torch.log(s * x)),
    "no number in a relu": lambda x, s: torch.relu(torch.log(s * x)),
    "no input": lambda x, s: s * s,
    "no gradient": lambda x, s: torch.zeros_like(s * x),
    "the vector itself": lambda x, s: s,
    "the input itself": lambda x, s: x,
}


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("channels", [1, 3, 70, 600])
def test_operations(name: str, channels: int) -> None:
    """Through a unit of one binary 1x1 convolution, so that the signs and the window are part of it."""
    function = OPERATIONS[name]
    program = native.program_of(function, 1)
    assert program is not None
    generator = torch.Generator().manual_seed(0)
    x = (0.8 * torch.rand(3, channels, 5, 4, generator=generator) - 0.4).contiguous(memory_format=torch.channels_last)
    vector = 0.5 + 0.4 * torch.rand(channels, generator=generator)
    weight, incoming = (
        torch.rand(2, channels, 1, 1, generator=generator) - 0.5,
        torch.rand(3, 2, 5, 4, generator=generator),
    )
    leaves = [one.clone().requires_grad_() for one in (x, vector, weight)]
    unit = native.Unit(native.ProgramSigns(program, WINDOW), native.Geometry(), 9.0, False, (leaves[1],))
    have = torch.autograd.grad(y := native.binary_unit(leaves[0], leaves[2], unit), leaves, incoming)
    twins = [one.detach().clone().requires_grad_() for one in leaves]
    values = function(twins[0], twins[1].view(1, -1, 1, 1)).expand_as(x)
    signs = torch.where(values.detach() >= 0, 1.0, -1.0)
    plus_minus = torch.where(weight >= 0, 1.0, -1.0)
    assert torch.equal(y, functional.conv2d(signs, plus_minus))
    of_signs = functional.conv_transpose2d(incoming, plus_minus) * (values.detach().abs() <= WINDOW)
    want = torch.autograd.grad(values, twins[:2], of_signs, allow_unused=True) if values.requires_grad else (None, None)
    for one, other in zip(have, want, strict=False):
        expected = torch.zeros_like(one) if other is None else other
        torch.testing.assert_close(one, expected, rtol=1e-4, atol=1e-5 * max(1.0, float(expected.abs().max())))


def test_registers_are_used_again() -> None:
    def deep(x: Tensor, s: Tensor) -> Tensor:
        for _ in range(40):
            x = torch.sin(s * x) + x
        return x

    program = native.program_of(deep, 1)
    assert program is not None
    assert len(program.forward) == 120
    assert program.registers < 100  # backward needs one of each sine's argument


def test_without_kernels_there_are_no_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gaaf_gp.binary.native.program.available", lambda: False)
    assert native.program_of(lambda x, s: s * x, 1) is None


def test_the_window_of_the_function_is_closed() -> None:
    program = native.program_of(lambda x, s: s * x, 1)
    assert program is not None
    above = float(torch.nextafter(torch.tensor(1.0), torch.tensor(2.0)))
    x = torch.tensor([1.0, -1.0, above, -above, 0.0]).view(5, 1, 1, 1).requires_grad_()
    vector, weight = torch.ones(1, requires_grad=True), torch.full((1, 1, 1, 1), 0.5, requires_grad=True)
    unit = native.Unit(native.ProgramSigns(program, 1.0), native.Geometry(), 9.0, False, (vector,))
    (of_x,) = torch.autograd.grad(native.binary_unit(x, weight, unit).sum(), x)
    assert of_x.flatten().tolist() == [1.0, 1.0, 0.0, 0.0, 1.0]
