"""How a training ended, epoch by epoch, and the state from which a training is resumed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Arrays: TypeAlias = dict[str, NDArray[Any]]
"""Arrays by name."""
WORST_ACCURACY = 0.0
"""The declared fitness of a candidate that failed: below anything that a trained network reaches."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch: mean training loss (cross-entropy, nats) and accuracy on the scored split (0 to 1)."""

    loss: float
    accuracy: float


@dataclass(frozen=True, eq=False, repr=False)
class TrainingState:
    """A training put aside after an epoch: everything that the epochs to come depend on, exactly.

    It holds numpy arrays and no tensors, because torch would pickle those through shared memory, which is small in
    containers.

    Attributes:
        text: canonical text of the candidate, None for the plain sign.
        seed: of the training.
        history: the epochs so far.
        seconds: wall time so far.
        steps: optimiser steps so far.
        model: parameters and buffers by name.
        moments: Adam's state, one mapping per parameter that has one, by the number of the parameter.
        generator: state of the generator of batch order and augmentation.
        scale: state of the loss scale that float16 has, None without one.
    """

    text: str | None
    seed: int
    history: tuple[Epoch, ...]
    seconds: float
    steps: int
    model: Arrays
    moments: dict[int, Arrays]
    generator: NDArray[np.uint8]
    scale: tuple[float, int] | None = None

    @property
    def epochs(self) -> int:
        """Epochs trained so far."""
        return len(self.history)

    def __repr__(self) -> str:
        return f"TrainingState({self.text or 'plain sign'}, seed {self.seed}, {self.epochs} epochs)"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one training went.

    ``accuracy`` is that of the last epoch on the scored split (0 to 1), or ``WORST_ACCURACY`` with the reason in
    ``failure``; the best of all epochs would be biased upwards by its noise. ``seconds`` is wall time. ``state`` is
    what a training that was stopped between two epochs goes on from, None for one that is finished or has failed.
    """

    seed: int
    accuracy: float
    history: tuple[Epoch, ...]
    seconds: float
    failure: str | None = None
    state: TrainingState | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of(
        cls,
        seed: int,
        history: tuple[Epoch, ...],
        seconds: float,
        failure: str | None,
        state: TrainingState | None,
    ) -> Outcome:
        """Return the outcome of a training with ``history``; one that failed has no state and the worst accuracy."""
        if failure is None:
            return cls(seed, history[-1].accuracy, history, seconds, None, state)
        return cls(seed, WORST_ACCURACY, history, seconds, failure)

    @property
    def epochs(self) -> int:
        """Epochs trained."""
        return len(self.history)


class Loss(Protocol):
    """What a training makes small, where that is not the cross-entropy; workers get a copy of it."""

    def __call__(self, logits: Tensor, images: Tensor, labels: Tensor) -> Tensor:
        """Return the loss, a 0-dim tensor: of logits (B, classes), the normalized images and their labels (B,)."""

    def settings(self) -> dict[str, Any]:
        """Return all that it depends on, fit for JSON."""


def as_array(tensor: Tensor) -> NDArray[Any]:
    """Return a copy of ``tensor`` on the CPU, of the same shape and dtype, in C order."""
    return tensor.detach().cpu().contiguous().numpy().copy()


def as_tensors(arrays: Arrays) -> dict[str, Tensor]:
    """Return tensors that share the memory of ``arrays``."""
    return {name: torch.from_numpy(value) for name, value in arrays.items()}
