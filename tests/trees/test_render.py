"""Formulas against a reader of their own, canonical texts against nested sorting, and LaTeX by example."""

from __future__ import annotations

import ast
import itertools
import math
import operator
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gaaf_gp.trees.generation import generate
from gaaf_gp.trees.parser import parse
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.trees.render import canonical, canonical_nodes, infix, latex, text, vector_names
from gaaf_gp.types import Channel, Feature, Scalar

Reader = Callable[[Sequence[Any], type], Any]

TREES = 10
"""Trees made for each of hypothesis's 100 examples."""
COMMUTATIVE = {"add", "mul", "max", "min", "cadd", "cmul", "gauss_distance", "exp_distance"}


def shown(source: str, pset: PrimitiveSet, digits: int = 4) -> tuple[str, str]:
    tree = parse(source, pset)
    return infix(tree, pset, digits), latex(tree, pset, digits)


MEANING: dict[str, Callable[..., float]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "cadd": operator.add,
    "cmul": operator.mul,
    "neg": operator.neg,
    "const": operator.pos,
    "identity": operator.pos,
    "square": lambda x: x**2,
    "cube": lambda x: x**3,
    "div": operator.truediv,
    "ratio": lambda x, y: x / (x + y),
    "sin": math.sin,
    "cos": math.cos,
    "tanh": math.tanh,
    "gauss": lambda x: math.exp(-(x**2)),
    "max": max,
    "min": min,
    "positive": lambda x: max(x, 0.0),
    "gauss_distance": lambda x, y: math.exp(-((x - y) ** 2)),
    "gate": lambda x, y: x / (1 + math.exp(-y)),
    "scale": lambda x, s: s * x,
    "shift": lambda x, s: x + s,
    "mix": lambda x, y, s: s * x + (1 - s) * y,
}
SIGNS: dict[type[ast.AST], Callable[..., float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
}
CALLS: dict[str, Callable[..., float]] = {
    **{name: MEANING[name] for name in ("sin", "cos", "tanh", "max", "min")},
    "exp": math.exp,
    "ratio": MEANING["ratio"],
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
}


def read_formula(formula: str, names: dict[str, float]) -> float:
    """Return the value of a formula with the usual precedence, walked by hand."""

    def value(node: ast.AST) -> float:
        match node:
            case ast.Constant(value=int() | float() as number):
                return float(number)
            case ast.Name(id=name):
                return names[name]
            case ast.UnaryOp(op=sign, operand=operand):
                return SIGNS[type(sign)](value(operand))
            case ast.BinOp(left=left, op=sign, right=right):
                return SIGNS[type(sign)](value(left), value(right))
            case ast.Call(func=ast.Name(id=name), args=arguments):
                return CALLS[name](*map(value, arguments))
        raise AssertionError(f"no formula: {ast.dump(node)}")

    return value(ast.parse(formula.replace("^", "**"), mode="eval").body)


def meaning(tree: Any, names: dict[str, float], vectors: list[float]) -> float:
    """Return the value of a nested tree; learnable operators take the next of ``vectors``, depth first."""
    label = tree.node.name
    if not tree.children:
        return names[label] if label in names else float(label)
    own = [vectors.pop(0)] if label in ("scale", "shift", "mix") else []
    return MEANING[label](*(meaning(child, names, vectors) for child in tree.children), *own)


def random_text(names: Sequence[str], height: int, rng: random.Random, pset: PrimitiveSet) -> str:
    """Return the text of a random tree made of the named primitives and x or constants."""
    label = rng.choice(names) if height and rng.random() < 0.85 else ""
    if label:
        arity = pset.mapping[label].arity
        return f"{label}({', '.join(random_text(names, height - 1, rng, pset) for _ in range(arity))})"
    numbers = [f"const({rng.uniform(-2, 2):.2f})", "const(cadd(0.5, -1.5))", "const(cmul(-2, cadd(0.5, 3)))"]
    return rng.choice(["x", *(numbers if "const" in pset.mapping else [])])


def agree(first: float, second: float) -> bool:
    return math.isclose(first, second, rel_tol=1e-6, abs_tol=1e-9)


@settings(max_examples=100)
@given(seed=st.integers(0, 2**32), x=st.floats(-2, 2))
def test_a_formula_means_what_the_tree_does(minimal: PrimitiveSet, nested: Reader, seed: int, x: float) -> None:
    rng = random.Random(seed)
    for _ in range(TREES):
        tree = parse(random_text(["add", "sub", "mul", "sin", "cos", "tanh"], 5, rng, minimal), minimal)
        expected = meaning(nested(tree, Feature), {"x": x}, [])
        # Sums lose their parentheses, so large terms may cancel in another order.
        assert read_formula(tree.infix(), {"x": x}) == pytest.approx(expected, rel=1e-6, abs=1e-6)


@settings(max_examples=100)
@given(seed=st.integers(0, 2**32), x=st.floats(0.5, 2))
def test_so_does_one_with_powers_constants_and_vectors(free: PrimitiveSet, nested: Reader, seed: int, x: float) -> None:
    rng = random.Random(seed)
    labels = [name for name in MEANING if name in free.mapping and name not in ("const", "cadd", "cmul", "identity")]
    vectors = [rng.uniform(-2, 2) for _ in range(64)]
    names = {"x": x, **{f"s{index}": value for index, value in enumerate(vectors)}}
    for _ in range(TREES):
        tree = parse(random_text(labels, 3, rng, free), free)
        try:
            expected = meaning(nested(tree, Feature), names, list(vectors))
            found = read_formula(infix(tree, free, digits=17), names)
        except (ZeroDivisionError, OverflowError):
            continue
        assert agree(found, expected) or abs(expected) > 1e6, str(tree)


@pytest.mark.parametrize(
    ("source", "formula", "in_latex"),
    [
        ("x", "x", "x"),
        ("add(x, mul(x, x))", "x + x * x", r"x + x \cdot x"),
        ("mul(add(x, x), x)", "(x + x) * x", r"\left(x + x\right) \cdot x"),
        ("sub(x, add(x, x))", "x - (x + x)", r"x - \left(x + x\right)"),
        ("sub(sub(x, x), x)", "x - x - x", "x - x - x"),
        ("div(x, div(x, x))", "x / (x / x)", r"\frac{x}{\frac{x}{x}}"),
        ("div(mul(x, x), x)", "x * x / x", r"\frac{x \cdot x}{x}"),
        ("square(square(x))", "(x^2)^2", r"\left(x^{2}\right)^{2}"),
        ("square(neg(x))", "(-x)^2", r"\left(-x\right)^{2}"),
        ("neg(square(x))", "-x^2", "-x^{2}"),
        ("neg(neg(x))", "-(-x)", r"-\left(-x\right)"),
        ("neg(mul(x, x))", "-(x * x)", r"-\left(x \cdot x\right)"),
        ("mul(x, neg(x))", "x * (-x)", r"x \cdot \left(-x\right)"),
        ("sin(add(x, x))", "sin(x + x)", r"\sin\left(x + x\right)"),
        ("max(sub(x, x), x)", "max(x - x, x)", r"\max\left(x - x, x\right)"),
        ("gauss(add(x, x))", "exp(-(x + x)^2)", r"\exp\left(-\left(x + x\right)^{2}\right)"),
        ("ratio(neg(x), sub(x, x))", "ratio(-x, x - x)", r"\operatorname{ratio}\left(-x, x - x\right)"),
        ("sub(x, const(-1))", "x - (-1)", r"x - \left(-1\right)"),
        ("square(const(-1.5))", "(-1.5)^2", r"\left(-1.5\right)^{2}"),
        ("square(const(1.5))", "1.5^2", "1.5^{2}"),
        ("const(cmul(2, cadd(1, -3)))", "2 * (1 + (-3))", r"2 \cdot \left(1 + \left(-3\right)\right)"),
        ("gate(scale(x), x)", "s0 * x * sigmoid(x)", None),
        ("mix(x, scale(x))", "s0 * x + (1 - s0) * s1 * x", None),
        ("mix(scale(x), channel(shift(x)))", "s0 * s1 * x + (1 - s0) * s2", None),
        ("add(scale(x), scale(x))", "s0 * x + s1 * x", None),
    ],
)
def test_formulas_by_example(free: PrimitiveSet, source: str, formula: str, in_latex: str | None) -> None:
    found, found_latex = shown(source, free)
    assert found == formula
    if in_latex is not None:
        assert found_latex == in_latex


@pytest.mark.parametrize(
    ("number", "digits", "expected"),
    [
        ("0.123456", 4, "0.1235"),
        ("0.123456", 2, "0.12"),
        ("1.0", 4, "1"),
        ("2", 4, "2"),
        ("0.30000000000000004", 4, "0.3"),
        ("0.30000000000000004", 17, "0.30000000000000004"),
        ("-0.99996", 4, "-1"),
    ],
)
def test_constants_are_rounded_for_reading(free: PrimitiveSet, number: str, digits: int, expected: str) -> None:
    tree = parse(f"const(cadd({number}, {number}))", free)
    assert infix(tree, free, digits).replace("(", "").replace(")", "") == f"{expected} + {expected}"


def test_a_negative_zero_is_a_negative_number(free: PrimitiveSet) -> None:
    assert shown("sub(x, const(-0.0))", free) == ("x - (-0)", r"x - \left(-0\right)")


def test_primitives_without_a_template_are_calls(template: PrimitiveSet) -> None:
    formula, in_latex = shown("tanh(times(weigh(s, x), -0.5))", template)
    assert formula == "tanh(times(weigh(s0, x), -0.5))"
    assert in_latex == (
        r"\operatorname{tanh}\left(\operatorname{times}\left("
        r"\operatorname{weigh}\left(s_{0}, x\right), -0.5\right)\right)"
    )


def test_an_underscore_is_escaped_in_latex() -> None:
    pset = PrimitiveSet("underscores", arguments=["my_x"])
    pset.addPrimitive(torch.sin, [Feature], Feature, name="my_sin")
    assert latex(parse("my_sin(my_x)", pset), pset).startswith(r"\operatorname{my\_sin}\left(")


def test_named_terminals_keep_their_names() -> None:
    pset = PrimitiveSet("named")
    pset.addPrimitive(torch.add, [Feature, Feature], Feature, infix="{0:1} + {1:2}", latex="{0:1} + {1:2}")
    pset.addTerminal(math.pi, Feature, name="pi")
    assert shown("add(x, pi)", pset) == ("x + pi", r"x + \mathrm{pi}")


def test_learnable_vectors_are_numbered_depth_first(template: PrimitiveSet) -> None:
    tree = parse("add(weigh(s, damped(x)), weigh(s, times(weigh(s, x), 0.5)))", template)
    assert vector_names(tree, template) == {2: ["s0"], 3: ["s1"], 6: ["s2"], 9: ["s3"]}
    assert tree.infix() == "weigh(s0, damped(x, s1)) + weigh(s2, times(weigh(s3, x), 0.5))"


def _affine(x: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return a * x + b


def test_an_operator_with_two_vectors_takes_two_numbers() -> None:
    # The parameters of the compiled tree count vectors too: affine owns s0 and s1.
    pset = PrimitiveSet("two vectors")
    pset.addPrimitive(_affine, [Feature], Feature, name="call", learnable=(1.0, 0.0))
    formula = "{s0} * {0:2} + {s1}"
    pset.addPrimitive(_affine, [Feature], Feature, name="sum", learnable=(1.0, 0.0), infix=formula, latex=formula)
    pset.addPrimitive(torch.mul, [Channel, Feature], Feature, infix="{0:2} * {1:3}", latex="{0:2} {1:3}", precedence=2)
    pset.addLearnable("s")
    assert shown("call(mul(s, x))", pset) == (
        "call(s2 * x, s0, s1)",
        r"\operatorname{call}\left(s_{2} x, s_{0}, s_{1}\right)",
    )
    assert shown("sum(mul(s, x))", pset) == ("s0 * s2 * x + s1", "s_{0} * s_{2} x + s_{1}")


def test_a_formula_grows_no_faster_than_its_tree(pset: PrimitiveSet) -> None:
    levels = 16
    others = {Feature: "x", Channel: "s", Scalar: "0.5"}
    for primitive in pset.primitives[Feature]:
        for place in (index for index, argument in enumerate(primitive.args) if argument is Feature):
            source = "x"
            for _ in range(levels):
                arguments = [others[argument] for argument in primitive.args]
                arguments[place] = source
                source = f"{primitive.name}({', '.join(arguments)})"
            assert all(len(formula) < 80 * levels for formula in shown(source, pset)), primitive.name


@settings(max_examples=100)
@given(seed=st.integers(0, 2**32))
def test_latex_is_balanced_and_filled_in(pset: PrimitiveSet, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(TREES):
        written = latex(generate(pset, 0, 6, rng=rng), pset)
        assert written.count("{") == written.count("}")
        assert written.count(r"\left") == written.count(r"\right")
        assert not any(left in written for left in ("{{", "{s}", "{0:", "{1:"))


@settings(max_examples=100)
@given(seed=st.integers(0, 2**32))
def test_text_is_the_notation_of_deap(pset: PrimitiveSet, nested: Reader, seed: int) -> None:
    rng = random.Random(seed)

    def written(tree: Any) -> str:
        arguments = ", ".join(written(child) for child in tree.children)
        return f"{tree.node.name}({arguments})" if tree.children else str(tree.node.name)

    for _ in range(TREES):
        nodes = generate(pset, 0, 6, rng=rng)
        assert text(nodes) == written(nested(nodes, pset.ret))


def form(tree: Any) -> Any:
    """The tree as nested tuples, the arguments of commutative primitives sorted."""
    children = [form(child) for child in tree.children]
    return (tree.node.name, *(sorted(children, key=repr) if tree.node.name in COMMUTATIVE else children))


def swapped(tree: Any, rng: random.Random) -> list[Any]:
    """The nodes of the tree with the arguments of commutative primitives in random order."""
    children = list(tree.children)
    if tree.node.name in COMMUTATIVE:
        rng.shuffle(children)
    return [tree.node, *(node for child in children for node in swapped(child, rng))]


@settings(max_examples=100)
@given(seed=st.integers(0, 2**32))
def test_the_canonical_text_forgets_the_order_of_commutative_arguments_only(
    pset: PrimitiveSet, nested: Reader, seed: int
) -> None:
    rng = random.Random(seed)
    trees = [generate(pset, 0, rng.choice([2, 5]), rng=rng) for _ in range(TREES)]
    for nodes in trees:
        written = canonical(nodes, pset)
        assert canonical(swapped(nested(nodes, pset.ret), rng), pset) == written
        again = parse(written, pset)
        assert again.canonical == written == str(again)
        assert canonical_nodes(nodes, pset) == list(again)
        assert form(nested(again, pset.ret)) == form(nested(nodes, pset.ret))
    for first, second in itertools.pairwise(trees):
        same = form(nested(first, pset.ret)) == form(nested(second, pset.ret))
        assert (canonical(first, pset) == canonical(second, pset)) == same


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("add(x, sin(x))", "add(sin(x), x)", True),
        ("mul(add(x, sin(x)), cos(x))", "mul(cos(x), add(sin(x), x))", True),
        ("max(const(0.5), x)", "max(x, const(0.5))", True),
        ("const(cadd(1, 2))", "const(cadd(2, 1))", True),
        ("gauss_distance(x, cos(x))", "gauss_distance(cos(x), x)", True),
        ("sub(x, sin(x))", "sub(sin(x), x)", False),
        ("div(x, sin(x))", "div(sin(x), x)", False),
        ("mix(x, sin(x))", "mix(sin(x), x)", False),
        ("gate(x, sin(x))", "gate(sin(x), x)", False),
        ("add(x, add(x, sin(x)))", "add(sin(x), add(x, x))", False),
        ("const(0.0)", "const(-0.0)", False),
        ("const(0.1)", "const(0.10000000000000002)", False),
    ],
)
def test_canonical_texts_by_example(free: PrimitiveSet, first: str, second: str, same: bool) -> None:
    assert (parse(first, free).canonical == parse(second, free).canonical) == same
