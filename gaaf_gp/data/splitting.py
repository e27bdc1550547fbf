"""Splitting a data set into images to train on and images to validate on: a seeded draw, class by class."""

import numpy as np
from numpy.typing import NDArray

from gaaf_gp.data.source import Collection
from gaaf_gp.errors import GaafError
from gaaf_gp.util.checks import plain_number, whole_number


def check_split(seed: int, val_fraction: float, limit: int | None, usual: float) -> tuple[int, float, int | None]:
    """Return the settings of a split as plain numbers.

    Args:
        seed: Not negative.
        val_fraction: In (0,1).
        limit: The most images altogether; None for all.
        usual: The fraction that the message proposes.

    Raises:
        GaafError: One is out of its range, or the seed too large for 64 bits.
    """
    fraction = plain_number(val_fraction)
    if fraction is None or not 0 < fraction < 1:
        raise GaafError(f"val_fraction must be above 0 and below 1, and is {val_fraction!r}: {usual} is usual")
    return whole_number("seed", seed, 0), fraction, None if limit is None else whole_number("limit", limit)


def split_places(
    collection: Collection, *, seed: int, val_fraction: float, limit: int | None = None
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Draw the indices of the train and of the val images, class by class.

    Every class is permuted once, whatever the limit. Validation takes from the front and training from the back, so
    that a smaller limit gives subsets and never moves an image from one side to the other.

    Args:
        collection: Has the labels and the names of the classes.
        seed: Not negative.
        val_fraction: In (0,1), rounded per class, with one image at least on either side.
        limit: The most images altogether; None for all.

    Returns:
        Two shuffled arrays of indices into ``collection.labels`` that have none in common.

    Raises:
        GaafError: The limit is below two per class, or a class has fewer than two images.
    """
    # RandomState and SeedSequence, because numpy promises that their streams never change.
    rng = np.random.RandomState(np.random.MT19937(np.random.SeedSequence(seed)))
    counts = np.bincount(collection.labels, minlength=len(collection.classes))
    train, val = [], []
    for label, quota in enumerate(_quotas(counts, limit)):
        if quota < 2:
            raise GaafError(
                "every class must have two images, one to train and one to validate on, and "
                f"{collection.classes[label]!r} in {collection.where} has {quota}: add images, or remove the class"
            )
        to_val = min(max(int(np.floor(val_fraction * quota + 0.5)), 1), quota - 1)
        places = rng.permutation(np.flatnonzero(collection.labels == label))
        val.append(places[:to_val])
        train.append(places[len(places) - (quota - to_val) :])
    return rng.permutation(np.concatenate(train)), rng.permutation(np.concatenate(val))


def _quotas(counts: NDArray[np.intp], limit: int | None) -> list[int]:
    """Divide ``limit`` among classes of these sizes: two each, and the rest in proportion."""
    least = 2 * len(counts)
    if limit is not None and limit < least:
        raise GaafError(
            f"limit must be at least two images per class, {least} for {len(counts)} classes, and is {limit}: raise it"
        )
    # Webster's method: image j of a class of n images is due at (j + 1/2) / n. Rounding the shares instead could take
    # an image away from a class when the limit grows; this method never does.
    due = [np.where(np.arange(count) < 2, 0, (np.arange(count) + 0.5) / count) for count in counts]
    owners = np.repeat(np.arange(len(counts)), counts)
    first = np.argsort(np.concatenate(due), kind="stable")[:limit]
    return [int(quota) for quota in np.bincount(owners[first], minlength=len(counts))]
