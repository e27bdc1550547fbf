"""The compiled convolution against torch's own in double precision, on signs that are looked up by hand."""

import functools
import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from gaaf_gp.binary import Surrogate, native, table_binarize_raw, tabulate
from gaaf_gp.binary.native import Geometry, binary_convolution, convolution, packed_table
from gaaf_gp.errors import GaafError

pytestmark = pytest.mark.skipif(not native.available(), reason=f"no kernels: {native.unavailable_reason()}")
WHOLE = pytest.mark.skipif(not native.whole_numbers(), reason="whole numbers need AVX2")
MODES = [pytest.param(False, id="float32"), pytest.param(True, id="fixed", marks=WHOLE)]
PRECISION = {False: 1e-5, True: 4e-3}
WINDOW = 1.3
INFINITE = math.inf


class Case(NamedTuple):
    """A convolution: of (images, channels, height, width) with (outputs, channels, *kernel)."""

    images: int
    channels: int
    size: tuple[int, int]
    outputs: int
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    pad_sign: int = 0

    @property
    def geometry(self) -> Geometry:
        """Stride and padding."""
        return Geometry(self.stride, self.padding, self.pad_sign)

    def tensors(self, seed: int = 0) -> tuple[Tensor, Tensor]:
        """Return x and latent weights, some of which are zero and some beyond the window."""
        generator = torch.Generator().manual_seed(seed)
        x = torch.randn(self.images, self.channels, *self.size, generator=generator)
        weight = torch.randn(self.outputs, self.channels, *self.kernel, generator=generator)
        weight[torch.rand(weight.shape, generator=generator) < 0.1] = 0.0
        return x, weight


EDGES = [
    Case(2, 1, (1, 1), 1, (1, 1)),
    Case(13, 3, (4, 5), 5, (2, 3), (2, 1), (1, 2), -1),
    Case(1, 63, (5, 4), 9, (3, 3), (1, 1), (1, 1), 0),
    Case(7, 64, (3, 3), 17, (3, 3), (1, 1), (1, 1), 1),
    Case(2, 65, (6, 7), 8, (3, 3), (2, 2), (1, 1), 0),
    Case(3, 130, (4, 4), 3, (5, 5), (1, 2), (2, 2), -1),
    Case(2, 16, (17, 17), 16, (3, 3), (1, 1), (1, 1), 0),  # more pixels than one block of the weights' gradient
    Case(300, 2, (1, 1), 4, (1, 1)),  # more images of one pixel than one block
    Case(2, 24, (9, 8), 12, (1, 1), (2, 2)),
    Case(1, 128, (2, 2), 1, (2, 2), (1, 1), (1, 0), 1),
    Case(3, 7, (3, 3), 6, (3, 3), (1, 1), (2, 2), 0),
    Case(2, 10, (8, 8), 20, (5, 5), (3, 3), (0, 2), 0),
    Case(
        37, 12, (5, 3), 70, (3, 3), (1, 1), (1, 1), 0
    ),  # more images than lie side by side, more outputs than a bundle
    Case(150, 3, (7, 6), 9, (3, 3), (2, 2), (1, 1), 1),  # more images than one turn
    Case(9, 260, (4, 5), 3, (2, 3), (1, 1), (1, 1), 0),
]
SHARED = [EDGES[1], EDGES[4], EDGES[6], EDGES[7]]  # among threads: two of them on a busy core take their time


@st.composite
def cases(draw: st.DrawFn, most_channels: int = 130) -> Case:
    kernel = draw(st.sampled_from([(1, 1), (3, 3), (5, 5), (2, 3)]))
    padding = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    size = [draw(st.integers(max(1, tap - 2 * pad), 11)) for tap, pad in zip(kernel, padding, strict=True)]
    return Case(
        draw(st.integers(1, 14)),
        draw(st.integers(1, most_channels)),
        (size[0], size[1]),
        draw(st.integers(1, 34)),
        kernel,
        draw(st.sampled_from([(1, 1), (2, 2), (2, 1), (1, 3)])),
        padding,
        draw(st.sampled_from([0, 1, -1])),
    )


@functools.cache
def random_tables() -> tuple[Tensor, Tensor]:
    """Tables of no function at all: only the right entry gives the right result."""
    generator = torch.Generator().manual_seed(5)
    sign = torch.rand(65536, generator=generator) < 0.5
    slope = torch.randn(65536, generator=generator).mul(torch.rand(65536, generator=generator) < 0.7)
    return sign, slope.to(torch.bfloat16)


def entry(x: Tensor) -> Tensor:
    """The place of each value in the tables."""
    return x.detach().to(torch.bfloat16).contiguous().view(torch.int16).to(torch.int64) & 0xFFFF


def signs_of(x: Tensor, table: Tensor) -> Tensor:
    return table[entry(x)].double() * 2 - 1


def plus_minus(weight: Tensor) -> Tensor:
    return torch.where(weight.detach() >= 0, 1.0, -1.0).double()


def convolved(case: Case, signs: Tensor, weight_signs: Tensor) -> Tensor:
    """The convolution in double precision; its sums are exact."""
    height, width = case.padding
    padded = functional.pad(signs, (width, width, height, height), value=float(case.pad_sign))
    return functional.conv2d(padded, weight_signs, None, case.stride)


class Gradients(NamedTuple):
    """Of x and of the weights."""

    x: Tensor
    weight: Tensor


def expected_gradients(case: Case, x: Tensor, weight: Tensor, incoming: Tensor, window: float = WINDOW) -> Gradients:
    sign, slope = random_tables()
    signs, weight_signs = signs_of(x, sign).requires_grad_(), plus_minus(weight).requires_grad_()
    of_signs, of_weight = torch.autograd.grad(
        convolved(case, signs, weight_signs), (signs, weight_signs), incoming.double()
    )
    return Gradients(of_signs * slope[entry(x)].double(), of_weight * (weight.detach().abs() <= window))


def compiled(
    case: Case, x: Tensor, weight: Tensor, *, whole: bool = False, tables: tuple[Tensor, Tensor] | None = None
) -> Tensor:
    return binary_convolution(x, weight, packed_table(*(tables or random_tables())), case.geometry, WINDOW, whole)


def compiled_gradients(case: Case, x: Tensor, weight: Tensor, incoming: Tensor, whole: bool) -> Gradients:
    x, weight = x.detach().requires_grad_(), weight.detach().requires_grad_()
    return Gradients(*torch.autograd.grad(compiled(case, x, weight, whole=whole), (x, weight), incoming))


def incoming_for(case: Case, seed: int = 9) -> Tensor:
    x, weight = case.tensors()
    shape = compiled(case, x, weight).shape
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def error_of(actual: Tensor, expected: Tensor) -> float:
    """The error in norm, relative to the norm of what was expected."""
    return float((actual.double() - expected).norm() / expected.norm().clamp(min=1e-300))


@pytest.fixture
def two_threads() -> Iterator[None]:
    """Let torch, and with it the kernels, use two threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def check_forward(case: Case, channels_last: bool) -> None:
    x, weight = case.tensors()
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    y = compiled(case, x, weight)
    assert y.dtype == torch.float32
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(y.double(), convolved(case, signs_of(x, random_tables()[0]), plus_minus(weight)))


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("case", EDGES, ids=str)
def test_forward_is_the_exact_convolution_at_the_edges(case: Case, channels_last: bool) -> None:
    check_forward(case, channels_last)


@settings(max_examples=150)
@given(case=cases(), channels_last=st.booleans())
def test_forward_is_the_exact_convolution(case: Case, channels_last: bool) -> None:
    check_forward(case, channels_last)


@pytest.mark.parametrize("channels", [*range(1, 35), *range(60, 70), *range(126, 131)])
def test_forward_for_every_packing_of_channels(channels: int) -> None:
    for kernel, pad_sign in (((3, 3), 0), ((2, 3), 1), ((1, 1), -1)):
        check_forward(Case(2, channels, (4, 5), 5, kernel, (1, 1), (1, 1), pad_sign), channels_last=True)


@pytest.mark.parametrize("pad_sign", [0, 1, -1])
def test_forward_of_more_products_than_sixteen_bits_count(pad_sign: int) -> None:
    case = Case(1, 7300, (3, 4), 3, (3, 3), (1, 1), (1, 1), pad_sign)
    assert case.channels * 9 > 65535
    check_forward(case, channels_last=True)
    x, weight = case.tensors()
    tables = torch.ones(65536, dtype=torch.bool), torch.zeros(65536)
    y = compiled(case, x, -weight.abs() - 1, tables=tables)
    assert y[0, 0, 1, 1] == -9 * 7300


@pytest.mark.parametrize("channels", [7, 8, 31, 32, 33, 64, 100, 256])
def test_forward_where_every_product_disagrees(channels: int) -> None:
    """Then partial sums are as large as they can be."""
    case = Case(1, channels, (5, 6), 5, (3, 3))
    tables = torch.ones(65536, dtype=torch.bool), torch.zeros(65536)
    y = compiled(case, torch.ones(1, channels, 5, 6), -torch.ones(5, channels, 3, 3), tables=tables)
    assert set(y.flatten().tolist()) == {-9.0 * channels}


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("case", SHARED, ids=str)
def test_two_threads_give_the_same_forward(case: Case) -> None:
    x, weight = case.tensors()
    y = compiled(case, x, weight)
    torch.set_num_threads(1)
    assert torch.equal(y, compiled(case, x, weight))


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("whole", MODES)
def test_the_same_threads_give_the_same_bits(whole: bool, threads: int) -> None:
    torch.set_num_threads(threads)
    for case in SHARED:
        x, weight = case.tensors()
        incoming = incoming_for(case)
        first, second = (compiled_gradients(case, x, weight, incoming, whole) for _ in range(2))
        assert torch.equal(first.x, second.x)
        assert torch.equal(first.weight, second.weight)


def check_backward(case: Case, whole: bool, seed: int = 9) -> None:
    x, weight = case.tensors(seed)
    incoming = incoming_for(case, seed)
    actual, expected = (
        compiled_gradients(case, x, weight, incoming, whole),
        expected_gradients(case, x, weight, incoming),
    )
    # a single gradient has no error that could average out: half a step of 1/1023 of the largest
    few = 2.0 if whole and incoming.numel() < 50 else 1.0
    assert error_of(actual.x, expected.x) <= few * PRECISION[whole]
    assert error_of(actual.weight, expected.weight) <= few * PRECISION[whole]
    assert (actual.x[random_tables()[1][entry(x)] == 0] == 0).all()
    assert (actual.weight[weight.abs() > WINDOW] == 0).all()


@pytest.mark.parametrize("whole", MODES)
@pytest.mark.parametrize("case", EDGES, ids=str)
def test_backward_at_the_edges(case: Case, whole: bool) -> None:
    check_backward(case, whole)


@pytest.mark.parametrize("whole", MODES)
@settings(max_examples=60)
@given(case=cases(most_channels=70), seed=st.integers(0, 99))
def test_backward_against_double_precision(whole: bool, case: Case, seed: int) -> None:
    check_backward(case, whole, seed)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("whole", MODES)
def test_backward_with_two_threads(whole: bool) -> None:
    for case in SHARED:
        check_backward(case, whole)


def raw_gradients(
    case: Case, incoming: Tensor, whole: bool, *, sloped: bool, more: Tensor | None, wanted: tuple[bool, bool]
) -> tuple[Tensor | None, Tensor | None]:
    x, weight = case.tensors()
    shape = convolution.packed_shape(x, weight, case.geometry)
    slopes, bits = convolution.signs(x, packed_table(*random_tables()))
    return convolution.gradients(
        incoming, weight, bits, slopes if sloped else None, shape, WINDOW, whole, wanted, more=more
    )


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("sloped", [False, True])
@pytest.mark.parametrize("whole", MODES)
def test_another_gradient_is_added_after_the_slope(whole: bool, sloped: bool, threads: int) -> None:
    torch.set_num_threads(threads)
    for case in (*SHARED, EDGES[2], EDGES[-2], Case(3, 48, (4, 4), 7, (2, 3), (1, 2), (1, 1), 1)):
        x, weight = case.tensors()
        incoming = incoming_for(case)
        more = torch.randn(x.shape, generator=torch.Generator().manual_seed(3))
        signs = signs_of(x, random_tables()[0]).requires_grad_()
        (expected,) = torch.autograd.grad(convolved(case, signs, plus_minus(weight)), signs, incoming.double())
        if sloped:
            expected = expected * random_tables()[1][entry(x)].double()
        alone, none = raw_gradients(case, incoming, whole, sloped=sloped, more=None, wanted=(True, False))
        both, of_weight = raw_gradients(case, incoming, whole, sloped=sloped, more=more, wanted=(True, True))
        assert none is None
        assert alone is not None
        assert both is not None
        assert of_weight is not None
        few = 2.0 if whole and incoming.numel() < 50 else 1.0
        assert error_of(alone, expected) <= few * PRECISION[whole]
        assert torch.equal(both, alone + more)


@pytest.mark.parametrize("whole", MODES)
def test_another_gradient_may_lie_anyhow_but_must_fit(whole: bool) -> None:
    case = EDGES[1]
    x, _ = case.tensors()
    more, incoming = torch.randn(x.shape), incoming_for(case)
    results = [
        raw_gradients(case, incoming, whole, sloped=True, more=one, wanted=(True, False))[0]
        for one in (more, more.contiguous(memory_format=torch.channels_last), torch.stack([more, -more], -1)[..., 0])
    ]
    assert results[0] is not None
    assert all(one is not None and torch.equal(one, results[0]) for one in results)
    for wrong in (more[:1], more.double(), more.flatten()):
        with pytest.raises(GaafError, match=r"more must be a float32 tensor of shape \(13, 3, 4, 5\)"):
            raw_gradients(case, incoming, whole, sloped=True, more=wrong, wanted=(True, False))


def test_a_packed_table_holds_both() -> None:
    sign, slope = random_tables()
    packed = packed_table(sign, slope)
    assert (packed.shape, packed.dtype) == ((65536,), torch.int32)
    wide = packed.to(torch.int64) & 0xFFFFFFFF
    assert torch.equal(wide >> 31 == 1, sign)
    assert torch.equal((wide & 0x7FFF0000), torch.zeros_like(wide))
    assert torch.equal((wide & 0xFFFF).to(torch.uint16).view(torch.bfloat16), slope)


def test_signs_and_slopes_lie_as_the_pixels_do() -> None:
    case = Case(2, 70, (3, 2), 1, (1, 1))
    x, _ = case.tensors()
    slopes, bits = convolution.signs(x, packed_table(*random_tables()))
    assert (slopes.dtype, slopes.shape, bits.shape) == (torch.int16, (2 * 3 * 2 * 70,), (2 * 3 * 2 * 2,))
    expected = random_tables()[1][entry(x)].permute(0, 2, 3, 1).flatten()
    assert torch.equal(slopes.view(torch.bfloat16), expected)


@WHOLE
def test_whole_numbers_keep_what_they_can_hold_exactly() -> None:
    """Gradients that are whole multiples of 1/1023 of the largest are not rounded at all."""
    for case in EDGES:
        x, weight = case.tensors()
        incoming = incoming_for(case).mul(400).round().clamp(-1023, 1023)
        incoming[:, :, 0, 0] = 1023.0  # every scale is one: that of each image, and that of any pixels of four images
        incoming[::4] = torch.where(incoming[::4] < 0, -1023.0, 1023.0)
        actual = compiled_gradients(case, x, weight, incoming, whole=True)
        expected = expected_gradients(case, x, weight, incoming)
        assert error_of(actual.x, expected.x) < 3e-7
        assert error_of(actual.weight, expected.weight) < 3e-7


@pytest.mark.parametrize("whole", MODES)
@pytest.mark.parametrize(("value", "latent"), [(1.0, 1.0), (-1.0, 1.0), (1.0, -1.0), (-1.0, -1.0)])
def test_nothing_overflows_where_all_products_agree(value: float, latent: float, whole: bool) -> None:
    case = Case(3, 20, (9, 11), 130, (3, 3), (1, 1), (1, 1), 1)
    x, weight = (torch.full_like(tensor, latent).requires_grad_() for tensor in case.tensors())
    tables = torch.ones(65536, dtype=torch.bool), torch.ones(65536, dtype=torch.bfloat16)
    y = compiled(case, x, weight, whole=whole, tables=tables)
    y.backward(torch.full_like(y, value))
    assert x.grad is not None
    assert weight.grad is not None
    inner = x.grad[:, :, 1:-1, 1:-1]
    torch.testing.assert_close(inner, torch.full_like(inner, 9 * 130 * value * latent), rtol=1e-6, atol=0.0)
    torch.testing.assert_close(weight.grad, torch.full_like(weight, 3 * 9 * 11 * value), rtol=1e-6, atol=0.0)


@WHOLE
def test_whole_numbers_are_unbiased() -> None:
    case, draws = Case(4, 6, (5, 5), 7, (3, 3), (1, 1), (1, 1), 0), 400
    x, weight = case.tensors()
    errors: list[Gradients] = []
    for seed in range(draws):
        incoming = incoming_for(case, seed)
        actual = compiled_gradients(case, x, weight, incoming, whole=True)
        expected = expected_gradients(case, x, weight, incoming)
        errors.append(Gradients(actual.x - expected.x, actual.weight - expected.weight))
    for part in zip(*errors, strict=True):
        stacked = torch.stack(part).flatten(1)
        stacked = stacked[:, stacked.abs().amax(0) > 0]
        deviations = stacked.mean(0) / (stacked.std(0) / math.sqrt(draws))
        assert deviations.shape[0] > 100
        assert deviations.abs().max() < 5
        assert 0.8 < deviations.square().mean() < 1.2  # as for a mean of zero, no entry is off on its own


@pytest.mark.parametrize("whole", MODES)
def test_nothing_in_nothing_out(whole: bool) -> None:
    for case in EDGES:
        x, weight = case.tensors()
        gradients = compiled_gradients(case, x, weight, torch.zeros_like(incoming_for(case)), whole)
        assert not gradients.x.any()
        assert not gradients.weight.any()


@pytest.mark.parametrize("whole", MODES)
@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_an_infinite_gradient_stays_visible_and_stays_where_it_is(value: float, whole: bool) -> None:
    case = Case(3, 5, (4, 4), 10, (3, 3), (1, 1), (1, 1), 0)
    x, weight = case.tensors()
    incoming = incoming_for(case)
    incoming[1, 9, 2, 2] = value
    gradients = compiled_gradients(case, x, weight, incoming, whole)
    flat = random_tables()[1][entry(x)] == 0
    assert flat.any()
    assert (gradients.x[flat] == 0).all()
    reached = torch.zeros_like(flat)
    reached[1, :, 1:4, 1:4] = True
    assert not gradients.x[reached & ~flat].isfinite().any()
    assert gradients.x[[0, 2]].isfinite().all()
    inside = weight.abs() <= WINDOW
    assert not gradients.weight[9][inside[9]].isfinite().any()
    assert gradients.weight[:9].isfinite().all()
    assert (gradients.weight[~inside] == 0).all()


@pytest.mark.parametrize("whole", MODES)
@pytest.mark.parametrize("scale", [1e-25, 1e-10, 1e10, 1e25, 1e35])
def test_tiny_and_huge_gradients_keep_their_accuracy(scale: float, whole: bool) -> None:
    case = Case(3, 5, (4, 4), 10, (3, 3), (1, 1), (1, 1), 1)
    x, weight = case.tensors()
    incoming = incoming_for(case) * scale
    actual, expected = (
        compiled_gradients(case, x, weight, incoming, whole),
        expected_gradients(case, x, weight, incoming),
    )
    assert error_of(actual.x / scale, expected.x / scale) < PRECISION[whole]
    assert error_of(actual.weight / scale, expected.weight / scale) < PRECISION[whole]


@WHOLE
def test_the_largest_gradients_are_numbers_and_the_smallest_vanish() -> None:
    case = Case(1, 1, (2, 2), 1, (1, 1))
    x, weight = case.tensors()
    x[:], weight[:] = 1.0, 1.0
    sign, slope = torch.ones(65536, dtype=torch.bool), torch.ones(65536, dtype=torch.bfloat16)
    largest = 3.4e38
    for value, expected in ((largest, largest), (-largest, -largest), (1e-31, 0.0), (1e-45, 0.0)):
        leaf = x.clone().requires_grad_()
        incoming = torch.zeros(1, 1, 2, 2)
        incoming[0, 0, 1, 0] = value
        compiled(case, leaf, weight, whole=True, tables=(sign, slope)).backward(incoming)
        assert leaf.grad is not None
        torch.testing.assert_close(leaf.grad, torch.tensor([[[[0.0, 0.0], [expected, 0.0]]]]), rtol=1e-6, atol=0.0)


@pytest.mark.parametrize("whole", MODES)
def test_images_of_very_different_gradients_keep_each_their_accuracy(whole: bool) -> None:
    case = Case(6, 9, (6, 5), 11, (3, 3), (1, 1), (1, 1), 0)
    x, weight = case.tensors()
    incoming = incoming_for(case) * torch.tensor([1.0, 1e6, 1e-6, 1e12, 1e-12, 1e-20]).view(6, 1, 1, 1)
    actual, expected = (
        compiled_gradients(case, x, weight, incoming, whole),
        expected_gradients(case, x, weight, incoming),
    )
    for image in range(6):
        assert error_of(actual.x[image], expected.x[image]) < PRECISION[whole]
    assert error_of(actual.weight, expected.weight) < PRECISION[whole]


@pytest.mark.parametrize("whole", MODES)
def test_output_channels_of_very_different_gradients_keep_each_their_accuracy(whole: bool) -> None:
    case = Case(40, 9, (6, 5), 11, (3, 3), (1, 1), (1, 1), 0)
    x, weight = case.tensors()
    incoming = incoming_for(case) * torch.logspace(-10, 10, 11).view(1, 11, 1, 1)
    incoming[:, 4] = 0.0
    actual, expected = (
        compiled_gradients(case, x, weight, incoming, whole),
        expected_gradients(case, x, weight, incoming),
    )
    for output in range(11):
        assert error_of(actual.weight[output], expected.weight[output]) < PRECISION[whole]
    assert not actual.weight[4].any()


@pytest.mark.parametrize("whole", MODES)
@pytest.mark.parametrize("window", [1e-3, 1.3, math.inf])
def test_the_window_of_the_weights_is_closed(window: float, whole: bool) -> None:
    case = Case(2, 3, (4, 4), 4, (3, 3), (1, 1), (1, 1), 1)
    x, weight = case.tensors()
    edge = torch.tensor(window)
    weight[0, 0, 0] = torch.stack([edge, -edge, torch.nextafter(edge, torch.tensor(INFINITE))])
    weight[1, 0, 0, 0] = math.nan
    weight[2, 0, 0, :2] = torch.tensor([math.inf, -math.inf])
    leaf, incoming = weight.requires_grad_(), incoming_for(case)
    binary_convolution(x, leaf, packed_table(*random_tables()), case.geometry, window, whole).backward(incoming)
    assert leaf.grad is not None
    inside = weight.detach().abs() <= window
    assert (leaf.grad[~inside] == 0).all()
    assert (leaf.grad[inside] != 0).all()
    assert error_of(leaf.grad, expected_gradients(case, x, weight, incoming, window).weight) < PRECISION[whole]


def test_zero_and_minus_zero_weights_count_as_plus_one() -> None:
    case = Case(1, 2, (1, 1), 1, (1, 1))
    sign, slope = torch.ones(65536, dtype=torch.bool), torch.ones(65536, dtype=torch.bfloat16)
    x = torch.ones(1, 2, 1, 1)
    for pair, total in (((0.0, -0.0), 2), ((-1e-45, 0.0), 0), ((math.nan, 1e-45), 0), ((-math.inf, math.inf), 0)):
        weight = torch.tensor(pair).view(1, 2, 1, 1).requires_grad_()
        for whole in (False, native.whole_numbers()):
            leaf = x.clone().requires_grad_()
            y = compiled(case, leaf, weight, whole=whole, tables=(sign, slope))
            assert y.item() == total
            y.backward()
            assert leaf.grad is not None
            assert torch.equal(leaf.grad.flatten().double(), plus_minus(weight).flatten())


def all_inputs() -> Tensor:
    """All bfloat16 values, the ties between neighbours and the floats next to those, the largest floats, all finite."""
    bits = torch.arange(65536, dtype=torch.int64) << 16
    near = torch.cat([bits + offset for offset in (0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF)])
    values = near.to(torch.uint32).view(torch.float32)
    return values[~values.isnan()]


def slopes_kept(y: Tensor) -> Tensor:
    """The slopes that backward will use."""
    assert y.grad_fn is not None
    kept: Tensor = y.grad_fn.saved_tensors[-1]  # type: ignore[attr-defined]
    return kept.view(torch.bfloat16)


def test_values_are_rounded_as_torch_rounds_them() -> None:
    x = all_inputs()
    assert x.isinf().sum() == 2
    assert (x.abs() < torch.finfo(torch.float32).tiny).sum() > 1000
    case = Case(1, 1, (1, x.numel()), 1, (1, 1))
    leaf, weight = x.view(1, 1, 1, -1).clone().requires_grad_(), torch.ones(1, 1, 1, 1)
    y = compiled(case, leaf, weight)
    sign, slope = random_tables()
    assert torch.equal(slopes_kept(y), slope[entry(x)])
    assert torch.equal(y.flatten().double(), signs_of(x, sign))
    y.sum().backward()
    assert leaf.grad is not None
    assert torch.equal(leaf.grad.flatten(), slope[entry(x)].float())


def test_no_number_stays_none() -> None:
    """Which of its bits torch chooses depends on its build, and the entries of a table are the same for all."""
    bits = [0x7F800001, 0x7FC00000, 0x7FFFFFFF, 0x7F80FFFF, 0x7FFF8000, 0xFF800001, 0xFFC00000, 0xFFFFFFFF]
    x = torch.tensor(bits, dtype=torch.int64).to(torch.uint32).view(torch.float32)
    assert x.isnan().all()
    case = Case(1, 1, (2, 4), 1, (1, 1))
    for function in (torch.sin, lambda v: torch.where(v < 0, -1.0, 1.0)):
        tables = tabulate(function, Surrogate("clipped", 1.3))
        leaf = x.view(1, 1, 2, 4).clone().requires_grad_()
        y = compiled(case, leaf, torch.ones(1, 1, 1, 1), tables=(tables.sign, tables.slope))
        assert torch.equal(slopes_kept(y).view(torch.int16), tables.slope.view(torch.int16)[entry(x)])
        assert torch.equal(y, table_binarize_raw(leaf, tables.sign, tables.slope))


@pytest.mark.parametrize(
    "arrange",
    [
        lambda x: x.contiguous(memory_format=torch.channels_last),
        lambda x: x.transpose(2, 3).contiguous().transpose(2, 3),
        lambda x: torch.stack([x, -x], -1)[..., 0],
        lambda x: torch.cat([x, x], 1)[:, : x.shape[1]],
        lambda x: x.flip(0).flip(0),
        lambda x: x[:1].expand(x.shape),
    ],
)
@pytest.mark.parametrize("whole", MODES)
def test_any_strides(arrange: Callable[[Tensor], Tensor], whole: bool) -> None:
    case = Case(3, 5, (6, 4), 7, (3, 3), (1, 1), (1, 1), -1)
    x, weight = case.tensors()
    incoming = incoming_for(case)
    x, weight, incoming = arrange(x), arrange(weight), arrange(incoming)
    y = compiled(case, x, weight, whole=whole)
    assert torch.equal(y.double(), convolved(case, signs_of(x, random_tables()[0]), plus_minus(weight)))
    actual, expected = (
        compiled_gradients(case, x, weight, incoming, whole),
        expected_gradients(case, x, weight, incoming),
    )
    assert error_of(actual.x, expected.x) < PRECISION[whole]
    assert error_of(actual.weight, expected.weight) < PRECISION[whole]


@pytest.mark.parametrize("whole", MODES)
def test_the_gradient_of_a_sum_is_one_number_for_all(whole: bool) -> None:
    case = Case(3, 5, (6, 4), 7, (3, 3), (1, 1), (1, 1), 0)
    x, weight = (tensor.requires_grad_() for tensor in case.tensors())
    y = compiled(case, x, weight, whole=whole)
    y.sum().backward()
    expected = expected_gradients(case, x, weight, torch.ones_like(y))
    assert x.grad is not None
    assert weight.grad is not None
    torch.testing.assert_close(x.grad.double(), expected.x, rtol=1e-6, atol=0.0)
    torch.testing.assert_close(weight.grad.double(), expected.weight, rtol=1e-6, atol=0.0)


@pytest.mark.parametrize("whole", MODES)
def test_no_images(whole: bool) -> None:
    case = Case(0, 5, (6, 4), 7, (3, 3), (2, 1), (1, 1), 0)
    x, weight = (tensor.requires_grad_() for tensor in case.tensors())
    y = compiled(case, x, weight, whole=whole)
    assert y.shape == (0, 7, 3, 4)
    y.sum().backward()
    assert x.grad is not None
    assert weight.grad is not None
    assert x.grad.shape == x.shape
    assert torch.equal(weight.grad, torch.zeros_like(weight))


@pytest.mark.parametrize("whole", MODES)
def test_gradients_of_what_asks_for_one(whole: bool) -> None:
    case = Case(3, 5, (6, 4), 7, (3, 3), (1, 1), (1, 1), 0)
    x, weight = case.tensors()
    incoming = incoming_for(case)
    both = compiled_gradients(case, x, weight, incoming, whole)
    leaf = weight.clone().requires_grad_()
    compiled(case, x, leaf, whole=whole).backward(incoming)
    assert x.grad is None
    assert leaf.grad is not None
    assert torch.equal(leaf.grad, both.weight)
    other = x.clone().requires_grad_()
    compiled(case, other, weight, whole=whole).backward(incoming)
    assert weight.grad is None
    assert other.grad is not None
    assert torch.equal(other.grad, both.x)
    assert not compiled(case, x, weight, whole=whole).requires_grad
    with torch.no_grad():
        assert not compiled(case, other, leaf, whole=whole).requires_grad


@pytest.mark.parametrize("whole", MODES)
def test_one_weight_twice_in_one_graph(whole: bool) -> None:
    case = Case(3, 5, (6, 4), 5, (3, 3), (1, 1), (1, 1), 0)
    x, weight = (tensor.requires_grad_() for tensor in case.tensors())
    middle = compiled(case, x, weight, whole=whole)
    last = compiled(case, middle, weight, whole=whole) + x
    incoming = incoming_for(case)
    last.backward(incoming)
    later = expected_gradients(case, middle, weight, incoming)
    earlier = expected_gradients(case, x, weight, later.x)
    assert x.grad is not None
    assert weight.grad is not None
    # the gradient that reaches the first use has been rounded already
    assert error_of(x.grad, earlier.x + incoming) < 3 * PRECISION[whole]
    assert error_of(weight.grad, earlier.weight + later.weight) < 3 * PRECISION[whole]


def test_backward_may_be_repeated_but_has_no_derivative() -> None:
    case = Case(3, 5, (6, 4), 7, (3, 3), (1, 1), (1, 1), 0)
    x, weight = (tensor.requires_grad_() for tensor in case.tensors())
    y = compiled(case, x, weight)
    first, again = (torch.autograd.grad(y.sum(), weight, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(first, again)
    incoming = torch.ones_like(y).requires_grad_()
    (of_x,) = torch.autograd.grad(y, x, incoming, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        of_x.sum().backward()


def test_a_weight_that_moves_between_the_passes_is_noticed() -> None:
    case = Case(1, 2, (3, 3), 2, (3, 3))
    x, weight = case.tensors()
    weight.requires_grad_()
    y = compiled(case, x, weight)
    with torch.no_grad():
        weight.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_only_two_bytes_and_a_bit_of_each_value_are_kept() -> None:
    case = Case(4, 64, (10, 10), 3, (3, 3), (1, 1), (1, 1), 0)
    x, weight = (tensor.requires_grad_() for tensor in case.tensors())
    kept: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        compiled(case, x, weight)
    latent, bits, slopes = kept
    assert (slopes.dtype, slopes.numel()) == (torch.int16, x.numel())
    assert (bits.dtype, 64 * bits.numel()) == (torch.int64, x.numel())
    assert latent is weight


def test_bits_are_whole_words_of_each_pixel() -> None:
    case = Case(2, 70, (3, 2), 1, (1, 1))
    x, weight = case.tensors()
    y = compiled(case, x.requires_grad_(), weight)
    assert y.grad_fn is not None
    bits = y.grad_fn.saved_tensors[1].view(2, 3, 2, 2)  # type: ignore[attr-defined]
    signs = signs_of(x, random_tables()[0])
    for image, channel, row, column in itertools.product(range(2), range(70), range(3), range(2)):
        word = int(bits[image, row, column, channel // 64]) >> channel % 64 & 1
        assert 2 * word - 1 == signs[image, channel, row, column]
    assert not (bits[..., 1] >> 6).any()


@pytest.mark.parametrize(
    ("sign", "slope", "message"),
    [
        (torch.zeros(65535, dtype=torch.bool), torch.zeros(65536), r"sign must be .*65536.*, got .*\(65535,\)"),
        (torch.zeros(65536), torch.zeros(65536), "sign must be .*bool.*, got a float32 tensor"),
        (torch.zeros(65536, dtype=torch.bool), torch.zeros(256, 256), r"slope must be .*65536.*, got .*\(256, 256\)"),
        (
            torch.zeros(65536, dtype=torch.bool),
            torch.zeros(65536, device="meta"),
            "slope must be .*CPU.*, got .* on meta",
        ),
    ],
)
def test_tables_of_another_form_are_refused(sign: Tensor, slope: Tensor, message: str) -> None:
    with pytest.raises(GaafError, match=message):
        packed_table(sign, slope)


@pytest.mark.parametrize("whole", MODES)
def test_what_cannot_be_allocated_is_a_memory_error(whole: bool) -> None:
    """A border of 2^46 values around one pixel, of which the stride leaves nine."""
    far = 1 << 22
    case = Case(1, 1, (1, 1), 1, (1, 1), (far, far), (far, far))
    x, weight = (tensor.requires_grad_() for tensor in case.tensors())
    with pytest.raises(MemoryError, match="out of memory: the compiled kernels"):
        compiled(case, x, weight, whole=whole).sum().backward()  # by shuffles, forward needs no such border


def change(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda arguments: arguments.update(changes)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (change(x=torch.zeros(2, 3, 5)), r"x must be .*, got a float32 tensor of shape \(2, 3, 5\)"),
        (change(x=torch.zeros(2, 3, 5, 5, dtype=torch.float64)), r"x must be .*float32.*, got a float64 tensor"),
        (change(x=torch.zeros(2, 3, 5, 5, device="meta")), r"x must be .*CPU.*, got .* on meta"),
        (change(weight=torch.zeros(4, 3, 3)), r"weight must be .*, got a float32 tensor of shape \(4, 3, 3\)"),
        (change(weight=torch.zeros(4, 3, 3, 3, dtype=torch.bfloat16)), r"weight must be .*, got a bfloat16 tensor"),
        (change(weight=torch.zeros(4, 2, 3, 3)), "x and weight must have the same channels, got 3 and 2"),
        (change(x=torch.zeros(2, 0, 5, 5)), r"x must be .*any, any, any.*, got .*\(2, 0, 5, 5\)"),
        (change(weight=torch.zeros(0, 3, 3, 3)), r"weight must be .*any.*, got .*\(0, 3, 3, 3\)"),
        (change(weight=torch.zeros(4, 3, 8, 3)), r"kernel must fit .*, got 8x3 on 7x7"),
        (change(weight=torch.zeros(4, 3, 3, 0)), r"weight must be .*any.*, got .*\(4, 3, 3, 0\)"),
        (change(geometry=Geometry((2, 2), (0, 0)), x=torch.zeros(2, 3, 2, 9)), r"kernel must fit .*, got 3x3 on 2x9"),
        (change(table=torch.zeros(65535, dtype=torch.int32)), r"table must be .*65536.*, got .*\(65535,\)"),
        (change(table=torch.zeros(65536)), "table must be .*int32.*, got a float32 tensor"),
    ],
)
def test_tensors_that_the_kernels_would_misread_are_refused(
    spoil: Callable[[dict[str, Any]], None], message: str
) -> None:
    arguments: dict[str, Any] = {
        "x": torch.zeros(2, 3, 5, 5), "weight": torch.zeros(4, 3, 3, 3), "table": packed_table(*random_tables()),
        "geometry": Geometry((1, 1), (1, 1)), "weight_window": WINDOW, "whole": False,
    }  # fmt: skip
    spoil(arguments)
    with pytest.raises(GaafError, match=message) as caught:
        binary_convolution(**arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Geometry((0, 1)), r"stride must be .*at least 1, got \(0, 1\)"),
        (lambda: Geometry((1, 1), (0, -1)), r"padding must be .*at least 0, got \(0, -1\)"),
        (lambda: Geometry(pad_sign=2), r"pad_sign must be 0, \+1 or -1, got 2"),
    ],
)
def test_geometries_out_of_range_are_refused(build: Callable[[], Geometry], message: str) -> None:
    with pytest.raises(GaafError, match=message):
        build()


@pytest.mark.parametrize("whole", MODES)
def test_tables_that_went_through_another_precision_or_are_a_view(whole: bool) -> None:
    """``model.float()`` turns the slopes into float32, and a stack of tables by values has its entries apart."""
    case = Case(3, 5, (6, 4), 7, (3, 3), (1, 1), (1, 1), 0)
    x, weight = case.tensors()
    incoming = incoming_for(case)
    sign, slope = random_tables()
    expected = compiled_gradients(case, x, weight, incoming, whole)
    apart = torch.stack([sign, ~sign], 1)[:, 0]
    assert not apart.is_contiguous()
    for tables in ((sign, slope.float()), (sign, slope.double()), (apart, torch.stack([slope, -slope], 1)[:, 0])):
        leaf = x.clone().requires_grad_()
        compiled(case, leaf, weight, whole=whole, tables=tables).backward(incoming)
        assert leaf.grad is not None
        assert torch.equal(leaf.grad, expected.x)


def test_without_kernels_there_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolution, "library", unavailable)
    case = Case(1, 1, (1, 1), 1, (1, 1))
    with pytest.raises(RuntimeError, match="not available: for a test"):
        compiled(case, *case.tensors())


def unavailable() -> None:
    raise RuntimeError("the compiled kernels are not available: for a test")
