"""What closes a type; the smallest trees are compared with enumeration in test_pset.py."""

import math

import pytest
import torch

from gaaf_gp.errors import GaafError
from gaaf_gp.trees.pset import Closure, PrimitiveSet
from gaaf_gp.types import Channel, Feature, Scalar


def test_the_smallest_tree_depends_on_the_height_that_is_left(tall):
    closure = Closure(tall)
    assert [closure.min_size(tall.ret, height) for height in (-1, 0, 2, 3, 9)] == [math.inf, math.inf, math.inf, 4, 4]
    assert closure.least_height(tall.ret) == 3


def test_what_can_only_make_constants_does_not_vary(free, template):
    assert Closure(free).varies(Feature)
    assert not Closure(free).varies(Scalar)
    assert Closure(template).varies(Channel), "a learnable vector is no constant"


def test_a_set_is_judged_anew_when_it_grows():
    pset = PrimitiveSet("open")
    pset.addPrimitive(torch.mul, [Channel, Feature], Feature)
    with pytest.raises(GaafError, match=r"no tree returns Channel \(asked for by mul\): add a terminal"):
        Closure(pset).check()
    pset.addLearnable("s")
    Closure(pset).check()
    assert pset.check() is pset
