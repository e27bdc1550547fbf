"""One fitness evaluation as tutorials write it: PIL images, torchvision transforms, a DataLoader with two workers.

The workers are started by a fork server (:mod:`benchmarks.processes`) and stay from one epoch to the next.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR
from torch.utils.data import DataLoader, Dataset

from benchmarks.processes import context
from benchmarks.task import Task
from benchmarks.textbook import NETWORKS, Factory, binary_weights, make_optimizer, training_step
from gaaf_gp.data import Data, Split
from gaaf_gp.data.torchvision_compat import import_torchvision
from gaaf_gp.util.devices import threads

import_torchvision()
transforms: Any = importlib.import_module("torchvision.transforms")

WORKERS = 2
"""Loading processes of each DataLoader, as in most tutorials."""
LEAST_ACCURACY = 0.11
"""The paper's code gives a training up after an epoch at or below this."""


@dataclass(frozen=True)
class Evaluation:
    """What one side says of one training: accuracy of each epoch, wall time in seconds, training steps done."""

    history: tuple[float, ...]
    seconds: float
    steps: int

    @property
    def accuracy(self) -> float:
        """That of the last epoch (0 to 1); 0 for a training that failed."""
        return self.history[-1] if self.history else 0.0


class Pictures(Dataset[tuple[Tensor, int]]):
    """Images in memory, made into PIL images one by one, as torchvision's own data sets do it."""

    def __init__(self, split: Split, transform: Callable[[Image.Image], Tensor]) -> None:
        grey = split.images.shape[1] == 1
        pixels = split.images[:, 0] if grey else split.images.permute(0, 2, 3, 1)
        self.pixels: NDArray[np.uint8] = pixels.contiguous().cpu().numpy()
        self.labels: list[int] = split.labels.tolist()
        self.transform = transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.pixels[index])), self.labels[index]


def loaders(
    data: Data, task: Task, seed: int, workers: int = WORKERS
) -> tuple[DataLoader[tuple[Tensor, int]], DataLoader[tuple[Tensor, int]]]:
    """Return the loaders of the training and of the validation split; ``seed`` is of their order and crops."""
    finish = [transforms.ToTensor(), transforms.Normalize(data.mean, data.std)]
    vary = [transforms.RandomCrop(data.image_size, padding=task.pad), transforms.RandomHorizontalFlip()]
    settings: dict[str, Any] = {
        "batch_size": task.batch_size,
        "num_workers": workers,
        "persistent_workers": workers > 0,
        "multiprocessing_context": context() if workers else None,
        "generator": torch.Generator().manual_seed(seed),
    }
    train = Pictures(data.train, transforms.Compose([*vary, *finish]))
    val = Pictures(data.val, transforms.Compose(finish))
    return DataLoader(train, shuffle=True, drop_last=True, **settings), DataLoader(val, **settings)


def evaluate(data: Data, function: Factory, task: Task, seed: int, workers: int = WORKERS) -> Evaluation:
    """Train one function in a new network and say how well it does after each epoch.

    Args:
        data: train and validation splits; the network trains on their device.
        function: makes the functions f of the network.
        task: what to train, and for how long.
        seed: of the weights, the order of the images and their augmentation.
        workers: processes of each of the two DataLoaders; 0 loads in this process.
    """
    started = time.perf_counter()
    with threads(task.threads):
        torch.manual_seed(seed)
        model = NETWORKS[task.network](data.num_classes, data.channels, function, task.widths).to(data.device)
        optimizer = make_optimizer(model, task.learning_rate)
        train, val = loaders(data, task, seed, workers)
        schedule = CosineAnnealingLR(optimizer, task.epochs * len(train)) if task.cosine else None
        history: list[float] = []
        for _ in range(task.epochs):
            model.train()
            for images, labels in train:
                training_step(model, optimizer, images.to(data.device), labels.to(data.device))
                if schedule is not None:
                    schedule.step()
            history.append(accuracy(model, val, data.device))
            if history[-1] <= LEAST_ACCURACY:
                break
    return Evaluation(tuple(history), time.perf_counter() - started, len(history) * len(train))


@torch.no_grad()
def accuracy(model: nn.Module, loader: DataLoader[tuple[Tensor, int]], device: torch.device) -> float:
    """Return the share of the images that ``model``, on ``device``, gets right."""
    model.eval()
    right = total = 0
    with binary_weights(model):
        for images, labels in loader:
            right += int((model(images.to(device)).argmax(1) == labels.to(device)).sum())
            total += len(labels)
    return right / total
