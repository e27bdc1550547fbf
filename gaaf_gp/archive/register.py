"""The register of a run: its births and its generations, written as they happen."""

from __future__ import annotations

from collections.abc import Sequence

from gaaf_gp.archive.births import (
    UNKNOWN,
    Birth,
    Generation,
    insert_births,
    put_generations,
    read_births,
    read_generations,
)
from gaaf_gp.archive.connection import translated
from gaaf_gp.archive.runs import run_id
from gaaf_gp.archive.store import Archive


class Register:
    """Births and generations of one run.

    A run that goes on does again what it did: births that are there stay, and generations are written anew.

    Args:
        archive: where they are kept.
        run: the key of the run.

    Raises:
        GaafError: from here and from every method: there is no such run, or the archive cannot be used.
    """

    def __init__(self, archive: Archive, run: str) -> None:
        self.archive, self.run = archive, run
        self._numbers: dict[str, int] | None = None

    def births(self) -> list[Birth]:
        """Return all births by their numbers."""
        with translated(self.archive.path):
            return read_births(self.archive.db, run_id(self.archive.db, self.run))

    def generations(self) -> list[Generation]:
        """Return all generations by their numbers."""
        with translated(self.archive.path):
            return read_generations(self.archive.db, run_id(self.archive.db, self.run))

    def born(self, text: str, generation: int, operation: str, parents: Sequence[str] = ()) -> int:
        """Write a birth down, unless the text was born before, and return its number; it is on the disk then.

        Args:
            text: canonical text of the child.
            generation: in which it was bred, 0 for the first.
            operation: one of :data:`gaaf_gp.archive.births.OPERATIONS`.
            parents: canonical texts; one that was never born is registered first.
        """
        known = self._known()
        if text not in known:
            numbers = tuple(dict.fromkeys(self._number(parent, generation) for parent in parents))
            birth = Birth(max(known.values(), default=0) + 1, text, generation, operation, numbers)
            with self.archive.transaction():
                insert_births(self.archive.db, run_id(self.archive.db, self.run), [birth])
            known[text] = birth.number
        return known[text]

    def generation(self, number: int, evaluations: int, population: Sequence[str]) -> None:
        """Write down who is in the population after a generation.

        Args:
            number: 0 for the first.
            evaluations: distinct candidates evaluated until then.
            population: canonical text of each individual.
        """
        numbers = tuple(self._number(text, number) for text in population)
        with self.archive.transaction():
            row = Generation(number, evaluations, numbers)
            put_generations(self.archive.db, run_id(self.archive.db, self.run), [row])

    def _number(self, text: str, generation: int) -> int:
        return self.born(text, generation, UNKNOWN)

    def _known(self) -> dict[str, int]:
        if self._numbers is None:
            self._numbers = {birth.text: birth.number for birth in self.births()}
        return self._numbers
