"""An evaluator that never trains a function twice, whoever asks and however often the program is started anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from deap import gp

from gaaf_gp.activations.behaviour import Behaviour
from gaaf_gp.evaluation.evaluator import Evaluator
from gaaf_gp.evaluation.records import OnRecord, Record, judged
from gaaf_gp.training.outcome import Outcome
from gaaf_gp.trees.candidate import Baseline, Candidate, TwoTrees
from gaaf_gp.trees.individual import Individual
from gaaf_gp.util.jsonl import Journal


class JournaledEvaluator:
    """Asks an Evaluator for what a journal lacks, and writes every training down; a judge for any search.

    What a candidate is worth on given seeds does not depend on who asks. So several searches may share one file, and a
    search that was interrupted, started again, does what it did and comes to the place where it was, untrained.
    Candidates are known by their signature: one that behaves as another is not trained either.

    Args:
        evaluator: trains, without racing and extra seeds, which would make a fitness depend on the search.
        journal: one of these settings; its entries are used, and more are added.

    Attributes:
        records: canonical text -> record. Outcomes have no history, whether they come from the file or not.
        trained: number of candidates that were trained, not read.
    """

    def __init__(self, evaluator: Evaluator, journal: Journal) -> None:
        self.evaluator = evaluator
        self.journal = journal
        self.records: dict[str, Record] = {}
        self.trained = 0
        self._kept = {entry["signature"]: _record(entry) for entry in journal.entries}

    def __call__(self, individual: gp.PrimitiveTree | Candidate) -> tuple[float]:
        """Return ``(fitness,)`` of one individual."""
        return (self.evaluate([individual])[0].fitness,)

    def evaluate(
        self, individuals: Sequence[gp.PrimitiveTree | Candidate], on_record: OnRecord | None = None
    ) -> list[Record]:
        """Return a record for each individual, as :meth:`gaaf_gp.Evaluator.evaluate` does; each training is kept."""
        trees = [self._candidate(tree) for tree in individuals]
        new = {tree.canonical: tree for tree in trees if tree.canonical not in self.records}
        missing: dict[str, Candidate] = {}
        for tree in new.values():
            found = self.evaluator.behaviour(tree)
            if found.failure is None and found.signature not in self._kept:
                missing.setdefault(found.signature, tree)

        def arrived(record: Record) -> None:
            tree = new[record.text]
            signature = self.evaluator.behaviour(tree).signature
            self.journal.append(_entry(tree, signature, record))
            self._kept[signature] = _record(self.journal.entries[-1])
            self.trained += 1
            self._answer(tree, on_record)

        self.evaluator.evaluate(list(missing.values()), arrived)
        for text, tree in new.items():
            if text not in self.records:
                self._answer(tree, on_record)
        return [self.records[tree.canonical] for tree in trees]

    def behaviour(self, individual: gp.PrimitiveTree | Candidate) -> Behaviour:
        """Return how a candidate behaves in the proxy's network."""
        return self.evaluator.behaviour(individual)

    def _answer(self, tree: Candidate, on_record: OnRecord | None) -> None:
        text, found = tree.canonical, self.evaluator.behaviour(tree)
        if found.failure is not None:
            record = self.evaluator.evaluate([tree])[0]  # rejected without training
        else:
            kept = self._kept[found.signature]
            record = kept if kept.text == text else replace(kept, text=text, same_as=kept.text)
        self.records[text] = record
        if on_record is not None:
            on_record(record)

    def _candidate(self, tree: gp.PrimitiveTree | Candidate) -> Candidate:
        return tree if isinstance(tree, Individual | TwoTrees | Baseline) else Individual(tree, self.evaluator.pset)


def _entry(tree: Candidate, signature: str, record: Record) -> dict[str, Any]:
    """Return the line of one evaluation."""
    return {
        "text": record.text,
        "formula": tree.infix(),
        "signature": signature,
        "accuracy": record.by_seed,
        "curve": {outcome.seed: [epoch.accuracy for epoch in outcome.history] for outcome in record.outcomes},
        "seconds": record.seconds,
        "failure": record.failure,
    }


def _record(entry: Mapping[str, Any]) -> Record:
    seconds = entry["seconds"] / len(entry["accuracy"])
    outcomes = [
        Outcome(int(seed), accuracy, (), seconds, entry["failure"]) for seed, accuracy in entry["accuracy"].items()
    ]
    return judged(entry["text"], outcomes)
