"""The steps of a training: Adam on a cosine schedule, recorded as a CUDA graph where that is possible.

A training can be stopped after any step and resumed from its state with the same results, bit for bit.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from gaaf_gp.binary import binary_layers
from gaaf_gp.training.adam import Adam
from gaaf_gp.training.outcome import Arrays, Epoch, Loss, TrainingState, as_array, as_tensors
from gaaf_gp.util.devices import lowered


class LossScale:
    """Keeps float16 gradients from vanishing: the loss is multiplied by a scale, and its gradients divided by it.

    The scale is as large as it can be: after an overflow, whose step is skipped, it is halved, and doubled after
    ``GROWTH`` steps without one (Micikevicius et al. 2018, arXiv 1710.03740, Section 3.2). Nothing waits for the
    device. torch's ``GradScaler`` does the same, but only for optimisers of ``torch.optim``.

    Attributes:
        value: () float32, the scale; a power of two, so that it rounds nothing.
        good: () int64, steps since the last change.

    Args:
        device: where the loss is.
    """

    def __init__(self, device: torch.device) -> None:
        self.value = torch.full((), START, device=device)
        self.good = torch.zeros((), dtype=torch.int64, device=device)

    def overflow(self, gradients: Sequence[Tensor]) -> Tensor:
        """Choose the scale of the next step by ``gradients`` of any shapes.

        Returns:
            () float32 on the device: 1 if a gradient is not finite, else 0.
        """
        finite = torch.stack([gradient.isfinite().all() for gradient in gradients]).all()
        good = torch.where(finite, self.good + 1, 0)
        grows = good == GROWTH
        self.value = torch.where(finite, self.value * (1.0 + grows), self.value / 2)
        self.good = torch.where(grows, 0, good)
        return finite.logical_not().float()

    def state(self) -> tuple[float, int]:
        """Return the scale and the steps since its last change."""
        return float(self.value), int(self.good)

    def restore(self, state: tuple[float, int]) -> None:
        """Go on from what :meth:`state` returned."""
        value, good = state
        self.value.fill_(value)
        self.good.fill_(good)


START = 2.0**16
"""The first scale of a loss; it, the factor 2 and the interval are those of torch's own ``GradScaler``."""
GROWTH = 2000
"""Steps without an overflow after which the scale is doubled."""

AHEAD = 3
"""Steps before the recording: what a first step allocates, such as Adam's moments, must exist by then."""

Step = Callable[[Tensor, Tensor, Tensor | float], Tensor]
"""Takes images, labels and the learning rate of a step, makes it, and returns losses that nothing has waited for.

On a GPU it must not depend on, nor change, anything that is not on the device, and not wait for the device."""


class CudaGraphStep:
    """A step that is repeated; on a CUDA device it is recorded as a CUDA graph and replayed.

    A step that cannot be recorded, such as one with a primitive that reads a number back, is called every time.

    Args:
        device: where the steps run.
        recorded: whether a CUDA device records them.
    """

    def __init__(self, device: torch.device, recorded: bool = True) -> None:
        self._device = device
        self._aside = torch.cuda.Stream(device) if recorded and device.type == "cuda" else None
        self._done = 0
        self._record: _Record | None = None

    def __call__(self, step: Step, images: Tensor, labels: Tensor, learning_rate: float) -> Tensor:
        """Make one step.

        Args:
            step: the same in all calls.
            images: as ``step`` takes them.
            labels: as ``step`` takes them.
            learning_rate: of this step.

        Returns:
            The losses of the step, not overwritten by later ones.
        """
        if self._aside is None:
            return step(images, labels, learning_rate)
        if self._record is None and self._done >= AHEAD:
            try:
                self._record = _Record(step, images, labels, self._device)
            except RuntimeError:  # primitives are anybody's code
                self._aside = None
                return step(images, labels, learning_rate)
        if self._record is not None and self._record.fits(images, labels):
            return self._record.play(images, labels, learning_rate)
        self._done += 1
        main = torch.cuda.current_stream(self._device)
        self._aside.wait_stream(main)
        with torch.cuda.stream(self._aside):  # as that of a recording is: autograd keeps to the stream it meets first
            losses = step(images, labels, torch.full((), learning_rate, device=self._device))
        main.wait_stream(self._aside)
        return losses

    def forget(self) -> None:
        """Record again at the next step, because tensors of the step have moved to another place in memory."""
        self._record, self._done = None, 0


class _Record:
    """A CUDA graph of one step, and the places where it finds its input and leaves its losses."""

    def __init__(self, step: Step, images: Tensor, labels: Tensor, device: torch.device) -> None:
        self._images, self._labels = images.clone(), labels.clone()
        self._learning_rate = torch.zeros((), device=device)
        self._graph = torch.cuda.CUDAGraph()
        # other threads, such as one that copies images to the device, may go on allocating memory
        with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
            self._losses = step(self._images, self._labels, self._learning_rate)

    def fits(self, images: Tensor, labels: Tensor) -> bool:
        return images.shape == self._images.shape and labels.shape == self._labels.shape

    def play(self, images: Tensor, labels: Tensor, learning_rate: float) -> Tensor:
        self._images.copy_(images)
        self._labels.copy_(labels)
        self._learning_rate.fill_(learning_rate)
        self._graph.replay()
        return self._losses.clone()


LATENT_LIMIT = 1.3
"""Latent weights are clipped to +-1.3 after each step (GAAF's published training code)."""


class TrainingSteps(ABC):
    """The steps of a training, whether of one candidate (:class:`Training`) or of many (``Stack``) side by side.

    The optimiser is Adam. Step t of ``total_steps`` has the learning rate
    ``learning_rate (1 + cos(pi t / total_steps)) / 2`` (Loshchilov and Hutter 2017, arXiv 1608.03983, Equation 5,
    without restarts), and latent weights are clipped to +-1.3 after it. Shapes below are those of one candidate; in a
    stack losses are (candidates,) and logits (candidates, B, classes).

    Attributes:
        model: the network, on its device.
        optimizer: Adam over all parameters.
        generator: draws the order of the batches and the augmentation, on the device.
        steps: steps made so far.
        learning_rate: of the first step.
        total_steps: those of the whole schedule, whether or not they are all made.

    Args:
        model: the network.
        optimizer: over the parameters that are trained.
        latent: those of the parameters that are clipped.
        generator: on the device of the model.
        learning_rate: of the first step.
        total_steps: at least 1.
        recorded: whether a CUDA device may record a step, see :class:`CudaGraphStep`.
        scale: of the loss, None for none.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Adam,
        latent: Sequence[Tensor],
        generator: torch.Generator,
        *,
        learning_rate: float,
        total_steps: int,
        recorded: bool = True,
        scale: LossScale | None = None,
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self.generator = generator
        self.steps = 0
        self.learning_rate = learning_rate
        self.total_steps = total_steps
        self._latent = latent
        self._graph = CudaGraphStep(generator.device, recorded)
        self._scale = scale

    @abstractmethod
    def logits(self, images: Tensor) -> Tensor:
        """Return what the network makes of ``images``, (B,C,H,W) normalized floats, as (B, classes)."""

    @abstractmethod
    def losses(self, logits: Tensor, images: Tensor, labels: Tensor) -> Tensor:
        """Return the loss (nats) of a batch, a 0-dim tensor with the graph of ``logits``.

        Args:
            logits: (B, classes), as :meth:`logits` returns them.
            images: (B,C,H,W) normalized floats that they belong to.
            labels: (B,) int64.
        """

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """Return parameters and buffers by name, not copied."""

    def step(self, images: Tensor, labels: Tensor) -> Tensor:
        """Make one step and return the loss ahead of it, a 0-dim tensor on the device that nothing has waited for.

        Args:
            images: (B,C,H,W) normalized floats.
            labels: (B,) int64.
        """
        cosine = math.cos(math.pi * self.steps / self.total_steps)
        self.steps += 1
        return self._graph(self._step, images, labels, self.learning_rate * (1 + cosine) / 2)

    def _step(self, images: Tensor, labels: Tensor, learning_rate: Tensor | float) -> Tensor:
        losses = self.losses(self.logits(images), images, labels)
        self.optimizer.zero_grad()
        # no candidate of a stack meets another, so each loss gets its own gradients
        if self._scale is None:
            losses.sum().backward()
            self.optimizer.step(learning_rate)
        else:
            scale = self._scale.value
            losses.backward(scale)
            gradients = [parameter.grad for parameter in self.optimizer.parameters if parameter.grad is not None]
            self.optimizer.step(learning_rate, scale, self._scale.overflow(gradients))
        with torch.no_grad():
            for weight in self._latent:
                weight.clamp_(-LATENT_LIMIT, LATENT_LIMIT)
        return losses.detach()

    def _arrays(self) -> tuple[Arrays, dict[int, Arrays], NDArray[np.uint8]]:
        """Return copies of parameters and buffers, of Adam's moments, and of the state of the generator."""
        moments = self.optimizer.moments().items()
        return (
            {name: as_array(value) for name, value in self.tensors().items()},
            {number: {name: as_array(value) for name, value in kept.items()} for number, kept in moments},
            as_array(self.generator.get_state()),
        )

    def _resume(self, state: TrainingState, moments: Mapping[int, Mapping[str, Tensor]]) -> None:
        """Take over ``moments``, and the place in the schedule and in the random numbers from ``state``."""
        self.optimizer.restore(moments)
        self._graph.forget()
        self.steps = state.steps
        self.generator.set_state(torch.from_numpy(state.generator))


class Training(TrainingSteps):
    """The training of one candidate: a model, its optimiser and the schedule of its steps.

    The model is put into channels-last memory. The loss is cross-entropy by default.

    Args:
        model: a network, on its device already.
        learning_rate: of the first step.
        total_steps: those of the whole schedule, whether or not they are all made.
        seed: of the generator.
        precision: of the real layers, one of :data:`gaaf_gp.util.devices.PRECISIONS`.
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
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        device = next(model.parameters()).device
        super().__init__(
            model,
            Adam(model.parameters()),
            [layer.weight for layer in binary_layers(model)],
            torch.Generator(device).manual_seed(seed),
            learning_rate=learning_rate,
            total_steps=total_steps,
            # a loss of its own, or a scale of it, may keep what a recording must not change
            recorded=loss is None and precision == "float32",
            scale=LossScale(device) if precision == "float16" else None,
        )
        self._precision = precision
        self._loss = loss

    def logits(self, images: Tensor) -> Tensor:
        """Return what the network makes of normalized ``images``, in the precision of the training, as float32."""
        if self._precision == "float32":
            y: Tensor = self.model(images)
            return y
        with lowered(self._precision, self.generator.device):
            return self.model(images).float()  # type: ignore[no-any-return]

    def losses(self, logits: Tensor, images: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of one batch, see :meth:`TrainingSteps.losses`."""
        return functional.cross_entropy(logits, labels) if self._loss is None else self._loss(logits, images, labels)

    def tensors(self) -> dict[str, Tensor]:
        """Return parameters and buffers by name, as ``model.load_state_dict`` takes them."""
        return self.model.state_dict()

    def state(self, text: str | None, seed: int, history: tuple[Epoch, ...], seconds: float) -> TrainingState:
        """Return a copy of everything that later steps depend on.

        Args:
            text: canonical text of the candidate, None for the plain sign.
            seed: of the training.
            history: the epochs so far.
            seconds: wall time so far.
        """
        model, moments, generator = self._arrays()
        scale = None if self._scale is None else self._scale.state()
        return TrainingState(text, seed, history, seconds, self.steps, model, moments, generator, scale)

    def restore(self, state: TrainingState) -> None:
        """Continue from ``state``, which a training of the same candidate in the same network left.

        Raises:
            RuntimeError: torch finds weights of another network in it.
        """
        self.model.load_state_dict(as_tensors(state.model))
        self._resume(state, {number: as_tensors(kept) for number, kept in state.moments.items()})
        if self._scale is not None and state.scale is not None:
            self._scale.restore(state.scale)
