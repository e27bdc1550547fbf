"""What both sides are asked to do: the same network, data, activation, batch and number of epochs."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import torch

from gaaf_gp.data import Data, Split

ACTIVATIONS: dict[str, str | None] = {
    "sign(x)": None,
    "sin(x) + x": "add(sin(x), x)",
    "sin(s*x) + x": "add(sin(scale(x)), x)",
}
"""Formula -> tree in the notation of ``primitives.gaaf``; None is the plain sign.

Three kinds: no function at all, one without parameters, and one with a learnable value per channel.
"""
SIGN = "sign(x)"
PLAIN = "sin(x) + x"
"""The one of them that stands for all where time allows only one: most candidates of a search have no parameters."""
IMAGES = {"small": (1, 28), "resnet18": (3, 32)}
"""Channels and side in pixels of the images that each network is timed with."""


@dataclass(frozen=True)
class Task:
    """One training, whoever does it.

    Attributes:
        network: "small" or "resnet18".
        widths: channels of its blocks.
        epochs: passes over the training split.
        batch_size: images per step; an incomplete last batch is left out by both sides.
        learning_rate: Adam's, at the start.
        pad: pixels of padding for the random crop.
        threads: CPU threads of the training itself.
        cosine: whether the textbook's learning rate falls to 0 with a cosine over all steps, as ours always does, or
            stays as it is, as in the code of the paper.
    """

    network: str = "small"
    widths: tuple[int, ...] = (16, 32, 64)
    epochs: int = 3
    batch_size: int = 128
    learning_rate: float = 5e-3
    pad: int = 2
    threads: int = 1
    cosine: bool = False

    def but(self, **changes: Any) -> Task:
        """Return this task with some attributes changed."""
        return dataclasses.replace(self, **changes)

    def steps(self, data: Data) -> int:
        """Return the training steps of one epoch."""
        return len(data.train) // self.batch_size


SMALL = Task()
RESNET18 = Task("resnet18", (64, 128, 256, 512), pad=4)
TASKS = {"resnet18": RESNET18, "small": SMALL}
"""The paper's network, and the small one of a quick search at its default size."""


def random_data(network: str, images: int, classes: int = 10, seed: int = 0) -> Data:
    """Return ``images`` random pictures to train on, of the size that ``network`` is timed with, and as many to score.

    The time of a training step does not depend on what is in the pictures.
    """
    channels, side = IMAGES[network]
    generator = torch.Generator().manual_seed(seed)

    def split() -> Split:
        pixels = torch.randint(256, (images, channels, side, side), generator=generator, dtype=torch.uint8)
        return Split(pixels, torch.randint(classes, (images,), generator=generator))

    names = tuple(str(number) for number in range(classes))
    return Data("random", split(), split(), names, (0.5,) * channels, (0.29,) * channels, seed, 0.5)
