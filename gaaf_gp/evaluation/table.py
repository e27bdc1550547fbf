"""Fitness from a table of functions that were trained before: the table, its file, and its evaluator.

A search of seconds in place of hours: ``evolve(pset, TableEvaluator(load_table(), pset))``.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, overload

from deap import gp

from gaaf_gp.activations.behaviour import Behaviour
from gaaf_gp.errors import GaafError, listed
from gaaf_gp.evaluation.records import OnRecord, Record
from gaaf_gp.evaluation.table_file import TableFile
from gaaf_gp.evaluation.transfer_table import TransferTable, load_transfer
from gaaf_gp.training.outcome import WORST_ACCURACY, Outcome
from gaaf_gp.trees.candidate import TwoTrees
from gaaf_gp.trees.individual import Individual
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.util.checks import plain_whole, probability

FILE = TableFile(
    "gaaf_gp function table",
    1,
    "encoding1.json.gz",
    "runs/exhaustive_encoding1.py --refine 200 and scripts/make_encoding1_table.py",
)
"""The bundled one holds the paper's encoding 1, b0(u0(x), u1(x)); its provenance says how it was trained."""


@dataclass(frozen=True)
class Entry:
    """One function that was trained.

    Attributes:
        genes: its first genotype.
        text: canonical text of that.
        formula: as a person writes it.
        signature: see :class:`~gaaf_gp.activations.behaviour.Behaviour`.
        accuracy: seed -> validation accuracy after the last epoch (0 to 1), ``WORST_ACCURACY`` where training failed.
        curve: seed -> validation accuracy after each epoch.
        seconds: wall time of all its trainings.
        failure: the first reason for which a training failed.
    """

    genes: tuple[int, ...]
    text: str
    formula: str
    signature: str
    accuracy: Mapping[int, float]
    curve: Mapping[int, tuple[float, ...]]
    seconds: float
    failure: str | None

    @property
    def value(self) -> float:
        """Mean accuracy over all its seeds, ``WORST_ACCURACY`` if any training failed."""
        return _mean(list(self.accuracy.values()))


class FunctionTable:
    """What is known of every tree of a space.

    Args:
        entries: the functions that were trained, distinct by signature, all on at least one common seed.
        behaviours: canonical text -> behaviour, for every tree of the space.
        provenance: all that the entries depend on, fit for JSON.

    Attributes:
        entries: as given.
        provenance: as given.
        seeds: those that every entry was trained on, in the order of the first entry.

    Raises:
        GaafError: if a tree that may be trained has no entry, an entry is not in the space, or no seed is common.
    """

    def __init__(
        self, entries: Sequence[Entry], behaviours: Mapping[str, Behaviour], provenance: Mapping[str, Any]
    ) -> None:
        self.entries = tuple(entries)
        self.provenance = dict(provenance)
        self._behaviours = dict(behaviours)
        self._of = {entry.signature: entry for entry in self.entries}
        self.seeds = tuple(self.entries[0].accuracy) if self.entries else ()
        for entry in self.entries:
            self.seeds = tuple(seed for seed in self.seeds if seed in entry.accuracy)
        self._check()

    def _check(self) -> None:
        if not self.seeds:
            raise GaafError(
                f"a function table needs entries with a common seed, got {len(self.entries)} entries: evaluate all of "
                "them on one seed first"
            )
        twice = len(self.entries) - len(self._of)
        strange = [entry.text for entry in self.entries if self._own(entry) != (entry.signature, None)]
        if twice or strange:
            raise GaafError(
                f"each entry must be a tree of the space that may be trained, with the signature of that tree, and "
                f"no signature may come twice; {twice} come twice, and these entries are otherwise: "
                f"{listed(strange, 3) or 'none'}; make the table where its evaluations were made"
            )
        live = {judged.signature: text for text, judged in self._behaviours.items() if judged.failure is None}
        missing = [text for signature, text in live.items() if signature not in self._of]
        if missing:
            raise GaafError(
                f"a function table must have an entry for every function that may be trained, and {len(missing)} of "
                f"{len(live)} lack one ({listed(missing, 3)}): go on with the evaluations"
            )

    def _own(self, entry: Entry) -> tuple[str, str | None] | None:
        judged = self._behaviours.get(entry.text)
        return None if judged is None else (judged.signature, judged.failure)

    def __len__(self) -> int:
        """Return the number of trees with different canonical texts."""
        return len(self._behaviours)

    def __contains__(self, text: object) -> bool:
        return text in self._behaviours

    def texts(self) -> tuple[str, ...]:
        """Return the canonical text of every tree of the space."""
        return tuple(self._behaviours)

    def behaviour(self, text: str) -> Behaviour:
        """Return how the tree with this canonical text behaves; its ``failure`` is why it was not trained.

        Raises:
            GaafError: if the tree is not in the space.
        """
        judged = self._behaviours.get(text)
        if judged is None:
            raise GaafError(
                f"a tree must be in the space of the table, {self.provenance.get('primitives', 'unnamed')} with "
                f"{len(self)} trees such as {listed(map(repr, self.texts()), 1)[:60]}, got {text[:200]!r}: make trees "
                "with that primitive set (x alone is identity(x) there)"
            )
        return judged

    def entry(self, text: str) -> Entry | None:
        """Return the trained function that this tree is, or that it trains as; None if it was rejected.

        Raises:
            GaafError: if the tree is not in the space.
        """
        judged = self.behaviour(text)
        return self._of[judged.signature] if judged.failure is None else None

    def value(self, text: str) -> float:
        """Return the mean accuracy over all seeds of a tree, to tell what was found; ``WORST_ACCURACY`` if rejected.

        Raises:
            GaafError: if the tree is not in the space.
        """
        entry = self.entry(text)
        return WORST_ACCURACY if entry is None else entry.value

    def fresh_value(self, text: str, seen: int) -> float | None:
        """Return the mean accuracy over the seeds but ``seen``, the one that a search saw; None without others.

        Raises:
            GaafError: if the tree is not in the space.
        """
        entry = self.entry(text)
        rest = [value for seed, value in (entry.accuracy if entry else {}).items() if seed != seen]
        return _mean(rest) if rest else None

    def best(self, share: float = 0.01, seed: int | None = None) -> tuple[Entry, ...]:
        """Return the best share of the entries, at least one, best first; ties go by text.

        By default they are ranked by the mean over all their seeds, and those that were trained on more seeds go ahead
        of the others, for whom one lucky training would be enough.

        Args:
            share: of the entries, 0 to 1.
            seed: rank by the accuracy on this seed instead, as a search sees it.

        Raises:
            GaafError: ``share`` is none, or not every entry was trained on ``seed``.
        """
        number = max(1, math.ceil(probability("share", share) * len(self.entries) - 1e-9))
        seed = None if seed is None else self.checked(seed)

        def rank(one: Entry) -> tuple[int, float, str]:
            return (-len(one.accuracy), -one.value, one.text) if seed is None else (0, -one.accuracy[seed], one.text)

        return tuple(sorted(self.entries, key=rank)[:number])

    def checked(self, seed: int) -> int:
        """Return a seed of the table as an int.

        Raises:
            GaafError: not every entry was trained on it.
        """
        plain = plain_whole(seed)
        if plain is None or plain not in self.seeds:
            raise GaafError(
                f"seed must be one that every function of the table was trained on, {listed(self.seeds)}; got {seed!r}"
            )
        return plain


def _mean(values: Sequence[float]) -> float:
    return WORST_ACCURACY if WORST_ACCURACY in values else statistics.fmean(values)


class TableEvaluator:
    """Evaluates individuals by looking them up; ``evaluator(individual)`` returns DEAP's fitness tuple.

    It is a :class:`~gaaf_gp.evaluation.FitnessFunction`, so it stands wherever an :class:`~gaaf_gp.Evaluator` does. A
    search sees what it would see in real life, the accuracy of one training: one seed of the table, the same for all
    candidates. What was found is measured by :meth:`FunctionTable.value`, the mean over all seeds.

    Args:
        table: see :func:`gaaf_gp.load_table`.
        pset: the set that stock trees are made of.
        seed: whose accuracy is the fitness; the first of the table by default.

    Attributes:
        records: canonical text -> record, in the order in which candidates were first given. Outcomes have no history;
            curves are in the table.

    Raises:
        GaafError: for a seed that not every entry was trained on.
    """

    def __init__(self, table: FunctionTable, pset: PrimitiveSet, seed: int | None = None) -> None:
        self.table = table
        self.pset = pset.check_activations()
        self.seed = table.seeds[0] if seed is None else table.checked(seed)
        self.records: dict[str, Record] = {}
        self._first: dict[str, str] = {}  # signature -> the text that was given first

    def __call__(self, individual: gp.PrimitiveTree) -> tuple[float]:
        """Return ``(fitness,)`` of one individual; stock trees made of the set's nodes are welcome too.

        Raises:
            GaafError: if the tree is not in the space of the table.
        """
        return (self.evaluate([individual])[0].fitness,)

    def evaluate(self, individuals: Sequence[gp.PrimitiveTree], on_record: OnRecord | None = None) -> list[Record]:
        """Return a record for each individual, as :meth:`gaaf_gp.Evaluator.evaluate` would.

        Raises:
            GaafError: if a tree is not in the space of the table.
        """
        records = []
        for text in map(self._text, individuals):
            if text not in self.records:
                self.records[text] = self._record(text)
                if on_record is not None:
                    on_record(self.records[text])
            records.append(self.records[text])
        return records

    def behaviour(self, individual: gp.PrimitiveTree) -> Behaviour:
        """Return how f behaves, from the table.

        Raises:
            GaafError: if the tree is not in the space of the table.
        """
        return self.table.behaviour(self._text(individual))

    def _record(self, text: str) -> Record:
        known, entry = self.table.behaviour(text), self.table.entry(text)
        if entry is None:
            return Record(text, WORST_ACCURACY, (), known.failure, fidelity=0.0)
        first = self._first.setdefault(known.signature, text)
        outcome = self._outcome(entry)
        return Record(text, outcome.accuracy, (outcome,), outcome.failure, same_as=None if first == text else first)

    def _outcome(self, entry: Entry) -> Outcome:
        accuracy = entry.accuracy[self.seed]
        failure = entry.failure if accuracy == WORST_ACCURACY else None
        return Outcome(self.seed, accuracy, (), entry.seconds / len(entry.accuracy), failure)

    def _text(self, tree: gp.PrimitiveTree) -> str:
        known = tree if isinstance(tree, Individual | TwoTrees) else Individual(tree, self.pset)
        return known.canonical


def packed(table: FunctionTable) -> bytes:
    """Return the content of a table's file; the same table gives the same bytes."""
    return FILE.packed(_plain(table))


def save_table(table: FunctionTable, path: Path) -> None:
    """Write a table to one file.

    Raises:
        GaafError: if it cannot be written.
    """
    FILE.write(_plain(table), path)


@overload
def load_table(path: Literal["transfer"]) -> TransferTable: ...


@overload
def load_table(path: Path | Literal["encoding1"] | None = None) -> FunctionTable: ...


def load_table(path: Path | str | None = None) -> FunctionTable | TransferTable:
    """Read a table from a file, or a bundled one by its name.

    Args:
        path: of the file of a function table; or "encoding1", the default, all functions of the paper's encoding 1; or
            "transfer", functions trained in many networks, see :class:`gaaf_gp.evaluation.TransferTable`.

    Raises:
        GaafError: if there is no such file, or it is damaged, of another kind, or of a newer version.
    """
    if path == "transfer":
        return load_transfer()
    plain, where = FILE.read(None if path is None or path == "encoding1" else Path(path))
    try:
        entries = [_entry(row) for row in plain["entries"]]
        return FunctionTable(entries, _behaviours(plain["space"], entries), dict(plain["provenance"]))
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise FILE.damaged(where, error) from error


def _entry(row: Mapping[str, Any]) -> Entry:
    accuracy = {int(seed): float(value) for seed, value in row["accuracy"].items()}
    curve = {int(seed): tuple(map(float, values)) for seed, values in row["curve"].items()}
    if not all(0 <= value <= 1 for value in accuracy.values()) or accuracy.keys() != curve.keys():
        raise ValueError(f"the accuracies of {row['text']} must lie from 0 to 1, each with a curve")
    failure = row["failure"]
    return Entry(
        tuple(map(int, row["genes"])),
        str(row["text"]),
        str(row["formula"]),
        str(row["signature"]),
        accuracy,
        curve,
        float(row["seconds"]),
        None if failure is None else str(failure),
    )


def _behaviours(space: Mapping[str, Any], entries: Sequence[Entry]) -> dict[str, Behaviour]:
    columns = zip(space["texts"], space["orientations"], space["codes"], strict=True)
    rejected = [(str(signature), str(reason)) for signature, reason in space["rejected"]]
    found = {}
    for text, orientation, code in columns:
        if code < 0:
            signature, reason = rejected[-1 - code]
            found[str(text)] = Behaviour(signature, int(orientation), reason)
        else:
            found[str(text)] = Behaviour(entries[code].signature, int(orientation), None)
    return found


def _plain(table: FunctionTable) -> dict[str, Any]:
    places = {entry.signature: place for place, entry in enumerate(table.entries)}
    rejected: dict[tuple[str, str], int] = {}
    behaviours = {text: table.behaviour(text) for text in table.texts()}
    codes = []
    for judged in behaviours.values():
        if judged.failure is None:
            codes.append(places[judged.signature])
        else:
            codes.append(-1 - rejected.setdefault((judged.signature, judged.failure), len(rejected)))
    space = {
        "texts": list(behaviours),
        "orientations": [judged.orientation for judged in behaviours.values()],
        "codes": codes,  # place of the entry, or -1 - place among the rejected
        "rejected": list(rejected),
    }
    entries = [asdict(entry) for entry in table.entries]
    return {"provenance": table.provenance, "space": space, "entries": entries}
