"""Records of candidates: what is remembered of one, what it is ranked by, and which candidates need another seed.

A mean over seeds has noise. Seeds are added where they decide something: among those that cannot be told from the best,
and around the last place that lives on.
"""

from __future__ import annotations

import heapq
import re
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from deap import gp

from gaaf_gp.activations.behaviour import Behaviour, behaviour
from gaaf_gp.evaluation.cache import ArchivedTrainings
from gaaf_gp.evaluation.racing import Finished, ceilings
from gaaf_gp.evaluation.trainer import Job
from gaaf_gp.statistics import AdditiveFit, additive_fit, indistinguishable, pooled_deviation, standard_error
from gaaf_gp.training.outcome import WORST_ACCURACY, Outcome
from gaaf_gp.trees.candidate import Baseline, Candidate, TwoTrees
from gaaf_gp.trees.individual import Individual
from gaaf_gp.trees.pset import PrimitiveSet

REASONS = 4
"""Reasons of failures that are named; all others are counted together."""
FIRST_CONTENDERS = 3
"""Candidates that get a second seed to learn how large the noise is; two would leave one degree of freedom."""
_EPOCH = re.compile(r" in epoch \d+")


@dataclass(frozen=True, slots=True)
class Record:
    """One evaluated candidate.

    Attributes:
        text: canonical text.
        accuracy: mean over the seeds after the last epoch trained (0 to 1), or ``WORST_ACCURACY`` if any training
            failed.
        outcomes: one for each seed; none if it was rejected without training.
        failure: the reason.
        standard_error: of ``accuracy``, from its own seeds or, with one seed, from those of other candidates; None if
            nothing is known of the noise.
        fidelity: share of the full epochs that it was trained for.
        same_as: text of the candidate with the same behaviour that was trained in its place.
        value: what it is ranked by where that is not ``accuracy``; see :attr:`fitness`.
        tasks: of a :class:`~gaaf_gp.evaluation.Panel`: (name, mean accuracy over the seeds) of each task that it was
            trained in; ``accuracy`` is what they come to.
    """

    text: str
    accuracy: float
    outcomes: tuple[Outcome, ...]
    failure: str | None
    standard_error: float | None = None
    fidelity: float = 1.0
    same_as: str | None = None
    value: float | None = None
    tasks: tuple[tuple[str, float], ...] = ()

    @property
    def fitness(self) -> float:
        """What the candidate is ranked by.

        It is ``accuracy``, but for two kinds of candidates. One that dropped out of a race never exceeds any that went
        further in it. One that got more seeds than others has the effects of its seeds removed, see :func:`adjusted`.
        """
        return self.accuracy if self.value is None else self.value

    @property
    def seconds(self) -> float:
        """Wall time of all trainings of this candidate; those of ``same_as``, if there is one, and spent there."""
        return sum(outcome.seconds for outcome in self.outcomes)

    @property
    def complete(self) -> bool:
        """Whether it was evaluated to the end: trained in full, or failed. It may be called the best only then."""
        return self.failure is not None or self.fidelity == 1

    @property
    def by_seed(self) -> dict[int, float]:
        """Accuracy for each seed."""
        return {outcome.seed: outcome.accuracy for outcome in self.outcomes}

    @property
    def curve(self) -> list[float]:
        """Accuracy after each epoch, the mean over the seeds."""
        histories = ([epoch.accuracy for epoch in outcome.history] for outcome in self.outcomes)
        return [statistics.fmean(accuracies) for accuracies in zip(*histories, strict=True)]


OnRecord = Callable[[Record], None]
"""Is told of a record when it is new."""


def as_candidate(tree: gp.PrimitiveTree | Candidate, pset: PrimitiveSet) -> Candidate:
    """Return a candidate: ``tree`` itself, or an Individual made of a stock tree of the set's nodes."""
    return tree if isinstance(tree, Individual | TwoTrees | Baseline) else Individual(tree, pset)


def reason(failure: str) -> str:
    """Return what a failure has in common with others: neither its epoch nor, behind a colon, its particulars."""
    return _EPOCH.sub("", failure).partition(": ")[0]


def reasons(failures: Mapping[str, int]) -> dict[str, int]:
    """Return how many failed for each :func:`reason`, the most frequent first."""
    counts: Counter[str] = Counter()
    for failure, count in failures.items():
        counts[reason(failure)] += count
    return dict(counts.most_common())


def record_of(text: str, outcomes: Sequence[Outcome], epochs: int | None = None) -> Record:
    """Return the record of a candidate from its outcomes, at least one.

    Args:
        text: canonical text.
        outcomes: one for each seed, trained for as many epochs each unless they failed.
        epochs: of a full training; None where all trainings are full.
    """
    failure = next((outcome.failure for outcome in outcomes if outcome.failure), None)
    accuracies = [outcome.accuracy for outcome in outcomes]
    accuracy = WORST_ACCURACY if failure else statistics.fmean(accuracies)
    error = None if failure else standard_error(accuracies)
    fidelity = 1.0 if epochs is None else min(outcome.epochs for outcome in outcomes) / epochs
    plain = tuple(outcome if outcome.state is None else replace(outcome, state=None) for outcome in outcomes)
    return Record(text, accuracy, plain, failure, error, fidelity)


def adjusted(record: Record, base: Sequence[int], fit: AdditiveFit) -> float | None:
    """Return the accuracy of a record as if it had been trained on the seeds ``base`` only, None if it was.

    A seed may be easy or hard for all candidates, and those with more seeds than others would profit or suffer. The
    effect of each seed is estimated by least squares from all candidates with more than one seed, where it cannot be
    mistaken for a difference of candidates, and removed. Thus adding a number to all outcomes of a seed changes no
    order, and between candidates with the same seeds the difference is the plain paired one. What is not removed is
    luck: a candidate gets more seeds because it looked good, and its first seeds stay in the mean. That is what the
    confirmation on fresh seeds is for.
    """
    seeds = record.by_seed
    if set(seeds) == set(base):
        return None
    record_effect, common = (
        statistics.fmean(fit.effects.get(seed, 0.0) for seed in seed_group) for seed_group in (seeds, base)
    )
    return record.accuracy - record_effect + common


def contenders(
    rows: Mapping[str, Mapping[int, float]], values: Mapping[str, float], fit: AdditiveFit, places: Iterable[int]
) -> list[str]:
    """Return the candidates that another seed might put into another place, best first.

    A place is contested if somebody below its holder cannot be told from it; then all that cannot be told from the
    holder are contenders. While nothing is known of the noise, the first few are, so that something will be.

    Args:
        rows: for each candidate, seed -> accuracy; all have a common seed.
        values: what each is ranked by; ties are ranked by name.
        fit: what is known of the noise.
        places: 1 for the best, 2 for the last of two that live on, ...
    """
    order = sorted(rows, key=lambda name: (-values[name], name))
    if len(order) < 2:
        return []
    if not fit.freedom:
        return order[:FIRST_CONTENDERS]
    contending: set[str] = set()
    for place in places:
        holder = order[place - 1 : place]
        close = [name for name in order if holder and indistinguishable(rows[name], rows[holder[0]], fit)]
        if any(name in close for name in order[place:]):
            contending.update(close)
    return [name for name in order if name in contending]


def evaluate_new(
    records: dict[str, Record], candidates: Sequence[Candidate], evaluate: Callable[[dict[str, Candidate]], None]
) -> list[Record]:
    """Return a record for each candidate, in their order, having those evaluated that ``records`` lacks.

    Args:
        records: canonical text -> record; new ones end up in the order of ``candidates``, also after an interruption,
            so that it does not depend on which worker was quicker.
        candidates: any number, duplicates allowed.
        evaluate: gets canonical text -> candidate of those that are new, and puts their records into ``records``.
    """
    new = {candidate.canonical: candidate for candidate in candidates if candidate.canonical not in records}
    if new:
        try:
            evaluate(new)
        finally:
            for text in new:
                if text in records:
                    records[text] = records.pop(text)
    return [records[candidate.canonical] for candidate in candidates]


def to_train(
    behaviours: Mapping[str, Behaviour], trained: Mapping[str, str], reject: Callable[[str, str], object]
) -> tuple[dict[str, str], dict[str, str]]:
    """Return which of several new candidates are to be trained, and which train as another one.

    Args:
        behaviours: canonical text -> behaviour.
        trained: signature -> canonical text of what is trained already.
        reject: is told of each text that is not worth training, and why.

    Returns:
        Signature -> text of those to train; text -> the text that it trains as.
    """
    fresh: dict[str, str] = {}
    twins: dict[str, str] = {}
    for text, judged in behaviours.items():
        if judged.failure is not None:
            reject(text, judged.failure)
        elif (first := trained.get(judged.signature, fresh.get(judged.signature))) is not None:
            twins[text] = first
        else:
            fresh[judged.signature] = text
    return fresh, twins


class Memory:
    """The records of a search and what ties them together: races, and candidates that behave alike.

    Args:
        records: text -> record; it is filled and changed here.
        base: the seeds that every candidate is trained on.

    Attributes:
        finished: what races know of fully trained candidates.
    """

    def __init__(self, records: dict[str, Record], base: Sequence[int]) -> None:
        self.records = records
        self.finished = Finished()
        self._base = tuple(base)
        self._twins: dict[str, list[str]] = {}
        self._races: list[dict[str, int]] = []

    def add_twin(self, text: str, first: str) -> Record:
        """Remember that ``text`` behaves as ``first``, and return its record."""
        self._twins.setdefault(first, []).append(text)
        self.records[text] = replace(self.records[first], text=text, same_as=first)
        return self.records[text]

    def end_race(self, reached: dict[str, int], dropped: Iterable[Record], places: int) -> list[Record]:
        """Take in a race whose finalists have records, and return the records of those that dropped out.

        Args:
            reached: what :func:`gaaf_gp.evaluation.racing.race` returned.
            dropped: records of those that dropped out.
            places: the last place that lives on; its holder is the one to reach for later candidates.
        """
        texts = []
        for record in dropped:
            self.records[record.text] = record
            texts.append(record.text)
        self._races.append(reached)
        self._limit(reached)
        for text in reached:
            if self.records[text].complete:
                self.finished.add(self.records[text].curve)
        every = (record.fitness for record in self.records.values() if record.complete and record.same_as is None)
        best = heapq.nlargest(places, every)
        self.finished.threshold = best[-1] if len(best) == places else None
        return [self.records[text] for text in texts]

    def revalue(self) -> tuple[dict[str, dict[int, float]], AdditiveFit]:
        """Bring errors and fitness up to date with all seeds known.

        Returns:
            For each fully trained candidate, seed -> accuracy; and the fit to this table.
        """
        live = {
            text: record
            for text, record in self.records.items()
            if record.complete and record.failure is None and record.same_as is None
        }
        rows = {text: record.by_seed for text, record in live.items()}
        fit = additive_fit(rows.values())
        deviation = pooled_deviation(list(row.values()) for row in rows.values())
        for text, record in live.items():
            error = record.standard_error if len(rows[text]) > 1 else deviation
            self.records[text] = replace(record, standard_error=error, value=adjusted(record, self._base, fit))
        for reached in self._races:
            self._limit(reached)
        for first, twins in self._twins.items():
            self.records.update((text, replace(self.records[first], text=text, same_as=first)) for text in twins)
        return rows, fit

    def _limit(self, reached: Mapping[str, int]) -> None:
        """Keep the fitness of those that dropped out of a race below that of those that went further."""
        records = {text: self.records[text] for text in reached if self.records[text].failure is None}
        values = {text: record.fitness if record.complete else record.accuracy for text, record in records.items()}
        for text, limit in ceilings({text: reached[text] for text in records}, values).items():
            self.records[text] = replace(records[text], value=min(values[text], limit))


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
        return as_candidate(tree, self._pset)

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

    def record_of(self, text: str, outcomes: Sequence[Outcome]) -> Record:
        """Return the record of outcomes, at least one."""
        return record_of(text, outcomes, getattr(self._proxy, "epochs", None))

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
        self.records[text] = self.record_of(text, (*self.records[text].outcomes, outcome))

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
