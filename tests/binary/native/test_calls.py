"""Addresses, checks of what C is given, and failures."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from gaaf_gp.binary.native.calls import address, check, require
from gaaf_gp.errors import GaafError


def test_an_address_is_where_the_first_number_lies() -> None:
    whole = torch.arange(10.0)
    assert address(whole) == whole.data_ptr()
    assert address(whole[3:]) == whole.data_ptr() + 12
    assert address(None) is None


def test_a_failure_is_a_memory_error() -> None:
    check(0)
    with pytest.raises(MemoryError, match="out of memory: the compiled kernels could not allocate"):
        check(1)


def test_what_fits_passes() -> None:
    require("x", torch.zeros(2, 3), torch.float32, 2, None)
    require("x", torch.zeros(0, 3), torch.float32, 0, 3)
    require("x", torch.zeros(3, 2).t(), torch.float32, 2, 3)
    require("x", torch.tensor(True), torch.bool)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: torch.zeros(2, 4), r"got a float32 tensor of shape \(2, 4\) on cpu"),
        (lambda: torch.zeros(2), r"got a float32 tensor of shape \(2,\) on cpu"),
        (lambda: torch.zeros(0, 3), r"got a float32 tensor of shape \(0, 3\) on cpu"),
        (lambda: torch.zeros(2, 3, 1), r"got a float32 tensor of shape \(2, 3, 1\) on cpu"),
        (lambda: torch.zeros(2, 3).half(), r"got a float16 tensor of shape \(2, 3\) on cpu"),
        (lambda: torch.zeros(2, 3, device="meta"), r"got a float32 tensor of shape \(2, 3\) on meta"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(make: Callable[[], Tensor], message: str) -> None:
    expected = rf"^an image must be a float32 tensor of shape \(any, 3\) on the CPU, {message}; convert it"
    with pytest.raises(GaafError, match=expected) as caught:
        require("an image", make(), torch.float32, None, 3)
    assert "\n" not in str(caught.value)
