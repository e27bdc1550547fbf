"""Labelled images as tensors on the device, split for a search.

A search sees two splits, drawn from the official training images: one to train on and one to validate on. The official
test images stay closed. Only ``open_test_split`` opens them, and a search never calls it. Images stay uint8 until a
batch is normalized, so that a whole data set fits on the device.
"""

import hashlib
import os
from dataclasses import dataclass, field, replace
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gaaf_gp.data.augment import channel_statistics, normalize
from gaaf_gp.data.checking import check_labels, check_names, check_normalization, described, is_plain
from gaaf_gp.data.images import check_size
from gaaf_gp.data.registry import DATASETS, data_root, find_source
from gaaf_gp.data.source import Source, check_classes
from gaaf_gp.data.splitting import check_split, split_places
from gaaf_gp.data.streamed import FileSplit, StreamedData
from gaaf_gp.errors import GaafError
from gaaf_gp.util.devices import check_device, plain_defaults

__all__ = [
    "DATASETS",
    "AnyData",
    "AnySplit",
    "Data",
    "Split",
    "load_data",
    "normalize",
    "open_test_split",
    "split_places",
]


@dataclass(frozen=True, eq=False, repr=False)
class Split:
    """Images and their labels, all on one device.

    Pickling goes through numpy arrays: torch would put the images into shared memory, which is small in containers.

    Attributes:
        images: (N,C,H,W) uint8.
        labels: (N,) int64.

    Raises:
        GaafError: The tensors have other shapes or dtypes, or different lengths or devices.
    """

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        images, labels = self.images, self.labels
        right = is_plain(images, 4, torch.uint8) and is_plain(labels, 1, torch.int64)
        if not right or len(images) != len(labels) or images.device != labels.device or 0 in images.shape[1:]:
            raise GaafError(
                "a split must be tensors, images (N,C,H,W) uint8 and labels (N,) int64 on one device, and came as "
                f"{described(images)} and {described(labels)}: convert them, such as with torch.from_numpy"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"Split({len(self)} images {'x'.join(map(str, self.images.shape[1:]))} on {self.images.device})"

    def __reduce__(self) -> tuple[Any, ...]:
        device = str(self.images.device)
        return _split_from_arrays, (self.images.cpu().numpy(), self.labels.cpu().numpy(), device)

    def to(self, device: torch.device | str) -> "Split":
        """Return this split with its tensors on ``device``."""
        return Split(self.images.to(device), self.labels.to(device))


@dataclass(frozen=True, eq=False)
class Data:
    """What a search may see of a data set. The test split is not in here.

    Attributes:
        name: The name of the data set in results.
        train: The images to train on.
        val: The images to score candidates on; none of them is in ``train``.
        classes: The names of the classes; a label is an index into them.
        mean: Per channel, 0..1, of ``train`` only.
        std: Per channel, 0..1, of ``train`` only; see ``channel_statistics``.
        split_seed: The seed that drew ``train`` and ``val``.
        val_fraction: The fraction of every class that is in ``val``.

    Raises:
        GaafError: There are fewer than two classes, a split is empty, the splits have images of other sizes, channels
            or devices, a label names no class, or ``mean`` and ``std`` are not one finite number for each channel,
            above 0 for ``std``.
    """

    name: str
    train: Split
    val: Split
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    split_seed: int
    val_fraction: float
    _source: Source | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", check_names(self.classes))
        for part, split in (("train", self.train), ("val", self.val)):
            if not isinstance(split, Split):
                raise GaafError(f"{part} must be a Split of images and labels, got {type(split).__name__}: make one")
            check_labels(part, split.labels, len(self.classes))
        train, val = self.train.images, self.val.images
        if train.shape[1:] != val.shape[1:] or train.device != val.device:
            raise GaafError(
                f"train and val must have images of one size on one device, got {tuple(train.shape[1:])} on "
                f"{train.device} and {tuple(val.shape[1:])} on {val.device}: resize or move one of them"
            )
        mean, std = check_normalization(self.mean, self.std, self.channels)
        object.__setattr__(self, "mean", mean)
        object.__setattr__(self, "std", std)

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.classes)

    @property
    def channels(self) -> int:
        """1 for grey images, 3 for colour."""
        return self.train.images.shape[1]

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.train.images.shape[2], self.train.images.shape[3]

    @property
    def device(self) -> torch.device:
        """The device that holds the images, where networks train on them."""
        return self.train.images.device

    @property
    def has_test_split(self) -> bool:
        """Whether there is a test split to open; nothing is opened."""
        return self._source is not None and self._source.has_test()

    def to(self, device: torch.device | str) -> "Data":
        """Return this data with both splits on ``device``."""
        return replace(self, train=self.train.to(device), val=self.val.to(device))

    def settings(self) -> dict[str, Any]:
        """Return the facts to record with a result, ready for JSON.

        ``sha256`` is over the images and labels of both splits in their order: two runs with the same one saw the same
        data, whatever its name.
        """
        digest = hashlib.sha256()
        for split in (self.train, self.val):
            for tensor in (split.images, split.labels):
                digest.update(tensor.cpu().contiguous().numpy().data)
        return {
            "name": self.name,
            "classes": self.num_classes,
            "channels": self.channels,
            "image_size": list(self.image_size),
            "train": len(self.train),
            "val": len(self.val),
            "split_seed": self.split_seed,
            "val_fraction": self.val_fraction,
            "sha256": digest.hexdigest(),
        }


AnySplit = Split | FileSplit
"""Images and labels to train on or to score: in memory, or in files."""
AnyData = Data | StreamedData
"""The data of a search: in memory, or in files."""


@plain_defaults()
def load_data(
    name_or_path: str | os.PathLike[str] = "fashion10k",
    *,
    seed: int = 0,
    val_fraction: float = 0.2,
    limit: int | None = None,
    image_size: int | None = None,
    root: str | os.PathLike[str] | None = None,
    download: bool = False,
    device: torch.device | str = "cpu",
) -> Data:
    """Load the official training images of a data set and split them into train and val.

    Args:
        name_or_path: One of ``DATASETS``, or a folder with ``train/CLASS/*`` and ``test/CLASS/*`` (or, where there is
            none, ``val/CLASS/*``). A ``Path`` is always a folder. All images are held in memory; use
            :func:`gaaf_gp.data.streamed.stream_data` for ImageNet in full.
        seed: Draws the split and the ``limit``; not negative.
        val_fraction: The part of every class to validate on, in (0,1), rounded per class.
        limit: The most images of both splits together, in the proportions of the classes and at least two of each. A
            greater limit with the same seed adds images to train and to val and removes none. None for all.
        image_size: Resize every image to this many pixels on both sides, antialiased. None to keep their size.
        root: The folder of the named data sets, laid out as torchvision does; by default the environment variable
            GAAF_GP_DATA, else ``~/.cache/gaaf_gp``. ``imagenet`` is a folder there; Fashion-MNIST is also found packed,
            and where Debian's package dataset-fashion-mnist puts it.
        download: Let torchvision download a data set that is missing.
        device: The device of the tensors.

    Returns:
        The data, shuffled by the seed, so that the first images of a split are a fair sample.

    Raises:
        GaafError: The name is unknown, files are missing or damaged, or a setting is out of its range.
    """
    seed, val_fraction, limit = check_split(seed, val_fraction, limit, usual=0.2)
    image_size = None if image_size is None else check_size(image_size, usual=32)
    check_device(device)
    source = find_source(name_or_path, data_root(root), download, image_size)
    collection = source.open("search")
    train_places, val_places = split_places(collection, seed=seed, val_fraction=val_fraction, limit=limit)
    images = collection.read(np.concatenate([train_places, val_places]))
    train = _split(images[: len(train_places)], collection.labels[train_places])
    val = _split(images[len(train_places) :], collection.labels[val_places])
    mean, std = channel_statistics(train.images)
    return Data(source.name, train, val, collection.classes, mean, std, seed, val_fraction, source).to(device)


@overload
def open_test_split(data: Data) -> Split: ...
@overload
def open_test_split(data: StreamedData) -> FileSplit: ...
@plain_defaults()
def open_test_split(data: Data | StreamedData) -> Split | FileSplit:
    """Open the official test images of a data set, for the final report. Nothing else opens them.

    Args:
        data: Returned by ``load_data`` or ``stream_data``. The test split gets its classes, channels, image size and
            device.

    Returns:
        The test split, in the order of the files.

    Raises:
        GaafError: There is no test part, it is damaged, or it does not fit the training images.
    """
    if data._source is None:
        raise GaafError(
            "the test split lies beside the training images, and this data was put together without a place: load it "
            "with load_data"
        )
    if isinstance(data, StreamedData):
        files = data._source.files("test")
        check_classes(str(files.folder), files.classes, data.classes)
        return FileSplit(files.folder, files.names, files.labels)
    collection = data._source.open("test")
    check_classes(collection.where, collection.classes, data.classes)
    images = collection.read(np.arange(len(collection.labels)))
    if images.shape[1] == 1 and data.channels == 3:
        images = np.repeat(images, 3, axis=1)
    if images.shape[1:] != data.train.images.shape[1:]:
        raise GaafError(
            f"test images must be (channels, height, width) {tuple(data.train.images.shape[1:])} as those of train, "
            f"and in {collection.where} they are {images.shape[1:]}: give image_size "
            "(--image-size), or make all images grey or all colour"
        )
    return _split(images, collection.labels).to(data.device)


def _split(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> Split:
    return Split(torch.from_numpy(images), torch.from_numpy(labels))


def _split_from_arrays(images: NDArray[np.uint8], labels: NDArray[np.int64], device: str) -> Split:
    return _split(images, labels).to(device)
