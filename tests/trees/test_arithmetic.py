"""Formulas as people write them: the tree that each means, what cannot be read, and formulas that are read again."""

import random

import pytest
import torch

from gaaf_gp.errors import GaafError
from gaaf_gp.trees.compile import Activation
from gaaf_gp.trees.generation import gen_grow
from gaaf_gp.trees.individual import Individual
from gaaf_gp.trees.parser import parse
from primitives import minimal


@pytest.mark.parametrize(
    ("formula", "tree"),
    [
        ("sin(x) + x", "add(sin(x), x)"),
        ("-x * 2", "mul(neg(x), const(2))"),
        ("min(1.177, x)", "min(const(1.177), x)"),
        ("max(-1, x)", "max(const(-1), x)"),
        ("x -1", "sub(x, const(1))"),
        ("x-1-x", "sub(sub(x, const(1)), x)"),
        ("x - (1 - x)", "sub(x, sub(const(1), x))"),
        ("x + x*x/2", "add(x, div(mul(x, x), const(2)))"),
        ("(x)", "x"),
        ("x**2", "square(x)"),
        ("-x^3", "neg(cube(x))"),
        ("-2^2 * x", "mul(neg(square(const(2))), x)"),
        ("x * -1e-3", "mul(x, const(-0.001))"),
        ("--x", "neg(neg(x))"),
        ("+x", "x"),
        ("x + const(2 * 3)", "add(x, const(cmul(2, 3)))"),
    ],
)
def test_a_formula_means_a_tree(free, formula, tree):
    assert parse(formula, free) == parse(tree, free)


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("x +", r'"x \+>><<" at character 4: the text ends early'),
        ("(x", r'"\(x>><<" at character 3: put "\)", or an operator, here'),
        ("(x) x", "at character 5: an operator, or the end, fits here"),
        ("x + y", "at character 5: 'y' is not in set"),
        ("x + sin", r"at character 5: sin takes 1 argument\(s\), got 0"),
        ("max(x) + x", r"at character 1: max takes 2 argument\(s\), got 1"),
        ("x + 1e999", "'1e999' is not a finite number"),
        ("x^4", "no primitive that is written 'a\\^4' and returns a Feature"),
        ("x^x", "an exponent must be a number"),
        ("x + @", "'@' cannot stand here"),
        ("(" * 200 + "x" + ")" * 200, "at most 100 parentheses inside each other"),
        ("+".join("x" * 2000), "be at most 1000 high"),
        ("__import__('os') + x", "cannot stand here"),
    ],
)
def test_what_is_no_formula_is_refused_where_it_ends_to_be_one(free, formula, message):
    with pytest.raises(GaafError, match=message):
        parse(formula, free)


def test_an_operator_that_the_set_lacks_is_refused():
    with pytest.raises(GaafError, match="no primitive that is written 'a / b'"):
        parse("x / x", minimal.make_pset())


def test_printed_formulas_are_read_as_the_same_function():
    pset, rng, x = minimal.make_pset(), random.Random(5), torch.linspace(-3, 3, 50).double()[:, None]
    for _ in range(200):
        tree = Individual(gen_grow(pset, 1, 5, rng=rng), pset)
        again = parse(tree.infix(digits=17), pset)
        torch.testing.assert_close(Activation(again, 1)(x), Activation(tree, 1)(x))


def test_constants_have_one_pair_of_parentheses_and_vectors_no_index(free):
    assert parse("sin(const(-1))", free).infix() == "sin(-1)"
    assert parse("mul(x, const(-1))", free).infix() == "x * (-1)"
    assert parse("sin(identity(add(x, x)))", free).infix() == "sin(x + x)"
    assert parse("add(x, channel(x))", free).infix() == "x + s0"
    assert parse("add(x, channel(x))", free).latex() == "x + s_{0}"
    assert parse("negative(x)", free).infix() != parse("neg(x)", free).infix()
