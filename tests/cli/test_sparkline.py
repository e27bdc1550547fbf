"""A function in one line of text."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaaf_gp.cli.primitives import ASCII, BLOCKS, sparkline

NUMBERS = st.floats(-1e6, 1e6)


def test_a_line_rises_through_all_heights():
    assert sparkline(np.linspace(-3, 3, 80), 8) == BLOCKS
    assert sparkline(np.linspace(3, -3, 80), 8) == BLOCKS[::-1]
    assert sparkline(np.linspace(-3, 3, 80), 8, plain=True) == ASCII
    assert ASCII.isascii()
    assert len(ASCII) == len(BLOCKS) == 8


def test_an_even_function_looks_the_same_from_both_sides():
    drawn = sparkline(np.cos(np.linspace(-3, 3, 117)), 13)
    assert drawn == drawn[::-1]
    assert drawn[6] == "█"


def test_what_is_not_finite_is_a_blank_and_a_constant_is_level():
    assert sparkline([1.0, math.nan, 2.0, math.inf], 4) == "▁ █ "
    assert sparkline([math.nan] * 4, 4) == "    "
    assert sparkline([7.0] * 10, 5) == BLOCKS[4] * 5


@pytest.mark.parametrize("plain", [False, True])
@given(values=st.lists(NUMBERS, min_size=1, max_size=60), width=st.integers(1, 30))
def test_it_has_a_mark_for_each_place_and_the_extremes_are_in_it(plain, values, width):
    drawn = sparkline(values, width, plain=plain)
    marks = ASCII if plain else BLOCKS
    assert len(drawn) == min(width, len(values))
    assert set(drawn) <= set(marks)
    if width >= len(values) and max(values) - min(values) > 1e-3:
        assert drawn[values.index(max(values))] == marks[-1]
        assert drawn[values.index(min(values))] == marks[0]
