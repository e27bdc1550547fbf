"""The parts of binary networks: with the compiled kernels they are one operation, and the same function."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from gaaf_gp import parse
from gaaf_gp.binary import (
    BatchNorm,
    BinaryConv2d,
    NormalizedConvolution,
    PooledRepeat,
    Residual,
    Surrogate,
    TableActivation,
    native,
    tabulate,
    use_kernels,
    use_real_weights,
)
from gaaf_gp.trees.compile import Activation
from primitives import gaaf

NEEDS_KERNELS = pytest.mark.skipif(not native.available(), reason=f"no kernels: {native.unavailable_reason()}")
NEEDS_AVX2 = pytest.mark.skipif(not native.whole_numbers(), reason="whole numbers need AVX2")
COMPILED = [pytest.param("float32", marks=NEEDS_KERNELS), pytest.param("fixed", marks=[NEEDS_KERNELS, NEEDS_AVX2])]
PRECISION = {"float32": 2e-5, "fixed": 5e-3}
SURROGATE = Surrogate("clipped", 1.3)
CHANNELS = 4


def seeded(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def tables() -> nn.Module:
    return TableActivation(tabulate(lambda x: torch.sin(2 * x) + 0.3 * x, SURROGATE))


def program() -> nn.Module:
    """A learnable function that the kernels run; in the twin in double precision torch computes it."""
    activation = Activation(parse("add(sin(scale(x)), shift(x))", gaaf.free()), CHANNELS)
    with torch.no_grad():
        for number, vector in enumerate(activation.parameters()):
            vector.add_(0.1 * seeded(CHANNELS, seed=number))
    activation.kernel = native.program_of(activation.function(), 2)
    assert activation.kernel is not None
    return activation


ACTIVATIONS: dict[str, Callable[[], nn.Module | None]] = {
    "none": lambda: None,
    "tables": tables,
    "program": program,
    "any module": nn.Tanh,
}


class Scaled(nn.Module):
    """A shortcut of the caller's own."""

    def forward(self, x: Tensor) -> Tensor:
        return 0.5 * x


SHORTCUTS: dict[str, tuple[Callable[[], object], int, int]] = {
    "none": (lambda: None, 5, 2),
    "itself": (nn.Identity, CHANNELS, 1),
    "halved": (lambda: PooledRepeat(1), CHANNELS, 2),
    "halved and repeated": (lambda: PooledRepeat(3), 3 * CHANNELS, 2),
    "a module": (Scaled, CHANNELS, 1),
    "a tensor": (lambda: seeded(3, 6, 7, 5, seed=8), 6, 1),
}
"""Shortcut, channels of the result, stride."""


def test_pooled_repeat_averages_what_is_there() -> None:
    x = torch.arange(9.0).view(1, 1, 3, 3)
    pooled = torch.tensor([[2.0, 3.5], [6.5, 8.0]])
    assert torch.equal(PooledRepeat(3)(x), pooled.expand(1, 3, 2, 2))
    assert torch.equal(PooledRepeat(1)(x), pooled.expand(1, 1, 2, 2))
    assert repr(PooledRepeat(3)) == "PooledRepeat(times=3)"


@pytest.mark.parametrize("kernels", [pytest.param("torch"), *COMPILED])
@pytest.mark.parametrize("training", [False, True])
def test_a_residual_is_the_sum_of_its_body_and_its_shortcut(kernels: str, training: bool) -> None:
    torch.manual_seed(0)
    body = nn.Sequential(BinaryConv2d(4, 8, 3, stride=2, padding=1), BatchNorm(8))
    unit = Residual(body, PooledRepeat(2)).train(training)
    use_kernels(unit, kernels)
    x = seeded(3, 4, 7, 7)
    expected = copy.deepcopy(body)(x) + PooledRepeat(2)(x)
    torch.testing.assert_close(unit(x), expected, rtol=1e-6, atol=1e-6)
    assert next(iter(unit.state_dict())) == "body.0.weight"


def unit(activation: str, outputs: int, stride: int, pad_value: float = 0.0) -> NormalizedConvolution:
    torch.manual_seed(1)
    layer = BinaryConv2d(
        CHANNELS,
        outputs,
        3,
        stride=stride,
        padding=1,
        pad_value=pad_value,
        window=1.3,
        activation=ACTIVATIONS[activation](),
    )
    made = NormalizedConvolution(layer)
    with torch.no_grad():
        made[1].weight.copy_(seeded(outputs, seed=2))  # type: ignore[operator]
        made[1].bias.copy_(seeded(outputs, seed=3))  # type: ignore[operator]
        made[1].running_mean.copy_(seeded(outputs, seed=4))  # type: ignore[operator]
    return made


def differentiate(made: nn.Module, x: Tensor, shortcut: object) -> dict[str, Tensor]:
    """The result, its gradients by everything that has one, and the buffers after it."""
    x = x.clone().requires_grad_()
    more = shortcut.to(x.dtype).requires_grad_() if isinstance(shortcut, Tensor) else shortcut
    y = made(x, more)
    inputs = {"x": x, **dict(made.named_parameters())}
    if isinstance(more, Tensor):
        inputs["shortcut"] = more
    incoming = seeded(*y.shape, seed=5).to(y.dtype)
    found = torch.autograd.grad(y, list(inputs.values()), incoming)
    return {"y": y.detach(), **dict(zip(inputs, found, strict=True)), **dict(made.named_buffers())}


@pytest.mark.parametrize("kernels", COMPILED)
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("shortcut", SHORTCUTS)
def test_one_operation_is_what_its_parts_are(shortcut: str, activation: str, training: bool, kernels: str) -> None:
    """Against torch in double precision, from the same numbers, rounded to bfloat16 as tables take them."""
    make, outputs, stride = SHORTCUTS[shortcut]
    ours = unit(activation, outputs, stride).train(training)
    theirs = copy.deepcopy(ours).double()
    use_kernels(ours, kernels)
    x = seeded(3, CHANNELS, 7, 5, seed=6).bfloat16().float()
    have, want = differentiate(ours, x, make()), differentiate(theirs, x.double(), make())
    assert list(have) == list(want)
    for name in want:
        if name.split(".")[-1] in ("sign", "slope"):
            continue
        error = (have[name].double() - want[name]).norm() / want[name].double().norm().clamp(min=1e-9)
        assert error < PRECISION[kernels], name
    assert have["y"].is_contiguous(memory_format=torch.channels_last)


@NEEDS_KERNELS
def test_the_parts_are_not_called_where_they_are_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    made = unit("tables", CHANNELS, 1)
    use_kernels(made, "float32")
    monkeypatch.setattr(BatchNorm, "forward", pytest.fail)
    monkeypatch.setattr(BinaryConv2d, "forward", pytest.fail)
    assert made(seeded(2, CHANNELS, 5, 5), nn.Identity()).shape == (2, CHANNELS, 5, 5)


@NEEDS_KERNELS
@pytest.mark.parametrize("place", [0, 1, 2])
def test_hooks_are_called(place: int) -> None:
    made, shortcut = unit("tables", CHANNELS, 1), PooledRepeat(1)
    made[0].stride = (2, 2)  # type: ignore[assignment]
    use_kernels(made, "float32")
    x = seeded(2, CHANNELS, 5, 5)
    expected = made(x, shortcut)
    seen: list[Tensor] = []
    part = (*made, shortcut)[place]
    part.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    torch.testing.assert_close(made(x, shortcut), expected, rtol=1e-5, atol=1e-5)
    assert len(seen) == 1


@NEEDS_KERNELS
def test_a_single_value_per_channel_is_refused_as_torch_refuses_it() -> None:
    made = unit("tables", CHANNELS, 1)
    use_kernels(made, "float32")
    with pytest.raises(ValueError, match="Expected more than 1 value per channel"):
        made(seeded(1, CHANNELS, 1, 1))
    assert made(seeded(1, CHANNELS, 2, 2)).isfinite().all()
    assert made.eval()(seeded(1, CHANNELS, 1, 1)).shape == (1, CHANNELS, 1, 1)


@NEEDS_KERNELS
def test_a_real_convolution_is_normalized_too() -> None:
    torch.manual_seed(0)
    made = NormalizedConvolution(nn.Conv2d(3, 5, 3, bias=False))
    use_kernels(made, "float32")
    x = seeded(2, 3, 6, 6)
    expected = functional.batch_norm(functional.conv2d(x, made[0].weight), None, None, training=True)  # type: ignore[arg-type]
    torch.testing.assert_close(made(x), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kernels", COMPILED)
def test_with_real_weights_a_block_is_computed_in_torch(kernels: str) -> None:
    torch.manual_seed(0)
    convolution = BinaryConv2d(CHANNELS, CHANNELS, 3, padding=1, activation=tables(), window=1.3)
    ours = Residual(NormalizedConvolution(convolution), nn.Identity())
    theirs = copy.deepcopy(ours)
    use_kernels(ours, kernels)
    for one in (ours, theirs):
        use_real_weights(one)
    x = seeded(6, CHANNELS, 5, 7)
    inputs = [x.clone().requires_grad_() for _ in range(2)]
    first, second = (one(given) for one, given in zip((ours, theirs), inputs, strict=True))
    torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-5)
    for y in (first, second):
        y.backward(seeded(*y.shape, seed=1))
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad, rtol=1e-3, atol=1e-4)
    for (name, one), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-3, atol=1e-4, msg=name)
