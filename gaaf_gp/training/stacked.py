"""Training of many candidates at once, as one stack of networks that differ in their activation functions.

As in single trainings, all candidates start from the same weights and see the same batches with the same augmentation.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import functional_call, vmap
from torch.nn import functional

from gaaf_gp.activations.behaviour import OUT_OF_MEMORY, failure_reason
from gaaf_gp.activations.factory import activation_factory
from gaaf_gp.binary import BatchNorm, BinaryLayer, TableActivation, binarize
from gaaf_gp.data.batches import SCORED
from gaaf_gp.data.load import AnySplit
from gaaf_gp.errors import FOREIGN, GaafError
from gaaf_gp.training.adam import Adam
from gaaf_gp.training.budget import FailedError, out_of_time
from gaaf_gp.training.epochs import loss_failure, mean_losses, scores
from gaaf_gp.training.outcome import Arrays, Epoch, Outcome, TrainingState
from gaaf_gp.training.proxy import Proxy
from gaaf_gp.training.step import Training, TrainingSteps
from gaaf_gp.trees.candidate import Candidate, text_of
from gaaf_gp.util.checks import any_seed, whole_number
from gaaf_gp.util.devices import gradients, threads


class Stack(TrainingSteps):
    """One network, trained for many candidates side by side; each makes the steps of its own :class:`Training`.

    Attributes:
        parameters: by name, each (candidates, ...), leaves of the graph.
        buffers: by name, each (candidates, ...): running statistics.

    Args:
        training: a training of the plain sign from tables, at its start; the stack takes over its model, its generator
            and its schedule.
        activations: the tables of each candidate, on the device of the model.
        orientations: +1, or -1 for a candidate whose latent weights start negated.
    """

    def __init__(self, training: Training, activations: Sequence[TableActivation], orientations: Sequence[int]) -> None:
        model, generator, count = training.model, training.generator, len(activations)
        layers = {name: module for name, module in model.named_modules() if isinstance(module, BinaryLayer)}
        for layer in layers.values():
            _take_signs(layer)
        for module in model.modules():
            if isinstance(module, BatchNorm):
                _fold(module)
        self._surrogates = {f"{name}.weight": layer.weight_surrogate for name, layer in layers.items()}
        tables = {
            kind: torch.stack([getattr(activation, kind) for activation in activations]) for kind in ("sign", "slope")
        }
        self._tables = {f"{name}.activation.{kind}": table for name in layers for kind, table in tables.items()}
        turns = torch.tensor(orientations, device=generator.device)
        self.parameters: dict[str, Tensor] = {}
        for name, value in model.named_parameters():
            copies = _copies(value, count)
            if name in self._surrogates:
                copies *= turns.view(-1, *(1,) * value.dim())
            self.parameters[name] = copies.requires_grad_()
        learned = model.state_dict().keys() - self.parameters.keys()
        self.buffers = {name: _copies(value, count) for name, value in model.named_buffers() if name in learned}
        super().__init__(
            model,
            Adam(self.parameters.values(), rows=True),
            [self.parameters[name] for name in self._surrogates],
            generator,
            learning_rate=training.learning_rate,
            total_steps=training.total_steps,
        )

    def logits(self, images: Tensor) -> Tensor:
        """Return the logits of all candidates for the same images.

        Args:
            images: (B,C,H,W) normalized floats.

        Returns:
            (candidates, B, classes) float32.
        """
        signs = {name: binarize(self.parameters[name], surrogate) for name, surrogate in self._surrogates.items()}

        def of_one(parameters: dict[str, Tensor], buffers: dict[str, Tensor]) -> Tensor:
            # layers share tables, but each of them is handed its own name for them
            return cast(Tensor, functional_call(self.model, (parameters, buffers), (images,), tie_weights=False))

        return vmap(of_one)(self.parameters | signs, self.buffers | self._tables)

    def losses(self, logits: Tensor, images: Tensor, labels: Tensor) -> Tensor:  # noqa: ARG002  as in a Training
        """Return the cross-entropy (nats) of each candidate, (candidates,).

        Args:
            logits: (candidates, B, classes).
            images: not used.
            labels: (B,) int64, the same for all.
        """
        targets = labels.expand(len(logits), -1)
        losses = functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
        return losses.view_as(targets).mean(1)

    def tensors(self) -> dict[str, Tensor]:
        """Return parameters and buffers by name, each (candidates, ...)."""
        return self.parameters | self.buffers

    def states(
        self, texts: Sequence[str | None], seed: int, histories: Sequence[Sequence[Epoch]], seconds: Sequence[float]
    ) -> list[TrainingState]:
        """Return the state of each candidate; single trainings can be resumed from it too.

        Args:
            texts: canonical text of each candidate, None for the plain sign.
            seed: of all of them.
            histories: the epochs of each.
            seconds: wall time of each.
        """
        model, moments, generator = self._arrays()
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
        for name, value in self.tensors().items():
            value.copy_(torch.from_numpy(np.stack([state.model[name] for state in states])))
        moments = {
            number: {name: _moment([state.moments[number][name] for state in states]) for name in names}
            for number, names in states[0].moments.items()
        }
        self._resume(states[0], moments)


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


def _slices(stacks: Arrays, place: int) -> Arrays:
    """Return the part of one candidate; Adam's count of steps is the same for all."""
    return {name: np.array(stack[place] if stack.ndim else stack) for name, stack in stacks.items()}


AT_ONCE = 32
"""Most candidates in one stack: its memory grows with them."""


@dataclass(frozen=True)
class _Member:
    """A candidate that can be stacked, and its place among those given."""

    place: int
    individual: Candidate | None
    activation: TableActivation
    orientation: int
    state: TrainingState | None

    @property
    def text(self) -> str | None:
        return text_of(self.individual)

    @property
    def point(self) -> tuple[int, bytes]:
        """Where in the schedule it starts: only candidates at one point can share their batches."""
        return (0, b"") if self.state is None else (self.state.steps, self.state.generator.tobytes())


@dataclass(frozen=True)
class _How:
    """The arguments of :func:`train_stacked` that all candidates share."""

    seed: int
    score: AnySplit | None
    epochs: int | None
    filled: bool


def train_stacked(
    proxy: Proxy,
    individuals: Sequence[Candidate | None],
    seed: int,
    score: AnySplit | None = None,
    *,
    epochs: int | None = None,
    states: Sequence[TrainingState | None] | None = None,
    at_once: int = AT_ONCE,
    filled: bool = False,
) -> list[Outcome]:
    """Train many candidates at once and return for each the outcome that ``proxy.train`` would give it.

    Stacked are candidates that are looked up in tables, where torch computes the network in float32: on a GPU, or on a
    CPU with the kernels "torch". All others are trained by ``proxy.train``, one after another, in the same call: those
    with learnable operators or primitives that look at other values, all with ``tables=False``, compiled kernels,
    another precision or images that are streamed from files, and one that is left alone, unless stacks are filled. A
    candidate that fails does not touch the others of its stack.

    Stacks sum in another order than single trainings, and in one that depends on the size of the stack. Training
    multiplies such rounding: late losses and accuracies differ as those of two machines do. In ``filled`` stacks, which
    all have one size, an outcome depends on its candidate and ``seed`` only, bit for bit: not on who shares the stack,
    and not on whether the training went on from a state. Where the memory does not suffice for that size it does depend
    on the memory.

    Args:
        proxy: the training task.
        individuals: the candidates: trees, two of them, baselines; None for the plain sign.
        seed: of all of them, see :meth:`Proxy.train`.
        score: the split whose accuracy is returned; the validation split by default.
        epochs: stop after this epoch of the schedule; the last one by default.
        states: one for each candidate to go on from, or None; they may come from single trainings.
        at_once: most candidates in one stack. A stack that memory does not suffice for is trained in halves.
        filled: fill every stack up to ``at_once`` with copies of its last candidate, whose outcomes are dropped.

    Returns:
        The outcomes in the order of ``individuals``. ``seconds`` of a stacked one is its share of the stack's wall
        time; the proxy's time budget is compared with what its share of a stack without copies would be.

    Raises:
        GaafError: ``at_once`` is below 1, there is not one state for each candidate, or :meth:`Proxy.train` refuses
            ``epochs`` or a state.
    """
    seed, at_once = any_seed(seed), whole_number("at_once", at_once)
    if states is not None and len(states) != len(individuals):
        raise GaafError(f"there must be a state or None for each of {len(individuals)} candidates, got {len(states)}")
    pairs = list(zip(individuals, [None] * len(individuals) if states is None else states, strict=True))
    for individual, state in pairs:
        proxy.last_epoch(individual, seed, epochs, state)  # refuses what does not fit before anything is trained
    outcomes: dict[int, Outcome] = {}
    groups: dict[tuple[int, bytes], list[_Member]] = {}
    for place, (individual, state) in enumerate(pairs):
        member = _member(proxy, place, individual, state)
        if member is None:
            outcomes[place] = proxy.train(individual, seed, score, epochs=epochs, state=state)
        else:
            groups.setdefault(member.point, []).append(member)
    how = _How(seed, score, epochs, filled)
    for members in groups.values():
        outcomes |= _in_stacks(proxy, members, how, at_once)
    return [outcomes[place] for place in range(len(pairs))]


def _member(proxy: Proxy, place: int, individual: Candidate | None, state: TrainingState | None) -> _Member | None:
    """Return None for a candidate that must be trained alone, by ``proxy.train``."""
    if not proxy.stackable:
        return None
    measured = None if individual is None else proxy.behaviour(individual)
    if measured is not None and measured.failure is not None:
        return None
    try:
        factory = activation_factory(individual, proxy.surrogate, tables=True, device=proxy.data.device)
        activation = None if factory is None else factory(1)
    except FOREIGN:  # primitives are anybody's code; trained alone, the candidate gets its reason
        return None
    if not isinstance(activation, TableActivation):
        return None
    return _Member(place, individual, activation, 1 if measured is None else measured.orientation, state)


def _in_stacks(proxy: Proxy, members: Sequence[_Member], how: _How, at_once: int) -> dict[int, Outcome]:
    """Return the outcomes by place."""
    outcomes: dict[int, Outcome] = {}
    for start in range(0, len(members), at_once):
        outcomes |= _in_one(proxy, members[start : start + at_once], how, at_once)
    return outcomes


def _in_one(proxy: Proxy, members: Sequence[_Member], how: _How, at_once: int) -> dict[int, Outcome]:
    """Train a stack, or its halves if there is not the memory for it."""
    size = at_once if how.filled else len(members)
    if size == 1:
        (one,) = members
        return {one.place: proxy.train(one.individual, how.seed, how.score, epochs=how.epochs, state=one.state)}
    try:
        with threads(proxy.threads), gradients():
            return _Run(proxy, members, how.seed, size).outcomes(proxy.scored(how.score), how.epochs)
    except FOREIGN as error:
        if failure_reason(error) != OUT_OF_MEMORY:
            raise
    # not in the handler: there the error still holds what the stack had allocated
    return _in_stacks(proxy, members, how, (size + 1) // 2)


class _Run:
    """The training of one stack, with the history and the failure of each candidate.

    Args:
        proxy: the training task.
        members: the candidates; copies of the last one fill the stack up to its size.
        seed: of all of them.
        size: of the stack.
    """

    def __init__(self, proxy: Proxy, members: Sequence[_Member], seed: int, size: int) -> None:
        self.proxy = proxy
        self.asked = len(members)
        self.members = [*members, *[members[-1]] * (size - len(members))]
        self.seed = seed
        self.started = time.perf_counter()
        self.histories = [[] if member.state is None else list(member.state.history) for member in self.members]
        self.failures: dict[int, str] = {}

    def outcomes(self, split: AnySplit, epochs: int | None) -> dict[int, Outcome]:
        proxy, members = self.proxy, self.members
        last = proxy.epochs if epochs is None else epochs
        kept: Sequence[TrainingState | None] = [None] * len(members)
        stack = self._begun()
        for number in range(len(self.histories[0]) + 1, last + 1):
            self._epoch(stack, split, number)
        seconds = self._seconds(self.asked)
        if last < proxy.epochs:
            kept = stack.states([member.text for member in members], self.seed, self.histories, seconds)
        return {
            member.place: Outcome.of(
                self.seed, tuple(self.histories[place]), seconds[place], self.failures.get(place), kept[place]
            )
            for place, member in enumerate(members[: self.asked])
        }

    def _begun(self) -> Stack:
        stack = Stack(
            self.proxy.training(None, self.seed),
            [member.activation for member in self.members],
            [member.orientation for member in self.members],
        )
        states = [member.state for member in self.members if member.state is not None]
        if states:
            stack.restore(states)
        return stack

    def _epoch(self, stack: Stack, split: AnySplit, number: int) -> None:
        """Train all for one epoch and score them. Only its end waits for the device."""
        proxy = self.proxy
        try:
            means = mean_losses(stack, proxy.batches, lambda: self._check_budget(number))
        except FailedError:
            return
        classes = proxy.data.classes if number == proxy.epochs else None
        # a stack of images takes no more memory than a step did
        scored = scores(stack, proxy.batches, split, classes, max(proxy.batch_size, SCORED // len(self.members)))
        for place, (mean, score) in enumerate(zip(means, scored, strict=True)):
            failure = loss_failure(mean, number) or score.failure
            if failure is not None:
                self.failures.setdefault(place, failure)
            if place not in self.failures:
                self.histories[place].append(Epoch(mean, score.accuracy))

    def _seconds(self, sharing: int) -> list[float]:
        share = (time.perf_counter() - self.started) / sharing
        return [share + (0.0 if member.state is None else member.state.seconds) for member in self.members]

    def _check_budget(self, number: int) -> None:
        """Note which candidates are over their budget.

        Raises:
            FailedError: all candidates have failed.
        """
        budget = self.proxy.seconds
        if budget is not None:
            for place, spent in enumerate(self._seconds(len(self.members))):
                if spent > budget:
                    self.failures.setdefault(place, f"{out_of_time(budget)} in epoch {number}")
        if len(self.failures) == len(self.members):
            raise FailedError("all candidates of the stack have failed")
