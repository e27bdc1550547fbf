"""The genetic algorithm of the GAAF paper, as it was published and repaired, and random search beside it.

Source: Li et al. 2023 (arXiv 2206.03291), the algorithm as its authors' code has it. Thirty random individuals, each
accepted only above a threshold. Then 200 generations of 10 children; how parents are selected is drawn anew in each:
the two best (elitism), a tournament, or in proportion to fitness. A child is one of two parents with one operator
changed to another one of the same arity. It replaces the worst of the population if it is fitter, and not in there yet.

It works on any typed set: an operator changes to another one that takes and returns the same types, so the templates of
``primitives.gaaf:encoding1`` and ``encoding2`` keep their form.

What is wrong with the search itself is repaired, each repair a switch of :class:`~gaaf_gp.search.genetic.Repairs`.
Other weaknesses of that code belong to its training, and this package does not have them: selection on the test split
(no search sees it), the best of all epochs as fitness (ours is that of the last one), Adam's moments lost at every
epoch (ours are kept), sign(0) = 0 (ours is +1).
"""

from __future__ import annotations

import copy
import functools
import math
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from deap import tools

from gaaf_gp.archive.births import BOTH, MUTATION, RANDOM
from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation.fitness_function import FitnessFunction, Measure, as_fitness_function
from gaaf_gp.evaluation.records import Record
from gaaf_gp.search.bloat import TOURNAMENT
from gaaf_gp.search.loops import Loop, Search
from gaaf_gp.search.progress import Progress, formulas
from gaaf_gp.search.result import SAME, SearchResult, new_hall, value
from gaaf_gp.search.stopping import Stop
from gaaf_gp.trees.candidate import Evolved
from gaaf_gp.trees.generation import DEFAULT_LIMITS, Limits, gen_half_and_half, starting_heights
from gaaf_gp.trees.individual import Individual
from gaaf_gp.trees.operators import cx_one_point, mut_node_replacement
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.util.checks import any_seed, probability, whole_number
from gaaf_gp.util.console import Show
from gaaf_gp.util.randomness import as_global

__all__ = ["MODES", "PUBLISHED", "REPAIRED", "Genetic", "RandomSearch", "Repairs", "genetic", "random_search"]


@dataclass(frozen=True)
class Repairs:
    """What is done otherwise than in the published code; :data:`PUBLISHED` has all of them off.

    Attributes:
        tournament_by_fitness: the fittest of 4 wins a tournament; published: parents are drawn without looking at it.
        remember_all: what was evaluated before is never asked for again, and another child is bred in its place, or a
            random individual drawn if there is no new child; published: only a genotype of the present population is
            passed over, and its place is lost.
        skip_same_behaviour: a candidate that would train as an earlier one is not evaluated
            (:mod:`gaaf_gp.activations.behaviour`).
        screen: nor is one that training could not repair.
        side_by_side: all children of a generation are bred before the first is evaluated, so that worker processes
            share them; off: each may be a parent of the next.
        seeded: one seed gives one run; published: the seed is ignored.
        crossover: probability that two parents exchange subtrees before one of them is mutated. The published code has
            a crossover and never calls it, and so it is 0 here too unless asked for.

    Raises:
        GaafError: for a probability out of its range.
    """

    tournament_by_fitness: bool = True
    remember_all: bool = True
    skip_same_behaviour: bool = True
    screen: bool = True
    side_by_side: bool = True
    seeded: bool = True
    crossover: float = 0.0

    def __post_init__(self) -> None:
        probability("crossover", self.crossover)


REPAIRED = Repairs()
PUBLISHED = Repairs(False, False, False, False, False, False)
"""The algorithm with its known weaknesses."""


MODES = ("elitism", "tournament", "proportionate")
"""How the parents of a generation may be selected."""
ATTEMPTS = 20
"""Children that are bred for one place before a random individual is drawn for it."""
DRAWS = 2_000
"""Random individuals that are drawn for a new one before a search ends: enough to find the last few of a thousand."""
STALE = 30
"""Generations without a new child, one after another, that end a search as published."""
STARTS = 100
"""Evaluations for each place of the first population before a search gives up on its threshold."""


def genetic(
    pset: PrimitiveSet,
    evaluate: FitnessFunction | Measure,
    *,
    evaluations: int | None = None,
    population_size: int = 30,
    generations: int | None = 200,
    children: int = 10,
    threshold: float = 0.11,
    repairs: Repairs = REPAIRED,
    limits: Limits = DEFAULT_LIMITS,
    seed: int = 0,
    hall_of_fame: int = 10,
    progress: Show = False,
    on_evaluation: Callable[[Record], None] | None = None,
) -> SearchResult:
    """Search with the paper's genetic algorithm.

    An evaluation is counted whenever the algorithm asks for a fitness, also if the answer is remembered: the published
    code would train again. What ``repairs`` keeps from being asked costs nothing.

    Args:
        pset: the primitive set.
        evaluate: an :class:`~gaaf_gp.Evaluator`, or a function that returns the fitness of an individual.
        evaluations: the search ends after so many; None for as many as the generations need.
        population_size: individuals of the population.
        generations: the search ends after so many; None if ``evaluations`` alone end it.
        children: of a generation.
        threshold: what the fitness of a first individual must exceed (11 %; the paper has 20 % for encoding 2).
        repairs: how it differs from the published algorithm.
        limits: static limits of first trees, and of what crossover makes.
        seed: of all choices of the search; one seed gives one run, for any number of workers.
        hall_of_fame: number of best individuals to remember.
        progress: whether and how progress is shown, as in :func:`gaaf_gp.evolve`.
        on_evaluation: called with every new record as it arrives.

    Returns:
        What was found, also after Ctrl-C (``interrupted``). ``exhausted`` says that no new candidate was found any
        more, or that too few exceeded the threshold. The logbook has the columns ``mode`` (how parents were selected)
        and ``taken`` (children that replaced another).

    Raises:
        GaafError: for settings out of their range.
    """
    _check(1, evaluations=evaluations, generations=generations, children=children, hall_of_fame=hall_of_fame)
    _check(2, population_size=population_size)
    seed = any_seed(seed)
    if evaluations is None and generations is None:
        raise GaafError("evaluations or generations must end the search, got None for both: set one of them")
    total = population_size + (generations or 0) * children if evaluations is None else evaluations
    loop = Genetic(children=children, threshold=threshold, generations=generations, repairs=repairs)
    search = _search(pset, evaluate, evaluations, limits, seed, hall_of_fame, on_evaluation)
    search.population_size = population_size
    with Progress(total, show=progress, formula=formulas(pset)) as search.shown:
        return _finished(search, loop)


def random_search(
    pset: PrimitiveSet,
    evaluate: FitnessFunction | Measure,
    *,
    evaluations: int,
    batch: int = 10,
    repairs: Repairs = REPAIRED,
    limits: Limits = DEFAULT_LIMITS,
    make: Callable[[], Evolved] | None = None,
    seed: int = 0,
    hall_of_fame: int = 10,
    progress: Show = False,
    on_evaluation: Callable[[Record], None] | None = None,
) -> SearchResult:
    """Evaluate random individuals, every distinct one once: what a search must be better than at equal budget.

    The arguments are those of :func:`genetic`. Of ``repairs`` it heeds ``screen``, ``skip_same_behaviour`` and
    ``seeded``, so that both pay for the same things. ``batch`` individuals are evaluated side by side; they are a row
    of the logbook, and the last batch is the ``population``. ``make`` draws one individual, such as
    ``toolbox.individual`` of a toolbox for two trees; by default it is one tree, drawn with ``seed``.

    Raises:
        GaafError: for settings out of their range.
    """
    _check(1, evaluations=evaluations, batch=batch, hall_of_fame=hall_of_fame)
    seed = any_seed(seed)
    loop = RandomSearch(batch=batch, repairs=repairs, make=make)
    search = _search(pset, evaluate, evaluations, limits, seed, hall_of_fame, on_evaluation)
    with Progress(evaluations, show=progress, what="random search", formula=formulas(pset)) as search.shown:
        return _finished(search, loop)


def _search(
    pset: PrimitiveSet,
    evaluate: FitnessFunction | Measure,
    evaluations: int | None,
    limits: Limits,
    seed: int,
    hall_of_fame: int,
    on_evaluation: Callable[[Record], None] | None,
) -> Search:
    return Search(
        found=SearchResult(hall_of_fame=new_hall(hall_of_fame)),
        fitness_function=as_fitness_function(evaluate, pset),
        stop=Stop(sys.maxsize if evaluations is None else evaluations),
        pset=pset,
        limits=limits,
        seed=seed,
        on_evaluation=on_evaluation,
    )


def _finished(search: Search, loop: Loop) -> SearchResult:
    search.found.stopped = loop.run(search)
    search.found.seconds = time.perf_counter() - search.stop.started
    return search.found


@dataclass(frozen=True)
class Genetic:
    """The paper's algorithm as a loop, for ``evolve(loop=Genetic())``; see :func:`genetic` for the attributes.

    Of the search it takes evaluations, population size, limits and seed; it has its own operators and no bloat control.
    """

    breeds: ClassVar[bool] = False
    children: int = 10
    threshold: float = 0.11
    generations: int | None = None
    repairs: Repairs = REPAIRED

    @property
    def in_order(self) -> bool:
        """Whether one seed gives one run."""
        return self.repairs.seeded

    def run(self, search: Search) -> str:
        """Search, generation by generation."""
        return _Asking(search, self.repairs).genetic(self)


@dataclass(frozen=True)
class RandomSearch:
    """Random search as a loop; see :func:`random_search` for the attributes."""

    breeds: ClassVar[bool] = False
    batch: int = 10
    repairs: Repairs = REPAIRED
    make: Callable[[], Evolved] | None = None

    @property
    def in_order(self) -> bool:
        """Whether one seed gives one run."""
        return self.repairs.seeded

    def run(self, search: Search) -> str:
        """Search, batch by batch."""
        return _Asking(search, replace(self.repairs, remember_all=True), self.make).random_search(self.batch)


class _Asking:
    """A search that is under way: what was asked for, how candidates are made, and who replaces whom.

    Args:
        search: what it works on.
        repairs: which candidates count as new: ``remember_all``, ``screen`` and ``skip_same_behaviour`` of it.
        make: draws one individual; None for a random tree of the set.

    Attributes:
        asked: evaluations until now, also those that were answered from memory.
    """

    def __init__(self, search: Search, repairs: Repairs, make: Callable[[], Any] | None = None) -> None:
        self.search = search
        self.found = search.found
        self.repairs = repairs
        self.rng = random.Random(search.seed) if repairs.seeded else random.Random()
        if search.checkpoint is not None:
            search.checkpoint.generators.append(self.rng)
        self.asked = 0
        self._make = self._tree if make is None else make
        self._heights = starting_heights(search.pset, search.limits)
        self._origin: tuple[str, Sequence[Individual]] = RANDOM, ()
        self._given: set[str] = set()
        self._signatures: set[str] = set()
        self.found.logbook.header = ["gen", "mode", "nevals", "taken", "evaluations", "best", "fitness", "size"]

    @property
    def population(self) -> list[Individual]:
        return self.found.population

    def genetic(self, loop: Genetic) -> str:
        """Run the paper's algorithm, and return what ended it."""
        number = stale = 0
        reason = ""
        try:
            reason = self.start(self.search.population_size, loop.threshold)
            while not (reason := reason or self.reason()):
                if number == loop.generations:
                    reason = f"{number} generations"
                    break
                asked, reason = self.generation(loop.children)
                stale = 0 if asked else stale + 1
                self.found.exhausted = stale == (1 if self.repairs.remember_all else STALE)
                number += 1
        except KeyboardInterrupt:
            self.found.interrupted = True
        self.search.refresh()
        return self.reason() if self.found.interrupted else reason

    def random_search(self, batch: int) -> str:
        """Ask for random candidates until something ends it, and return what did."""
        reason = ""
        try:
            while not (reason := reason or self.reason()):
                drawn = self.brood(batch)
                self.found.exhausted = not drawn
                if drawn:
                    self.ask(drawn)
                    self.found.population = drawn
                    reason = self.log("random", len(drawn), len(drawn))
        except KeyboardInterrupt:
            self.found.interrupted = True
        self.search.refresh()
        return self.reason() if self.found.interrupted else reason

    def reason(self) -> str:
        """Return why the search ends now, in words; nothing if it goes on."""
        if self.room(1):
            return self.search.stop.reason(self.found)
        return self.search.stop.reason(self.found) or f"{self.search.stop.evaluations} evaluations"

    def room(self, wanted: int) -> int:
        """Return how many of ``wanted`` evaluations the budget allows."""
        return max(0, min(wanted, self.search.stop.evaluations - self.asked))

    def is_new(self, child: Individual, present: Sequence[Individual]) -> bool:
        """Whether a candidate is to be evaluated; what is rejected without that is counted in ``found.rejected``.

        Args:
            child: the candidate.
            present: where its genotype, exactly as it stands, must not be yet.
        """
        if self.repairs.remember_all:
            if child.canonical in self._given:
                return False
            self._given.add(child.canonical)
        if child in present:
            return False
        reason = self._rejection(child)
        if reason is not None:
            self.found.rejected[reason] += 1
        return reason is None

    def _rejection(self, child: Individual) -> str | None:
        if not (self.repairs.screen or self.repairs.skip_same_behaviour):
            return None
        behaviour = self.search.fitness_function.behaviour(child)
        if self.repairs.screen and behaviour.failure is not None:
            return behaviour.failure
        if self.repairs.skip_same_behaviour:
            if behaviour.signature in self._signatures:
                return SAME
            self._signatures.add(behaviour.signature)
        return None

    def ask(self, children: Sequence[Individual]) -> None:
        """Evaluate candidates, which get their fitness; what is done before an interruption is kept."""
        new: set[str] = set()
        records = self.search.fitness_function.records

        def arrived(record: Record) -> None:
            new.add(record.text)
            self.search.arrived(record)

        try:
            self.search.fitness_function.evaluate(children, arrived)
        finally:
            done = [child for child in children if child.canonical in records]
            self.asked += len(done)
            self.search.enter(done)
        for child in children:
            if child.canonical not in new:
                self.search.shown.advance(records[child.canonical], known=True)

    def log(self, mode: str, nevals: int, taken: int) -> str:
        """Write down a generation, and return why it is to be the last, if it is.

        Args:
            mode: how the candidates were made.
            nevals: how many were asked for.
            taken: how many of them are in the population now.
        """
        self.search.refresh()
        return self.search.generation(self.population, nevals, mode=mode, taken=taken, evaluations=self.asked)

    def start(self, size: int, threshold: float) -> str:
        """Fill the population with random individuals whose fitness exceeds the threshold."""
        most = STARTS * size
        while len(self.population) < size and not self.reason():
            drawn = self.brood(size - len(self.population))
            self.ask(drawn)
            self.population.extend(candidate for candidate in drawn if value(candidate) > threshold)
            self.found.exhausted = not drawn or (self.asked >= most and len(self.population) < size)
        return self.log("random", self.asked, len(self.population))

    def generation(self, children: int) -> tuple[int, str]:
        """Breed and evaluate the children of one generation.

        Returns:
            How many could be asked for, and why it is to be the last generation, if it is.
        """
        mode = self.rng.choice(MODES)
        asked = taken = 0
        for together in [children] if self.repairs.side_by_side else [1] * children:
            brood = self.brood(together, mode)
            self.ask(brood)
            asked += len(brood)
            taken += sum(map(self.replaced_worst, brood))
        return asked, self.log(mode, asked, taken) if asked else ""

    def brood(self, number: int, mode: str | None = None) -> list[Individual]:
        """Return up to ``number`` new candidates, as far as the budget goes: children, or random ones without a mode.

        With ``remember_all`` a random one takes the place of a child where no new child is found.
        """
        children: list[Individual] = []
        for _ in range(self.room(number)):
            present = [*self.population, *children]
            if mode is None:
                new = self._first_new(DRAWS, self._random, present)
            elif self.repairs.remember_all:
                breed = functools.partial(self.child, mode)
                new = self._first_new(ATTEMPTS, breed, present) or self._first_new(DRAWS, self._random, present)
            else:
                new = self._first_new(1, functools.partial(self.child, mode), present)
            if new is not None:
                self.search.born(new, *self._origin)
                children.append(new)
            elif self.repairs.remember_all:
                break  # what random draws cannot find now they will not find for the next place
        return children

    def _first_new(
        self, attempts: int, make: Callable[[], Individual], present: Sequence[Individual]
    ) -> Individual | None:
        made = (make() for _ in range(attempts))
        return next((child for child in made if self.is_new(child, present)), None)

    def _random(self) -> Individual:
        """Return a random individual."""
        self._origin = RANDOM, ()
        individual: Individual = self._make()
        return individual

    def _tree(self) -> Individual:
        """Return a random individual; where types force a template, each genotype with the same probability."""
        nodes = gen_half_and_half(self.search.pset, *self._heights, rng=self.rng, max_size=self.search.limits.size)
        return Individual(nodes, self.search.pset)

    def child(self, mode: str) -> Individual:
        """Return one of two parents with one operator changed."""
        parents = self.parents(mode)
        parent = self.rng.choice(parents)
        child = copy.deepcopy(parent)
        self._origin = MUTATION, [parent]
        if self.repairs.crossover and self.rng.random() < self.repairs.crossover:
            self._origin = BOTH, parents
            first, second = (copy.deepcopy(parent) for parent in parents)
            child = self.rng.choice(cx_one_point(first, second, rng=self.rng, limits=self.search.limits))
        mut_node_replacement(child, rng=self.rng, limits=self.search.limits)
        del child.fitness.values
        return child

    def parents(self, mode: str) -> Sequence[Individual]:
        """Return two parents, selected by ``mode``, one of ``MODES``."""
        if mode == "elitism":
            return list(tools.selBest(self.population, 2))
        if mode == "proportionate":
            return self.rng.choices(self.population, weights=_weights(self.population), k=2)
        if not self.repairs.tournament_by_fitness:
            return self.rng.sample(self.population, 2)
        with as_global(self.rng):
            return list(tools.selTournament(self.population, 2, TOURNAMENT))

    def replaced_worst(self, child: Individual) -> bool:
        """Put a child into the place of the worst if it is fitter, and say whether it was."""
        place = min(range(len(self.population)), key=lambda index: value(self.population[index]))
        better = value(child) > value(self.population[place])
        if better:
            self.population[place] = child
        return better


def _weights(population: Sequence[Individual]) -> list[float]:
    """Fitness as probabilities of being drawn; where any is negative, what it exceeds the least by."""
    values = [value(individual) for individual in population]
    least = min([0.0, *filter(math.isfinite, values)])
    above = [value - least if math.isfinite(value) else 0.0 for value in values]  # a failure is never drawn
    return above if any(above) else [1.0] * len(above)


def _check(least: int, **numbers: int | None) -> None:
    for name, number in numbers.items():
        if number is not None:
            whole_number(name, number, least)
