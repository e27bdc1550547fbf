"""What the page says of each candidate: its place in the table, and the card with its tree and its function."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gaaf_gp.archive import Birth
from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation.records import Record
from gaaf_gp.experiments.report.drawing import FunctionDrawing, TreeDrawing, draw_function, draw_trees
from gaaf_gp.experiments.report.figures import front_places
from gaaf_gp.experiments.run_data import About, RunData
from gaaf_gp.statistics import paired_difference
from gaaf_gp.trees.candidate import Evolved
from gaaf_gp.trees.simplify import simplify
from gaaf_gp.util import text as texts
from gaaf_gp.util.text import shortened

MOST_SIMPLIFIED = 200
"""Nodes of a tree that is simplified for the page."""


@dataclass(frozen=True)
class Drawn:
    """What does not change while a run goes on.

    Attributes:
        trees: one, two, or none where the text cannot be read.
        function: None where it cannot be computed.
        latex: empty where there is no tree.
        simply: a shorter formula of the same function, empty if there is none, and its number of nodes.
    """

    trees: tuple[TreeDrawing, ...] = ()
    function: FunctionDrawing | None = None
    latex: str = ""
    simply: tuple[str, int] | None = None


@dataclass(frozen=True)
class Card:
    """One candidate.

    Attributes:
        rank: 1 for the best.
        record: what it is worth.
        about: formula and sizes.
        drawn: pictures.
        over_sign: points over the plain sign on the same seeds, None if that is not known.
        interval: 95 % interval of its mean over the seeds (0 to 1), None with one seed.
        state: what became of it, in words.
        kind: the same as one of "full", "dropped", "failed".
        on_front: whether no other is both better and cheaper.
        birth: when and how it was bred, None if that is not known.
        parents: rank (None if it has no card) and formula of each.
    """

    rank: int
    record: Record
    about: About
    drawn: Drawn
    over_sign: float | None
    interval: tuple[float, float] | None
    state: str
    kind: str
    on_front: bool
    birth: Birth | None
    parents: tuple[tuple[int | None, str], ...]


def draw(evolved: Evolved | None) -> Drawn:
    """Return the pictures of one tree or two; what cannot be drawn is left out."""
    if evolved is None:
        return Drawn()
    try:
        return Drawn(draw_trees(evolved), draw_function(evolved), evolved.latex(), _simply(evolved))
    except GaafError:
        return Drawn()


def _simply(evolved: Evolved) -> tuple[str, int] | None:
    if evolved.size > MOST_SIMPLIFIED:
        return None
    found: Evolved = simplify(evolved)
    return None if found.size >= evolved.size else (found.infix(), found.size)


def make_cards(data: RunData, drawings: dict[str, Drawn], most: int) -> list[Card]:
    """Return the cards of a run, best first.

    Args:
        data: the run.
        drawings: canonical text -> pictures; what is missing is drawn and put there.
        most: cards.
    """
    chosen = data.ranked[:most]
    ranks = {one.text: rank for rank, one in enumerate(chosen, 1)}
    births = {one.number: one for one in data.births}
    by_text = {one.text: one for one in data.births}
    front = front_places(data) if data.best is not None else set()
    cards = []
    for record in chosen:
        if record.text not in drawings:
            drawings[record.text] = draw(data.evolved(record.text))
        birth = by_text.get(record.text)
        parents = [births[number].text for number in (birth.parents if birth else ()) if number in births]
        beside = data.sign_beside(record)
        kind, state = _state(record)
        cards.append(
            Card(
                ranks[record.text],
                record,
                data.about(record.text),
                drawings[record.text],
                None if beside is None or kind != "full" else 100 * (record.accuracy - beside),
                _interval(record),
                state,
                kind,
                record.text in front,
                birth,
                tuple((ranks.get(text), data.about(text).formula) for text in parents),
            )
        )
    return cards


def _state(record: Record) -> tuple[str, str]:
    if record.failure is not None:
        return "failed", f"failed: {record.failure}"
    if record.complete:
        return "full", "trained in full" if record.same_as is None else "trains as another one"
    return "dropped", f"dropped out after epoch {record.outcomes[0].epochs}"


def _interval(record: Record) -> tuple[float, float] | None:
    values = [outcome.accuracy for outcome in record.outcomes]
    if len(values) < 2 or record.failure is not None or not all(map(math.isfinite, values)):
        return None
    found = paired_difference(values, [0.0] * len(values))
    return found.low, found.high


NARROW, MINUS, NOTHING = "\u202f", "\u2212", "\u2013"
"""A narrow space that does not break, a minus sign, and what stands where no figure is."""
LONG = 160
"""Characters of a formula in a table; the whole is on its card."""


def per_cent(value: float | None, digits: int = 2) -> str:
    """Return an accuracy from 0 to 1 as per cent."""
    return NOTHING if value is None or not math.isfinite(value) else f"{100 * value:.{digits}f}{NARROW}%"


def signed(value: float | None, digits: int = 2) -> str:
    """Return a difference with its sign."""
    return NOTHING if value is None or not math.isfinite(value) else texts.signed(value, digits).replace("-", MINUS)


def number(value: float | None) -> str:
    """Return a number as short as it can be said."""
    return NOTHING if value is None or not math.isfinite(value) else f"{value:g}".replace("-", MINUS)


def p_value(value: float | None) -> str:
    """Return a p-value with two digits."""
    if value is None:
        return NOTHING
    return f"{value:.2g}" if value >= 1e-4 else "<" + NARROW + "0.0001"


def duration(seconds: float | None) -> str:
    """Return a time in the largest units that it fills."""
    if seconds is None or not math.isfinite(seconds):
        return NOTHING
    whole = round(seconds)
    if whole < 120:
        return f"{whole}{NARROW}s" if seconds >= 10 else f"{seconds:.1f}{NARROW}s"
    minutes, hours = whole // 60, whole // 3600
    return f"{minutes}{NARROW}min" if minutes < 120 else f"{hours}{NARROW}h {minutes % 60}{NARROW}min"


def moment(iso: str | None) -> str:
    """Return a time of an archive, UTC, as people write it."""
    return NOTHING if not iso else iso[:19].replace("T", " ") + " UTC"


def clipped(text: str, most: int = LONG) -> str:
    """Return a text, cut where it is too long for a table."""
    return shortened(text, most, "…")


def coordinate(value: float) -> str:
    """Return a number of a drawing."""
    return f"{value:.1f}".removesuffix(".0")


def marks(reach: float) -> list[tuple[float, str]]:
    """Return the numbers below a scale of differences that reaches equally far to both sides, and their texts."""
    most = 0.9 * reach  # so that a text at either end has room
    size = 10.0 ** math.floor(math.log10(most))
    end = max(step * size for step in (1, 2, 5) if step * size <= most)
    return [(-end, f"\N{MINUS SIGN}{end:g}"), (0.0, "0"), (end, f"+{end:g}")]


def filters() -> dict[str, Callable[..., Any]]:
    """Return all of them by the names that templates use."""
    return {
        "per_cent": per_cent, "signed": signed, "number": number, "p_value": p_value, "duration": duration,
        "moment": moment, "clipped": clipped, "c": coordinate, "marks": marks,
    }  # fmt: skip
