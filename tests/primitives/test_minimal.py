"""The small set against its formulas, and DEAP's own tools at work on it and on the paper's set."""

import ast
import functools
import math
import operator
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from deap import gp
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gaaf_gp.trees.compile import Activation
from gaaf_gp.trees.individual import Individual
from gaaf_gp.trees.parser import parse
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.trees.tree import check_tree
from gaaf_gp.types import Feature, Scalar
from gaaf_gp.util.randomness import as_global
from primitives import gaaf, minimal

SETS = {"minimal": minimal.make_pset(), "free": gaaf.free()}
MINIMAL = SETS["minimal"]
GENERATORS: list[Callable[..., list[Any]]] = [gp.genFull, gp.genGrow, gp.genHalfAndHalf]
FORMULAS: dict[str, tuple[Callable[..., Any], ...]] = {
    "add": (lambda x, y: x + y, lambda x, _y: 1 + 0 * x, lambda x, _y: 1 + 0 * x),
    "sub": (lambda x, y: x - y, lambda x, _y: 1 + 0 * x, lambda x, _y: -1 + 0 * x),
    "mul": (lambda x, y: x * y, lambda _x, y: y, lambda x, _y: x),
    "sin": (np.sin, np.cos),
    "cos": (np.cos, lambda x: -np.sin(x)),
    "tanh": (np.tanh, lambda x: 1 / np.cosh(x) ** 2),
}


@contextmanager
def float64_by_default() -> Iterator[None]:
    """Make new tensors float64, so that constants keep all their digits."""
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_set_has_six_operators_and_x() -> None:
    assert set(MINIMAL.mapping) == {*FORMULAS, "x"}
    assert MINIMAL.name == "primitives.minimal:make_pset"
    assert minimal.make_pset() is not MINIMAL


@pytest.mark.parametrize("name", FORMULAS)
def test_operators_are_their_formulas(name: str) -> None:
    f, *derivatives = FORMULAS[name]
    leaves = [drawn(100, 3, seed=i).requires_grad_() for i in range(len(derivatives))]
    arrays = [leaf.detach().numpy() for leaf in leaves]
    result = MINIMAL.context[name](*leaves)
    torch.testing.assert_close(result.detach(), torch.from_numpy(f(*arrays)), rtol=1e-12, atol=1e-12)
    for gradient, derivative in zip(torch.autograd.grad(result.sum(), leaves), derivatives, strict=True):
        torch.testing.assert_close(gradient, torch.from_numpy(derivative(*arrays)), rtol=1e-12, atol=1e-12)


def test_flags_are_true() -> None:
    x, y = drawn(200), drawn(200, seed=1)
    for name, (f, *derivatives) in FORMULAS.items():
        commutes = len(derivatives) == 2 and np.array_equal(f(x.numpy(), y.numpy()), f(y.numpy(), x.numpy()))
        assert MINIMAL.traits[name].commutative == commutes
        repeats = len(derivatives) == 1 and np.allclose(f(x.numpy()), f(x.numpy() + 2 * math.pi), rtol=1e-9, atol=1e-9)
        assert MINIMAL.traits[name].periodic == repeats
        assert MINIMAL.traits[name].learnable == ()


def meaning(node: ast.expr, x: Tensor) -> Tensor:
    """Return the value of a formula, whose grammar is Python's; nothing is evaluated."""
    match node:
        case ast.Name(id="x"):
            return x
        case ast.BinOp(left=left, op=op, right=right):
            between = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul}[type(op)]
            result: Tensor = between(meaning(left, x), meaning(right, x))
            return result
        case ast.Call(func=ast.Name(id=name), args=[part]):
            return {"sin": torch.sin, "cos": torch.cos, "tanh": torch.tanh}[name](meaning(part, x))
    raise AssertionError(ast.dump(node))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6))
def test_formulas_mean_what_the_module_computes(seed: int) -> None:
    with as_global(random.Random(seed)):
        tree = Individual(gp.genHalfAndHalf(MINIMAL, 1, 5), MINIMAL)
    x = drawn(40, 2)
    value = meaning(ast.parse(tree.infix(), mode="eval").body, x)
    torch.testing.assert_close(Activation(tree, 2)(x), value, rtol=1e-9, atol=1e-9)


def test_formulas_read_well() -> None:
    tree = parse("sub(add(sin(x), x), sub(mul(add(x, x), tanh(x)), cos(x)))", MINIMAL)
    assert tree.infix() == "sin(x) + x - ((x + x) * tanh(x) - cos(x))"
    assert parse("mul(sub(x, x), cos(x))", MINIMAL).latex() == r"\left(x - x\right) \cdot \cos\left(x\right)"


@pytest.mark.parametrize("name", SETS)
def test_every_type_asked_for_has_primitives_and_terminals(name: str) -> None:
    pset = SETS[name]
    asked = {pset.ret} | {marker for node in pset.mapping.values() for marker in getattr(node, "args", ())}
    assert {marker: bool(pset.primitives[marker] and pset.terminals[marker]) for marker in asked} == dict.fromkeys(
        asked, True
    )


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("generator", GENERATORS)
def test_deaps_generators_always_succeed(name: str, generator: Callable[..., list[Any]]) -> None:
    pset = SETS[name]
    heights = set()
    with as_global(random.Random(1)):
        for i in range(500):
            least = i % 3
            nodes = generator(pset, least, least + 2)
            check_tree(nodes, Feature)
            tree = Individual(nodes, pset)
            heights.add(tree.height)
            assert least <= tree.height <= least + 2
            assert parse(str(tree), pset) == tree
    assert len(heights) > 3


@pytest.mark.parametrize("name", SETS)
def test_deaps_crossover_and_mutation_keep_trees_well_typed(name: str) -> None:
    pset = SETS[name]
    changed = 0
    with as_global(random.Random(2)):
        for _ in range(200):
            parents = [Individual(gp.genGrow(pset, 1, 4), pset) for _ in range(2)]
            texts = [str(parent) for parent in parents]
            children = gp.cxOnePoint(*parents)
            mutant = Individual(gp.genGrow(pset, 1, 4), pset)
            before = str(mutant)
            (mutated,) = gp.mutUniform(mutant, functools.partial(gp.genGrow, min_=0, max_=2), pset)
            for child in (*children, mutated):
                check_tree(child, Feature)
                assert Individual(child, pset) == child
            assert sum(map(len, children)) == sum(map(len, (parse(text, pset) for text in texts)))
            changed += [str(child) for child in children] != texts
            changed += str(mutated) != before
    assert changed > 200


@pytest.mark.parametrize("name", SETS)
def test_deaps_compiler_means_the_same(name: str) -> None:
    pset = SETS[name]
    x = drawn(30, 3)
    seen = 0
    with float64_by_default(), as_global(random.Random(3)):
        while seen < 60:
            tree = Individual(gp.genHalfAndHalf(pset, 1, 4), pset)
            if any(node.name in pset.traits and pset.traits[node.name].learnable for node in tree):
                continue
            seen += 1
            expected = gp.compile(tree, pset)(x).expand_as(x)
            actual = Activation(tree, 3)(x)
            torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-9, equal_nan=True, msg=str(tree))


def test_a_deap_users_calls_work_as_they_are() -> None:
    pset = PrimitiveSet("MAIN", [Feature], Feature)
    pset.addPrimitive(torch.tanh, [Feature], Feature)
    pset.addPrimitive(torch.add, [Feature, Feature], Feature, name="plus")
    pset.addPrimitive(torch.mul, [Feature, Scalar], Feature)
    pset.addPrimitive(torch.mul, [Scalar, Scalar], Scalar, "times")
    pset.addTerminal(0.5, Scalar)
    pset.addTerminal(math.pi, Scalar, name="pi")
    pset.addEphemeralConstant("rand101", functools.partial(random.uniform, -1, 1), Scalar)
    pset.renameArguments(ARG0="x")
    assert pset.terminalRatio == 4 / 8
    x = drawn(20, 2)
    with as_global(random.Random(4)):
        trees = [gp.PrimitiveTree(gp.genHalfAndHalf(pset, min_=1, max_=3)) for _ in range(100)]
    for tree in trees:
        check_tree(tree, Feature)
        assert parse(str(tree), pset) == tree
        with float64_by_default():
            torch.testing.assert_close(Activation(tree, 2, pset)(x), naive(tree, x), rtol=1e-12, atol=1e-12)
    tree = gp.PrimitiveTree(parse("plus(mul(tanh(x), pi), mul(x, 0.25))", pset))
    torch.testing.assert_close(gp.compile(tree, pset)(x), torch.tanh(x) * math.pi + 0.25 * x)


def naive(tree: gp.PrimitiveTree, x: Tensor) -> Tensor:
    nodes = iter(tree)
    functions: dict[str, Callable[..., Tensor]] = {
        "tanh": torch.tanh,
        "plus": torch.add,
        "mul": torch.mul,
        "times": torch.mul,
    }

    def walk() -> Tensor:
        node = next(nodes)
        if node.arity:
            result: Tensor = functions[node.name](*(walk() for _ in range(node.arity)))
            return result
        return x if node.name == "x" else torch.tensor(math.pi if node.name == "pi" else node.value)

    return walk()
