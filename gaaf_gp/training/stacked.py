"""Trains many candidates at once, in stacks, and says how each of them went.

The candidates of a stack are paired as all candidates are: they start from the same weights and see the same batches
with the same augmentation.
"""

from __future__ import annotations

import math
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
from gaaf_gp.errors import GaafError
from gaaf_gp.training.adam import Adam
from gaaf_gp.training.outcome import WORST_ACCURACY, Epoch, Outcome, TrainingState
from gaaf_gp.training.proxy import Proxy
from gaaf_gp.training.step import LATENT_LIMIT, Repeated, Training
from gaaf_gp.trees.candidate import Candidate, text_of
from gaaf_gp.util.devices import threads


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
    """What the candidates of one call share, see :func:`train_stacked`."""

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
        filled: fill every stack up to ``at_once`` with copies of its last candidate, whose outcomes nobody sees.

    Returns:
        The outcomes in the order of ``individuals``. ``seconds`` of a stacked one is its share of the stack's wall
        time; the proxy's time budget is compared with what its share of a stack without copies would be.

    Raises:
        GaafError: ``at_once`` is below 1, there is not one state for each candidate, or :meth:`Proxy.train` refuses
            ``epochs`` or a state.
    """
    if isinstance(at_once, bool) or not isinstance(at_once, int) or at_once < 1:
        raise GaafError(f"at_once must be a whole number of at least 1, got {at_once!r}; give for example {AT_ONCE}")
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
    """Return None for what ``proxy.train`` must see to."""
    if not proxy.stackable:
        return None
    found = None if individual is None else proxy.behaviour(individual)
    if found is not None and found.failure is not None:
        return None
    try:
        factory = activation_factory(individual, proxy.surrogate, tables=True, device=proxy.data.device)
        activation = None if factory is None else factory(1)
    except Exception:  # primitives are anybody's code; trained alone, the candidate gets its reason
        return None
    if not isinstance(activation, TableActivation):
        return None
    return _Member(place, individual, activation, 1 if found is None else found.orientation, state)


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
        with threads(proxy.threads):
            return _Run(proxy, members, how.seed, size).outcomes(proxy.scored(how.score), how.epochs)
    except Exception as error:
        if failure_reason(error) != OUT_OF_MEMORY:
            raise
    # not in the handler: there the error still holds what the stack had allocated
    return _in_stacks(proxy, members, how, (size + 1) // 2)


class _Run:
    """One stack on its way: what it has learned of each candidate so far.

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
        self.histories = [[] if one.state is None else list(one.state.history) for one in self.members]
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
            kept = stack.states([one.text for one in members], self.seed, self.histories, seconds)
        asked = members[: self.asked]
        return {one.place: self._outcome(place, seconds[place], kept[place]) for place, one in enumerate(asked)}

    def _begun(self) -> Stack:
        proxy = self.proxy
        stack = Stack(
            proxy.training(None, self.seed),
            [one.activation for one in self.members],
            [one.orientation for one in self.members],
            learning_rate=proxy.learning_rate,
            total_steps=proxy.epochs * len(proxy.batches),
        )
        states = [one.state for one in self.members if one.state is not None]
        if states:
            stack.restore(states)
        return stack

    def _epoch(self, stack: Stack, split: AnySplit, number: int) -> None:
        """Train all for one epoch and score them. Only its end waits for the device."""
        batches = self.proxy.batches
        losses = torch.zeros(len(self.members), device=stack.generator.device)
        for images, labels in batches.epoch(stack.generator):
            self._check_budget(number)
            if len(self.failures) == len(self.members):
                return
            losses += stack.step(images, labels)
        means = [loss / len(batches) for loss in losses.tolist()]
        for place, mean in enumerate(means):
            if not math.isfinite(mean):
                self.failures.setdefault(place, f"non-finite loss in epoch {number}")
        accuracies = self._accuracies(stack, split, last=number == self.proxy.epochs)
        for place, history in enumerate(self.histories):
            if place not in self.failures:
                history.append(Epoch(means[place], accuracies[place]))

    def _accuracies(self, stack: Stack, split: AnySplit, last: bool) -> list[float]:
        # a stack of pictures takes no more memory than a step did
        size = max(self.proxy.batch_size, SCORED // len(self.members))
        scored = [(stack.scores(images), truth) for images, truth in self.proxy.batches.scoring(split, size)]
        logits, labels = torch.cat([one for one, _ in scored], 1), torch.cat([truth for _, truth in scored])
        predicted = logits.argmax(2)
        first = predicted[:, 0].tolist()
        for place, finite in enumerate(logits.isfinite().flatten(1).all(1).tolist()):
            if not finite:
                self.failures.setdefault(place, "non-finite output")
        for place, constant in enumerate((predicted == predicted[:, :1]).all(1).tolist()):
            if last and constant:
                name = self.proxy.data.classes[first[place]]
                self.failures.setdefault(place, f"constant output: every image is called {name!r}")
        accuracies: list[float] = (predicted == labels).double().mean(1).tolist()
        return accuracies

    def _seconds(self, sharing: int) -> list[float]:
        share = (time.perf_counter() - self.started) / sharing
        return [share + (0.0 if one.state is None else one.state.seconds) for one in self.members]

    def _check_budget(self, number: int) -> None:
        budget = self.proxy.seconds
        if budget is None:
            return
        for place, spent in enumerate(self._seconds(len(self.members))):
            if spent > budget:
                self.failures.setdefault(place, f"time budget of {budget:g} s exhausted in epoch {number}")

    def _outcome(self, place: int, seconds: float, kept: TrainingState | None) -> Outcome:
        history, failure = tuple(self.histories[place]), self.failures.get(place)
        accuracy = WORST_ACCURACY if failure is not None else history[-1].accuracy
        return Outcome(self.seed, accuracy, history, seconds, failure, kept if failure is None else None)
