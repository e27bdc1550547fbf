"""The signature of a set: equal sets have one, and whatever would lead a search another way changes it."""

import json
import math
import random

import pytest
import torch

from gaaf_gp.trees.fingerprint import POINTS, first_difference, plain_number, same_numbers, set_signature
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.types import Channel, Feature, Scalar
from primitives import gaaf, template


def one_set(div=torch.sub, names=("div", "scale"), cost=1.0, commutative=False, constant=2.0, draw=random.random):
    pset = PrimitiveSet("one")
    pset.addPrimitive(div, [Feature, Feature], Feature, name=names[0], cost=cost, commutative=commutative)
    pset.addPrimitive(lambda x, c: x * c, [Feature, Scalar], Feature, name=names[1])
    pset.addTerminal(constant, Scalar, name="two")
    pset.addEphemeralConstant("drawn", lambda: draw(), Scalar)
    return pset


def read_back(pset):
    return json.loads(json.dumps(set_signature(pset), allow_nan=False))


@pytest.mark.parametrize("make", [gaaf.free, gaaf.encoding1, template.make_pset, one_set])
def test_a_set_made_again_has_the_same_signature(make):
    assert first_difference(read_back(make()), set_signature(make())) == ""
    assert [one["name"] for one in set_signature(make())] == list(make().mapping)


def test_values_are_those_of_the_functions():
    found = {one["name"]: one for one in set_signature(one_set())}
    rolled = [*POINTS[1:], POINTS[0]]
    assert found["div"]["values"] == pytest.approx([one - other for one, other in zip(POINTS, rolled, strict=True)])
    assert found["scale"]["values"] == pytest.approx([one * POINTS[0] for one in POINTS])
    assert (found["div"]["takes"], found["scale"]["takes"]) == (["Feature", "Feature"], ["Feature", "Scalar"])
    assert found["two"]["values"] == [2.0]
    rng = random.Random(0)
    assert found["drawn"]["values"] == [rng.random() for _ in range(3)]


def test_learnable_vectors_count_with_where_they_start():
    def made(start):
        pset = PrimitiveSet("learns")
        pset.addLearnable("weight", start, Channel)
        pset.addPrimitive(lambda x, s: x * s, [Feature], Feature, name="scaled", learnable=(start,))
        return pset

    assert first_difference(read_back(made(1.0)), set_signature(made(1.0))) == ""
    assert (
        first_difference(read_back(made(1.0)), set_signature(made(2.0)))
        == "'weight' computes something else than it did"
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"div": torch.add}, "'div' computes something else"),
        ({"div": lambda x, y: (x - y) * 1.01}, "'div' computes something else"),
        ({"names": ("scale", "div")}, "entry 2 was 'div' and is 'scale' now"),
        ({"cost": 2.0}, "'div' takes, returns or costs something else"),
        ({"commutative": True}, "'div' takes, returns or costs something else"),
        ({"constant": 3.0}, "'two' computes something else"),
        ({"draw": lambda: random.uniform(-2, 2)}, "'drawn' computes something else"),
    ],
)
def test_what_would_lead_a_search_another_way_is_named(change, said):
    assert first_difference(read_back(one_set()), set_signature(one_set(**change))).startswith(said)


def test_noise_of_another_processor_is_no_difference():
    assert first_difference(read_back(one_set()), set_signature(one_set(lambda x, y: (x - y) * (1 + 1e-6)))) == ""


def test_a_longer_or_unreadable_one_differs():
    known = set_signature(one_set())
    assert first_difference(known[:-1], known) == "it had 4 entries and has 5 now"
    for odd in (None, 7, {}, [1]):
        assert first_difference(odd, known) == "its primitives cannot be read"
    assert "was None" in first_difference([{}] * 5, known)


def test_numbers_that_are_not_finite_are_texts():
    assert [plain_number(one) for one in (0.5, math.nan, math.inf, -math.inf)] == [0.5, "nan", "inf", "-inf"]
    assert same_numbers([1, [0.1, "nan"]], [1, [0.1 + 1e-12, "nan"]], 1e-9)
    for one, other in ((1, 1.0), ([1], [1, 1]), (0.1, 0.2), ("nan", "inf"), (True, 1), (None, 0)):
        assert not same_numbers(one, other, 1e-9)
