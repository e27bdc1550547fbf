"""Folders of images with one folder for each class: listing their files and reading their images."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gaaf_gp.data.images import image_names, read_images
from gaaf_gp.data.source import Collection, Part, contents
from gaaf_gp.errors import GaafError
from gaaf_gp.util.checks import check_text


@dataclass(frozen=True, eq=False)
class FileList:
    """The image files of one part; they are not opened.

    Attributes:
        folder: The names are relative to this folder.
        classes: The names of the class folders in alphabetical order; a label is an index into them.
        names: (N,) bytes, "CLASS/FILE" as the file system encodes it. An array, because 1.3 million strings are large
            and slow to send.
        labels: (N,) int64.
    """

    folder: Path
    classes: tuple[str, ...]
    names: NDArray[np.bytes_]
    labels: NDArray[np.int64]

    def path(self, place: int) -> Path:
        """Return the path of one file."""
        return self.folder / os.fsdecode(bytes(self.names[place]))


@dataclass(frozen=True)
class FolderSource:
    """A folder with ``train/CLASS/*``, and ``test/CLASS/*`` or, as ImageNet has it, ``val/CLASS/*``.

    ``val`` is the test part only where ``test`` has no class folders: ImageNet's own test images have no labels, and
    its ``val`` is what accuracies are reported on. The images that a search validates on always come from ``train``.

    Classes are the names of the folders in alphabetical order, images come in the order of their names. Hidden files
    are ignored. Files with another suffix than those of :data:`gaaf_gp.data.images.SUFFIXES` are not read, and a
    warning says how many. Transparency is dropped, and an image is turned as its EXIF orientation says.
    """

    folder: Path
    resize: int | None = None

    @property
    def name(self) -> str:
        """The name of the folder, without its path."""
        return self.folder.name

    def has_test(self) -> bool:
        """Whether there is a folder ``test`` or ``val``."""
        return self._place("test").is_dir()

    def open(self, part: Part) -> Collection:
        """List the files of one part; images are decoded when they are read. See ``Source.open``."""
        file_list = self.files(part)

        def read(places: NDArray[np.intp]) -> NDArray[np.uint8]:
            return read_images([file_list.path(int(place)) for place in places], self.resize)

        return Collection(str(file_list.folder), file_list.classes, file_list.labels, read)

    def files(self, part: Part) -> FileList:
        """List the files of one part; none is opened.

        Raises:
            GaafError: The folder of that part is missing or holds no class folders, or the name of one is no text.
        """
        folder = self._place(part)
        if not folder.is_dir():
            raise GaafError(
                f"{self.folder} must hold train/CLASS/ and test/CLASS/ (or val/CLASS/) with images, and it has no "
                f"folder {folder.name}/; it holds: {contents(self.folder)}; give the folder above {folder.name}/"
            )
        classes = _class_folders(folder)
        if not classes:
            raise GaafError(
                f"{folder} must hold one folder of images per class, and it is a folder without class folders; it "
                f"holds: {contents(folder)}; put the images into {folder.name}/CLASS/"
            )
        for name in classes:
            check_text(f"the name of a class in {folder}", name)
        names = [[os.fsencode(f"{name}/{file}") for file in image_names(folder / name)] for name in classes]
        labels = np.repeat(np.arange(len(classes), dtype=np.int64), [len(group) for group in names])
        flat = [name for group in names for name in group]
        return FileList(folder, tuple(classes), np.array(flat, dtype=np.bytes_), labels)

    def _place(self, part: Part) -> Path:
        if part == "search":
            return self.folder / "train"
        test, val = self.folder / "test", self.folder / "val"
        return val if val.is_dir() and not (test.is_dir() and _class_folders(test)) else test


def _class_folders(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir())
    except OSError as error:
        raise GaafError(
            f"a folder of classes must be readable, and {error.filename or folder} is not ({error.strerror}): correct "
            "or remove it"
        ) from error
