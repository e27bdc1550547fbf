"""Learnable functions in C: value and gradients as torch computes them, for every primitive and random trees."""

from __future__ import annotations

import copy
import pickle
import random

import pytest
import torch
from torch import Tensor

from gaaf_gp import native
from gaaf_gp.binary import BinaryConv2d
from gaaf_gp.compile import Activation
from gaaf_gp.generation import generate as random_tree
from gaaf_gp.individual import Individual
from gaaf_gp.native.expressions import NotElementary, expressions
from gaaf_gp.parser import parse
from gaaf_gp.pset import PrimitiveSet
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
    activation.generated = native.generate(activation.function(), len(list(activation.parameters())))
    assert activation.generated is not None
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
    activation.generated = native.generate(activation.function(), 1)
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
    for generated in (None, native.generate(activation.function(), 1)):
        activation.generated = generated
        torch.manual_seed(3)
        layer = BinaryConv2d(CHANNELS, 5, 3, padding=1, activation=activation, surrogate="triangle", window=WINDOW)
        layer.kernels = "float32"
        results.append(gradients(layer, x))
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)


def test_gradients_of_frozen_parts_are_left_out(free):
    activation = Activation(parse("sin(scale(x))", free), CHANNELS)
    activation.generated = native.generate(activation.function(), 1)
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


def test_a_pickled_activation_leaves_its_code_behind(free):
    activation = Activation(parse("scale(x)", free), 2)
    activation.generated = native.generate(activation.function(), 1)
    again = pickle.loads(pickle.dumps(activation))
    assert again.generated is None
    assert torch.equal(again(torch.ones(1, 2)), activation(torch.ones(1, 2)))


def smoothed(x: Tensor) -> Tensor:
    return x - x.mean()


def chosen(x: Tensor) -> Tensor:
    return x if float(x.sum()) > 0 else -x


@pytest.mark.parametrize("function", [smoothed, chosen, torch.special.i0, lambda x: torch.cumsum(x, 0)])
def test_what_has_no_form_in_c_is_left_to_torch(function):
    assert native.generate(lambda x, s: function(s * x), 1) is None


def test_expressions_say_what_is_missing():
    with pytest.raises(NotElementary, match="cumsum"):
        expressions(lambda x, s: torch.cumsum(s * x, 0), 1)


def test_constants_keep_their_digits():
    found = expressions(lambda x, s: s * x * 0.1 + 1e-8, 1)
    text = " ".join((*found.forward, *found.backward))
    assert "0.1f" in text
    assert "1e-08f" in text


@pytest.mark.filterwarnings("error")
def test_one_source_is_compiled_once(free):
    def make() -> object:
        return native.generate(Activation(parse("scale(tanh_free(x))", pset), 1).function(), 1)

    pset = PrimitiveSet("with tanh")
    for name in ("scale",):
        traits = free.traits[name]
        pset.addPrimitive(gaaf.scale, [gaaf.Feature], gaaf.Feature, name, learnable=traits.learnable)
    pset.addPrimitive(torch.tanh, [gaaf.Feature], gaaf.Feature, "tanh_free")
    assert make() is make()
