"""Reading image files as arrays: a few formats, limited sizes, and a one-line error for a file that is damaged."""

import os
import warnings
from collections import Counter
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray
from PIL import Image

from gaaf_gp.errors import GaafError, listed, one_line, printable
from gaaf_gp.util.checks import plain_whole
from gaaf_gp.util.files import open_regular

_SUFFIXES = {
    "PNG": (".png", ".apng"),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "BMP": (".bmp",),
    "WEBP": (".webp",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "TIFF": (".tif", ".tiff"),
    "GIF": (".gif",),
    "JPEG2000": (".jp2", ".j2k"),
}
_FORMATS = tuple(_SUFFIXES)
"""Only these decoders are let near a file, whatever its name says it is; others run programs or read documents."""
SUFFIXES = frozenset(suffix for suffixes in _SUFFIXES.values() for suffix in suffixes)
ORIENTATION = 0x0112
"""The tag of EXIF that says how a camera was held."""
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""Value of that tag -> what brings the image upright (EXIF 2.32, section 4.6.4)."""
MOST_PIXELS = 4096
"""The most pixels on a side that images are resized to."""
LARGEST_SIDE = 16_384
"""An image with more pixels on a side is refused before it is decoded; ImageNet has photos of over 9,000."""


def image_files(folder: Path) -> list[Path]:
    """Return the images of a folder in the order of their names; hidden and other files are left out."""
    return [folder / name for name in image_names(folder)]


def image_names(folder: Path) -> list[str]:
    """Return the names of :func:`image_files`; quick, because it reads folders of millions of files.

    A warning says how many others there are, hidden ones left aside, and their suffixes.

    Raises:
        GaafError: the folder cannot be listed, or a link in it leads to itself or to a place that cannot be read.
    """
    skipped = Counter[str]()
    try:
        with os.scandir(folder) as entries:
            found = [entry.name for entry in entries if _is_image(entry, skipped) and entry.is_file()]
    except OSError as error:
        raise GaafError(
            f"a folder of images must be readable, and {error.filename or folder} is not ({error.strerror}): correct "
            "or remove it"
        ) from error
    if skipped.total():
        kinds = listed(
            f"{number} {suffix or 'without a suffix'}" for suffix, number in sorted(skipped.items()) if number
        )
        warnings.warn(
            printable(
                f"{skipped.total()} of {skipped.total() + len(found)} entries of {folder} are not read ({kinds}): "
                f"images have names with {listed(sorted(SUFFIXES), len(SUFFIXES))}"
            ),
            stacklevel=2,
        )
    return sorted(found)


def _is_image(entry: os.DirEntry[str], skipped: Counter[str]) -> bool:
    """Return whether a name is that of an image; count the suffix of another file."""
    if entry.name.startswith("."):
        return False
    suffix = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122  a path each is slow
    if suffix in SUFFIXES:
        return True
    with suppress(OSError):  # a link to itself
        skipped[suffix] += not entry.is_dir()
    return False


def read_images(paths: list[Path], resize: int | None) -> NDArray[np.uint8]:
    """Decode files to (N,C,H,W) uint8; C is 1 when all are grey, else 3.

    Args:
        paths: At least one file.
        resize: Height and width in pixels; None to leave all as they are.

    Raises:
        GaafError: A file is damaged, claims to be huge, has more than 8 bits, or differs in size; or the images are
            more than memory holds.
    """
    images: list[NDArray[np.uint8]] = []
    for path in paths:
        image = _array(read_image(path), resize)
        if images and image.shape[:2] != images[0].shape[:2]:
            raise GaafError(
                f"all images must have one size, and {paths[0]} is {_size(images[0])} and {path} is {_size(image)} "
                "pixels: give image_size (--image-size) to resize them"
            )
        if not images:
            _check_room(path, image, len(paths))
        images.append(image)
    if any(image.ndim == 3 for image in images):
        images = [image if image.ndim == 3 else np.repeat(image[:, :, None], 3, axis=2) for image in images]
    return channels_first(np.stack(images))


def read_image(path: Path, mode: str | None = None, shorter: int | None = None) -> Image.Image:
    """Decode one file, in 8 bits per channel, upright as its EXIF orientation says; of several frames the first.

    Args:
        path: The file. Its content decides the format, not its name.
        mode: "RGB" or "L"; None for "L" where the file is grey and "RGB" otherwise.
        shorter: Pixels to which its shorter side will be resized; an image that would then be huge is refused too.

    Raises:
        GaafError: The file is damaged, is not a regular file, claims to be huge, or has more than 8 bits.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about metadata, such as a torn EXIF block
            # Pillow warns about a huge picture and raises only for one twice as large.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with open_regular(path) as file, Image.open(file, formats=_FORMATS) as image:
                if max(image.size) > LARGEST_SIDE:
                    raise Image.DecompressionBombError(f"{image.width}x{image.height} pixels")
                _check_depth(image)
                if shorter is not None:
                    _check_enlarged(path, image, shorter)
                plain = image.convert(mode or ("L" if image.mode in {"1", "L", "LA", "La"} else "RGB"))
                turn = _TURNS.get(_orientation(image))
                return plain if turn is None else plain.transpose(turn)
    except GaafError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise GaafError(
            f"an image must have at most {LARGEST_SIDE} pixels on a side and {Image.MAX_IMAGE_PIXELS} in all, and "
            f"{path} claims more ({one_line(error)}): make it smaller"
        ) from error
    except Exception as error:  # Pillow's decoders raise many kinds of exceptions for a damaged file
        raise GaafError(
            f"an image must be a whole 8-bit {listed(_FORMATS)} file, and reading {path} ended with {one_line(error)}: "
            "repair or remove it"
        ) from error


def _orientation(image: Image.Image) -> int:
    """Return the orientation in an image's EXIF block, 0 where there is none that can be read."""
    try:
        return int(image.getexif().get(ORIENTATION, 0))
    except Exception:  # a torn block beside the pixels; whoever wrote it, the image is whole
        return 0


def _check_room(path: Path, image: NDArray[np.uint8], number: int) -> None:
    needed, there = image.nbytes * number, psutil.virtual_memory().total
    if needed > there:
        raise GaafError(
            f"images must fit into memory, and {number} of {_size(image)} pixels as {path} take {needed >> 20} MiB of "
            f"{there >> 20}: give image_size (--image-size) to make them smaller, or "
            "stream them (--stream)"
        )


def _check_enlarged(path: Path, image: Image.Image, shorter: int) -> None:
    """Refuse an image so narrow that it would be huge after its shorter side is resized to ``shorter`` pixels."""
    pixels, most = shorter**2 * max(image.size) // max(1, min(image.size)), int(Image.MAX_IMAGE_PIXELS or 0)
    if pixels > most:
        raise GaafError(
            f"an image whose shorter side is resized to {shorter} pixels must have at most {most} then, and {path} of "
            f"{image.width}x{image.height} would have {pixels}: crop or remove it"
        )


def _check_depth(image: Image.Image) -> None:
    """Refuse more than 8 bits: Pillow has a mode for such grey images, but silently drops half the bits of colours."""
    raw = [str(part[3]) for part in getattr(image, "tile", ())]
    if image.mode == "F" or image.mode.startswith("I") or any(";16" in storage for storage in raw):
        raise ValueError(f"pixels of more than 8 bits (mode {', '.join(raw) or image.mode})")


def _array(pixels: Image.Image, resize: int | None) -> NDArray[np.uint8]:
    return np.asarray(pixels) if resize is None else resized(pixels, resize)


def check_size(size: int, usual: int) -> int:
    """Return the size to which images are resized as an int.

    Args:
        size: Height and width in pixels.
        usual: The size that the message proposes.

    Raises:
        GaafError: It is no whole number, below 1 or above ``MOST_PIXELS``.
    """
    plain = plain_whole(size)
    if plain is None or not 1 <= plain <= MOST_PIXELS:
        raise GaafError(f"image_size must be 1 to {MOST_PIXELS} pixels, and is {size!r}: {usual} is usual")
    return plain


def resized(image: Image.Image, size: int) -> NDArray[np.uint8]:
    """Return the image as (size,size) or (size,size,3) uint8."""
    # Pillow's filters grow with the reduction, so this resize is antialiased.
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))


def channels_first(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return (N,H,W) or (N,H,W,3) images as (N,C,H,W)."""
    channels_last = images[..., None] if images.ndim == 3 else images
    return np.ascontiguousarray(channels_last.transpose(0, 3, 1, 2))


def _size(image: NDArray[np.uint8]) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"
