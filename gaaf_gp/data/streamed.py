"""Files and labels of data sets too large for memory, such as ImageNet, split for a search.

Nothing is decoded here; :class:`gaaf_gp.data.decoding.Stream` decodes the files and makes batches.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gaaf_gp.data.checking import check_labels, check_names, check_normalization, described
from gaaf_gp.data.folders import FolderSource
from gaaf_gp.data.images import check_size
from gaaf_gp.data.registry import data_root, find_folder
from gaaf_gp.data.source import Collection
from gaaf_gp.data.splitting import check_split, split_places
from gaaf_gp.errors import GaafError
from gaaf_gp.util.checks import whole_number
from gaaf_gp.util.devices import check_device, plain_defaults

IMAGENET_MEAN = (0.485, 0.456, 0.406)
"""Mean of ImageNet's training images per channel, 0..1, as it is used everywhere."""
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Their standard deviation."""
CPU = torch.device("cpu")


@dataclass(frozen=True, eq=False, repr=False)
class FileSplit:
    """Image files and their labels; nothing is decoded.

    Attributes:
        folder: The names are relative to this folder.
        names: (N,) bytes, as the file system encodes them.
        labels: (N,) int64.

    Raises:
        GaafError: The arrays have other shapes or dtypes, or different lengths.
    """

    folder: Path
    names: NDArray[np.bytes_]
    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        names, labels = self.names, self.labels
        arrays = isinstance(names, np.ndarray) and isinstance(labels, np.ndarray)
        right = arrays and names.dtype.kind == "S" and labels.dtype == np.int64
        if not right or not names.shape == labels.shape == (names.size,):
            raise GaafError(
                "a split of files must be arrays of numpy, names (N,) bytes and labels (N,) int64, and came as "
                f"{described(names)} and {described(labels)}: convert them with numpy.array"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"FileSplit({len(self)} images in {self.folder})"


@dataclass(frozen=True, eq=False)
class StreamedData:
    """What a search may see of a data set in files; the counterpart of :class:`gaaf_gp.data.load.Data`.

    Attributes:
        name: The name of the data set in results.
        train: The files to train on.
        val: The files to score candidates on, drawn from the training images too; none of them is in ``train``.
        classes: The names of the classes; a label is an index into them.
        mean: Per channel, 0..1, that is subtracted.
        std: Per channel, 0..1, that is divided by.
        side: Height and width, in pixels, of the images that a network sees.
        split_seed: The seed that drew ``train`` and ``val``.
        val_fraction: The fraction of every class that is in ``val``.
        device: The device of the batches, where networks train on them.
        workers: Processes that decode files for one training; 0 to decode in the training process. No result depends
            on it.

    Raises:
        GaafError: There are fewer than two classes, a split is empty, a label names no class, ``mean`` and ``std`` are
            not three finite numbers, above 0 for ``std``, or ``side`` is out of its range.
    """

    name: str
    train: FileSplit
    val: FileSplit
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    side: int
    split_seed: int
    val_fraction: float
    _source: FolderSource | None = field(default=None, repr=False)
    device: torch.device = CPU
    workers: int = 0

    channels = 3

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", check_names(self.classes))
        for part, split in (("train", self.train), ("val", self.val)):
            if not isinstance(split, FileSplit):
                raise GaafError(f"{part} must be a FileSplit of names and labels, got {type(split).__name__}: make one")
            check_labels(part, split.labels, len(self.classes))
        check_size(self.side, usual=224)
        mean, std = check_normalization(self.mean, self.std, self.channels)
        object.__setattr__(self, "mean", mean)
        object.__setattr__(self, "std", std)

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.classes)

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.side, self.side

    @property
    def has_test_split(self) -> bool:
        """Whether there is a test split to open; nothing is opened."""
        return self._source is not None and self._source.has_test()

    def to(self, device: torch.device | str) -> StreamedData:
        """Return this data with its batches on ``device``.

        Raises:
            GaafError: torch cannot use it here.
        """
        return replace(self, device=check_device(device))

    def settings(self) -> dict[str, Any]:
        """Return the facts to record with a result, ready for JSON.

        ``names_sha256`` is over the names and labels of both splits in their order, not over what is in the files.
        """
        digest = hashlib.sha256()
        for split in (self.train, self.val):
            digest.update(b"\0".join(split.names.tolist()) + b"\0\0" + split.labels.tobytes())
        return {
            "name": self.name,
            "classes": self.num_classes,
            "channels": self.channels,
            "image_size": list(self.image_size),
            "train": len(self.train),
            "val": len(self.val),
            "split_seed": self.split_seed,
            "val_fraction": self.val_fraction,
            "mean": list(self.mean),
            "std": list(self.std),
            "names_sha256": digest.hexdigest(),
        }


@plain_defaults()
def stream_data(
    name_or_path: str | os.PathLike[str] = "imagenet",
    *,
    seed: int = 0,
    val_fraction: float = 0.04,
    limit: int | None = None,
    image_size: int = 224,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
    root: str | os.PathLike[str] | None = None,
    device: torch.device | str = "cpu",
    workers: int = 0,
) -> StreamedData:
    """List the training images of a folder and split them into train and val; no image is opened.

    ImageNet's own ``val`` folder is its test part here: it stays closed until ``gaaf_gp.data.load.open_test_split``.

    Args:
        name_or_path: ``"imagenet"``, a folder of this name in ``root``; or a folder with ``train/CLASS/*`` and
            ``val/CLASS/*`` or ``test/CLASS/*``. A ``Path`` is always a folder.
        seed: Draws the split and the ``limit``; not negative.
        val_fraction: The part of every class to validate on, in (0,1), rounded per class.
        limit: The most images of both splits together, see :func:`gaaf_gp.data.load.load_data`.
        image_size: Height and width that images are cropped to.
        mean: Three numbers, 0..1.
        std: Three positive numbers, 0..1.
        root: The folder of the named data sets, see :func:`gaaf_gp.data.load.load_data`.
        device: The device of the batches, where networks train on them.
        workers: Processes that decode files for one training; 0 to decode in the training process. Each training
            process starts this many: two trainings side by side with 4 workers each are ten processes.

    Raises:
        GaafError: There is no such folder, files are missing in it, or a setting is out of its range.
    """
    seed, val_fraction, limit = check_split(seed, val_fraction, limit, usual=0.04)
    image_size = check_size(image_size, usual=224)
    mean, std = check_normalization(mean, std, StreamedData.channels)
    workers = whole_number("workers", workers, 0)
    place = check_device(device)
    source = find_folder(name_or_path, data_root(root), None)
    files = source.files("search")
    places = split_places(
        Collection(str(files.folder), files.classes, files.labels, _unread),
        seed=seed,
        val_fraction=val_fraction,
        limit=limit,
    )
    train, val = (FileSplit(files.folder, files.names[chosen], files.labels[chosen]) for chosen in places)
    return StreamedData(
        name=source.name,
        train=train,
        val=val,
        classes=files.classes,
        mean=mean,
        std=std,
        side=image_size,
        split_seed=seed,
        val_fraction=val_fraction,
        _source=source,
        device=place,
        workers=workers,
    )


def _unread(places: NDArray[np.intp]) -> NDArray[np.uint8]:
    raise GaafError(f"a stream reads its images batch by batch, and {len(places)} were asked for at once: use Stream")
