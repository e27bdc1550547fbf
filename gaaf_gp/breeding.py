"""New candidates, generation by generation: what was tried, what is worth an evaluation, and who lives on."""

from __future__ import annotations

import copy
import heapq
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from deap import base, tools

from gaaf_gp.bloat import Bloat, Pareto
from gaaf_gp.candidates import Evolved, TwoTrees, parse_candidate
from gaaf_gp.errors import GaafError
from gaaf_gp.evolution import SAME, TOO_LARGE, Evolution, value
from gaaf_gp.individual import Individual
from gaaf_gp.judges import Judge
from gaaf_gp.pset import PrimitiveSet

ATTEMPTS = 100
"""Draws for one place in a population before a new random tree is tried instead, and then before giving up."""


def known(
    given: Sequence[str | Evolved], pset: PrimitiveSet, toolbox: base.Toolbox, rng: random.Random
) -> list[Evolved]:
    """Return the individuals that a search shall begin with, each with a fitness as the toolbox makes it.

    Args:
        given: texts as :func:`gaaf_gp.candidates.parse_candidate` reads them, or individuals.
        pset: the set of the search.
        toolbox: decides whether individuals have one tree or two; its limits and constraints hold for these too.
        rng: of the controls.

    Raises:
        GaafError: one is a baseline, has another number of trees than the search, or is beyond its limits.
    """
    if isinstance(given, str):
        given = [given]
    if not given:
        return []
    sample, bloat = toolbox.individual(), getattr(toolbox, "bloat", None)
    made: list[Evolved] = []
    for one in given:
        candidate = parse_candidate(one, pset) if isinstance(one, str) else copy.deepcopy(one)
        if isinstance(sample, TwoTrees) and isinstance(candidate, Individual):
            candidate = TwoTrees(candidate, copy.deepcopy(candidate))
        if not isinstance(candidate, type(sample)):
            raise GaafError(f"a search of {_kind(sample)} must begin with such, got {one!r}: leave it out")
        candidate.fitness = type(sample.fitness)()
        if bloat is not None and not bloat.admits(candidate, rng):
            raise GaafError(
                f"a search must begin within its own limits and constraints, but {candidate.canonical!r} is beyond "
                "them: loosen them or leave it out"
            )
        made.append(candidate)
    return made


def _kind(sample: Evolved) -> str:
    return "two trees" if isinstance(sample, TwoTrees) else "single trees"


class Breeder:
    """The state of one run: what was tried, and the operators to make new candidates."""

    def __init__(
        self,
        toolbox: base.Toolbox,
        evaluator: Judge,
        rng: random.Random,
        found: Evolution,
        crossover: float,
        mutation: float,
        initial: Sequence[Evolved] = (),
    ) -> None:
        self.toolbox = toolbox
        self.bloat: Bloat = getattr(toolbox, "bloat", None) or Bloat("none")
        self.evaluator = evaluator
        self.rng = rng
        self.found = found
        self.crossover = crossover
        self.mutation = mutation
        self.initial = list(reversed(initial))
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
            child = self._new(self._given) if self.initial else None
            child = child or self._new(make) or self._new(self.toolbox.individual)
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
            if make != self._given and not self.bloat.judges(child, self.rng):
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

    def _given(self) -> Evolved:
        """Return the next of the individuals that the search begins with, and a random one after the last."""
        made: Evolved = self.initial.pop() if self.initial else self.toolbox.individual()
        return made

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
        found.population = survivors + [child for child in children if self.bloat.accepts(child, value(child))]
        complete = [individual for text, individual in self.trained.items() if records[text].complete]
        found.hall_of_fame.clear()
        found.hall_of_fame.update(heapq.nlargest(found.hall_of_fame.maxsize, complete, key=value))
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
