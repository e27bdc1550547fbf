"""Which kind a marker type is of, for the three kinds, what derives from them, and everything else."""

import pytest

from gaaf_gp.types import KINDS, Channel, Feature, Scalar, kind_of


class Leaf(Feature):
    """A subtype, as a set that forces a template makes it."""


class Tip(Leaf):
    """A subtype of a subtype."""


class Gain(Channel):
    """A subtype of another kind."""


@pytest.mark.parametrize(
    ("marker", "kind"),
    [
        (Feature, Feature),
        (Channel, Channel),
        (Scalar, Scalar),
        (Leaf, Feature),
        (Tip, Feature),
        (Gain, Channel),
        (float, None),
        (object, None),
        (type, None),
    ],
)
def test_a_class_has_the_kind_it_derives_from(marker: type, kind: type | None) -> None:
    assert kind_of(marker) is kind


@pytest.mark.parametrize("thing", [Feature(), "Feature", 1.0, None, list[int]])
def test_what_is_no_class_has_no_kind(thing: object) -> None:
    assert kind_of(thing) is None  # type: ignore[arg-type]


def test_the_kinds_are_three_and_unrelated() -> None:
    assert (Feature, Channel, Scalar) == KINDS
    assert not any(issubclass(one, other) for one in KINDS for other in KINDS if one is not other)
