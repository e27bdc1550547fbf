"""Distillation: a binary network learns from the outputs of a real-valued one, its teacher, beside the labels.

The teacher is a classification model of torchvision, trained on the same training split with the same augmentation.
"""

from __future__ import annotations

import copy
import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from gaaf_gp.data.torchvision_compat import import_torchvision
from gaaf_gp.errors import GaafError, listed, one_line
from gaaf_gp.training.checkpoint import ENDING
from gaaf_gp.training.outcome import Epoch
from gaaf_gp.training.proxy import Proxy
from gaaf_gp.trees.candidate import Candidate
from gaaf_gp.util.checks import plain_number, positive_number, whole_fields

SMALL = 64
"""Images with fewer pixels a side keep their size through the first layers of a teacher."""


@dataclass(frozen=True)
class Distillation:
    """How a network learns from a teacher (Hinton, Vinyals and Dean 2015, arXiv 1503.02531, Section 2).

    The loss is (1 - w) cross-entropy + w T^2 KL(teacher || student), where both distributions are softmax(logits / T).

    Attributes:
        teacher: name of a classification model of torchvision, such as "resnet18", or a checkpoint of one that an
            earlier retraining left (``teacher.safetensors``), for data of the same classes, channels and size.
        epochs: the teacher is trained for; ignored for a checkpoint.
        weight: w, above 0 and at most 1.
        temperature: T, positive.
        learning_rate: Adam's at the start, for the teacher.

    Raises:
        GaafError: for a setting out of its range.
    """

    teacher: str
    epochs: int = 1
    weight: float = 0.9
    temperature: float = 4.0
    learning_rate: float = 1e-3

    def __post_init__(self) -> None:
        whole_fields(self, epochs=1)
        weight = plain_number(self.weight)
        if weight is None or not 0 < weight <= 1:
            raise GaafError(f"the teacher's weight in the loss must be above 0 and at most 1, got {self.weight!r}")
        positive_number("temperature", self.temperature, finite=True)
        positive_number("learning_rate", self.learning_rate, finite=True)

    @property
    def file(self) -> Path | None:
        """The checkpoint, None where the teacher is a name."""
        return Path(self.teacher) if self.teacher.endswith(ENDING) else None


class Distilled:
    """The loss of a network with a teacher: a :class:`~gaaf_gp.training.outcome.Loss` that worker processes can get.

    Args:
        settings: weight and temperature.
        task: of the teacher.
        weights: the teacher's parameters and buffers.
        curve: epochs of the teacher's own training, for reports: a teacher worse than its students holds them back.
    """

    def __init__(
        self,
        settings: Distillation,
        task: Teaching,
        weights: Mapping[str, NDArray[Any]],
        curve: tuple[Epoch, ...] = (),
    ) -> None:
        self.curve = curve
        self._settings = settings
        self._task = task
        self._weights = weights

    def __call__(self, logits: Tensor, images: Tensor, labels: Tensor) -> Tensor:
        """Return the loss (nats), a 0-dim tensor with the graph of ``logits``.

        Args:
            logits: (B, classes) float32 of the student.
            images: (B,C,H,W) normalized floats that it saw.
            labels: (B,) int64.
        """
        with torch.no_grad():
            taught = self._teacher(images.device)(images)
        weight, temperature = self._settings.weight, self._settings.temperature
        divergence = functional.kl_div(
            functional.log_softmax(logits / temperature, 1),
            functional.log_softmax(taught / temperature, 1),
            reduction="batchmean",
            log_target=True,
        )
        return (1 - weight) * functional.cross_entropy(logits, labels) + weight * temperature**2 * divergence

    def settings(self) -> dict[str, Any]:
        """Return everything that the loss depends on, as JSON-able values; of the weights their SHA-256."""
        digest = hashlib.sha256()
        for name in sorted(self._weights):
            digest.update(name.encode() + self._weights[name].tobytes())
        settings = {"weight": self._settings.weight, "temperature": self._settings.temperature}
        return {"teacher": self._task.network, "sha256": digest.hexdigest(), **settings}

    @functools.cached_property
    def _teachers(self) -> dict[torch.device, nn.Module]:
        return {}

    def _teacher(self, device: torch.device) -> nn.Module:
        if device not in self._teachers:
            model = self._task.teacher(self._weights).to(device)
            self._teachers[device] = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return self._teachers[device]

    def __getstate__(self) -> dict[str, Any]:
        """Leave the model out: it is made of the weights again, and those are plain arrays."""
        return {name: value for name, value in self.__dict__.items() if name != "_teachers"}


@dataclass
class Teaching(Proxy):
    """The training of a teacher: a :class:`Proxy` in which ``network`` is the name of a model of torchvision.

    Its only candidate is None. Adam and the cosine schedule are those of every training here; no weight is clipped.

    Raises:
        GaafError: torchvision has no such model, or it does not take the images.
    """

    network: str = "resnet18"

    def teacher(self, weights: Mapping[str, NDArray[Any]]) -> nn.Module:
        """Return the network with ``weights``, without gradients and in evaluation mode.

        Args:
            weights: parameters and buffers by name, as its checkpoint holds them.

        Raises:
            GaafError: they are those of another network.
        """
        with torch.random.fork_rng(devices=[]):  # the first step of a student must not change what it draws
            model = self._build(None)
        try:
            model.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
        except RuntimeError as error:
            raise GaafError(
                f"the teacher's weights must be those of {self.network} for {self.data.num_classes} classes and "
                f"{self.data.channels} channels, and are not ({one_line(error)}): train it on this data"
            ) from error
        return model.requires_grad_(False).eval()

    def _check_network(self) -> None:
        """Refuse an unknown network, or one that does not take the images; it has no activation to ask for."""
        with torch.random.fork_rng(devices=[]):
            self._build(None)

    def _build(self, individual: Candidate | None) -> nn.Module:  # noqa: ARG002  a Proxy's
        size = self.data.image_size
        side = size if isinstance(size, int) else min(size)
        return real_network(self.network, self.data.num_classes, self.data.channels, side)


def real_network(name: str, num_classes: int, channels: int, side: int) -> nn.Module:
    """Return a classification model of torchvision with random weights, made to fit the images.

    For images of less than ``SMALL`` pixels the first convolution gets stride 1 and 3x3 taps at most, and a max-pool
    ahead of the second convolution goes: the usual change of a ResNet for CIFAR. Dropout and stochastic depth are off,
    so that a training depends on its seed alone, also after an interruption.

    Args:
        name: as ``torchvision.models.get_model`` takes it.
        num_classes: number of logits.
        channels: of the images.
        side: height or width of the images, the lesser of both, in pixels.

    Returns:
        A module that takes (B, channels, H, W) floats and returns (B, num_classes) logits.

    Raises:
        GaafError: torchvision has no such model, or the images do not fit it.
    """
    models = import_torchvision().models
    names = models.list_models(module=models)
    if name not in names:
        resnets = [one for one in names if one.startswith("resnet")]
        raise GaafError(
            f"a teacher must be a classification model of torchvision or a file that ends in {ENDING}, got {name!r}; "
            f"known: {listed(resnets)} and {len(names) - len(resnets)} more of torchvision.models"
        )
    try:
        model: nn.Module = models.get_model(name, weights=None, num_classes=num_classes)
        _fit_stem(model, channels, small=side < SMALL)
        _without_chance(model)
        _try_out(model, channels, side, num_classes)
    except Exception as error:  # models of many authors, each with its own idea of an image
        raise GaafError(
            f"teacher {name} must take images (B,{channels},{side},{side}) and return {num_classes} logits each, but "
            f"it raised {one_line(error)}: choose another, such as resnet18"
        ) from error
    return model


def _fit_stem(model: nn.Module, channels: int, *, small: bool) -> None:
    names = [name for name, module in model.named_modules() if isinstance(module, nn.Conv2d)]
    first = model.get_submodule(names[0])
    assert isinstance(first, nn.Conv2d)
    shape: dict[str, Any] = {name: getattr(first, name) for name in ("kernel_size", "stride", "padding")}
    if small:
        shape = {"kernel_size": 3, "stride": 1, "padding": 1}
    if channels != first.in_channels or small:
        fitting = nn.Conv2d(channels, first.out_channels, bias=first.bias is not None, **shape)
        nn.init.kaiming_normal_(fitting.weight, mode="fan_out", nonlinearity="relu")
        _replace(model, names[0], fitting)
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.Conv2d) and name != names[0]:
            break
        if small and isinstance(module, nn.MaxPool2d):
            _replace(model, name, nn.Identity())


def _replace(model: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, module)


def _without_chance(model: nn.Module) -> None:
    """Turn off what draws from torch's global generator while a network trains."""
    for module in model.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd) or type(module).__name__ == "StochasticDepth":
            module.p = 0.0  # type: ignore[assignment]


def _try_out(model: nn.Module, channels: int, side: int, num_classes: int) -> None:
    """Raise if training would: on a copy, since a pass counts in the statistics of batch norm."""
    with torch.no_grad():
        logits = copy.deepcopy(model).train()(torch.zeros(2, channels, side, side))
    if not isinstance(logits, Tensor):
        raise TypeError(f"it returns {type(logits).__name__}, not logits")
    if logits.shape != (2, num_classes):
        raise TypeError(f"it returns {tuple(logits.shape)}")
