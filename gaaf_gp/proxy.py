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
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gaaf_gp.augment import augment
from gaaf_gp.binary import build_network, clip_latent_weights
from gaaf_gp.compile import Activation
from gaaf_gp.data import Data, Split, normalize
from gaaf_gp.errors import GaafError
from gaaf_gp.individual import Individual
from gaaf_gp.semantics import failure_reason, screen

WORST_ACCURACY = 0.0
"""The declared fitness of a candidate that failed: below anything that a trained network reaches."""
LATENT_LIMIT = 1.3
"""Latent weights are clipped to +-1.3 after each step (GAAF's published training code)."""
SCORING_BATCH = 500


@dataclass(frozen=True)
class Epoch:
    """One epoch: mean training loss (cross-entropy, nats) and accuracy on the scored split (0 to 1)."""

    loss: float
    accuracy: float


@dataclass(frozen=True)
class Outcome:
    """How one training went.

    ``accuracy`` is that of the last epoch on the scored split (0 to 1), or ``WORST_ACCURACY`` with the reason in
    ``failure``; the best of all epochs would be biased upwards by its noise. ``seconds`` is wall time.
    """

    seed: int
    accuracy: float
    history: tuple[Epoch, ...]
    seconds: float
    failure: str | None = None


class _FailedError(Exception):
    """Ends the training of one candidate; the message is the reason that is kept."""


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
        self._build(None)  # refuses an unknown network or setting before anything is trained

    def settings(self) -> dict[str, Any]:
        """Return everything that the outcome depends on but the candidate and the seed, as JSON-able values."""
        fields = {name: value for name, value in self.__dict__.items() if name != "data"}
        return {**fields, "network_settings": dict(self.network_settings), "data": self.data.settings()}

    def train(self, individual: Individual | None, seed: int, score: Split | None = None) -> Outcome:
        """Train one candidate and score it.

        Args:
            individual: the candidate; None for the plain sign.
            seed: of the initial weights, the order of the batches and the augmentation.
            score: the split whose accuracy is returned; the validation split by default.

        Returns:
            The outcome. A value that is not a number, a constant sign, a loss that is not finite, one class for every
            image, memory that runs out, an exhausted time budget or an operation that fails end only this training.
        """
        started = time.perf_counter()
        history: list[Epoch] = []
        try:
            with _threads(self.threads):
                reason = None if individual is None else screen(individual)
                if reason is not None:
                    raise _FailedError(reason)
                for epoch in self._epochs(individual, seed, self.data.val if score is None else score, started):
                    history.append(epoch)
            failure = None
        except _FailedError as failed:
            failure = str(failed)
        except Exception as error:  # primitives are anybody's code, and one bad candidate must not end a run
            failure = failure_reason(error)
        accuracy = history[-1].accuracy if failure is None else WORST_ACCURACY
        return Outcome(seed, accuracy, tuple(history), time.perf_counter() - started, failure)

    def _build(self, individual: Individual | None) -> nn.Module:
        activation = None if individual is None else functools.partial(Activation, individual)
        classes, channels = self.data.num_classes, self.data.channels
        return build_network(self.network, classes, channels, activation, **self.network_settings)

    def _epochs(self, individual: Individual | None, seed: int, score: Split, started: float) -> Iterator[Epoch]:
        device = self.data.train.images.device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(seed)
            model = self._build(individual)
        model = model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimizer = torch.optim.Adam(model.parameters(), lr=self.learning_rate, fused=True)
        steps = len(self.data.train) // self.batch_size
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.epochs * steps)
        generator = torch.Generator(device).manual_seed(seed)
        for number in range(1, self.epochs + 1):
            loss = torch.zeros((), device=device)
            model.train()
            for images, labels in self._batches(generator):
                if self.seconds is not None and time.perf_counter() - started > self.seconds:
                    raise _FailedError(f"time budget of {self.seconds:g} s exhausted in epoch {number}")
                step_loss = functional.cross_entropy(model(images), labels)
                optimizer.zero_grad()
                step_loss.backward()
                optimizer.step()
                schedule.step()
                clip_latent_weights(model, LATENT_LIMIT)
                loss += step_loss.detach()  # summed on the device: reading it each step would stall a GPU
            mean_loss = float(loss) / steps
            if not math.isfinite(mean_loss):
                raise _FailedError(f"non-finite loss in epoch {number}")
            yield Epoch(mean_loss, self._accuracy(model, score, last=number == self.epochs))

    def _batches(self, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        train = self.data.train
        order = torch.randperm(len(train), generator=generator, device=train.images.device)
        for start in range(0, len(order) - self.batch_size + 1, self.batch_size):
            chosen = order[start : start + self.batch_size]
            images = augment(train.images[chosen], pad=self.pad, flip=self.flip, generator=generator)
            yield self._prepared(images), train.labels[chosen]

    def _prepared(self, images: Tensor) -> Tensor:
        return normalize(images, self.data.mean, self.data.std).contiguous(memory_format=torch.channels_last)

    @torch.no_grad()
    def _accuracy(self, model: nn.Module, split: Split, last: bool) -> float:
        model.eval()
        logits = torch.cat([model(self._prepared(images)) for images in split.images.split(SCORING_BATCH)])
        if not bool(torch.isfinite(logits).all()):
            raise _FailedError("non-finite output")
        predicted = logits.argmax(1)
        if last and bool((predicted == predicted[0]).all()):
            raise _FailedError(f"constant output: every image is called {self.data.classes[int(predicted[0])]!r}")
        return float((predicted == split.labels).double().mean())


@contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
