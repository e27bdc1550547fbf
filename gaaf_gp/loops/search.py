"""What every loop works on, and what a loop is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from gaaf_gp.breeding import Breeder
from gaaf_gp.candidates import Evolved
from gaaf_gp.chronicle import Chronicle
from gaaf_gp.errors import GaafError
from gaaf_gp.evolution import Evolution
from gaaf_gp.fitness import Record
from gaaf_gp.judges import Judge
from gaaf_gp.run_checkpoint import RunCheckpoint
from gaaf_gp.stopping import Stop

ENDED = "on_generation ended it"


@dataclass
class Search:
    """What a loop works on.

    Attributes:
        found: what is found, kept up to date.
        judge: evaluates.
        breeders: makes populations: called with how many there will be.
        chronicle: takes in what was evaluated.
        stop: ends the search.
        population_size: individuals of a population.
        elite: best individuals of a population that live on.
        arrived: to be called with every new record.
        on_generation: to be called after every generation; True ends the search.
        checkpoint: is told of every whole step.
    """

    found: Evolution
    judge: Judge
    breeders: Callable[[int], list[Breeder]]
    chronicle: Chronicle
    stop: Stop
    population_size: int
    elite: int
    arrived: Callable[[Record], None]
    on_generation: Callable[[Evolution], object] | None = None
    checkpoint: RunCheckpoint | None = None

    @property
    def room(self) -> int:
        """Evaluations that are left."""
        return self.stop.evaluations - len(self.found.records)

    def evaluated(self, children: Sequence[Evolved]) -> list[Evolved]:
        """Return the children that could be evaluated: all, unless Ctrl-C came."""
        try:
            self.judge.evaluate(children, self.arrived)
        except KeyboardInterrupt:
            self.found.interrupted = True
        return [child for child in children if child.canonical in self.judge.records]

    def generation(self, population: Sequence[Evolved], evaluated: int, *, whole: bool = True) -> str:
        """Write down a generation, and return why it is to be the last, if it is.

        One that is not ``whole``, or that Ctrl-C cut short, is none that the search comes by when it is done again.
        """
        self.found.population = list(population)
        if self.checkpoint is not None and whole and not self.found.interrupted:
            try:
                self.checkpoint.stepped(self.found)
            except KeyboardInterrupt:
                self.found.interrupted = True
        self.chronicle.log(evaluated)
        ended = self.on_generation is not None and self.on_generation(self.found) is True
        return ENDED if ended else ""


class Loop(Protocol):
    """A loop; what it needs is in the search."""

    def run(self, search: Search) -> str:
        """Search until something ends it, and return what did, in words."""


def check_whole(name: str, number: object, least: int) -> None:
    """Refuse what is no whole number of at least ``least``.

    Raises:
        GaafError: naming the setting.
    """
    if isinstance(number, bool) or not isinstance(number, int) or number < least:
        raise GaafError(f"{name} must be a whole number of at least {least}, got {number!r}")
