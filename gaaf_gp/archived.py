"""An evaluator that asks an archive before it trains, and writes every training down as it arrives.

How a training goes depends on its task, its seed and what the candidate does, and not on who asks. So any number of
runs may share one archive, and a run that is started again does what it did, and comes to the place where it was,
untrained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from deap import gp

from gaaf_gp.archive import Archive, Evaluation
from gaaf_gp.archived_trainings import ArchivedTrainings
from gaaf_gp.behaviour import Behaviour
from gaaf_gp.candidates import Baseline, Candidate, TwoTrees
from gaaf_gp.errors import GaafError
from gaaf_gp.fitness import Evaluator, OnRecord, Record
from gaaf_gp.individual import Individual
from gaaf_gp.proxy import Outcome
from gaaf_gp.records import judged


class ArchivedEvaluator:
    """Asks an Evaluator for the trainings that an archive lacks, and writes them down; a judge for any search.

    Args:
        evaluator: trains, without racing and extra seeds, which would make a fitness depend on the search.
        archive: open for writing.
        run: the key of the run that asks.
        notes: what else outcomes depend on, fit for JSON.

    Attributes:
        records: canonical text -> record.
        trainings: what the archive is asked by.
        trained: number of trainings that were made, not read.

    Raises:
        GaafError: the evaluator has races or extra seeds, there is no such run, or the archive cannot be written.
    """

    def __init__(
        self, evaluator: Evaluator, archive: Archive, run: str, *, notes: Mapping[str, Any] | None = None
    ) -> None:
        if evaluator.racing is not None or evaluator.extra:
            raise GaafError(
                "an evaluator behind an archive must train all candidates alike, got one with racing or extra seeds: "
                "leave out racing and extra_seeds"
            )
        self.evaluator = evaluator
        self.records: dict[str, Record] = {}
        self.trained = 0
        self.trainings = ArchivedTrainings(
            archive, evaluator.proxy, evaluator.pset, run, at_once=evaluator.at_once, notes=notes
        )

    def __call__(self, individual: gp.PrimitiveTree | Candidate) -> tuple[float]:
        """Return ``(fitness,)`` of one individual."""
        return (self.evaluate([individual])[0].fitness,)

    def evaluate(
        self, individuals: Sequence[gp.PrimitiveTree | Candidate], on_record: OnRecord | None = None
    ) -> list[Record]:
        """Return a record for each individual, as :meth:`gaaf_gp.Evaluator.evaluate` does; each training is kept."""
        trees = [self._candidate(tree) for tree in individuals]
        new = {tree.canonical: tree for tree in trees if tree.canonical not in self.records}
        missing: dict[str, tuple[Candidate, list[int]]] = {}
        for tree in new.values():
            found = self.behaviour(tree)
            if found.failure is None and found.signature not in missing:
                lacking = [seed for seed in self.evaluator.seeds if self._find(tree, seed) is None]
                if lacking:
                    missing[found.signature] = tree, lacking

        def arrived(record: Record) -> None:
            self._keep(new[record.text], record.outcomes)
            self._answer(new[record.text], on_record)

        every = list(self.evaluator.seeds)
        self.evaluator.evaluate([tree for tree, lacking in missing.values() if lacking == every], arrived)
        for tree, lacking in missing.values():
            if lacking != every:
                self._keep(tree, self.evaluator.train([tree], lacking)[0])
        for text, tree in new.items():
            if text not in self.records:
                self._answer(tree, on_record)
        return [self.records[tree.canonical] for tree in trees]

    def behaviour(self, individual: gp.PrimitiveTree | Candidate) -> Behaviour:
        """Return how a candidate behaves in the proxy's network."""
        return self.evaluator.behaviour(individual)

    def _keep(self, tree: Candidate, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            self.trainings.keep(tree.canonical, self.behaviour(tree).signature, None, outcome)
        self.trained += len(outcomes)

    def _find(self, tree: Candidate, seed: int, noted: bool = False) -> Evaluation | None:
        return self.trainings.find(tree.canonical, self.behaviour(tree).signature, seed, None, noted=noted)

    def _answer(self, tree: Candidate, on_record: OnRecord | None) -> None:
        text, failure = tree.canonical, self.behaviour(tree).failure
        if failure is not None:
            record = self.evaluator.evaluate([tree])[0]  # rejected without training
            self.trainings.reject(text, failure)
        else:
            record = self._judged(tree)
        self.records[text] = record
        if on_record is not None:
            on_record(record)

    def _judged(self, tree: Candidate) -> Record:
        text, epochs = tree.canonical, self.evaluator.proxy.epochs
        found = [one for seed in self.evaluator.seeds if (one := self._find(tree, seed, noted=True)) is not None]
        record = judged(text, [one.outcome(epochs) for one in found], epochs)
        other = next((one.text for one in found if one.text != text), None)
        return record if other is None else replace(record, same_as=other)

    def _candidate(self, tree: gp.PrimitiveTree | Candidate) -> Candidate:
        return tree if isinstance(tree, Individual | TwoTrees | Baseline) else Individual(tree, self.evaluator.pset)
