"""The example set: its functions against their formulas, its flags, and that any tree of it runs and learns."""

import math
import pickle
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gaaf_gp.trees.compile import Activation
from gaaf_gp.trees.generation import gen_half_and_half
from gaaf_gp.trees.individual import Individual
from gaaf_gp.trees.parser import parse
from gaaf_gp.types import Channel, Feature, Scalar
from primitives import template

PSET = template.make_pset()


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return 3 * torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def assert_same(actual: Tensor, expected: np.ndarray) -> None:
    torch.testing.assert_close(actual.detach(), torch.from_numpy(np.asarray(expected)), rtol=1e-11, atol=1e-11)


def test_the_set_is_what_its_comments_say() -> None:
    assert set(PSET.mapping) == {"x", "tanh", "add", "sawtooth", "damped", "s", "weigh", "times", "number"}
    assert {name: traits.learnable for name, traits in PSET.traits.items() if traits.learnable} == {
        "damped": (1.0,),
        "s": (1.0,),
    }
    assert [PSET.mapping[name].args for name in ("weigh", "times")] == [[Channel, Feature], [Feature, Scalar]]
    assert PSET.takes_numbers(Scalar)


def test_a_sawtooth_is_its_formula() -> None:
    x = drawn(300, 3).requires_grad_()
    result = template.sawtooth(x)
    values = x.detach().numpy()
    assert_same(result, values - np.floor(values))
    (gradient,) = torch.autograd.grad(result.sum(), x)
    assert_same(gradient, np.ones_like(values))
    assert_same(template.sawtooth(torch.tensor([0.0, 1.0, -1.0, -0.25]).double()), np.array([0.0, 0.0, 0.0, 0.75]))


def test_a_damped_wave_is_its_formula() -> None:
    x, s = drawn(40, 3, 2, 2).requires_grad_(), drawn(1, 3, 1, 1, seed=1).requires_grad_()
    result = template.damped(x, s)
    a, b = x.detach().numpy(), s.detach().numpy()
    assert_same(result, np.sin(b * a) / (1 + np.abs(a)))
    by_x, by_s = torch.autograd.grad(result.sum(), [x, s])
    slope = b * np.cos(b * a) / (1 + np.abs(a)) - np.sin(b * a) * np.sign(a) / (1 + np.abs(a)) ** 2
    assert_same(by_x, slope)
    assert_same(by_s, (a * np.cos(b * a) / (1 + np.abs(a))).sum((0, 2, 3), keepdims=True))


def test_a_constant_multiplies() -> None:
    x = drawn(10, 3).requires_grad_()
    result = template.times(x, torch.tensor(-0.75, dtype=torch.float64))
    assert_same(result, -0.75 * x.detach().numpy())
    assert_same(torch.autograd.grad(result.sum(), x)[0], np.full((10, 3), -0.75))


def test_constants_are_normal_with_three_decimals() -> None:
    random.seed(0)
    values = [template.small_number() for _ in range(4000)]
    assert all(value == round(value, 3) for value in values)
    assert abs(np.mean(values)) < 0.06
    assert abs(np.std(values) - 1) < 0.06


@pytest.mark.parametrize("name", ["tanh", "add", "sawtooth", "damped", "weigh", "times"])
def test_flags_are_true(name: str) -> None:
    node, traits = PSET.mapping[name], PSET.traits[name]
    own = [torch.tensor(start).double() for start in traits.learnable]
    x, y = drawn(300), drawn(300, seed=1)
    f = PSET.context[name]
    commutes = node.args == [Feature, Feature] and torch.equal(f(x, y, *own), f(y, x, *own))
    assert traits.commutative == commutes
    if node.arity == 1:
        repeats = any(torch.allclose(f(x, *own), f(x + period, *own), atol=1e-9) for period in (1.0, 2 * math.pi))
        assert traits.periodic == repeats


@pytest.mark.parametrize(
    ("text", "formula", "vectors"),
    [
        ("sawtooth(x)", lambda x, _s: x - np.floor(x), 0),
        ("damped(x)", lambda x, s: np.sin(s[0] * x) / (1 + np.abs(x)), 1),
        ("weigh(s, tanh(x))", lambda x, s: s[0] * np.tanh(x), 1),
        ("add(weigh(s, x), times(weigh(s, tanh(x)), 0.25))", lambda x, s: s[0] * x + 0.25 * s[1] * np.tanh(x), 2),
    ],
)
def test_trees_are_their_formulas(text: str, formula: Callable[..., Any], vectors: int) -> None:
    activation = Activation(text, 3, PSET).double()
    state = activation.state_dict()
    assert [value.tolist() for name, value in state.items() if name.startswith("s")] == [[1.0] * 3] * vectors
    s = [drawn(3, seed=5 + i) for i in range(vectors)]
    activation.load_state_dict(state | {f"s{i}": value for i, value in enumerate(s)})
    x = drawn(20, 3)
    assert_same(activation(x), formula(x.numpy(), [value.numpy() for value in s]))


def test_formulas_are_shown() -> None:
    tree = parse("add(damped(x), times(sawtooth(x), -0.5))", PSET)
    assert tree.infix() == "damped(x, s0) + times(sawtooth(x), -0.5)"
    assert r"\operatorname{saw}\left(x\right)" in tree.latex()


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**6))
def test_any_tree_runs_learns_and_pickles(seed: int) -> None:
    tree = Individual(gen_half_and_half(PSET, 1, 4, rng=random.Random(seed)), PSET)
    activation = Activation(tree, 3)
    x = drawn(6, 3, 2, 2).float().requires_grad_()
    result = activation(x)
    assert bool(torch.isfinite(result).all())
    result.sum().backward()
    parameters = list(activation.parameters())
    assert all(parameter.grad is not None and bool(torch.isfinite(parameter.grad).all()) for parameter in parameters)
    assert len(parameters) == sum(str(tree).count(name) for name in ("damped(", "(s,"))
    back = pickle.loads(pickle.dumps(tree))
    assert (back, str(back)) == (tree, str(tree))
    assert torch.equal(Activation(back, 3)(x), result)
