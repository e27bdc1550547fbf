"""Compiled trees against a plain recursive evaluator, and what the straight-line code shares, folds and learns."""

import copy
import functools
import io
import math
import pickle
import random
import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from deap import gp
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from gaaf_gp.errors import GaafError
from gaaf_gp.trees.compile import Activation, evaluate, formula
from gaaf_gp.trees.individual import Individual
from gaaf_gp.trees.parser import parse
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.types import Feature, Scalar
from gaaf_gp.util.randomness import as_global
from primitives import gaaf, minimal, template

SETS = {"free": gaaf.free(), "minimal": minimal.make_pset(), "template": template.make_pset()}
FREE = SETS["free"]
CHANNELS = 3


def in_float64(*arguments: Any) -> Activation:
    """Compile with float64 parameters and buffers from the start, so that constants keep all their digits."""
    torch.set_default_dtype(torch.float64)
    try:
        return Activation(*arguments)
    finally:
        torch.set_default_dtype(torch.float32)


def inputs(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def grown(pset: PrimitiveSet, seed: int, height: int = 5) -> Individual:
    """A random tree, drawn here: any node that fits, terminals only at the bottom."""
    rng = random.Random(seed)

    def draw(marker: type, room: int) -> list[Any]:
        calls, leaves = pset.primitives.get(marker, []), pset.terminals.get(marker, [])
        if not calls or (leaves and (room <= 0 or rng.random() < 0.2)):
            return [pset.draw(rng.choice(leaves), rng)]
        node = rng.choice(calls)
        return [node, *(piece for argument in node.args for piece in draw(argument, room - 1))]

    return Individual(draw(Feature, height), pset)


def naive(tree: gp.PrimitiveTree, pset: gp.PrimitiveSetTyped, x: Tensor, vectors: Sequence[Tensor] = ()) -> Tensor:
    """Evaluate by recursion, one call per node, taking learnable vectors in depth-first order."""
    nodes, unused = iter(tree), iter(vectors)

    def walk() -> Tensor:
        node = next(nodes)
        traits = getattr(pset, "traits", {}).get(node.name)
        own = [next(unused) for _ in traits.learnable] if traits else []
        if node.arity:
            result: Tensor = pset.context[node.name](*(walk() for _ in range(node.arity)), *own)
            return result
        if own:
            return own[0]
        number = pset.context.get(node.value, node.value)
        return x if node.value in pset.arguments else torch.tensor(float(number), dtype=x.dtype)

    return walk().expand_as(x)


def vectors_of(activation: Activation, x: Tensor) -> list[Tensor]:
    """Fresh leaves holding the parameters, shaped to broadcast over ``x``."""
    shape = (1, -1) + (1,) * (x.dim() - 2)
    return [p.detach().to(x.dtype).view(shape).clone().requires_grad_() for p in activation.parameters()]


def trained(activation: Activation, seed: int = 1) -> Activation:
    """The same module with other values in its parameters, as if training had moved them."""
    with torch.no_grad():
        for i, parameter in enumerate(activation.parameters()):
            parameter.add_(0.3 * inputs(*parameter.shape, seed=seed + i).to(parameter.dtype))
    return activation


def assert_close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=1e-7, atol=1e-9, equal_nan=True)


@pytest.mark.parametrize("name", SETS)
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), shape=st.sampled_from([(40, CHANNELS), (6, CHANNELS, 3, 2), (5, CHANNELS, 4)]))
def test_a_module_is_its_tree_forward_and_backward(name: str, seed: int, shape: tuple[int, ...]) -> None:
    tree = grown(SETS[name], seed)
    activation = trained(in_float64(tree, CHANNELS))
    x = inputs(*shape, seed=seed).requires_grad_()
    vectors = vectors_of(activation, x)
    expected, actual = naive(tree, tree.pset, x, vectors), activation(x)
    assert actual.shape == x.shape
    assert actual.dtype == torch.float64
    assert_close(actual, expected)
    wanted = [x, *vectors]
    if not expected.requires_grad:
        assert not actual.requires_grad
        return
    gradients = torch.autograd.grad(expected.sum(), wanted, allow_unused=True, materialize_grads=True)
    own = torch.autograd.grad(actual.sum(), [x, *activation.parameters()], allow_unused=True, materialize_grads=True)
    for mine, theirs in zip(own, gradients, strict=True):
        scale = theirs.abs().nan_to_num(0, 0, 0).max().clamp(min=1.0)
        assert_close(mine.flatten() / scale, theirs.flatten() / scale)


@pytest.mark.parametrize("name", SETS)
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), shape=st.sampled_from([(64, 1), (4, CHANNELS, 3, 2)]))
def test_evaluation_without_a_module_is_the_same_bit_for_bit(name: str, seed: int, shape: tuple[int, ...]) -> None:
    tree = grown(SETS[name], seed)
    activation = trained(Activation(tree, shape[1]))
    x = inputs(*shape, seed=seed, dtype=torch.float32).requires_grad_()
    vectors = vectors_of(activation, x)
    actual, expected = evaluate(tree, tree.pset, x, vectors), activation(x)
    torch.testing.assert_close(actual, expected, rtol=0, atol=0, equal_nan=True)
    assert actual.requires_grad == expected.requires_grad
    if actual.requires_grad:
        wanted = [x, *activation.parameters()]
        theirs = torch.autograd.grad(expected.sum(), wanted, allow_unused=True, materialize_grads=True)
        mine = torch.autograd.grad(actual.sum(), [x, *vectors], allow_unused=True, materialize_grads=True)
        for one, other in zip(mine, theirs, strict=True):
            torch.testing.assert_close(one.view_as(other), other, rtol=0, atol=0, equal_nan=True)


def distinct_values(tree: Individual) -> tuple[int, int, int]:
    """Count the distinct computed subexpressions, the constants they use, and the learnable vectors, by recursion."""
    nodes = iter(enumerate(tree))
    lines: set[str] = set()
    constants: set[str] = set()
    vectors = 0

    def used(part: str | float) -> str:
        if isinstance(part, float):
            constants.add(repr(part))
        return repr(part)

    def walk() -> str | float:
        nonlocal vectors
        index, node = next(nodes)
        traits = tree.pset.traits.get(node.name)
        vectors += len(traits.learnable) if traits else 0
        mark = f"#{index}" if traits and traits.learnable else ""
        parts = [walk() for _ in range(node.arity)]
        if node.arity == 0:
            return node.name + mark if traits else float(node.value)
        if not mark and all(isinstance(part, float) for part in parts):
            return float(tree.pset.context[node.name](*(torch.tensor(p, dtype=torch.float64) for p in parts)))
        texts = [used(part) for part in parts]
        key = f"{node.name}{mark}{sorted(texts) if traits and traits.commutative else texts}"
        lines.add(key)
        return key

    used(walk())
    return len(lines), len(constants), vectors


@pytest.mark.parametrize("name", SETS)
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_code_has_a_line_for_each_distinct_subexpression(name: str, seed: int) -> None:
    activation = Activation(grown(SETS[name], seed, height=6), CHANNELS)
    lines = re.findall(r"^ +\w+ = ", activation.code, flags=re.MULTILINE)
    found = (len(lines), len(list(activation.buffers())), len(list(activation.parameters())))
    assert found == distinct_values(activation.tree)


@pytest.mark.parametrize(
    ("text", "call", "times"),
    [
        ("add(sin(x), sin(x))", "torch.sin(", 1),
        ("mul(sin(cos(x)), sub(sin(cos(x)), cos(x)))", "torch.cos(", 1),
        ("mul(sin(cos(x)), sub(sin(cos(x)), cos(x)))", "torch.sin(", 1),
        ("sub(add(x, sin(x)), add(sin(x), x))", "torch.add(", 1),
        ("add(sub(x, sin(x)), sub(sin(x), x))", "torch.sub(", 2),
        ("add(scale(x), scale(x))", "operators_scale(", 2),
        ("add(sin(scale(x)), sin(scale(x)))", "torch.sin(", 2),
        ("add(mix(x, sin(x)), mix(x, sin(x)))", "operators_mix(", 2),
        ("add(mix(x, sin(x)), mix(x, sin(x)))", "torch.sin(", 1),
        ("max(sin(const(0.5)), const(cmul(2.0, cadd(1.0, 3.0))))", "torch.", 0),
        ("mul(x, add(sin(const(0.5)), const(1.0)))", "torch.", 1),
    ],
)
def test_shared_parts_are_written_once_and_learnables_never_merged(text: str, call: str, times: int) -> None:
    assert Activation(text, CHANNELS, FREE).code.count(call) == times


def test_learnables_that_look_alike_learn_apart() -> None:
    activation = Activation("add(scale(x), mul(scale(x), x))", CHANNELS, FREE)
    x = inputs(50, CHANNELS, dtype=torch.float32)
    activation(x).sum().backward()
    first, second = (parameter.grad for parameter in activation.parameters())
    torch.testing.assert_close(first, x.sum(0))
    torch.testing.assert_close(second, (x * x).sum(0))


def test_constants_are_folded_in_float64() -> None:
    activation = Activation("add(mul(x, sin(const(0.5))), const(cadd(cmul(2.0, 3.0), -1.5)))", CHANNELS, FREE)
    assert sorted(buffer.item() for buffer in activation.buffers()) == pytest.approx([math.sin(0.5), 4.5], abs=1e-7)
    both = Activation("add(mul(x, const(0.5)), const(cadd(0.25, 0.25)))", CHANNELS, FREE)
    assert [buffer.item() for buffer in both.buffers()] == [0.5]
    # In float32 the sum would lose the small part before it is multiplied.
    exact = Activation("add(x, const(cmul(1e8, cadd(cadd(1.0, 1e-8), -1.0))))", 1, FREE)
    assert exact(torch.zeros(1, 1)).item() == pytest.approx(1.0, abs=1e-6)


def test_zero_and_minus_zero_are_two_constants() -> None:
    activation = Activation("add(mul(x, const(0.0)), mul(x, const(-0.0)))", CHANNELS, FREE)
    assert {str(buffer.item()) for buffer in activation.buffers()} == {"0.0", "-0.0"}


def test_parameters_are_numbered_in_depth_first_order_and_start_as_declared() -> None:
    activation = Activation("mix(shift(channel(x)), shift(scale(shift(x))))", CHANNELS, FREE)
    state = activation.state_dict()
    assert list(state) == [f"s{i}" for i in range(6)]
    assert [value.tolist() for value in state.values()] == [[start] * CHANNELS for start in (1.0, 0, 1, 0, 1, 0)]
    assert all(isinstance(parameter, nn.Parameter) for parameter in activation.parameters())
    with torch.no_grad():
        for i, parameter in enumerate(activation.parameters()):
            parameter.fill_(10.0**-i)
    # mix: s0*(s2 + s1) + (1 - s0)*(s4*(x + s5) + s3), with s0 = 1 the second part is off.
    assert activation(torch.zeros(1, CHANNELS)).tolist()[0] == pytest.approx([0.11] * CHANNELS)


def test_a_function_with_two_vectors_gets_both() -> None:
    pset = PrimitiveSet("affine")
    pset.addPrimitive(affine, [Feature], Feature, learnable=(2.0, -1.0))
    activation = Activation("affine(affine(x))", CHANNELS, pset)
    assert [p.tolist() for p in activation.parameters()] == [[start] * CHANNELS for start in (2.0, -1.0, 2.0, -1.0)]
    x = inputs(4, CHANNELS, dtype=torch.float32)
    torch.testing.assert_close(activation(x), 2 * (2 * x - 1) - 1)
    assert formula(activation.tree, pset) == "affine(affine(x, s2, s3), s0, s1)"


def affine(x: Tensor, s: Tensor, t: Tensor) -> Tensor:
    return s * x + t


def test_a_primitive_may_be_called_anything() -> None:
    pset = gaaf.free()
    for name in ("learnable", "number", "argument", "forward", "self", "torch", "s0", "c0", "getattr"):
        pset.addPrimitive(torch.tanh, [Feature], Feature, name)
    text = "learnable(number(argument(forward(self(torch(s0(c0(getattr(scale(mul(x, const(0.5))))))))))))"
    x = inputs(4, CHANNELS)
    expected = 0.5 * x
    for _ in range(9):
        expected = torch.tanh(expected)
    assert_close(Activation(text, CHANNELS, pset)(x), expected)


LEARNING = "add(mix(sin(scale(x)), const(0.3)), shift(channel(x)))"


def test_a_state_dict_goes_round() -> None:
    one = trained(Activation(LEARNING, CHANNELS, FREE))
    other = Activation(LEARNING, CHANNELS, FREE)
    x = inputs(5, CHANNELS, dtype=torch.float32)
    assert not torch.equal(other(x), one(x))
    assert list(other.state_dict()) == ["s0", "s1", "s2", "s3", "c0"]
    other.load_state_dict(one.state_dict())
    assert torch.equal(other(x), one(x))
    saved = io.BytesIO()
    torch.save(one.state_dict(), saved)
    saved.seek(0)
    assert set(torch.load(saved, weights_only=True)) == set(one.state_dict())


def pickled(activation: Activation) -> Any:
    return pickle.loads(pickle.dumps(activation))


@pytest.mark.parametrize("duplicate", [copy.deepcopy, pickled])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_copy_keeps_what_was_learned_and_learns_alone(
    duplicate: Callable[[Activation], Activation], dtype: torch.dtype
) -> None:
    one = trained(Activation(LEARNING, CHANNELS, FREE)).to(dtype).eval()
    x = inputs(5, CHANNELS, 2, 2, dtype=dtype)
    before = one(x).detach().clone()
    twin = duplicate(one)
    assert torch.equal(twin(x), before)
    assert (twin.code, repr(twin), twin.training, twin.tree) == (one.code, repr(one), False, one.tree)
    trained(twin, seed=7)
    assert torch.equal(one(x), before)
    assert not torch.equal(twin(x), before)
    trained(one, seed=9)
    twin(x).sum().backward()
    assert all(p.grad is None for p in one.parameters())
    assert all(p.grad is not None for p in twin.parameters())


def test_it_works_inside_a_network_that_is_copied() -> None:
    network = nn.Sequential(nn.Linear(4, CHANNELS), trained(Activation(LEARNING, CHANNELS, FREE)))
    twin = copy.deepcopy(network)
    x = inputs(5, 4, dtype=torch.float32)
    assert torch.equal(twin(x), network(x))
    assert len(list(network.parameters())) == 6


@pytest.mark.parametrize(
    ("module", "data", "tolerance"),
    [
        (torch.bfloat16, torch.bfloat16, 0.06),
        (torch.float32, torch.bfloat16, 0.06),
        (torch.float32, torch.float16, 0.006),
        (torch.float32, torch.float64, 1e-7),
        (torch.float64, torch.float64, 1e-7),
    ],
)
def test_the_output_has_the_dtype_of_the_input(module: torch.dtype, data: torch.dtype, tolerance: float) -> None:
    activation = trained(Activation(LEARNING, CHANNELS, FREE)).to(module)
    assert {value.dtype for value in activation.state_dict().values()} == {module}
    x = inputs(50, CHANNELS, dtype=data).requires_grad_()
    result = activation(x)
    assert result.dtype == data
    s = [parameter.detach().double() for parameter in activation.parameters()]
    expected = s[0] * torch.sin(s[1] * x.detach().double()) + (1 - s[0]) * 0.3 + (s[3] + s[2])
    torch.testing.assert_close(result.double(), expected, atol=tolerance, rtol=0)
    result.float().sum().backward()
    assert [getattr(p.grad, "dtype", None) for p in activation.parameters()] == [module] * 4
    assert getattr(x.grad, "dtype", None) == data


@pytest.mark.parametrize("shape", [(6, CHANNELS, 5), (6, CHANNELS, 2, 5), (6, CHANNELS, 2, 2, 2)])
def test_space_dimensions_are_more_of_the_batch(shape: tuple[int, ...]) -> None:
    activation = trained(Activation(LEARNING, CHANNELS, FREE)).double()
    x = inputs(*shape)
    flat = x.movedim(1, -1).reshape(-1, CHANNELS)
    assert_close(activation(x).movedim(1, -1).reshape(-1, CHANNELS), activation(flat))


@pytest.mark.parametrize("shape", [(4, CHANNELS), (2, CHANNELS, 3, 3)])
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("const(0.25)", 0.25),
        ("zero(x)", 0.0),
        ("zero(const(2.0))", 0.0),
        ("channel(const(2.0))", 1.0),
        ("channel(x)", 1.0),
    ],
)
def test_a_tree_without_x_fills_the_shape(text: str, value: float, shape: tuple[int, ...]) -> None:
    result = Activation(text, CHANNELS, FREE)(inputs(*shape, dtype=torch.bfloat16))
    assert result.dtype == torch.bfloat16
    assert result.shape == shape
    assert torch.equal(result, torch.full(shape, value, dtype=torch.bfloat16))


def test_a_lonely_vector_is_learned_per_channel() -> None:
    activation = Activation("channel(const(2.0))", CHANNELS, FREE)
    activation(torch.zeros(2, CHANNELS, 4, 4)).sum().backward()
    (vector,) = activation.parameters()
    assert vector.grad is not None
    assert vector.grad.tolist() == [32.0] * CHANNELS


def test_a_bare_argument_is_the_identity() -> None:
    x = inputs(2, CHANNELS)
    assert Activation("x", CHANNELS, FREE)(x) is x


def test_a_tree_of_3000_levels_runs() -> None:
    pset = SETS["minimal"]
    levels = 3000
    tree = Individual([pset.mapping["sin" if i % 3 else "tanh"] for i in range(levels)] + [pset.mapping["x"]], pset)
    activation = Activation(tree, CHANNELS)
    x = inputs(4, CHANNELS).requires_grad_()
    expected = x.detach().clone().requires_grad_()
    value = expected
    for i in reversed(range(levels)):
        value = torch.sin(value) if i % 3 else torch.tanh(value)
    result = activation(x)
    assert_close(result, value)
    assert_close(torch.autograd.grad(result.sum(), x)[0], torch.autograd.grad(value.sum(), expected)[0])
    assert repr(activation).count("(") == levels + 1
    assert torch.equal(copy.deepcopy(activation)(x), result)


def test_a_shared_part_is_computed_once_however_often_it_stands() -> None:
    pset = SETS["minimal"]
    x = [pset.mapping["x"]]
    content = x
    for _ in range(12):
        content = [pset.mapping["mul"], pset.mapping["sin"], *content, pset.mapping["cos"], *content]
    activation = Activation(Individual(content, pset), 1)
    value = expected = inputs(20, 1)
    for _ in range(12):
        expected = torch.sin(expected) * torch.cos(expected)
    assert len(content) > 10_000
    assert activation.code.count("torch.mul(") == 12
    assert_close(activation(value), expected)


def power(base: Tensor, exponent: float) -> Tensor:
    return torch.abs(base) ** exponent


def stock() -> gp.PrimitiveSet:
    pset = gp.PrimitiveSet("stock", 1)
    pset.addPrimitive(torch.add, 2)
    pset.addPrimitive(lambda x, y: x * y, 2, name="times")
    pset.addPrimitive(lambda x: torch.sin(x) + 1, 1, name="wave")
    pset.addPrimitive(functools.partial(power, exponent=1.5), 1, name="power")
    pset.addPrimitive(torch.nn.Tanh(), 1, name="squash")
    pset.addTerminal(math.pi, name="pi")
    pset.addTerminal(0.5)
    pset.addTerminal(True)
    pset.addEphemeralConstant("draw", functools.partial(random.uniform, -1, 1))
    pset.renameArguments(ARG0="x")
    return pset


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_a_stock_tree_of_a_stock_set_runs(seed: int) -> None:
    pset = stock()
    with as_global(random.Random(seed)):
        tree = gp.PrimitiveTree(gp.genHalfAndHalf(pset, 1, 5))
    x = inputs(30, CHANNELS)
    activation = in_float64(tree, CHANNELS, pset)
    assert_close(activation(x), naive(tree, pset, x))
    assert repr(activation) == f"Activation({tree}, channels=3)"
    assert torch.equal(copy.deepcopy(activation)(x), activation(x))


def test_a_stock_tree_means_what_deap_means() -> None:
    pset = stock()
    names = ["times", "add", "wave", "x", "pi", "add", "power", "x", "times", "0.5", "squash", "x"]
    tree = gp.PrimitiveTree([pset.mapping[name] for name in names])
    x = inputs(30, CHANNELS)
    expected = (torch.sin(x) + 1 + math.pi) * (x.abs() ** 1.5 + 0.5 * torch.tanh(x))
    assert_close(gp.compile(tree, pset)(x), expected)
    assert_close(in_float64(tree, CHANNELS, pset)(x), expected)


def test_two_nameless_functions_stay_two() -> None:
    pset = stock()
    tree = gp.PrimitiveTree([pset.mapping[name] for name in ("times", "wave", "x", "power", "x")])
    x = inputs(20, CHANNELS)
    assert_close(Activation(tree, CHANNELS, pset)(x), (torch.sin(x) + 1) * x.abs() ** 1.5)
    stock_tree = Activation(gp.PrimitiveTree(parse("add(sin(x), x)", FREE)), CHANNELS, FREE)
    assert_close(stock_tree(x), torch.sin(x) + x)


@pytest.mark.parametrize("channels", [0, -1, True, False, 2.0, "3", None])
def test_channels_must_be_a_positive_whole_number(channels: Any) -> None:
    with pytest.raises(GaafError, match=rf"channels must be a whole number of at least 1, got {channels!r}: give"):
        Activation("x", channels, FREE)


def test_a_tree_without_its_set_is_refused() -> None:
    with pytest.raises(GaafError, match="must know the primitive set of its tree, got none: pass pset="):
        Activation("sin(x)", CHANNELS)
    with pytest.raises(GaafError, match="pass pset="):
        Activation(gp.PrimitiveTree(parse("sin(x)", FREE)), CHANNELS)


@pytest.mark.parametrize("names", [(), ("x", "y"), ("x", "y", "z")])
def test_a_set_must_have_one_argument(names: tuple[str, ...]) -> None:
    pset = PrimitiveSet("other", (Feature,) * len(names), arguments=names)
    with pytest.raises(GaafError, match=rf"one argument, but set 'other' has {len(names)}: {', '.join(names)}$"):
        Activation("x", CHANNELS, pset)


def test_text_needs_a_set_that_reads_it() -> None:
    with pytest.raises(GaafError, match="PrimitiveSet"):
        Activation("wave(x)", CHANNELS, stock())
    with pytest.raises(GaafError, match="'wave' is not in set"):
        Activation("wave(x)", CHANNELS, FREE)


def test_a_representation_shows_the_formula() -> None:
    assert repr(Activation("add(sin(x), scale(square(x)))", 16, FREE)) == "Activation(sin(x) + s0 * x^2, channels=16)"
    assert formula(parse("mul(x, const(-0.5))", FREE), FREE) == "x * (-0.5)"
    assert formula(parse("sin(x)", SETS["minimal"]), stock()) == "sin(x)"


def test_a_set_given_replaces_that_of_the_tree() -> None:
    other = PrimitiveSet("other")
    other.addPrimitive(torch.cos, [Feature], Feature, "sin")
    other.addTerminal(1.0, Scalar)
    x = inputs(9, CHANNELS)
    assert_close(Activation(parse("sin(x)", FREE), CHANNELS, other)(x), torch.cos(x))


@pytest.mark.parametrize("shape", [(2, 3, 4, 4), (2,), ()])
def test_inputs_of_another_number_of_channels_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(GaafError, match=r"an activation of 5 channel\(s\) takes inputs of shape \(N, 5, \.\.\.\), got"):
        Activation("scale(x)", 5, FREE)(torch.zeros(shape))
