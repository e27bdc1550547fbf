"""Checks of data that a program puts together itself: what breaks a rule here would look like a bad search later."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gaaf_gp.errors import GaafError


def check_names(classes: object) -> tuple[str, ...]:
    """Return the names of classes as a tuple.

    Raises:
        GaafError: They are not two or more different texts.
    """
    names = tuple(classes) if isinstance(classes, Sequence) and not isinstance(classes, str) else ()
    if not all(isinstance(name, str) for name in names) or not 2 <= len(names) == len(set(names)):
        raise GaafError(f"classes must be the names of two or more classes, each once, got {classes!r}: name them all")
    return names


def check_labels(part: str, labels: Tensor | NDArray[np.int64], classes: int) -> None:
    """Refuse labels that name no class, and a split without any.

    Args:
        part: What the split is called, for messages.
        labels: (N,) whole numbers.
        classes: The number of classes.

    Raises:
        GaafError: There is none, or one is not from 0 to ``classes`` - 1.
    """
    if not len(labels):
        raise GaafError(f"{part} must have one image or more, and is empty: give it images")
    if isinstance(labels, Tensor) and labels.is_meta:  # which has shapes only
        return
    least, most = int(labels.min()), int(labels.max())
    if least < 0 or most >= classes:
        raise GaafError(
            f"a label must be the place of its class, from 0 to {classes - 1} for {classes} classes, and those of "
            f"{part} go from {least} to {most}: renumber the labels, or name all classes"
        )


def check_normalization(mean: object, std: object, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the numbers by which images are normalized as tuples of floats.

    Args:
        mean: A sequence, an array or a tensor.
        std: The same.
        channels: How many numbers there must be.

    Raises:
        GaafError: There is not one finite number for each channel in both, or a deviation is not above 0.
    """
    means, deviations = _numbers(mean), _numbers(std)
    sound = all(map(math.isfinite, (*means, *deviations))) and all(deviation > 0 for deviation in deviations)
    if not len(means) == len(deviations) == channels or not sound:
        raise GaafError(
            f"mean and std must be one finite number for each of the {channels} channels, and std above 0, got "
            f"{mean!r} and {std!r}: channel_statistics(images) gives them"
        )
    return means, deviations


def _numbers(values: object) -> tuple[float, ...]:
    """Return a row of numbers as floats; empty if it is none."""
    try:
        array = np.asarray(values.tolist() if isinstance(values, Tensor) else values)
    except ValueError:  # lists of different lengths
        return ()
    return tuple(map(float, array)) if array.ndim == 1 and array.dtype.kind in "fiu" else ()


def is_plain(tensor: object, dimensions: int, dtype: torch.dtype) -> bool:
    """Return whether something is a dense tensor of so many dimensions and of a dtype."""
    if not isinstance(tensor, Tensor):
        return False
    return (tensor.layout, tensor.ndim, tensor.dtype) == (torch.strided, dimensions, dtype)


def described(tensor: object) -> str:
    """Return what a tensor or an array is like, or of which type anything else is, for messages."""
    if isinstance(tensor, Tensor):
        return f"{tuple(tensor.shape)} {tensor.dtype} on {tensor.device}"
    return f"{tensor.shape} {tensor.dtype} of numpy" if isinstance(tensor, np.ndarray) else type(tensor).__name__
