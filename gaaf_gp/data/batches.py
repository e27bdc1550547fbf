"""Batches of a split, ready for a network: gathered, augmented and normalized in a few passes over memory.

Images are kept as bytes, pixel by pixel (channels last), and become floats only as a batch. The results are bit for bit
those of :func:`gaaf_gp.data.augment.augment` and :func:`gaaf_gp.data.augment.normalize`; nothing waits for the device.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import torch
from torch import Tensor

from gaaf_gp.data.augment import augment
from gaaf_gp.data.load import Data, Split

SCORED = 500
"""Images that are scored at once."""


class TrainingBatches(Protocol):
    """What a training loop needs of its images: :class:`Batches` and :class:`gaaf_gp.data.decoding.Stream` have it."""

    batch_size: int

    def __len__(self) -> int:
        """How many batches an epoch has."""

    def epoch(self, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the training batches of one epoch."""

    def scoring(self, split: Any = None, size: int | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield all images of a split, ``size`` at once, normalized and with their labels; None for what is usual."""


class Batches:
    """The training batches of a data set, and the normalization of all its images.

    Args:
        data: train and validation splits.
        batch_size: images per batch; an incomplete last batch is left out.
        pad: pixels of padding for the random crop; 0 for none.
        flip: whether images are mirrored at random.
    """

    def __init__(self, data: Data, batch_size: int, *, pad: int, flip: bool) -> None:
        train = data.train
        self.batch_size = batch_size
        self.pad = pad
        self.flip = flip
        self._labels = train.labels
        self._val = data.val
        self._pixels = train.images.permute(0, 2, 3, 1).contiguous()  # no copy for grey images
        height, width = data.image_size
        # One number per pixel and channel: the arithmetic then runs over whole images, whatever their channels.
        self._shift, self._scale = (
            torch.tensor(values, dtype=torch.float32, device=train.images.device).repeat(height * width)
            for values in (data.mean, data.std)
        )

    def __len__(self) -> int:
        """How many batches an epoch has."""
        return len(self._labels) // self.batch_size

    def epoch(self, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of one epoch: images (B,C,H,W) float32 in channels-last memory, labels (B,) int64.

        Args:
            generator: on the device of the images; draws the order and the augmentation.
        """
        device = self._pixels.device
        order = torch.randperm(len(self._labels), generator=generator, device=device)
        for chosen in order.split(self.batch_size)[: len(self)]:
            images = self._pixels.index_select(0, chosen).permute(0, 3, 1, 2)
            augmented = augment(images, pad=self.pad, flip=self.flip, generator=generator)
            yield self.normalized(augmented), self._labels.index_select(0, chosen)

    def scoring(self, split: Split | None = None, size: int | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield all images of a split in their order, normalized, and their labels; nothing is augmented or left out.

        Args:
            split: on the same device; the validation split by default.
            size: images at once, ``SCORED`` by default.
        """
        chosen, number = self._val if split is None else split, SCORED if size is None else size
        for images, labels in zip(chosen.images.split(number), chosen.labels.split(number), strict=True):
            yield self.normalized(images), labels

    def normalized(self, images: Tensor) -> Tensor:
        """Return ``(images / 255 - mean) / std``, (B,C,H,W) uint8 to float32 in channels-last memory."""
        batch, channels, height, width = images.shape
        pixels = images.permute(0, 2, 3, 1).flatten(1).float()
        pixels.div_(255).sub_(self._shift).div_(self._scale)
        return pixels.view(batch, height, width, channels).permute(0, 3, 1, 2)
