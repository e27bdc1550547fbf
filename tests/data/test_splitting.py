"""The draw of train and val: by class, by seed alone, and nested in the limit."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gaaf_gp.data.source import Collection
from gaaf_gp.data.splitting import split_places
from gaaf_gp.errors import GaafError


def numbered(counts: list[int]) -> Collection:
    """Labels only: the image of a place is never asked for."""
    labels = np.repeat(np.arange(len(counts), dtype=np.int64), counts)
    labels = np.random.RandomState(0).permutation(labels)

    def read(places: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        raise AssertionError(f"no image was to be read, and {places} were")

    return Collection("here", tuple(f"class {number}" for number in range(len(counts))), labels, read)


def drawn(counts: list[int], seed: int, val_fraction: float, limit: int | None = None) -> tuple[set[int], set[int]]:
    train, val = split_places(numbered(counts), seed=seed, val_fraction=val_fraction, limit=limit)
    assert len(set(train.tolist())) == len(train)
    assert len(set(val.tolist())) == len(val)
    return set(train.tolist()), set(val.tolist())


many_counts = st.lists(st.integers(4, 40), min_size=2, max_size=6)


@settings(max_examples=80, deadline=None)
@given(counts=many_counts, seed=st.integers(0, 2**70), val_fraction=st.floats(0.15, 0.85))
def test_every_class_is_split_by_the_fraction(counts: list[int], seed: int, val_fraction: float) -> None:
    train, val = drawn(counts, seed, val_fraction)
    assert train.isdisjoint(val)
    assert train | val == set(range(sum(counts)))
    labels = numbered(counts).labels
    for label, count in enumerate(counts):
        to_val = sum(labels[place] == label for place in val)
        assert abs(to_val - val_fraction * count) <= 0.5 + 1e-9
        assert 0 < to_val < count


@settings(max_examples=80, deadline=None)
@given(
    counts=st.lists(st.integers(2, 9), min_size=2, max_size=6),
    val_fraction=st.floats(0, 1, exclude_min=True, exclude_max=True),
    extra=st.integers(0, 40),
)
def test_two_images_of_a_class_are_enough_whatever_the_fraction_and_the_limit(
    counts: list[int], val_fraction: float, extra: int
) -> None:
    labels = numbered(counts).labels
    for side in drawn(counts, 3, val_fraction, 2 * len(counts) + extra):
        assert {labels[place] for place in side} == set(range(len(counts)))


@settings(max_examples=80, deadline=None)
@given(counts=many_counts, seed=st.integers(0, 99), limits=st.tuples(st.integers(12, 240), st.integers(12, 240)))
def test_a_smaller_limit_gives_subsets_on_each_side(counts: list[int], seed: int, limits: tuple[int, int]) -> None:
    small, large = (drawn(counts, seed, 0.4, limit) for limit in sorted(limits))
    whole = drawn(counts, seed, 0.4)
    assert len(small[0]) + len(small[1]) == min(*limits, sum(counts))
    for side in (0, 1):
        assert small[side] <= large[side] <= whole[side]


@settings(max_examples=80, deadline=None)
@given(counts=st.lists(st.integers(2, 60), min_size=2, max_size=6), limit=st.integers(4, 300))
def test_a_limit_is_shared_in_proportion(counts: list[int], limit: int) -> None:
    assume(2 * len(counts) <= limit < sum(counts))
    train, val = drawn(counts, 1, 0.5, limit)
    labels = numbered(counts).labels
    quotas = np.bincount([labels[place] for place in train | val], minlength=len(counts)).tolist()
    assert sum(quotas) == limit
    assert min(quotas) >= 2
    # Webster's condition: the last image any class was given is not less due than the next of any other.
    given = [Fraction(2 * quota - 1, 2 * count) for quota, count in zip(quotas, counts, strict=True) if quota > 2]
    waiting = [Fraction(2 * quota + 1, 2 * count) for quota, count in zip(quotas, counts, strict=True) if quota < count]
    assert max(given, default=Fraction(0)) <= min(waiting)


def test_seeds_decide_and_nothing_else() -> None:
    counts = [30, 20, 25]
    np.random.seed(1)
    first = split_places(numbered(counts), seed=5, val_fraction=0.2)
    np.random.seed(2)
    again = split_places(numbered(counts), seed=5, val_fraction=0.2)
    other = split_places(numbered(counts), seed=6, val_fraction=0.2)
    for side in (0, 1):
        np.testing.assert_array_equal(first[side], again[side])
        assert set(first[side].tolist()) != set(other[side].tolist())
    # Written down once: another version of numpy must draw the same split.
    train, val = split_places(numbered([3, 4]), seed=0, val_fraction=0.3)
    assert (train.tolist(), val.tolist()) == ([1, 2, 0, 6, 5], [4, 3])


@pytest.mark.parametrize(
    ("counts", "options", "message"),
    [
        ([5, 5], {"limit": 3}, "two images per class, 4 for 2 classes, and is 3"),
        ([50, 1], {"val_fraction": 0.9}, r"one to train and one to validate on, and 'class 1' in here has 1: add"),
    ],
)
def test_a_split_with_an_empty_side_is_refused(counts: list[int], options: dict[str, Any], message: str) -> None:
    with pytest.raises(GaafError, match=message):
        split_places(numbered(counts), **{"seed": 0, "val_fraction": 0.5, **options})
