"""Activation functions that won, by name: formula, where they come from, and what they gained over the plain sign.

The catalogue is a file of JSON that comes with the package. An expression is read by the parser, in the primitive set
that the entry names; nothing in the file is run.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any

from gaaf_gp.errors import GaafError, listed, one_line
from gaaf_gp.trees.candidate import Candidate, TwoTrees, parse_candidate
from gaaf_gp.trees.compile import Activation
from gaaf_gp.trees.individual import Individual
from gaaf_gp.trees.load import load_recorded
from gaaf_gp.util.files import plain_json, read_limited
from gaaf_gp.util.text import signed

FILE = "catalogue.json"
FORMAT = 1
POINTS = 100
MOST_BYTES = 20_000_000
"""A larger file is refused; an entry takes some thousands."""
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*", re.ASCII)


@dataclass(frozen=True)
class Gain:
    """A measured difference to the plain sign, trained alike on the same seeds.

    Attributes:
        points: mean difference in accuracy, in points of per cent.
        low: lower end of its interval.
        high: upper end.
        confidence: of the interval, such as 0.95.
        p_holm: two-sided p-value, corrected for all functions that were tested beside it.
        seeds: the seeds, fresh ones that no search saw.
        split: whose accuracy it is: "test".
        data: name of the data set.
        network: name of the network.
        epochs: of each training, all stages together.
        settings: all that it depends on, as ``result.json`` of a retraining has it.
    """

    points: float
    low: float
    high: float
    confidence: float
    p_holm: float
    seeds: tuple[int, ...]
    split: str
    data: str
    network: str
    epochs: int
    settings: Mapping[str, Any]

    def __str__(self) -> str:
        return (
            f"{signed(self.points)} points on {self.data} ({self.split} split, {self.network}, {self.epochs} epochs), "
            f"{self.confidence:.0%} interval {signed(self.low)} to {signed(self.high)}, {len(self.seeds)} seeds"
        )


@dataclass(frozen=True)
class CatalogueEntry:
    """One activation function.

    Attributes:
        name: small letters, digits and ``_ . -``; unique.
        expression: canonical text, as :func:`gaaf_gp.trees.candidate.parse_candidate` reads it.
        primitives: its set, as :func:`gaaf_gp.trees.load.load_primitives` takes it.
        formula: as a person writes it.
        latex: the same in LaTeX.
        tags: what it is like or was found by, such as "periodic" or "encoding1".
        provenance: how it was found, fit for JSON; what a gain depends on stands beside it.
        gains: what was measured, at least one.

    Raises:
        GaafError: for a name of another form, or without a gain.
    """

    name: str
    expression: str
    primitives: str
    formula: str
    latex: str
    tags: tuple[str, ...]
    provenance: Mapping[str, Any]
    gains: tuple[Gain, ...]

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise GaafError(
                f"a name in the catalogue must be small letters, digits and _ . - such as sin-max, got {self.name!r}"
            )
        if not self.gains:
            raise GaafError(
                f"an entry of the catalogue must have a measured gain, and {self.name!r} has none: measure it"
            )

    def candidate(self) -> Candidate:
        """Return the tree, or the two trees, that the expression says.

        Raises:
            GaafError: if the primitive set is none of those that come with the package, cannot be imported, or does not
                have the expression's operators.
        """
        try:
            pset = load_recorded(self.primitives, "the catalogue")
        except GaafError as error:
            raise GaafError(
                f"{self.name!r} is made of the operators of {self.primitives}, which come with gaaf-gp, but {error}; "
                "install gaaf-gp as a whole, and rename a module of yours that hides them"
            ) from error
        candidate = parse_candidate(self.expression, pset)
        if candidate is None:
            raise GaafError(
                f"an entry of the catalogue must be a function, and {self.name!r} is the plain sign: remove it"
            )
        return candidate


def catalogue(path: Path | None = None) -> Mapping[str, CatalogueEntry]:
    """Return the entries by name, in the order of the file; by default of the one that comes with the package.

    Raises:
        GaafError: if the file cannot be read, or is damaged, of another kind or of a newer version.
    """
    where = path if path is not None else files("gaaf_gp.activations") / FILE
    try:
        plain = plain_json(
            (files("gaaf_gp.activations") / FILE).read_bytes() if path is None else read_limited(path, MOST_BYTES)
        )
    except (OSError, ValueError) as error:
        raise GaafError(
            f"a catalogue must be a file of JSON that can be read, and reading {where} ended with {one_line(error)}: "
            "name another, or install gaaf-gp anew"
        ) from error
    if not isinstance(plain, dict) or plain.get("format") != FORMAT:
        raise GaafError(
            f"a catalogue must say the format {FORMAT} that this version of gaaf-gp reads, and {where} does not: name "
            "another, or install the version that wrote it"
        )
    try:
        entries = [_entry(row) for row in plain["entries"]]
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise GaafError(f"{where} is a damaged catalogue ({one_line(error)}): correct it or fetch it anew") from error
    names = [entry.name for entry in entries]
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise GaafError(f"names in a catalogue must be unique, and {where} has {listed(twice)} twice: rename one")
    return MappingProxyType(dict(zip(names, entries, strict=True)))


def find_entry(name: str, path: Path | None = None) -> CatalogueEntry:
    """Return the entry of a name.

    Raises:
        GaafError: if there is none; the message lists names that are near.
    """
    known = catalogue(path)
    if name in known:
        return known[name]
    if not known:
        raise GaafError(f"there is no activation function {name!r}: the catalogue is empty")
    near = difflib.get_close_matches(name, known, cutoff=0.5)
    hint = f"did you mean {listed(near)}?" if near else f"it has {listed(known)}"
    raise GaafError(f"there is no activation function {name!r} in the catalogue: {hint}")


def load_activation(name: str, channels: int, path: Path | None = None) -> Activation:
    """Return an activation function of the catalogue as a module, to be put ahead of a sign.

    Args:
        name: see :func:`catalogue`.
        channels: C, the number of channels of its inputs, (N, C, ...).
        path: another catalogue than the one that comes with the package.

    Raises:
        GaafError: for an unknown name (near ones are listed), two trees, or bad ``channels``.
    """
    entry = find_entry(name, path)
    candidate = entry.candidate()
    if not isinstance(candidate, Individual):
        kind = "a forward and a backward tree" if isinstance(candidate, TwoTrees) else "a baseline"
        raise GaafError(
            f"an activation is one tree, and {name!r} is {kind}: make its layers with gaaf_gp.activations."
            f'activation_factory(catalogue()["{name}"].candidate(), ...)'
        )
    return Activation(candidate, channels)


def gain_of(result: Mapping[str, Any], name: str) -> Gain:
    """Return the gain of a candidate over the plain sign that a retraining measured.

    Args:
        result: content of its ``result.json``.
        name: of the candidate there.

    Raises:
        GaafError: if it is no such content, or the candidate was not compared with the plain sign.
    """
    try:
        compared = {comparison["name"]: comparison for comparison in result["comparisons"]["sign"]}
        if name not in compared:
            raise GaafError(
                f"a gain is that of a candidate which was compared with the plain sign, {listed(compared) or 'none'}; "
                f"got {name!r}: choose one of them (one that failed on a seed is not compared)"
            )
        span, proxy = compared[name]["difference"], result["proxy"]
        return Gain(
            points=POINTS * span["mean"],
            low=POINTS * span["low"],
            high=POINTS * span["high"],
            confidence=span["confidence"],
            p_holm=compared[name]["p_holm"],
            seeds=tuple(result["seeds"]),
            split="test",
            data=proxy["data"]["name"],
            network=proxy["network"],
            epochs=sum(result["epochs"]),
            settings={key: result[key] for key in ("epochs", "distillation", "teacher", "proxy", "versions")},
        )
    except (LookupError, TypeError, AttributeError) as error:
        raise GaafError(
            f"a gain is read from the result.json of gaaf-gp retrain, and this is none ({one_line(error)}): pass one "
            "whose baselines have the plain sign"
        ) from error


def save_catalogue(entries: Sequence[CatalogueEntry], path: Path) -> None:
    """Write a catalogue; the same entries give the same bytes."""
    plain = {"format": FORMAT, "entries": [asdict(entry) for entry in entries]}
    path.write_text(json.dumps(plain, indent=2, allow_nan=False, ensure_ascii=False) + "\n", encoding="utf-8")


def _entry(row: Mapping[str, Any]) -> CatalogueEntry:
    texts = {key: row[key] for key in ("name", "expression", "primitives", "formula", "latex")}
    strange = [key for key, value in texts.items() if not isinstance(value, str)]
    if strange:
        raise ValueError(f"{listed(strange)} must be text")
    gains = tuple(_gain(gain) for gain in row["gains"])
    return CatalogueEntry(**texts, tags=tuple(map(str, row["tags"])), provenance=dict(row["provenance"]), gains=gains)


def _gain(row: Mapping[str, Any]) -> Gain:
    gain = Gain(
        points=float(row["points"]),
        low=float(row["low"]),
        high=float(row["high"]),
        confidence=float(row["confidence"]),
        p_holm=float(row["p_holm"]),
        seeds=tuple(map(int, row["seeds"])),
        split=str(row["split"]),
        data=str(row["data"]),
        network=str(row["network"]),
        epochs=int(row["epochs"]),
        settings=dict(row["settings"]),
    )
    if not all(map(math.isfinite, (gain.points, gain.low, gain.high, gain.confidence, gain.p_holm))):
        raise ValueError(f"the numbers of a gain must be finite, got {gain}")
    return gain
