"""Fitness: candidates are evaluated once each, on paired seeds, in as many processes as wanted.

The canonical text of a candidate is its identity: two trees that differ in the order of commutative arguments only
share one evaluation. A failed candidate has a declared worst fitness and keeps its reason.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType

from deap import gp

from gaaf_gp.data import Split
from gaaf_gp.errors import GaafError
from gaaf_gp.executors import WorkerLost, Workers
from gaaf_gp.individual import Individual
from gaaf_gp.parser import parse
from gaaf_gp.proxy import WORST_ACCURACY, Outcome, Proxy
from gaaf_gp.pset import PrimitiveSet

WORKER_LOST = "worker lost"


@dataclass(frozen=True)
class Record:
    """One evaluated candidate.

    ``accuracy`` is the mean over the seeds (0 to 1), or ``WORST_ACCURACY`` with a reason in ``failure`` if any
    training failed; ``seconds`` is the sum of the trainings' wall times.
    """

    text: str
    accuracy: float
    outcomes: tuple[Outcome, ...]
    failure: str | None

    @property
    def seconds(self) -> float:
        """Wall time of all trainings of this candidate."""
        return sum(outcome.seconds for outcome in self.outcomes)


_State = tuple[Proxy, PrimitiveSet]


def _train(state: _State, text: str | None, seed: int, score: Split | None) -> Outcome:
    proxy, pset = state
    return proxy.train(None if text is None else parse(text, pset), seed, score)


class Evaluator:
    """Evaluates individuals by training them in a proxy; ``evaluator(individual)`` returns DEAP's fitness tuple.

    Args:
        proxy: the training task.
        pset: the set that individuals come from.
        seeds: each candidate is trained once per seed, and all candidates on the same seeds.
        workers: number of processes; results are the same for any.

    Raises:
        GaafError: without a seed, with repeated seeds or fewer than one worker.
    """

    def __init__(self, proxy: Proxy, pset: PrimitiveSet, *, seeds: Sequence[int] = (0,), workers: int = 1) -> None:
        if not seeds or len(set(seeds)) != len(seeds):
            raise GaafError(f"seeds must be one or more different whole numbers, got {list(seeds)}")
        self.proxy = proxy
        self.pset = pset.check()
        self.seeds = tuple(seeds)
        self.records: dict[str, Record] = {}
        self._workers: Workers[_State] = Workers((proxy, pset), workers)

    @property
    def workers(self) -> int:
        """Number of processes."""
        return self._workers.workers

    def __call__(self, individual: gp.PrimitiveTree) -> tuple[float]:
        """Return ``(validation accuracy,)`` of one individual, from memory if it was evaluated before.

        Stock ``gp.PrimitiveTree`` objects made of the set's nodes are welcome too.
        """
        return (self.evaluate([individual])[0].accuracy,)

    def evaluate(
        self, individuals: Sequence[gp.PrimitiveTree], on_record: Callable[[Record], None] | None = None
    ) -> list[Record]:
        """Return a record for each individual, training those that are new, side by side.

        Args:
            individuals: any number, duplicates allowed.
            on_record: called for each candidate as its last training finishes, in any order.
        """
        texts = [self._text(individual) for individual in individuals]
        new = [text for text in dict.fromkeys(texts) if text not in self.records]
        jobs = [(text, seed, None) for text in new for seed in self.seeds]
        waiting: dict[str, dict[int, Outcome]] = {text: {} for text in new}
        finished: dict[str, Record] = {}
        for index, result in self._workers.run(_train, jobs):
            text, seed, _ = jobs[index]
            waiting[text][seed] = _outcome(result, seed)
            if len(waiting[text]) == len(self.seeds):
                finished[text] = self._record(text, waiting.pop(text))
                # Into the cache at once: what is evaluated stays so even if the rest is interrupted.
                self.records[text] = finished[text]
                if on_record is not None:
                    on_record(finished[text])
        for text in new:  # the order of the cache does not depend on which worker was quicker
            self.records[text] = self.records.pop(text)
        return [self.records[text] for text in texts]

    def train(
        self, individuals: Sequence[gp.PrimitiveTree | None], seeds: Sequence[int], score: Split | None = None
    ) -> list[list[Outcome]]:
        """Return for each individual (None: plain sign) its outcomes on ``seeds``, without using or filling the cache.

        Args:
            individuals: candidates and baselines.
            seeds: usually fresh ones, to confirm what a search found.
            score: the split whose accuracy is returned; the validation split by default.
        """
        jobs = [(None if i is None else self._text(i), seed, score) for i in individuals for seed in seeds]
        results: dict[int, Outcome] = {}
        for index, result in self._workers.run(_train, jobs):
            results[index] = _outcome(result, jobs[index][1])
        ordered = [results[index] for index in range(len(jobs))]
        return [ordered[start : start + len(seeds)] for start in range(0, len(ordered), len(seeds))]

    def _text(self, tree: gp.PrimitiveTree) -> str:
        return (tree if isinstance(tree, Individual) else Individual(tree, self.pset)).canonical

    def _record(self, text: str, outcomes: dict[int, Outcome]) -> Record:
        ordered = tuple(outcomes[seed] for seed in self.seeds)
        failure = next((outcome.failure for outcome in ordered if outcome.failure), None)
        accuracy = WORST_ACCURACY if failure else statistics.fmean(outcome.accuracy for outcome in ordered)
        return Record(text, accuracy, ordered, failure)

    def close(self) -> None:
        """End the worker processes."""
        self._workers.close()

    def __enter__(self) -> Evaluator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _outcome(result: Outcome | WorkerLost, seed: int) -> Outcome:
    return Outcome(seed, WORST_ACCURACY, (), 0.0, WORKER_LOST) if isinstance(result, WorkerLost) else result
