"""The evolution loop: generational, elitist, and no candidate is trained twice."""

from __future__ import annotations

import heapq
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from deap import base, tools

from gaaf_gp.bloat import Bloat, BloatLike, Pareto
from gaaf_gp.candidates import Evolved
from gaaf_gp.errors import GaafError
from gaaf_gp.fitness import Record
from gaaf_gp.generation import DEFAULT_LIMITS, Limits, starting_heights
from gaaf_gp.judges import Judge, Measure, as_judge
from gaaf_gp.progress import Progress
from gaaf_gp.pset import PrimitiveSet
from gaaf_gp.toolbox import make_toolbox

ATTEMPTS = 100
"""Draws for one place in a population before a new random tree is tried instead, and then before giving up."""

SAME = "same behaviour"
"""The reason for which a candidate is rejected that would train as an earlier one."""
TOO_LARGE = "too large to be evaluated"
"""The reason for which a control of bloat throws a candidate away; it may come again."""


@dataclass
class Evolution:
    """What a run leaves behind.

    Attributes:
        population: the last generation: Individuals, or TwoTrees where a search breeds those.
        hall_of_fame: the best individuals ever seen, best first, distinct by canonical text; only those that were
            trained in full.
        logbook: DEAP's logbook, one row a generation, with chapters ``fitness`` and ``size``.
        records: every evaluation, in order.
        rejected: reason -> number of candidates rejected without training; "same behaviour" for those that would train
            as an earlier one.
        seconds: wall time.
        interrupted: whether Ctrl-C ended it early.
        exhausted: whether no new candidate could be found before the evaluations were spent.
    """

    population: list[Any] = field(default_factory=list)
    hall_of_fame: tools.HallOfFame = field(default_factory=lambda: _hall(10))
    logbook: tools.Logbook = field(default_factory=tools.Logbook)
    records: list[Record] = field(default_factory=list)
    rejected: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    interrupted: bool = False
    exhausted: bool = False

    @property
    def failures(self) -> Counter[str]:
        """Reason -> number of evaluated candidates that failed."""
        return Counter(record.failure for record in self.records if record.failure)

    @property
    def dropped(self) -> Counter[int]:
        """Epochs -> number of candidates that dropped out of their race after so many."""
        return Counter(record.outcomes[0].epochs for record in self.records if not record.complete)

    @property
    def duplicates(self) -> int:
        """Number of candidates that were not trained because an earlier one trains alike."""
        return self.rejected[SAME] + sum(record.same_as is not None for record in self.records)

    @property
    def best(self) -> Record | None:
        """The record of the first in the hall of fame."""
        first = self.hall_of_fame[0].canonical if len(self.hall_of_fame) else None
        return next((record for record in self.records if record.text == first), None)


def evolve(
    pset: PrimitiveSet,
    evaluator: Judge | Measure,
    *,
    evaluations: int = 100,
    population_size: int = 20,
    elite: int = 2,
    crossover: float = 0.6,
    mutation: float = 0.6,
    limits: Limits = DEFAULT_LIMITS,
    two_trees: bool = False,
    bloat: BloatLike = None,
    seed: int = 0,
    hall_of_fame: int = 10,
    toolbox: base.Toolbox | None = None,
    progress: bool = False,
    on_record: Callable[[Record], None] | None = None,
) -> Evolution:
    """Search for good activation functions.

    Each generation keeps the ``elite`` best and fills up with new candidates: two parents are selected, by double
    tournament if ``bloat`` does not choose another way, mated with probability ``crossover``, and the child is mutated
    with probability ``mutation`` (always, if it was not mated). A child that was evaluated before, that training could
    not repair, or that would train as one that was evaluated (:mod:`gaaf_gp.behaviour`) is drawn again and costs
    nothing.

    Args:
        pset: the primitive set.
        evaluator: an :class:`~gaaf_gp.Evaluator`, which trains candidates in its worker processes, another
            judge, or a function that returns the fitness of an individual.
        evaluations: number of distinct candidates to train.
        population_size: individuals of a generation.
        elite: best individuals that live on.
        crossover: probability of mating.
        mutation: probability of mutating a mated child.
        limits: static limits of every tree.
        two_trees: whether a candidate has a forward and a backward tree, see :func:`gaaf_gp.make_toolbox`.
        bloat: what keeps trees small: one or several controls of :mod:`gaaf_gp.bloat`, or their names.
        seed: of all choices of the search; one seed gives one run, for any number of workers.
        hall_of_fame: number of best individuals to remember.
        toolbox: other operators than those of :func:`gaaf_gp.make_toolbox`; it must make Individuals of ``pset``, or
            TwoTrees, and decides alone which.
        progress: show a progress line: candidates done, best so far, time left.
        on_record: called with every record as it arrives.

    Returns:
        What was found, also after Ctrl-C (``interrupted``): the candidates evaluated until then are all in it.

    Raises:
        GaafError: for settings out of their range.
    """
    _check(evaluations, population_size, elite, {"crossover": crossover, "mutation": mutation}, hall_of_fame)
    evaluator = as_judge(evaluator, pset)
    rng = random.Random(seed)
    if toolbox is None:
        heights = starting_heights(pset, limits)
        toolbox = make_toolbox(
            pset, evaluator, rng=rng, limits=limits, heights=heights, two_trees=two_trees, bloat=bloat
        )
    found = Evolution(hall_of_fame=_hall(hall_of_fame))
    search = _Search(toolbox, evaluator, rng, found, crossover, mutation)
    elite = search.bloat.selector.elite(elite, population_size)
    started = time.perf_counter()
    with Progress(evaluations, enabled=progress) as shown:

        def arrived(record: Record) -> None:
            shown.advance(record)
            if on_record is not None:
                on_record(record)

        while len(found.records) < evaluations and not (found.exhausted or found.interrupted):
            survivors = search.bloat.survivors(found.population, elite)
            children: list[Evolved] = []
            try:
                children = search.brood(min(population_size - len(survivors), evaluations - len(found.records)))
                evaluator.evaluate(children, arrived)
            except KeyboardInterrupt:
                found.interrupted = True
                children = [child for child in children if child.canonical in evaluator.records]
            if children:
                search.take(survivors, children)
    found.seconds = time.perf_counter() - started
    return found


class _Search:
    """The state of one run: what was tried, and the operators to make new candidates."""

    def __init__(
        self,
        toolbox: base.Toolbox,
        evaluator: Judge,
        rng: random.Random,
        found: Evolution,
        crossover: float,
        mutation: float,
    ) -> None:
        self.toolbox = toolbox
        self.bloat: Bloat = getattr(toolbox, "bloat", None) or Bloat("none")
        self.evaluator = evaluator
        self.rng = rng
        self.found = found
        self.crossover = crossover
        self.mutation = mutation
        self.tried: set[str] = set()
        self.signatures: set[str] = set()
        self.trained: dict[str, Evolved] = {}
        self.statistics = tools.MultiStatistics(
            fitness=tools.Statistics(lambda ind: ind.fitness.values[0]), size=tools.Statistics(len)
        )
        for name, function in (("avg", np.mean), ("std", np.std), ("min", np.min), ("max", np.max)):
            self.statistics.register(name, _plain, function)
        self.found.logbook.header = ["gen", "nevals", "evaluations", "best", "fitness", "size"]

    def brood(self, number: int) -> list[Evolved]:
        """Return up to ``number`` candidates that were never tried and that no screen rejects."""
        make = self.breed if self.found.population else self.toolbox.individual
        children: list[Evolved] = []
        while len(children) < number:
            child = self._new(make) or self._new(self.toolbox.individual)
            if child is None:
                break  # smaller generations may still find something new; one without a child may not
            children.append(child)
        self.found.exhausted = not children
        return children

    def _new(self, make: Callable[[], Evolved]) -> Evolved | None:
        for _ in range(ATTEMPTS):
            child = make()
            text = child.canonical
            if text in self.tried:
                continue
            if not self.bloat.judges(child, self.rng):
                self.found.rejected[TOO_LARGE] += 1
                continue
            self.tried.add(text)
            behaviour = self.evaluator.behaviour(child)
            reason = behaviour.failure or (SAME if behaviour.signature in self.signatures else None)
            if reason is None:
                self.signatures.add(behaviour.signature)
                return child
            self.found.rejected[reason] += 1
        return None

    def breed(self) -> Evolved:
        """Return one child of two selected parents."""
        if isinstance(self.bloat.selector, Pareto):  # whose select, for DEAP, is who lives on
            parents = self.bloat.select(self.found.population, 2, self.rng)
        else:
            parents = self.toolbox.select(self.found.population, 2)
        first, second = map(self.toolbox.clone, parents)
        mated = self.rng.random() < self.crossover
        child: Evolved = self.toolbox.mate(first, second)[0] if mated else first
        if not mated or self.rng.random() < self.mutation:
            (child,) = self.toolbox.mutate(child)
        del child.fitness.values
        return child

    def take(self, survivors: list[Evolved], children: list[Evolved]) -> None:
        """Make the next generation of survivors and evaluated children, and log it."""
        found, records = self.found, self.evaluator.records
        self.trained.update((child.canonical, child) for child in children)
        found.records = [records[text] for text in self.trained]
        # Added seeds may have changed what earlier candidates are worth.
        for text, individual in self.trained.items():
            individual.fitness.values = self.bloat.selector.values(individual, records[text].fitness)
        found.population = survivors + [child for child in children if self.bloat.accepts(child, _value(child))]
        complete = [individual for text, individual in self.trained.items() if records[text].complete]
        found.hall_of_fame.clear()
        found.hall_of_fame.update(heapq.nlargest(found.hall_of_fame.maxsize, complete, key=_value))
        best = found.best
        found.logbook.record(
            gen=len(found.logbook),
            nevals=len(children),
            evaluations=len(found.records),
            best=0.0 if best is None else best.fitness,
            **self.statistics.compile(found.population),
        )


def _plain(function: Callable[[Any], Any], values: Any) -> float:
    return float(function(values))


def _hall(size: int) -> tools.HallOfFame:
    return tools.HallOfFame(size, similar=_same)


def _value(individual: Evolved) -> float:
    return float(individual.fitness.values[0])


def _same(first: Evolved, second: Evolved) -> bool:
    return first.canonical == second.canonical


def _check(evaluations: int, population_size: int, elite: int, rates: dict[str, float], hall_of_fame: int) -> None:
    for name, value, least in (
        ("evaluations", evaluations, 1),
        ("population_size", population_size, 2),
        ("elite", elite, 0),
        ("hall_of_fame", hall_of_fame, 1),
    ):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise GaafError(f"{name} must be a whole number of at least {least}, got {value!r}")
    if elite >= population_size:
        raise GaafError(f"elite must be below population_size {population_size}, got {elite}: leave room for children")
    for name, rate in rates.items():
        if not 0 <= rate <= 1:
            raise GaafError(f"{name} must be a probability from 0 to 1, got {rate!r}")
