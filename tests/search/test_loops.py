"""Loops by name."""

import pytest

from gaaf_gp.errors import GaafError
from gaaf_gp.search.loops import LOOPS, Islands, Steady, as_loop


@pytest.mark.parametrize(
    ("given", "loop"),
    [
        ("generations", Islands(1)),
        ("islands", Islands()),
        ("islands:8", Islands(8)),
        ("steady", Steady()),
        ("steady:32", Steady(32)),
        ("aging:3", Steady(3, aging=True)),
        ("arrival:3", Steady(3, in_order=False)),
        (Steady(7), Steady(7)),
    ],
)
def test_a_loop_has_a_name_and_perhaps_a_number(given, loop):
    assert as_loop(given) == loop


@pytest.mark.parametrize("given", ["", "island", "islands:", "islands:x", "generations:2", "steady:9999999", 3, None])
def test_other_names_are_refused_with_those_there_are(given):
    with pytest.raises(GaafError, match="loop must be Islands, Steady, or one of") as refused:
        as_loop(given)
    assert all(name in str(refused.value) for name in LOOPS)
    assert repr(given) in str(refused.value)
