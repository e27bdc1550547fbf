"""The contract of a primitive: what breaks it in any way is refused in one line, and what keeps it is taken."""

from __future__ import annotations

import collections
import functools
import itertools
import random
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gaaf_gp.errors import GaafError
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.types import Channel, Feature, Scalar

Function = Callable[..., Any]
WEIGHT = nn.Parameter(torch.ones(1))
COUNTS = {"calls": 0}


def add(function: Function, in_types: tuple[type, ...] = (Feature,), **traits: Any) -> None:
    PrimitiveSet("contract").addPrimitive(function, in_types, Feature, "f", **traits)


def refusal(function: Function, in_types: tuple[type, ...] = (Feature,), **traits: Any) -> str:
    states = random.getstate(), torch.get_rng_state(), np.random.get_state()[1].tolist()
    with pytest.raises(GaafError, match=r"^primitive 'f' must .*: ") as caught:
        add(function, in_types, **traits)
    assert "\n" not in str(caught.value)
    assert random.getstate() == states[0], "a refusal leaves the global generators as they were"
    assert torch.equal(torch.get_rng_state(), states[1])
    assert np.random.get_state()[1].tolist() == states[2]
    return str(caught.value)


def roll(axis: int, by: int) -> Function:
    return lambda x: x + torch.roll(x, by, axis) if x.dim() > axis else x


JOINING: dict[str, Function] = {
    "mean of channels": lambda x: x - x.mean(1, keepdim=True),
    "mean of all": lambda x: x - x.mean(),
    "a millionth of it": lambda x: x + 1e-6 * x.mean(),
    "largest": lambda x: x / (x.abs().max() + 1),
    "softmax": lambda x: torch.softmax(x, 1),
    "softmax of the batch": lambda x: torch.softmax(x, 0),
    "sorted": lambda x: x.flatten().sort()[0].view(x.shape) if x.is_contiguous() else x,
    "running sum": lambda x: x.cumsum(0),
    "first image": lambda x: x - x[:1],
    "last position": lambda x: x - x[..., -1:],
    "branch": lambda x: x if x.sum() > 0 else -x,
    "turned batch": lambda x: x.flip(0),
    "turned channels": lambda x: x.flip(1),
    "median": lambda x: x - x.median(),
    "normalized": lambda x: nn.functional.layer_norm(x, x.shape[1:]),
    "batch norm": lambda x: nn.functional.batch_norm(x, None, None, training=True),
    "batch norm, a module": nn.BatchNorm2d(3, affine=False),
    **{f"neighbour {axis} {by}": roll(axis, by) for axis in (0, 1, 2, 3) for by in (1, 2) if axis < 2 or by == 1},
}


@pytest.mark.parametrize("what", JOINING)
def test_what_looks_at_other_values_is_refused(what: str) -> None:
    message = refusal(JOINING[what])
    assert "must work element by element" in message or what.startswith("batch norm") or what == "normalized"


class Joined(torch.autograd.Function):
    """x, with a gradient that is the mean of the incoming ones times x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Return x."""
        ctx.save_for_backward(x)
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        """Return what depends on all of x."""
        return gradients[0] * ctx.saved_tensors[0].mean()


def test_a_gradient_that_looks_at_other_values_is_refused() -> None:
    assert "gradient at one image depends on another image" in refusal(Joined.apply)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x + torch.arange(x.shape[-1], dtype=x.dtype),
        lambda x: x * x.shape[0],
        lambda x: x / x.numel(),
        lambda x: x + torch.rand(x.shape, generator=torch.Generator().manual_seed(3)).to(x.dtype),
        lambda x: torch.where(torch.arange(len(x)).view(-1, *[1] * (x.dim() - 1)) == 0, x, -x),
        lambda x: x if x.dim() == 4 else -x,
        lambda x: x if x.is_contiguous() else -x,
    ],
)
def test_what_looks_at_shape_or_place_is_refused(function: Function) -> None:
    assert "alone gives other values than the whole" in refusal(function)


def test_vectors_of_other_channels_count_too() -> None:
    assert "depends on another channel" in refusal(lambda x, c: x * (c - c.mean()), (Feature, Channel))
    assert "depends on another channel" in refusal(lambda x, s: x * (s - s.mean()), (Feature,), learnable=(1.0,))
    assert "depends on another channel" in refusal(lambda c: c - c.mean(), (Channel,))


@pytest.mark.parametrize(
    ("function", "generator"),
    [
        (lambda x: x + 0.5 * torch.randn_like(x), "torch"),
        (lambda x: nn.functional.dropout(x, 0.5), "torch"),
        (nn.Dropout(), "torch"),
        (nn.RReLU(), "torch"),
        (lambda x: x + random.random(), "random"),
        (lambda x: x + np.random.rand(), "numpy"),
        (lambda x: (torch.manual_seed(0), x * 1)[1], "torch"),
        (lambda x: x + 0 * torch.randn(()), "torch"),
    ],
)
def test_what_draws_from_a_global_generator_is_refused(function: Function, generator: str) -> None:
    torch.manual_seed(1)
    message = refusal(function)
    assert "must draw nothing at random" in message
    assert generator in message
    assert "addEphemeralConstant" in message


def own_generator() -> Function:
    generator = torch.Generator()
    return lambda x: x + torch.rand((), generator=generator).to(x.dtype)


def own_random() -> Function:
    generator = random.Random()
    return lambda x: x + generator.random()


def ticking() -> Function:
    numbers = itertools.count()
    return lambda x: x + next(numbers)


@pytest.mark.parametrize(
    "function",
    [
        own_generator(),
        own_random(),
        ticking(),
        lambda x: x + random.SystemRandom().random(),
        lambda x: x + time.perf_counter_ns() % 65536,
    ],
)
def test_what_differs_from_call_to_call_is_refused(function: Function) -> None:
    assert "must return the same values for the same input" in refusal(function)


def counting() -> Function:
    calls = 0

    def f(x: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return x if calls < 10**6 else -x

    return f


def of_global(x: Tensor) -> Tensor:
    COUNTS["calls"] += 1
    return x * 1


def with_default(x: Tensor, seen: list[float] = []) -> Tensor:  # noqa: B006
    seen.append(0.0)
    return x * 1


def with_attribute(x: Tensor) -> Tensor:
    with_attribute.calls = getattr(with_attribute, "calls", 0) + 1  # type: ignore[attr-defined]
    return x * 1


class Counter:
    """Counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, x: Tensor) -> Tensor:
        """Return x."""
        self.calls += 1
        return x * 1

    def method(self, x: Tensor) -> Tensor:
        """Return x."""
        return self(x)


class Slotted:
    """Counts its calls without a dictionary."""

    __slots__ = ("calls",)

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, x: Tensor) -> Tensor:
        """Return x."""
        self.calls += 1
        return x * 1


class Shared:
    """Counts the calls of all of its kind."""

    calls = 0

    def __call__(self, x: Tensor) -> Tensor:
        """Return x."""
        type(self).calls += 1
        return x * 1


class Averaging(nn.Module):
    """Keeps a moving average that it does not use yet."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("average", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Return x."""
        self.average.mul_(0.9).add_(0.1 * float(x.detach().sum()))
        return x * 1


def recent() -> Function:
    kept: collections.deque[int] = collections.deque(maxlen=5)

    def f(x: Tensor) -> Tensor:
        kept.append(len(kept) + (kept[-1] if kept else 0) + 1)
        return x * 1

    return f


def drawing_in_vain() -> Function:
    generator = np.random.default_rng(0)
    return lambda x: x + 0.0 * generator.random()


STATEFUL: dict[str, Function] = {
    "closure": counting(),
    "global": of_global,
    "default": with_default,
    "attribute": with_attribute,
    "object": Counter(),
    "bound method": Counter().method,
    "partial": functools.partial(Counter.__call__, Counter()),
    "slots": Slotted(),
    "class": Shared(),
    "module": Averaging(),
    "deque": recent(),
    "generator": drawing_in_vain(),
    "inside a lambda": lambda x: of_global(x),
}


@pytest.mark.parametrize("what", STATEFUL)
def test_what_remembers_something_is_refused(what: str) -> None:
    assert "must keep nothing from one call to the next" in refusal(STATEFUL[what])


def test_a_switch_that_an_input_throws_is_refused() -> None:
    thrown = itertools.count()

    def f(x: Tensor) -> Tensor:
        if (x < -1.99).any() and x.shape == (4, 4, 2, 2):
            next(thrown)
        return x * 1 if repr(thrown) == "count(0)" else x * 2

    assert refusal(f)


def test_a_buffer_that_is_returned_every_time_is_refused() -> None:
    buffers: dict[Any, Tensor] = {}

    def f(x: Tensor) -> Tensor:
        if x.requires_grad:
            return torch.sin(x)
        buffer = buffers.setdefault((x.shape, x.dtype), torch.empty_like(x))
        return buffer.copy_(torch.sin(x))

    assert "must return a new tensor" in refusal(f)


def holding(weight: Tensor) -> Function:
    return lambda x: x * weight


class Holder:
    """Holds a parameter."""

    def __init__(self) -> None:
        self.inner = {"weights": [nn.Parameter(torch.ones(()))]}

    def scale(self, x: Tensor) -> Tensor:
        """Return x times it."""
        return x * self.inner["weights"][0]


LEARNING: dict[str, Function] = {
    "module": nn.PReLU(),
    "frozen module": nn.PReLU().requires_grad_(False),
    "module of modules": nn.Sequential(nn.Tanh(), nn.PReLU()),
    "closure": holding(nn.Parameter(torch.ones(()))),
    "tensor": holding(torch.ones((), requires_grad=True)),
    "global": lambda x: x * WEIGHT.to(x.dtype),
    "bound method": Holder().scale,
    "partial": functools.partial(torch.mul, nn.Parameter(torch.ones(()))),
    "keyword": functools.partial(torch.add, other=nn.Parameter(torch.ones(()))),
    "built-in method": nn.Parameter(torch.ones(())).mul,
    "module's method": nn.PReLU().forward,
}


@pytest.mark.parametrize("what", LEARNING)
def test_what_holds_a_parameter_is_refused(what: str) -> None:
    message = refusal(LEARNING[what])
    assert "must hold nothing that learns" in message
    assert "learnable=(" in message


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x if torch.is_grad_enabled() else x + 1,
        lambda x: x if x.requires_grad else x + 1,
        lambda x: x + 1 if torch.is_inference_mode_enabled() else x,
    ],
)
def test_what_looks_at_the_mode_of_gradients_is_refused(function: Function) -> None:
    assert "whether or not gradients are computed" in refusal(function)


def test_what_needs_gradients_to_compute_is_refused() -> None:
    def slope(x: Tensor) -> Tensor:
        y = x.detach().requires_grad_()
        return torch.autograd.grad((y * y).sum(), y)[0]

    assert "must accept (Feature) tensors, but it raised RuntimeError" in refusal(slope)


@functools.cache
def half() -> float:
    return 0.5


def memo() -> Function:
    made: dict[torch.dtype, Tensor] = {}

    def f(x: Tensor) -> Tensor:
        return x * made.setdefault(x.dtype, torch.tensor(2.0, dtype=x.dtype))

    return f


class Scaled:
    """Constants in an object."""

    def __init__(self) -> None:
        self.factors = (torch.tensor(0.5), 2, np.float64(1.5))

    def __call__(self, x: Tensor) -> Tensor:
        """Return x times all."""
        return x * self.factors[0] * self.factors[1] * float(self.factors[2])


@pytest.mark.parametrize(
    "function",
    [
        torch.sin,
        nn.Tanh(),
        nn.Hardtanh(-0.5, 0.5),
        nn.Dropout().eval(),
        nn.Sequential(nn.Tanh(), nn.Softsign()),
        nn.functional.gelu,
        functools.partial(torch.clamp, min=-1, max=1),
        lambda x: x * half(),
        memo(),
        Scaled(),
        lambda x: x.contiguous().view(-1).sin().view(x.shape),
        lambda x: torch.special.erf(x),
        torch.tensor(2.0).mul,
        lambda x: torch.tan(torch.exp(x.clamp(-3, 3)).clamp(0, 1.5)),
        lambda x: torch.full_like(x, 0.25),
        lambda x: torch.sign(torch.sin(x * 8)),
        torch.floor,
    ],
)
def test_what_keeps_the_contract_is_taken(function: Function) -> None:
    add(function)


def test_vectors_and_numbers_are_taken() -> None:
    add(lambda x, c, n, s, t: x * c + n * s - t, (Feature, Channel, Scalar), learnable=(1.0, 0.0))
    PrimitiveSet("contract").addPrimitive(torch.add, [Scalar, Scalar], Scalar)
    PrimitiveSet("contract").addPrimitive(torch.mul, [Scalar, Channel], Channel)


def test_adding_leaves_global_generators_and_gradients_alone() -> None:
    random.seed(3), torch.manual_seed(3), np.random.seed(3)
    expected = random.random(), torch.rand(3).tolist(), np.random.rand()
    random.seed(3), torch.manual_seed(3), np.random.seed(3)
    with torch.no_grad():
        add(torch.sin)
    assert (random.random(), torch.rand(3).tolist(), np.random.rand()) == expected


def own_uniform() -> Function:
    generator = random.Random(0)
    return lambda: generator.uniform(-1, 1)


@pytest.mark.parametrize(
    ("ephemeral", "said"),
    [
        (lambda: np.random.uniform(), "the global generator of numpy"),
        (lambda: torch.rand(()).item(), "the global generator of torch"),
        (own_uniform(), "and then"),
        (lambda: random.SystemRandom().random(), "and then"),
        (lambda: float(time.perf_counter_ns()), "and then"),
        (functools.partial(next, itertools.count()), "it drew 0.0 and then 1.0"),
    ],
)
def test_a_random_constant_that_a_seed_does_not_decide_is_refused(ephemeral: Function, said: str) -> None:
    expected = torch.random.get_rng_state()
    with pytest.raises(GaafError, match="must draw the same number from the same seed") as caught:
        PrimitiveSet("contract").addEphemeralConstant("c", ephemeral, Scalar)
    assert said in str(caught.value)
    assert "random.uniform(-1, 1)" in str(caught.value)
    assert torch.equal(torch.random.get_rng_state(), expected)


@pytest.mark.parametrize(
    "ephemeral", [random.random, functools.partial(random.gauss, 0, 1), lambda: random.randint(0, 9), lambda: 0.5]
)
def test_a_random_constant_of_pythons_generator_is_taken(ephemeral: Function) -> None:
    PrimitiveSet("contract").addEphemeralConstant("c", ephemeral, Scalar)
