"""New candidates of a population: what was tried, and what is worth an evaluation."""

from __future__ import annotations

import copy
import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from deap import base

from gaaf_gp.archive.births import BOTH, CROSSOVER, GIVEN, MUTATION, RANDOM
from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation.fitness_function import FitnessFunction
from gaaf_gp.search.bloat import Bloat, Pareto
from gaaf_gp.search.result import SAME, TOO_LARGE, value
from gaaf_gp.trees.candidate import Evolved, TwoTrees, parse_candidate
from gaaf_gp.trees.individual import Individual
from gaaf_gp.trees.operators import only_child
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.trees.simplify import simplify

ATTEMPTS = 100
"""Draws for one place in a population before a new random tree is tried instead, and then before giving up."""


Born = Callable[[Evolved, str, Sequence[Evolved]], object]
"""Is told of a new candidate: how it came to be, one of :data:`gaaf_gp.archive.births.OPERATIONS`, and its parents."""


def known(
    given: Sequence[str | Evolved], pset: PrimitiveSet, toolbox: base.Toolbox, rng: random.Random
) -> list[Evolved]:
    """Return the individuals that a search shall begin with, each with a fitness as the toolbox makes it.

    Args:
        given: texts as :func:`gaaf_gp.trees.candidate.parse_candidate` reads them, or individuals.
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
    for individual in given:
        candidate = parse_candidate(individual, pset) if isinstance(individual, str) else copy.deepcopy(individual)
        if isinstance(sample, TwoTrees) and isinstance(candidate, Individual):
            candidate = TwoTrees(candidate, copy.deepcopy(candidate))
        if not isinstance(candidate, type(sample)):
            raise GaafError(f"a search of {_kind(sample)} must begin with such, got {individual!r}: leave it out")
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
    """A population, what was tried for it, and the operators to make new candidates.

    Attributes:
        population: individuals whose fitness is known; the loop decides who is in it.
        bloat: the controls of the toolbox.

    Args:
        toolbox: makes, selects and varies individuals.
        evaluator: tells how they behave.
        rng: of the choices between operators.
        rejected: counts the candidates that are not worth an evaluation, by reason.
        crossover: probability of mating.
        mutation: probability of mutating a mated child.
        initial: individuals that come first.
        born: called with every new candidate.
    """

    def __init__(
        self,
        toolbox: base.Toolbox,
        evaluator: FitnessFunction,
        rng: random.Random,
        rejected: Counter[str],
        crossover: float,
        mutation: float,
        initial: Sequence[Evolved] = (),
        born: Born | None = None,
    ) -> None:
        self.toolbox = toolbox
        self.bloat: Bloat = getattr(toolbox, "bloat", None) or Bloat("none")
        self.population: list[Any] = []
        self._evaluator = evaluator
        self._rng = rng
        self._rejected = rejected
        self._crossover = crossover
        self._mutation = mutation
        self._initial = list(reversed(initial))
        self._born = born
        self._origin: tuple[str, Sequence[Evolved]] = RANDOM, ()
        self._tried: set[str] = set()
        self._reasons: dict[str, str | None] = {}  # simplified text -> why it is not worth an evaluation
        self._signatures: set[str] = set()

    def brood(self, number: int) -> list[Evolved]:
        """Return up to ``number`` new candidates; fewer, or none, if no more can be found."""
        children: list[Evolved] = []
        while len(children) < number and (child := self.child()) is not None:
            children.append(child)
        return children

    def child(self, random_only: bool = False) -> Evolved | None:
        """Return a candidate that was never tried and that no screen rejects, or None if none can be found.

        Those of ``initial`` come first; then children of the population, or, while there is none, random ones. Where
        no new child is found a random one takes its place.
        """
        child = self._new(self._given) if self._initial else None
        if child is None and self.population and not random_only:
            child = self._new(self.breed)
        if child is None:
            self._origin = RANDOM, ()
            child = self._new(self.toolbox.individual)
        if child is not None and self._born is not None:
            self._born(child, *self._origin)
        return child

    def admit(self, children: Sequence[Evolved]) -> list[Evolved]:
        """Return the children that may enter the population now that their fitness is known; -inf is that of none."""
        accepted = [child for child in children if self.bloat.accepts(child, value(child))]
        return [child for child in accepted if math.isfinite(value(child))]

    def receive(self, migrants: Sequence[Evolved]) -> None:
        """Put individuals from elsewhere into the places of the worst; those that are here already stay away."""
        here = {individual.canonical for individual in self.population}
        new = [copy.deepcopy(migrant) for migrant in migrants if migrant.canonical not in here]
        for migrant in new:
            self._reason(migrant)
        self.population = [*self.bloat.survivors(self.population, len(self.population) - len(new)), *new]

    def breed(self) -> Evolved:
        """Return one child of two selected parents."""
        if isinstance(self.bloat.selector, Pareto):  # whose select, for DEAP, is who lives on
            parents = self.bloat.select(self.population, 2, self._rng)
        else:
            parents = self.toolbox.select(self.population, 2)
        first, second = map(self.toolbox.clone, parents)
        mated = self._rng.random() < self._crossover
        kind = type(first.fitness)
        child: Evolved = self.toolbox.mate(first, second)[0] if mated else first
        mutated = not mated or self._rng.random() < self._mutation
        if mutated:
            child = only_child(self.toolbox.mutate(child), self.toolbox.mutate)
        self._origin = (BOTH if mutated else CROSSOVER, parents) if mated else (MUTATION, parents[:1])
        child.fitness = kind()
        return child

    def _new(self, make: Callable[[], Evolved]) -> Evolved | None:
        for _ in range(ATTEMPTS):
            child = make()
            if child.canonical in self._tried:
                continue
            if make != self._given and not self.bloat.judges(child, self._rng):
                self._rejected[TOO_LARGE] += 1
                continue
            reason = self._reason(child)
            if reason is None:
                return child
            self._rejected[reason] += 1
        return None

    def _reason(self, child: Evolved) -> str | None:
        """Return why a child is not worth an evaluation; now it was tried."""
        text, key = child.canonical, _key(child)
        reason: str | None
        if key in self._reasons:  # cheaper than to look at its behaviour
            reason = self._reasons[key] or SAME
        else:
            behaviour = self._evaluator.behaviour(child)
            is_known = behaviour.signature in self._signatures
            reason = self._reasons[key] = behaviour.failure or (SAME if is_known else None)
            if reason is None:
                self._signatures.add(behaviour.signature)
        self._tried.add(text)
        return reason

    def _given(self) -> Evolved:
        """Return the next of the individuals that the search begins with, and a random one after the last."""
        self._origin = GIVEN if self._initial else RANDOM, ()
        made: Evolved = self._initial.pop() if self._initial else self.toolbox.individual()
        return made


def _key(individual: Evolved) -> str:
    """Return the canonical text of the simplified tree: a shorter way to write a function is no new function."""
    return simplify(individual).canonical
