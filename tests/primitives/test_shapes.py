"""Trees of typed sets keep what their types say: claims checked on grids, and wrong types that must be noticed."""

import copy
import functools
import itertools
import math
import pickle
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from deap import algorithms, gp
from matplotlib.mathtext import MathTextParser
from torch import Tensor

from gaaf_gp import evolve, make_toolbox
from gaaf_gp.evaluation.fitness_function import PlainFitness
from gaaf_gp.trees.compile import Activation, evaluate
from gaaf_gp.trees.generation import Limits, gen_half_and_half, generate
from gaaf_gp.trees.individual import Individual
from gaaf_gp.trees.load import load_primitives
from gaaf_gp.trees.operators import cx_one_point, mut_any, mut_constant_scale
from gaaf_gp.trees.parser import parse
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.trees.simplify import simplify
from gaaf_gp.trees.tree import Constant, check_tree, fold
from gaaf_gp.types import Feature, Scalar
from gaaf_gp.util.randomness import as_global
from primitives import gaaf, shapes
from primitives.operators import negative, positive
from primitives.shapes import Bounded, Gentle, Increasing, Line, OneThreshold, Positive, Steep

Array = np.ndarray[Any, np.dtype[np.float64]]
MAKERS = ("increasing", "smooth_increasing", "one_threshold")
SETS = {name: load_primitives(f"primitives.shapes:{name}") for name in MAKERS}
ALL = SETS["one_threshold"]
POINTS = torch.linspace(-8, 8, 161, dtype=torch.float64)
STEP = POINTS.diff()
ROUNDING = 1e-11
"""Of float64, relative to the largest value of a function."""
LIMITS = Limits(7, 30)


def gains(values: Tensor) -> Tensor:
    """f(y) - f(x) between neighbours of the grid, (functions, points - 1)."""
    return values.diff(dim=1)


def error(values: Tensor) -> Tensor:
    return ROUNDING * (1 + values.abs().amax(1, keepdim=True))


# Written from the definitions, one function a row.
CLAIMS: dict[type, Callable[[Tensor], Tensor]] = {
    Line: lambda values: (gains(values) - STEP).abs() <= error(values),
    Steep: lambda values: gains(values) >= STEP - error(values),
    Increasing: lambda values: gains(values) >= -error(values),
    Gentle: lambda values: gains(values).abs() <= STEP + error(values),
    OneThreshold: lambda values: ~((values[:, :-1] >= 0) & (values[:, 1:] < 0)),
    Bounded: lambda values: values.abs() <= 1 + ROUNDING,
    Positive: lambda values: (values >= math.exp(-1) - ROUNDING) & (values <= math.e + ROUNDING),
}


class Checked:
    """Evaluates trees with random learned vectors, and keeps the values of every subtree under the type it returns."""

    def __init__(self, rng: random.Random, pset: PrimitiveSet = ALL) -> None:
        self.rng, self.pset = rng, pset
        self.functions: dict[type, list[tuple[Tensor, str]]] = {claim: [] for claim in CLAIMS}
        self.counts: Counter[type] = Counter()
        self.operators: Counter[str] = Counter()

    def add(self, nodes: Sequence[Any]) -> None:
        fold(nodes, self._value)

    def _value(self, _index: int, node: Any, children: list[tuple[Tensor, str]]) -> tuple[Tensor, str]:
        if isinstance(node, Constant):
            return torch.tensor(node.value, dtype=torch.float64), node.name
        if not node.arity:
            return POINTS, node.name
        traits = self.pset.traits[node.name]
        assert traits.function is not None
        vectors = [torch.tensor(start + self.rng.uniform(-3, 3), dtype=torch.float64) for start in traits.learnable]
        texts = [text for _, text in children] + [f"{float(vector):.3f}" for vector in vectors]
        result = traits.function(*(value for value, _ in children), *vectors), f"{node.name}({', '.join(texts)})"
        if node.ret in self.functions:
            self.functions[node.ret].append((result[0].expand_as(POINTS), result[1]))
            self.counts.update(kind for kind in node.ret.__mro__ if kind in CLAIMS)
            self.operators[node.name] += 1
        return result

    def broken(self) -> list[str]:
        """Claims that do not hold, of the type that was returned and of all that it derives from."""
        found = []
        for marker, functions in self.functions.items():
            if not functions:
                continue
            values = torch.stack([value for value, _ in functions])
            finite = values.isfinite().all(1)
            assert float(finite.double().mean()) > 0.99
            for kind in marker.__mro__:
                if kind in CLAIMS:
                    wrong = ~CLAIMS[kind](values).all(1) & finite
                    found += [f"{kind.__name__}: {functions[int(i)][1]}" for i in wrong.nonzero().flatten()]
        return found


def drawn_trees(pset: PrimitiveSet, rng: random.Random, markers: Sequence[type]) -> Iterator[list[Any]]:
    """Yield trees of each type in turn, without end."""
    for marker in itertools.cycle(markers):
        yield generate(pset, 1, 5, marker, rng=rng, max_size=20)


def test_ten_thousand_trees_of_each_type_keep_its_claim() -> None:
    checked = Checked(random.Random(0))
    for nodes in drawn_trees(ALL, checked.rng, [Gentle, Positive, OneThreshold, Bounded]):
        checked.add(nodes)
        if min(checked.counts[claim] for claim in CLAIMS) >= 10_000:
            break
    assert checked.broken() == []
    assert set(checked.operators) == {rule.name for rule in shapes.RULES}
    assert min(checked.operators.values()) > 50


@pytest.mark.slow(60)
@pytest.mark.parametrize("name", MAKERS)
def test_ten_thousand_roots_of_each_type_keep_its_claim(name: str) -> None:
    pset = SETS[name]
    markers = [marker for marker in CLAIMS if marker in pset.primitives and marker is not Line]
    checked = Checked(random.Random(1), pset)
    for nodes in itertools.islice(drawn_trees(pset, checked.rng, markers), 10_000 * len(markers)):
        checked.add(nodes)
    assert checked.broken() == []


def squared(x: Tensor) -> Tensor:
    return x * x


def learned_product(x: Tensor, s: Tensor) -> Tensor:
    return s * x


WRONG: list[tuple[Callable[..., Tensor], list[type], type, tuple[float, ...]]] = [
    (torch.add, [Line, Line], Line, ()),
    (torch.add, [Steep, Gentle], Steep, ()),
    (torch.tanh, [Steep], Steep, ()),
    (positive, [Steep], Steep, ()),
    (learned_product, [Steep], Steep, (1.0,)),
    (torch.mul, [Steep, Scalar], Steep, ()),
    (torch.sin, [Increasing], Increasing, ()),
    (torch.abs, [Increasing], Increasing, ()),
    (torch.neg, [Increasing], Increasing, ()),
    (torch.sub, [Increasing, Increasing], Increasing, ()),
    (torch.mul, [Increasing, Increasing], Increasing, ()),
    (torch.mul, [Increasing, Scalar], Increasing, ()),
    (learned_product, [Increasing], Increasing, (1.0,)),
    (torch.add, [Increasing, Gentle], Increasing, ()),
    (torch.add, [Steep, Bounded], Increasing, ()),
    (torch.mul, [Increasing, Positive], Increasing, ()),
    (torch.minimum, [OneThreshold, Increasing], Increasing, ()),
    (torch.add, [Gentle, Gentle], Gentle, ()),
    (torch.sin, [Increasing], Gentle, ()),
    (torch.erf, [Gentle], Gentle, ()),
    (squared, [Gentle], Gentle, ()),
    (torch.mul, [Gentle, Gentle], Gentle, ()),
    (torch.mul, [Gentle, Bounded], Gentle, ()),
    (torch.mul, [Gentle, Scalar], Gentle, ()),
    (torch.maximum, [Increasing, Gentle], Gentle, ()),
    (torch.add, [OneThreshold, OneThreshold], OneThreshold, ()),
    (gaaf.shift, [OneThreshold], OneThreshold, (0.0,)),
    (torch.add, [OneThreshold, Scalar], OneThreshold, ()),
    (torch.mul, [OneThreshold, OneThreshold], OneThreshold, ()),
    (torch.mul, [OneThreshold, Bounded], OneThreshold, ()),
    (torch.sigmoid, [OneThreshold], Increasing, ()),
    (torch.maximum, [OneThreshold, Bounded], OneThreshold, ()),
    (negative, [Bounded], Positive, ()),
    (torch.add, [Bounded, Bounded], Bounded, ()),
    (torch.atan, [Feature], Bounded, ()),
    (torch.sigmoid, [Bounded], Positive, ()),
    (torch.mul, [Positive, Positive], Positive, ()),
    (torch.add, [Positive, Bounded], Positive, ()),
]


@pytest.mark.parametrize(("function", "takes", "gives", "learnable"), WRONG)
def test_a_wrong_type_is_noticed(
    function: Callable[..., Tensor], takes: list[type], gives: type, learnable: tuple[float, ...]
) -> None:
    pset = shapes.one_threshold()
    pset.addPrimitive(function, takes, gives, "wrong", learnable=learnable)
    rng = random.Random(2)
    assert any(is_noticed(pset, takes, rng) for _ in range(30))


def is_noticed(pset: PrimitiveSet, takes: Sequence[type], rng: random.Random) -> bool:
    """Whether some of a hundred trees with the wrong operator at their roots break a claim."""
    checked = Checked(rng, pset)
    for _ in range(100):
        checked.add([pset.mapping["wrong"], *itertools.chain(*(arguments(pset, kind, rng) for kind in takes))])
    return any("wrong" in text for text in checked.broken())


def arguments(pset: PrimitiveSet, marker: type, rng: random.Random) -> list[Any]:
    if marker is OneThreshold and rng.random() < 0.5:  # most that are drawn are Increasing, which tells little
        wave = [pset.mapping["exp"], pset.mapping[rng.choice(["bounded_sin", "bounded_cos"])]]
        function, phase = (generate(pset, 0, 1, kind, rng=rng) for kind in (Steep, Line))
        return [pset.mapping["modulate"], *function, *wave, *phase]
    return generate(pset, 0, 4, marker, rng=rng, max_size=15)


@pytest.mark.parametrize("rule", shapes.RULES, ids=lambda rule: rule.name)
def test_each_rule_keeps_its_claim_at_the_root(rule: shapes.Rule) -> None:
    checked = Checked(random.Random(3))
    for _ in range(40):
        checked.add([ALL.mapping[rule.name], *itertools.chain(*(arguments(ALL, m, checked.rng) for m in rule.takes))])
    assert checked.broken() == []


@pytest.mark.parametrize("name", MAKERS)
def test_offspring_keep_the_claims(name: str) -> None:
    pset, checked = SETS[name], Checked(random.Random(4), SETS[name])
    rng = checked.rng
    population = [Individual(gen_half_and_half(pset, 1, 4, rng=rng, max_size=20), pset) for _ in range(40)]
    changed = 0
    for _ in range(400):
        first, second = (copy.deepcopy(rng.choice(population)) for _ in range(2))
        before = str(first)
        cx_one_point(first, second, rng=rng, limits=LIMITS)
        mut_any(first, rng=rng, limits=LIMITS)
        mut_constant_scale(second, rng=rng, limits=LIMITS)
        for child in (first, second):
            check_tree(child, pset.ret)
            checked.add(child)
            population[rng.randrange(len(population))] = child
        changed += str(first) != before
    assert changed > 300
    assert checked.broken() == []


@pytest.mark.parametrize("name", MAKERS)
def test_smaller_trees_keep_types_and_claims(name: str) -> None:
    pset, checked = SETS[name], Checked(random.Random(5), SETS[name])
    smaller = 0
    for nodes in itertools.islice(drawn_trees(pset, checked.rng, [pset.ret]), 300):
        tree = Individual(nodes, pset)
        for rescale in (False, True):
            simple = simplify(tree, rescale=rescale)
            check_tree(simple, pset.ret)
            checked.add(simple)
            smaller += len(simple) < len(tree)
        vectors = [torch.tensor(s) for node in tree if node.arity for s in pset.traits[node.name].learnable]
        if not vectors:
            torch.testing.assert_close(
                evaluate(simplify(tree), pset, POINTS), evaluate(tree, pset, POINTS), rtol=1e-6, atol=1e-6
            )
    assert smaller > 30
    assert checked.broken() == []


@pytest.mark.parametrize("name", MAKERS)
def test_deaps_own_operators_work_and_keep_the_claims(name: str) -> None:
    pset, checked = SETS[name], Checked(random.Random(6), SETS[name])
    with as_global(checked.rng):
        for generator in (gp.genFull, gp.genGrow, gp.genHalfAndHalf):
            for least in itertools.islice(itertools.cycle((0, 1, 2)), 60):
                trees = [Individual(generator(pset, least, least + 2), pset) for _ in range(2)]
                children = gp.cxOnePoint(*trees)
                (mutant,) = gp.mutUniform(children[0], functools.partial(gp.genGrow, min_=0, max_=2), pset)
                for child in (mutant, children[1]):
                    check_tree(child, pset.ret)
                    checked.add(child)
                    assert parse(str(child), pset) == child
    assert checked.broken() == []


@pytest.mark.parametrize("name", MAKERS)
def test_every_type_has_primitives_and_terminals(name: str) -> None:
    pset = SETS[name]
    asked = {pset.ret} | {marker for node in pset.mapping.values() for marker in (node.ret, *getattr(node, "args", ()))}
    assert [marker.__name__ for marker in asked if not pset.primitives[marker] or not pset.terminals[marker]] == []
    assert {Line, Steep, Increasing, Gentle, Scalar} <= asked
    assert pset.name == f"primitives.shapes:{name}"


def test_the_sets_hold_each_other() -> None:
    increasing, smooth = SETS["increasing"], SETS["smooth_increasing"]
    assert smooth.mapping.keys() < increasing.mapping.keys() < ALL.mapping.keys()
    assert {rule.name for rule in shapes.RULES} < ALL.mapping.keys()
    assert [pset.ret for pset in SETS.values()] == [Increasing, Increasing, OneThreshold]
    rng = random.Random(7)
    for nodes in itertools.islice(drawn_trees(smooth, rng, [Increasing]), 100):
        text = str(Individual(nodes, smooth))
        assert str(parse(text, increasing)) == str(parse(text, ALL)) == text


@pytest.mark.parametrize(
    ("text", "formula"),
    [
        ("add_gentle(x, cos(x))", lambda x: x + np.cos(x)),
        ("add_gentle(x, gauss(x))", lambda x: x + np.exp(-(x**2))),
        ("add_gentle(x, neg(sin(x)))", lambda x: x - np.sin(x)),
        ("add_gentle(x, ripple(x, 4.0))", lambda x: x + np.sin(4 * x) / 4),
        ("prelu(x)", lambda x: np.where(x > 0, x, x / 4)),
        ("scale(shift(x))", lambda x: x),
        ("min(x, add_gentle(x, sin(x)))", lambda x: np.minimum(x, x + np.sin(x))),
    ],
)
def test_functions_that_held_in_deep_networks_are_there(text: str, formula: Callable[[Array], Array]) -> None:
    tree = parse(text, SETS["increasing"])
    expected = torch.from_numpy(formula(POINTS.numpy()))
    torch.testing.assert_close(Activation(tree, 1).double()(POINTS.view(-1, 1)).flatten().detach(), expected)


@pytest.mark.parametrize("text", ["max(x, sin(x))", "add(x, x, x)", "mul(x, x)", "add(x, cos(x))", "exp(x)"])
def test_what_breaks_a_claim_is_refused(text: str) -> None:
    for pset in SETS.values():
        with pytest.raises(ValueError, match=r"^cannot read \""):
            parse(text, pset)


def learned_start(name: str) -> list[Tensor]:
    return [torch.tensor(start, dtype=torch.float64) for start in ALL.traits[name].learnable]


def test_learned_scales_start_at_one_and_stay_positive() -> None:
    for name in ("scale", "keep_scale"):
        function = ALL.context[name]
        assert torch.equal(function(POINTS, *learned_start(name)), POINTS)
        for start in (-50.0, -3.0, 3.0, 50.0):
            assert bool((torch.sign(function(POINTS, torch.tensor(start).double())) == torch.sign(POINTS)).all())
    assert torch.equal(ALL.context["shift"](POINTS, *learned_start("shift")), POINTS)
    half = torch.full_like(POINTS, 3.0)
    torch.testing.assert_close(ALL.context["blend"](POINTS, half, *learned_start("blend")), (POINTS + 3) / 2)


FORMULAS: dict[str, tuple[Callable[..., Any], ...]] = {
    "scale": (lambda x, s: np.exp(s) * x, lambda x, s: np.exp(s) + 0 * x, lambda x, s: np.exp(s) * x),
    "prelu": (
        lambda x, s: np.where(x > 0, x, np.exp(s) / 4 * x),
        lambda x, s: np.where(x > 0, 1, np.exp(s) / 4),
        lambda x, s: np.where(x > 0, 0, np.exp(s) / 4 * x),
    ),
    "blend": (
        lambda x, y, s: (x * np.exp(s) + y) / (np.exp(s) + 1),
        lambda _x, _y, s: np.exp(s) / (np.exp(s) + 1),
        lambda _x, _y, s: 1 / (np.exp(s) + 1),
        lambda x, y, s: (x - y) * np.exp(s) / (np.exp(s) + 1) ** 2,
    ),
    "damp": (lambda x, s: np.tanh(s) * x, lambda _x, s: np.tanh(s), lambda x, s: x / np.cosh(s) ** 2),
    "times": (lambda x, c: np.abs(c) * x, lambda _x, c: np.abs(c), lambda x, c: np.sign(c) * x),
    "stretch": (lambda x, c: x + np.abs(c) * x, lambda _x, c: 1 + np.abs(c), lambda x, c: np.sign(c) * x),
    "ripple": (
        lambda x, c: np.sin(c * x) / np.maximum(np.abs(c), 1),
        lambda x, c: c * np.cos(c * x) / np.maximum(np.abs(c), 1),
    ),
    "softplus": (lambda x: np.logaddexp(x, 0), lambda x: 1 / (1 + np.exp(-x))),
    "softsign": (lambda x: x / (1 + np.abs(x)), lambda x: 1 / (1 + np.abs(x)) ** 2),
    "asinh": (np.arcsinh, lambda x: 1 / np.sqrt(1 + x**2)),
    "tanh": (np.tanh, lambda x: 1 / np.cosh(x) ** 2),
    "peak": (lambda x: np.exp(-np.abs(x)), lambda x: -np.sign(x) * np.exp(-np.abs(x))),
    "mean": (lambda x, y: (x + y) / 2, lambda x, _y: 0.5 + 0 * x, lambda x, _y: 0.5 + 0 * x),
    "exp": (lambda x: np.exp(np.clip(x, -1, 1)), lambda x: np.exp(x) * (np.abs(x) <= 1)),
    "around_one": (lambda x: 1 + x / 2, lambda x: 0.5 + 0 * x),
    "offset": (lambda x, c: x + c, lambda _x, _c: 1, lambda _x, _c: 1),
    "add_gentle": (lambda x, y: x + y, lambda _x, _y: 1, lambda _x, _y: 1),
    "modulate": (lambda x, y: x * y, lambda _x, y: y, lambda x, _y: x),
}  # fmt: skip


def test_every_new_operator_has_a_formula_here() -> None:
    assert {row.name for row in shapes.ROWS} == FORMULAS.keys()


@pytest.mark.parametrize("name", FORMULAS)
def test_operators_are_their_formulas(name: str) -> None:
    f, *derivatives = FORMULAS[name]
    node, traits = ALL.mapping[name], ALL.traits[name]
    generator = torch.Generator().manual_seed(8)
    count = node.arity + len(traits.learnable)
    leaves = [2 * torch.randn(200, generator=generator, dtype=torch.float64) for _ in range(count)]
    arrays = [leaf.numpy() for leaf in leaves]
    result = ALL.context[name](*(leaf.requires_grad_() for leaf in leaves))
    torch.testing.assert_close(
        result.detach(), torch.from_numpy(f(*(a.copy() for a in arrays))), rtol=1e-12, atol=1e-12
    )
    gradients = torch.autograd.grad(result.sum(), leaves)
    for gradient, derivative in zip(gradients, derivatives, strict=False):
        expected = torch.from_numpy(np.broadcast_to(derivative(*arrays), (200,)).astype(float))
        torch.testing.assert_close(gradient, expected, rtol=1e-10, atol=1e-12)


def test_flags_are_true() -> None:
    """Learned vectors are moved, because blend commutes at its start."""
    generator = torch.Generator().manual_seed(9)
    x, y = (torch.rand(2, 300, generator=generator, dtype=torch.float64) * 6 - 3).unbind()
    for rule in shapes.RULES:
        f, traits, own = ALL.context[rule.name], ALL.traits[rule.name], [s + 0.3 for s in learned_start(rule.name)]
        if len(rule.takes) == 2 and rule.takes[0] is rule.takes[1]:
            assert traits.commutative == torch.equal(f(x, y, *own), f(y, x, *own)), rule.name
        else:
            assert not traits.commutative
        if len(rule.takes) == 1 or Scalar in rule.takes:
            own += [torch.tensor(1.0).double()] * (len(rule.takes) - 1)
            assert traits.periodic == torch.allclose(f(x, *own), f(x + 2 * math.pi, *own), atol=1e-9), rule.name


@pytest.mark.parametrize("rule", shapes.RULES, ids=lambda rule: rule.name)
def test_slopes_jump_where_the_rules_say_so_and_nowhere_else(rule: shapes.Rule) -> None:
    """All kinks and jumps are at 0 or, of two arguments, where they are equal."""
    near = torch.tensor([-1e-7, 1e-7], dtype=torch.float64).requires_grad_()
    tied = [near, -near] if len(rule.takes) == 2 and Scalar not in rule.takes else [near]
    numbers = [torch.tensor(0.7, dtype=torch.float64)] * (len(rule.takes) - len(tied))
    result = ALL.context[rule.name](*tied, *numbers, *learned_start(rule.name))
    (slope,) = torch.autograd.grad(result.sum(), near)
    jump = max(abs(float(values[1] - values[0])) for values in (slope, result.detach()))
    assert (jump < 1e-5) == rule.smooth, (rule.name, jump)
    assert (rule.name in SETS["smooth_increasing"].mapping) <= rule.smooth


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_the_slope_that_training_sees_is_not_negative(dtype: torch.dtype) -> None:
    """Autograd's slope, down to what rounding does where slopes cancel, relative to the largest slope of a function."""
    rng, negative_slopes, pset = random.Random(10), 0.0, SETS["increasing"]
    least = -32 * torch.finfo(dtype).eps
    for nodes in itertools.islice(drawn_trees(pset, rng, [Increasing]), 1000):
        x = POINTS.to(dtype, copy=True).requires_grad_()
        vectors = [
            torch.tensor(start + rng.uniform(-1, 1), dtype=dtype)
            for node in nodes if node.arity
            for start in pset.traits[node.name].learnable
        ]  # fmt: skip
        result = evaluate(Individual(nodes, pset), pset, x, vectors)
        (slope,) = torch.autograd.grad(result.sum(), x)
        if bool(slope.isfinite().all()) and float(slope.abs().max()) > 0:
            negative_slopes = min(negative_slopes, float(slope.min() / slope.abs().max()))
    assert negative_slopes >= least


def test_slopes_that_cancel_only_leave_rounding() -> None:
    x = torch.linspace(-64, 64, 200_001, requires_grad=True)
    result = evaluate(parse("add_gentle(x, sin(x))", SETS["increasing"]), SETS["increasing"], x)
    (slope,) = torch.autograd.grad(result.sum(), x)
    assert float(slope.min()) >= 0.0
    assert float(result.detach().diff().min()) >= -64 * torch.finfo(torch.float32).eps


@pytest.mark.parametrize("name", MAKERS)
def test_trees_run_learn_pickle_and_are_written(name: str) -> None:
    pset, rng = SETS[name], random.Random(11)
    x = torch.randn(6, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    formulas = MathTextParser("agg")
    for nodes in itertools.islice(drawn_trees(pset, rng, [pset.ret]), 60):
        tree = Individual(nodes, pset)
        activation = Activation(tree, 3)
        result = activation(x)
        assert result.shape == x.shape
        assert bool(result.isfinite().all())
        if any(True for _ in activation.parameters()):
            result.sum().backward()
            assert all(bool(p.grad is not None and p.grad.isfinite().all()) for p in activation.parameters())
        back = pickle.loads(pickle.dumps(tree))
        assert back == tree
        assert torch.equal(Activation(back, 3)(x), result)
        formulas.parse(f"${tree.latex()}$")
        assert "{" not in tree.infix()


@pytest.mark.parametrize(
    ("text", "infix"),
    [
        ("add_gentle(x, ripple(x, -2.0))", "x + ripple(x, -2)"),
        ("times(add(x, tanh(x)), -0.5)", "|-0.5| * (x + tanh(x))"),
        ("scale(shift(x))", "exp(s0) * (x + s1)"),
        ("blend(scale(x), x)", "sigmoid(s0) * exp(s1) * x + (1 - sigmoid(s0)) * x"),
        ("modulate(x, exp(bounded_sin(x)))", "x * exp(sin(x))"),
        ("modulate(add(x, x), around_one(bounded_neg(0.5)))", "(x + x) * (1 + (-0.5) / 2)"),
        ("keep_cube(modulate(x, positive_mean(2.0, 2.0)))", "(x * ((2 + 2) / 2))^3"),
    ],
)
def test_formulas_read_well(text: str, infix: str) -> None:
    assert parse(text, ALL).infix() == infix


def test_a_search_stays_in_its_set() -> None:
    pset = SETS["one_threshold"]
    seen: list[str] = []

    def fitness(individual: Individual) -> float:
        seen.append(str(individual))
        values = evaluate(individual, pset, POINTS, [torch.tensor(0.5)] * 30)
        return -float((values - torch.tanh(POINTS)).abs().mean().nan_to_num(1e9))

    result = evolve(pset, fitness, evaluations=150, population_size=20, seed=1)
    assert result.hall_of_fame[0].fitness.values[0] > -0.5
    checked = Checked(random.Random(12))
    for text in seen:
        checked.add(parse(text, pset))
    assert checked.broken() == []


def test_deaps_algorithms_run_on_the_sets() -> None:
    for pset in SETS.values():
        toolbox = make_toolbox(pset, PlainFitness(lambda tree: float(-len(tree)), pset), rng=1)
        with as_global(random.Random(13)):
            population, _ = algorithms.eaSimple(toolbox.population(10), toolbox, 0.6, 0.3, 2, verbose=False)
        assert all(tree.fitness.valid for tree in population)


def test_every_rule_gives_its_reason_once() -> None:
    names = [rule.name for rule in shapes.RULES]
    assert len(set(names)) == len(names)
    assert all(rule.why and rule.gives in CLAIMS for rule in shapes.RULES)
