"""What an evaluator knows: its records, who behaves as whom, and who needs another seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from deap import gp

from gaaf_gp.archived_trainings import ArchivedTrainings
from gaaf_gp.behaviour import Behaviour, behaviour
from gaaf_gp.candidates import Baseline, Candidate, TwoTrees
from gaaf_gp.individual import Individual
from gaaf_gp.jobs import Job
from gaaf_gp.proxy import WORST_ACCURACY, Outcome
from gaaf_gp.pset import PrimitiveSet
from gaaf_gp.records import Memory, Record, contenders, judged

OnRecord = Callable[[Record], None]


class Evaluated:
    """The memory of an evaluator.

    Args:
        proxy: has the epochs of a full training, and a ``behaviour`` if it is not the usual one.
        pset: the set that stock trees come from.
        seeds: that every candidate is trained on.
        extra: the seeds after them, for contenders only.
        places: the last place that lives on in a search; it and the first are contested.

    Attributes:
        records: canonical text -> record.
        memory: keeps the records consistent with each other.
        first: signature -> the text that was trained.
        trainings: the archive that is told of candidates which are not trained; None without one.
    """

    def __init__(self, proxy: Any, pset: PrimitiveSet, seeds: Sequence[int], extra: Sequence[int], places: int) -> None:
        self.records: dict[str, Record] = {}
        self.memory = Memory(self.records, seeds)
        self.first: dict[str, str] = {}
        self.trainings: ArchivedTrainings | None = None
        self.seeds = tuple(seeds)
        self.extra = tuple(extra)
        self._places = sorted({1, places})
        self._pset = pset
        self._proxy = proxy
        self._behaviours: dict[str, Behaviour] = {}

    def individual(self, tree: gp.PrimitiveTree | Candidate) -> Candidate:
        """Return a candidate, made of a stock tree if it is one."""
        return tree if isinstance(tree, Individual | TwoTrees | Baseline) else Individual(tree, self._pset)

    def behaves(self, candidate: Candidate) -> Behaviour:
        """Return how a candidate behaves; computed once for each canonical text."""
        text = candidate.canonical
        if text not in self._behaviours:
            self._behaviours[text] = getattr(self._proxy, "behaviour", behaviour)(candidate)
        return self._behaviours[text]

    def signature(self, text: str) -> str | None:
        """Return the signature of a canonical text, None if its behaviour is not known."""
        return self._behaviours[text].signature if text in self._behaviours else None

    def failure(self, text: str) -> str | None:
        """Return why training a candidate would be wasted, whose behaviour is known."""
        return self._behaviours[text].failure

    def judged(self, text: str, outcomes: Sequence[Outcome]) -> Record:
        """Return the record of outcomes, at least one."""
        return judged(text, outcomes, getattr(self._proxy, "epochs", None))

    def keep(self, record: Record, on_record: OnRecord) -> Record:
        """Remember a record, and tell of it."""
        self.records[record.text] = record
        on_record(record)
        return record

    def reject(self, text: str, failure: str | None, on_record: OnRecord) -> Record:
        """Remember a candidate that is not trained."""
        if self.trainings is not None and failure is not None:
            self.trainings.reject(text, failure)
        return self.keep(Record(text, WORST_ACCURACY, (), failure, fidelity=0.0), on_record)

    def share(self, text: str, first: str, on_record: OnRecord) -> Record:
        """Remember that a candidate behaves as ``first``, and give it that record."""
        record = self.memory.add_twin(text, first)
        if self.trainings is not None:
            for outcome in record.outcomes:
                self.trainings.find(text, self.signature(text), outcome.seed, outcome.epochs, noted=True)
        on_record(record)
        return record

    def add(self, text: str, outcome: Outcome) -> None:
        """Add the outcome of another seed to a record."""
        self.records[text] = self.judged(text, (*self.records[text].outcomes, outcome))

    def forget_unfinished(self) -> None:
        """Forget those that were to be trained and were given up: another one of their behaviour is trained."""
        self.first = {signature: text for signature, text in self.first.items() if text in self.records}

    def wanted(self) -> list[Job]:
        """Return a training on one more seed for each contender that can have one; none if no place is contested."""
        every = self.seeds + self.extra
        rows, fit = self.memory.revalue()
        values = {text: self.records[text].fitness for text in rows}
        contested = contenders(rows, values, fit, self._places)
        return [Job(text, every[len(rows[text])]) for text in contested if len(rows[text]) < len(every)]
