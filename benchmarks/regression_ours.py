"""One regression by this project, with one choice of controls, to a fixed budget: in DEAP's own loop, or in ours.

DEAP's loop is ``eaSimple``, for Pareto selection ``eaMuPlusLambda``, where crossover and mutation exclude each other.
There an evaluation is a fitness that the loop asks for, remembered or not; a child that a control throws away costs
none. ``evolve()`` has an elite, and asks only about trees that are new. There an evaluation is a tree whose outputs are
computed, be it to find that it behaves as an earlier one.

The fitness is Koza's adjusted one, 1 / (1 + error), which is bounded.
"""

from __future__ import annotations

import contextlib
import random
import statistics
import time
from collections.abc import Sequence
from typing import Any

from deap import algorithms, base, gp, tools

from benchmarks.regression import TARGETS, Target, Watch, make_pset, outputs, rmse, signature
from gaaf_gp import Individual, Limits, evolve, make_toolbox, parse
from gaaf_gp.activations import Behaviour
from gaaf_gp.evaluation import PlainFitness, Record
from gaaf_gp.evaluation.fitness_function import OnRecord
from gaaf_gp.search import SearchResult
from gaaf_gp.search.bloat import BloatLike, Pareto
from gaaf_gp.util.devices import threads
from gaaf_gp.util.randomness import as_global

HEIGHTS = (2, 6)
"""Of new trees: Koza's ramped half-and-half, gplearn's default too."""
CROSSOVER, MUTATION = 0.6, 0.6
"""The rates of ``evolve()``."""


class Spent(Exception):  # noqa: N818 (no error: the budget is used up)
    """Ends a loop, which may not know of the budget."""


class TargetFitness(PlainFitness):
    """The error of trees on a target, which ends the run once the budget is spent; for DEAP's loops.

    Args:
        target: what is searched.
        budget: evaluations.

    Attributes:
        watch: what was evaluated.
        best: text of the tree with the least error.
    """

    def __init__(self, target: Target, budget: int) -> None:
        super().__init__(self._fitness, make_pset())
        self.watch = Watch(target)
        self.budget = budget
        self.best = ""
        self._signature = ""

    def __call__(self, individual: gp.PrimitiveTree) -> tuple[float]:
        """Return the fitness of an individual that was evaluated, which is not asked for again."""
        return (self.records[individual.canonical].fitness,)

    def evaluate(self, individuals: Sequence[gp.PrimitiveTree], on_record: OnRecord | None = None) -> list[Record]:
        """Return a record for each individual; each of them is one evaluation.

        Raises:
            Spent: the budget does not allow all of them.
        """
        found = []
        for individual in individuals:
            if self.watch.asked >= self.budget:
                raise Spent
            self.watch.asked += 1
            found += super().evaluate([individual], on_record)
        return found

    def _fitness(self, tree: Individual) -> float:
        least, values = self.watch.least, outputs(tree, self.watch.target.train)
        error = self.watch.error(values)
        if self.watch.least < least:
            self.best = str(tree)
        self._signature = signature(values)
        return 1 / (1 + error)


class Looking(TargetFitness):
    """The same for ``evolve()``: it looks at each tree first, which is what costs an evaluation."""

    def evaluate(self, individuals: Sequence[gp.PrimitiveTree], on_record: OnRecord | None = None) -> list[Record]:
        """Return the record of each individual, all of which were looked at."""
        found = [self.records[individual.canonical] for individual in individuals]
        for record in found:
            if on_record is not None:
                on_record(record)
        return found

    def behaviour(self, individual: gp.PrimitiveTree) -> Behaviour:
        """Return how a tree behaves on the training points.

        Raises:
            Spent: the tree is new, and there is no evaluation left.
        """
        text = individual.canonical
        if text not in self._behaviours:
            (record,) = super().evaluate([individual])
            self._behaviours[text] = Behaviour(self._signature, 1, record.failure)
        return self._behaviours[text]


def run(
    name: str,
    bloat: BloatLike,
    limits: Limits,
    seed: int,
    *,
    evaluations: int = 5000,
    population: int = 200,
    ours: bool = False,
) -> dict[str, Any]:
    """Search a target and return what came of it, fit for JSON.

    Args:
        name: of the target.
        bloat: the controls.
        limits: static limits of height and size.
        seed: of all choices.
        evaluations: the budget, which is always spent.
        population: individuals of a generation.
        ours: whether it runs in ``evolve()``.

    Returns:
        ``error`` on the training points and ``test_error`` of the best tree that was evaluated, its ``text`` and
        ``size``; ``evaluations``; ``behaviours``, how many different ones; ``course``, for each generation the
        evaluations until then and the mean size; ``mean_size``, over all generations; ``seconds`` of processor time.
    """
    target = TARGETS[name]
    fitness = (Looking if ours else TargetFitness)(target, evaluations)
    course: list[tuple[int, float]] = []

    def watched(sizes: Sequence[float]) -> float:
        course.append((fitness.watch.asked, statistics.fmean(sizes)))
        return course[-1][1]

    started = time.process_time()
    with threads(1), as_global(random.Random(seed)), contextlib.suppress(Spent):
        rng = random.Random(seed)
        toolbox = make_toolbox(make_pset(), fitness, rng=rng, limits=limits, heights=HEIGHTS, bloat=bloat)
        (_evolved if ours else _stock)(toolbox, fitness, population, seed, watched)
    seconds = time.process_time() - started
    best = parse(fitness.best, make_pset())
    return {
        "error": fitness.watch.least,
        "test_error": rmse(outputs(best, target.test), target.values(target.test)),
        "text": fitness.best,
        "size": len(best),
        "evaluations": fitness.watch.asked,
        "behaviours": len(fitness.watch.behaviours),
        "mean_size": statistics.fmean(size for _, size in course),
        "course": course,
        "seconds": seconds,
    }


def _stock(toolbox: base.Toolbox, fitness: TargetFitness, population: int, _seed: int, watched: Any) -> None:
    """Run DEAP's loop until the budget ends it; generations without an evaluation are rare, so that many are enough."""
    sizes = tools.Statistics(len)
    sizes.register("mean", watched)
    first = toolbox.population(population)
    if isinstance(toolbox.bloat.selector, Pareto):
        rates = CROSSOVER, 1 - CROSSOVER
        algorithms.eaMuPlusLambda(first, toolbox, population, population, *rates, fitness.budget, sizes, verbose=False)
    else:
        algorithms.eaSimple(first, toolbox, CROSSOVER, MUTATION, fitness.budget, sizes, verbose=False)


def _evolved(toolbox: base.Toolbox, fitness: TargetFitness, population: int, seed: int, watched: Any) -> None:
    """Run our loop until the budget ends it."""

    def generation(found: SearchResult) -> None:
        watched([len(one) for one in found.population])

    evolve(
        make_pset(),
        fitness,
        evaluations=fitness.budget,
        population_size=population,
        crossover=CROSSOVER,
        mutation=MUTATION,
        seed=seed,
        toolbox=toolbox,
        on_generation=generation,
    )
