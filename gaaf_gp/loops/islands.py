"""Generations: of one population, or of several that send each other their best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gaaf_gp.breeding import Breeder
from gaaf_gp.candidates import Evolved
from gaaf_gp.errors import GaafError
from gaaf_gp.loops.search import Search, check_whole


@dataclass(frozen=True)
class Islands:
    """Populations that evolve apart and send each other their best, in a ring.

    Source: the multi-population ("island") model, as Tanese, Distributed genetic algorithms, 1989. Each island keeps
    its ``elite`` best and fills up with new candidates. The candidates of all islands are evaluated together, and one
    that another island had before is not trained again.

    Attributes:
        number: of islands, each with a whole population.
        every: generations from one migration to the next.
        migrants: best individuals that an island sends to the next one, where they replace the worst.
    """

    number: int = 4
    every: int = 5
    migrants: int = 1

    def __post_init__(self) -> None:
        check_whole("islands", self.number, 1)
        check_whole("generations from one migration to the next", self.every, 1)
        check_whole("migrants", self.migrants, 0)

    def run(self, search: Search) -> str:
        """Search, generation by generation."""
        if self.migrants >= search.population_size:
            raise GaafError(
                f"migrants must be fewer than the {search.population_size} of a population, got {self.migrants}"
            )
        found, stop = search.found, search.stop
        islands = search.breeders(self.number)
        generation = 0
        while not (reason := stop.reason(found)):
            survivors = [self._survivors(island, search) for island in islands]
            broods = self._broods(islands, survivors, search)
            found.exhausted = not found.interrupted and not any(broods)
            evaluated = {id(one) for one in search.evaluated([one for brood in broods for one in brood])}
            broods = [[one for one in brood if id(one) in evaluated] for brood in broods]
            if not any(broods):
                continue
            search.chronicle.enter([one for brood in broods for one in brood])
            for island, kept, brood in zip(islands, survivors, broods, strict=True):
                island.population = kept + island.admit(brood)
            generation += 1
            if generation % self.every == 0:
                self._migrate(islands)
            everybody = [one for island in islands for one in island.population]
            if reason := search.generation(everybody, sum(map(len, broods))):
                break
        return reason

    @staticmethod
    def _survivors(island: Breeder, search: Search) -> list[Evolved]:
        elite = island.bloat.selector.elite(search.elite, search.population_size)
        return island.bloat.survivors(island.population, elite)

    @staticmethod
    def _broods(
        islands: Sequence[Breeder], survivors: Sequence[Sequence[Evolved]], search: Search
    ) -> list[list[Evolved]]:
        """Breed for all islands, within the evaluations that are left; none after Ctrl-C."""
        room, broods = search.room, list[list[Evolved]]()
        try:
            for island, kept in zip(islands, survivors, strict=True):
                broods.append(island.brood(min(search.population_size - len(kept), room)))
                room -= len(broods[-1])
        except KeyboardInterrupt:
            search.found.interrupted = True
            return [[] for _ in islands]
        return broods

    def _migrate(self, islands: Sequence[Breeder]) -> None:
        if len(islands) == 1:
            return
        best = [island.bloat.survivors(island.population, self.migrants) for island in islands]
        for place, island in enumerate(islands):
            island.receive(best[place - 1])
