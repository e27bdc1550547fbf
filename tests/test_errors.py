"""The error class, and how enumerations are worded."""

import pytest

from gaaf_gp.errors import GaafError, listed


def test_it_is_a_value_error_for_those_who_do_not_know_it() -> None:
    with pytest.raises(ValueError, match="a rule was broken") as caught:
        raise GaafError("a rule was broken")
    assert type(caught.value) is GaafError


@pytest.mark.parametrize(
    ("names", "most", "expected"),
    [
        ([], 12, ""),
        (["a"], 12, "a"),
        (["a", "b"], 12, "a, b"),
        (["a", "b"], 2, "a, b"),
        (["a", "b", "c"], 2, "a, b and 1 more"),
        (["a", "b", "c", "d"], 1, "a and 3 more"),
        ([1, 2.5, None], 12, "1, 2.5, None"),
    ],
)
def test_names_are_listed_and_cut(names: list[object], most: int, expected: str) -> None:
    assert listed(names, most) == expected


def test_twelve_names_are_shown_unless_told() -> None:
    words = [f"n{index}" for index in range(13)]
    assert listed(words[:12]) == ", ".join(words[:12])
    assert listed(words) == ", ".join(words[:12]) + " and 1 more"


def test_any_iterable_will_do() -> None:
    assert listed(name for name in ("a", "b")) == "a, b"
    assert listed({"a": 1, "b": 2}) == "a, b"
