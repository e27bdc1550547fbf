"""Numbers and texts as they are printed."""

import math
from decimal import ROUND_HALF_EVEN, Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gaaf_gp.util.text import signed


@given(value=st.floats(-1e6, 1e6), digits=st.integers(0, 4))
@example(value=-0.0, digits=2)
@example(value=-0.0049, digits=2)
@example(value=-5e-324, digits=0)
def test_a_signed_number_is_rounded_and_zero_has_one_spelling(value: float, digits: int) -> None:
    rounded = Decimal(value).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_EVEN)
    text = signed(value, digits)
    assert Decimal(text) == rounded
    assert text[0] == ("-" if rounded < 0 else "+")
    assert len(text.partition(".")[2]) == digits


@pytest.mark.parametrize(("value", "text"), [(math.nan, "+nan"), (-math.inf, "-inf"), (math.inf, "+inf")])
def test_what_is_not_finite_is_shown_as_such(value: float, text: str) -> None:
    assert signed(value) == text
