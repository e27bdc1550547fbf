"""One training, step by step, that can be put aside between two epochs and gone on with as if it had never stopped.

Here is what a training is made of: the steps, the state that is put aside, the outcome.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from gaaf_gp.adam import Adam
from gaaf_gp.binary import binary_layers
from gaaf_gp.computing import LossScale, lowered
from gaaf_gp.graphs import Repeated

LATENT_LIMIT = 1.3
"""Latent weights are clipped to +-1.3 after each step (GAAF's published training code)."""


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
    model: dict[str, NDArray[Any]]
    moments: dict[int, dict[str, NDArray[Any]]]
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


class Training:
    """A model, its optimiser and the schedule of its steps.

    The loss is cross-entropy by default, the optimiser Adam; step t of ``total_steps`` has the learning rate
    ``learning_rate (1 + cos(pi t / total_steps)) / 2``, and latent weights are clipped to +-1.3 after it.

    Attributes:
        model: the network, in channels-last memory on the device.
        optimizer: Adam over all its parameters.
        generator: draws the order of the batches and the augmentation, on the device.
        steps: steps made so far.

    Args:
        model: a network, on its device already.
        learning_rate: of the first step.
        total_steps: those of the whole schedule, whether or not they are all made.
        seed: of the generator.
        precision: of the real layers, one of :data:`gaaf_gp.computing.PRECISIONS`.
        loss: another one than cross-entropy.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        learning_rate: float,
        total_steps: int,
        seed: int,
        precision: str = "float32",
        loss: Loss | None = None,
    ) -> None:
        self.model: nn.Module = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = Adam(self.model.parameters())
        self.steps = 0
        self._learning_rate = learning_rate
        self._total_steps = total_steps
        self._latent = [layer.weight for layer in binary_layers(self.model)]
        self._device = next(self.model.parameters()).device
        self._precision = precision
        self._loss = loss
        self._scale = LossScale(self._device) if precision == "float16" else None
        self.generator = torch.Generator(self._device).manual_seed(seed)
        # a loss of its own, or a scale of it, may keep what a recording must not change
        plain = loss is None and precision == "float32"
        self._repeated = Repeated(self._device, recorded=plain)

    def step(self, images: Tensor, labels: Tensor) -> Tensor:
        """Make one step and return its loss, a 0-dim tensor on the device that nothing has waited for.

        Args:
            images: (B,C,H,W) normalized floats.
            labels: (B,) int64.
        """
        cosine = math.cos(math.pi * self.steps / self._total_steps)
        self.steps += 1
        return self._repeated(self._step, images, labels, self._learning_rate * (1 + cosine) / 2)

    def _step(self, images: Tensor, labels: Tensor, learning_rate: Tensor | float) -> Tensor:
        logits = self.logits(images)
        loss = functional.cross_entropy(logits, labels) if self._loss is None else self._loss(logits, images, labels)
        self.optimizer.zero_grad()
        self._descend(loss, learning_rate)
        with torch.no_grad():
            for weight in self._latent:
                weight.clamp_(-LATENT_LIMIT, LATENT_LIMIT)
        return loss.detach()

    def logits(self, images: Tensor) -> Tensor:
        """Return what the network makes of normalized ``images``, in the precision of the training, as float32."""
        if self._precision == "float32":
            y: Tensor = self.model(images)
            return y
        with lowered(self._precision, self._device):
            return self.model(images).float()  # type: ignore[no-any-return]

    def _descend(self, loss: Tensor, learning_rate: Tensor | float) -> None:
        if self._scale is None:
            loss.backward()
            self.optimizer.step(learning_rate)
            return
        scale = self._scale.value
        (loss * scale).backward()
        gradients = [one.grad for one in self.optimizer.parameters if one.grad is not None]
        self.optimizer.step(learning_rate, scale, self._scale.overflow(gradients))

    def state(self, text: str | None, seed: int, history: tuple[Epoch, ...], seconds: float) -> TrainingState:
        """Return a copy of all that the steps to come depend on; the arguments go into it as they are."""
        moments = {
            number: {name: _array(value) for name, value in kept.items()}
            for number, kept in self.optimizer.moments().items()
        }
        model = {name: _array(value) for name, value in self.model.state_dict().items()}
        generator, scale = _array(self.generator.get_state()), None if self._scale is None else self._scale.state()
        return TrainingState(text, seed, history, seconds, self.steps, model, moments, generator, scale)

    def restore(self, state: TrainingState) -> None:
        """Go back, or on, to ``state``, which a training of the same candidate in the same network left."""
        self.model.load_state_dict({name: torch.from_numpy(value) for name, value in state.model.items()})
        self.optimizer.restore(
            {
                number: {name: torch.from_numpy(value) for name, value in kept.items()}
                for number, kept in state.moments.items()
            }
        )
        self._repeated.forget()
        self.steps = state.steps
        self.generator.set_state(torch.from_numpy(state.generator))
        if self._scale is not None and state.scale is not None:
            self._scale.restore(state.scale)


def _array(tensor: Tensor) -> NDArray[Any]:
    return tensor.detach().cpu().contiguous().numpy().copy()
