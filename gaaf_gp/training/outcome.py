"""How a training ended, epoch by epoch, and the state from which a training is resumed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gaaf_gp.errors import GaafError

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

    It holds numpy arrays and no tensors: torch would send tensors between processes through shared memory, of which
    containers have little.

    Attributes:
        text: canonical text of the candidate, None for the plain sign.
        seed: of the training.
        history: the epochs so far.
        seconds: wall time so far.
        steps: optimiser steps so far.
        model: parameters and buffers by name, with the shapes and dtypes of the model.
        moments: Adam's state by the number of each parameter that was ever moved: ``step`` () float32, ``exp_avg`` and
            ``exp_avg_sq`` in shape and dtype of the parameter.
        generator: (n,) state of the torch generator of batch order and augmentation.
        scale: scale of the loss in float16 and steps since it changed; None in other precisions.
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
    """How one training ended.

    Attributes:
        seed: of the training.
        accuracy: that of the last epoch on the scored split (0 to 1), or ``WORST_ACCURACY`` if it failed. The best of
            all epochs would be biased upwards by its noise.
        history: the epochs, from the first one on.
        seconds: wall time.
        failure: why it failed, None if it did not.
        state: to resume a training from that was stopped between two epochs; None if it is finished or has failed.
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
        """Return the outcome of a training; one that failed has no state and the worst accuracy.

        Args:
            seed: of the training.
            history: the epochs; at least one unless the training failed.
            seconds: wall time.
            failure: why it failed, None if it did not.
            state: to resume it from, or None.
        """
        if failure is None:
            return cls(seed, history[-1].accuracy, history, seconds, None, state)
        return cls(seed, WORST_ACCURACY, history, seconds, failure)

    @property
    def epochs(self) -> int:
        """Epochs trained."""
        return len(self.history)


def check_plain_sign(outcomes: Iterable[Outcome], task: str = "that") -> None:
    """Refuse a task in which the plain sign fails: its candidates are not to blame.

    Args:
        outcomes: of the plain sign.
        task: what the message calls the task.

    Raises:
        GaafError: with the reason of the first one that failed.
    """
    failure = next((outcome.failure for outcome in outcomes if outcome.failure is not None), None)
    if failure is not None:
        raise GaafError(
            f"the training task must work for the plain sign, but {task} failed ({failure}): correct the network and "
            "the data, train longer or on more images, or use a smaller network"
        )


class Loss(Protocol):
    """A loss other than cross-entropy. Worker processes get a pickled copy of it."""

    def __call__(self, logits: Tensor, images: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of a batch, a 0-dim tensor with the graph of ``logits``.

        Args:
            logits: (B, classes) float32 of the network.
            images: (B,C,H,W) normalized floats that it got.
            labels: (B,) int64.
        """

    def settings(self) -> dict[str, Any]:
        """Return everything that the loss depends on, as JSON-able values."""


def as_array(tensor: Tensor) -> NDArray[Any]:
    """Return a copy of ``tensor`` on the CPU, of the same shape and dtype, in C order."""
    return tensor.detach().cpu().contiguous().numpy().copy()


def as_tensors(arrays: Arrays) -> dict[str, Tensor]:
    """Return tensors that share the memory of ``arrays``."""
    return {name: torch.from_numpy(value) for name, value in arrays.items()}
