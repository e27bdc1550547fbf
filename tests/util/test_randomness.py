"""The lent generator against drawing from it directly, and the caller's random numbers before and after."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaaf_gp.util.randomness import as_global


@given(seed=st.integers(0, 2**32), before=st.integers(0, 3), inside=st.integers(0, 5))
def test_the_block_draws_what_the_generator_would_have_drawn(seed: int, before: int, inside: int) -> None:
    lent, alone = random.Random(seed), random.Random(seed)
    expected = [alone.random() for _ in range(before + inside + 2)]
    drawn = [lent.random() for _ in range(before)]
    with as_global(lent):
        drawn += [random.random() for _ in range(inside)]
    drawn += [lent.random(), lent.random()]
    assert drawn == expected


def test_all_kinds_of_draws_are_lent() -> None:
    lent, alone = random.Random(3), random.Random(3)
    with as_global(lent):
        drawn = [random.gauss(0.0, 1.0), random.uniform(-1, 1), random.randint(0, 99), random.choice("abcdef")]
    assert drawn == [alone.gauss(0.0, 1.0), alone.uniform(-1, 1), alone.randint(0, 99), alone.choice("abcdef")]
    # Gaussian numbers are made in pairs; the second one is part of the state that goes back.
    assert lent.gauss(0.0, 1.0) == alone.gauss(0.0, 1.0)


def test_the_global_generator_goes_on_as_if_nothing_had_been_drawn() -> None:
    state = random.getstate()
    with as_global(random.Random(1)):
        random.random()
        assert random.getstate() != state
    assert random.getstate() == state


def test_an_error_inside_restores_both() -> None:
    state, lent, alone = random.getstate(), random.Random(5), random.Random(5)
    with pytest.raises(ZeroDivisionError, match="division by zero"), as_global(lent):
        _ = int(random.random()) / 0
    alone.random()
    assert random.getstate() == state
    assert lent.random() == alone.random()


def test_blocks_may_be_nested() -> None:
    state, outer, inner = random.getstate(), random.Random(1), random.Random(2)
    with as_global(outer):
        first = random.random()
        with as_global(inner):
            second = random.random()
        third = random.random()
    alone = random.Random(1)
    assert (first, second, third) == (alone.random(), random.Random(2).random(), alone.random())
    assert random.getstate() == state


def test_the_global_generator_itself_keeps_what_it_drew() -> None:
    state = random.getstate()
    try:
        generator: random.Random = random._inst
        with as_global(generator):
            inside = random.random()
        after = random.random()
        random.setstate(state)
        assert [random.random(), random.random()] == [inside, after]
    finally:
        random.setstate(state)
