"""The rules of names and types, and what a primitive has when nothing was said of it."""

import ast
import dataclasses
import keyword

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from gaaf_gp.errors import GaafError
from gaaf_gp.trees.primitive import ATOM, NONFINITE, Traits, check_name, check_traits, check_types
from gaaf_gp.types import Channel, Feature, Scalar


class Leaf(Feature):
    """A subtype, allowed wherever its base is."""


@given(st.from_regex(r"[A-Za-z_][A-Za-z_0-9]{0,12}", fullmatch=True))
@example("match")
def test_a_plain_identifier_is_a_name(name: str) -> None:
    if keyword.iskeyword(name):
        with pytest.raises(GaafError, match="plain identifier"):
            check_name(name)
    else:
        check_name(name)
        assert isinstance(ast.parse(name, mode="eval").body, ast.Name)


@pytest.mark.parametrize(
    "name", ["", " ", "2x", "a b", "a-b", "a.b", "sin(x)", "x\n", "<lambda>", "lambda", "None", "is", "ω", "é"]
)
def test_other_text_is_not_a_name(name: str) -> None:
    with pytest.raises(GaafError, match=r'plain identifier such as "sin2", got .*: pass name=') as caught:
        check_name(name)
    assert repr(name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_types_of_the_three_kinds_and_their_subtypes_are_taken() -> None:
    check_types("f", [])
    check_types("f", [Feature, Channel, Scalar, Leaf])


@pytest.mark.parametrize("marker", [float, torch.Tensor, object, "Feature", None, Feature()])
def test_other_types_are_refused_with_their_owner(marker: object) -> None:
    with pytest.raises(
        GaafError, match=r"types of primitive 'f' must be Feature, Channel, Scalar or classes"
    ) as caught:
        check_types("primitive 'f'", [Feature, marker])
    assert repr(marker) in str(caught.value)


def test_nothing_is_assumed_of_a_primitive() -> None:
    plain = Traits(torch.sin)
    assert plain == Traits(torch.sin, 1.0, "", "", ATOM, False, False, ())
    assert set(NONFINITE) == {"value", "gradient"}


def test_traits_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError, match="cost"):
        Traits(torch.sin).cost = 2.0  # type: ignore[misc]


@pytest.mark.parametrize("cost", [-1.0, float("nan"), float("inf")])
def test_a_cost_that_is_none_is_refused(cost: float) -> None:
    with pytest.raises(GaafError, match="the cost of primitive 'f' must be a finite number of at least 0"):
        check_traits("f", Traits(None, cost=cost), [Feature])
