"""Intervals against numbers worked out by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaaf_gp.errors import GaafError
from gaaf_gp.statistics import paired_difference

T_4 = 2.7764451051977987
"""The 97.5 % quantile of Student's t with 4 degrees of freedom, from a printed table."""


def test_interval_of_five_pairs_by_hand():
    first, second = [0.5, 0.6, 0.7, 0.8, 0.9], [0.4, 0.4, 0.4, 0.4, 0.4]
    interval = paired_difference(first, second)
    # Differences 0.1 0.2 0.3 0.4 0.5: mean 0.3, standard deviation sqrt(0.025), error sqrt(0.005).
    half = T_4 * math.sqrt(0.005)
    assert interval.mean == pytest.approx(0.3)
    assert interval.low == pytest.approx(0.3 - half)
    assert interval.high == pytest.approx(0.3 + half)
    assert (interval.n, interval.confidence) == (5, 0.95)


def test_equal_differences_have_no_width():
    interval = paired_difference([2.0, 3.0], [1.0, 2.0])
    assert (interval.low, interval.mean, interval.high) == (1.0, 1.0, 1.0)


@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=2, max_size=9))
def test_swapping_the_sides_mirrors_the_interval(pairs):
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    one, other = paired_difference(first, second), paired_difference(second, first)
    assert one.mean == pytest.approx(-other.mean, abs=1e-12)
    assert one.low == pytest.approx(-other.high, abs=1e-12)
    assert one.low <= one.mean <= one.high


def test_more_confidence_is_wider():
    first, second = [1.0, 2.0, 4.0], [0.0, 0.0, 0.0]
    narrow, wide = paired_difference(first, second, 0.5), paired_difference(first, second, 0.99)
    assert wide.high - wide.low > narrow.high - narrow.low > 0


@pytest.mark.parametrize(("first", "second"), [([1.0], [1.0]), ([], []), ([1.0, 2.0], [1.0])])
def test_too_few_or_unpaired_values_are_refused(first, second):
    with pytest.raises(GaafError, match="two or more pairs"):
        paired_difference(first, second)


def test_confidence_out_of_range_is_refused():
    with pytest.raises(GaafError, match=r"between 0 and 1, got 95"):
        paired_difference([1.0, 2.0], [1.0, 1.0], 95)
