"""Search algorithms at one budget: the best so far against evaluations, and how soon what is good was found.

An evaluation is a fitness that an algorithm asks for. What it asks for again counts again, though it is remembered;
what an algorithm rejects by itself, because it knows the text or the behaviour, costs nothing.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from deap import gp

from gaaf_gp.activations.behaviour import Behaviour
from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation.fitness_function import FitnessFunction
from gaaf_gp.evaluation.records import OnRecord, Record

Value = Callable[[str], float | None]
"""From the canonical text of what was chosen to what it is worth; None where that is not known."""


@dataclass(frozen=True)
class Asked:
    """One evaluation: canonical text and signature of a candidate, and the fitness that the search was told."""

    text: str
    signature: str
    fitness: float


class Watched:
    """A fitness function that notes in order what a search asks another one.

    Attributes:
        records: those of the other one.
        asked: every evaluation until now.
    """

    def __init__(self, fitness_function: FitnessFunction) -> None:
        self.fitness_function = fitness_function
        self.records = fitness_function.records
        self.asked: list[Asked] = []

    def __call__(self, individual: gp.PrimitiveTree) -> tuple[float]:
        """Return ``(fitness,)`` of one individual."""
        return (self.evaluate([individual])[0].fitness,)

    def evaluate(self, individuals: Sequence[gp.PrimitiveTree], on_record: OnRecord | None = None) -> list[Record]:
        """Return a record for each individual."""
        records = self.fitness_function.evaluate(individuals, on_record)
        for individual, record in zip(individuals, records, strict=True):
            self.asked.append(Asked(record.text, self.fitness_function.behaviour(individual).signature, record.fitness))
        return records

    def behaviour(self, individual: gp.PrimitiveTree) -> Behaviour:
        """Return how f behaves."""
        return self.fitness_function.behaviour(individual)


def best_so_far(run: Sequence[Asked], evaluations: int) -> list[Asked]:
    """Return what was the best after 1, 2, ... ``evaluations`` evaluations.

    The first of equals stays the best, and a run that ended early keeps its best to the end.

    Raises:
        GaafError: for a run without evaluations.
    """
    if not run:
        raise GaafError("a run must have an evaluation to have a best one, got none: give the search a larger budget")
    best = run[0]
    curve = []
    for place in range(evaluations):
        if place < len(run) and run[place].fitness > best.fitness:
            best = run[place]
        curve.append(best)
    return curve


@dataclass(frozen=True)
class Reach:
    """How many evaluations runs needed to meet a good function.

    Attributes:
        runs: number of runs.
        reached: how many of them met one.
        median: median of the evaluations needed, a run that met none counting as infinity; None if that is the median.
    """

    runs: int
    reached: int
    median: float | None


def reach(runs: Sequence[Sequence[Asked]], good: Collection[str]) -> Reach:
    """Return when runs first evaluated a function whose signature is in ``good``.

    Raises:
        GaafError: without a run.
    """
    if not runs:
        raise GaafError("a comparison needs at least one run, got none")
    places = [next((place for place, asked in enumerate(run, 1) if asked.signature in good), math.inf) for run in runs]
    median = statistics.median(places)
    return Reach(len(runs), sum(map(math.isfinite, places)), median if math.isfinite(median) else None)


def best_share(runs: Sequence[Sequence[Asked]], share: float = 0.01) -> set[str]:
    """Return the signatures of the best share, by fitness, of all functions that any run evaluated; at least one."""
    fitness = {asked.signature: asked.fitness for run in runs for asked in run}
    ranked = sorted(fitness, key=lambda signature: (-fitness[signature], signature))
    return set(ranked[: max(1, math.ceil(share * len(ranked) - 1e-9))])


def summary(
    runs: Sequence[Sequence[Asked]],
    milestones: Sequence[int],
    good: Mapping[str, Collection[str]],
    values: Mapping[str, Value],
) -> dict[str, Any]:
    """Return the figures of one search, fit for JSON.

    Args:
        runs: its runs, at least one.
        milestones: numbers of evaluations, rising.
        good: name -> signatures of good functions, for :func:`reach`.
        values: name -> what a function is worth, as measured where its luck in the search does not help it.

    Returns:
        ``runs``, their number; ``after``: milestone -> medians over the runs of ``best``, the fitness of the best so
        far, and of what it is worth by each of ``values``, None where not all are known; ``reach``: name -> figures.
    """
    curves = [best_so_far(run, max(milestones)) for run in runs]
    after = {}
    for milestone in milestones:
        chosen = [curve[milestone - 1] for curve in curves]
        worth = {name: _median([value(asked.text) for asked in chosen]) for name, value in values.items()}
        after[str(milestone)] = {"best": statistics.median(asked.fitness for asked in chosen), **worth}
    return {
        "runs": len(runs),
        "after": after,
        "reach": {name: asdict(reach(runs, signatures)) for name, signatures in good.items()},
    }


def _median(values: Sequence[float | None]) -> float | None:
    numbers = [value for value in values if value is not None]
    return statistics.median(numbers) if len(numbers) == len(values) else None
