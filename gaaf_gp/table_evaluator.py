"""Gives searches their fitness from a table of functions, in place of training: DEAP's algorithms and ours alike."""

from __future__ import annotations

from collections.abc import Sequence

from deap import gp

from gaaf_gp.behaviour import Behaviour
from gaaf_gp.candidates import TwoTrees
from gaaf_gp.errors import GaafError, listed
from gaaf_gp.fitness import OnRecord, Record
from gaaf_gp.function_table import Entry, FunctionTable
from gaaf_gp.individual import Individual
from gaaf_gp.proxy import WORST_ACCURACY, Outcome
from gaaf_gp.pset import PrimitiveSet


class TableEvaluator:
    """Evaluates individuals by looking them up; ``evaluator(individual)`` returns DEAP's fitness tuple.

    It is a :class:`~gaaf_gp.judges.Judge`, so it stands wherever an :class:`~gaaf_gp.Evaluator` does. A search sees
    what it would see in real life, the accuracy of one training: one seed of the table, the same for all candidates.
    What was found is judged by :meth:`FunctionTable.value`, the mean over all seeds.

    Args:
        table: see :func:`gaaf_gp.load_table`.
        pset: the set that stock trees are made of.
        seed: whose accuracy is the fitness; the first of the table by default.

    Attributes:
        records: canonical text -> record, in the order in which candidates were first given. Outcomes have no history;
            curves are in the table.

    Raises:
        GaafError: for a seed that not every entry was trained on.
    """

    def __init__(self, table: FunctionTable, pset: PrimitiveSet, seed: int | None = None) -> None:
        if seed is not None and seed not in table.seeds:
            raise GaafError(
                f"seed must be one that every function of the table was trained on, {listed(table.seeds)}; got {seed!r}"
            )
        self.table = table
        self.pset = pset.check()
        self.seed = table.seeds[0] if seed is None else seed
        self.records: dict[str, Record] = {}
        self._first: dict[str, str] = {}  # signature -> the text that was given first

    def __call__(self, individual: gp.PrimitiveTree) -> tuple[float]:
        """Return ``(fitness,)`` of one individual; stock trees made of the set's nodes are welcome too.

        Raises:
            GaafError: if the tree is not in the space of the table.
        """
        return (self.evaluate([individual])[0].fitness,)

    def evaluate(self, individuals: Sequence[gp.PrimitiveTree], on_record: OnRecord | None = None) -> list[Record]:
        """Return a record for each individual, as :meth:`gaaf_gp.Evaluator.evaluate` would.

        Raises:
            GaafError: if a tree is not in the space of the table.
        """
        found = []
        for text in map(self._text, individuals):
            if text not in self.records:
                self.records[text] = self._judged(text)
                if on_record is not None:
                    on_record(self.records[text])
            found.append(self.records[text])
        return found

    def behaviour(self, individual: gp.PrimitiveTree) -> Behaviour:
        """Return how f behaves, from the table.

        Raises:
            GaafError: if the tree is not in the space of the table.
        """
        return self.table.behaviour(self._text(individual))

    def _judged(self, text: str) -> Record:
        known, entry = self.table.behaviour(text), self.table.entry(text)
        if entry is None:
            return Record(text, WORST_ACCURACY, (), known.failure, fidelity=0.0)
        first = self._first.setdefault(known.signature, text)
        outcome = self._outcome(entry)
        return Record(text, outcome.accuracy, (outcome,), outcome.failure, same_as=None if first == text else first)

    def _outcome(self, entry: Entry) -> Outcome:
        accuracy = entry.accuracy[self.seed]
        failure = entry.failure if accuracy == WORST_ACCURACY else None
        return Outcome(self.seed, accuracy, (), entry.seconds / len(entry.accuracy), failure)

    def _text(self, tree: gp.PrimitiveTree) -> str:
        known = tree if isinstance(tree, Individual | TwoTrees) else Individual(tree, self.pset)
        return known.canonical
