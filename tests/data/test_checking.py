"""Which labels, names and numbers data may have."""

import math

import numpy as np
import pytest
import torch

from gaaf_gp.data.checking import check_labels, check_names, check_normalization, described, is_plain
from gaaf_gp.errors import GaafError


@pytest.mark.parametrize("classes", [3, "ab", ("a",), (), ("a", "a"), ("a", 1), None, {"a", "b"}])
def test_what_names_no_classes_is_refused(classes: object) -> None:
    with pytest.raises(GaafError, match="must be the names of two or more classes, each once, got"):
        check_names(classes)


def test_names_are_a_tuple() -> None:
    assert check_names(["a", "b"]) == check_names(("a", "b")) == ("a", "b")


@pytest.mark.parametrize("make", [torch.tensor, np.array])
def test_labels_are_places_of_classes(make) -> None:
    check_labels("train", make([0, 2, 1]), 3)
    for labels, range_ in (([1, 2, 3], "1 to 3"), ([-1, 0], "-1 to 0"), ([7], "7 to 7")):
        with pytest.raises(GaafError, match=f"from 0 to 2 for 3 classes, and those of train go from {range_}"):
            check_labels("train", make(labels), 3)
    with pytest.raises(GaafError, match="train must have one image or more"):
        check_labels("train", make([]), 3)


def test_labels_without_content_are_not_looked_at() -> None:
    check_labels("train", torch.empty(3, dtype=torch.int64, device="meta"), 2)


@pytest.mark.parametrize("numbers", [(0.25, 0.5), [0.25, 0.5], np.array([0.25, 0.5]), torch.tensor([0.25, 0.5])])
def test_numbers_of_any_kind_become_floats(numbers: object) -> None:
    mean, std = check_normalization(numbers, numbers, 2)
    assert mean == std == (0.25, 0.5)
    assert {type(number) for number in mean} == {float}


@pytest.mark.parametrize(
    "numbers",
    [
        0.5,
        None,
        "ab",
        ("a", "b"),
        (0.5,),
        (0.5, 0.5, 0.5),
        (0.5, math.nan),
        (0.5, math.inf),
        ((0.5, 0.5),),
        ((0.5,), (0.5, 0.5)),
        (True, True),
        (),
    ],
)
def test_what_is_not_a_number_for_each_channel_is_refused(numbers: object) -> None:
    for mean, std in ((numbers, (0.5, 0.5)), ((0.5, 0.5), numbers)):
        with pytest.raises(GaafError, match="one finite number for each of the 2 channels, and std above 0, got"):
            check_normalization(mean, std, 2)


@pytest.mark.parametrize("least", [0.0, -0.1])
def test_a_mean_may_be_0_and_a_deviation_may_not(least: float) -> None:
    assert check_normalization((least,), (0.5,), 1) == ((least,), (0.5,))
    with pytest.raises(GaafError, match="std above 0"):
        check_normalization((0.5,), (least,), 1)


def test_tensors_are_described_and_told_apart() -> None:
    tensor = torch.zeros(2, 3)
    assert described(tensor) == "(2, 3) torch.float32 on cpu"
    assert described(tensor.numpy()) == "(2, 3) float32 of numpy"
    assert described([1]) == "list"
    assert is_plain(tensor, 2, torch.float32)
    for something in (tensor[0], tensor.double(), tensor.to_sparse(), tensor.numpy(), None):
        assert not is_plain(something, 2, torch.float32)
