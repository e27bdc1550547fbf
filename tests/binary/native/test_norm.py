"""The compiled batch normalization against torch's in double precision."""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from gaaf_gp.binary import BatchNorm, native
from gaaf_gp.binary.native import Norm, norm
from gaaf_gp.binary.native.norm import halve, halve_backward
from gaaf_gp.errors import GaafError

pytestmark = pytest.mark.skipif(not native.available(), reason=f"no kernels: {native.unavailable_reason()}")
EPSILON = 1e-5


class Inputs(NamedTuple):
    """What goes in, x first; ``incoming`` is the gradient of the result."""

    x: Tensor
    weight: Tensor
    bias: Tensor
    shortcut: Tensor
    incoming: Tensor


def inputs(*shape: int, seed: int = 0, mean: float = 3.0, deviation: float = 2.0) -> Inputs:
    generator = torch.Generator().manual_seed(seed)
    x, shortcut, incoming = (torch.randn(shape, generator=generator) for _ in range(3))
    weight, bias = (torch.randn(shape[1], generator=generator) for _ in range(2))
    return Inputs(x * deviation + mean, weight, bias, shortcut, incoming)


def batch_norm(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    epsilon: float,
    shortcut: Tensor | None = None,
    moments: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """The result, and the mean and the biased variance that were used."""
    if moments is not None:
        return native.batch_norm(x, Norm(weight, bias, moments, None, epsilon), shortcut), *moments
    mean, variance = torch.zeros(weight.shape), torch.zeros(weight.shape)
    y = native.batch_norm(x, Norm(weight, bias, (mean, variance), 1.0, epsilon), shortcut)
    count = x.numel() // x.shape[1]
    return y, mean, variance * ((count - 1) / count)


class Result(NamedTuple):
    """The result and its gradients; that of the shortcut is None without one."""

    y: Tensor
    x: Tensor
    weight: Tensor
    bias: Tensor
    shortcut: Tensor | None


def differentiate(
    normalize: Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor], given_: Inputs, with_shortcut: bool
) -> Result:
    leaves = [tensor.clone().requires_grad_() for tensor in given_[: 4 if with_shortcut else 3]]
    x, weight, bias, *shortcut = leaves
    y = normalize(x, weight, bias, shortcut[0] if shortcut else None)
    of_x, of_weight, of_bias, *of_shortcut = torch.autograd.grad(y, leaves, given_.incoming.to(y.dtype))
    return Result(y.detach(), of_x, of_weight, of_bias, of_shortcut[0] if of_shortcut else None)


def compiled(given_: Inputs, with_shortcut: bool, moments: tuple[Tensor, Tensor] | None = None) -> Result:
    def normalize(x: Tensor, weight: Tensor, bias: Tensor, shortcut: Tensor | None) -> Tensor:
        return batch_norm(x, weight, bias, EPSILON, shortcut, moments)[0]

    return differentiate(normalize, given_, with_shortcut)


def exact(given_: Inputs, with_shortcut: bool, moments: tuple[Tensor, Tensor] | None = None) -> Result:
    """In double precision, from the same float32 numbers."""
    mean, variance = (None, None) if moments is None else (moment.double() for moment in moments)

    def normalize(x: Tensor, weight: Tensor, bias: Tensor, shortcut: Tensor | None) -> Tensor:
        y = functional.batch_norm(x, mean, variance, weight, bias, training=moments is None, eps=EPSILON)
        return y if shortcut is None else y + shortcut

    return differentiate(normalize, Inputs(*(tensor.double() for tensor in given_)), with_shortcut)


def sizes(given_: Inputs, expected: Result, moments: tuple[Tensor, Tensor] | None) -> Result:
    """What each result is the sum of: gradients may cancel to any small remainder."""
    x, weight, _, _, incoming = (tensor.double() for tensor in given_)
    rows = x.transpose(0, 1).flatten(1)
    mean, variance = (rows.mean(1), rows.var(1, correction=0)) if moments is None else moments
    inverse = (variance.double() + EPSILON).rsqrt().view(-1, 1, 1, 1).transpose(0, 1)
    centered = (x - mean.double().view(1, -1, 1, 1)) * inverse
    sums = (incoming.abs() * centered.abs()).sum((0, 2, 3)), incoming.abs().sum((0, 2, 3))
    return Result(expected.y, incoming * inverse * weight.view(1, -1, 1, 1), *sums, incoming)


def check(given_: Inputs, with_shortcut: bool, moments: tuple[Tensor, Tensor] | None = None) -> None:
    actual, expected = compiled(given_, with_shortcut, moments), exact(given_, with_shortcut, moments)
    for name, have, want, size in zip(Result._fields, actual, expected, sizes(given_, expected, moments), strict=True):
        if want is None or size is None:
            assert have is None
            continue
        assert have is not None
        assert have.dtype == torch.float32
        assert float((have.double() - want).norm() / size.norm()) < 1e-6, name


@pytest.mark.parametrize("with_shortcut", [False, True])
@settings(max_examples=60)
@given(
    shape=st.tuples(st.integers(2, 9), st.integers(1, 70), st.integers(1, 9), st.integers(1, 9)), seed=st.integers(0, 9)
)
def test_training_mode(with_shortcut: bool, shape: tuple[int, ...], seed: int) -> None:
    given_ = inputs(*shape, seed=seed)
    check(given_, with_shortcut)


@pytest.mark.parametrize("with_shortcut", [False, True])
@settings(max_examples=40)
@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 70), st.integers(1, 9), st.integers(1, 9)), seed=st.integers(0, 9)
)
def test_evaluation_mode(with_shortcut: bool, shape: tuple[int, ...], seed: int) -> None:
    given_ = inputs(*shape, seed=seed)
    moments = torch.linspace(-2, 5, shape[1]), torch.linspace(0.01, 9, shape[1])
    check(given_, with_shortcut, moments)


def test_moments_are_those_of_the_batch() -> None:
    given_ = inputs(7, 20, 5, 6)
    _, mean, variance = batch_norm(given_.x, given_.weight, given_.bias, EPSILON)
    rows = given_.x.double().transpose(0, 1).flatten(1)
    torch.testing.assert_close(mean.double(), rows.mean(1), rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(variance.double(), rows.var(1, correction=0), rtol=1e-6, atol=0.0)


def test_given_moments_come_back_and_have_no_gradient() -> None:
    given_ = inputs(2, 3, 4, 4)
    moments = torch.zeros(3), torch.ones(3)
    x = given_.x.requires_grad_()
    y, mean, variance = batch_norm(x, given_.weight, given_.bias, EPSILON, None, moments)
    assert torch.equal(mean, moments[0])
    assert torch.equal(variance, moments[1])
    assert y.requires_grad
    assert not mean.requires_grad
    assert not variance.requires_grad
    _, own_mean, own_variance = batch_norm(x, given_.weight, given_.bias, EPSILON)
    assert not own_mean.requires_grad
    assert not own_variance.requires_grad


@pytest.mark.parametrize("value", [0.0, 1.0, -37.0, 363.0, 4607.0, 0.1])
def test_a_constant_channel_has_no_variance_and_becomes_its_bias(value: float) -> None:
    given_ = inputs(100, 3, 7, 7)
    given_.x[:, 1] = value
    y, mean, variance = batch_norm(given_.x, given_.weight, given_.bias, EPSILON)
    assert mean[1] == torch.tensor(value)
    assert variance[1] == 0
    torch.testing.assert_close(y[:, 1], given_.bias[1].expand(100, 7, 7), rtol=0.0, atol=1e-6)
    check(given_, False)


@pytest.mark.parametrize("mean", [30.0, 1000.0, -1e4, 1e6])
def test_large_means_cost_no_accuracy(mean: float) -> None:
    """Squares are taken from near the mean, not from zero."""
    given_ = inputs(60, 8, 9, 9, mean=mean, deviation=1.0)
    _, _, variance = batch_norm(given_.x, given_.weight, given_.bias, EPSILON)
    expected = given_.x.double().transpose(0, 1).flatten(1).var(1, correction=0)
    torch.testing.assert_close(variance.double(), expected, rtol=2e-6, atol=0.0)
    check(given_, True)


def test_integers_as_convolutions_give_them() -> None:
    """Sums of 4608 products of +-1, nearly the same for all pixels of some channels."""
    generator = torch.Generator().manual_seed(1)
    given_ = inputs(40, 6, 8, 8)
    x = 2.0 * torch.randint(-40, 41, given_.x.shape, generator=generator)
    x[:, 1] += 4500
    x[:, 2] = 4608.0
    x[3, 2, 1, 1] = 4606.0
    x[:, 3] = -4608.0
    x[0, 3, 0, 0] = 4608.0  # one outlier, and the first
    given_ = given_._replace(x=x)
    _, mean, variance = batch_norm(x, given_.weight, given_.bias, EPSILON)
    rows = x.double().transpose(0, 1).flatten(1)
    torch.testing.assert_close(mean.double(), rows.mean(1), rtol=1e-6, atol=1e-5)
    torch.testing.assert_close(variance.double(), rows.var(1, correction=0), rtol=1e-5, atol=0.0)
    check(given_, True)


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    """Sets the number of threads for one test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_the_same_threads_give_the_same_bits(threads: Callable[[int], None]) -> None:
    given_ = inputs(23, 13, 7, 5)
    for count in (1, 2, 3):
        threads(count)
        first, second = compiled(given_, True), compiled(given_, True)
        check(given_, True)
        for one, other in zip(first, second, strict=True):
            assert one is not None
            assert other is not None
            assert torch.equal(one, other)


@pytest.mark.parametrize(
    "arrange",
    [
        lambda x: x.contiguous(memory_format=torch.channels_last),
        lambda x: x.transpose(2, 3).contiguous().transpose(2, 3),
        lambda x: torch.stack([x, -x], -1)[..., 0],
        lambda x: x.flip(0).flip(0),
        lambda x: x[:, :, :1].expand(x.shape),
    ],
)
def test_any_strides(arrange: Callable[[Tensor], Tensor]) -> None:
    given_ = inputs(5, 4, 3, 6)
    arranged = given_._replace(
        x=arrange(given_.x), shortcut=arrange(given_.shortcut), incoming=arrange(given_.incoming)
    )
    check(arranged, True)
    y, _, _ = batch_norm(arranged.x, arranged.weight, arranged.bias, EPSILON, arranged.shortcut)
    assert y.is_contiguous(memory_format=torch.channels_last)
    vectors = torch.stack([given_.weight, given_.bias], 1)
    twice = torch.stack([torch.ones(4), torch.full((4,), 2.0)], 1)
    apart = batch_norm(given_.x, vectors[:, 0], vectors[:, 1], EPSILON, None, (twice[:, 0], twice[:, 1]))[0]
    dense = batch_norm(given_.x, given_.weight, given_.bias, EPSILON, None, (torch.ones(4), torch.full((4,), 2.0)))[0]
    assert torch.equal(apart, dense)


def test_gradients_of_what_asks_for_one() -> None:
    given_ = inputs(5, 4, 3, 6)
    both = compiled(given_, True)
    for place, name in enumerate(("x", "weight", "bias", "shortcut")):
        leaves = [tensor.clone() for tensor in given_[:4]]
        leaves[place].requires_grad_()
        x, weight, bias, shortcut = leaves
        y, _, _ = batch_norm(x, weight, bias, EPSILON, shortcut)
        y.backward(given_.incoming)
        for other, leaf in enumerate(leaves):
            assert (leaf.grad is not None) == (other == place)
        assert leaves[place].grad is not None
        assert torch.equal(leaves[place].grad, getattr(both, name))  # type: ignore[arg-type]


def test_an_input_that_is_its_own_shortcut() -> None:
    given_ = inputs(5, 4, 3, 6)
    x, other = given_.x.clone().requires_grad_(), given_.x.double().requires_grad_()
    batch_norm(x, given_.weight, given_.bias, EPSILON, x)[0].backward(given_.incoming)
    y = functional.batch_norm(other, None, None, given_.weight.double(), given_.bias.double(), True, eps=EPSILON)
    (y + other).backward(given_.incoming.double())
    assert x.grad is not None
    assert other.grad is not None
    torch.testing.assert_close(x.grad.double(), other.grad, rtol=1e-5, atol=1e-5)


def test_there_is_no_second_derivative() -> None:
    given_ = inputs(5, 4, 3, 6)
    x, incoming = given_.x.requires_grad_(), given_.incoming.requires_grad_()
    y, _, _ = batch_norm(x, given_.weight, given_.bias, EPSILON)
    (of_x,) = torch.autograd.grad(y, x, incoming, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        of_x.sum().backward()


def test_infinity_and_nan_stay_in_their_channel_and_are_seen() -> None:
    for value in (math.inf, -math.inf, math.nan):
        given_ = inputs(3, 4, 3, 3)
        given_.x[1, 2, 0, 0] = value
        result = compiled(given_, False)
        assert not result.y[:, 2].isfinite().any()
        assert not result.x[:, 2].isfinite().any()
        assert result.y[:, [0, 1, 3]].isfinite().all()
        assert result.x[:, [0, 1, 3]].isfinite().all()


def change(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda arguments: arguments.update(changes)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (change(x=torch.zeros(2, 3)), r"x must be .*, got a float32 tensor of shape \(2, 3\)"),
        (change(x=torch.zeros(2, 4, 5, 5)), r"weight must be .*shape \(4\) on the CPU, got .*shape \(3,\)"),
        (change(x=torch.zeros(0, 3, 5, 5)), r"x must be .*, got .*shape \(0, 3, 5, 5\)"),
        (change(x=torch.zeros(2, 3, 5, 5).double()), "x must be a float32 tensor .*, got a float64 tensor"),
        (change(weight=torch.zeros(1)), r"weight must be .*shape \(3\) on the CPU, got .*shape \(1,\)"),
        (change(bias=torch.zeros(4)), r"bias must be .*shape \(3\) on the CPU, got .*shape \(4,\)"),
        (
            change(shortcut=torch.zeros(1, 3, 1, 1)),
            r"shortcut must be .*\(2, 3, 5, 5\) on the CPU, got .*\(1, 3, 1, 1\)",
        ),
        (change(shortcut=torch.zeros(2, 3, 5, 5).bfloat16()), "shortcut must be .*, got a bfloat16 tensor"),
        (
            change(moments=(torch.zeros(3), torch.ones(2))),
            r"running variance must be .*\(3\) on the CPU, got .*\(2,\)",
        ),
        (change(moments=(torch.zeros(3).double(), torch.ones(3))), "running mean must be .*, got a float64 tensor"),
    ],
)
def test_tensors_that_the_kernels_would_misread_are_refused(
    spoil: Callable[[dict[str, Any]], None], message: str
) -> None:
    arguments: dict[str, Any] = {
        "x": torch.zeros(2, 3, 5, 5), "weight": torch.ones(3), "bias": torch.zeros(3), "epsilon": EPSILON,
    }  # fmt: skip
    spoil(arguments)
    with pytest.raises(GaafError, match=message):
        batch_norm(**arguments)


def test_without_memory_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def norm_forward(self, *_: object) -> int:
            return 1

    monkeypatch.setattr(norm, "library", Full)
    given_ = inputs(2, 3, 4, 4)
    with pytest.raises(MemoryError, match="out of memory"):
        batch_norm(given_.x, given_.weight, given_.bias, EPSILON)


def pair(channels: int, momentum: float | None = 0.1) -> tuple[BatchNorm, nn.BatchNorm2d]:
    """Ours with the kernels, and torch's with the same parameters."""
    ours, theirs = BatchNorm(channels), nn.BatchNorm2d(channels, momentum=momentum)
    ours.momentum, ours.kernels = momentum, "fixed"
    with torch.no_grad():
        for own, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            own.copy_(torch.linspace(-1, 2, channels))
            other.copy_(own)
    return ours, theirs


@pytest.mark.parametrize("momentum", [0.1, 0.7, 1.0, None])
def test_the_layer_keeps_the_statistics_that_torch_keeps(momentum: float | None) -> None:
    ours, theirs = pair(5, momentum)
    for seed in range(4):
        x = inputs(6, 5, 4, 3, seed=seed, mean=seed).x
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-5)
        for (name, own), other in zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True):
            torch.testing.assert_close(own, other, rtol=1e-5, atol=1e-5, msg=name)
    ours.eval()
    theirs.eval()
    before = {name: value.clone() for name, value in ours.state_dict().items()}
    x = inputs(6, 5, 4, 3, seed=9).x
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-5)
    assert all(torch.equal(value, before[name]) for name, value in ours.state_dict().items())


@pytest.mark.parametrize("training", [False, True])
def test_the_layer_adds_the_shortcut(training: bool) -> None:
    ours, theirs = pair(5)
    ours.train(training)
    theirs.train(training)
    given_ = inputs(6, 5, 4, 3)
    torch.testing.assert_close(
        ours(given_.x, given_.shortcut), theirs(given_.x) + given_.shortcut, rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize(
    "arrange",
    [
        lambda layer: layer.double(),
        lambda layer: layer.bfloat16(),
        lambda layer: setattr(layer, "track_running_stats", False),
    ],
)
def test_the_layer_leaves_the_rest_to_torch(
    arrange: Callable[[nn.Module], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "batch_norm", pytest.fail)
    ours, theirs = pair(5)
    arrange(ours)
    arrange(theirs)
    given_ = inputs(6, 5, 4, 3)
    x, shortcut = given_.x.to(ours.weight.dtype), given_.shortcut.to(ours.weight.dtype)
    assert torch.equal(ours(x, shortcut), theirs(x) + shortcut)
    assert torch.equal(ours.running_mean, theirs.running_mean)  # type: ignore[arg-type]


def test_one_value_per_channel_is_refused_as_torch_refuses_it() -> None:
    ours, _ = pair(5)
    with pytest.raises(ValueError, match="Expected more than 1 value per channel"):
        ours(torch.zeros(1, 5, 1, 1))
    with pytest.raises(ValueError, match="expected 4D input"):
        ours(torch.zeros(7, 5))
    ours.eval()
    assert ours(torch.zeros(1, 5, 1, 1)).shape == (1, 5, 1, 1)
    assert ours(torch.zeros(0, 5, 2, 2)).shape == (0, 5, 2, 2)


def test_a_row_of_pixels_is_enough() -> None:
    ours, theirs = pair(5)
    x = inputs(1, 5, 1, 7).x
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("times", [1, 2, 3])
@settings(max_examples=30)
@given(shape=st.tuples(*[st.integers(1, 7)] * 4))
def test_halving_is_the_average_pooling_of_torch(times: int, shape: tuple[int, ...]) -> None:
    x = inputs(*shape).x.double().requires_grad_()
    y = functional.avg_pool2d(x, 2, ceil_mode=True)
    incoming = torch.randn(y.shape[0], times * y.shape[1], *y.shape[2:]).contiguous(memory_format=torch.channels_last)
    (of_x,) = torch.autograd.grad(torch.cat([y] * times, 1), x, incoming.double())
    layout = x.detach().float().contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(halve(layout).double(), y.detach(), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(halve_backward(incoming, x.shape, times).double(), of_x, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("place", [0, 128, 65408])
def test_pixels_that_differ_from_all_others_cost_no_accuracy(place: int) -> None:
    """Wherever they lie: squares are taken from near the mean of all pixels."""
    given_ = inputs(1, 4, 256, 256, mean=1e4, deviation=1.0)
    x = given_.x.permute(0, 2, 3, 1).contiguous()
    x.view(-1, 4)[place : place + 128] = 0.0
    x = x.permute(0, 3, 1, 2)
    _, mean, variance = batch_norm(x, given_.weight, given_.bias, EPSILON)
    pixels = x.double().transpose(0, 1).flatten(1)
    torch.testing.assert_close(mean.double(), pixels.mean(1), rtol=1e-6, atol=0.0)
    torch.testing.assert_close(variance.double(), pixels.var(1, correction=0), rtol=3e-6, atol=0.0)
