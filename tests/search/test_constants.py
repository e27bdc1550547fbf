"""Constants that a simplex or training finds, against optima that are known."""

import math

import pytest
import torch

from gaaf_gp import load_data
from gaaf_gp.errors import GaafError
from gaaf_gp.search.constants import _Tunable, constants_of, train_constants, tune_constants, with_constants
from gaaf_gp.training.proxy import Proxy
from gaaf_gp.trees.compile import Activation
from gaaf_gp.trees.parser import parse


def test_constants_are_read_and_replaced(free):
    tree = parse("add(const(cmul(0.5, -1.25)), sin(x))", free)
    tree.fitness.values = (0.5,)
    assert constants_of(tree) == [0.5, -1.25]
    other = with_constants(tree, [2.0, 1 / 3])
    assert str(other) == "add(const(cmul(2.0, 0.3333)), sin(x))"
    assert not other.fitness.valid
    assert str(tree) == "add(const(cmul(0.5, -1.25)), sin(x))"
    with pytest.raises(GaafError, match=r"has 2 evolved constants, got 1 values"):
        with_constants(tree, [1.0])


def test_the_simplex_finds_an_optimum_within_its_budget(free):
    tree, asked = parse("add(const(1.0), mul(const(1.0), x))", free), []

    def measure(candidate):
        asked.append(str(candidate))
        first, second = constants_of(candidate)
        return -((first - 0.4) ** 2) - (second + 0.7) ** 2

    best = tune_constants(tree, measure, evaluations=80)
    assert len(asked) <= 80
    assert asked[0] == str(tree)
    assert constants_of(best) == pytest.approx([0.4, -0.7], abs=0.02)
    asked.clear()
    short = tune_constants(tree, measure, evaluations=3)
    assert len(asked) == 3
    assert measure(short) >= measure(tree)


def test_a_measure_that_is_not_finite_is_the_worst(free):
    tree = parse("add(const(1.0), x)", free)
    best = tune_constants(
        tree, lambda one: math.nan if constants_of(one)[0] > 1 else constants_of(one)[0], evaluations=9
    )
    assert constants_of(best)[0] <= 1


def test_nothing_to_tune_costs_nothing(free, tiny_data):
    tree = parse("sin(x)", free)
    assert tune_constants(tree, lambda _: pytest.fail("asked")) == tree
    assert train_constants(Proxy(tiny_data, batch_size=10), tree, 0) == tree
    with pytest.raises(GaafError, match=r"evaluations must be a whole number of at least 1, got 0"):
        tune_constants(tree, len, evaluations=0)


def test_a_tunable_tree_is_the_activation_and_its_constants_have_gradients(free):
    tree = parse("add(const(cadd(0.5, 0.25)), mul(scale(x), sin(mul(const(1.5), shift(x)))))", free)
    shared = [torch.nn.Parameter(torch.tensor(value)) for value in constants_of(tree)]
    module, activation = _Tunable(tree, shared, 3), Activation(tree, 3)
    x = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(module(x), activation(x))
    module(x).sum().backward()
    expected = (x * x * torch.cos(1.5 * x)).sum()  # d/dc of x sin(c x)
    torch.testing.assert_close(shared[2].grad, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(shared[0].grad, torch.tensor(float(x.numel())))
    assert [one.shape for one in module.own] == [(3,), (3,)]


def test_training_moves_constants_and_writes_them_back(free):
    proxy = Proxy(load_data(limit=300), network_settings={"widths": (4, 8)}, epochs=3, batch_size=32)
    tree = parse("add(sin(mul(const(1.5), x)), const(0.3))", free)
    found = train_constants(proxy, tree, 1)
    for now, before in zip(constants_of(found), [1.5, 0.3], strict=True):
        assert 0 < abs(now - before) < 0.2
    assert found == train_constants(proxy, tree, 1)
    assert found != train_constants(proxy, tree, 1, epochs=1)
    assert proxy.train(found, 2).failure is None
    with pytest.raises(GaafError, match=r"epochs must be a whole number from 1 to 3, got 4"):
        train_constants(proxy, tree, 1, epochs=4)
