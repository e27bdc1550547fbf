"""Seeded damage to texts, bytes and JSON, quick enough for a million cases in a run of the tests.

hypothesis looks for the smallest example and takes a millisecond for each; these draw blindly and take some
microseconds. A case is known by its seed and its number: run the test again and it comes again.
"""

from __future__ import annotations

import copy
import json
import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from gaaf_gp.errors import MOST_CHARACTERS, GaafError

CASES = {
    "trees": 720_000,
    "candidates": 80_000,
    "constraints": 150_000,
    "settings": 60_000,
    "configs": 8_000,
    "journals": 20_000,
    "catalogues": 10_000,
    "idx": 30_000,
    "tables": 5_000,
    "checkpoints": 4_000,
}
"""Cases of each kind that the tests try."""
WORD = re.compile(r"[A-Za-z_][A-Za-z_0-9]*|[-+0-9.e]+|\S")
STRANGE = (
    *"(),|@.-+ x1e\n\0\"'\\/%{}[]\u00e9\u2028\ud800\U0001f600",
    *("1e999", "-0.0", "9" * 400, "nan", "inf", "0x1", "1_0", "@sign", "@rsign", "@x", "@neg(", " | ", "__import__"),
    *("\x1b[2J", "a" * 300, "\u0663", "\u202e", "add(", "sin(", ")", "const(", "0.5", "x, x"),
)  # fmt: skip
JUNK: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 2**31, 2**64, 10**400, 0.5, -0.5, 1e308, float("inf"), float("nan")),
    *("", "x", "sin(x)", "a" * 5000, "\ud800", "\x1b[2J\n", "/", "\0", "1", [], [[]], [None], ["x"], {}, {"x": 1}),
    *({"height": 3}, {"height": 3, "size": 5}, [[[[[[[[]]]]]]]], {"": {"": {"": {}}}}),
)


def refused(call: Callable[[], Any]) -> tuple[Any, str]:
    """Return what a call gives, and the message that it is refused with; any other error comes through."""
    try:
        return call(), ""
    except GaafError as error:
        message = str(error)
    assert message, "a refusal must say something"
    assert message.isprintable(), f"a refusal must be one line for any terminal: {message!r}"
    assert len(message) <= MOST_CHARACTERS + 5, f"a refusal must have an end: {len(message)} characters"
    return None, message


def damaged_text(draw: random.Random, texts: Sequence[str], words: Sequence[str]) -> str:
    """Return one of the texts after one to four changes: by character, by word, or with another text spliced in."""
    text = draw.choice(texts)
    for _ in range(1 + int(3 * draw.random())):
        at = int(draw.random() * (len(text) + 1))
        to = at + int(8 * draw.random())
        way = int(7 * draw.random())
        if way == 0:
            text = text[:at] + draw.choice(STRANGE) + text[at:]
        elif way == 1:
            text = text[:at] + text[to:]
        elif way == 2:
            text = text[:at] + chr(int(128 * draw.random())) + text[at + 1 :]
        elif way == 3:
            text = text[:at] + text[at:to] * 2 + text[to:]
        elif way == 4:
            text = text[:at]
        elif way == 5:
            text = text[:at] + draw.choice(texts)[at:]
        else:
            text = _other_word(draw, text, words)
    return text


def _other_word(draw: random.Random, text: str, words: Sequence[str]) -> str:
    places = [found.span() for found in WORD.finditer(text)]
    if not places:
        return draw.choice(words)
    start, stop = draw.choice(places)
    return text[:start] + draw.choice(words) + text[stop:]


def damaged_bytes(draw: random.Random, content: bytes) -> bytes:
    """Return the content with bits turned, a part cut, repeated, replaced or put in, or an end missing."""
    found = bytearray(content)
    for _ in range(1 + int(3 * draw.random())):
        at, length = int(draw.random() * (len(found) + 1)), int(16 * draw.random())
        way = int(6 * draw.random())
        if way == 0 and at < len(found):
            found[at] ^= 1 << int(8 * draw.random())
        elif way == 1:
            del found[at : at + length]
        elif way == 2:
            found[at : at + length] = found[at : at + length] * 2
        elif way == 3:
            found[at:at] = draw.randbytes(length)
        elif way == 4:
            found[at : at + 1] = draw.choice((b"\0", b"\xff", b"\n", b"[", b"{", b'"', b"9999", b"-", b"e", b"NaN"))
        elif draw.random() < 0.3:
            del found[at:]
    return bytes(found)


def damaged_json(draw: random.Random, whole: Any) -> Any:
    """Return a copy of what JSON held with one to three values replaced, left out, renamed, moved or nested deeper."""
    found = copy.deepcopy(whole)
    for _ in range(1 + int(3 * draw.random())):
        holder, key = _place(draw, found)
        if holder is None:
            return copy.deepcopy(draw.choice(JUNK))
        way = int(6 * draw.random())
        if way <= 2:
            holder[key] = copy.deepcopy(draw.choice(JUNK))
        elif way == 3:
            del holder[key]
        elif way == 4:
            other, name = _place(draw, found)
            holder[key] = copy.deepcopy(other[name]) if other is not None else None
        elif isinstance(holder, dict):
            holder[key + draw.choice(("", " ", "s", "\n", "\ud800"))] = holder.pop(key)
        else:
            holder.append(copy.deepcopy(draw.choice(JUNK)))
    return found


def _place(draw: random.Random, content: Any) -> tuple[Any, Any]:
    """Return a list or dictionary somewhere within, and a key of it; None if there is none."""
    holder: Any = None
    key: Any = None
    inner = content
    while isinstance(inner, dict | list) and inner and (holder is None or draw.random() < 0.7):
        holder = inner
        key = draw.choice(list(inner)) if isinstance(inner, dict) else draw.randrange(len(inner))
        inner = holder[key]
    return holder, key


def as_bytes(content: Any) -> bytes:
    """Return JSON as Python writes it, with NaN, Infinity and lone surrogates where they are."""
    return json.dumps(content).encode()


def counted(kind: str, part: int, parts: int, case: Callable[[random.Random], str]) -> Counter[str]:
    """Try a part of the cases of a kind, and count what the function returns of them.

    Every part has its own seed; an error tells the case's number.
    """
    counts: Counter[str] = Counter()
    for number in range(part, CASES[kind], parts):
        draw = random.Random(number)
        try:
            counts[case(draw)] += 1
        except BaseException as error:
            error.add_note(f"case {number} of {kind}")
            raise
    return counts
