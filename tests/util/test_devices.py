"""Devices, threads and precisions, and the scale that keeps float16 gradients from vanishing."""

import mmap
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from gaaf_gp.errors import GaafError
from gaaf_gp.training import step
from gaaf_gp.training.adam import Adam
from gaaf_gp.training.step import LossScale
from gaaf_gp.util.devices import check_device, check_precision, devices_of, lowered, lowers, memory_used, threads

CPU = torch.device("cpu")


def test_threads_are_set_and_restored_even_after_an_error() -> None:
    before = torch.get_num_threads()
    with threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before

    def fail() -> None:
        with threads(before + 1):
            raise KeyError("inside")

    with pytest.raises(KeyError, match="inside"):
        fail()
    assert torch.get_num_threads() == before


def test_several_devices_are_read_from_text_or_a_sequence_and_must_be_of_one_kind() -> None:
    assert devices_of("cpu") == devices_of(CPU) == ("cpu",)
    assert devices_of("cuda:0, cuda:1") == devices_of(["cuda:0", torch.device("cuda:1")]) == ("cuda:0", "cuda:1")
    for wrong in ("cpu,cuda:0", "cuda:0,", "", ()):
        with pytest.raises(GaafError, match="devices must be one or more of one kind"):
            devices_of(wrong)


def test_memory_grows_with_what_is_held(fresh_memory: Callable[[int], mmap.mmap]) -> None:
    before = memory_used(CPU)
    held = fresh_memory(128)
    assert memory_used(None) - before == pytest.approx(len(held), rel=0.2)
    held.close()


def test_a_device_has_the_name_that_tensors_give_it() -> None:
    assert check_device("cpu") == check_device(CPU) == torch.zeros(1).device
    with pytest.raises(GaafError, match="device must be one that torch can use here, and warp is not: Expected one of"):
        check_device("warp")


def test_float16_is_for_a_gpu() -> None:
    for precision in ("float32", "bfloat16"):
        check_precision(precision, CPU)
    check_precision("float16", torch.device("cuda:0"))
    with pytest.raises(GaafError, match="precision float16 is for a GPU, and the data is on cpu; choose float32"):
        check_precision("float16", CPU)
    with pytest.raises(GaafError, match="precision must be one of float32, bfloat16, float16, got 'half'"):
        check_precision("half", CPU)


def test_products_are_lowered_inside_the_block_only() -> None:
    x = torch.ones(3, 3)
    dtypes = {}
    for precision in ("float32", "bfloat16"):
        with lowered(precision, CPU):
            assert lowers(CPU) == (precision != "float32")
            dtypes[precision] = (x @ x).dtype
    assert dtypes == {"float32": torch.float32, "bfloat16": torch.bfloat16}
    assert not lowers(CPU)
    assert not lowers(torch.device("meta"))


@pytest.fixture
def scale(monkeypatch: pytest.MonkeyPatch) -> LossScale:
    monkeypatch.setattr(step, "GROWTH", 3)
    return LossScale(CPU)


def test_the_scale_halves_after_an_overflow_and_doubles_after_three_steps_without(scale: LossScale) -> None:
    fine, torn = [torch.ones(2, 2), torch.zeros(1)], [torch.ones(2, 2), torch.tensor([torch.inf])]
    lost = [torch.tensor([torch.nan]), torch.ones(2)]
    expected = [
        (fine, 0.0, (65536.0, 1)),
        (fine, 0.0, (65536.0, 2)),
        (fine, 0.0, (131072.0, 0)),
        (fine, 0.0, (131072.0, 1)),
        (torn, 1.0, (65536.0, 0)),
        (lost, 1.0, (32768.0, 0)),
        (fine, 0.0, (32768.0, 1)),
    ]
    for gradients, overflow, state in expected:
        assert scale.overflow(gradients).item() == overflow
        assert scale.state() == state


def test_a_restored_scale_goes_on(scale: LossScale) -> None:
    for _ in range(2):
        scale.overflow([torch.ones(1)])
    other = LossScale(CPU)
    other.restore(scale.state())
    for one in (scale, other):
        one.overflow([torch.ones(1)])
    assert other.state() == scale.state() == (131072.0, 0)


def test_steps_with_a_scale_are_those_without_and_an_overflow_is_as_if_it_had_not_been(scale: LossScale) -> None:
    plain, scaled = (torch.tensor([0.3, -1.7]).requires_grad_() for _ in range(2))
    one, other = Adam([plain]), Adam([scaled])
    used: list[float] = []

    def loss(parameter: Tensor, number: int) -> Tensor:
        return ((parameter - number) ** 2).sum()

    for number in range(5):
        plain.grad = None
        loss(plain, number).backward()  # type: ignore[no-untyped-call]
        one.step(0.1)
        for factor in (torch.inf, 1.0) if number == 2 else (1.0,):
            scaled.grad = None
            value = scale.value
            used.append(float(value))
            (loss(scaled, number) * value * factor).backward()  # type: ignore[no-untyped-call]
            assert scaled.grad is not None
            other.step(0.1, value, scale.overflow([scaled.grad]))
        assert torch.equal(plain, scaled), "a power of two rounds nothing"
    assert used == [65536.0] * 3 + [32768.0] * 3
    assert [float(kept["step"]) for kept in other.moments().values()] == [5.0]
