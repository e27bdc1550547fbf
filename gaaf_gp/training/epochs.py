"""One epoch of a training and the score after it, for one candidate or a stack, for images in memory or in files."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from gaaf_gp.data.batches import TrainingBatches
from gaaf_gp.data.load import AnySplit
from gaaf_gp.errors import GaafError
from gaaf_gp.training.budget import Budget, FailedError
from gaaf_gp.training.outcome import Epoch
from gaaf_gp.training.step import Training, TrainingSteps


class UnreadableError(GaafError):
    """Images cannot be read, such as a damaged file: it ends the run, because the candidate did not cause it."""


@dataclass(frozen=True, slots=True)
class Score:
    """The score of a network on a split.

    Attributes:
        accuracy: share of the images that are classified correctly, 0 to 1.
        failure: why the network counts as failed, None if it does not.
    """

    accuracy: float
    failure: str | None


def mean_losses(training: TrainingSteps, batches: TrainingBatches, before_step: Callable[[], None]) -> list[float]:
    """Train for one epoch. Only its end waits for the device.

    Args:
        training: of one candidate or of many.
        batches: give the images of the epoch.
        before_step: called ahead of each step; may raise to end the epoch.

    Returns:
        The mean loss (nats) of each candidate.

    Raises:
        FailedError: ``before_step`` raises it.
        UnreadableError: the images cannot be read.
    """
    training.model.train()
    total = torch.zeros((), device=training.generator.device)
    for images, labels in _read(batches.epoch(training.generator)):
        before_step()
        total = total + training.step(images, labels)
    return [loss / len(batches) for loss in torch.atleast_1d(total).tolist()]


def loss_failure(mean: float, number: int) -> str | None:
    """Return why a training has failed whose mean loss (nats) in epoch ``number`` is ``mean``, None if it has not."""
    return None if math.isfinite(mean) else f"non-finite loss in epoch {number}"


def run_epoch(training: Training, batches: TrainingBatches, number: int, budget: Budget) -> float:
    """Train one candidate for one epoch and return its mean loss (nats).

    Args:
        training: of the candidate.
        batches: give the images of the epoch.
        number: of the epoch, from 1; for the reason of a failure.
        budget: is checked before each step.

    Raises:
        FailedError: the budget is exhausted, or the loss is not finite.
        UnreadableError: the images cannot be read.
    """
    (mean,) = mean_losses(training, batches, lambda: budget.check(number))
    if (failure := loss_failure(mean, number)) is not None:
        raise FailedError(failure)
    return mean


@torch.no_grad()
def scores(
    training: TrainingSteps,
    batches: TrainingBatches,
    split: AnySplit | None,
    classes: tuple[str, ...] | None,
    size: int | None = None,
) -> list[Score]:
    """Score each candidate on a split.

    Args:
        training: has the network; it is left in evaluation mode.
        batches: what reads the images.
        split: the images; None for the validation split.
        classes: names of the classes, where one class for all images is a failure.
        size: images that are scored at once, None for the usual number.

    Returns:
        One score for each candidate.

    Raises:
        UnreadableError: the images cannot be read.
    """
    training.model.eval()
    predictions, hits, finite = [], [], []
    for images, labels in _read(batches.scoring(split, size)):
        logits = training.logits(images)
        predictions.append(logits.argmax(-1))
        hits.append(predictions[-1] == labels)
        finite.append(logits.isfinite().flatten(-2).all(-1))
    predicted = torch.cat(predictions, -1)
    columns = (
        torch.cat(hits, -1).double().mean(-1),
        torch.stack(finite).all(0),
        (predicted == predicted[..., :1]).all(-1),
        predicted[..., 0],
    )
    result = []
    for accuracy, is_finite, is_constant, first in zip(
        *(torch.atleast_1d(column).tolist() for column in columns), strict=True
    ):
        failure = None
        if not is_finite:
            failure = "non-finite output"
        elif classes is not None and is_constant:
            failure = f"constant output: every image is called {classes[first]!r}"
        result.append(Score(accuracy, failure))
    return result


def accuracy(
    training: Training, batches: TrainingBatches, split: AnySplit | None, classes: tuple[str, ...] | None
) -> float:
    """Return the share of a split that one network classifies correctly, 0 to 1; arguments as in :func:`scores`.

    Raises:
        FailedError: an output is not finite, or all images are of one class and ``classes`` is given.
        UnreadableError: the images cannot be read.
    """
    (score,) = scores(training, batches, split, classes)
    if score.failure is not None:
        raise FailedError(score.failure)
    return score.accuracy


def epoch(
    training: Training,
    batches: TrainingBatches,
    split: AnySplit | None,
    number: int,
    budget: Budget,
    classes: tuple[str, ...] | None,
) -> Epoch:
    """Train one candidate for one epoch and score it; arguments as in :func:`run_epoch` and :func:`scores`.

    Raises:
        FailedError: the candidate has failed.
        UnreadableError: the images cannot be read.
    """
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
