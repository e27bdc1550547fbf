"""Where images come from: the bundled set, torchvision's data sets, a folder of images.

A source opens one of its two parts at a time, "search" or "test", and never looks into the other. What it opens is a
``Collection``: the labels are known at once, the images are read for the places asked for. Nothing here splits, and
nothing here knows torch: the room next door, ``data``, does that.
"""

import os
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gaaf_gp.errors import GaafError, listed, one_line
from gaaf_gp.images import SUFFIXES, channels_first, image_files, read_images, resized
from gaaf_gp.torchvision_compat import import_torchvision

Part = Literal["search", "test"]
DATASETS: tuple[str, ...] = ("fashion10k", "fashion-mnist", "cifar10", "cifar100")
"""The names that ``load_data`` knows; anything else is a path."""

# What torchvision calls them, and the folder under the root in which it looks.
_TORCHVISION = {
    "fashion-mnist": ("FashionMNIST", "FashionMNIST"),
    "cifar10": ("CIFAR10", "cifar-10-batches-py"),
    "cifar100": ("CIFAR100", "cifar-100-python"),
}


@dataclass(frozen=True)
class Collection:
    """The labelled images of one part, read on demand.

    Attributes:
        where: What it was opened from, for messages.
        classes: The names of the K classes; the label is the place in them.
        labels: (N,) int64 in 0..K-1, every class at least once.
        read: From (n,) places to their images, (n,C,H,W) uint8.

    Raises:
        GaafError: Fewer than two classes, a label outside them, or a class without an image.
    """

    where: str
    classes: tuple[str, ...]
    labels: NDArray[np.int64]
    read: Callable[[NDArray[np.intp]], NDArray[np.uint8]]

    def __post_init__(self) -> None:
        if len(self.classes) < 2:
            raise GaafError(
                f"there must be at least two classes to tell apart, and {self.where} has only {listed(self.classes)}"
            )
        if len(self.labels) and not 0 <= self.labels.min() <= self.labels.max() < len(self.classes):
            raise GaafError(
                f"labels must be 0 to {len(self.classes) - 1}, and {self.where} has {self.labels.min()} to "
                f"{self.labels.max()}: the file is damaged"
            )
        counts = np.bincount(self.labels, minlength=len(self.classes))
        empty = [name for name, count in zip(self.classes, counts, strict=True) if not count]
        if empty:
            raise GaafError(
                f"every class must have an image, and in {self.where} there is none for {listed(empty)}: add images "
                f"({listed(sorted(SUFFIXES))}) or remove the class"
            )


class Source(Protocol):
    """Something with a part to search on and a part to test on; small and picklable."""

    @property
    def name(self) -> str:
        """What the data set is called in results."""

    def has_test(self) -> bool:
        """Whether there is a test part, without opening it."""

    def open(self, part: Part) -> Collection:
        """Open one part, and only that.

        Raises:
            GaafError: It is missing, damaged or breaks a rule of ``Collection``.
        """


@dataclass(frozen=True)
class BundledSource:
    """The 10,000 images that come with the package; each part is a file of its own."""

    resize: int | None = None
    name: str = "fashion10k"

    def has_test(self) -> bool:
        """Return True: it comes with the package."""
        return True

    def open(self, part: Part) -> Collection:
        """Open ``bundled/fashion10k_PART.npz``, from an installed wheel too. See ``Source.open``."""
        file = f"{self.name}_{part}.npz"
        try:
            stream = (files("gaaf_gp") / "bundled" / file).open("rb")
            with stream, np.load(stream, allow_pickle=False) as archive:
                images, labels, classes = archive["images"], archive["labels"], archive["classes"]
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
            raise GaafError(
                f"the bundled file {file} must be whole, and reading it ended with {one_line(error)}: install gaaf-gp "
                "anew, or make the file with scripts/make_fashion10k.py"
            ) from error
        return _held(file, tuple(classes.tolist()), images, labels, self.resize)


@dataclass(frozen=True)
class TorchvisionSource:
    """Fashion-MNIST, CIFAR-10 or CIFAR-100 as torchvision reads them.

    The CIFAR files are pickles, which this project never loads from a file of unknown origin. torchvision compares the
    md5 sum of each of them with the published one before it reads it, so what is loaded is the official file and no
    other; that is why its loader may be used. For the same reason it hashes (but does not read) the test file while
    the search part is opened. Fashion-MNIST is plain IDX.
    """

    name: str
    root: Path
    download: bool = False
    resize: int | None = None

    def has_test(self) -> bool:
        """Return True: torchvision accepts the set only as a whole."""
        return True

    def open(self, part: Part) -> Collection:
        """Open one part; torchvision downloads the set first if that was asked for. See ``Source.open``."""
        maker, subfolder = _TORCHVISION[self.name]
        folder = self.root / subfolder
        if (folder / "processed").exists():
            raise GaafError(
                f"{folder} must hold the raw IDX files only, and {folder / 'processed'} has pickles of an old "
                "torchvision: remove that folder"
            )
        datasets: Any = import_torchvision().datasets
        try:
            dataset = getattr(datasets, maker)(
                root=str(self.root), train=part == "search", download=self.download and part == "search"
            )
            images, labels = np.asarray(dataset.data), np.asarray(dataset.targets)
        except Exception as error:  # torchvision's readers check little, so a damaged file shows as any exception
            raise GaafError(
                f"{self.name} must be whole in {folder}, and torchvision stopped with {one_line(error)}: "
                f"{self._remedy(folder)}"
            ) from error
        return _held(str(folder), tuple(dataset.classes), images, labels, self.resize)

    def _remedy(self, folder: Path) -> str:
        if folder.exists():
            return "remove that folder and ask for the download (download=True)"
        if self.download:
            return "check the connection, or put the files there by hand"
        return "ask for the download (download=True), or give the folder above it as root or in GAAF_GP_DATA"


@dataclass(frozen=True)
class FolderSource:
    """A folder with ``train/CLASS/*`` and ``test/CLASS/*``.

    Classes are the names of the folders in alphabetical order, images come in the order of their names. Hidden files
    and files with another suffix than .png .jpg .jpeg .bmp .webp .ppm .pgm are ignored. Transparency is dropped.
    """

    folder: Path
    resize: int | None = None

    @property
    def name(self) -> str:
        """The name of the folder, without its place."""
        return self.folder.name

    def has_test(self) -> bool:
        """Whether there is a folder ``test``."""
        return (self.folder / "test").is_dir()

    def open(self, part: Part) -> Collection:
        """List the files of one part; images are decoded when they are read. See ``Source.open``."""
        folder = self.folder / ("train" if part == "search" else "test")
        if not folder.is_dir():
            raise GaafError(
                f"{self.folder} must hold train/CLASS/ and test/CLASS/ with images, and it has no folder {folder.name}/"
            )
        classes = sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
        if not classes:
            raise GaafError(
                f"{folder} must hold one folder of images per class, and it is a folder without images: put them in "
                f"{folder.name}/CLASS/"
            )
        images = [image_files(entry) for entry in classes]
        paths = [path for group in images for path in group]
        labels = np.repeat(np.arange(len(classes), dtype=np.int64), [len(group) for group in images])

        def read(places: NDArray[np.intp]) -> NDArray[np.uint8]:
            return read_images([paths[place] for place in places], self.resize)

        return Collection(str(folder), tuple(entry.name for entry in classes), labels, read)


def find_source(name_or_path: str | os.PathLike[str], root: Path, download: bool, resize: int | None) -> Source:
    """Return the source of a known name, else of the folder at that path; nothing is opened yet.

    Raises:
        GaafError: It is neither a known name nor a folder.
    """
    if name_or_path == "fashion10k":
        return BundledSource(resize)
    if isinstance(name_or_path, str) and name_or_path in _TORCHVISION:
        return TorchvisionSource(name_or_path, root, download, resize)
    folder = Path(name_or_path).expanduser()
    if not folder.is_dir():
        raise GaafError(
            f"data must be one of {listed(DATASETS)}, or the path of a folder with train/CLASS/ and test/CLASS/, and "
            f"{str(name_or_path)!r} is neither"
        )
    return FolderSource(folder.resolve(), resize)


def _held(
    where: str,
    classes: tuple[str, ...],
    images: NDArray[np.uint8],
    labels: NDArray[np.integer],
    resize: int | None,
) -> Collection:
    """Make a collection of images in memory, (N,H,W) or (N,H,W,3) uint8."""
    if len(images) != len(labels) or labels.ndim != 1:
        raise GaafError(
            f"{where} must have one label per image, and has {len(images)} images and {labels.size} labels: it is "
            "damaged, fetch it anew"
        )

    def read(places: NDArray[np.intp]) -> NDArray[np.uint8]:
        chosen = images[places]
        if resize is not None:
            chosen = np.stack([resized(Image.fromarray(image), resize) for image in chosen])
        return channels_first(chosen)

    return Collection(where, classes, labels.astype(np.int64), read)
