"""Fashion-MNIST in its published form: IDX files, plain or packed with gzip.

An IDX file is two zero bytes, a byte for the type (8 for unsigned bytes), a byte for the number of dimensions, each
dimension as a big-endian 32-bit number, and the values (Y. LeCun, the MNIST database of handwritten digits).
"""

import gzip
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from gaaf_gp.data.source import Collection, Part, contents, held
from gaaf_gp.data.torchvision_compat import import_torchvision
from gaaf_gp.errors import GaafError, one_line
from gaaf_gp.util.files import open_regular, read_pieces

FASHION = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
"""The classes of Fashion-MNIST (Xiao, Rasul and Vollgraf 2017), in the order of their labels."""
SYSTEM = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package dataset-fashion-mnist puts the files, packed."""
MOST_BYTES = 1 << 30
"""A file that announces more values is refused before they are read; Fashion-MNIST has 47 million."""

_PREFIX: dict[Part, str] = {"search": "train", "test": "t10k"}


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """Read a file of unsigned bytes; a file that ends in .gz is unpacked.

    Args:
        path: The file.
        dimensions: The number of dimensions that it must have.

    Raises:
        GaafError: The file is damaged, or is another kind of file.
    """
    try:
        with open_regular(path) as file, _unpacked(file, path) as stream:
            kind = stream.read(4)
            if kind != bytes((0, 0, 8, dimensions)):
                raise ValueError(f"it begins with {kind.hex(' ') or 'nothing'}, not 00 00 08 {dimensions:02}")
            shape = struct.unpack(f">{dimensions}I", stream.read(4 * dimensions))
            size = math.prod(shape)
            if size > MOST_BYTES:
                raise ValueError(f"it announces {size} values, and {MOST_BYTES} are the most")
            values = read_pieces(stream, size + 1)  # one more detects a longer file and lets gzip check its sum
    except GaafError:
        raise
    except (OSError, EOFError, ValueError, struct.error, zlib.error) as error:
        raise GaafError(
            f"an IDX file must be whole and have {dimensions} dimensions of bytes, and reading {path} ended with "
            f"{one_line(error)}: remove it and fetch it anew"
        ) from error
    if len(values) != size:
        raise GaafError(
            f"an IDX file must hold as many values as it announces, and {path} announces {size} and has "
            f"{'more' if len(values) > size else len(values)}: remove it and fetch it anew"
        )
    return np.frombuffer(values, np.uint8).reshape(shape)


def _unpacked(file: BinaryIO, path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(file)) if path.suffix == ".gz" else file


@dataclass(frozen=True)
class IdxSource:
    """Fashion-MNIST under ``root``, as torchvision or the publisher lays it out, or as Debian's package has it.

    Only the two files of the part that is opened are read. Plain files are preferred to packed ones.
    """

    root: Path
    download: bool = False
    resize: int | None = None
    name: str = "fashion-mnist"

    def has_test(self) -> bool:
        """Whether the two test files are there; they are not opened."""
        return self._files("test") is not None

    def open(self, part: Part) -> Collection:
        """Open one part; torchvision downloads the set first if that was asked for. See ``Source.open``."""
        files = self._files(part)
        if files is None and self.download and part == "search":
            self._fetch()
            files = self._files(part)
        if files is None:
            wanted = " and ".join(f"{name}(.gz)" for name, _ in _names(part))
            present = "; ".join(f"in {place}: {contents(place)}" for place in self._places())
            raise GaafError(
                f"fashion-mnist must lie side by side as {wanted}, and there is {present}; ask for the download "
                "(download=True, --download), or give the folder of the files as root or in GAAF_GP_DATA"
            )
        images, labels = (read_idx(path, dimensions) for path, dimensions in files)
        return held(str(files[0][0].parent), FASHION, images, labels, self.resize)

    def _places(self) -> tuple[Path, ...]:
        folder = self.root / "FashionMNIST"
        return (folder / "raw", folder, self.root / "fashion-mnist", self.root, SYSTEM)

    def _files(self, part: Part) -> tuple[tuple[Path, int], ...] | None:
        """Return images and labels of the first place that has both, with their dimensions."""
        for place in self._places():
            paths = [
                (next((path for path in (place / name, place / f"{name}.gz") if path.is_file()), None), dimensions)
                for name, dimensions in _names(part)
            ]
            present = tuple((path, dimensions) for path, dimensions in paths if path is not None)
            if len(present) == len(paths):
                return present
        return None

    def _fetch(self) -> None:
        old = self.root / "FashionMNIST" / "processed"
        if old.exists():  # torchvision would load those instead of downloading
            raise GaafError(f"a download needs a place without pickles of an old torchvision: remove the folder {old}")
        datasets: Any = import_torchvision().datasets
        try:
            datasets.FashionMNIST(root=str(self.root), train=True, download=True)
        except Exception as error:  # torchvision passes on every exception of the network as it is
            raise GaafError(
                f"fashion-mnist must be there or come by download into {old.parent}, and torchvision stopped with "
                f"{one_line(error)}: check the connection, or put the files there by hand"
            ) from error


def _names(part: Part) -> tuple[tuple[str, int], ...]:
    prefix = _PREFIX[part]
    return (f"{prefix}-images-idx3-ubyte", 3), (f"{prefix}-labels-idx1-ubyte", 1)
