"""One epoch of a training, and the score at its end."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch
from torch import nn

from gaaf_gp.batches import Batches
from gaaf_gp.data import Split
from gaaf_gp.training import Epoch, Training

SCORING_BATCH = 500


class FailedError(Exception):
    """Ends the training of one candidate; the message is the reason that is kept."""


@dataclass(frozen=True)
class Budget:
    """Wall time of one training, begun at ``started`` (``time.perf_counter``); None for no limit in ``seconds``."""

    started: float
    seconds: float | None

    def check(self, number: int) -> None:
        """Raise a ``FailedError`` if it is exhausted, in epoch ``number``."""
        if self.seconds is not None and time.perf_counter() - self.started > self.seconds:
            raise FailedError(f"time budget of {self.seconds:g} s exhausted in epoch {number}")


def run_epoch(training: Training, batches: Batches, number: int, budget: Budget) -> float:
    """Train for one epoch and return its mean loss (nats). Only its end waits for the device.

    Raises:
        FailedError: the budget is exhausted, or the loss is not finite.
    """
    training.model.train()
    loss = torch.zeros((), device=training.generator.device)
    for images, labels in batches.epoch(training.generator):
        budget.check(number)
        loss += training.step(images, labels)
    mean = float(loss) / len(batches)
    if not math.isfinite(mean):
        raise FailedError(f"non-finite loss in epoch {number}")
    return mean


@torch.no_grad()
def accuracy(model: nn.Module, batches: Batches, split: Split, classes: tuple[str, ...] | None) -> float:
    """Return the share of a split that a network calls right (0 to 1).

    Args:
        model: the network; it is left in evaluation mode.
        batches: what normalizes the images.
        split: the images.
        classes: names of the classes, where one class for all images is a failure.

    Raises:
        FailedError: an output is not finite, or all images are of one class and ``classes`` is given.
    """
    model.eval()
    logits = torch.cat([model(batches.normalized(images)) for images in split.images.split(SCORING_BATCH)])
    if not bool(torch.isfinite(logits).all()):
        raise FailedError("non-finite output")
    predicted = logits.argmax(1)
    if classes is not None and bool((predicted == predicted[0]).all()):
        raise FailedError(f"constant output: every image is called {classes[int(predicted[0])]!r}")
    return float((predicted == split.labels).double().mean())


def epoch(
    training: Training, batches: Batches, split: Split, number: int, budget: Budget, classes: tuple[str, ...] | None
) -> Epoch:
    """Train for epoch ``number`` and score it; see :func:`run_epoch` and :func:`accuracy`."""
    loss = run_epoch(training, batches, number, budget)
    return Epoch(loss, accuracy(training.model, batches, split, classes))
