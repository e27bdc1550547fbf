"""Our side: what :class:`gaaf_gp.Proxy` and :func:`gaaf_gp.evolve` run, in the shapes that the benchmarks ask for.

This is the one place where the benchmarks touch the training of the toolkit.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence

from benchmarks.task import Task
from benchmarks.textbook_training import Evaluation
from gaaf_gp import Evaluator, Individual, PrimitiveSet, Proxy, Racing, parse
from gaaf_gp.data import Data
from gaaf_gp.evaluation import Job
from gaaf_gp.training import Outcome
from primitives import gaaf

LONG = 1_000_000
"""Epochs of a schedule that timed steps never come to the end of."""


@functools.cache
def make_pset() -> PrimitiveSet:
    """Return the set that all our candidates come from: the paper's operators, trees of any shape."""
    return gaaf.free()


def individual(text: str | None) -> Individual | None:
    """Return the candidate that is written as ``text``; None for the plain sign."""
    return None if text is None else parse(text, make_pset())


def make_proxy(data: Data, task: Task) -> Proxy:
    """Return the toolkit's training of ``task``."""
    return Proxy(
        data,
        network=task.network,
        network_settings={"widths": task.widths},
        epochs=task.epochs,
        batch_size=task.batch_size,
        learning_rate=task.learning_rate,
        pad=task.pad,
        threads=task.threads,
    )


def make_step(data: Data, text: str | None, task: Task, seed: int = 0) -> Callable[[int], object]:
    """Return a training step of the proxy: forward, backward, optimiser, schedule, clip.

    Args:
        data: its first images are what is trained on, prepared once and ahead.
        text: the candidate.
        task: network and learning rate.
        seed: of the weights.

    Returns:
        A function of the number of images that it shall train on.
    """
    proxy = make_proxy(data, task.but(epochs=LONG))
    training = proxy.training(individual(text), seed)
    training.model.train()
    images, labels = proxy.batches.normalized(data.train.images), data.train.labels
    return lambda batch: training.step(images[:batch], labels[:batch])


def evaluate(data: Data, text: str | None, task: Task, seed: int) -> Evaluation:
    """Train one candidate as a search does, on its own, and say how it went."""
    return as_evaluation(make_proxy(data, task).train(individual(text), seed), data, task)


def as_evaluation(outcome: Outcome, data: Data, task: Task) -> Evaluation:
    """Return an outcome in the form that both sides share; one that failed has no accuracies."""
    accuracies = () if outcome.failure else tuple(epoch.accuracy for epoch in outcome.history)
    return Evaluation(accuracies, outcome.seconds, _trained(outcome, task.epochs) * task.steps(data))


class CountingEvaluator(Evaluator):
    """The toolkit's evaluator, which counts every epoch that it has trained: of races and of added seeds too.

    Attributes:
        epochs_trained: of all trainings that have come back.
    """

    epochs_trained = 0

    def _run(self, jobs: Sequence[Job]) -> Iterator[tuple[int, Outcome]]:
        for index, outcome in super()._run(jobs):
            saved = jobs[index].saved
            before = 0 if saved is None else saved.epochs
            self.epochs_trained += _trained(outcome, self.proxy.epochs) - before
            yield index, outcome


def _trained(outcome: Outcome, most: int) -> int:
    """Return the epochs that an outcome took; that of a failure counts in full."""
    return min(most, outcome.epochs + 1) if outcome.failure else outcome.epochs


def make_evaluator(data: Data, task: Task, workers: int, seed: int = 0) -> CountingEvaluator:
    """Return the toolkit's evaluator over ``workers`` processes, set as a search sets it.

    Candidates race each other where there is more than one epoch to race over.
    """
    racing = Racing() if task.epochs > 1 else None
    return CountingEvaluator(make_proxy(data, task), make_pset(), seeds=(seed,), workers=workers, racing=racing)


def train_all(evaluator: Evaluator, texts: Sequence[str | None], seed: int) -> list[Outcome]:
    """Train candidates side by side, each on one seed and without the memory of earlier results."""
    pset = evaluator.pset
    trees = [None if text is None else parse(text, pset) for text in texts]
    return [outcomes[0] for outcomes in evaluator.train(trees, (seed,))]
