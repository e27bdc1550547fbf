"""The primitive set: refusals, renaming, smallest trees against enumeration, pickling, drawing."""

import copy
import functools
import itertools
import math
import pickle
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from deap import gp
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from gaaf_gp.errors import GaafError
from gaaf_gp.trees.individual import Individual
from gaaf_gp.trees.parser import parse
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.trees.tree import Constant
from gaaf_gp.types import Channel, Feature, Scalar
from primitives import gaaf, minimal, template


class Leaf(Feature):
    """A subtype of Feature, as a forced template has it."""


class Tip(Leaf):
    """A subtype of a subtype."""


TYPES = (Feature, Channel, Scalar, Leaf, Tip)


def total(*arguments: Tensor) -> Tensor:
    return functools.reduce(torch.add, arguments)


def times(x: Tensor, c: Tensor) -> Tensor:
    return x * c


def ratio_to_learnable(x: Tensor, s: Tensor, t: Tensor) -> Tensor:
    return x * s + t


def uniform() -> float:
    return random.uniform(-1.0, 1.0)


def filled() -> PrimitiveSet:
    """A set with everything that can be added, and a renamed argument."""
    pset = PrimitiveSet("filled", arguments=("y",))
    pset.addPrimitive(total, [Feature, Feature], Feature, "plus", infix="{0:1} + {1:1}", precedence=1, commutative=True)
    pset.addPrimitive(times, [Feature, Scalar], Feature, cost=3, latex="{0}{1}")
    pset.addPrimitive(ratio_to_learnable, [Feature], Feature, "learns", learnable=(1, -2))
    pset.addPrimitive(torch.log, [Feature], Feature, nonfinite=("value", "gradient"))
    pset.addPrimitive(torch.mul, [Channel, Feature], Feature, "weigh", periodic=False)
    pset.addTerminal(math.pi, Scalar, name="pi")
    pset.addTerminal(2, Scalar)
    pset.addLearnable("s", 0.5, cost=1)
    pset.addEphemeralConstant("e", uniform, Scalar)
    pset.renameArguments(y="x")
    return pset.check()


SETS: list[Callable[[], PrimitiveSet]] = [gaaf.free, minimal.make_pset, template.make_pset, filled]


def text_number() -> Any:
    return "one half"


def no_number() -> Any:
    return None


def not_a_number() -> float:
    return math.nan


def raising() -> float:
    raise LookupError("nothing to draw")


def anything(value: Any) -> Any:
    return value


Step = Callable[[PrimitiveSet], Any]


def with_infix(template: str) -> Step:
    return lambda pset: pset.addPrimitive(torch.cos, [Feature], Feature, infix=template)


REFUSALS: dict[str, tuple[Step, str]] = {
    "bad name": (
        lambda p: p.addPrimitive(torch.sin, [Feature], Feature, "2x"),
        r"identifier such as \"sin2\", got '2x'",
    ),
    "lambda": (lambda p: p.addPrimitive(lambda x: x, [Feature], Feature), r"got '<lambda>': pass name="),
    "no name": (
        lambda p: p.addPrimitive(functools.partial(torch.mul, other=2), [Feature], Feature),
        "got '': pass name=",
    ),
    "taken": (lambda p: p.addPrimitive(torch.cos, [Feature], Feature, "log"), r"unique, and 'log' is taken.*log_2"),
    "argument's name": (lambda p: p.addPrimitive(torch.cos, [Feature], Feature, "x"), "'x' is taken"),
    "type": (lambda p: p.addPrimitive(torch.cos, [float], Feature), r"types of primitive 'cos' must be Feature, Chan"),
    "returned type": (lambda p: p.addPrimitive(torch.cos, [Feature], Tensor), "types of primitive 'cos' must be"),
    "no argument": (lambda p: p.addPrimitive(torch.cos, [], Feature), "'cos' must take an argument.*addLearnable"),
    "exception": (
        lambda p: p.addPrimitive(torch.cos, [Feature], Feature, nonfinite=("value", "infinity", "nan")),
        "nonfinite of primitive 'cos' may name value, gradient, got infinity, nan",
    ),
    "probed": (lambda p: p.addPrimitive(torch.sqrt, [Feature], Feature), "primitive 'sqrt' must have a finite value"),
    "text as terminal": (lambda p: p.addTerminal(anything("1.0"), Scalar), "terminal must be a number, got str"),
    "bool as terminal": (lambda p: p.addTerminal(True, Scalar), "terminal must be a number, got bool"),
    "tensor as terminal": (
        lambda p: p.addTerminal(anything(torch.ones(3)), Channel),
        "got Tensor: a learnable vector.*addLearn",
    ),
    "function as terminal": (lambda p: p.addTerminal(anything(uniform), Scalar), "got function.*addEphemeralConstant"),
    "NaN": (lambda p: p.addTerminal(math.nan, Scalar), "constant must be a finite number, got nan"),
    "inf": (lambda p: p.addTerminal(-math.inf, Scalar, name="low"), "constant must be a finite number, got -inf"),
    "terminal's type": (lambda p: p.addTerminal(1.0, float), "types of terminal 1.0 must be Feature"),
    "terminal's name": (lambda p: p.addTerminal(1.0, Scalar, name="a b"), "must be a plain identifier"),
    "terminal taken": (lambda p: p.addTerminal(3.0, Scalar, name="pi"), "'pi' is taken"),
    "number taken": (lambda p: p.addTerminal(2.0, Scalar), r"'2\.0' is taken"),
    "learnable's name": (lambda p: p.addLearnable("s 1"), "must be a plain identifier"),
    "learnable taken": (lambda p: p.addLearnable("s"), "'s' is taken"),
    "learnable's type": (lambda p: p.addLearnable("t", 1.0, Tensor), "types of learnable 't' must be Feature"),
    "learnable's start": (lambda p: p.addLearnable("t", math.nan), "finite number, got nan"),
    "ephemeral's name": (lambda p: p.addEphemeralConstant("e 1", uniform, Scalar), "must be a plain identifier"),
    "ephemeral taken": (lambda p: p.addEphemeralConstant("e", uniform, Scalar), "'e' is taken"),
    "ephemeral's type": (lambda p: p.addEphemeralConstant("d", uniform, int), "types of ephemeral constant 'd' must"),
    "ephemeral text": (lambda p: p.addEphemeralConstant("d", text_number, Scalar), "number, got 'one half'"),
    "ephemeral None": (lambda p: p.addEphemeralConstant("d", no_number, Scalar), "number, got None"),
    "ephemeral NaN": (lambda p: p.addEphemeralConstant("d", not_a_number, Scalar), "finite number, got nan"),
    "ephemeral raises": (lambda p: p.addEphemeralConstant("d", raising, Scalar), "'d'.*LookupError.*nothing to draw"),
    "set's own word": (lambda p: p.addTerminal(1.0, Scalar, name="__builtins__"), "'__builtins__'"),
    "mixed commutative": (
        lambda p: p.addPrimitive(torch.mul, [Feature, Scalar], Feature, commutative=True),
        "'mul'.*commutative",
    ),
    "bad infix": (
        lambda p: p.addPrimitive(torch.cos, [Feature], Feature, infix="{0} + {1}"),
        "infix.*'cos'|'cos'.*infix",
    ),
    "bad LaTeX": (
        lambda p: p.addPrimitive(torch.cos, [Feature], Feature, latex=r"\cos{x}"),
        "latex.*'cos'|'cos'.*latex",
    ),
    **{
        f"template {template}": (with_infix(template), "infix.*'cos'|'cos'.*infix")
        for template in ("{0", "{0:a}", "{0.text.x}", "{s} * {0}", "{}{0}")
    },
    "renamed to a bad name": (lambda p: p.renameArguments(x="a b"), "must be a plain identifier"),
    "renamed to a taken name": (lambda p: p.renameArguments(x="log"), "'log' is taken"),
    "renamed unknown": (lambda p: p.renameArguments(ARG7="log"), "ARG7"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_breaks_a_rule_is_refused_and_leaves_the_set_as_it_was(case: str) -> None:
    step, said = REFUSALS[case]
    pset = filled()
    before = (list(pset.mapping), dict(pset.traits), list(pset.arguments), pset.terminalRatio)
    with pytest.raises(GaafError, match=said) as caught:
        step(pset)
    assert "\n" not in str(caught.value)
    assert (list(pset.mapping), dict(pset.traits), list(pset.arguments), pset.terminalRatio) == before


@pytest.mark.parametrize(
    ("settings_", "said"),
    [
        ({"in_types": (float,)}, "types of set 'bad' must be Feature"),
        ({"ret_type": object}, "types of set 'bad' must be Feature"),
        ({"arguments": ("not a name",)}, "must be a plain identifier"),
        ({"in_types": (Feature, Feature)}, "argument"),
        ({"in_types": (Feature, Feature), "arguments": ("x", "x")}, "'x' is taken"),
    ],
)
def test_a_set_of_bad_types_or_arguments_is_refused(settings_: dict[str, Any], said: str) -> None:
    with pytest.raises(GaafError, match=said):
        PrimitiveSet("bad", **settings_)


def test_a_type_that_nothing_closes_is_named_with_who_asks_and_what_to_add() -> None:
    pset = PrimitiveSet("open")
    pset.addPrimitive(times, [Feature, Scalar], Feature)
    pset.addPrimitive(torch.add, [Scalar, Scalar], Scalar)
    asked = r"no tree returns Scalar \(asked for by times\): add a terminal.*addTerminal, addEphemeralConstant or addL"
    with pytest.raises(GaafError, match=asked):
        pset.check()
    with pytest.raises(GaafError, match="no tree returns Scalar"):
        parse("x", pset)
    pset.addTerminal(0.5, Scalar)
    assert pset.check() is pset


def test_a_root_that_nothing_returns_is_refused() -> None:
    with pytest.raises(GaafError, match=r"no tree returns Feature \(asked for by the whole tree\)"):
        PrimitiveSet("numbers", (Scalar,), Feature).check()


def test_trees_of_one_input_are_activations() -> None:
    pset = PrimitiveSet("pair", 2)
    assert pset.check() is pset
    with pytest.raises(GaafError, match=r"one input, and 'pair' has 2: make it with PrimitiveSet\('pair', 1\)"):
        pset.check_activations()
    with pytest.raises(GaafError, match="no tree returns Feature"):
        PrimitiveSet("numbers", (Scalar,), Feature).check_activations()
    assert (whole := minimal.make_pset()).check_activations() is whole


def test_adding_after_the_check_checks_again() -> None:
    pset = minimal.make_pset()
    assert pset.check().check() is pset
    pset.addPrimitive(times, [Feature, Scalar], Feature)
    with pytest.raises(GaafError, match="no tree returns Scalar"):
        pset.check()
    pset.addLearnable("s")
    with pytest.raises(GaafError, match="no tree returns Scalar"):
        pset.check()
    pset.addEphemeralConstant("e", uniform, Scalar)
    pset.check()
    assert pset.min_size(Scalar, 0) == 1


def test_an_argument_of_a_subtype_closes_the_root() -> None:
    pset = PrimitiveSet("narrow", (Leaf,), Feature)
    pset.addPrimitive(torch.sin, [Leaf], Leaf)
    assert pset.check() is pset
    assert str(parse("sin(x)", pset)) == "sin(x)"


@pytest.mark.parametrize("name", ["ARG0", "x", "features"])
def test_an_argument_stands_under_its_name(name: str) -> None:
    pset = PrimitiveSet("named", arguments=(name,))
    pset.addPrimitive(torch.sin, [Feature], Feature)
    assert pset.arguments == [name]
    assert str(parse(f"sin({name})", pset)) == f"sin({name})"
    assert parse(f"sin({name})", pset).infix() == f"sin({name})"


def test_a_long_name_is_upright_in_latex() -> None:
    pset = filled()
    pset.addTerminal(3.0, Scalar, name="big_c")
    assert parse("times(x, big_c)", pset).latex() == r"x\mathrm{big\_c}"
    pset.renameArguments(x="input")
    assert parse("times(input, pi)", pset).latex() == r"\mathrm{input}\mathrm{pi}"


def test_a_renamed_argument_keeps_its_trees() -> None:
    pset = minimal.make_pset()
    tree = parse("add(sin(x), x)", pset)
    pset.renameArguments(x="z")
    assert str(tree) == "add(sin(z), z)"
    assert tree == parse("add(sin(z), z)", pset)
    assert tree.infix() == "sin(z) + z"
    assert tree.cost == 5
    assert "x" not in pset.mapping
    assert "x" not in pset.traits
    with pytest.raises(GaafError, match="'x' is not in set"):
        parse("sin(x)", pset)
    pset.renameArguments(z="z")
    assert parse("z", pset) == [tree[-1]]


def test_arguments_also_answer_to_the_names_that_deap_gives_them() -> None:
    pset = PrimitiveSet("pair", (Feature, Scalar), Feature, ("x", "c"))
    pset.renameArguments(ARG0="x")
    assert pset.arguments == ["x", "c"]
    pset.renameArguments(ARG0="a", ARG1="b")
    assert pset.arguments == ["a", "b"]
    assert set(pset.mapping) == set(pset.traits) == {"a", "b"}


def test_two_arguments_can_trade_names() -> None:
    pset = PrimitiveSet("pair", (Feature, Scalar), Feature, ("x", "c"))
    first, second = (pset.mapping[name] for name in ("x", "c"))
    pset.renameArguments(x="c", c="x")
    assert pset.arguments == ["c", "x"]
    assert [pset.mapping["c"], pset.mapping["x"]] == [first, second]
    assert (first.name, second.name, first.format(), second.format()) == ("c", "x", "c", "x")


@dataclass(frozen=True)
class Plan:
    """A small set written down: primitives as (argument types, type), terminals as (type, whether it learns)."""

    in_type: type
    primitives: tuple[tuple[tuple[type, ...], type], ...]
    terminals: tuple[tuple[type, bool], ...]

    def build(self) -> PrimitiveSet:
        """Make the set with the package."""
        pset = PrimitiveSet("planned", (self.in_type,), self.in_type)
        for i, (in_types, ret_type) in enumerate(self.primitives):
            pset.addPrimitive(total, in_types, ret_type, f"f{i}")
        for i, (ret_type, learns) in enumerate(self.terminals):
            if learns:
                pset.addLearnable(f"s{i}", 1.0, ret_type)
            else:
                pset.addTerminal(float(i), ret_type)
        return pset

    @property
    def types(self) -> set[type]:
        """The types that something takes or returns."""
        calls = {marker for in_types, ret_type in self.primitives for marker in (*in_types, ret_type)}
        return calls | {self.in_type} | {marker for marker, _ in self.terminals}

    @functools.cache  # noqa: B019 (plans are few and small)
    def trees(self, marker: type, height: int) -> set[tuple[int, bool]]:
        """Enumerate the trees of a type up to a height, as (size, whether it has an argument or learns)."""
        leaves = [(self.in_type, True), *self.terminals]
        found = {(1, varies) for ret_type, varies in leaves if issubclass(ret_type, marker)}
        for in_types, ret_type in self.primitives if height else ():
            if issubclass(ret_type, marker):
                below = [self.trees(argument, height - 1) for argument in in_types]
                found |= {(1 + sum(n for n, _ in row), any(v for _, v in row)) for row in itertools.product(*below)}
        return {(size, varies) for size, varies in found if size <= 24}


MARKERS = st.sampled_from(TYPES)
PLANS = st.builds(
    Plan,
    MARKERS,
    st.lists(st.tuples(st.lists(MARKERS, min_size=1, max_size=2).map(tuple), MARKERS), max_size=5).map(tuple),
    st.lists(st.tuples(MARKERS, st.booleans()), max_size=2).map(tuple),
)


@settings(max_examples=100, deadline=None)
@given(PLANS)
def test_smallest_and_lowest_trees_are_those_of_an_enumeration(plan: Plan) -> None:
    pset = plan.build()
    for marker in plan.types:
        sizes = [min((size for size, _ in plan.trees(marker, height)), default=math.inf) for height in range(5)]
        assert [pset.min_size(marker, height) for height in range(5)] == sizes
        lowest = next((height for height, size in enumerate(sizes) if size < math.inf), math.inf)
        assert pset.least_height(marker) == lowest


@settings(max_examples=100, deadline=None)
@given(PLANS)
def test_a_type_varies_if_some_enumerated_tree_does(plan: Plan) -> None:
    assume(all(plan.trees(marker, 4) for marker in plan.types))
    pset = plan.build().check()
    for marker in plan.types:
        assert pset.varies(marker) == any(varies for _, varies in plan.trees(marker, 9))


def test_smallest_trees_follow_what_is_added() -> None:
    pset = PrimitiveSet("growing")
    pset.addPrimitive(times, [Feature, Scalar], Feature)
    assert pset.min_size(Scalar, 9) == math.inf
    assert pset.least_height(Scalar) == math.inf
    assert not pset.varies(Scalar)
    pset.addLearnable("s", 1.0, Channel)
    pset.addPrimitive(torch.neg, [Channel], Scalar)
    assert [pset.min_size(Scalar, height) for height in (0, 1, 2)] == [math.inf, 2, 2]
    assert pset.least_height(Scalar) == 1
    assert pset.varies(Scalar)


def described(pset: PrimitiveSet) -> dict[str, Any]:
    """Everything that can be seen of a set, functions by identity."""
    return {
        "name": pset.name,
        "types": (pset.ins, pset.ret, pset.arguments),
        "traits": pset.traits,
        "mapping": {n: (getattr(node, "args", None), node.ret) for n, node in pset.mapping.items()},
        "primitives": {marker: [p.name for p in row] for marker, row in pset.primitives.items()},
        "terminals": {marker: [t.name for t in row] for marker, row in pset.terminals.items()},
        "ratio": pset.terminalRatio,
        "context": {k: v for k, v in pset.context.items() if k != "__builtins__"},
        "draws": [pset.draw(t, random.Random(3)) for row in pset.terminals.values() for t in row],
    }


@pytest.mark.parametrize("make", SETS)
def test_a_pickled_set_is_the_same_set(make: Callable[[], PrimitiveSet]) -> None:
    pset = make()
    once = pickle.loads(pickle.dumps(pset))
    twice = pickle.loads(pickle.dumps(once))
    assert once is not pset
    assert described(once) == described(pset) == described(twice)
    once.addTerminal(0.123, Scalar)
    assert "0.123" not in pset.mapping


@pytest.mark.parametrize("make", SETS)
def test_a_pickled_tree_is_the_same_tree(make: Callable[[], PrimitiveSet]) -> None:
    pset = make()
    random.seed(1)
    grown = Individual(pset.primitives[Feature][0:1] + [pset.mapping["x"]] * pset.primitives[Feature][0].arity, pset)
    back = pickle.loads(pickle.dumps(grown))
    assert back == grown
    assert (str(back), back.infix(), back.latex(), back.cost) == (str(grown), grown.infix(), grown.latex(), grown.cost)
    assert parse(str(grown), back.pset) == back


def test_a_set_is_shared_by_copies() -> None:
    pset = filled()
    assert copy.deepcopy(pset) is pset
    tree = parse("times(x, 0.5)", pset)
    assert copy.deepcopy([tree, tree])[0].pset is pset


@given(st.integers(0, 2**32))
def test_drawing_depends_on_the_seed_alone_and_disturbs_nobody(seed: int) -> None:
    pset = filled()
    maker = next(t for t in pset.terminals[Scalar] if isinstance(t, gp.MetaEphemeral))
    before = random.getstate()
    rng = random.Random(seed)
    drawn = [pset.draw(maker, rng) for _ in range(3)]
    assert random.getstate() == before
    expected = random.Random(seed)
    assert [constant.value for constant in drawn] == [expected.uniform(-1.0, 1.0) for _ in range(3)]
    assert rng.getstate() == expected.getstate()
    assert all(isinstance(constant, Constant) and constant.ret is Scalar for constant in drawn)


def test_adding_disturbs_no_random_numbers() -> None:
    before = random.getstate()
    filled()
    assert random.getstate() == before


def test_a_fixed_terminal_is_drawn_as_itself() -> None:
    pset = filled()
    for name in ("x", "pi", "2.0", "s"):
        assert pset.draw(pset.mapping[name], random.Random(0)) is pset.mapping[name]


def fixed() -> PrimitiveSet:
    pset = PrimitiveSet("fixed")
    pset.addTerminal(2, Scalar)
    pset.addTerminal(3.0, Leaf)
    pset.addTerminal(5.0, Scalar, name="five")
    return pset


def drawn() -> PrimitiveSet:
    pset = PrimitiveSet("drawn")
    pset.addTerminal(2.0, Feature)
    pset.addEphemeralConstant("tip", uniform, Tip)
    pset.addEphemeralConstant("number", uniform, Scalar)
    return pset


@pytest.mark.parametrize(
    ("make", "value", "marker", "ret_type"),
    [
        (fixed, 2.0, Scalar, Scalar),
        (fixed, 3.0, Feature, Leaf),
        (fixed, 3.0, Tip, None),
        (fixed, 2.0, Feature, None),
        (fixed, 5.0, Scalar, None),
        (drawn, 7.0, Scalar, Scalar),
        (drawn, 7.0, Leaf, Tip),
        (drawn, 7.0, Feature, Tip),
        (drawn, 7.0, Channel, None),
    ],
)
def test_a_number_stands_where_the_set_has_it(
    make: Callable[[], PrimitiveSet], value: float, marker: type, ret_type: type | None
) -> None:
    pset = make()
    assert pset.constant(value, marker) == (None if ret_type is None else Constant(value, ret_type))
    assert pset.takes_numbers(marker) == (make is drawn and ret_type is not None)


def test_a_set_knows_its_own_nodes() -> None:
    one, other = fixed(), drawn()
    assert [one.draws(marker) for marker in (Scalar, Leaf, Tip, Feature)] == [False] * 4
    assert [other.draws(marker) for marker in (Scalar, Tip, Leaf, Feature)] == [True, True, False, False]
    assert all(one.holds(node) for node in one.mapping.values())
    assert one.holds(Constant(2.0, Scalar))
    assert not one.holds(Constant(2.0, Feature))
    assert not one.holds(Constant(2.5, Scalar))
    assert other.holds(Constant(2.5, Scalar))
    assert not other.holds(Constant(2.5, Channel))
    assert not one.holds(minimal.make_pset().mapping["sin"])


def test_no_tree_is_lower_than_a_leaf() -> None:
    assert [fixed().min_size(Scalar, height) for height in (-1, 0)] == [math.inf, 1]


def test_what_is_said_of_a_primitive_is_kept() -> None:
    traits = filled().traits
    assert traits["learns"].learnable == (1.0, -2.0)
    assert all(isinstance(value, float) for value in traits["learns"].learnable)
    assert (traits["s"].learnable, traits["s"].cost, traits["s"].function) == ((0.5,), 1, None)
    assert (traits["plus"].commutative, traits["plus"].precedence, traits["plus"].infix) == (True, 1, "{0:1} + {1:1}")
    assert (traits["times"].cost, traits["times"].latex, traits["times"].periodic) == (3, "{0}{1}", False)
    assert traits["log"].function is torch.log
    assert (traits["pi"].cost, traits["pi"].infix, traits["x"].cost) == (0.0, "pi", 0.0)
