"""Reads a tree from text. Nothing is evaluated: a name is looked up in the set, a number is a number.

The text may come from a file or a stranger, so its length and the tree's size and height are bounded, the reader does
not recurse, and every refusal shows the text, marks the place and lists what would fit there.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

from deap import gp

from gaaf_gp.errors import GaafError, listed
from gaaf_gp.trees.arithmetic import Term, Terms, Token, is_arithmetic, operators, wrappers, written_as
from gaaf_gp.trees.individual import Individual
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.util.text import shortened

MOST_CHARACTERS = 100_000
MOST_NODES = 10_000
MOST_HEIGHT = 1_000
MOST_TOKENS = 6 * MOST_NODES
CONTEXT = 33
"""Characters of a long text shown on either side of the marked place."""

_TOKEN = re.compile(
    r"\s*(?:([A-Za-z_][A-Za-z_0-9]*)|([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)|([(),])|(\S))", re.ASCII
)
_KINDS = ("name", "number", "mark", "strange")


def token_at(source: str, place: int) -> Token:
    """Return the first token of ``source`` from ``place`` on; blanks ahead of it are skipped."""
    match = _TOKEN.match(source, place)
    if match is None:
        return Token("end", "", len(source), len(source))
    group = match.lastindex or 1
    return Token(_KINDS[group - 1], match[group], match.start(group), match.end())


@dataclass
class _Frame:
    """A primitive whose arguments are being read."""

    node: Any
    read: int = 0


@dataclass
class _Reader:
    """The state of reading one text: the token at hand, its place, and the primitives still open."""

    source: str
    pset: PrimitiveSet
    token: str = ""
    kind: str = "end"
    start: int = 0
    stop: int = 0
    nodes: list[Any] = field(default_factory=list)
    frames: list[_Frame] = field(default_factory=list)

    def advance(self) -> None:
        self.kind, self.token, self.start, self.stop = token_at(self.source, self.stop)

    def fail(self, what: str) -> GaafError:
        before, token, after = self.source[: self.start], self.token, self.source[self.start + len(self.token) :]
        if len(before) > CONTEXT:
            before = "..." + before[3 - CONTEXT :]
        token, after = shortened(token, CONTEXT), shortened(after, CONTEXT)
        return GaafError(f'cannot read "{before}>>{token}<<{after}" at character {self.start + 1}: {what}')

    def fail_at(self, token: Token, what: str) -> GaafError:
        self.kind, self.token, self.start, self.stop = token
        return self.fail(what)

    def fitting(self, marker: type) -> str:
        terminals = [t.name for t in self.pset.terminals.get(marker, ()) if not isinstance(t, gp.MetaEphemeral)]
        numbers = ["a number"] if self.pset.takes_numbers(marker) else []
        calls = [f"{p.name}({', '.join(a.__name__ for a in p.args)})" for p in self.pset.primitives.get(marker, ())]
        return f"a {marker.__name__} fits here: {listed(terminals + numbers + calls, 40)}"


def _cut(token: str) -> str:
    return repr(shortened(token, CONTEXT))


def parse(text: str, pset: PrimitiveSet) -> Individual:
    """Return the individual written as ``text``: ``add(sin(x), const(0.5))``, as DEAP does, or ``sin(x) + 0.5``.

    ``parse(str(tree), pset) == tree`` for every tree of the set. The operators are + - * / ^ and **, where the set has
    a primitive that is written so, with Python's precedence; a number stands for a constant wherever one fits.

    Args:
        text: at most 100,000 characters, 10,000 nodes and a height of 1,000.
        pset: the set in which names are looked up.

    Raises:
        GaafError: for text that is truncated, too long, ill-typed or names something that is not in the set; the
            message repeats the text, marks the place and lists what fits there.
    """
    if not isinstance(text, str):
        raise GaafError(f'an expression must be text such as "sin(x)", got {type(text).__name__}')
    if len(text) > MOST_CHARACTERS:
        raise GaafError(
            f"an expression may have at most {MOST_CHARACTERS} characters, got {len(text)}: "
            f'"{shortened(text, CONTEXT)}"'
        )
    pset.check()
    reader = _Reader(text, pset)
    tokens = _tokens(text, reader)
    if is_arithmetic(tokens):
        return Individual(_nodes(Terms(operators(tokens), reader.fail_at).read(), reader), pset)
    reader.advance()
    _read_operand(reader, pset.ret)
    while reader.frames:
        _continue(reader)
    if reader.kind != "end":
        raise reader.fail("the expression is complete before this; one expression is allowed: remove the rest")
    return Individual(reader.nodes, pset)


def _tokens(text: str, reader: _Reader) -> list[Token]:
    tokens = [token_at(text, 0)]
    while tokens[-1].kind != "end":
        tokens.append(token_at(text, tokens[-1].stop))
        if len(tokens) > MOST_TOKENS:
            raise reader.fail_at(tokens[-1], f"a tree may have at most {MOST_NODES} nodes")
    return tokens


def _nodes(term: Term, reader: _Reader) -> list[Any]:
    """Return the nodes of a formula, in depth-first order."""
    waiting, nodes = [(term, reader.pset.ret, 0)], reader.nodes
    while waiting:
        one, marker, height = waiting.pop()
        reader.kind, reader.token, reader.start, reader.stop = one.token
        if len(nodes) >= MOST_NODES or height > MOST_HEIGHT:
            raise reader.fail(f"a tree may have at most {MOST_NODES} nodes and be at most {MOST_HEIGHT} high")
        if one.kind == "number":
            nodes += _number(reader, marker)
            continue
        node = _operator(one, marker, reader) if one.kind == "operator" else _named(reader, marker)
        if node.arity != len(one.arguments):
            raise reader.fail(f"{node.name} takes {node.arity} argument(s), got {len(one.arguments)}")
        nodes.append(node)
        below = zip(one.arguments, node.args if node.arity else (), strict=True)
        waiting += reversed([(argument, asked, height + 1) for argument, asked in below])
    return nodes


def _operator(term: Term, marker: type, reader: _Reader) -> Any:
    node = written_as(reader.pset, marker, term.template)
    if node is None:
        written = term.template.replace("{0}", "a").replace("{1}", "b")
        raise reader.fail(
            f"set {reader.pset.name!r} has no primitive that is written {written!r} and returns a {marker.__name__}; "
            f"{reader.fitting(marker)}"
        )
    return node


def _named(reader: _Reader, marker: type) -> Any:
    """Return the node of the name at hand, where ``marker`` is asked for."""
    node = reader.pset.mapping.get(reader.token)
    if node is None or isinstance(node, gp.MetaEphemeral):
        raise reader.fail(f"{_cut(reader.token)} is not in set {reader.pset.name!r}; {reader.fitting(marker)}")
    if not issubclass(node.ret, marker):
        raise reader.fail(f"{_cut(reader.token)} returns a {node.ret.__name__}; {reader.fitting(marker)}")
    return node


def _read_operand(reader: _Reader, marker: type) -> None:
    """Read one name or number where ``marker`` is asked for; a primitive is opened and its arguments follow."""
    if len(reader.nodes) >= MOST_NODES:
        raise reader.fail(f"a tree may have at most {MOST_NODES} nodes")
    if reader.kind == "number":
        reader.nodes += _number(reader, marker)
        reader.advance()
        return
    if reader.kind != "name":
        what = "the text ends early" if reader.kind == "end" else f"{_cut(reader.token)} cannot stand here"
        raise reader.fail(f"{what}; {reader.fitting(marker)}")
    node = _named(reader, marker)
    reader.nodes.append(node)
    if node.arity:
        if len(reader.frames) >= MOST_HEIGHT:
            raise reader.fail(f"a tree may be at most {MOST_HEIGHT} high")
        reader.advance()
        if reader.token != "(":
            raise reader.fail(f"{node.name} takes {node.arity} argument(s): write {node.name}(...)")
        reader.frames.append(_Frame(node))
    reader.advance()


def _number(reader: _Reader, marker: type) -> list[Any]:
    """Return the nodes of the number at hand: a constant, or a primitive that makes a ``marker`` of one."""
    value = float(reader.token)
    if math.isfinite(value):
        node = reader.pset.constant(value, marker)
        if node is not None:
            return [node]
        for wrapper in wrappers(reader.pset, marker):
            return [wrapper, reader.pset.constant(value, wrapper.args[0])]
    why = "is a number" if math.isfinite(value) else "is not a finite number"
    raise reader.fail(f"{_cut(reader.token)} {why}; {reader.fitting(marker)}")


def _continue(reader: _Reader) -> None:
    """Read the next argument of the innermost open primitive, or close it."""
    frame = reader.frames[-1]
    if frame.read < frame.node.arity:
        if frame.read:
            if reader.token != ",":
                raise reader.fail(
                    f"{frame.node.name} takes {frame.node.arity} argument(s), {frame.read} came before this: "
                    'put "," and the next one here'
                )
            reader.advance()
        frame.read += 1
        _read_operand(reader, frame.node.args[frame.read - 1])
        return
    if reader.token != ")":
        raise reader.fail(f'{frame.node.name} takes {frame.node.arity} argument(s) and has them: put ")" here')
    reader.frames.pop()
    reader.advance()
