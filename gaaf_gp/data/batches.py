"""Batches of a split that is in memory, ready for a network: gathered, augmented and normalized.

Images are kept as bytes in channels-last memory; only a batch is turned into floats. The results equal those of
:func:`gaaf_gp.data.augment.augment` and :func:`gaaf_gp.data.augment.normalize` bit for bit. Nothing here waits for the
device.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from gaaf_gp.data.augment import augment
from gaaf_gp.data.load import AnyData, Data, Split

SCORED = 500
"""Images in a batch that is scored."""


class TrainingBatches(ABC):
    """The batches that a training loop asks for: :class:`Batches` or :class:`gaaf_gp.data.decoding.Stream`.

    Args:
        data: gives mean, standard deviation and size of the images.
        batch_size: images per batch.
        device: the device of the batches.
    """

    def __init__(self, data: AnyData, batch_size: int, device: torch.device) -> None:
        self.batch_size = batch_size
        self.device = device
        height, width = data.image_size
        # One number per pixel and channel: the arithmetic then runs over whole images, whatever their channels.
        self._shift, self._scale = (
            torch.tensor(values, dtype=torch.float32, device=device).repeat(height * width)
            for values in (data.mean, data.std)
        )

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of batches in an epoch."""

    @abstractmethod
    def epoch(self, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the training batches of one epoch: images (B,C,H,W) float32, labels (B,) int64."""

    @abstractmethod
    def scoring(self, split: Any = None, size: int | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield all images of a split, normalized, with their labels.

        Args:
            split: None for the validation split.
            size: images in a batch; None for the usual number.
        """

    def normalized(self, images: Tensor) -> Tensor:
        """Return ``(images / 255 - mean) / std``, (B,C,H,W) uint8 to float32 in channels-last memory."""
        batch, channels, height, width = images.shape
        pixels = images.permute(0, 2, 3, 1).flatten(1).float()
        pixels.div_(255).sub_(self._shift).div_(self._scale)
        return pixels.view(batch, height, width, channels).permute(0, 3, 1, 2)


class Batches(TrainingBatches):
    """The training batches of a data set, and the normalization of all its images.

    Args:
        data: train and validation splits.
        batch_size: images per batch; an incomplete last batch is left out.
        pad: pixels of padding for the random crop; 0 for none.
        flip: whether images are mirrored at random.
    """

    def __init__(self, data: Data, batch_size: int, *, pad: int, flip: bool) -> None:
        super().__init__(data, batch_size, data.device)
        train = data.train
        self.pad = pad
        self.flip = flip
        self._labels = train.labels
        self._val = data.val
        self._pixels = train.images.permute(0, 2, 3, 1).contiguous()  # no copy for grey images

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return len(self._labels) // self.batch_size

    def epoch(self, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of one epoch: images (B,C,H,W) float32 in channels-last memory, labels (B,) int64.

        Args:
            generator: on the device of the images; draws the order and the augmentation.
        """
        device = self._pixels.device
        order = torch.randperm(len(self._labels), generator=generator, device=device)
        for places in order.split(self.batch_size)[: len(self)]:
            images = self._pixels.index_select(0, places).permute(0, 3, 1, 2)
            augmented = augment(images, pad=self.pad, flip=self.flip, generator=generator)
            yield self.normalized(augmented), self._labels.index_select(0, places)

    def scoring(self, split: Split | None = None, size: int | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield all images of a split in their order, normalized, with their labels; nothing is augmented or left out.

        Args:
            split: on the same device; the validation split by default.
            size: images in a batch, ``SCORED`` by default.
        """
        split, size = self._val if split is None else split, SCORED if size is None else size
        for images, labels in zip(split.images.split(size), split.labels.split(size), strict=True):
            yield self.normalized(images), labels
