"""One epoch of a training, and the score at its end, over images in memory or in files alike."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from gaaf_gp.data.batches import TrainingBatches
from gaaf_gp.data.load import AnySplit
from gaaf_gp.errors import GaafError
from gaaf_gp.training.budget import Budget, FailedError
from gaaf_gp.training.outcome import Epoch
from gaaf_gp.training.step import Training

__all__ = ["Budget", "FailedError", "UnreadableError", "accuracy", "epoch", "run_epoch"]


class UnreadableError(GaafError):
    """Images cannot be read, such as a file that is damaged: that is not the candidate's failure, and ends the run."""


def run_epoch(training: Training, batches: TrainingBatches, number: int, budget: Budget) -> float:
    """Train for one epoch and return its mean loss (nats). Only its end waits for the device.

    Raises:
        FailedError: the budget is exhausted, or the loss is not finite.
        UnreadableError: the images cannot be read.
    """
    training.model.train()
    loss = torch.zeros((), device=training.generator.device)
    for images, labels in _read(batches.epoch(training.generator)):
        budget.check(number)
        loss += training.step(images, labels)
    mean = float(loss) / len(batches)
    if not math.isfinite(mean):
        raise FailedError(f"non-finite loss in epoch {number}")
    return mean


@torch.no_grad()
def accuracy(
    training: Training, batches: TrainingBatches, split: AnySplit | None, classes: tuple[str, ...] | None
) -> float:
    """Return the share of a split that a network calls right (0 to 1).

    Args:
        training: has the network; it is left in evaluation mode.
        batches: what reads the images.
        split: the images; None for the validation split.
        classes: names of the classes, where one class for all images is a failure.

    Raises:
        FailedError: an output is not finite, or all images are of one class and ``classes`` is given.
        UnreadableError: the images cannot be read.
    """
    training.model.eval()
    called, right, finite = [], [], []
    for images, labels in _read(batches.scoring(split)):
        logits = training.logits(images)
        predicted = logits.argmax(1)
        called.append(predicted)
        right.append(predicted == labels)
        finite.append(torch.isfinite(logits).all())
    if not bool(torch.stack(finite).all()):
        raise FailedError("non-finite output")
    predicted = torch.cat(called)
    if classes is not None and bool((predicted == predicted[0]).all()):
        raise FailedError(f"constant output: every image is called {classes[int(predicted[0])]!r}")
    return float(torch.cat(right).double().mean())


def epoch(
    training: Training,
    batches: TrainingBatches,
    split: AnySplit | None,
    number: int,
    budget: Budget,
    classes: tuple[str, ...] | None,
) -> Epoch:
    """Train for epoch ``number`` and score it; see :func:`run_epoch` and :func:`accuracy`."""
    loss = run_epoch(training, batches, number, budget)
    return Epoch(loss, accuracy(training, batches, split, classes))


def _read(batches: Iterator[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield ``batches``; what they raise of their own is told apart from what a candidate raises."""
    while True:
        try:
            batch = next(batches)
        except StopIteration:
            return
        except GaafError as error:
            raise UnreadableError(str(error)) from error
        yield batch
