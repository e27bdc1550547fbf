"""Statistics, normalization and augmentation of images, on the device where the images are.

Every function works on a whole batch and draws from the generator that it is given, so a training depends on its seed
alone.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from gaaf_gp.errors import GaafError


def channel_statistics(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and the standard deviation of every channel, on the scale 0..1.

    They are exact: they are computed from 256 counts per channel, without a copy of the images in floats.

    Args:
        images: (N,C,H,W) uint8, not empty.

    Returns:
        C means and C standard deviations (of the population). The deviation of a channel that never varies is 1
        instead of 0, so that images can be divided by it.
    """
    values = torch.arange(256, dtype=torch.float64) / 255
    means, deviations = [], []
    for channel in images.unbind(1):
        counts = torch.bincount(channel.reshape(-1), minlength=256).cpu().double()
        mean = (counts @ values) / counts.sum()
        variance = (counts @ (values - mean) ** 2) / counts.sum()
        means.append(float(mean))
        deviations.append(float(variance.sqrt()) if counts.count_nonzero() > 1 else 1.0)
    return tuple(means), tuple(deviations)


def normalize(
    images: Tensor, mean: Sequence[float], std: Sequence[float], dtype: torch.dtype = torch.float32
) -> Tensor:
    """Return ``(images / 255 - mean) / std`` per channel.

    Args:
        images: (N,C,H,W) uint8.
        mean: C numbers on the scale 0..1.
        std: C positive numbers on the scale 0..1.
        dtype: Of the result. The arithmetic uses float32 at least, so a shorter dtype is rounded only once.

    Returns:
        (N,C,H,W) in ``dtype``, on the device of the images.

    Raises:
        GaafError: The images are not (N,C,H,W) uint8, or there are not C numbers.
    """
    if images.ndim != 4 or images.dtype != torch.uint8 or not images.shape[1] == len(mean) == len(std):
        raise GaafError(
            "images to normalize must be (N,C,H,W) uint8 with C means and C deviations, and came as "
            f"{tuple(images.shape)} {images.dtype} with {len(mean)} and {len(std)}"
        )
    work = torch.promote_types(dtype, torch.float32)
    shift = torch.tensor(mean, dtype=work, device=images.device).view(-1, 1, 1)
    scale = torch.tensor(std, dtype=work, device=images.device).view(-1, 1, 1)
    return ((images.to(work) / 255 - shift) / scale).to(dtype)


def draw_offsets(batch: int, *, pad: int, flip: bool, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Draw where each image of a batch is cropped and whether it is mirrored.

    The same numbers are taken from the generator whatever ``flip`` is.

    Args:
        batch: Number of images.
        pad: Pixels added on every side; offsets are 0..2*pad, all equally likely.
        flip: Whether to mirror images, each with probability one half.
        generator: The numbers are drawn on its device.

    Returns:
        Rows and columns of the upper left corner in the padded image, (batch,) int64 each, and (batch,) bool.
    """
    rows, columns = torch.randint(2 * pad + 1, (2, batch), generator=generator, device=generator.device)
    mirrored = torch.randint(2, (batch,), generator=generator, device=generator.device) == 1
    return rows, columns, mirrored & flip


def augment(
    images: Tensor,
    *,
    pad: int = 4,
    flip: bool = True,
    pad_value: float | Sequence[float] = 0,
    generator: torch.Generator,
) -> Tensor:
    """Pad every image on all sides, crop it back to its size at a random place, and mirror it with probability 1/2.

    The usual augmentation of small images (pad-4 random crop and horizontal flip); the paper trains with it.

    Args:
        images: (B,C,H,W), any dtype, on any device.
        pad: Pixels on every side, 0 for no crop.
        flip: Whether to mirror left and right.
        pad_value: Value of the padding, in the dtype of the images; one number, or C of them. For images that are
            normalized already, black is ``[-m / s for m, s in zip(mean, std)]``.
        generator: Draws everything; the same state gives the same result on every device.

    Returns:
        (B,C,H,W) of the same dtype on the same device, in channels-last memory.

    Raises:
        GaafError: The images do not have four dimensions, ``pad`` is negative, or ``pad_value`` does not fit.
    """
    if images.ndim != 4 or pad < 0:
        raise GaafError(f"augment takes (B,C,H,W) and pad >= 0, and came {tuple(images.shape)} and pad {pad}")
    device = images.device
    rows, columns, mirrored = (
        drawn.to(device) for drawn in draw_offsets(len(images), pad=pad, flip=flip, generator=generator)
    )
    return _cropped(_frames(images, pad, flip, pad_value), images.shape, pad, rows, columns, mirrored)


def _frames(images: Tensor, pad: int, flip: bool, pad_value: float | Sequence[float]) -> Tensor:
    """Return the padded images, and if ``flip`` their mirrored twins after them: (B or 2B, H + 2 pad, W + 2 pad, C)."""
    batch, channels, height, width = images.shape
    pixels = images.permute(0, 2, 3, 1)
    versions = [pixels, pixels.flip(2)] if flip else [pixels]
    shape = (len(versions), batch, height + 2 * pad, width + 2 * pad, channels)
    frames = _filled(images, shape, pad_value)
    for frame, version in zip(frames, versions, strict=True):
        frame[:, pad : pad + height, pad : pad + width] = version
    return frames.view(-1, *shape[2:])


def _filled(images: Tensor, shape: tuple[int, ...], pad_value: float | Sequence[float]) -> Tensor:
    if isinstance(pad_value, int) and pad_value == 0:
        return images.new_zeros(shape)  # the usual case; no tensor has to be copied to the device
    wanted = torch.as_tensor(pad_value, dtype=torch.float64).reshape(-1)
    value = wanted.to(images.dtype)
    channels = shape[-1]
    if len(wanted) not in (1, channels) or not (images.is_floating_point() or torch.equal(value.double(), wanted)):
        raise GaafError(
            f"pad_value must be one number or {channels}, each one that {images.dtype} can hold, and is {pad_value}"
        )
    return images.new_empty(shape).copy_(value.to(images.device).expand(shape))


def _cropped(frames: Tensor, shape: torch.Size, pad: int, rows: Tensor, columns: Tensor, mirrored: Tensor) -> Tensor:
    """Cut (B,C,H,W) out of the frames: every row of a crop is contiguous in memory, and is copied in one piece."""
    batch, channels, height, width = shape
    tall, wide = height + 2 * pad, (width + 2 * pad) * channels
    # In the mirrored frame, the wanted columns are counted from the other side.
    columns = torch.where(mirrored, 2 * pad - columns, columns)
    frame = torch.arange(batch, device=frames.device) + mirrored * batch
    first = (frame * tall + rows) * wide + columns * channels
    starts = first[:, None] + torch.arange(0, height * wide, wide, device=frames.device)
    stretch = width * channels
    # Row k of this view is the stretch that begins at the k-th value. Rows overlap, and the view needs no memory.
    stretches = frames.as_strided((frames.numel() - stretch + 1, stretch), (1, 1))
    crops = stretches.index_select(0, starts.view(-1))
    return crops.view(batch, height, width, channels).permute(0, 3, 1, 2)
