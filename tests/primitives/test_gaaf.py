"""The paper's operators against formulas written out in numpy, their flags, their formulas as text, and genotypes."""

import ast
import itertools
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.mathtext import MathTextParser
from torch import Tensor

from gaaf_gp.errors import GaafError
from gaaf_gp.trees.compile import Activation
from gaaf_gp.trees.individual import Individual
from gaaf_gp.trees.parser import parse
from gaaf_gp.trees.tree import Constant
from gaaf_gp.types import Feature, Scalar
from primitives import gaaf, minimal

Array = np.ndarray[Any, np.dtype[np.float64]]
Formula = Callable[..., Array]

PSET = gaaf.free()
E = 1e-8
erf = np.vectorize(math.erf, otypes=[np.float64])
erfc = np.vectorize(math.erfc, otypes=[np.float64])


def sig(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def bell(x: Array) -> Array:
    return np.exp(-(x**2))


def one(x: Array) -> Array:
    return np.ones_like(x)


# In the paper's order: name, f(x), f'(x).
UNARY: list[tuple[str, Formula, Formula]] = [
    ("identity", lambda x: x, one),
    ("zero", lambda x: 0 * x, lambda x: 0 * x),
    ("square", lambda x: x**2, lambda x: 2 * x),
    ("cube", lambda x: x**3, lambda x: 3 * x**2),
    ("signed_sqrt", lambda x: np.sign(x) * np.sqrt(np.abs(x) + E), lambda x: 0.5 / np.sqrt(np.abs(x) + E)),
    ("log_abs", lambda x: np.log(np.abs(x) + E), lambda x: np.sign(x) / (np.abs(x) + E)),
    ("sin", np.sin, np.cos),
    ("cos", np.cos, lambda x: -np.sin(x)),
    ("sigmoid", sig, lambda x: sig(x) * sig(-x)),
    ("tan", np.tan, lambda x: 1 / np.cos(x) ** 2),
    ("atan", np.arctan, lambda x: 1 / (1 + x**2)),
    ("erf", erf, lambda x: 2 / math.sqrt(math.pi) * bell(x)),
    ("erfc", erfc, lambda x: -2 / math.sqrt(math.pi) * bell(x)),
    ("exp_neg_abs", lambda x: np.exp(-np.abs(x) + E), lambda x: -np.sign(x) * np.exp(-np.abs(x) + E)),
    ("gauss", bell, lambda x: -2 * x * bell(x)),
    ("positive", lambda x: np.maximum(x, 0), lambda x: 1.0 * (x > 0)),
    ("negative", lambda x: np.minimum(x, 0), lambda x: 1.0 * (x < 0)),
    ("abs", np.abs, np.sign),
    ("neg", lambda x: -x, lambda x: -one(x)),
]
# The same with a learnable s: name, initial s, f(x, s), df/dx, df/ds.
UNARY_LEARNABLE: list[tuple[str, float, Formula, Formula, Formula]] = [
    ("scale", 1.0, lambda x, s: s * x, lambda x, s: s + 0 * x, lambda x, s: x + 0 * s),
    ("shift", 0.0, lambda x, s: x + s, lambda x, s: one(x + s), lambda x, s: one(x + s)),
    ("channel", 1.0, lambda x, s: s + 0 * x, lambda x, s: 0 * (x + s), lambda x, s: one(x + s)),
]
# Name, f(x, y), df/dx, df/dy.
BINARY: list[tuple[str, Formula, Formula, Formula]] = [
    ("add", lambda x, y: x + y, lambda x, _y: one(x), lambda x, _y: one(x)),
    ("sub", lambda x, y: x - y, lambda x, _y: one(x), lambda x, _y: -one(x)),
    ("mul", lambda x, y: x * y, lambda _x, y: y, lambda x, _y: x),
    ("div", lambda x, y: x / (y + E), lambda _x, y: 1 / (y + E), lambda x, y: -x / (y + E) ** 2),
    (
        "ratio",
        lambda x, y: x / (x + y + E),
        lambda x, y: (y + E) / (x + y + E) ** 2,
        lambda x, y: -x / (x + y + E) ** 2,
    ),
    ("max", np.maximum, lambda x, y: 1.0 * (x > y), lambda x, y: 1.0 * (x < y)),
    ("min", np.minimum, lambda x, y: 1.0 * (x < y), lambda x, y: 1.0 * (x > y)),
    ("gate", lambda x, y: x * sig(y), lambda _x, y: sig(y), lambda x, y: x * sig(y) * sig(-y)),
    (
        "gauss_distance",
        lambda x, y: bell(x - y),
        lambda x, y: -2 * (x - y) * bell(x - y),
        lambda x, y: 2 * (x - y) * bell(x - y),
    ),
    (
        "exp_distance",
        lambda x, y: np.exp(-np.abs(x - y)),
        lambda x, y: -np.sign(x - y) * np.exp(-np.abs(x - y)),
        lambda x, y: np.sign(x - y) * np.exp(-np.abs(x - y)),
    ),
]
CALLS: dict[str, Formula] = {
    **{name: f for name, f, _ in UNARY},
    **{name: (lambda x, f=f, s=s: f(x, s)) for name, s, f, _, _ in UNARY_LEARNABLE},
    **{name: f for name, f, _, _ in BINARY},
    "mix": lambda x, y: 1.0 * x + (1 - 1.0) * y,
}
U = [name for name, *_ in UNARY] + [name for name, *_ in UNARY_LEARNABLE]
B = [*(name for name, *_ in BINARY), "mix"]


def drawn(*shape: int, seed: int = 0) -> Tensor:
    """Inputs around zero; none of them lies on a kink."""
    return 2 * torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def assert_same(actual: Tensor, expected: Array, tolerance: float = 1e-12) -> None:
    wanted = torch.from_numpy(np.broadcast_to(expected, tuple(actual.shape)).copy())
    torch.testing.assert_close(actual.detach(), wanted, rtol=tolerance, atol=tolerance)


def assert_operator(name: str, f: Formula, derivatives: Sequence[Formula], arguments: Sequence[Tensor]) -> None:
    leaves = [argument.clone().requires_grad_() for argument in arguments]
    arrays = [argument.numpy() for argument in arguments]
    result = PSET.context[name](*leaves)
    assert_same(result, f(*arrays))
    weights = drawn(*result.shape, seed=9)
    gradients: list[Tensor | None] = [None] * len(leaves)
    if result.requires_grad:
        gradients = list(torch.autograd.grad((weights * result).sum(), leaves, allow_unused=True))
    for leaf, gradient, derivative in zip(leaves, gradients, derivatives, strict=True):
        full = torch.from_numpy(np.broadcast_to(derivative(*arrays), tuple(result.shape)).copy())
        expected = (weights * full).sum_to_size(leaf.shape)
        assert_same(torch.zeros_like(leaf) if gradient is None else gradient, expected.numpy(), 1e-10)


def test_the_order_is_the_papers() -> None:
    assert tuple(U) == gaaf.UNARY
    assert tuple(B) == gaaf.BINARY
    assert (len(gaaf.UNARY), len(gaaf.BINARY)) == (22, 11)
    assert set(PSET.mapping) == {*U, *B, "const", "cadd", "cmul", "x", "c"}


@pytest.mark.parametrize(("name", "f", "derivative"), UNARY, ids=[row[0] for row in UNARY])
def test_unary_operators_are_their_formulas(name: str, f: Formula, derivative: Formula) -> None:
    assert_operator(name, f, [derivative], [drawn(200, 3)])
    special = torch.tensor([0.0, 1.0, -1.0, 30.0, -30.0, 1e-9], dtype=torch.float64)
    assert_same(PSET.context[name](special), f(special.numpy()))
    assert PSET.traits[name].learnable == ()


@pytest.mark.parametrize(("name", "initial", "f", "by_x", "by_s"), UNARY_LEARNABLE)
def test_learnable_operators_are_their_formulas(
    name: str, initial: float, f: Formula, by_x: Formula, by_s: Formula
) -> None:
    assert_operator(name, f, [by_x, by_s], [drawn(20, 3, 2, 2), drawn(1, 3, 1, 1, seed=1)])
    assert PSET.traits[name].learnable == (initial,)
    assert Activation(f"{name}(x)", 3, PSET).state_dict()["s0"].tolist() == [initial] * 3


@pytest.mark.parametrize(("name", "f", "by_x", "by_y"), BINARY, ids=[row[0] for row in BINARY])
def test_binary_operators_are_their_formulas(name: str, f: Formula, by_x: Formula, by_y: Formula) -> None:
    assert_operator(name, f, [by_x, by_y], [drawn(200, 3), drawn(200, 3, seed=1)])
    pairs = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, -1.0], [2.0, 2.0]], dtype=torch.float64)
    assert_same(PSET.context[name](pairs[:, 0], pairs[:, 1]), f(pairs[:, 0].numpy(), pairs[:, 1].numpy()))
    assert PSET.traits[name].learnable == ()


def test_a_mixture_is_its_formula_and_starts_at_its_first_part() -> None:
    assert_operator(
        "mix",
        lambda x, y, s: s * x + (1 - s) * y,
        [lambda _x, _y, s: s, lambda _x, _y, s: 1 - s, lambda x, y, _s: x - y],
        [drawn(20, 3, 2, 2), drawn(20, 3, 2, 2, seed=1), drawn(1, 3, 1, 1, seed=2)],
    )
    assert PSET.traits["mix"].learnable == (1.0,)
    x = drawn(4, 3)
    assert_same(Activation("mix(sin(x), cos(x))", 3, PSET)(x), np.sin(x.numpy()))


def test_learnables_move_one_channel_each() -> None:
    x = drawn(20, 3, 2, 2)
    activation = Activation("mix(scale(x), shift(channel(x)))", 3, PSET).double()
    s = [drawn(3, seed=i) for i in range(4)]
    activation.load_state_dict({f"s{i}": value for i, value in enumerate(s)})
    a, b, c, d = (value.numpy().reshape(1, 3, 1, 1) for value in s)
    assert_same(activation(x), a * (b * x.numpy()) + (1 - a) * (d + c))


def test_scalars_are_numbers_with_sums_and_products() -> None:
    a, b = torch.tensor(0.3, dtype=torch.float64), torch.tensor(-1.7, dtype=torch.float64)
    assert PSET.context["cadd"](a, b).item() == 0.3 + -1.7
    assert PSET.context["cmul"](a, b).item() == 0.3 * -1.7
    assert PSET.context["const"](a) is a
    assert PSET.context["const"](0.25).item() == 0.25
    assert [PSET.mapping[n].args for n in ("const", "cadd", "cmul")] == [[Scalar], [Scalar, Scalar], [Scalar, Scalar]]
    assert [PSET.mapping[n].ret for n in ("const", "cadd", "cmul")] == [Feature, Scalar, Scalar]
    x = drawn(4, 3)
    activation = Activation("add(x, const(cmul(cadd(1.5, -0.25), 2.0)))", 3, PSET)
    assert_same(activation(x), x.numpy() + 2.5)


def test_evolved_constants_are_short_numbers_between_two_and_two() -> None:
    values = [gaaf.random_constant() for _ in range(500)]
    assert all(-2 <= value <= 2 and value == round(value, 3) for value in values)
    assert len(set(values)) > 300


@pytest.mark.parametrize(("name", "period"), [("sin", 2 * math.pi), ("cos", 2 * math.pi), ("tan", math.pi)])
def test_periodic_operators_repeat(name: str, period: float) -> None:
    assert PSET.traits[name].periodic
    x = drawn(500)
    for times in (1, -1, 5):
        torch.testing.assert_close(PSET.context[name](x + times * period), PSET.context[name](x), rtol=1e-6, atol=1e-9)


def test_no_other_operator_is_called_periodic() -> None:
    assert {name for name, traits in PSET.traits.items() if traits.periodic} == {"sin", "cos", "tan"}


@pytest.mark.parametrize("name", [*B, "cadd", "cmul"])
def test_an_operator_is_called_commutative_if_it_is(name: str) -> None:
    x, y = drawn(200), drawn(200, seed=1)
    own = [torch.tensor(start) for start in PSET.traits[name].learnable]
    swapped = torch.equal(PSET.context[name](x, y, *own), PSET.context[name](y, x, *own))
    assert PSET.traits[name].commutative == swapped


def plain(text: str) -> ast.expr:
    """Read a formula: bars become calls, powers Python's, and the rest is Python's grammar; nothing is evaluated."""
    words: list[str] = []
    operand = True
    for token in re.findall(r"ln\||\||\d+\.?\d*(?:e-?\d+)?|\w+|\S", text):
        if token in ("|", "ln|") and operand:
            words.append("ln_abs(" if token == "ln|" else "abs(")
        else:
            words.append({"|": ")", "^": "**"}.get(token, token))
            operand = token in "+-*/^(,["
    return ast.parse("".join(words), mode="eval").body


PARTS: dict[str, Callable[..., Tensor]] = {
    "ln_abs": lambda x: torch.log(torch.abs(x) + E),
    "exp": torch.exp,
    "abs": torch.abs,
    "sin": torch.sin,
    "cos": torch.cos,
    "tan": torch.tan,
    "atan": torch.atan,
    "erf": torch.erf,
    "erfc": torch.erfc,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "zero": lambda x: 0 * x,
    "signed_sqrt": lambda x: torch.sign(x) * torch.sqrt(torch.abs(x) + E),
    "max": torch.maximum,
    "min": torch.minimum,
    "ratio": lambda x, y: x / (x + y + E),
}
BETWEEN: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: lambda x, y: x / (y + E),
    ast.Pow: lambda x, n: x * x if n == 2 else x * x * x,
}


def meaning(node: ast.expr, names: Mapping[str, Tensor]) -> Tensor:
    """Return the value of a formula read with ``plain``."""
    match node:
        case ast.Constant(value=int() | float() as value):
            return torch.tensor(float(value), dtype=torch.float64)
        case ast.Name(id=name):
            return names[name]
        case ast.UnaryOp(op=ast.USub(), operand=part):
            return -meaning(part, names)
        case ast.BinOp(left=left, op=op, right=right):
            result: Tensor = BETWEEN[type(op)](meaning(left, names), meaning(right, names))
            return result
        case ast.Call(func=ast.Name(id=name), args=parts):
            return PARTS[name](*(meaning(part, names) for part in parts))
        case ast.Subscript(value=ast.Name(id=name), slice=ast.expr() as part):
            return names[name] + 0 * meaning(part, names)
    raise AssertionError(ast.dump(node))


def in_float64(tree: Individual) -> Activation:
    """Compile with float64 parameters and buffers from the start, so that constants keep all their digits."""
    torch.set_default_dtype(torch.float64)
    try:
        return Activation(tree, 1)
    finally:
        torch.set_default_dtype(torch.float32)


def assert_formula(tree: Individual, tolerance: float) -> None:
    """Compare the infix formula with the module, learnable vectors set to numbers of their own."""
    x = drawn(60, 1, seed=4).clamp(-1.5, 1.5)
    activation = in_float64(tree)
    state = {
        name: torch.full_like(value, 1.3 + 0.2 * i) for i, (name, value) in enumerate(activation.named_parameters())
    }
    activation.load_state_dict(state, strict=False)
    text = tree.infix(digits=17)
    value = meaning(plain(text), {"x": x, **state}).expand_as(x)
    torch.testing.assert_close(
        activation(x).detach(), value, rtol=tolerance, atol=tolerance, equal_nan=True, msg=f"{tree} is not {text}"
    )


def pairs() -> list[tuple[str, str]]:
    """Every operator in every place of every other one, as (outer, text); the other places hold a sum."""
    inner = [f"{u}(x)" for u in U] + [f"{b}(x, cos(x))" for b in B]
    inner += [
        "x",
        "const(0.7)",
        "const(-0.7)",
        "const(cadd(0.7, -0.2))",
        "const(cmul(cadd(0.7, 0.2), cmul(-1.5, 0.4)))",
    ]
    places = [(u, f"{u}(%s)") for u in U]
    places += [(b, text) for b in B for text in (f"{b}(%s, add(x, sin(x)))", f"{b}(add(x, sin(x)), %s)")]
    return [(outer, text % part) for (outer, text), part in itertools.product(places, inner)]


@pytest.mark.parametrize("outer", [*U, *B])
def test_formulas_put_parentheses_where_they_are_needed(outer: str) -> None:
    for name, text in pairs():
        if name == outer:
            # Formulas leave out some of the 1e-8 that protect zero; a lost parenthesis is seen long before that.
            assert_formula(parse(text, PSET), 1e-4)


@pytest.mark.parametrize("outer", ["square", "cube", "gauss", "neg", "scale", "mul", "div", "mix"])
def test_formulas_are_valid_latex(outer: str) -> None:
    reader: Any = MathTextParser("path")
    wrong = {}
    for name, text in pairs():
        if name == outer:
            formula = parse(text, PSET).latex()
            try:
                reader.parse(f"${formula}$")
            except ValueError as error:
                wrong[formula] = str(error).splitlines()[-1]
    assert not wrong


SAFE = ("add", "sub", "mul", "div", "square", "cube", "neg", "abs", "max", "min", "sin", "cos", "ratio", "log_abs")


def nested(children: st.SearchStrategy[list[Any]]) -> st.SearchStrategy[list[Any]]:
    def with_arguments(name: str) -> st.SearchStrategy[list[Any]]:
        node = PSET.mapping[name]
        return st.tuples(*[children] * node.arity).map(lambda parts: [node, *itertools.chain(*parts)])

    return st.sampled_from(SAFE).flatmap(with_arguments)


NUMBERS = st.integers(-2000, 2000).map(lambda n: [PSET.mapping["const"], Constant(n / 1000, Scalar)])
TREES = st.recursive(st.one_of(st.just([PSET.mapping["x"]]), NUMBERS), nested, max_leaves=12)


@settings(max_examples=200, deadline=None)
@given(TREES)
def test_formulas_of_any_tree_mean_what_the_module_computes(nodes: list[Any]) -> None:
    assert_formula(Individual(nodes, PSET), 1e-9)


GENE = st.integers(0, 21)
GATE = st.integers(0, 10)
POINTS = np.linspace(-2.9, 2.9, 37) + 0.0123


def assert_genotype(genes: list[int], f: Formula) -> None:
    """Compare where the formula is well conditioned: a tangent of a cube of a tangent has no digits left."""
    with np.errstate(all="ignore"):
        expected = f(POINTS) + 0 * POINTS
        moved = [f(POINTS * (1 + step)) for step in (1e-12, -1e-12)]
        steady = np.isfinite(expected)
        for value in moved:
            steady &= np.abs(value - expected) <= 1e-8 * (1 + np.abs(expected))
    x = torch.from_numpy(POINTS).unsqueeze(1)
    actual = Activation(gaaf.from_genes(genes), 1).double()(x)[:, 0]
    assert_same(actual[torch.from_numpy(steady)], expected[steady], 1e-6)


@settings(max_examples=150, deadline=None)
@given(GENE, GENE, GATE)
def test_three_genes_are_the_first_encoding(u0: int, u1: int, b0: int) -> None:
    f0, f1, g0 = CALLS[U[u0]], CALLS[U[u1]], CALLS[B[b0]]
    assert_genotype([u0, u1, b0], lambda x: g0(f0(x), f1(x)))


@settings(max_examples=150, deadline=None)
@given(GENE, GENE, GENE, GENE, GATE, GATE)
def test_six_genes_are_the_second_encoding(u0: int, u1: int, u2: int, u3: int, b0: int, b1: int) -> None:
    f0, f1, f2, f3 = (CALLS[U[u]] for u in (u0, u1, u2, u3))
    g0, g1 = CALLS[B[b0]], CALLS[B[b1]]
    assert_genotype([u0, u1, u2, u3, b0, b1], lambda x: g1(f2(g0(f0(x), f1(x))), f3(x)))


def test_genotypes_are_trees_of_the_shared_or_given_set() -> None:
    assert str(gaaf.from_genes([6, 7, 0])) == "add(sin(x), cos(x))"
    assert str(gaaf.from_genes([2, 3, 18, 20, 1, 9])) == "exp_distance(neg(sub(square(x), cube(x))), shift(x))"
    assert gaaf.from_genes([0, 0, 0]).pset is gaaf.from_genes([1, 2, 3, 4, 5, 6]).pset
    own = gaaf.free()
    own.renameArguments(x="z")
    tree = gaaf.from_genes((6, 7, 0), own)
    assert tree.pset is own
    assert str(tree) == "add(sin(z), cos(z))"


def test_the_first_encoding_has_5324_genotypes() -> None:
    texts = {str(gaaf.from_genes(genes)) for genes in itertools.product(range(22), range(22), range(11))}
    assert len(texts) == 5324


@pytest.mark.parametrize("genes", [[], [1], [1, 2], [1, 2, 3, 4], [1, 2, 3, 4, 5], [1] * 7])
def test_another_number_of_genes_is_refused(genes: list[int]) -> None:
    with pytest.raises(GaafError, match=rf"must have 3 genes .* or 6 .*, got {len(genes)}: {re.escape(str(genes))}$"):
        gaaf.from_genes(genes)


@pytest.mark.parametrize(
    ("genes", "said"),
    [
        ([22, 0, 0], "gene 0 must be a whole number from 0 to 21, got 22"),
        ([0, -1, 0], "gene 1 must be a whole number from 0 to 21, got -1"),
        ([0, 0, 11], "gene 2 must be a whole number from 0 to 10, got 11"),
        ([0, 0, 0, 22, 0, 0], "gene 3 must be a whole number from 0 to 21, got 22"),
        ([0, 0, 0, 0, 11, 0], "gene 4 must be a whole number from 0 to 10, got 11"),
        ([0, 0, 0, 0, 0, -1], "gene 5 must be a whole number from 0 to 10, got -1"),
        ([True, 0, 0], "gene 0 .* got True"),
        ([0, 1.0, 0], "gene 1 .* got 1.0"),
        ([0, "sin", 0], "gene 1 .* got 'sin'"),
        ([0, 0, None], "gene 2 .* got None"),
    ],
)
def test_a_gene_out_of_its_range_is_refused(genes: list[Any], said: str) -> None:
    with pytest.raises(GaafError, match=said):
        gaaf.from_genes(genes)


def test_a_set_without_the_operators_is_refused() -> None:
    with pytest.raises(GaafError, match=r"primitives\.minimal"):
        gaaf.from_genes([0, 0, 0], minimal.make_pset())


def test_each_set_is_a_new_one() -> None:
    assert gaaf.free() is not gaaf.free()
    assert gaaf.free().name == "primitives.gaaf:free"
    assert all(traits.cost >= 0 for traits in PSET.traits.values())


def test_genes_may_be_whole_numbers_of_any_kind() -> None:
    assert gaaf.from_genes([np.int64(6), 0, np.uint8(1)]) == gaaf.from_genes([6, 0, 1])
