"""The error class, and how enumerations are worded."""

import pytest

from gaaf_gp.errors import MOST_CHARACTERS, GaafError, listed, one_line, printable


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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("as it is: é 中", "as it is: é 中"),
        ("two\nlines\tand\r\nmore\u2028end", "two lines and  more end"),
        ("red \x1b[31m", r"red \x1b[31m"),
        ("null \x00 and \u200b", r"null \x00 and \u200b"),
    ],
)
def test_a_message_is_one_line_that_moves_no_cursor(text: str, expected: str) -> None:
    assert printable(text) == expected
    assert str(GaafError(text)) == expected


@pytest.mark.parametrize("more", [0, 1, 2, 77])
def test_a_long_message_keeps_its_beginning_and_its_end(more: int) -> None:
    half = MOST_CHARACTERS // 2
    text = "b" * half + "m" * more + "e" * half
    expected = text if not more else f"{'b' * half} ... {'e' * half}"
    assert printable(text) == expected
    assert printable("\x1b" * MOST_CHARACTERS) == r"\x1b" * (half // 4) + " ... " + r"\x1b" * (half // 4)


def test_an_error_is_quoted_by_its_kind_and_first_line() -> None:
    assert one_line(KeyError()) == "KeyError: no message"
    assert one_line(RuntimeError("\n first\nsecond")) == "RuntimeError: first"
    assert one_line(ValueError("  ")) == "ValueError: no message"
    assert str(GaafError()) == ""
    assert str(GaafError(3)) == "3"
