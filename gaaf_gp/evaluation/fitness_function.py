"""What gives a search its fitness: an :class:`~gaaf_gp.Evaluator`, a table, or any function of an individual.

- an :class:`~gaaf_gp.Evaluator` trains: ``evolve(pset, Evaluator(proxy, pset))``
- a :class:`~gaaf_gp.TableEvaluator` looks trainings up, so that a search is tried out in seconds
- a plain function measures whatever its author likes: ``evolve(pset, lambda tree: -len(tree))``
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

from deap import gp

from gaaf_gp.activations.behaviour import Behaviour, behaviour
from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation.records import OnRecord, Record
from gaaf_gp.trees.candidate import TwoTrees
from gaaf_gp.trees.individual import Individual
from gaaf_gp.trees.pset import PrimitiveSet

NOT_FINITE = "fitness not finite"

Measure = Callable[[Any], float | tuple[float, ...]]
"""Returns the fitness of an Individual, or of TwoTrees where a search breeds those; higher is better.

DEAP's tuple counts by its first value.
"""


@runtime_checkable
class FitnessFunction(Protocol):
    """What a search needs of whatever gives it fitness: the contract.

    **Identity.** The canonical text of a candidate is its identity. A text is evaluated once; asked for again, its
    record comes from ``records``. Extra seeds and races may replace a record later, never take it away.

    **Order.** ``records`` has its texts in the order in which they were first given, whatever the number of workers,
    and :meth:`evaluate` returns records in the order of its arguments. ``on_record`` may be called in another order.

    **Failures.** A candidate that cannot be evaluated raises nothing: its record has a ``failure``, and the worst value
    as fitness. What is raised ends the search: a ``GaafError`` for what the user must put right, and whatever a user's
    own function raises. After ``KeyboardInterrupt`` the object is still usable, and what was evaluated until then is in
    ``records``.

    **Threads.** All methods are called from one thread, that of the search, and so is ``on_record``. An implementation
    may use threads and processes of its own, and needs no locks for its callers.

    Two more methods are used where an implementation has them: ``stream``, as :meth:`gaaf_gp.Evaluator.stream`, and
    ``recalled``, as :meth:`gaaf_gp.Evaluator.recalled`; an attribute ``register`` may be told of births.

    Attributes:
        records: canonical text -> record; the search reads it and never writes to it.
    """

    records: dict[str, Record]

    def __call__(self, individual: gp.PrimitiveTree) -> tuple[float]:
        """Return DEAP's fitness tuple of one individual, ``(record.fitness,)``; higher is better."""

    def evaluate(self, individuals: Sequence[gp.PrimitiveTree], on_record: OnRecord | None = None) -> list[Record]:
        """Return a record for each individual.

        Args:
            individuals: any number, duplicates allowed.
            on_record: called once for each text that was not in ``records``, as soon as it is there.
        """

    def behaviour(self, individual: gp.PrimitiveTree) -> Behaviour:
        """Return how f behaves: its signature, and why training would be wasted, if it would be.

        It is cheap beside an evaluation, the same for the same text, and needs none.
        """


class PlainFitness:
    """Fitness by a plain function, which is called once for each canonical text.

    A fitness that is not finite is a failure and counts as -inf, since a measure may be negative; an error that the
    function raises is the caller's and ends the search.

    Args:
        function: see ``Measure``.
        pset: the set that individuals come from.

    Attributes:
        records: canonical text -> record, in the order in which candidates were first given.
    """

    def __init__(self, function: Measure, pset: PrimitiveSet) -> None:
        self.function = function
        self.pset = pset.check_activations()
        self.records: dict[str, Record] = {}
        self._behaviours: dict[str, Behaviour] = {}

    def __call__(self, individual: gp.PrimitiveTree) -> tuple[float]:
        """Return ``(fitness,)`` of one individual."""
        return (self.evaluate([individual])[0].fitness,)

    def evaluate(self, individuals: Sequence[gp.PrimitiveTree], on_record: OnRecord | None = None) -> list[Record]:
        """Return a record for each individual, asking the function about those that are new."""
        records = []
        for individual in map(self._individual, individuals):
            text = individual.canonical
            if text not in self.records:
                self.records[text] = self._record(text, individual)
                if on_record is not None:
                    on_record(self.records[text])
            records.append(self.records[text])
        return records

    def behaviour(self, individual: gp.PrimitiveTree) -> Behaviour:
        """Return how f behaves with the paper's surrogate gradient; computed once for each canonical text."""
        read_individual = self._individual(individual)
        if read_individual.canonical not in self._behaviours:
            self._behaviours[read_individual.canonical] = behaviour(read_individual)
        return self._behaviours[read_individual.canonical]

    def _record(self, text: str, individual: Individual | TwoTrees) -> Record:
        value = self.function(individual)
        return self.record(text, float(value[0] if isinstance(value, tuple) else value))

    @staticmethod
    def record(text: str, number: float) -> Record:
        """Return the record of a candidate of this fitness, which may be none."""
        if not math.isfinite(number):
            return Record(text, -math.inf, (), NOT_FINITE)
        return Record(text, number, (), None)

    def _individual(self, tree: gp.PrimitiveTree | TwoTrees) -> Individual | TwoTrees:
        return tree if isinstance(tree, Individual | TwoTrees) else Individual(tree, self.pset)


def as_fitness_function(evaluate: FitnessFunction | Measure, pset: PrimitiveSet) -> FitnessFunction:
    """Return ``evaluate`` if it is a fitness function, such as an Evaluator, and one that calls it if it is a function.

    Raises:
        GaafError: for anything else.
    """
    if isinstance(evaluate, FitnessFunction):
        return evaluate
    if not callable(evaluate):
        raise GaafError(
            f"evaluate must be an Evaluator or a function of an individual, got {type(evaluate).__name__}: pass "
            "gaaf_gp.Evaluator(proxy, pset), or a function that returns a number"
        )
    return PlainFitness(evaluate, pset)


def recalled(fitness_function: FitnessFunction, record: Record) -> bool:
    """Return whether nothing was trained for a record, because an archive had it."""
    asked: Callable[[Record], bool] | None = getattr(fitness_function, "recalled", None)
    return asked is not None and asked(record)


def streamed(
    fitness_function: FitnessFunction, candidates: Iterator[Any], on_record: OnRecord, ahead: int, in_order: bool
) -> Generator[Record]:
    """Yield a record for each candidate, as :meth:`gaaf_gp.Evaluator.stream` does, whatever evaluates them.

    A fitness function that has no ``stream`` is asked for one candidate at a time; the next ones are drawn as early as
    elsewhere, so that a search is the same.
    """
    if hasattr(fitness_function, "stream"):
        yield from fitness_function.stream(candidates, on_record, ahead=ahead, in_order=in_order)
        return
    waiting: deque[Any] = deque()
    while True:
        while len(waiting) < ahead and (candidate := next(candidates, None)) is not None:
            waiting.append(candidate)
        if not waiting:
            return
        yield fitness_function.evaluate([waiting.popleft()], on_record)[0]
