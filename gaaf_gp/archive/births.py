"""Where the candidates of a run come from, and who was in its population: rows of two tables.

A run numbers its candidates from 1 in the order in which they were bred, and its generations from 0. A child's number
is above those of its parents.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gaaf_gp.archive.evaluation import DamagedError
from gaaf_gp.archive.rows import BROKEN, to_json
from gaaf_gp.errors import one_line

GIVEN, RANDOM, MUTATION, CROSSOVER, BOTH = "given", "random", "mutation", "crossover", "crossover and mutation"
UNKNOWN = "unknown"
OPERATIONS = (GIVEN, RANDOM, MUTATION, CROSSOVER, BOTH, UNKNOWN)
"""How a candidate came to be."""


@dataclass(frozen=True)
class Birth:
    """One candidate of a run.

    Attributes:
        number: 1 for the first one.
        text: canonical text; the first birth of a text is the one that counts.
        generation: in which it was bred, 0 for the first.
        operation: one of :data:`OPERATIONS`.
        parents: numbers of none, one or two others.
    """

    number: int
    text: str
    generation: int
    operation: str
    parents: tuple[int, ...]


@dataclass(frozen=True)
class Generation:
    """A run after one of its generations.

    Attributes:
        number: 0 for the first one.
        evaluations: distinct candidates that were evaluated until then.
        population: numbers of the individuals, one for each place, so that one may be there several times.
    """

    number: int
    evaluations: int
    population: tuple[int, ...]


def insert_births(db: sqlite3.Connection, run: int, births: Sequence[Birth]) -> None:
    """Add births to a run; those whose number or text is there are left out."""
    db.executemany(
        """INSERT INTO births (run, number, text, generation, operation, parents) VALUES (?, ?, ?, ?, ?, ?)
            ON CONFLICT DO NOTHING""",
        [
            (run, birth.number, birth.text, birth.generation, birth.operation, to_json(list(birth.parents)))
            for birth in births
        ],
    )


def put_generations(db: sqlite3.Connection, run: int, generations: Sequence[Generation]) -> None:
    """Write generations of a run down, in the place of those of their numbers."""
    db.executemany(
        """INSERT INTO generations (run, number, evaluations, population) VALUES (?, ?, ?, ?)
            ON CONFLICT (run, number) DO UPDATE SET evaluations = excluded.evaluations,
                population = excluded.population""",
        [
            (run, generation.number, generation.evaluations, to_json(list(generation.population)))
            for generation in generations
        ],
    )


def read_births(db: sqlite3.Connection, run: int) -> list[Birth]:
    """Return the births of a run by their numbers.

    Raises:
        DamagedError: one is not what was written.
    """
    query = "SELECT number, text, generation, operation, parents FROM births WHERE run = ? ORDER BY number"
    found = []
    for number, text, generation, operation, parents in db.execute(query, (run,)).fetchall():
        known = _numbers(f"birth {number}", parents)
        if any(parent >= number for parent in known):
            raise DamagedError(f"birth {number} has a parent that was born after it")
        found.append(Birth(number, text, generation, operation, known))
    return found


def read_generations(db: sqlite3.Connection, run: int) -> list[Generation]:
    """Return the generations of a run by their numbers.

    Raises:
        DamagedError: one is not what was written.
    """
    query = "SELECT number, evaluations, population FROM generations WHERE run = ? ORDER BY number"
    return [
        Generation(number, evaluations, _numbers(f"generation {number}", population))
        for number, evaluations, population in db.execute(query, (run,)).fetchall()
    ]


def _numbers(what: str, text: Any) -> tuple[int, ...]:
    try:
        found = json.loads(text)
    except BROKEN as error:
        raise DamagedError(f"{what} cannot be read: {one_line(error)}") from error
    if not isinstance(found, list) or any(type(one) is not int for one in found):
        raise DamagedError(f"{what} must have a list of whole numbers")
    return tuple(found)
