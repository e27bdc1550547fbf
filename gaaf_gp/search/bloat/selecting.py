"""Controls that choose parents: by fitness alone, by fitness and then size, by both in one number, or by Pareto."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from deap import tools

from gaaf_gp.errors import GaafError
from gaaf_gp.search.bloat.control import Control, fittest, value
from gaaf_gp.search.bloat.objectives import Objective, fitness_of
from gaaf_gp.search.bloat.sizes import size_measure
from gaaf_gp.trees.candidate import Evolved
from gaaf_gp.trees.individual import Fitness
from gaaf_gp.util.checks import number, whole_fields

TOURNAMENT = 4
"""Individuals that a tournament compares."""
PARSIMONY = 1.2
"""In the size tournament of a double tournament the smaller of two wins with probability PARSIMONY / 2."""


@dataclass
class Tournament(Control):
    """Selection by fitness alone: no control of bloat.

    Attributes:
        tournsize: individuals that a tournament compares.
    """

    tournsize: int = TOURNAMENT
    selects: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        whole_fields(self, tournsize=1)

    def key(self, individual: Evolved) -> Any:
        """Return what the tournament makes as large as can be."""
        return value(individual)

    def select(self, population: Sequence[Any], k: int, rng: random.Random) -> list[Any]:
        """Return the winners of ``k`` tournaments."""
        return [fittest(population, self.tournsize, rng, self.key) for _ in range(k)]


@dataclass
class DoubleTournament(Tournament):
    """The smaller of two winners of fitness tournaments, more often than not.

    Source: Luke and Panait, Fighting bloat with nonparametric parsimony pressure, PPSN 2002. With nodes as the measure
    it is DEAP's ``selDoubleTournament``, fitness first, draw by draw.

    Attributes:
        parsimony: the smaller one wins with half this probability, 1 (no pressure) to 2.
    """

    parsimony: float = PARSIMONY

    def __post_init__(self) -> None:
        super().__post_init__()
        self.parsimony = number("parsimony", self.parsimony, 1, 2)

    def select(self, population: Sequence[Any], k: int, rng: random.Random) -> list[Any]:
        """Return the winners of ``k`` double tournaments."""
        return [self._one(population, rng) for _ in range(k)]

    def _one(self, population: Sequence[Any], rng: random.Random) -> Any:
        small, large = super().select(population, 2, rng)
        probability = self.parsimony / 2
        sizes = self.size(small), self.size(large)
        if sizes[0] > sizes[1]:
            small, large = large, small
        elif sizes[0] == sizes[1]:
            probability = 0.5
        return small if rng.random() < probability else large


@dataclass
class LinearParsimony(Tournament):
    """Tournaments over fitness minus a coefficient times size.

    Attributes:
        coefficient: fitness that one unit of size costs; "auto" for the covariance of size and fitness over the
            variance of size, anew for each population, which holds the mean size where it is (Poli and McPhee,
            Covariant parsimony pressure for genetic programming, 2008).
    """

    coefficient: float | str = "auto"
    now: float = field(default=0.0, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.coefficient, str):
            if self.coefficient != "auto":
                raise GaafError(f'coefficient must be a number or "auto", got {self.coefficient!r}')
        else:
            self.coefficient = number("coefficient", self.coefficient, 0)
            self.now = float(self.coefficient)

    def learn(self, population: Sequence[Evolved]) -> None:
        """Choose the coefficient of this population, if it is not fixed."""
        if self.coefficient != "auto":
            return
        known = [individual for individual in population if math.isfinite(value(individual))]
        sizes, values = [self.size(one) for one in known], [value(one) for one in known]
        spread = len(known) > 1 and statistics.pvariance(sizes) > 0
        self.now = statistics.covariance(sizes, values) / statistics.variance(sizes) if spread else 0.0

    def key(self, individual: Evolved) -> float:
        """Return fitness minus the price of the size."""
        return value(individual) - self.now * self.size(individual)


@dataclass
class Lexicographic(Tournament):
    """Tournaments by fitness, and by size where fitness is equal.

    Source: Luke and Panait, Lexicographic parsimony pressure, GECCO 2002.

    Attributes:
        tolerance: fitness is rounded to multiples of it first; 0 for not at all. Accuracies of noisy trainings are
            hardly ever equal: give about their noise.
    """

    tolerance: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.tolerance = number("tolerance", self.tolerance, 0)

    def key(self, individual: Evolved) -> tuple[float, float]:
        """Return fitness, then smallness."""
        fitness = value(individual)
        if self.tolerance and math.isfinite(fitness):
            fitness = round(fitness / self.tolerance)
        return fitness, -self.size(individual)


@dataclass
class Pareto(Control):
    """Accuracy against size, or against other objectives (NSGA-II, Deb et al. 2002).

    Under DEAP's algorithms ``select`` is ``selNSGA2``, which chooses who lives on. ``evolve`` lets half of the
    population live on at least, and draws parents by tournaments of two: of the better front, then of the emptier
    region.

    Attributes:
        objectives: those after accuracy; none for size in this control's measure.
    """

    objectives: tuple[Objective, ...] = ()
    selects: ClassVar[bool] = True
    _sorted: tuple[Any, ...] = field(default=(), repr=False, compare=False)
    _keys: dict[int, tuple[int, float]] = field(default_factory=dict, repr=False, compare=False)

    def select(self, population: Sequence[Any], k: int, rng: random.Random) -> list[Any]:
        """Return the winners of ``k`` crowded tournaments."""
        self._sort(population)
        return [fittest(population, 2, rng, lambda one: self._keys[id(one)]) for _ in range(k)]

    @property
    def fitness(self) -> type[Fitness]:  # type: ignore[override]
        """The class of fitness: with the weights of the objectives."""
        return fitness_of((1.0, *(one.weight for one in self.objectives or (Objective(self.size),))))

    def _sort(self, population: Sequence[Any]) -> None:
        """Rank a population by front and crowding; again only if it is another one, since every child asks."""
        now = tuple(
            (individual, individual.fitness.wvalues) for individual in population
        )  # holds them: no other can take an id
        if len(now) == len(self._sorted) and all(
            one is before and values == then for (one, values), (before, then) in zip(now, self._sorted, strict=True)
        ):
            return
        fronts = tools.sortNondominated(list(population), len(population))
        for front in fronts:
            tools.emo.assignCrowdingDist(front)
        self._sorted = now
        self._keys = {
            id(one): (-number, one.fitness.crowding_dist) for number, front in enumerate(fronts) for one in front
        }

    def survivors(self, population: Sequence[Any], k: int) -> list[Any]:
        """Return the best ``k`` by front, and in the last one by how empty their region is."""
        return list(tools.selNSGA2(list(population), k))

    def elite(self, elite: int, population_size: int) -> int:
        """Return half of the population, or ``elite`` if that is more."""
        return max(elite, population_size // 2)

    def values(self, individual: Evolved, accuracy: float) -> tuple[float, ...]:
        """Return accuracy and the other objectives, or size."""
        measures = [one.measure for one in self.objectives] or [size_measure(self.measure)]
        return (accuracy, *(float(measure(individual)) for measure in measures))
