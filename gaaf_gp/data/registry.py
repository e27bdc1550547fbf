"""Data sets by name: the bundled set, Fashion-MNIST, torchvision's data sets, or a folder of images.

A source opens one of its two parts at a time, "search" or "test", and never reads the other. It returns a
``Collection``, which holds the labels and reads images on demand. ``gaaf_gp.data.load`` splits them and makes tensors.
"""

import hashlib
import os
import zipfile
import zlib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from gaaf_gp.data.folders import FolderSource
from gaaf_gp.data.idx import IdxSource
from gaaf_gp.data.source import Collection, Part, Source, contents, held, is_folder
from gaaf_gp.data.torchvision_compat import import_torchvision
from gaaf_gp.errors import GaafError, listed, one_line
from gaaf_gp.util.checks import check_text

__all__ = [
    "DATASETS",
    "BundledSource",
    "Collection",
    "FolderSource",
    "IdxSource",
    "Part",
    "Source",
    "TorchvisionSource",
    "data_root",
    "find_folder",
    "find_source",
]

DATASETS: tuple[str, ...] = ("fashion10k", "fashion-mnist", "cifar10", "cifar100", "imagenet")
"""The names that ``load_data`` knows; anything else is a path."""

# The name of the class in torchvision, and the folder under the root that torchvision reads.
_TORCHVISION = {
    "cifar10": ("CIFAR10", "cifar-10-batches-py"),
    "cifar100": ("CIFAR100", "cifar-100-python"),
}


@dataclass(frozen=True)
class BundledSource:
    """The 10,000 images that come with the package; each part has its own file."""

    resize: int | None = None
    name: str = "fashion10k"

    def has_test(self) -> bool:
        """Return True: it comes with the package."""
        return True

    def open(self, part: Part) -> Collection:
        """Open ``bundled/fashion10k_PART.npz``, from an installed wheel too. See ``Source.open``."""
        file = f"{self.name}_{part}.npz"
        try:
            stream = (files("gaaf_gp.data") / "bundled" / file).open("rb")
            with stream, np.load(stream, allow_pickle=False) as archive:
                images, labels, classes = archive["images"], archive["labels"], archive["classes"]
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
            raise GaafError(
                f"the bundled file {file} must be whole, and reading it ended with {one_line(error)}: install gaaf-gp "
                "anew, or make the file with scripts/make_fashion10k.py"
            ) from error
        return held(file, tuple(classes.tolist()), images, labels, self.resize)


@dataclass(frozen=True)
class TorchvisionSource:
    """CIFAR-10 or CIFAR-100 as torchvision reads them.

    The files are pickles, which this project never loads from a file of unknown origin. torchvision's loader may be
    used, because it compares the md5 sum of each file with the published one before reading it, so only the official
    files are loaded. For the same reason it hashes (but does not read) the test file while the search part is opened.
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
        kind: Any = getattr(import_torchvision().datasets, maker)
        try:
            dataset = kind(root=str(self.root), train=part == "search", download=self.download and part == "search")
            images, labels = np.asarray(dataset.data), np.asarray(dataset.targets)
        except Exception as error:  # torchvision's readers check little, so a damaged file shows as any exception
            raise GaafError(
                f"{self.name} must be whole in {folder}, and torchvision stopped with {one_line(error)} "
                f"({_faults(kind, folder)}): {self._remedy(folder, self.root / kind.filename)}"
            ) from error
        return held(str(folder), tuple(dataset.classes), images, labels, self.resize)

    def _remedy(self, folder: Path, archive: Path) -> str:
        if folder.exists():
            return "remove that folder and ask for the download (download=True, --download)"
        if self.download:
            return "check the connection, or put the files there by hand"
        if archive.is_file():
            return f"{archive} is there and download=True (--download) unpacks it"
        return (
            "ask for the download (download=True, --download), or give the folder above it as root or in GAAF_GP_DATA"
        )


def _faults(kind: Any, folder: Path) -> str:
    """Say which files of a data set of torchvision are missing or are not the published ones."""
    if not folder.is_dir():
        return "no such folder"
    sums = dict([*kind.train_list, *kind.test_list, (kind.meta["filename"], kind.meta["md5"])])
    missing = [name for name in sums if not (folder / name).is_file()]
    damaged = [name for name in sums if name not in missing and _md5(folder / name) != sums[name]]
    return f"missing: {listed(missing) or 'none'}; damaged: {listed(damaged) or 'none'}"


def _md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def data_root(root: str | os.PathLike[str] | None) -> Path:
    """Return the folder in which data sets are looked up by name: ``root``, else GAAF_GP_DATA, else the cache."""
    return _expanded(root or os.environ.get("GAAF_GP_DATA") or "~/.cache/gaaf_gp")


def _expanded(path: str | os.PathLike[str]) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise GaafError(f"~ must be the folder of a user, and {str(path)!r} has none: write the whole path") from error


def find_source(name_or_path: str | os.PathLike[str], root: Path, download: bool, resize: int | None) -> Source:
    """Return the source of a known name, else of the folder at that path; nothing is opened yet.

    Raises:
        GaafError: It is neither a known name nor a folder.
    """
    if name_or_path == "fashion10k":
        return BundledSource(resize)
    if name_or_path == "fashion-mnist":
        return IdxSource(root, download, resize)
    if isinstance(name_or_path, str) and name_or_path in _TORCHVISION:
        return TorchvisionSource(name_or_path, root, download, resize)
    return find_folder(name_or_path, root, resize)


def find_folder(name_or_path: str | os.PathLike[str], root: Path, resize: int | None) -> FolderSource:
    """Return the source of ImageNet, by its name, or of the folder at that path; nothing is opened yet.

    Raises:
        GaafError: There is no such folder.
    """
    if name_or_path == "imagenet":
        folder = root / "imagenet"
        if not is_folder(folder):
            raise GaafError(
                f"imagenet must be the folder {folder} with train/CLASS/ and val/CLASS/, and it is not there; in "
                f"{root}: {contents(root)}; unpack the archives of ILSVRC2012 there (a link will do), or give the path "
                "of the folder"
            )
        return FolderSource(folder, resize)
    folder = existing_folder(name_or_path).resolve()
    check_text("the name of a data set", folder.name)
    return FolderSource(folder, resize)


def existing_folder(name_or_path: str | os.PathLike[str]) -> Path:
    """Return the folder at a path, which may begin with ``~``.

    Raises:
        GaafError: There is no such folder.
    """
    folder = _expanded(name_or_path)
    if not is_folder(folder):
        raise GaafError(
            f"data must be one of {listed(DATASETS)}, or the path of a folder with train/CLASS/ and test/CLASS/, and "
            f"{str(name_or_path)!r} is neither"
        )
    return folder
