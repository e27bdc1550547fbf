"""Image files from anywhere as arrays: few formats, sane sizes, one line for whatever is wrong with a file."""

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gaaf_gp.errors import GaafError, listed, one_line

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm", ".pgm"})
# Only these decoders are let near a file, whatever its name says it is.
_FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "PPM")
MOST_PIXELS = 4096
"""An image with more pixels on a side is refused before it is decoded."""


def image_files(folder: Path) -> list[Path]:
    """Return the images of a folder in the order of their names; hidden and other files are left out."""
    found = (path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and not path.name.startswith("."))
    return sorted(path for path in found if path.is_file())


def read_images(paths: list[Path], resize: int | None) -> NDArray[np.uint8]:
    """Decode files to (N,C,H,W) uint8; C is 1 when all are grey, else 3.

    Args:
        paths: At least one file.
        resize: Height and width in pixels; None to leave all as they are.

    Raises:
        GaafError: A file is damaged, claims to be huge, has more than 8 bits, or differs in size.
    """
    with warnings.catch_warnings():
        # Pillow only warns of a picture that is merely huge.
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        images = [_decoded(path, resize) for path in paths]
    for path, image in zip(paths, images, strict=True):
        if image.shape[:2] != images[0].shape[:2]:
            raise GaafError(
                f"all images must have one size, and {paths[0]} is {_size(images[0])} and {path} is {_size(image)} "
                "pixels: give image_size to resize them"
            )
    if any(image.ndim == 3 for image in images):
        images = [image if image.ndim == 3 else np.repeat(image[:, :, None], 3, axis=2) for image in images]
    return channels_first(np.stack(images))


def _decoded(path: Path, resize: int | None) -> NDArray[np.uint8]:
    """Decode one file to (H,W) if it is grey, else to (H,W,3)."""
    try:
        with Image.open(path, formats=_FORMATS) as image:
            if max(image.size) > MOST_PIXELS:
                raise Image.DecompressionBombError(f"{image.width}x{image.height} pixels")
            if image.mode == "F" or image.mode.startswith("I"):
                raise ValueError(f"pixels of more than 8 bits (mode {image.mode})")
            pixels = image.convert("L" if image.mode in {"1", "L", "LA", "La"} else "RGB")
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise GaafError(
            f"an image must have at most {MOST_PIXELS} pixels on a side, and {path} claims more ({error}): make it "
            "smaller"
        ) from error
    except Exception as error:  # each of Pillow's decoders has its own way to fail on a damaged file
        raise GaafError(
            f"an image must be a whole 8-bit {listed(_FORMATS)} file, and reading {path} ended with {one_line(error)}: "
            "repair or remove it"
        ) from error
    return np.asarray(pixels) if resize is None else resized(pixels, resize)


def resized(image: Image.Image, size: int) -> NDArray[np.uint8]:
    """Return the image as (size,size) or (size,size,3) uint8."""
    # Pillow's filters widen with the reduction: this is an antialiased resize.
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))


def channels_first(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return (N,H,W) or (N,H,W,3) images as (N,C,H,W)."""
    channels_last = images[..., None] if images.ndim == 3 else images
    return np.ascontiguousarray(channels_last.transpose(0, 3, 1, 2))


def _size(image: NDArray[np.uint8]) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"
