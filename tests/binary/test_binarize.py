"""Forward and backward of the binarization against formulas in Python's own double precision."""

import copy
import math
import pickle
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gaaf_gp.binary import SURROGATES, Surrogate, binarize
from gaaf_gp.errors import GaafError

SETTINGS = [
    ("clipped", 1.0, None),
    ("clipped", 1.3, None),
    ("clipped", math.inf, None),
    ("triangle", 1.0, None),
    ("triangle", 1.7, None),
    ("swish", 1.0, None),
    ("swish", 0.7, 8.0),
    ("swish", math.inf, 5.0),
    ("swish", math.inf, 300.0),
    ("tanh", 1.0, None),
    ("tanh", 1.3, 0.1),
    ("tanh", math.inf, 7.0),
]
TOLERANCES = {torch.float64: 1e-12, torch.float32: 2e-6, torch.bfloat16: 1e-2, torch.float16: 2e-3}


def expected_sign(x: float) -> float:
    return 1.0 if x >= 0 else -1.0


def expected_slope(name: str, x: float, window: float, sharpness: float | None) -> float:
    if not abs(x) <= window:
        return 0.0
    if name == "clipped":
        return 1.0
    if name == "triangle":
        return 2 - 2 * abs(x) / window
    if name == "swish":
        b = 5.0 if sharpness is None else sharpness
        if abs(b * x) > 700:  # cosh would overflow; the limit is zero
            return 0.0
        return b * (2 - b * x * math.tanh(b * x / 2)) / (1 + math.cosh(b * x))
    t = 1.0 if sharpness is None else sharpness
    return max(1 / t, 1) * t * (1 - math.tanh(t * x) ** 2)


def grid(window: float, dtype: torch.dtype) -> Tensor:
    edge = torch.tensor([window, -window, 2 * window], dtype=dtype)
    beyond = torch.nextafter(edge[:2], 2 * edge[:2])
    within = torch.nextafter(edge[:2], torch.zeros(2, dtype=dtype))
    plain = [0.0, -0.0, 1e-3, -1e-3, 200.0, -200.0, 3e4, -3e4, math.inf, -math.inf, math.nan]
    return torch.cat([torch.tensor(plain, dtype=dtype), torch.linspace(-3, 3, 241).to(dtype), edge, beyond, within])


def gradient_of(x: Tensor, incoming: Tensor, *arguments: object) -> Tensor:
    leaf = x.clone().requires_grad_()
    binarize(leaf, *arguments).backward(incoming)  # type: ignore[arg-type]
    assert leaf.grad is not None
    return leaf.grad


def test_names_of_the_surrogates() -> None:
    assert SURROGATES == ("clipped", "triangle", "swish", "tanh")


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize(("name", "window", "sharpness"), SETTINGS)
def test_forward_is_the_sign(name: str, window: float, sharpness: float | None, dtype: torch.dtype) -> None:
    x = grid(window, dtype)
    expected = torch.tensor([expected_sign(value) for value in x.tolist()], dtype=dtype)
    for requires_grad in (False, True):
        y = binarize(x.clone().requires_grad_(requires_grad), name, window, sharpness)
        assert y.dtype == dtype
        assert y.requires_grad == requires_grad
        assert torch.equal(y.detach(), expected)


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize(("name", "window", "sharpness"), SETTINGS)
def test_backward_is_the_surrogate(name: str, window: float, sharpness: float | None, dtype: torch.dtype) -> None:
    x = grid(window, dtype)
    incoming = torch.linspace(-2, 2, len(x)).to(dtype)
    rounded = float(torch.tensor(window, dtype=dtype))
    slopes = [expected_slope(name, value, rounded, sharpness) for value in x.double().tolist()]
    expected = incoming.double() * torch.tensor(slopes, dtype=torch.float64)

    gradient = gradient_of(x, incoming, name, window, sharpness)

    assert gradient.dtype == dtype
    scale = max(slopes)
    torch.testing.assert_close(gradient.double(), expected, rtol=TOLERANCES[dtype], atol=TOLERANCES[dtype] * scale)
    outside = ~(x.double().abs() <= rounded)
    assert outside.any()
    assert (gradient[outside] == 0).all()


@pytest.mark.parametrize("name", ["clipped", "swish", "tanh"])
@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("window", [0.7, 1.0, 1.3, 1.7])
def test_the_edge_of_the_window_is_inside(name: str, dtype: torch.dtype, window: float) -> None:
    edge = torch.tensor([window, -window], dtype=dtype)
    assert (gradient_of(edge, torch.ones_like(edge), name, window) != 0).all()


@settings(max_examples=150, deadline=None)
@given(window=st.floats(0.01, 100.0), dtype=st.sampled_from(list(TOLERANCES)))
def test_the_triangle_ends_at_zero_and_never_below(window: float, dtype: torch.dtype) -> None:
    edge = torch.tensor([window, -window], dtype=dtype)
    slope = Surrogate("triangle", window).derivative(edge)
    assert (slope >= 0).all()
    torch.testing.assert_close(slope.double(), torch.zeros(2).double(), rtol=0.0, atol=TOLERANCES[dtype])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["swish", "tanh"])
def test_small_slopes_keep_their_digits_in_half_precision(name: str, dtype: torch.dtype) -> None:
    x = torch.tensor([1.5, 2.0, 2.5, 3.0, -3.5, 4.0], dtype=dtype)
    expected = [expected_slope(name, value, math.inf, 1.0) for value in x.double().tolist()]
    slope = Surrogate(name, math.inf, 1.0).derivative(x)
    torch.testing.assert_close(
        slope.double(), torch.tensor(expected).double(), rtol=2 * torch.finfo(dtype).eps, atol=0.0
    )


def smooth_sign(name: str, x: float, sharpness: float) -> float:
    if name == "triangle":
        return 2 * x - math.copysign(x * x, x)
    if name == "swish":
        logistic = 1 / (1 + math.exp(-sharpness * x))
        return 2 * logistic * (1 + sharpness * x * (1 - logistic)) - 1
    return max(1 / sharpness, 1) * math.tanh(sharpness * x)


@pytest.mark.parametrize(("name", "sharpness"), [("triangle", 0.0), ("swish", 5.0), ("swish", 2.0), ("tanh", 0.5)])
def test_surrogate_is_the_derivative_of_the_published_smooth_sign(name: str, sharpness: float) -> None:
    points, step = [-0.9, -0.31, 0.02, 0.25, 0.77], 1e-6
    ends = [(smooth_sign(name, p + step, sharpness), smooth_sign(name, p - step, sharpness)) for p in points]
    expected = torch.tensor([(high - low) / (2 * step) for high, low in ends], dtype=torch.float64)
    x = torch.tensor(points, dtype=torch.float64)
    torch.testing.assert_close(Surrogate(name, 1.0, sharpness or None).derivative(x), expected, rtol=1e-7, atol=1e-7)


@st.composite
def surrogates(draw: st.DrawFn) -> Surrogate:
    name = draw(st.sampled_from(SURROGATES))
    window = draw(st.floats(1e-3, 1e3) if name == "triangle" else st.one_of(st.floats(1e-3, 1e3), st.just(math.inf)))
    return Surrogate(name, window, draw(st.floats(1e-3, 1e3)) if name in ("swish", "tanh") else None)


@settings(max_examples=150, deadline=None)
@given(
    surrogate=surrogates(),
    values=st.lists(st.floats(width=32), min_size=1, max_size=12),
    incoming=st.sampled_from([1.0, -3.5, math.inf, -math.inf, math.nan]),
)
def test_a_zero_slope_stops_whatever_comes_in(surrogate: Surrogate, values: list[float], incoming: float) -> None:
    x = torch.tensor(values)
    slope = surrogate.derivative(x)
    assert slope.isfinite().all()
    assert (slope[~(x.abs() <= surrogate.window)] == 0).all()
    gradient = gradient_of(x, torch.full_like(x, incoming), surrogate)
    assert (gradient[slope == 0] == 0).all()
    assert torch.equal(gradient[slope != 0].isfinite(), torch.full_like(x, incoming)[slope != 0].isfinite())


def test_nan_becomes_minus_one_without_gradient() -> None:
    x = torch.tensor([math.nan, 0.2])
    for name in SURROGATES:
        assert binarize(x, name).tolist() == [-1.0, 1.0]
        gradient = gradient_of(x, torch.tensor([5.0, 5.0]), name)
        assert gradient[0] == 0
        assert gradient[1] > 0


@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3, 4, 5), (1, 2, 3, 1, 2)])
@pytest.mark.parametrize("name", SURROGATES)
def test_any_shape(shape: tuple[int, ...], name: str) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    incoming = torch.full_like(x, 2.0)
    gradient = gradient_of(x, incoming, name)
    slopes = [2.0 * expected_slope(name, value, 1.0, None) for value in x.flatten().tolist()]
    torch.testing.assert_close(gradient, torch.tensor(slopes, dtype=torch.float64).reshape(shape))


@pytest.mark.parametrize("name", SURROGATES)
@pytest.mark.parametrize("requires_grad", [False, True])
def test_memory_format_is_kept(name: str, requires_grad: bool) -> None:
    x = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last).requires_grad_(requires_grad)
    y = binarize(x, name)
    assert y.is_contiguous(memory_format=torch.channels_last)
    if requires_grad:
        incoming = torch.ones(2, 3, 4, 5).to(memory_format=torch.channels_last)
        (gradient,) = torch.autograd.grad(y, x, incoming)
        assert gradient.is_contiguous(memory_format=torch.channels_last)


def test_strided_views_and_the_input_are_left_alone() -> None:
    base = torch.tensor([[-0.5, 0.5, 3.0], [0.25, -2.0, -0.0]], dtype=torch.float64)
    before = base.clone()
    assert binarize(base.T).tolist() == [[-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]]
    assert binarize(base[:1].expand(2, 3)).tolist() == [[-1.0, 1.0, 1.0]] * 2
    assert torch.equal(base, before)


@pytest.mark.parametrize("name", SURROGATES)
def test_without_gradients_nothing_is_recorded(name: str) -> None:
    x = torch.tensor([-0.5, 0.5], requires_grad=True)
    with torch.no_grad():
        y = binarize(x, name)
    assert not y.requires_grad
    assert y.tolist() == [-1.0, 1.0]


@pytest.mark.parametrize("name", SURROGATES)
def test_autocast_changes_nothing(name: str) -> None:
    for dtype in (torch.float32, torch.bfloat16):
        x = torch.linspace(-2, 2, 41).to(dtype)
        leaf = x.clone().requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = binarize(leaf, name)
        assert y.dtype == dtype
        y.backward(torch.ones_like(y))
        assert leaf.grad is not None
        assert torch.equal(leaf.grad, gradient_of(x, torch.ones_like(x), name))


@pytest.mark.parametrize(("name", "saved_dtype"), [("clipped", torch.bool), ("tanh", torch.float32)])
def test_one_tensor_is_saved_for_the_backward_pass(name: str, saved_dtype: torch.dtype) -> None:
    saved: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        saved.append(tensor)
        return tensor

    x = torch.randn(5, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        binarize(x, name)
    assert [tensor.dtype for tensor in saved] == [saved_dtype]


@pytest.mark.parametrize("name", SURROGATES)
def test_no_second_derivative(name: str) -> None:
    x = torch.tensor([0.3, -0.4], requires_grad=True)
    (gradient,) = torch.autograd.grad((binarize(x, name) * x).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def test_a_built_surrogate_gives_what_its_name_gives() -> None:
    x = torch.linspace(-2, 2, 81)
    ones = torch.ones_like(x)
    built = Surrogate("swish", 1.5, 3.0)
    assert torch.equal(gradient_of(x, ones, built), gradient_of(x, ones, "swish", 1.5, 3.0))
    assert torch.equal(built.derivative(x), gradient_of(x, ones, built))


def test_surrogates_are_values() -> None:
    surrogate = Surrogate("tanh", 2)
    assert surrogate == Surrogate("tanh", 2.0, 1.0)
    assert hash(surrogate) == hash(Surrogate("tanh", 2.0, 1.0))
    assert pickle.loads(pickle.dumps(surrogate)) == copy.deepcopy(surrogate) == surrogate
    assert str(surrogate) == "tanh(window=2, sharpness=1)"
    assert str(Surrogate("clipped", math.inf)) == "clipped(window=inf)"


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Surrogate("sigmoid"), "surrogate must be a known name, got 'sigmoid'.*clipped, triangle, swish, tanh"),
        (lambda: Surrogate(None), "surrogate must be a known name, got None"),  # type: ignore[arg-type]
        (lambda: Surrogate("clipped", -1.0), r"window must be a number above 0.*got -1\.0"),
        (lambda: Surrogate("clipped", 0), "window must be .*got 0"),
        (lambda: Surrogate("clipped", math.nan), "window must be .*got nan"),
        (lambda: Surrogate("clipped", True), "window must be .*got True"),
        (lambda: Surrogate("clipped", "1"), "window must be .*got '1'"),  # type: ignore[arg-type]
        (lambda: Surrogate("triangle", math.inf), "window must be a finite number above 0, got inf"),
        (lambda: Surrogate("clipped", 1.0, 2.0), r"clipped has no sharpness, got 2\.0; swish, tanh have one"),
        (lambda: Surrogate("tanh", 1.0, 0.0), "sharpness must be a finite number above 0, got 0"),
        (lambda: Surrogate("swish", 1.0, math.inf), "sharpness must be a finite number above 0, got inf"),
        (lambda: binarize(torch.zeros(1), "relu"), "surrogate must be a known name, got 'relu'"),
        (lambda: binarize(torch.zeros(1), Surrogate("tanh"), 2.0), r"brings its own window.*window=2\.0"),
        (lambda: binarize(torch.zeros(1), Surrogate("tanh"), sharpness=2.0), r"brings its own.*sharpness=2\.0"),
        (lambda: binarize(torch.zeros(1, dtype=torch.int64)), r"floating-point tensor, got torch\.int64"),
    ],
)
def test_bad_arguments_are_refused_in_one_line(build: Callable[[], object], message: str) -> None:
    with pytest.raises(GaafError, match=message) as caught:
        build()
    assert "\n" not in str(caught.value)
