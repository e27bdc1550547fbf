"""What gives a search its fitness: an :class:`~gaaf_gp.Evaluator`, a table, or any function of an individual.

A :class:`~gaaf_gp.TableEvaluator` looks trainings up, so that a search is tried out in seconds; a function may be
anybody's own measure.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

from deap import gp

from gaaf_gp.activations.behaviour import Behaviour, behaviour
from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation.records import Record
from gaaf_gp.trees.candidate import TwoTrees
from gaaf_gp.trees.individual import Individual
from gaaf_gp.trees.pset import PrimitiveSet

NOT_FINITE = "fitness not finite"

OnRecord = Callable[[Record], None]
Measure = Callable[[Any], float | tuple[float, ...]]
"""Returns the fitness of an Individual, or of TwoTrees where a search breeds those; higher is better.

DEAP's tuple counts by its first value.
"""


@runtime_checkable
class Judge(Protocol):
    """What a search needs to know of an :class:`~gaaf_gp.Evaluator`; its methods are described there."""

    records: dict[str, Record]

    def __call__(self, individual: gp.PrimitiveTree) -> tuple[float]:
        """Return DEAP's fitness tuple of one individual."""

    def evaluate(self, individuals: Sequence[gp.PrimitiveTree], on_record: OnRecord | None = None) -> list[Record]:
        """Return a record for each individual."""

    def behaviour(self, individual: gp.PrimitiveTree) -> Behaviour:
        """Return how f behaves."""


class FunctionJudge:
    """Judges individuals by a function, each canonical text once.

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
        self.pset = pset.check()
        self.records: dict[str, Record] = {}
        self._behaviours: dict[str, Behaviour] = {}

    def __call__(self, individual: gp.PrimitiveTree) -> tuple[float]:
        """Return ``(fitness,)`` of one individual."""
        return (self.evaluate([individual])[0].fitness,)

    def evaluate(self, individuals: Sequence[gp.PrimitiveTree], on_record: OnRecord | None = None) -> list[Record]:
        """Return a record for each individual, asking the function about those that are new."""
        found = []
        for individual in map(self._individual, individuals):
            text = individual.canonical
            if text not in self.records:
                self.records[text] = self._judged(text, individual)
                if on_record is not None:
                    on_record(self.records[text])
            found.append(self.records[text])
        return found

    def behaviour(self, individual: gp.PrimitiveTree) -> Behaviour:
        """Return how f behaves with the paper's surrogate gradient; computed once for each canonical text."""
        known = self._individual(individual)
        if known.canonical not in self._behaviours:
            self._behaviours[known.canonical] = behaviour(known)
        return self._behaviours[known.canonical]

    def _judged(self, text: str, individual: Individual | TwoTrees) -> Record:
        value = self.function(individual)
        number = float(value[0] if isinstance(value, tuple) else value)
        if not math.isfinite(number):
            return Record(text, -math.inf, (), NOT_FINITE)
        return Record(text, number, (), None)

    def _individual(self, tree: gp.PrimitiveTree | TwoTrees) -> Individual | TwoTrees:
        return tree if isinstance(tree, Individual | TwoTrees) else Individual(tree, self.pset)


def as_judge(evaluate: Judge | Measure, pset: PrimitiveSet) -> Judge:
    """Return ``evaluate`` if it is a judge, such as an Evaluator, and one that asks it if it is a function.

    Raises:
        GaafError: for anything else.
    """
    if isinstance(evaluate, Judge):
        return evaluate
    if not callable(evaluate):
        raise GaafError(
            f"evaluate must be an Evaluator or a function of an individual, got {type(evaluate).__name__}: pass "
            "gaaf_gp.Evaluator(proxy, pset), or a function that returns a number"
        )
    return FunctionJudge(evaluate, pset)


def recalled(judge: Judge, record: Record) -> bool:
    """Return whether nothing was trained for a record, because an archive had it."""
    asked: Callable[[Record], bool] | None = getattr(judge, "recalled", None)
    return asked is not None and asked(record)


def streamed(
    judge: Judge, candidates: Iterator[Any], on_record: OnRecord, ahead: int, in_order: bool
) -> Generator[Record]:
    """Yield a record for each candidate, as :meth:`gaaf_gp.Evaluator.stream` does, whoever judges.

    One that has no ``stream`` is asked for one candidate at a time; the next ones are drawn as early as elsewhere, so
    that a search is the same.
    """
    if hasattr(judge, "stream"):
        yield from judge.stream(candidates, on_record, ahead=ahead, in_order=in_order)
        return
    waiting: deque[Any] = deque()
    while True:
        while len(waiting) < ahead and (candidate := next(candidates, None)) is not None:
            waiting.append(candidate)
        if not waiting:
            return
        yield judge.evaluate([waiting.popleft()], on_record)[0]
