"""Reading what was written, refusing everything else in one line that shows the place, and evaluating nothing."""

from __future__ import annotations

import builtins
import itertools
import math
import os
import random
import re
from typing import Any, NoReturn

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from gaaf_gp.errors import GaafError
from gaaf_gp.trees.generation import generate
from gaaf_gp.trees.individual import Individual
from gaaf_gp.trees.parser import parse
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.trees.tree import Constant
from gaaf_gp.types import Feature, Scalar

TREES = 10
"""Trees made for each of hypothesis's 100 examples."""
BLANKS = " \t\n\r\f\v"
WORDS = re.compile(r"[A-Za-z_][A-Za-z_0-9]*|[-+0-9.e]+|[(),]")


class Fine(Scalar):
    """A constant of one kind."""


class Coarse(Scalar):
    """A constant of another kind."""


def times(x: Tensor, c: Tensor) -> Tensor:
    """Return c*x."""
    return c * x


def quarter() -> float:
    return 0.25


def half() -> float:
    return 0.5


@pytest.fixture(scope="module")
def fixed() -> PrimitiveSet:
    """A set whose only numbers are 0.5, -2.0, 1e+22 and one called pi."""
    pset = PrimitiveSet("fixed")
    pset.addPrimitive(torch.tanh, [Feature], Feature)
    pset.addPrimitive(times, [Feature, Scalar], Feature)
    for number in (0.5, -2, 1e22):
        pset.addTerminal(number, Scalar)
    pset.addTerminal(math.pi, Scalar, name="pi")
    return pset.check()


def grown(pset: PrimitiveSet, rng: random.Random, height: int = 6) -> Individual:
    return Individual(generate(pset, 0, height, rng=rng), pset)


def refusal(text: Any, pset: PrimitiveSet) -> str:
    with pytest.raises(GaafError, match=r"\S") as caught:
        parse(text, pset)
    return str(caught.value)


def read(text: str, pset: PrimitiveSet) -> Individual | GaafError:
    try:
        return parse(text, pset)
    except GaafError as error:
        return error


def one_line(message: str) -> bool:
    return len(message.splitlines()) == 1


@settings(max_examples=100)
@given(seed=st.integers(0, 2**32))
def test_what_was_written_is_read(pset: PrimitiveSet, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(TREES):
        tree = grown(pset, rng)
        again = parse(str(tree), pset)
        assert again == tree
        assert list(again) == list(tree)
        assert type(again) is Individual
        assert again.pset is pset
        assert not again.fitness.valid


@settings(max_examples=50)
@given(seed=st.integers(0, 2**32))
def test_what_was_written_is_read_where_types_leave_few_trees(strict_pset: PrimitiveSet, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(TREES):
        tree = Individual(generate(strict_pset, 3, 6, rng=rng), strict_pset)
        assert parse(str(tree), strict_pset) == tree


@settings(max_examples=100)
@given(seed=st.integers(0, 2**32), blanks=st.lists(st.text(BLANKS, max_size=3), min_size=1, max_size=9))
def test_blanks_mean_nothing(pset: PrimitiveSet, seed: int, blanks: list[str]) -> None:
    tree = grown(pset, random.Random(seed))
    words = WORDS.findall(str(tree))
    assert "".join(words) == str(tree).replace(" ", "")
    spaced = "".join(blank + word for blank, word in zip(itertools.cycle(blanks), words, strict=False)) + blanks[0]
    assert parse(spaced, pset) == tree


@settings(max_examples=200)
@given(value=st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_number_is_a_constant(free: PrimitiveSet, value: float) -> None:
    tree = parse(f"const({value!r})", free)
    assert tree[1] == Constant(value, Scalar)
    assert parse(str(tree), free) == tree


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("3", 3.0), ("-3", -3.0), ("+3", 3.0), ("007", 7.0), ("0", 0.0), ("-0", -0.0), (".5", 0.5), ("5.", 5.0),
        ("-.5", -0.5), ("1e3", 1000.0), ("1E3", 1000.0), ("1e+3", 1000.0), ("25e-2", 0.25), ("1.5e0", 1.5),
        ("1e-400", 0.0), ("1.7976931348623157e308", 1.7976931348623157e308), ("9" * 300, float("9" * 300)),
        ("--1", 1.0), ("- 1", -1.0), ("+-1", -1.0),
    ],
)  # fmt: skip
def test_numbers_may_be_written_as_people_do(free: PrimitiveSet, written: str, value: float) -> None:
    assert parse(f"const({written})", free)[1] == Constant(value, Scalar)


@pytest.mark.parametrize(
    "written",
    ["0x10", "1_000", "1e", "1e+", "1.2.3", "1j", "1,5", "1 2", ".", "e5", "1e5e5", "½", "٣", "３",
     "²", "∞", "−1", "nan", "-nan", "inf", "-inf", "Infinity", "True", "None", "1e999", "-1e999", "9" * 400],
)  # fmt: skip
def test_what_is_no_plain_finite_number_is_refused(free: PrimitiveSet, written: str) -> None:
    message = refusal(f"const({written})", free)
    assert message.startswith('cannot read "const(')
    assert one_line(message)


def test_an_infinite_number_is_called_so(free: PrimitiveSet) -> None:
    assert refusal("const(1e999)", free) == (
        "cannot read \"const(>>1e999<<)\" at character 7: '1e999' is not a finite number; "
        "a Scalar fits here: a number, cadd(Scalar, Scalar), cmul(Scalar, Scalar)"
    )


@pytest.mark.parametrize("written", ["0.5", "5e-1", ".5", "+0.50"])
def test_fixed_numbers_are_read_by_value(fixed: PrimitiveSet, written: str) -> None:
    tree = parse(f"times(x, {written})", fixed)
    assert tree == Individual([fixed.mapping["times"], fixed.mapping["x"], fixed.mapping["0.5"]], fixed)
    assert str(tree) == "times(x, 0.5)"


def test_other_fixed_numbers_are_read_too(fixed: PrimitiveSet) -> None:
    assert str(parse("times(x, -2)", fixed)) == "times(x, -2.0)"
    assert str(parse("times(x, 1E22)", fixed)) == "times(x, 1e+22)"
    tree = parse("times(x, pi)", fixed)
    assert tree[2] is fixed.mapping["pi"]
    assert parse(str(tree), fixed) == tree


@pytest.mark.parametrize("written", ["0.25", "2", "3.141592653589793", "-0.5", "1e999"])
def test_other_numbers_are_refused_in_a_set_of_fixed_ones(fixed: PrimitiveSet, written: str) -> None:
    message = refusal(f"times(x, {written})", fixed)
    assert f'"times(x, >>{written}<<)" at character 10' in message
    assert message.endswith("a Scalar fits here: 0.5, -2.0, 1e+22, pi")


def test_a_number_is_refused_where_none_fits(free: PrimitiveSet, minimal: PrimitiveSet) -> None:
    assert parse("add(x, 2)", free) == parse("add(x, const(2))", free)
    assert refusal("add(x, 2)", minimal).startswith(
        "cannot read \"add(x, >>2<<)\" at character 8: '2' is a number; a Feature fits here: x, add(Feature, Feature), "
    )
    assert refusal("2", minimal).startswith("cannot read \">>2<<\" at character 1: '2' is a number; ")


def test_numbers_of_two_kinds_are_read_back_as_they_were() -> None:
    pset = PrimitiveSet("two kinds")
    pset.addPrimitive(times, [Feature, Scalar], Feature)
    pset.addEphemeralConstant("fine", quarter, Fine)
    pset.addEphemeralConstant("coarse", half, Coarse)
    rng = random.Random(0)
    for _ in range(50):
        tree = grown(pset, rng, height=2)
        assert parse(str(tree), pset) == tree


MINIMAL_FITS = (
    "a Feature fits here: x, add(Feature, Feature), sub(Feature, Feature), mul(Feature, Feature), sin(Feature), "
    "cos(Feature), tanh(Feature)"
)


@pytest.mark.parametrize(
    ("text", "shown", "character", "reason"),
    [
        ("", ">><<", 1, f"the text ends early; {MINIMAL_FITS}"),
        ("   ", "   >><<", 4, f"the text ends early; {MINIMAL_FITS}"),
        ("sin", "sin>><<", 4, "sin takes 1 argument(s): write sin(...)"),
        ("sin x", "sin >>x<<", 5, "sin takes 1 argument(s): write sin(...)"),
        ("sin(", "sin(>><<", 5, f"the text ends early; {MINIMAL_FITS}"),
        ("sin()", "sin(>>)<<", 5, f"')' cannot stand here; {MINIMAL_FITS}"),
        ("sin(x", "sin(x>><<", 6, 'sin takes 1 argument(s) and has them: put ")" here'),
        ("sin(x, x)", "sin(x>>,<< x)", 6, 'sin takes 1 argument(s) and has them: put ")" here'),
        ("sin(x x)", "sin(x >>x<<)", 7, 'sin takes 1 argument(s) and has them: put ")" here'),
        ("add(x", "add(x>><<", 6, 'add takes 2 argument(s), 1 came before this: put "," and the next one here'),
        ("add(x)", "add(x>>)<<", 6, 'add takes 2 argument(s), 1 came before this: put "," and the next one here'),
        ("add(x x)", "add(x >>x<<)", 7, 'add takes 2 argument(s), 1 came before this: put "," and the next one here'),
        ("add(x,", "add(x,>><<", 7, f"the text ends early; {MINIMAL_FITS}"),
        ("add(x,, x)", "add(x,>>,<< x)", 7, f"',' cannot stand here; {MINIMAL_FITS}"),
        ("add(,x)", "add(>>,<<x)", 5, f"',' cannot stand here; {MINIMAL_FITS}"),
        ("x(x)", "x>>(<<x)", 2, "the expression is complete before this; one expression is allowed: remove the rest"),
        ("sin(x))", "sin(x)>>)<<", 7, "the expression is complete before this; "),
        ("sin(x) cos(x)", "sin(x) >>cos<<(x)", 8, "the expression is complete before this; "),
        ("x;", "x>>;<<", 2, "the expression is complete before this; "),
        ("sin(tan(x))", "sin(>>tan<<(x))", 5, f"'tan' is not in set 'primitives.minimal:make_pset'; {MINIMAL_FITS}"),
        ("SIN(x)", ">>SIN<<(x)", 1, f"'SIN' is not in set 'primitives.minimal:make_pset'; {MINIMAL_FITS}"),
        ("add(x,\n  y)", "add(x,   >>y<<)", 10, "'y' is not in set 'primitives.minimal:make_pset'; "),
        ("sin[x]", "sin>>[<<x]", 4, "sin takes 1 argument(s): write sin(...)"),
        ("sin(é)", "sin(>>é<<)", 5, f"'é' cannot stand here; {MINIMAL_FITS}"),
        ("ｓｉｎ(x)", ">>ｓ<<ｉｎ(x)", 1, f"'ｓ' cannot stand here; {MINIMAL_FITS}"),
        ("sin\u00a0(x)", None, 4, "sin takes 1 argument(s): write sin(...)"),
    ],
)  # fmt: skip
def test_a_refusal_shows_the_place(
    minimal: PrimitiveSet, text: str, shown: str | None, character: int, reason: str
) -> None:
    message = refusal(text, minimal)
    if shown is not None:
        assert message.startswith(f'cannot read "{shown}" at character {character}: {reason}')
    assert f" at character {character}: {reason}" in message
    assert one_line(message)


@pytest.mark.parametrize(
    ("text", "shown", "character", "reason"),
    [
        ("add(x, cadd(1, 2))", "add(x, >>cadd<<(1, 2))", 8, "'cadd' returns a Scalar; a Feature fits here: x, "),
        ("const(x)", "const(>>x<<)", 7, "'x' returns a Feature; a Scalar fits here: a number, cadd(Scalar, Scalar), "),
        ("const(cadd(1, sin(x)))", "const(cadd(1, >>sin<<(x)))", 15, "'sin' returns a Feature; a Scalar fits here: "),
        ("const(c)", "const(>>c<<)", 7, "'c' is not in set 'primitives.gaaf:free'; a Scalar fits here: a number, "),
        ("cadd(1, 2)", ">>cadd<<(1, 2)", 1, "'cadd' returns a Scalar; a Feature fits here: "),
    ],
)
def test_types_are_checked_while_reading(
    free: PrimitiveSet, text: str, shown: str, character: int, reason: str
) -> None:
    assert refusal(text, free).startswith(f'cannot read "{shown}" at character {character}: {reason}')


def test_a_leaf_may_stand_for_a_feature_but_not_the_other_way_round(subtyped: PrimitiveSet) -> None:
    assert str(parse("add(sin(x), sin(x))", subtyped)) == "add(sin(x), sin(x))"
    assert refusal("add(x, x)", subtyped) == (
        "cannot read \"add(>>x<<, x)\" at character 5: 'x' returns a Feature; a Leaf fits here: sin(Feature), cos(Leaf)"
    )


def test_learnable_terminals_are_listed_too(template: PrimitiveSet) -> None:
    assert refusal("weigh(x, x)", template).endswith("'x' returns a Feature; a Channel fits here: s")


def test_a_long_text_is_shown_around_the_place(minimal: PrimitiveSet) -> None:
    before, after = "add(x, " * 50, ", x)" * 50
    message = refusal(f"{before}oops{after}", minimal)
    assert message.startswith(
        f'cannot read "...{before[-30:]}>>oops<<{after[:30]}..." at character {len(before) + 1}: '
    )


def test_a_long_name_is_not_repeated_at_length(minimal: PrimitiveSet) -> None:
    name = "a" * 3000
    message = refusal(f"sin({name})", minimal)
    assert f">>{'a' * 30}...<<" in message
    assert "a" * 100 not in message
    assert "9" * 100 not in refusal(f"sin({'9' * 3000})", minimal)


@pytest.mark.parametrize("name", ["minimal", "free", "template"])
def test_every_truncation_is_refused(request: pytest.FixtureRequest, name: str) -> None:
    pset: PrimitiveSet = request.getfixturevalue(name)
    rng = random.Random(7)
    for _ in range(15):
        text = str(grown(pset, rng, height=4))
        for length in range(len(text)):
            message = refusal(text[:length], pset)
            assert one_line(message)
            place = re.search(r'<<" at character (\d+): ', message)
            assert place is not None
            # At the end of the text, or at its last word, which may have been cut.
            assert re.fullmatch(r"[\w.+-]*|[(),]", text[int(place[1]) - 1 : length])


@pytest.mark.parametrize("count", [100_001, 1_000_000])
def test_an_over_long_text_is_refused_unread(minimal: PrimitiveSet, count: int) -> None:
    message = refusal("?" * count, minimal)
    assert message == f'an expression may have at most 100000 characters, got {count}: "{"?" * 30}..."'


def test_the_longest_text_is_read(minimal: PrimitiveSet) -> None:
    assert parse("x".rjust(100_000), minimal) == parse("x", minimal)
    assert parse("x".ljust(100_000), minimal) == parse("x", minimal)


@pytest.mark.parametrize(
    "text", [" " * 100_000, "(" * 100_000, "1" * 100_000, "-" * 100_000, "x," * 50_000, "x " * 50_000, "1e" * 50_000,
             "add(" * 25_000, "." * 100_000, ("a " * 50_000), ")" * 100_000, "1." * 50_000],
    ids=lambda text: text[:5],
)  # fmt: skip
def test_the_longest_nonsense_is_refused_as_the_short_one(minimal: PrimitiveSet, text: str) -> None:
    message = refusal(text, minimal)
    assert message.startswith('cannot read "')
    assert one_line(message)


def chain(levels: int) -> str:
    return "sin(" * levels + "x" + ")" * levels


def balanced(leaves: int) -> str:
    if leaves == 1:
        return "x"
    return f"add({balanced(leaves // 2)},{balanced(leaves - leaves // 2)})"


def test_height_is_bounded(minimal: PrimitiveSet) -> None:
    highest = parse(chain(1000), minimal)
    assert highest.height == 1000
    assert parse(str(highest), minimal) == highest
    for levels in (1001, 5000):
        message = refusal(chain(levels), minimal)
        assert message.startswith(f'cannot read "...{("sin(" * 10)[-30:]}>>sin<<')
        assert message.endswith("at character 4001: a tree may be at most 1000 high")


def test_size_is_bounded(minimal: PrimitiveSet) -> None:
    assert len(parse(f"sin({balanced(5000)})", minimal)) == 10_000
    message = refusal(balanced(5001), minimal)
    assert message.endswith(f"at character {len(balanced(5001)) - 13}: a tree may have at most 10000 nodes")


@pytest.mark.parametrize("text", [None, b"sin(x)", 1.0, ["x"], ("sin", "x")])
def test_only_text_is_read(minimal: PrimitiveSet, text: Any) -> None:
    assert refusal(text, minimal) == f'an expression must be text such as "sin(x)", got {type(text).__name__}'


def test_a_set_that_cannot_be_closed_is_refused() -> None:
    pset = PrimitiveSet("open")
    pset.addPrimitive(times, [Feature, Scalar], Feature)
    assert "every type of set 'open' must be closed" in refusal("x", pset)


PYTHON = [
    "__import__('os').system('x')",
    "sin(__import__('os').system('x'))",
    "(lambda: x)()",
    "x if x else x",
    "x.__class__",
    "sin(x) + x + os.system('true')",
    "[x for x in ()]",
    "sin(*x)",
    "sin(x=1)",
    "exec('x')",
    "open('x')",
    "'x'",
    '"x"',
    "{x}",
    "sin(x) # x",
    "sin(x) \\",
    "eval",
    "print(x)",
    "f'{x}'",
    "sin(x)\nsin(x)",
    "cos(x):=x",
    "\0",
    "%s",
    "{0}",
]


@pytest.mark.parametrize("text", PYTHON)
def test_nothing_is_evaluated(minimal: PrimitiveSet, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    def refuse(*_arguments: object, **_settings: object) -> NoReturn:
        raise AssertionError("text was evaluated")

    with monkeypatch.context() as patch:
        patch.setattr(os, "system", refuse)
        for name in ("eval", "exec", "compile", "open", "__import__"):
            patch.setattr(builtins, name, refuse)
        outcome = read(text, minimal)
    assert isinstance(outcome, GaafError)
    assert str(outcome).startswith('cannot read "')
    assert one_line(str(outcome))


@pytest.mark.parametrize(
    "text", ["sin({}oops)", "{}", "sin(x){}oops", "oops({}x)", "{}" * 100_001], ids=lambda text: text[:12]
)
def test_a_refusal_is_one_line_whatever_breaks_lines(minimal: PrimitiveSet, text: str) -> None:
    for broken in ("\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"):
        assert one_line(refusal(text.replace("{}", broken), minimal)), repr(broken)


@pytest.mark.parametrize("text", ["sin({}x)", "sin(x) x {}", "{}sin(x)", "{}" * 100_001], ids=lambda text: text[:12])
def test_a_refusal_can_be_printed_on_any_terminal(minimal: PrimitiveSet, text: str) -> None:
    for strange in ("\x1b[31m", "\x07", "\0", "\ud800", "\u202e", "\x7f"):
        assert refusal(text.replace("{}", strange), minimal).isprintable(), repr(strange)


GRAMMAR = st.text("addsincox(), .-+0123456789eE_\n", max_size=40)
CLASHES = st.one_of(GRAMMAR, st.text(max_size=40), st.sampled_from(PYTHON))


@settings(max_examples=500)
@given(text=CLASHES)
def test_any_text_is_read_or_refused_in_one_line(pset: PrimitiveSet, nested: Any, text: str) -> None:
    outcome = read(text, pset)
    if isinstance(outcome, GaafError):
        assert one_line(str(outcome))
    else:
        assert nested(outcome, pset.ret).well_typed
        assert parse(str(outcome), pset) == outcome


@settings(max_examples=500)
@given(
    seed=st.integers(0, 2**32),
    places=st.lists(st.integers(0, 200), min_size=1, max_size=3),
    change=st.sampled_from(["insert", "delete", "replace", "repeat", "swap"]),
    piece=st.one_of(st.sampled_from([*"(),.- x1eE\n\u2028é", "sin", "add(", "1e999", "nan"]), st.text(max_size=3)),
)
def test_a_damaged_text_is_read_or_refused_in_one_line(
    pset: PrimitiveSet, nested: Any, seed: int, places: list[int], change: str, piece: str
) -> None:
    original = text = str(grown(pset, random.Random(seed), height=4))
    for where in places:
        at = where % (len(text) + 1)
        text = {
            "insert": text[:at] + piece + text[at:],
            "delete": text[:at] + text[at + 1 :],
            "replace": text[:at] + piece + text[at + 1 :],
            "repeat": text[:at] + text[at : at + 5] + text[at:],
            "swap": text[:at] + text[at + 1 : at + 2] + text[at : at + 1] + text[at + 2 :],
        }[change]
    assume(text != original)
    outcome = read(text, pset)
    if isinstance(outcome, GaafError):
        assert one_line(str(outcome))
    else:
        assert nested(outcome, pset.ret).well_typed
        assert parse(str(outcome), pset) == outcome
