"""The training task of a search: one candidate is trained in a small binary network and scored on validation images.

Candidates are compared in pairs: for one seed all of them start from the same weights and see the same batches with
the same augmentation, so that the difference of two accuracies is due to f and not to the draw. The test split is never
used here.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import torch
from numpy.typing import NDArray
from torch import nn

from gaaf_gp.activations.behaviour import Behaviour, behaviour, failure_reason
from gaaf_gp.activations.factory import activation_factory
from gaaf_gp.binary import (
    ActivationFactory,
    BinaryLayer,
    Surrogate,
    best_kernels,
    binary_layers,
    build_network,
    use_kernels,
    use_real_weights,
)
from gaaf_gp.binary.building import PAPER
from gaaf_gp.binary.networks import network_identity
from gaaf_gp.data.batches import Batches, TrainingBatches
from gaaf_gp.data.decoding import Stream
from gaaf_gp.data.load import AnyData, AnySplit
from gaaf_gp.data.streamed import FileSplit, StreamedData
from gaaf_gp.errors import FOREIGN, GaafError, one_line
from gaaf_gp.training.budget import Budget, FailedError
from gaaf_gp.training.epochs import UnreadableError, accuracy, epoch
from gaaf_gp.training.outcome import WORST_ACCURACY, Epoch, Loss, Outcome, TrainingState
from gaaf_gp.training.step import LATENT_LIMIT, Training
from gaaf_gp.trees.candidate import Candidate, text_of
from gaaf_gp.util.checks import any_seed, positive_number, whole_fields, whole_number
from gaaf_gp.util.devices import check_device, check_precision, gradients, threads

__all__ = ["DEFAULT_EPOCHS", "LATENT_LIMIT", "WORST_ACCURACY", "Epoch", "Outcome", "Proxy", "Training", "TrainingState"]


DEFAULT_EPOCHS = 1
"""The cheapest training whose order of functions agrees with that of one ten times as long: Kendall's tau reaches 0.6
(runs/fidelity.py; docs/results.md has the figures)."""


_DRAWING = threading.Lock()


@dataclass
class Proxy:
    """A fixed training task: data, network, and how it is trained.

    The loss is cross-entropy, the optimiser Adam with a cosine schedule from ``learning_rate`` to 0, latent weights are
    clipped to +-1.3: see :class:`gaaf_gp.training.step.TrainingSteps` for formulas and sources. Images are cropped at
    random after padding by ``pad`` pixels and flipped, on their device; those that are streamed from files have the
    augmentation of :class:`gaaf_gp.data.decoding.Stream` instead, which is fixed.

    Args:
        data: train and validation splits, of :func:`gaaf_gp.load_data` or of
            :func:`gaaf_gp.data.streamed.stream_data`. The network trains on its device.
        network: a name in :data:`gaaf_gp.binary.NETWORKS`, or a builder of your own as ``path/to/file.py:builder``,
            see :func:`gaaf_gp.binary.build_network`; workers load it from there.
        network_settings: further arguments of that network, such as ``{"widths": (16, 32, 64)}``.
        epochs: passes over the training split.
        batch_size: images per step; an incomplete last batch is left out.
        learning_rate: Adam's, at the start.
        pad: pixels of padding for the random crop; 0 for none. Without effect on streamed images, as is ``flip``.
        flip: whether images are mirrored at random.
        seconds: wall-time budget of one training, None for no limit; a candidate over it fails.
        memory: GiB by which the process of a training may grow while it runs, with its tensors on a GPU; None for no
            limit. A candidate over it fails, see :mod:`gaaf_gp.training.budget`. The first training of a process also
            pays for what later ones share. With a limit nothing is stacked, so that each candidate has its own.
        threads: CPU threads of one training. Fixed, because the order of sums, and so the result, depends on it.
        tables: look up functions without learnable operators, the plain sign among them, in tables of all bfloat16
            values (:mod:`gaaf_gp.binary.tables`): one speed for all of them. Inputs of f are rounded to bfloat16 then.
        kernels: what computes binary convolutions on a CPU, one of :data:`gaaf_gp.binary.KERNELS`, or "auto" for the
            quickest that this machine has; the name then says which. The result depends on it by rounding.
        precision: of the real layers, one of :data:`gaaf_gp.util.devices.PRECISIONS`. Binary layers, the statistics of
            batch norm, the loss, the weights and the optimiser are float32 in all of them. It is for GPUs. On a CPU
            "bfloat16" works, with the compiled kernels too, but few layers are real, and without bfloat16 instructions
            a step takes twice as long; "float16", which has a scale of the loss that adapts itself, is refused there.
        real_weights: let the binary layers compute with their latent weights, not with the signs of them: the first of
            two stages, see :func:`gaaf_gp.binary.use_real_weights`.
        loss: another one than cross-entropy, such as :class:`gaaf_gp.training.retraining.distillation.Distilled`.

    Raises:
        GaafError: for a setting out of its range.
    """

    data: AnyData
    network: str = "small"
    network_settings: Mapping[str, Any] = field(default_factory=dict)
    epochs: int = DEFAULT_EPOCHS
    batch_size: int = 128
    learning_rate: float = 5e-3
    pad: int = 2
    flip: bool = True
    seconds: float | None = None
    memory: float | None = None
    threads: int = 1
    tables: bool = True
    kernels: str = "auto"
    precision: str = "float32"
    real_weights: bool = False
    loss: Loss | None = None

    def __post_init__(self) -> None:
        whole_fields(self, epochs=1, batch_size=1, threads=1, pad=0)
        self.learning_rate = positive_number("learning_rate", self.learning_rate, finite=True)
        if self.seconds is not None:
            self.seconds = positive_number("the time budget in seconds", self.seconds)
        if self.memory is not None:
            self.memory = positive_number("the memory budget in GiB", self.memory)
        if self.batch_size > len(self.data.train):
            raise GaafError(
                f"batch_size must be at most the {len(self.data.train)} training images, got {self.batch_size}"
            )
        check_precision(self.precision, self.data.device)
        if self.kernels == "auto":
            self.kernels = best_kernels()
        self.surrogate  # noqa: B018  refuses a wrong one in the words of the user's own setting
        # a thread that takes another device makes a task while others draw weights
        with _DRAWING, torch.random.fork_rng(devices=[]):
            self._check_network()

    def settings(self) -> dict[str, Any]:
        """Return everything that the outcome depends on but the candidate and the seed, as JSON-able values."""
        idle = {"pad", "flip"} if self.streams else set()
        values = {
            setting.name: getattr(self, setting.name) for setting in fields(self) if setting.name not in {"data", *idle}
        }
        if self.memory is None:  # what was trained without a budget stays known
            del values["memory"]
        values["loss"] = "cross-entropy" if self.loss is None else self.loss.settings()
        network, settings = network_identity(self.network), dict(self.network_settings)
        return {**values, "network": network, "network_settings": settings, "data": self.data.settings()}

    @property
    def streams(self) -> bool:
        """Whether images are read from files while a network trains."""
        return isinstance(self.data, StreamedData)

    @property
    def stackable(self) -> bool:
        """Whether :func:`gaaf_gp.training.stacked.train_stacked` can train many candidates at once here."""
        torch_computes = self.data.device.type != "cpu" or self.kernels == "torch"
        usual = self.precision == "float32" and not self.real_weights and self.loss is None
        return self.tables and torch_computes and usual and not self.streams and self.memory is None

    @property
    def surrogate(self) -> Surrogate:
        """The surrogate gradient of the inputs' sign in this network."""
        chosen = {**PAPER, **self.network_settings}
        return Surrogate(chosen["surrogate"], chosen["window"], chosen.get("sharpness"))

    def on(self, device: torch.device | str) -> Proxy:
        """Return this task with its data on another device.

        Raises:
            GaafError: it has a loss of its own, which stays where it is, or torch cannot use the device.
        """
        if self.loss is not None:
            raise GaafError("a task with a loss of its own trains where its data are: leave several devices out")
        return replace(self, data=self.data.to(check_device(device)))

    def behaviour(self, individual: Candidate) -> Behaviour:
        """Return how f behaves in this network: candidates of one signature train alike here."""
        # Only where padding adds zeros do negated signs and negated weights give the same sums.
        return behaviour(individual, self.surrogate, negation=not {**PAPER, **self.network_settings}["pad_value"])

    @gradients()
    def train(
        self,
        individual: Candidate | None,
        seed: int,
        score: AnySplit | None = None,
        *,
        epochs: int | None = None,
        state: TrainingState | None = None,
        initial: Mapping[str, NDArray[Any]] | None = None,
        keep: bool = False,
    ) -> Outcome:
        """Train one candidate and score it.

        A training may be stopped after any epoch and gone on with: it is the same schedule, and the result is bit for
        bit that of a training that never stopped.

        Args:
            individual: the candidate: a tree, two, or a baseline; None for the plain sign.
            seed: of the initial weights, the order of the batches and the augmentation.
            score: the split whose accuracy is returned; the validation split by default. Images in memory or in
                files, as those of the data.
            epochs: stop after this epoch of the schedule; the last one by default.
            state: that of an outcome of the same candidate and seed, to go on from.
            initial: parameters and buffers to start with instead of drawn ones, such as ``state.model`` of another
                training; of no effect with ``state``.
            keep: whether the outcome has a state after the last epoch too.

        Returns:
            The outcome, with the history from the first epoch on. A value that is not a number, a constant sign, a loss
            that is not finite, one class for every image, memory that runs out, an exhausted time budget or an
            operation that fails end only this training.

        Raises:
            GaafError: if ``state`` is of another training, ``epochs`` not ahead of it and within the schedule, or
                ``score`` of another kind than the data; or an image cannot be read, which no candidate is to blame for.
        """
        seed = any_seed(seed)
        last = self.last_epoch(individual, seed, epochs, state)
        started = time.perf_counter() - (0.0 if state is None else state.seconds)
        budget = Budget(started, self.seconds, self.memory, self.data.device)
        split = self.scored(score)
        history = [] if state is None else list(state.history)
        kept: TrainingState | None = None
        try:
            with threads(self.threads), budget.watched():
                training = self._begun(individual, seed, state, initial)
                for number in range(len(history) + 1, last + 1):
                    classes = self.data.classes if number == self.epochs else None
                    history.append(epoch(training, self.batches, split, number, budget, classes))
                if keep or last < self.epochs:
                    kept = training.state(text_of(individual), seed, tuple(history), time.perf_counter() - started)
            failure = None
        except UnreadableError:
            raise
        except FailedError as failed:
            failure = str(failed)
        except FOREIGN as error:  # primitives are anybody's code, and one bad candidate must not end a run
            failure = failure_reason(error)
        return Outcome.of(seed, tuple(history), time.perf_counter() - started, failure, kept)

    @gradients()
    def training(self, individual: Candidate | None, seed: int) -> Training:
        """Return a training at its start: the network on its device, the optimiser and the schedule.

        Where f(1) is negative all latent weights start negated (with zero padding): f and -f then train bit for bit
        alike, and the sign that a tree happens to carry decides nothing.

        The training runs on as many threads as torch is set to; :meth:`train` sets them.

        Args:
            individual: the candidate; None for the plain sign.
            seed: of the initial weights, the order of the batches and the augmentation.
        """
        orientation = 1 if individual is None else self.behaviour(individual).orientation
        return self._built(individual, any_seed(seed), orientation)

    @gradients()
    def score(self, individual: Candidate | None, state: TrainingState, split: AnySplit) -> float:
        """Return the accuracy (0 to 1) of a trained network.

        Args:
            individual: the candidate; None for the plain sign.
            state: of its training in this task.
            split: the images, in memory or in files, as those of the data.

        Raises:
            FailedError: an output is not finite.
            GaafError: a file of images cannot be read.
        """
        with threads(self.threads):
            return accuracy(self._begun(individual, state.seed, state, None), self.batches, self.scored(split), None)

    def _begun(
        self,
        individual: Candidate | None,
        seed: int,
        state: TrainingState | None,
        initial: Mapping[str, NDArray[Any]] | None,
    ) -> Training:
        if state is not None:
            training = self._built(individual, seed, 1)
            training.restore(state)
            return training
        if initial is not None:
            training = self._built(individual, seed, 1)
            training.model.load_state_dict({name: torch.from_numpy(value) for name, value in initial.items()})
            return training
        if individual is None:
            return self._built(None, seed, 1)
        measured = self.behaviour(individual)
        if measured.failure is not None:
            raise FailedError(measured.failure)
        return self._built(individual, seed, measured.orientation)

    def _built(self, individual: Candidate | None, seed: int, orientation: int) -> Training:
        device = self.data.device
        # torch's own generator draws the weights; threads of one process would draw from each other's
        with _DRAWING, torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(seed)
            model = self._build(individual).to(device)
        if orientation < 0:
            with torch.no_grad():
                for layer in binary_layers(model):
                    layer.weight.neg_()
        steps = self.epochs * len(self.batches)
        return Training(
            model,
            learning_rate=self.learning_rate,
            total_steps=steps,
            seed=seed,
            precision=self.precision,
            loss=self.loss,
        )

    @functools.cached_property
    def batches(self) -> TrainingBatches:
        """The training batches; made once in each process."""
        if isinstance(self.data, StreamedData):
            return Stream(self.data, self.batch_size)
        return Batches(self.data, self.batch_size, pad=self.pad, flip=self.flip)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "batches"}

    def last_epoch(
        self, individual: Candidate | None, seed: int, epochs: int | None, state: TrainingState | None
    ) -> int:
        """Return the epoch after which :meth:`train` would stop; arguments as there.

        Raises:
            GaafError: what :meth:`train` would refuse.
        """
        if state is not None and (state.text, state.seed) != (text_of(individual), seed):
            raise GaafError(
                f"a training goes on with the candidate and the seed that it began with, got {text_of(individual)!r} "
                f"and {seed} for {state!r}: pass the state of an outcome of this candidate"
            )
        done = 0 if state is None else state.epochs
        return self.epochs if epochs is None else whole_number("epochs", epochs, done + 1, self.epochs)

    def scored(self, score: AnySplit | None) -> AnySplit:
        """Return the split that :meth:`train` scores: the validation split by default.

        Raises:
            GaafError: it is in memory and the data in files, or the other way round.
        """
        if score is not None and isinstance(score, FileSplit) != self.streams:
            raise GaafError(
                f"score must be images as those of the data, {self.data.val!r}, got {score!r}: open it with "
                "open_test_split of the same data"
            )
        return self.data.val if score is None else score

    def _check_network(self) -> None:
        """Refuse an unknown network or setting, and a network that cannot be built or holds no activation.

        It is done before anything is trained.
        """
        made: list[nn.Module] = []

        def factory(_channels: int) -> nn.Module:
            made.append(nn.Identity())
            return made[-1]

        try:
            model: object = self._network(factory)
        except GaafError:
            raise
        except FOREIGN as error:  # builders may be anybody's code
            raise GaafError(
                f"network {self.network} must be one that can be built, and its builder ended with {one_line(error)}: "
                "correct it"
            ) from error
        if not isinstance(model, nn.Module):
            raise GaafError(f"the builder of network {self.network} must return a torch module, got {model!r}")
        if not made:
            raise GaafError(
                f"network {self.network} must make its activations with activation(channels), which its builder never "
                "called, so that all functions would train alike: call it once for each binary layer"
            )
        if set(made).isdisjoint(model.modules()):
            raise GaafError(
                f"network {self.network} must hold the activations that activation(channels) makes, and none of "
                f"{len(made)} is among its modules, so that all functions would train alike: give each to a binary "
                "layer, or make it an attribute of a module"
            )
        self._check_layers(list(binary_layers(model)))

    def _check_layers(self, layers: Sequence[BinaryLayer]) -> None:
        """Refuse layers that binarize in another way than candidates are told apart by."""
        pad_value = {**PAPER, **self.network_settings}["pad_value"]
        for layer in layers:
            if layer.surrogate != self.surrogate:
                raise GaafError(
                    f"all binary layers of network {self.network} must have the surrogate gradient {self.surrogate}, "
                    f"and one has {layer.surrogate}: pass the settings of the network on to its layers, and say what "
                    "differs from the default in network_settings"
                )
            if getattr(layer, "pad_value", pad_value) != pad_value:
                raise GaafError(
                    f"all binary convolutions of network {self.network} must have pad_value {pad_value:g}, and one has "
                    f"{layer.pad_value:g}: pass the settings of the network on to its layers, or say it in "
                    "network_settings"
                )

    def _network(self, factory: ActivationFactory | None) -> nn.Module:
        data = self.data
        return build_network(self.network, data.num_classes, data.channels, factory, **self.network_settings)

    def _build(self, individual: Candidate | None) -> nn.Module:
        model = self._network(self._activation_factory(individual))
        use_kernels(model, self.kernels)
        use_real_weights(model, self.real_weights)
        return model

    def _activation_factory(self, individual: Candidate | None) -> ActivationFactory | None:
        programs, device = self.kernels != "torch", self.data.device
        return activation_factory(individual, self.surrogate, tables=self.tables, device=device, programs=programs)
