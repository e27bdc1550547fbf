"""Steady state: no generations, and no worker that waits for the slowest candidate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from gaaf_gp.breeding import Breeder
from gaaf_gp.candidates import Evolved
from gaaf_gp.fitness import AHEAD
from gaaf_gp.judges import streamed
from gaaf_gp.loops.search import Search, check_whole


@dataclass(frozen=True)
class Steady:
    """Steady state: one child at a time, bred from what is known when a worker is free.

    The first ``population_size`` candidates are random. A child enters the population and the worst leaves it, or, with
    ``aging``, the oldest that is not of the elite (regularized evolution: Real et al., Regularized evolution for image
    classifier architecture search, AAAI 2019), so that nobody stays for a lucky evaluation. A row of the logbook and
    ``on_generation`` come after every ``population_size`` candidates.

    Attributes:
        ahead: candidates on their way at a time; not fewer than workers, or some idle.
        in_order: whether results are taken in the order in which candidates were bred, so that one seed gives one
            search whatever the number of workers. If not, as they arrive: then even a candidate that takes ``ahead``
            times as long as the others keeps nobody waiting, and a search with several workers cannot be repeated.
        aging: whether the oldest leaves, not the worst.
    """

    ahead: int = AHEAD
    in_order: bool = True
    aging: bool = False

    def __post_init__(self) -> None:
        check_whole("candidates on their way (ahead)", self.ahead, 1)

    def run(self, search: Search) -> str:
        """Search, candidate by candidate."""
        found, stop = search.found, search.stop
        flight = _Flight(search, search.breeders(1)[0], self)
        while not (reason := stop.reason(found)):
            before = len(found.records)
            reason = flight.fly()
            if reason:
                break
            found.exhausted = not found.interrupted and len(found.records) == before
        flight.land()
        return reason


@dataclass
class _Flight:
    """The state of a steady-state search: who is on the way, and who is in the population."""

    search: Search
    breeder: Breeder
    loop: Steady
    begun: int = 0
    since: int = 0
    on_way: dict[str, Evolved] = field(default_factory=dict)

    def fly(self) -> str:
        """Breed and take until something ends the search, or no more can be bred; return what the callback said."""
        search, stop = self.search, self.search.stop
        records = streamed(search.judge, self._bred(), search.arrived, self.loop.ahead, self.loop.in_order)
        try:
            for record in records:
                reason = self._take(record.text)
                if reason or stop.reason(search.found):
                    return reason
        except KeyboardInterrupt:
            search.found.interrupted = True
        finally:
            records.close()
            done = [text for text in self.on_way if text in search.judge.records]
            for text in done if search.found.interrupted else ():  # else it would depend on the number of workers
                self._take(text)
            self.on_way.clear()
        return ""

    def land(self) -> None:
        """Write down the rest, after seeds that came last."""
        self.search.found.population = self.breeder.population
        self.search.chronicle.refresh()
        if self.since:
            self.search.generation(self.breeder.population, self.since, whole=False)

    def _bred(self) -> Iterator[Evolved]:
        while self.search.room > len(self.on_way):
            early = self.begun < self.search.population_size
            child = (self.breeder.child(random_only=True) if early else None) or self.breeder.child()
            if child is None:
                return
            self.begun += 1
            self.on_way[child.canonical] = child
            yield child

    def _take(self, text: str) -> str:
        child = self.on_way.pop(text)
        search, breeder = self.search, self.breeder
        search.found.population = breeder.population
        search.chronicle.enter([child])
        self.since += 1
        breeder.population = self._survivors([*breeder.population, *breeder.admit([child])])
        if self.since < search.population_size:
            return ""
        self.since = 0
        return search.generation(breeder.population, search.population_size)

    def _survivors(self, population: list[Evolved]) -> list[Evolved]:
        size, bloat = self.search.population_size, self.breeder.bloat
        if len(population) <= size:
            return population
        if not self.loop.aging:
            kept = {id(one) for one in bloat.survivors(population, size)}
            return [one for one in population if id(one) in kept]
        elite = {id(one) for one in bloat.survivors(population, self.search.elite)}
        oldest = next(one for one in population if id(one) not in elite)
        return [one for one in population if one is not oldest]
