"""One network trained for many candidates at once: what a GPU needs, which small networks leave waiting for launches.

Weights, running statistics and tables have the candidates in their first dimension. Each candidate keeps to its own
slice, forward and backward, so that it trains as it would alone, up to the rounding of sums.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import functional_call, vmap
from torch.nn import functional

from gaaf_gp.adam import Adam
from gaaf_gp.binary import BatchNorm, BinaryLayer, TableActivation, binarize
from gaaf_gp.graphs import Repeated
from gaaf_gp.training import LATENT_LIMIT, Epoch, Training, TrainingState


class Stack:
    """One network, trained for many candidates side by side; the steps are those of :class:`Training`.

    Attributes:
        parameters: by name, each (candidates, ...), leaves of the graph.
        buffers: by name, each (candidates, ...): running statistics.
        generator: draws the order of the batches and the augmentation, on the device.
        steps: steps made so far.

    Args:
        training: a training of the plain sign from tables, at its start; the stack takes its model and generator over.
        activations: the tables of each candidate, on the device of the model.
        orientations: +1, or -1 for a candidate whose latent weights start negated.
        learning_rate: of the first step.
        total_steps: those of the whole schedule, whether or not they are all made.
    """

    def __init__(
        self,
        training: Training,
        activations: Sequence[TableActivation],
        orientations: Sequence[int],
        *,
        learning_rate: float,
        total_steps: int,
    ) -> None:
        self.generator = training.generator
        self.steps = 0
        self._learning_rate = learning_rate
        self._total_steps = total_steps
        self._model = training.model
        layers = {name: one for name, one in self._model.named_modules() if isinstance(one, BinaryLayer)}
        self._latent = {f"{name}.weight": layer.weight_surrogate for name, layer in layers.items()}
        for layer in layers.values():
            _take_signs(layer)
        for module in self._model.modules():
            if isinstance(module, BatchNorm):
                _fold(module)
        tables = {kind: torch.stack([getattr(one, kind) for one in activations]) for kind in ("sign", "slope")}
        self._tables = {f"{name}.activation.{kind}": table for name in layers for kind, table in tables.items()}
        turns = torch.tensor(orientations, device=self.generator.device)
        self.parameters: dict[str, Tensor] = {}
        for name, value in self._model.named_parameters():
            copies = _copies(value, len(activations))
            if name in self._latent:
                copies *= turns.view(-1, *(1,) * value.dim())
            self.parameters[name] = copies.requires_grad_()
        learned = self._model.state_dict().keys() - self.parameters.keys()
        self.buffers = {
            name: _copies(value, len(activations)) for name, value in self._model.named_buffers() if name in learned
        }
        self.optimizer = Adam(self.parameters.values(), rows=True)
        self._repeated = Repeated(self.generator.device)

    def step(self, images: Tensor, labels: Tensor) -> Tensor:
        """Make one step for every candidate; return their losses, (candidates,), which nothing has waited for.

        Args:
            images: (B,C,H,W) normalized floats, the same for all.
            labels: (B,) int64.
        """
        self._model.train()
        cosine = math.cos(math.pi * self.steps / self._total_steps)
        self.steps += 1
        return self._repeated(self._step, images, labels, self._learning_rate * (1 + cosine) / 2)

    def _step(self, images: Tensor, labels: Tensor, learning_rate: Tensor | float) -> Tensor:
        logits = self._logits(images)
        targets = labels.expand(len(logits), -1)
        losses = functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
        losses = losses.view_as(targets).mean(1)
        self.optimizer.zero_grad()
        losses.sum().backward()  # no slice meets another, so each loss gets its own gradients
        self.optimizer.step(learning_rate)
        with torch.no_grad():
            for name in self._latent:
                self.parameters[name].clamp_(-LATENT_LIMIT, LATENT_LIMIT)
        return losses.detach()

    @torch.no_grad()
    def scores(self, images: Tensor) -> Tensor:
        """Return the logits of normalized ``images`` with the running statistics, (candidates, B, classes)."""
        self._model.eval()
        return self._logits(images)

    def states(
        self, texts: Sequence[str | None], seed: int, histories: Sequence[Sequence[Epoch]], seconds: Sequence[float]
    ) -> list[TrainingState]:
        """Return for each candidate what :meth:`Training.state` would: single trainings can go on from it too."""
        model = {name: _array(value) for name, value in (self.parameters | self.buffers).items()}
        moments = {
            number: {name: _array(value) for name, value in kept.items()}
            for number, kept in self.optimizer.moments().items()
        }
        generator = _array(self.generator.get_state())
        return [
            TrainingState(
                text,
                seed,
                tuple(history),
                spent,
                self.steps,
                _slices(model, place),
                {number: _slices(values, place) for number, values in moments.items()},
                generator,
            )
            for place, (text, history, spent) in enumerate(zip(texts, histories, seconds, strict=True))
        ]

    @torch.no_grad()
    def restore(self, states: Sequence[TrainingState]) -> None:
        """Go on from ``states``, one for each candidate, of the same step and with the same generator."""
        for name, value in (self.parameters | self.buffers).items():
            value.copy_(torch.from_numpy(np.stack([state.model[name] for state in states])))
        self.optimizer.restore(
            {
                number: {name: _moment([state.moments[number][name] for state in states]) for name in names}
                for number, names in states[0].moments.items()
            }
        )
        self._repeated.forget()
        self.steps = states[0].steps
        self.generator.set_state(torch.from_numpy(states[0].generator))

    def _logits(self, images: Tensor) -> Tensor:
        signs = {name: binarize(self.parameters[name], surrogate) for name, surrogate in self._latent.items()}

        def one(parameters: dict[str, Tensor], buffers: dict[str, Tensor]) -> Tensor:
            # layers share tables, but each of them is handed its own name for them
            return cast(Tensor, functional_call(self._model, (parameters, buffers), (images,), tie_weights=False))

        return vmap(one)(self.parameters | signs, self.buffers | self._tables)


def _take_signs(layer: BinaryLayer) -> None:
    """Let ``layer`` use its weights as they are: under vmap it is handed signs.

    The sign and its gradient are taken of the whole stack instead, since no tensor tells inside of vmap whether it
    needs a gradient.
    """
    layer.binary_weight = lambda: layer.weight  # type: ignore[method-assign]


def _fold(layer: BatchNorm) -> None:
    """Let ``layer`` normalize all candidates as one tensor of many channels: cuDNN knows no ``vmap``."""

    def forward(x: Tensor, shortcut: Tensor | None = None) -> Tensor:
        norm = layer.settings()
        momentum = 0.0 if norm.momentum is None else norm.momentum  # of no effect outside of training
        rest = layer.training, momentum, norm.epsilon
        y = cast(Tensor, _FoldedNorm.apply(x, norm.weight, norm.bias, *norm.running, *rest))  # type: ignore[no-untyped-call]
        return y if shortcut is None else y + shortcut

    layer.forward = forward  # type: ignore[method-assign]


class _FoldedNorm(torch.autograd.Function):
    """Batch norm under ``vmap``. Autograd sees what :meth:`vmap` calls, so there is no backward pass of its own."""

    @staticmethod
    def forward(*arguments: Any) -> Tensor:
        raise NotImplementedError("a stack normalizes under vmap only")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        pass

    @staticmethod
    def vmap(_info: Any, in_dims: Sequence[int | None], x: Tensor, *rest: Any) -> tuple[Tensor, int]:
        *vectors, training, momentum, epsilon = rest
        images = x.movedim(cast(int, in_dims[0]), 1)
        # views, in which the running moments move in place; all of them have the candidates in front
        weight, bias, mean, var = (vector.flatten() for vector in vectors)
        y = functional.batch_norm(images.flatten(1, 2), mean, var, weight, bias, training, momentum, epsilon)
        return y.unflatten(1, images.shape[1:3]), 1


def _copies(tensor: Tensor, number: int) -> Tensor:
    return torch.stack([tensor.detach()] * number)


def _moment(arrays: Sequence[NDArray[Any]]) -> Tensor:
    """Return a moment of all candidates; the count of steps is one for all."""
    return torch.from_numpy(np.stack(arrays) if arrays[0].ndim else arrays[0])


def _array(tensor: Tensor) -> NDArray[Any]:
    return tensor.detach().cpu().contiguous().numpy().copy()


def _slices(stacks: dict[str, NDArray[Any]], place: int) -> dict[str, NDArray[Any]]:
    """Return what is one candidate's; Adam's count of steps is everybody's."""
    return {name: np.array(stack[place] if stack.ndim else stack) for name, stack in stacks.items()}
