"""Trainings as jobs: one candidate and one seed each, alone or in stacks, in this process or in workers."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from uuid import uuid4

from gaaf_gp.data.load import AnySplit, Split
from gaaf_gp.parallel import device_turns
from gaaf_gp.parallel.executors import ExecutorLike, Flow, Workers
from gaaf_gp.parallel.transfer import LOST, WorkerLost, opened
from gaaf_gp.training.outcome import WORST_ACCURACY, Outcome, TrainingState
from gaaf_gp.training.proxy import Proxy
from gaaf_gp.training.stacked import train_stacked
from gaaf_gp.trees.candidate import parse_candidate
from gaaf_gp.trees.pset import PrimitiveSet

WORKER_LOST = LOST
"""The reason of a candidate whose worker process died, every time that it was tried."""


class _Placed(threading.local):
    """Of this thread: the task on the device whose turn it was, by name."""

    def __init__(self) -> None:
        self.proxies: dict[str, Proxy] = {}


_placed = _Placed()


@dataclass(frozen=True)
class Task:
    """What all jobs share, in every worker.

    Attributes:
        proxy: the training task; with several devices its data are on the CPU.
        pset: the set that candidates come from.
        devices: names; each worker takes one in turn and keeps it. Empty: where the data are.
        name: of this task, in all processes.
    """

    proxy: Proxy
    pset: PrimitiveSet
    devices: tuple[str, ...]
    name: str

    def here(self) -> Proxy:
        """Return the task on the device of this worker."""
        if not self.devices:
            return self.proxy
        if self.name not in _placed.proxies:
            device = self.devices[device_turns.claim(self.name) % len(self.devices)]
            _placed.proxies.clear()  # of tasks that have ended; their data need not stay
            _placed.proxies[self.name] = self.proxy.on(device)
        return _placed.proxies[self.name]


@dataclass(frozen=True)
class Job:
    """One training.

    Attributes:
        text: canonical text of the candidate, see :mod:`gaaf_gp.trees.candidate`; None for the plain sign.
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
        at_once: candidates of one stack, which is always filled, see :func:`gaaf_gp.training.stacked.train_stacked`:
            so an outcome does not depend on what else was asked for. With 1 nothing is stacked.
        executor: other workers than processes of this machine, see :class:`gaaf_gp.parallel.executors.Workers`.
        devices: names of devices that workers take in turn, see :class:`Task`.

    Raises:
        GaafError: fewer than one worker, or what :class:`gaaf_gp.parallel.executors.Workers` refuses.
    """

    def __init__(
        self,
        proxy: Proxy,
        pset: PrimitiveSet,
        workers: int,
        at_once: int,
        executor: ExecutorLike | None = None,
        devices: Sequence[str] = (),
    ) -> None:
        self._at_once = at_once
        several = tuple(devices) if len(devices) > 1 else ()
        sent = proxy.on("cpu") if several else proxy  # a worker touches no device but its own
        self._task = Task(sent, pset, several, uuid4().hex)
        self._pool: Workers[Task] = Workers(self._task, workers, executor)

    @property
    def workers(self) -> int:
        """Number of processes."""
        return self._pool.workers

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[int, Outcome]]:
        """Yield (index of the job, its outcome) as the jobs finish, in any order."""
        if self._at_once > 1:
            yield from self._run_stacks(jobs)
            return
        for index, result in self._pool.run(_train, [(self._light(job),) for job in jobs]):
            yield index, lost(jobs[index].seed, result.reason) if isinstance(result, WorkerLost) else result

    def flow(self) -> Flow[Outcome]:
        """Return what takes jobs one by one, as ``(job,)``, never in stacks."""
        return Flow(self._pool, _train, spare=1)

    def close(self) -> None:
        """End the worker processes."""
        self._pool.close()
        if self._task.devices:
            device_turns.end(self._task.name)

    def stop(self) -> None:
        """End the worker processes at once, in the middle of their jobs."""
        self._pool.stop()

    def _run_stacks(self, jobs: Sequence[Job]) -> Iterator[tuple[int, Outcome]]:
        alike: dict[tuple[int, int | None, int], list[int]] = {}
        for index, job in enumerate(jobs):
            alike.setdefault((job.seed, job.epochs, id(job.score)), []).append(index)
        size = self._at_once
        stacks = [group[start : start + size] for group in alike.values() for start in range(0, len(group), size)]
        while stacks:
            apart: list[list[int]] = []
            light = [([self._light(jobs[index]) for index in stack], size) for stack in stacks]
            for number, result in self._pool.run(_train_stack, light):
                places = stacks[number]
                if not isinstance(result, WorkerLost):
                    yield from zip(places, result, strict=True)
                elif result.reason == WORKER_LOST and len(places) > 1:  # one of them may be to blame, not all
                    apart += places[: len(places) // 2], places[len(places) // 2 :]
                else:
                    yield from ((index, lost(jobs[index].seed, result.reason)) for index in places)
            stacks = apart

    def _light(self, job: Job) -> Job:
        """Return the job with a word for its split, which each worker gets once."""
        return job if job.score is None else replace(job, score=self._pool.shared(job.score))


def _train(task: Task, job: Job) -> Outcome:
    proxy = task.here()
    individual, score = parse_candidate(job.text, task.pset), _scored(task, job)
    if job.epochs is None:
        return proxy.train(individual, job.seed, score)
    return proxy.train(individual, job.seed, score, epochs=job.epochs, state=job.saved)


def _train_stack(task: Task, jobs: Sequence[Job], size: int) -> list[Outcome]:
    """Train jobs with one seed, one split and one last epoch."""
    proxy = task.here()
    individuals = [parse_candidate(job.text, task.pset) for job in jobs]
    first, states = jobs[0], [job.saved for job in jobs]
    return train_stacked(
        proxy,
        individuals,
        first.seed,
        _scored(task, first),
        epochs=first.epochs,
        states=states,
        at_once=size,
        filled=True,
    )


def _scored(task: Task, job: Job) -> AnySplit | None:
    score: AnySplit | None = opened(job.score)
    return score.to(task.here().data.device) if task.devices and isinstance(score, Split) else score


def lost(seed: int, reason: str = WORKER_LOST) -> Outcome:
    """Return the outcome of a training whose worker was lost, or was ended for a reason."""
    return Outcome(seed, WORST_ACCURACY, (), 0.0, reason)
