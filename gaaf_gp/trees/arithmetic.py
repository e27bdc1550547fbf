"""Reads formulas as people write them, such as ``sin(x) + 2*x``: terms first, then the nodes of a set that they mean.

An operator stands for the primitive that is written that way (the ``infix`` of ``addPrimitive``), so that ``x + x`` is
``add(x, x)`` in a set whose ``add`` has ``"{0:1} + {1:2}"``. Precedence is that of Python. Nothing is evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from gaaf_gp.errors import GaafError
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.trees.render import BARE

BINARY = {"+": 1, "-": 1, "*": 2, "/": 2}
"""Operators of two arguments, with their precedence; all of them group to the left."""
MOST_NESTED = 100
"""Parentheses and calls inside each other; deeper trees can be read in DEAP's notation."""
_FORMATS = re.compile(r":\d+\}")


class Token(NamedTuple):
    """A piece of the text of an expression.

    Attributes:
        kind: "name", "number", "mark" for one of ( ) and the comma, "strange" for any other character, "end" for the
            end of the text.
        text: the piece itself, empty at the end.
        start: where it begins in the text.
        stop: where it ends.
    """

    kind: str
    text: str
    start: int
    stop: int


class Term(NamedTuple):
    """A name, a number, a call, or an operator with its arguments.

    Attributes:
        kind: "name", "number", "call" or "operator".
        token: where it stands.
        template: of an operator: how it is written, as in ``"{0} + {1}"``.
        arguments: terms.
    """

    kind: str
    token: Token
    template: str = ""
    arguments: tuple[Term, ...] = ()


Fail = Callable[[Token, str], GaafError]


def is_arithmetic(tokens: list[Token]) -> bool:
    """Return whether a text has an operator, or parentheses around what is no call."""
    before = Token("end", "", 0, 0)
    for token in tokens:
        after_operand = before.kind in ("name", "number") or before.text == ")"
        signed = token.kind == "number" and token.text[0] in "+-"
        if token.text in ("*", "/", "^", "+", "-") or (signed and after_operand):
            return True
        if token.text == "(" and before.text in ("", "(", ","):
            return True
        before = token
    return False


def operators(tokens: list[Token]) -> list[Token]:
    """Return the tokens with signs apart from the numbers that they follow an operand with, and ``**`` as ``^``."""
    apart: list[Token] = []
    for kind, text, start, stop in tokens:
        after_operand = bool(apart) and (apart[-1].kind in ("name", "number") or apart[-1].text == ")")
        if kind == "number" and text[0] in "+-" and after_operand:
            apart += [Token("strange", text[0], start, start + 1), Token("number", text[1:], start + 1, stop)]
        elif text == "*" and apart and apart[-1].text == "*" and apart[-1].stop == start:
            apart[-1] = Token("strange", "^", start - 1, stop)
        else:
            apart.append(Token(kind, text, start, stop))
    return apart


class Terms:
    """Reads tokens, the last of which is the end, as one term.

    Args:
        tokens: as :func:`operators` returns them.
        fail: makes the error of a token.
    """

    def __init__(self, tokens: list[Token], fail: Fail) -> None:
        self._tokens = tokens
        self._fail = fail
        self._place = 0
        self._nested = 0

    def read(self) -> Term:
        """Return the term of all tokens.

        Raises:
            GaafError: they are not one.
        """
        term = self._sum(1)
        if self._token.kind != "end":
            raise self._fail(self._token, "an operator, or the end, fits here: remove the rest or put an operator")
        return term

    @property
    def _token(self) -> Token:
        return self._tokens[self._place]

    def _next(self) -> Token:
        self._place += 1
        return self._tokens[self._place - 1]

    def _sum(self, least: int) -> Term:
        left = self._signed()
        while (precedence := BINARY.get(self._token.text, 0)) >= least:
            token = self._next()
            right = self._sum(precedence + 1)
            left = Term("operator", token, f"{{0}} {token.text} {{1}}", (left, right))
        return left

    def _signed(self) -> Term:
        signs = []
        while self._token.text in ("-", "+"):
            signs.append(self._next())
        term = self._power()
        for sign in reversed(signs):
            if sign.text == "-":
                term = _negated(term, sign)
        return term

    def _power(self) -> Term:
        base = self._operand()
        while self._token.text == "^":
            token, exponent = self._next(), self._next()
            if exponent.kind != "number":
                raise self._fail(exponent, "an exponent must be a number, such as 2 in x^2")
            if base.kind == "number" and base.token.text[0] == "-":  # -2^2 is -(2^2)
                plain = Term("number", base.token._replace(text=base.token.text[1:]))
                base = _negated(Term("operator", token, f"{{0}}^{exponent.text}", (plain,)), base.token)
            else:
                base = Term("operator", token, f"{{0}}^{exponent.text}", (base,))
        return base

    def _operand(self) -> Term:
        token = self._next()
        if token.kind == "number":
            return Term("number", token)
        if token.text != "(" and token.kind != "name":
            self._place -= 1
            what = "the text ends early" if token.kind == "end" else f"{token.text!r} cannot stand here"
            raise self._fail(token, f'{what}: put a name, a number or "(" here')
        if token.kind == "name" and self._token.text != "(":
            return Term("name", token)
        self._nested += 1
        if self._nested > MOST_NESTED:
            raise self._fail(token, f"a formula may have at most {MOST_NESTED} parentheses inside each other")
        term = self._call(token) if token.kind == "name" else self._sum(1)
        self._close()
        self._nested -= 1
        return term

    def _call(self, name: Token) -> Term:
        self._next()
        arguments = [self._sum(1)]
        while self._token.text == ",":
            self._next()
            arguments.append(self._sum(1))
        return Term("call", name, arguments=tuple(arguments))

    def _close(self) -> None:
        if self._token.text != ")":
            raise self._fail(self._token, 'put ")", or an operator, here')
        self._next()


def _negated(term: Term, sign: Token) -> Term:
    if term.kind == "number":
        text = term.token.text
        return Term("number", term.token._replace(text=text[1:] if text[0] == "-" else "-" + text.lstrip("+")))
    return Term("operator", sign, "-{0}", (term,))


def written_as(pset: PrimitiveSet, marker: type, template: str) -> Any:
    """Return the primitive that returns a ``marker`` and is written as ``template``; None if there is none."""
    return next((one for one in pset.primitives.get(marker, ()) if _plain(pset, one) == template), None)


def wrappers(pset: PrimitiveSet, marker: type) -> Iterator[Any]:
    """Yield the primitives that make a ``marker`` of a number and are written as that number, such as ``const``."""
    for one in pset.primitives.get(marker, ()):
        if one.arity == 1 and BARE.fullmatch(pset.traits[one.name].infix) and pset.takes_numbers(one.args[0]):
            yield one


def _plain(pset: PrimitiveSet, primitive: Any) -> str:
    return _FORMATS.sub("}", pset.traits[primitive.name].infix)
