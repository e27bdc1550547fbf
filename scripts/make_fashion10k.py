"""Draw the bundled data set "fashion10k" from the full Fashion-MNIST.

    python scripts/make_fashion10k.py FOLDER

FOLDER holds the four gzip IDX files of Fashion-MNIST, ``train-images-idx3-ubyte.gz`` and its three neighbours. Debian's
package ``dataset-fashion-mnist`` installs them in ``/usr/share/datasets/fashion-mnist``.

800 images per class are drawn from the 60,000 training images for searching, 200 per class from the 10,000 test images
for testing. They go to two files, so that whoever reads the one cannot read the other by mistake. The same input gives
the same bytes.
"""

import argparse
import gzip
import hashlib
import struct
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gaaf_gp import GaafError

CLASSES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
SEED = 20170828
PER_CLASS = {"search": 800, "test": 200}
_PREFIX = {"search": "train", "test": "t10k"}
_BUNDLED = Path(__file__).resolve().parents[1] / "gaaf_gp" / "data" / "bundled"


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """Read a gzip IDX file of unsigned bytes.

    The format: two zero bytes, the type (8 for unsigned byte), the number of dimensions, each size as a big-endian
    32-bit integer, then the values in row-major order.

    Args:
        path: The file.
        dimensions: How many it must have: 3 for images, 1 for labels.

    Returns:
        The values, uint8, with ``dimensions`` axes.

    Raises:
        GaafError: The file is missing, damaged, cut short, or of another shape.
    """
    try:
        with gzip.open(path) as file:
            content = file.read()
    except FileNotFoundError:
        raise GaafError(
            f"the folder must hold the four gzip IDX files of Fashion-MNIST, and {path} is missing: give the folder "
            "that has them"
        ) from None
    except (OSError, EOFError, zlib.error) as error:
        raise GaafError(
            f"{path} must be a whole gzip file, and reading it ended with: {error}: fetch it anew"
        ) from error
    start = 4 + 4 * dimensions
    if len(content) < start or content[:4] != bytes((0, 0, 8, dimensions)):
        raise GaafError(f"{path} must be an IDX file of bytes with {dimensions} dimensions, and its header is not")
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    values = np.frombuffer(content, np.uint8, offset=start)
    if values.size != np.prod(shape, dtype=object):
        raise GaafError(
            f"{path} must hold {' x '.join(map(str, shape))} bytes after its header, and holds {values.size}: fetch it "
            "anew"
        )
    return values.reshape(shape)


def draw(labels: NDArray[np.uint8], per_class: int, seed: int) -> NDArray[np.intp]:
    """Draw ``per_class`` different places of every class, in one shuffled order.

    Args:
        labels: (N,) uint8 in 0..9.
        per_class: How many of each class.
        seed: The seed of the drawing.

    Returns:
        (10 * per_class,) places in ``labels``.

    Raises:
        GaafError: A class has too few images.
    """
    # RandomState, because numpy promises that its stream never changes.
    rng = np.random.RandomState(seed)
    chosen = []
    for number, name in enumerate(CLASSES):
        places = np.flatnonzero(labels == number)
        if len(places) < per_class:
            raise GaafError(f"every class must have at least {per_class} images, and {name!r} has {len(places)}")
        chosen.append(rng.permutation(places)[:per_class])
    return rng.permutation(np.concatenate(chosen))


def write_part(folder: Path, out: Path, part: str, per_class: int, seed: int) -> Path:
    """Draw one part, "search" or "test", and write it as ``out/fashion10k_PART.npz``; return that path.

    The file holds ``images`` (N,28,28) uint8, ``labels`` (N,) uint8 and ``classes`` (10,) fixed-width text, to be read
    with ``allow_pickle=False``.

    Raises:
        GaafError: A file is missing or damaged, or has too few images.
    """
    images = read_idx(folder / f"{_PREFIX[part]}-images-idx3-ubyte.gz", dimensions=3)
    labels = read_idx(folder / f"{_PREFIX[part]}-labels-idx1-ubyte.gz", dimensions=1)
    if len(images) != len(labels):
        raise GaafError(f"there must be one label per image, and {folder} has {len(images)} and {len(labels)}")
    chosen = draw(labels, per_class, seed)
    path = out / f"fashion10k_{part}.npz"
    # numpy gives every member of the archive the same fixed date, so nothing of the moment gets into the file.
    np.savez_compressed(path, images=images[chosen], labels=labels[chosen], classes=np.array(CLASSES))
    return path


def main(arguments: Sequence[str] | None = None) -> int:
    """Write both files, print their SHA-256, and return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="the folder with the four gzip IDX files")
    parser.add_argument("--out", type=Path, default=_BUNDLED, help="where to write (default: %(default)s)")
    given = parser.parse_args(arguments)
    try:
        given.out.mkdir(parents=True, exist_ok=True)
        for part, per_class in PER_CLASS.items():
            path = write_part(given.folder, given.out, part, per_class, SEED)
            print(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}")
    except GaafError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
