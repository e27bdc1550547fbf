"""Checks of arguments: numpy's numbers are as good as Python's, a bool is none, and what comes back is plain."""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest
import torch

from gaaf_gp.errors import GaafError
from gaaf_gp.search.evolve import evolve
from gaaf_gp.search.genetic import genetic, random_search
from gaaf_gp.trees.generation import Limits
from gaaf_gp.util.checks import (
    LARGEST,
    any_number,
    choice,
    different_seeds,
    number,
    positive_number,
    probability,
    whole_fields,
    whole_number,
)


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3), torch.tensor(3)], ids=repr)
def test_whole_numbers_of_any_kind_come_back_as_int(value):
    assert (whole_number("n", value), type(whole_number("n", value))) == (3, int)


@pytest.mark.parametrize("value", [True, np.True_, 3.0, np.float64(3), "3", None, np.array([3, 4]), [3]], ids=repr)
def test_what_is_no_whole_number_is_refused(value):
    with pytest.raises(GaafError, match=r"^n must be a whole number of at least 1, got .*: give 1 or more$"):
        whole_number("n", value)


def test_a_whole_number_out_of_its_range_is_refused_with_the_range():
    with pytest.raises(GaafError, match=r"^n must be a whole number of at least 2, got 1: give 2 or more$"):
        whole_number("n", 1, 2)
    with pytest.raises(GaafError, match=r"^n must be a whole number from 1 to 4, got 5: give one of these$"):
        whole_number("n", 5, 1, 4)
    assert whole_number("n", LARGEST) == LARGEST
    with pytest.raises(GaafError, match=f"^n must be a whole number from 1 to {LARGEST}, got {LARGEST + 1}"):
        whole_number("n", LARGEST + 1)


def test_fields_are_replaced_by_plain_ints_even_if_frozen():
    limits = Limits(np.int64(3), np.int32(9))
    assert (limits, type(limits.height), type(limits.size)) == (Limits(3, 9), int, int)

    @dataclass
    class Pair:
        first: int
        second: int

    with pytest.raises(GaafError, match=r"^Pair\.second must be a whole number of at least 0, got -1"):
        whole_fields(Pair(1, -1), "Pair.", first=1, second=0)


@pytest.mark.parametrize("value", [0.5, np.float64(0.5), np.float32(0.5), Fraction(1, 2)], ids=repr)
@pytest.mark.parametrize("check", [number, positive_number, probability, any_number])
def test_numbers_of_any_kind_come_back_as_float(check, value):
    assert (check("n", value), type(check("n", value))) == (0.5, float)


@pytest.mark.parametrize("check", [number, positive_number, probability, any_number])
def test_a_whole_number_stays_whole(check):
    assert type(check("n", np.int64(1))) is int


@pytest.mark.parametrize("value", [True, "0.5", None, 1j, [0.5], np.array([0.5])], ids=repr)
@pytest.mark.parametrize("check", [number, positive_number, probability, any_number])
def test_what_is_no_number_is_refused(check, value):
    with pytest.raises(GaafError, match=r"^n must be a .*, got .*: give"):
        check("n", value)


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda: number("n", math.nan), "n must be a number, got nan: give one"),
        (lambda: number("n", -1, 0), "n must be a number of at least 0, got -1: give 0 or more"),
        (lambda: number("n", 2, 0, 1), "n must be a number from 0 to 1, got 2: give one of these"),
        (lambda: number("n", math.inf, 0, finite=True), "n must be a finite number of at least 0, got inf"),
        (lambda: positive_number("n", 0), r"n must be a number above 0 \(math.inf for no limit\), got 0: give for"),
        (lambda: positive_number("n", math.inf, finite=True), "n must be a finite number above 0, got inf"),
        (lambda: positive_number("n", math.nan), "n must be a number above 0 .*got nan"),
        (lambda: probability("n", 1.5), "n must be a probability from 0 to 1, got 1.5: give for example 0.5"),
        (lambda: probability("n", math.nan), "n must be a probability from 0 to 1, got nan"),
        (lambda: choice("n", "c", ("a", "b")), "n must be one of a, b, got 'c': choose one of them"),
        (lambda: choice("n", ["a"], {"a": 1}), r"n must be one of a, got \['a'\]"),
        (lambda: different_seeds([]), r"seeds must be 1 or more different whole numbers, got \[\]: give for example"),
        (lambda: different_seeds([1], 2), r"seeds must be 2 or more different whole numbers, got \[1\]"),
        (lambda: different_seeds([1, 1]), r"seeds must be 1 or more different whole numbers, got \[1, 1\]"),
        (lambda: different_seeds([1.5]), "a seed must be a whole number of at least"),
        (lambda: different_seeds([2**63]), f"a seed must be a whole number from -{LARGEST} to {LARGEST}, got {2**63}"),
    ],
)
def test_numbers_out_of_their_range_are_refused_with_the_range(check, message):
    with pytest.raises(GaafError, match="^" + message):
        check()


def test_what_is_allowed_comes_back():
    assert number("n", math.inf) == positive_number("n", math.inf) == math.inf
    assert math.isnan(any_number("n", math.nan))
    assert choice("n", "b", ("a", "b")) == "b"
    assert different_seeds([np.int64(2), -1]) == (2, -1)


@pytest.mark.parametrize("search", [evolve, genetic, random_search])
def test_a_search_refuses_a_seed_of_more_than_64_bits_by_its_name(forced, search):
    with pytest.raises(GaafError, match=r"seed must be a whole number from .*, got 9223372036854775808"):
        search(forced, lambda tree: 0.0, evaluations=1, seed=2**63)
