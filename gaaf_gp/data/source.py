"""Collections of labelled images that are read on demand, and the protocol of the sources that open them.

This module uses numpy only, and does not split.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gaaf_gp.data.images import SUFFIXES, channels_first, resized
from gaaf_gp.errors import GaafError, listed

Part = Literal["search", "test"]


@dataclass(frozen=True)
class Collection:
    """The labelled images of one part, read on demand.

    Attributes:
        where: The file or folder that it was opened from, for messages.
        classes: The names of the K classes; a label is an index into them.
        labels: (N,) int64 in 0..K-1, every class at least once.
        read: Takes (n,) indices and returns their images, (n,C,H,W) uint8.

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
    """A data set with a part to search on and a part to test on; small and picklable."""

    @property
    def name(self) -> str:
        """The name of the data set in results."""

    def has_test(self) -> bool:
        """Whether there is a test part, without opening it."""

    def open(self, part: Part) -> Collection:
        """Open one part, and only that.

        Raises:
            GaafError: It is missing, damaged or breaks a rule of ``Collection``.
        """


def check_classes(where: str, classes: tuple[str, ...], expected: tuple[str, ...]) -> None:
    """Refuse a test part whose classes are not those of the training images.

    Raises:
        GaafError: It names the classes that are unknown or missing.
    """
    if classes != expected:
        extra = listed(sorted(set(classes) - set(expected))) or "none"
        lacking = listed(sorted(set(expected) - set(classes))) or "none"
        raise GaafError(
            f"test must have the classes of train, and in {where} the unknown ones are: {extra}; the missing ones: "
            f"{lacking}; name its folders as in train"
        )


def contents(folder: Path) -> str:
    """List the entries of a folder, folders with a slash, for the message that something is missing there."""
    if not is_folder(folder):
        return "no such folder"
    try:
        entries = sorted(
            entry.name + "/" * is_folder(entry) for entry in folder.iterdir() if not entry.name.startswith(".")
        )
    except OSError as error:
        return f"what cannot be listed ({error.strerror})"
    return listed(entries) or "nothing"


def is_folder(path: Path) -> bool:
    """Return whether there is a folder; False for a path that the system cannot hold."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def held(
    where: str,
    classes: tuple[str, ...],
    images: NDArray[np.uint8],
    labels: NDArray[np.integer],
    resize: int | None,
) -> Collection:
    """Make a collection of images in memory.

    Args:
        where: The file or folder that they were read from, for messages.
        classes: The names of the classes.
        images: (N,H,W) or (N,H,W,3) uint8.
        labels: (N,) whole numbers.
        resize: Height and width in pixels; None to keep the size of the images.

    Raises:
        GaafError: There is not one label per image, or a rule of ``Collection`` is broken.
    """
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
