"""Trains one candidate in a small binary network and says how it went.

Candidates are compared in pairs: for one seed all of them start from the same weights and see the same batches with
the same augmentation, so that the difference of two accuracies is due to f and not to the draw. Nothing here knows the
test split.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import nn

from gaaf_gp.batches import Batches
from gaaf_gp.behaviour import Behaviour, behaviour, failure_reason
from gaaf_gp.binary import ActivationFactory, Surrogate, best_kernels, binary_layers, build_network, use_kernels
from gaaf_gp.binary.networks import PAPER
from gaaf_gp.data import Data, Split
from gaaf_gp.epochs import Budget, FailedError, epoch
from gaaf_gp.errors import GaafError
from gaaf_gp.individual import Individual
from gaaf_gp.training import (
    LATENT_LIMIT,
    WORST_ACCURACY,
    Epoch,
    Outcome,
    Training,
    TrainingState,
    activation_factory,
)

__all__ = ["LATENT_LIMIT", "WORST_ACCURACY", "Epoch", "Outcome", "Proxy", "Training", "TrainingState"]


@dataclass
class Proxy:
    """A fixed training task: data, network, and how it is trained.

    The loss is cross-entropy, the optimiser Adam with a cosine schedule from ``learning_rate`` to 0, latent weights are
    clipped to +-1.3. Images are cropped at random after padding by ``pad`` pixels and flipped, on their device.

    Args:
        data: train and validation splits.
        network: a name in :data:`gaaf_gp.binary.NETWORKS`.
        network_settings: further arguments of that network, such as ``{"widths": (16, 32, 64)}``.
        epochs: passes over the training split.
        batch_size: images per step; an incomplete last batch is left out.
        learning_rate: Adam's, at the start.
        pad: pixels of padding for the random crop; 0 for none.
        flip: whether images are mirrored at random.
        seconds: wall-time budget of one training, None for no limit; a candidate over it fails.
        threads: CPU threads of one training. Fixed, because the order of sums, and so the result, depends on it.
        tables: look up functions without learnable operators, the plain sign among them, in tables of all bfloat16
            values (:mod:`gaaf_gp.binary.tables`): one speed for all of them. Inputs of f are rounded to bfloat16 then.
        kernels: what computes binary convolutions on a CPU, one of :data:`gaaf_gp.binary.KERNELS`, or "auto" for the
            quickest that this machine has; the name then says which. The result depends on it by rounding.

    Raises:
        GaafError: for a setting out of its range.
    """

    data: Data
    network: str = "small"
    network_settings: Mapping[str, Any] = field(default_factory=dict)
    epochs: int = 3
    batch_size: int = 128
    learning_rate: float = 5e-3
    pad: int = 2
    flip: bool = True
    seconds: float | None = None
    threads: int = 1
    tables: bool = True
    kernels: str = "auto"

    def __post_init__(self) -> None:
        for name, value in (("epochs", self.epochs), ("batch_size", self.batch_size), ("threads", self.threads)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise GaafError(f"{name} must be a whole number of at least 1, got {value!r}")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise GaafError(f"learning_rate must be a positive number, got {self.learning_rate!r}")
        if self.seconds is not None and not self.seconds > 0:
            raise GaafError(f"the time budget in seconds must be positive or None, got {self.seconds!r}")
        if self.batch_size > len(self.data.train):
            raise GaafError(
                f"batch_size must be at most the {len(self.data.train)} training images, got {self.batch_size}"
            )
        if self.kernels == "auto":
            self.kernels = best_kernels()
        self.surrogate  # noqa: B018  refuses a wrong one in the words of the user's own setting
        self._build(None)  # refuses an unknown network or setting before anything is trained

    def settings(self) -> dict[str, Any]:
        """Return everything that the outcome depends on but the candidate and the seed, as JSON-able values."""
        values = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "data"}
        return {**values, "network_settings": dict(self.network_settings), "data": self.data.settings()}

    @property
    def surrogate(self) -> Surrogate:
        """The surrogate gradient of the inputs' sign in this network."""
        chosen = {**PAPER, **self.network_settings}
        return Surrogate(chosen["surrogate"], chosen["window"], chosen.get("sharpness"))

    def behaviour(self, individual: Individual) -> Behaviour:
        """Return how f behaves in this network: candidates of one signature train alike here."""
        # Only where padding adds zeros do negated signs and negated weights give the same sums.
        return behaviour(individual, self.surrogate, negation=not {**PAPER, **self.network_settings}["pad_value"])

    def train(
        self,
        individual: Individual | None,
        seed: int,
        score: Split | None = None,
        *,
        epochs: int | None = None,
        state: TrainingState | None = None,
    ) -> Outcome:
        """Train one candidate and score it.

        A training may be stopped after any epoch and gone on with: it is the same schedule, and the result is bit for
        bit that of a training that never stopped.

        Args:
            individual: the candidate; None for the plain sign.
            seed: of the initial weights, the order of the batches and the augmentation.
            score: the split whose accuracy is returned; the validation split by default.
            epochs: stop after this epoch of the schedule; the last one by default.
            state: that of an outcome of the same candidate and seed, to go on from.

        Returns:
            The outcome, with the history from the first epoch on. A value that is not a number, a constant sign, a loss
            that is not finite, one class for every image, memory that runs out, an exhausted time budget or an
            operation that fails end only this training.

        Raises:
            GaafError: if ``state`` is of another training, or ``epochs`` not ahead of it and within the schedule.
        """
        last = self.last_epoch(individual, seed, epochs, state)
        started = time.perf_counter() - (0.0 if state is None else state.seconds)
        budget = Budget(started, self.seconds)
        split = self.data.val if score is None else score
        history = [] if state is None else list(state.history)
        kept: TrainingState | None = None
        try:
            with _threads(self.threads):
                training = self._begun(individual, seed, state)
                for number in range(len(history) + 1, last + 1):
                    classes = self.data.classes if number == self.epochs else None
                    history.append(epoch(training, self.batches, split, number, budget, classes))
                if last < self.epochs:
                    kept = training.state(_text(individual), seed, tuple(history), time.perf_counter() - started)
            failure = None
        except FailedError as failed:
            failure = str(failed)
        except Exception as error:  # primitives are anybody's code, and one bad candidate must not end a run
            failure = failure_reason(error)
        accuracy = history[-1].accuracy if failure is None else WORST_ACCURACY
        return Outcome(seed, accuracy, tuple(history), time.perf_counter() - started, failure, kept)

    def training(self, individual: Individual | None, seed: int) -> Training:
        """Return a training at its start: the network on its device, the optimiser and the schedule.

        Where f(1) is negative all latent weights start negated (with zero padding): f and -f then train bit for bit
        alike, and the sign that a tree happens to carry decides nothing.

        The training runs on as many threads as torch is set to; :meth:`train` sets them.
        """
        return self._built(individual, seed, 1 if individual is None else self.behaviour(individual).orientation)

    def _begun(self, individual: Individual | None, seed: int, state: TrainingState | None) -> Training:
        if state is not None:
            training = self._built(individual, seed, 1)
            training.restore(state)
            return training
        if individual is None:
            return self._built(None, seed, 1)
        found = self.behaviour(individual)
        if found.failure is not None:
            raise FailedError(found.failure)
        return self._built(individual, seed, found.orientation)

    def _built(self, individual: Individual | None, seed: int, orientation: int) -> Training:
        device = self.data.train.images.device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(seed)
            model = self._build(individual).to(device)
        if orientation < 0:
            with torch.no_grad():
                for layer in binary_layers(model):
                    layer.weight.neg_()
        steps = self.epochs * len(self.batches)
        return Training(model, learning_rate=self.learning_rate, total_steps=steps, seed=seed)

    @functools.cached_property
    def batches(self) -> Batches:
        """The training batches; made once in each process."""
        return Batches(self.data, self.batch_size, pad=self.pad, flip=self.flip)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "batches"}

    def last_epoch(
        self, individual: Individual | None, seed: int, epochs: int | None, state: TrainingState | None
    ) -> int:
        """Return the epoch after which :meth:`train` would stop.

        Raises:
            GaafError: what :meth:`train` would refuse.
        """
        if state is not None and (state.text, state.seed) != (_text(individual), seed):
            raise GaafError(
                f"a training goes on with the candidate and the seed that it began with, got {_text(individual)!r} and "
                f"{seed} for {state!r}: pass the state of an outcome of this candidate"
            )
        done = 0 if state is None else state.epochs
        last = self.epochs if epochs is None else epochs
        if isinstance(last, bool) or not isinstance(last, int) or not done < last <= self.epochs:
            raise GaafError(f"epochs must be a whole number from {done + 1} to {self.epochs}, got {epochs!r}")
        return last

    def _build(self, individual: Individual | None) -> nn.Module:
        classes, channels = self.data.num_classes, self.data.channels
        factory = self._activation_factory(individual)
        model = build_network(self.network, classes, channels, factory, **self.network_settings)
        use_kernels(model, self.kernels)
        return model

    def _activation_factory(self, individual: Individual | None) -> ActivationFactory | None:
        programs, device = self.kernels != "torch", self.data.train.images.device
        return activation_factory(individual, self.surrogate, tables=self.tables, device=device, programs=programs)


def _text(individual: Individual | None) -> str | None:
    return None if individual is None else individual.canonical


@contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
