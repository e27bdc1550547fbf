"""The state of a run after its last whole step, in ``checkpoint.json``: a resumed run must reach the same state.

A run goes on by doing again what it did (:mod:`gaaf_gp.experiments.resume`), so nothing is restored from this file. It
is what the run is held to: another version of Python, DEAP or torch, or another primitive of the same name, would lead
it another way without a word. A larger budget extends a search: all that was bred must come again, and the rest is
new. Each child is compared as it is bred, before anything is trained, and after the last step
that was written the state of every random generator, the population and the hall of fame.

The file is JSON with a checksum, written beside its place, flushed and renamed.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from gaaf_gp.errors import GaafError, one_line
from gaaf_gp.search.result import SearchResult
from gaaf_gp.trees.candidate import Evolved
from gaaf_gp.trees.fingerprint import first_difference, plain_number, same_numbers, set_signature
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.util.files import plain_json, read_limited, replacing
from gaaf_gp.util.provenance import version

CHECKPOINT = "checkpoint.json"
FORMAT = 1
"""Version of what is in a file; another one is refused."""
MOST_BYTES = 1 << 28
MARK = 8
"""Hexadecimal digits by which each child that was bred is known: 32 bits of the SHA-256 of its text."""
TOLERANCE = 1e-9
"""Of fitness, relative and absolute: sums may differ in their last bits between processors."""
_KINDS = {
    "step": int,
    "bred": str,
    "evaluations": int,
    "generators": list,
    "population": list,
    "hall_of_fame": list,
    "set": str,
    "primitives": list,
}
REMEDY = "bring back what was, or start a new run in another folder"

Content = dict[str, Any]


class AnotherWayError(GaafError):
    """A resumed run does not reach the state in its checkpoint."""


class RunCheckpoint:
    """Holds a search to its checkpoint as long as it does again what it did, and writes one after each later step.

    Args:
        path: the file. If it is there, the search is taken for a resumed one, which must reach the same state.
        pset: the set of the search.
        repeatable: whether a search that is done again goes the same way. If not, nothing is compared but the set.

    Attributes:
        generators: all that the search draws from, to be filled before its first step.

    Raises:
        GaafError: the file is damaged, of another version, or of a search with another primitive set.
    """

    def __init__(self, path: Path, pset: PrimitiveSet, *, repeatable: bool = True) -> None:
        self.path = path
        self._signature = set_signature(pset)
        found = read_run_checkpoint(path, pset)
        self._before = found if repeatable else None
        self._about = {"format": FORMAT, "gaaf-gp": version("gaaf-gp"), "repeatable": repeatable, "set": pset.name}
        self.generators: list[random.Random] = []
        self._step = 0
        self._bred: list[str] = []

    def bred(self, child: Evolved) -> None:
        """Take a child that was bred now.

        Raises:
            AnotherWayError: the search did not breed it when it was at this place before.
        """
        self._bred.append(hashlib.sha256(str(child).encode()).hexdigest()[:MARK])
        place = len(self._bred)
        expected = "" if self._before is None else self._before["bred"][(place - 1) * MARK : place * MARK]
        if expected not in ("", self._bred[-1]):
            raise AnotherWayError(
                f"a run must go on the way it went, but candidate {place} is {str(child)!r} now, and {self.path} has "
                f"another one: {REMEDY}"
            )

    def stepped(self, found: SearchResult) -> None:
        """Take what the search found until now, after a whole step: a generation, or as many children as it has.

        Raises:
            AnotherWayError: it is at the step of its checkpoint, and in another state.
            GaafError: the file cannot be written.
        """
        self._step += 1
        if self._before is None or self._step > self._before["step"]:
            self._write(found)
        elif self._step == self._before["step"]:
            self._compare(found, self._before)

    def _state(self, found: SearchResult) -> Content:
        """Return what is compared."""
        return {
            "evaluations": len(found.records),
            "generators": [
                [kind, list(words), rest] for kind, words, rest in map(random.Random.getstate, self.generators)
            ],
            "population": _individuals(found.population),
            "hall_of_fame": _individuals(found.hall_of_fame),
        }

    def _compare(self, found: SearchResult, before: Content) -> None:
        if len(self._bred) * MARK > len(before["bred"]):  # its budget ended within this step, and is larger now
            self._write(found)
            return
        for name, now in self._state(found).items():
            if not same_numbers(before[name], now, TOLERANCE):
                raise AnotherWayError(
                    f"a run must go on the way it went, but after step {self._step} {_what(name, before[name], now)}, "
                    f"as {self.path} has it: {REMEDY}"
                )

    def _write(self, found: SearchResult) -> None:
        content = {**self._about, "step": self._step, **self._state(found)}
        content |= {"bred": "".join(self._bred), "primitives": self._signature}
        text = json.dumps({"sha256": _digest(content), **content}, allow_nan=False)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(self.path) as file:
                file.write(text.encode() + b"\n")
        except OSError as error:
            raise GaafError(
                f"the checkpoint of a run must be writable, but {self.path} is not ({error.strerror or error}): what "
                "was written before is kept; make room, and go on with gaaf-gp resume"
            ) from error


def read_run_checkpoint(path: Path, pset: PrimitiveSet) -> Content | None:
    """Return what a checkpoint holds; None if there is none, as in a run that was killed before its first step.

    Raises:
        GaafError: it is damaged, of another version, or of a run with another primitive set.
    """
    try:
        found = plain_json(read_limited(path, MOST_BYTES))
        made = found["format"], found["gaaf-gp"]
        if made == (FORMAT, version("gaaf-gp")):
            found = _checked(found)
    except FileNotFoundError:
        return None
    except Exception as error:  # a damaged file shows as any exception
        raise GaafError(
            f"the checkpoint of a run must be a whole file of this program, and reading {path} ended with "
            f"{one_line(error)}: remove it, and the run goes on from its archive without being compared"
        ) from error
    if made != (FORMAT, version("gaaf-gp")):
        raise GaafError(
            f"the checkpoint of a run must have format {FORMAT} and be of gaaf-gp {version('gaaf-gp')}, and {path} has "
            f"format {made[0]!r} of gaaf-gp {made[1]!r}: go on with that version, or start a new run in another folder"
        )
    differs = first_difference(found["primitives"], set_signature(pset))
    if found["set"] != pset.name or differs:
        what = differs or f"it was {found['set']!r} and is {pset.name!r} now"
        raise GaafError(f"a run must go on with its own primitive set, but, as {path} has it, {what}: {REMEDY}")
    return dict(found)


def _checked(found: Any) -> Content:
    """Return a checkpoint without its checksum if it is what was written."""
    content: Content = dict(found)
    if content.pop("sha256") != _digest(content):
        raise ValueError("it has another checksum than was written")
    wrong = [name for name, kind in _KINDS.items() if not isinstance(content.get(name), kind)]
    if wrong:
        raise ValueError(f"it must have {wrong[0]}")
    return content


def _digest(content: Content) -> str:
    return hashlib.sha256(json.dumps(content, allow_nan=False).encode()).hexdigest()


def _individuals(individuals: Iterable[Evolved]) -> list[Any]:
    """Return text and fitness values of each; both decide about what is bred next."""
    return [
        [str(individual), [plain_number(value) for value in individual.fitness.values]] for individual in individuals
    ]


def _what(name: str, before: Any, now: Sequence[Any] | int) -> str:
    """Say how a part of the state differs."""
    if isinstance(now, int):
        return f"it has {now} evaluations and had {before!r}"
    if name == "generators":
        return "its random generators are in another state"
    words = name.replace("_", " ")
    pairs = enumerate(zip(before, now, strict=False), 1)
    place, one, other = next(
        ((place, one, other) for place, (one, other) in pairs if not same_numbers(one, other, TOLERANCE)), (0, 0, 0)
    )
    return f"{place} of its {words} is {other!r} and was {one!r}" if place else f"its {words} has another size"
