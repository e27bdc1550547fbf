"""What every loop works on, and what a loop is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from gaaf_gp.archive import Register
from gaaf_gp.errors import GaafError, listed
from gaaf_gp.evaluation.evaluator import AHEAD
from gaaf_gp.evaluation.fitness_function import FitnessFunction, recalled, streamed
from gaaf_gp.evaluation.records import Record
from gaaf_gp.search.breeding import Breeder
from gaaf_gp.search.checkpoint import RunCheckpoint
from gaaf_gp.search.progress import Progress
from gaaf_gp.search.result import SearchResult, Values, plain
from gaaf_gp.search.stopping import Stop
from gaaf_gp.trees.candidate import Evolved
from gaaf_gp.trees.generation import DEFAULT_LIMITS, Limits
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.util.checks import whole_fields

__all__ = ["LOOPS", "Islands", "Loop", "Search", "Steady", "as_loop"]


ENDED = "on_generation ended it"


@dataclass
class Search:
    """What a loop works on.

    Attributes:
        found: what is found, kept up to date.
        fitness_function: evaluates.
        breeders: makes populations: called with how many there will be.
        stop: ends the search.
        shown: the progress.
        pset: the primitive set.
        limits: static limits of every tree.
        seed: of the choices of a loop that makes candidates by itself.
        population_size: individuals of a population.
        elite: best individuals of a population that live on.
        values: DEAP's fitness values of an individual.
        on_evaluation: to be called with every new record.
        on_generation: to be called after every generation; True ends the search.
        checkpoint: is told of every child that is bred and of every whole step.
        register: of births and generations; None without an archive.
    """

    found: SearchResult
    fitness_function: FitnessFunction
    stop: Stop
    pset: PrimitiveSet
    breeders: Callable[[int], list[Breeder]] = lambda _: []
    shown: Progress = field(default_factory=lambda: Progress(1, show=False))
    limits: Limits = DEFAULT_LIMITS
    seed: int = 0
    population_size: int = 20
    elite: int = 2
    values: Values = plain
    on_evaluation: Callable[[Record], None] | None = None
    on_generation: Callable[[SearchResult], object] | None = None
    checkpoint: RunCheckpoint | None = None
    register: Register | None = None
    _asked: Sequence[Evolved] = ()

    @property
    def room(self) -> int:
        """Evaluations that are left."""
        return self.stop.evaluations - len(self.found.records)

    def born(self, child: Evolved, operation: str, parents: Sequence[Evolved]) -> None:
        """Tell checkpoint and archive of a new candidate, see :data:`gaaf_gp.search.breeding.Born`."""
        if self.checkpoint is not None:
            self.checkpoint.bred(child)
        if self.register is not None:
            texts = [parent.canonical for parent in parents]
            self.register.born(child.canonical, len(self.found.logbook), operation, texts)

    def arrived(self, record: Record) -> None:
        """Show a new record, and tell of it."""
        self.shown.advance(record, known=recalled(self.fitness_function, record))
        if self.on_evaluation is not None:
            self.on_evaluation(record)

    def enter(self, children: Sequence[Evolved]) -> None:
        """Take in children that were evaluated."""
        self.found.enter(children, self.fitness_function.records, self.values)

    def settle(self) -> None:
        """Take in what was evaluated until Ctrl-C came, wherever that was."""
        self.found.interrupted = True
        records = self.fitness_function.records
        self.enter([child for child in self._asked if child.canonical in records])
        self.refresh()  # it may have come in the middle of entering

    def refresh(self) -> None:
        """Bring what was found up to date with all seeds."""
        self.found.refresh(self.fitness_function.records, self.values)

    def evaluated(self, children: Sequence[Evolved]) -> list[Evolved]:
        """Return the children that could be evaluated: all, unless Ctrl-C came."""
        self._asked = children
        try:
            self.fitness_function.evaluate(children, self.arrived)
        except KeyboardInterrupt:
            self.found.interrupted = True
        return [child for child in children if child.canonical in self.fitness_function.records]

    def generation(self, population: Sequence[Evolved], evaluated: int, *, whole: bool = True, **columns: Any) -> str:
        """Write down a generation, and return why it is to be the last, if it is.

        One that is not ``whole``, or that Ctrl-C cut short, is none that the search comes by when it is done again.
        ``columns`` are further ones of the logbook.
        """
        self.found.population = list(population)
        if self.checkpoint is not None and whole and not self.found.interrupted:
            try:
                self.checkpoint.stepped(self.found)
            except KeyboardInterrupt:
                self.found.interrupted = True
        self.found.log(evaluated, **columns)
        if self.register is not None:
            texts = [individual.canonical for individual in self.found.population]
            self.register.generation(len(self.found.logbook) - 1, len(self.found.records), texts)
        ended = self.on_generation is not None and self.on_generation(self.found) is True
        return ENDED if ended else ""


class Loop(Protocol):
    """A loop; what it needs is in the search."""

    def run(self, search: Search) -> str:
        """Search until something ends it, and return what did, in words."""


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
        whole_fields(self, "Islands.", number=1, every=1, migrants=0)

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
            evaluated = {id(child) for child in search.evaluated([child for brood in broods for child in brood])}
            broods = [[child for child in brood if id(child) in evaluated] for brood in broods]
            if not any(broods):
                continue
            search.enter([child for brood in broods for child in brood])
            for island, kept, brood in zip(islands, survivors, broods, strict=True):
                island.population = kept + island.admit(brood)
            generation += 1
            if generation % self.every == 0:
                self._migrate(islands)
            everybody = [individual for island in islands for individual in island.population]
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
        whole_fields(self, "Steady.", ahead=1)

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
        records = streamed(search.fitness_function, self._bred(), search.arrived, self.loop.ahead, self.loop.in_order)
        try:
            for record in records:
                reason = self._take(record.text)
                if reason or stop.reason(search.found):
                    return reason
        except KeyboardInterrupt:
            search.found.interrupted = True
        finally:
            records.close()
            done = [text for text in self.on_way if text in search.fitness_function.records]
            for text in done if search.found.interrupted else ():  # else it would depend on the number of workers
                self._take(text)
            self.on_way.clear()
        return ""

    def land(self) -> None:
        """Write down the rest, after seeds that came last."""
        self.search.found.population = self.breeder.population
        self.search.refresh()
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
        child = self.on_way[text]
        search, breeder = self.search, self.breeder
        search.found.population = breeder.population
        search.enter([child])
        del self.on_way[text]  # only now: Ctrl-C may come before it is entered
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
            kept = {id(survivor) for survivor in bloat.survivors(population, size)}
            return [individual for individual in population if id(individual) in kept]
        elite = {id(survivor) for survivor in bloat.survivors(population, self.search.elite)}
        oldest = next(individual for individual in population if id(individual) not in elite)
        return [individual for individual in population if individual is not oldest]


DIGITS = 6
"""Of a number behind the name of a loop."""

LOOPS: dict[str, Callable[..., Loop]] = {
    "generations": lambda: Islands(1),
    "islands": Islands,
    "steady": Steady,
    "aging": partial(Steady, aging=True),
    "arrival": partial(Steady, in_order=False),
}
"""Loops by name. But for "generations" they take a number: of islands, or of candidates on their way."""


def as_loop(loop: Loop | str) -> Loop:
    """Return a loop, by its name if need be: "islands:8" are eight of them, "steady:32" has 32 candidates on their way.

    Raises:
        GaafError: an unknown name, no number, or something else.
    """
    if not isinstance(loop, str) and callable(getattr(loop, "run", None)):
        return loop
    name, colon, number = loop.partition(":") if isinstance(loop, str) else ("", "", "")
    if name not in LOOPS or (colon and (name == "generations" or not number.isdecimal() or len(number) > DIGITS)):
        raise GaafError(
            f"loop must be Islands, Steady, or one of {listed(LOOPS)}, which take a number as in islands:8 but for "
            f"generations; got {loop!r}: choose one of them"
        )
    return LOOPS[name](int(number)) if colon else LOOPS[name]()
