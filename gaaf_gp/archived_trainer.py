"""A trainer that asks an archive for every job before it runs it, and writes every outcome down as it arrives.

It stands in the place of a :class:`gaaf_gp.jobs.Trainer`, so that everything that an Evaluator trains, generations,
streams, races, extra seeds, the plain sign and the trainings on the test split, goes through it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from gaaf_gp.archived_trainings import ArchivedTrainings
from gaaf_gp.executors import Flow, WorkerLost
from gaaf_gp.jobs import Job, Trainer, lost
from gaaf_gp.proxy import Outcome

Signature = Callable[[str], str | None]
"""Returns the signature of a canonical text, None if it is not known yet."""


class ArchivedTrainer:
    """Runs jobs in a proxy, but for those whose outcome an archive has.

    An outcome from the archive has no state to go on from: a race that goes on beyond what is known trains such a
    candidate from its first epoch, and reaches the same.

    Args:
        trainer: runs what the archive lacks.
        trainings: the task of the trainer in the archive, with the same proxy, set and size of stacks.
        signature: spares computing a signature a second time.

    Attributes:
        trained: texts of the candidates that were trained, and not found, once or more.
    """

    def __init__(self, trainer: Trainer, trainings: ArchivedTrainings, signature: Signature | None = None) -> None:
        self.trainings = trainings
        self.trained: set[str | None] = set()
        self._trainer = trainer
        self._signature = signature or (lambda _text: None)

    @property
    def workers(self) -> int:
        """Number of processes."""
        return self._trainer.workers

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[int, Outcome]]:
        """Yield (index of the job, its outcome), those from the archive first, the others as they finish."""
        missing = []
        for index, job in enumerate(jobs):
            known = self.known(job)
            if known is None:
                missing.append(index)
            else:
                yield index, known
        for place, outcome in self._trainer.run([jobs[index] for index in missing]):
            index = missing[place]
            self.keep(jobs[index], outcome)
            yield index, outcome

    def flow(self) -> ArchivedFlow:
        """Return what takes jobs one by one, as ``(job,)``, never in stacks."""
        return ArchivedFlow(self, self._trainer.flow())

    def close(self) -> None:
        """End the worker processes; the archive stays open."""
        self._trainer.close()

    def stop(self) -> None:
        """End the worker processes at once, in the middle of their jobs; the archive stays open."""
        self._trainer.stop()

    def known(self, job: Job) -> Outcome | None:
        """Return the outcome of a job if the archive has it."""
        return self.trainings.lookup(job.text, self._of(job), job.seed, job.epochs, job.score)

    def keep(self, job: Job, outcome: Outcome) -> None:
        """Write an outcome down; it is on the disk when this returns."""
        self.trained.add(job.text)
        self.trainings.keep(job.text, self._of(job), job.epochs, outcome, job.score)

    def _of(self, job: Job) -> str | None:
        return None if job.text is None else self._signature(job.text)


class ArchivedFlow:
    """A :class:`gaaf_gp.executors.Flow` of jobs in which those that the archive has are finished at once.

    Args:
        trainer: asks the archive.
        flow: runs what it lacks.
    """

    def __init__(self, trainer: ArchivedTrainer, flow: Flow[Outcome]) -> None:
        self._trainer = trainer
        self._flow = flow
        self._known: list[tuple[int, Outcome | WorkerLost]] = []
        self._jobs: dict[int, Job] = {}

    def __len__(self) -> int:
        """Return the number of jobs whose results were not taken."""
        return len(self._flow) + len(self._known)

    def put(self, index: int, arguments: tuple[Any, ...], first: bool = False) -> None:
        """Hand a job in; ``index`` is its name."""
        (job,) = arguments
        known = self._trainer.known(job)
        if known is None:
            self._jobs[index] = job
            self._flow.put(index, arguments, first)
        else:
            self._known.append((index, known))

    def get(self) -> list[tuple[int, Outcome | WorkerLost]]:
        """Wait until a job has finished, and return (index, outcome) of those that have; empty if one is repeated."""
        if self._known:
            taken, self._known = self._known, []
            return taken
        results = self._flow.get()
        for index, result in results:
            job = self._jobs.pop(index)
            self._trainer.keep(job, lost(job.seed, result.reason) if isinstance(result, WorkerLost) else result)
        return results

    def drop(self) -> None:
        """Give up the jobs that have not begun; what runs is finished, and nobody hears of it."""
        self._flow.drop()
        self._known.clear()
        self._jobs.clear()
