"""Cache of trainings in an archive: what an Evaluator looks up before it trains, and writes down afterwards."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch

from gaaf_gp.archive import VALIDATION, Archive, Evaluation, Kept, Register, evaluation_of
from gaaf_gp.data.load import AnySplit
from gaaf_gp.data.streamed import FileSplit
from gaaf_gp.evaluation.trainer import Job, Trainer, lost
from gaaf_gp.parallel.executors import Flow
from gaaf_gp.parallel.transfer import WorkerLost
from gaaf_gp.training.outcome import Outcome
from gaaf_gp.training.proxy import Proxy
from gaaf_gp.trees.candidate import PLAIN_SIGN, Candidate, TwoTrees, parse_candidate
from gaaf_gp.trees.individual import Individual
from gaaf_gp.trees.pset import PrimitiveSet

DECIDING = ("gaaf-gp", "torch")
"""Packages whose versions are part of a task: with another one a training may go another way."""
Signature = Callable[[str], str | None]
"""Returns the signature of a canonical text, None if it is not known yet."""


class ArchivedTrainings:
    """The trainings of one task in an archive: looked up before they are made, kept when they are.

    The task is all that an outcome depends on but the candidate and the seed: the settings of the proxy and its data,
    the kind of device, the size of stacks, the versions of gaaf-gp and torch. A candidate is known by its signature:
    what behaves as another is not trained either, whatever its set.

    Args:
        archive: open for writing.
        proxy: the training task.
        pset: the set that candidates come from.
        run: the key of the run that asks, see :meth:`gaaf_gp.archive.Archive.begin`.
        at_once: candidates of one stack.
        notes: what else outcomes depend on, fit for JSON.

    Attributes:
        task: hash of the task.
        differing: evaluations whose result was another one than that in the archive, which stays.
        register: of the births and generations of the run.

    Raises:
        GaafError: there is no such run, or the archive cannot be written.
    """

    def __init__(
        self,
        archive: Archive,
        proxy: Proxy,
        pset: PrimitiveSet,
        run: str,
        *,
        at_once: int = 1,
        notes: Mapping[str, Any] | None = None,
    ) -> None:
        self.archive, self.proxy, self.pset = archive, proxy, pset
        begun = archive.run(run)
        self.run, self.versions = begun.key, begun.versions
        self.register = Register(archive, begun.key)
        device = proxy.data.device
        self.device = f"cuda ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)
        settings = {
            "proxy": proxy.settings(),
            "at_once": at_once,
            **({"filled": True} if at_once > 1 else {}),  # stacks of an older archive were not
            "device": device.type,
            "versions": {name: self.versions.get(name, "unknown") for name in DECIDING},
            **(notes or {}),
        }
        self.task = archive.register(settings)
        self.differing: list[Evaluation] = []
        self._splits: dict[int, tuple[AnySplit, str]] = {}
        self._signatures: dict[str, str] = {}

    def find(
        self,
        text: str | None,
        signature: str | None,
        seed: int,
        epochs: int | None,
        score: AnySplit | None = None,
        *,
        noted: bool = False,
    ) -> Evaluation | None:
        """Return an evaluation that tells how a training would go, None if there is none.

        Args:
            text: canonical text of the candidate; None for the plain sign.
            signature: of its behaviour in the proxy; None if that is not known yet.
            seed: of the training.
            epochs: the epoch after which it would stop; None for the last one of the schedule.
            score: the split that is scored; None for the validation split.
            noted: whether to note that the run asked for what was found.
        """
        name, last, split = text or PLAIN_SIGN, self._last(epochs), self._split(score)
        evaluation = self.archive.lookup(name, self._signature(text, signature), self.task, seed, last, split)
        if text is None and evaluation is not None and evaluation.failure is not None:  # of a task that was mended
            return None
        if noted and evaluation is not None:
            self.archive.note(self.run, name, last, evaluation)
        return evaluation

    def lookup(
        self, text: str | None, signature: str | None, seed: int, epochs: int | None, score: AnySplit | None = None
    ) -> Outcome | None:
        """Return how a training goes if the archive can tell, and note that the run asked; see :meth:`find`.

        The outcome is that of the training bit for bit, but for the state to go on from, which no archive has.
        """
        evaluation = self.find(text, signature, seed, epochs, score, noted=True)
        return None if evaluation is None else evaluation.outcome(self._last(epochs))

    def keep(
        self,
        text: str | None,
        signature: str | None,
        epochs: int | None,
        outcome: Outcome,
        score: AnySplit | None = None,
    ) -> Kept:
        """Write down how a training went; it is on the disk when this returns. Arguments as of :meth:`find`."""
        candidate, last = parse_candidate(text, self.pset), self._last(epochs)
        evaluation = evaluation_of(
            outcome,
            text=text or PLAIN_SIGN,
            signature=self._signature(text, signature),
            task=self.task,
            epochs=last,
            fidelity=last / self.proxy.epochs,
            device=self.device,
            versions=self.versions,
            formula="x" if candidate is None else candidate.infix(),
            metrics=_metrics(candidate),
            split=self._split(score),
        )
        kept = self.archive.add(evaluation, self.run)
        if kept is Kept.DIFFERS:
            self.differing.append(evaluation)
        return kept

    def reject(self, text: str, failure: str) -> None:
        """Note that the run met a candidate that is not worth training."""
        self.archive.note(self.run, text, 0, failure=failure)

    def _signature(self, text: str | None, signature: str | None) -> str:
        if text is None:
            return PLAIN_SIGN
        if signature is not None:
            return signature
        if text not in self._signatures:
            candidate = parse_candidate(text, self.pset)
            signature = PLAIN_SIGN if candidate is None else self.proxy.behaviour(candidate).signature
            self._signatures[text] = signature
        return self._signatures[text]

    def _last(self, epochs: int | None) -> int:
        return self.proxy.epochs if epochs is None else epochs

    def _split(self, score: AnySplit | None) -> str:
        if score is None or score is self.proxy.data.val:
            return VALIDATION
        if id(score) not in self._splits:
            self._splits[id(score)] = score, split_name(score)  # held, so that no other takes its place
        return self._splits[id(score)][1]


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
            outcome = self.known(job)
            if outcome is None:
                missing.append(index)
            else:
                yield index, outcome
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
        """Write an outcome down; it is on the disk when this returns.

        Where the plain sign fails, the task is refused and then mended, maybe where no setting tells, such as in the
        code of a network: that failure is not kept.
        """
        self.trained.add(job.text)
        if job.text is None and outcome.failure is not None:
            return
        self.trainings.keep(job.text, self._of(job), job.epochs, outcome, job.score)

    def _of(self, job: Job) -> str | None:
        return None if job.text is None else self._signature(job.text)


class ArchivedFlow:
    """A :class:`gaaf_gp.parallel.executors.Flow` of jobs in which those that the archive has are finished at once.

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
        outcome = self._trainer.known(job)
        if outcome is None:
            self._jobs[index] = job
            self._flow.put(index, arguments, first)
        else:
            self._known.append((index, outcome))

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


def split_name(split: AnySplit) -> str:
    """Return a name of what is in a split: a digest of images and labels, or of the names of files and labels."""
    if isinstance(split, FileSplit):
        digest = hashlib.sha256(b"\0".join(split.names.tolist()) + b"\0\0" + split.labels.tobytes())
    else:
        digest = hashlib.sha256()
        for tensor in (split.images, split.labels):
            digest.update(tensor.cpu().contiguous().numpy().data)
    return f"sha256:{digest.hexdigest()}"


def _metrics(candidate: Candidate | None) -> dict[str, float]:
    if isinstance(candidate, Individual | TwoTrees):
        return {"nodes": float(candidate.size), "height": float(candidate.height), "cost": float(candidate.cost)}
    return {}
