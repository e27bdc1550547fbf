"""What a layer makes of its inputs: against formulas in numpy's float64, and against the layers themselves."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from gaaf_gp.activations.behaviour import PAPER_SURROGATE
from gaaf_gp.activations.factory import two_signs
from gaaf_gp.activations.response import response
from gaaf_gp.binary import Surrogate, binarize, tabulate
from gaaf_gp.binary.baselines import RPReLU
from gaaf_gp.binary.tables import TableActivation
from gaaf_gp.errors import GaafError
from gaaf_gp.trees.candidate import TwoTrees, parse_candidate
from gaaf_gp.trees.compile import Activation
from gaaf_gp.trees.parser import parse
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.types import Feature
from primitives.gaaf import free

PSET = free()
X = np.linspace(-4, 4, 2001)
Function = Callable[[NDArray[np.float64]], NDArray[np.float64]]
FORMULAS: dict[str, tuple[Function, Function, list[float]]] = {
    "x": (lambda x: x, np.ones_like, [0.0]),
    "sin(x)": (np.sin, np.cos, [-math.pi, 0.0, math.pi]),
    "cos(x)": (np.cos, lambda x: -np.sin(x), [-math.pi / 2, math.pi / 2]),
    "atan(x)": (np.arctan, lambda x: 1 / (1 + x**2), [0.0]),
    "cube(x)": (lambda x: x**3, lambda x: 3 * x**2, [0.0]),
    "sub(square(x), const(0.5))": (lambda x: x**2 - 0.5, lambda x: 2 * x, [-math.sqrt(0.5), math.sqrt(0.5)]),
    "sub(sigmoid(x), const(0.25))": (
        lambda x: 1 / (1 + np.exp(-x)) - 0.25,
        lambda x: np.exp(-x) / (1 + np.exp(-x)) ** 2,
        [math.log(0.25 / 0.75)],
    ),
    "add(sin(x), x)": (lambda x: np.sin(x) + x, lambda x: np.cos(x) + 1, [0.0]),
    "neg(x)": (lambda x: -x, lambda x: -np.ones_like(x), [0.0]),
}
"""Text -> f, f', and where f changes its sign within +-4, each written down by hand."""


def inside(values: NDArray[np.float64], window: float) -> NDArray[np.bool_]:
    """Points at which it is clear on which side of the window they are."""
    clear: NDArray[np.bool_] = np.abs(np.abs(values) - window) > 1e-6
    return clear


@pytest.mark.parametrize("text", FORMULAS)
@pytest.mark.parametrize("window", [1.3, 0.5, math.inf])
def test_values_and_clipped_slope_are_those_of_the_formula(text: str, window: float) -> None:
    f, derivative, _ = FORMULAS[text]
    found = response(parse(text, PSET), X, Surrogate("clipped", window))
    assert found.values.shape == found.slope.shape == (len(X), 1)
    assert found.values.dtype == np.float64
    np.testing.assert_allclose(found.values[:, 0], f(X), atol=1e-7)
    clear = inside(f(X), window)
    expected = np.where(np.abs(f(X)) <= window, derivative(X), 0.0)
    np.testing.assert_allclose(found.slope[clear, 0], expected[clear], atol=1e-7)
    assert found.backward is None


@pytest.mark.parametrize("text", FORMULAS)
def test_a_surrogate_of_another_shape_is_in_the_slope(text: str) -> None:
    f, derivative, _ = FORMULAS[text]
    found = response(parse(text, PSET), X, Surrogate("triangle", 1.0))
    expected = np.clip(2 - 2 * np.abs(f(X)), 0, None) * derivative(X)
    np.testing.assert_allclose(found.slope[:, 0], expected, atol=1e-5)


@pytest.mark.parametrize("text", FORMULAS)
def test_signs_change_at_the_zeros_of_the_formula(text: str) -> None:
    f, _, zeros = FORMULAS[text]
    found = response(parse(text, PSET), X)
    borders = [border for interval in found.positive for border in interval]
    inner = [border for border in borders if abs(border) < 4]
    np.testing.assert_allclose(inner, zeros, atol=1e-7)
    for low, high in found.positive:
        assert f(np.array([(low + high) / 2]))[0] > 0
    ends = [border for border in borders if abs(border) == 4]
    assert ends == [end for end in (-4.0, 4.0) if f(np.array([end]))[0] >= 0]


def test_signs_change_at_a_pole_too() -> None:
    found = response(parse("tan(x)", PSET), X)
    expected = [(-math.pi, -math.pi / 2), (0, math.pi / 2), (math.pi, 4)]
    np.testing.assert_allclose(found.positive, expected, atol=1e-7)


def test_a_zero_has_the_sign_plus_one_and_nothing_else_has_none() -> None:
    assert response(parse("zero(x)", PSET), X).positive == ((-4.0, 4.0),)
    assert response(parse("const(-0.5)", PSET), X).positive == ()
    assert response(None, np.array([-1.0, 0.0])).positive == ((0.0, 0.0),)


def test_what_is_not_a_number_has_the_sign_minus_one_and_no_slope() -> None:
    pset = PrimitiveSet()
    pset.addPrimitive(torch.log, [Feature], Feature, "log", nonfinite=("value", "gradient"))
    found = response(parse("log(x)", pset), X)
    assert np.isnan(found.values[X < 0]).all()
    assert (found.slope[X < 0] == 0).all()
    np.testing.assert_allclose(found.positive, [(1, 4)], atol=1e-7)


@pytest.mark.parametrize("text", ["max(sin(x), x)", "gauss(x)", "ratio(cube(x), tan(x))", "log_abs(x)"])
def test_it_is_what_a_layer_does(text: str) -> None:
    tree = parse(text, PSET)
    tables = tabulate(Activation(tree, 1), PAPER_SURROGATE)
    bits = torch.arange(65536, dtype=torch.int32).to(torch.int16).view(torch.bfloat16).float()
    chosen = (bits.abs() > 1e-3) & (bits.abs() < 8)
    x, order = bits[chosen].double().sort()
    found = response(tree, x.numpy())
    assert np.mean(found.slope[:, 0] != 0) > 0.05
    close = np.isclose(found.slope[:, 0], tables.slope[chosen][order].double(), rtol=0.01, atol=1e-6)
    assert np.mean(~close) < 0.002, "but for rounding at the edge of the window"
    positive = np.zeros(len(x), dtype=bool)
    for low, high in found.positive:
        positive |= (x.numpy() >= low) & (x.numpy() <= high)
    assert np.mean(positive != tables.sign[chosen][order].numpy()) < 0.002


def test_of_two_trees_the_sign_is_of_the_first_and_the_slope_of_the_second() -> None:
    pair = parse_candidate("sin(x) | sub(x, const(1.0))", PSET)
    found = response(pair, X)
    np.testing.assert_allclose(found.values[:, 0], np.sin(X), atol=1e-12)
    assert found.backward is not None
    np.testing.assert_allclose(found.backward[:, 0], X - 1, atol=1e-12)
    clear = inside(X - 1, 1.3)
    np.testing.assert_array_equal(found.slope[clear, 0], (np.abs(X - 1) <= 1.3)[clear])
    np.testing.assert_allclose(found.positive, [(-4, -math.pi), (0, math.pi)], atol=1e-7)
    assert found.formula == "forward: sin(x); backward: x - 1"


def trained(text: str, channels: int) -> tuple[Activation, NDArray[np.float64]]:
    module = Activation(parse(text, PSET), channels)
    torch.manual_seed(0)
    for vector in module.parameters():
        nn.init.normal_(vector, 1.0, 0.5)
    return module, np.stack([vector.detach().double().numpy() for vector in module.parameters()])


def test_an_untrained_tree_has_its_vectors_as_they_start() -> None:
    found = response(parse("shift(scale(x))", PSET), X)
    assert found.values.shape == (len(X), 1)
    np.testing.assert_array_equal(found.values[:, 0], X)


def test_a_trained_module_has_a_column_for_each_channel() -> None:
    module, (shift, scale) = trained("shift(scale(x))", 8)  # s0 is the outer one: depth first
    before = copy.deepcopy(module.state_dict())
    found = response(module, X)
    expected = X[:, None] * scale + shift
    np.testing.assert_allclose(found.values, expected, atol=1e-12)
    np.testing.assert_allclose(found.slope, np.where(np.abs(expected) <= 1.3, scale, 0), atol=1e-12)
    share = (expected >= 0).mean(axis=1) >= 0.5
    positive = sum(((X >= low) & (X <= high) for low, high in found.positive), start=np.zeros(len(X), dtype=bool))
    np.testing.assert_array_equal(positive, share)
    assert module.s0.dtype == torch.float32, "a copy is looked at"
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    assert all(vector.grad is None for vector in module.parameters())


def test_a_trained_module_without_vectors_has_one_column() -> None:
    assert response(Activation(parse("sin(x)", PSET), 16), X).values.shape == (len(X), 1)


def test_a_module_with_a_compiled_kernel_is_copied_without_it() -> None:
    module, _ = trained("scale(x)", 4)

    class Kernel:
        def __deepcopy__(self, memo: dict[int, object]) -> Kernel:
            raise TypeError("a compiled kernel cannot be copied")

    module.kernel = Kernel()
    assert response(module, X).values.shape == (len(X), 4)
    assert isinstance(module.kernel, Kernel)


def test_trained_two_trees_and_baselines() -> None:
    pair = parse_candidate("scale(x) | sin(x)", PSET)
    assert isinstance(pair, TwoTrees)
    module = two_signs(pair, 4, Surrogate("clipped", 0.5))
    nn.init.normal_(module.f.s0)
    found = response(module, X)
    assert found.surrogate.window == 0.5, "its own surrogate, whatever is asked"
    np.testing.assert_allclose(found.values, X[:, None] * module.f.s0.detach().double().numpy(), atol=1e-12)
    np.testing.assert_allclose(found.slope[:, 0], np.where(np.abs(np.sin(X)) <= 0.5, np.cos(X), 0), atol=1e-12)

    start = response(parse_candidate("@rprelu", PSET), X)
    np.testing.assert_allclose(start.values[:, 0], np.where(X > 0, X, 0.25 * X), atol=1e-12)
    assert start.formula == "prelu(x + s0, s1) + s2"
    learned = RPReLU(3)
    nn.init.normal_(learned.shift_out)
    assert response(learned, X).values.shape == (len(X), 3)
    assert response(learned, X).formula == "RPReLU"


def test_the_plain_sign_is_the_sign_of_x() -> None:
    found = response(None, X)
    np.testing.assert_array_equal(found.values[:, 0], X)
    assert (found.formula, found.positive) == ("x", ((0.0, 4.0),))
    signs = binarize(torch.from_numpy(X).requires_grad_(), PAPER_SURROGATE)
    assert signs.sum() == sum(1 if 0 <= x <= 4 else -1 for x in X)


@pytest.mark.parametrize("x", [[0.0], [0.0, 0.0], [1.0, 0.0], [[0.0, 1.0]], [0.0, math.nan]])
def test_points_that_do_not_rise_are_refused(x: list[float]) -> None:
    with pytest.raises(GaafError, match="must be two or more rising numbers, got shape"):
        response(None, np.array(x))


def test_what_has_no_picture_is_refused() -> None:
    tables = TableActivation(tabulate(torch.sin, PAPER_SURROGATE))
    for thing, name in ((tables, "TableActivation"), ("sin(x)", "str")):
        with pytest.raises(GaafError, match=f"a module that returns f\\(x\\), got {name}: pass the tree itself"):
            response(thing, X)  # type: ignore[arg-type]


def test_a_function_that_raises_is_named() -> None:
    pset = PrimitiveSet()

    def picky(x: torch.Tensor) -> torch.Tensor:
        if x.dtype == torch.float64 and len(x) > 1000:
            raise RuntimeError("too many")
        return x

    pset.addPrimitive(picky, [Feature], Feature)
    with pytest.raises(GaafError, match=r"must run to be drawn, and picky\(x\) ended with RuntimeError: too many"):
        response(parse("picky(x)", pset), X)
