"""A finite space of functions, evaluated once and for all: searches are developed against it in seconds, untrained.

The table knows what every tree of its space is: a function that was trained, one that trains alike, or one that
training could not repair. A look-up by canonical text needs no torch. :class:`gaaf_gp.TableEvaluator` answers a search
from it, and :mod:`gaaf_gp.table_file` keeps it in one file.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gaaf_gp.behaviour import Behaviour
from gaaf_gp.errors import GaafError, listed
from gaaf_gp.training import WORST_ACCURACY


@dataclass(frozen=True)
class Entry:
    """One function that was trained.

    Attributes:
        genes: its first genotype.
        text: canonical text of that.
        formula: as a person writes it.
        signature: see :class:`~gaaf_gp.behaviour.Behaviour`.
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
        live = {known.signature: text for text, known in self._behaviours.items() if known.failure is None}
        missing = [text for signature, text in live.items() if signature not in self._of]
        if missing:
            raise GaafError(
                f"a function table must have an entry for every function that may be trained, and {len(missing)} of "
                f"{len(live)} lack one ({listed(missing, 3)}): go on with the evaluations"
            )

    def _own(self, entry: Entry) -> tuple[str, str | None] | None:
        known = self._behaviours.get(entry.text)
        return None if known is None else (known.signature, known.failure)

    def __len__(self) -> int:
        """Return the number of trees that are told apart by their canonical text."""
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
        known = self._behaviours.get(text)
        if known is None:
            raise GaafError(
                f"a tree must be in the space of the table, {self.provenance.get('primitives', 'unnamed')} with "
                f"{len(self)} trees such as {listed(map(repr, self.texts()), 1)[:60]}, got {text[:200]!r}: make trees "
                "with that primitive set (x alone is identity(x) there)"
            )
        return known

    def entry(self, text: str) -> Entry | None:
        """Return the trained function that this tree is, or that it trains as; None if it was rejected.

        Raises:
            GaafError: if the tree is not in the space.
        """
        known = self.behaviour(text)
        return self._of[known.signature] if known.failure is None else None

    def value(self, text: str) -> float:
        """Return the mean accuracy over all seeds of a tree, to judge what was found; ``WORST_ACCURACY`` if rejected.

        Raises:
            GaafError: if the tree is not in the space.
        """
        found = self.entry(text)
        return WORST_ACCURACY if found is None else found.value

    def fresh_value(self, text: str, seen: int) -> float | None:
        """Return the mean accuracy over the seeds but ``seen``, the one that a search saw; None without others.

        Raises:
            GaafError: if the tree is not in the space.
        """
        found = self.entry(text)
        rest = [value for seed, value in (found.accuracy if found else {}).items() if seed != seen]
        return _mean(rest) if rest else None

    def best(self, share: float = 0.01, seed: int | None = None) -> tuple[Entry, ...]:
        """Return the best share of the entries, at least one, best first; ties go by text.

        By default they are ranked by the mean over all their seeds, and those that were trained on more seeds go ahead
        of the others, for whom one lucky training would be enough.

        Args:
            share: of the entries, 0 to 1.
            seed: rank by the accuracy on this seed instead, as a search sees it.
        """
        number = max(1, math.ceil(share * len(self.entries) - 1e-9))

        def rank(one: Entry) -> tuple[int, float, str]:
            return (-len(one.accuracy), -one.value, one.text) if seed is None else (0, -one.accuracy[seed], one.text)

        return tuple(sorted(self.entries, key=rank)[:number])


def _mean(values: Sequence[float]) -> float:
    return WORST_ACCURACY if WORST_ACCURACY in values else statistics.fmean(values)
