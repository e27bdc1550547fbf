"""Trainings as jobs: one candidate and one seed each, alone or in stacks, in this process or in workers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gaaf_gp.candidates import parse_candidate
from gaaf_gp.data import AnySplit
from gaaf_gp.executors import Flow, WorkerLost, Workers
from gaaf_gp.proxy import WORST_ACCURACY, Outcome, Proxy
from gaaf_gp.pset import PrimitiveSet
from gaaf_gp.stacked import train_stacked
from gaaf_gp.training import TrainingState

WORKER_LOST = "worker lost"
"""The reason of a candidate whose worker process died, every time that it was tried."""

_State = tuple[Proxy, PrimitiveSet]


@dataclass(frozen=True)
class Job:
    """One training.

    Attributes:
        text: canonical text of the candidate, see :mod:`gaaf_gp.candidates`; None for the plain sign.
        seed: of the training.
        score: the split that is scored; the validation split by default.
        epochs: the epoch after which it stops; the last one of the schedule by default.
        saved: what it goes on from.
    """

    text: str | None
    seed: int
    score: AnySplit | None = None
    epochs: int | None = None
    saved: TrainingState | None = None


class Trainer:
    """Runs jobs in a proxy.

    Args:
        proxy: the training task.
        pset: the set that candidates come from.
        workers: number of processes.
        at_once: candidates of one stack, see :func:`gaaf_gp.stacked.train_stacked`; with 1 nothing is stacked.

    Raises:
        GaafError: fewer than one worker.
    """

    def __init__(self, proxy: Proxy, pset: PrimitiveSet, workers: int, at_once: int) -> None:
        self._at_once = at_once
        self._pool: Workers[_State] = Workers((proxy, pset), workers)

    @property
    def workers(self) -> int:
        """Number of processes."""
        return self._pool.workers

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[int, Outcome]]:
        """Yield (index of the job, its outcome) as the jobs finish, in any order."""
        if self._at_once > 1:
            yield from self._run_stacks(jobs)
            return
        for index, result in self._pool.run(_train, [(job,) for job in jobs]):
            yield index, lost(jobs[index].seed) if isinstance(result, WorkerLost) else result

    def flow(self) -> Flow[Outcome]:
        """Return what takes jobs one by one, as ``(job,)``, never in stacks."""
        return Flow(self._pool, _train, spare=1)

    def close(self) -> None:
        """End the worker processes."""
        self._pool.close()

    def stop(self) -> None:
        """End the worker processes at once, in the middle of their jobs."""
        self._pool.stop()

    def _run_stacks(self, jobs: Sequence[Job]) -> Iterator[tuple[int, Outcome]]:
        alike: dict[tuple[int, int | None, int], list[int]] = {}
        for index, job in enumerate(jobs):
            alike.setdefault((job.seed, job.epochs, id(job.score)), []).append(index)
        size = self._at_once
        stacks = [own[start : start + size] for own in alike.values() for start in range(0, len(own), size)]
        for number, result in self._pool.run(_train_stack, [([jobs[index] for index in own],) for own in stacks]):
            own = stacks[number]
            if isinstance(result, WorkerLost):
                yield from ((index, lost(jobs[index].seed)) for index in own)
            else:
                yield from zip(own, result, strict=True)


def _train(state: _State, job: Job) -> Outcome:
    proxy, pset = state
    individual = parse_candidate(job.text, pset)
    if job.epochs is None:
        return proxy.train(individual, job.seed, job.score)
    return proxy.train(individual, job.seed, job.score, epochs=job.epochs, state=job.saved)


def _train_stack(state: _State, jobs: Sequence[Job]) -> list[Outcome]:
    """Train jobs with one seed, one split and one last epoch."""
    proxy, pset = state
    individuals = [parse_candidate(job.text, pset) for job in jobs]
    first, saved = jobs[0], [job.saved for job in jobs]
    return train_stacked(
        proxy, individuals, first.seed, first.score, epochs=first.epochs, states=saved, at_once=len(jobs)
    )


def lost(seed: int) -> Outcome:
    """Return the outcome of a training whose worker was lost."""
    return Outcome(seed, WORST_ACCURACY, (), 0.0, WORKER_LOST)
