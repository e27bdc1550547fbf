"""RSign and RPReLU against their formulas, the tree that is RSign, and their place in a network."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from gaaf_gp import Activation
from gaaf_gp.binary import BASELINES, BinaryConv2d, RPReLU, RSign, binarize, binary_layers, small_network
from gaaf_gp.errors import GaafError
from primitives import gaaf


def seeded(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def filled(module: nn.Module, seed: int) -> nn.Module:
    for place, parameter in enumerate(module.parameters()):
        nn.init.normal_(parameter, generator=torch.Generator().manual_seed(seed + place))
    return module


def test_names_of_the_baselines() -> None:
    assert dict(BASELINES) == {"sign": None, "rsign": RSign, "rprelu": RPReLU}


@given(seed=st.integers(0, 10**6), shape=st.sampled_from([(2, 3), (2, 3, 4), (1, 3, 2, 5)]))
def test_rprelu_by_its_formula(seed: int, shape: tuple[int, ...]) -> None:
    f = filled(RPReLU(3), seed)
    x = seeded(*shape, seed=seed)
    gamma, slope, zeta = (-f.shift_in, f.slope, f.shift_out)  # type: ignore[operator]
    for channel in range(3):
        v, g = x[:, channel].double(), gamma[channel].double()
        expected = torch.where(v > g, v - g, slope[channel].double() * (v - g)) + zeta[channel].double()  # type: ignore[index, operator]
        torch.testing.assert_close(f(x)[:, channel].double(), expected, rtol=1e-5, atol=1e-5)


@given(seed=st.integers(0, 10**6))
def test_a_shift_behind_rprelu_is_part_of_its_own(seed: int) -> None:
    f, g = filled(RPReLU(3), seed), filled(RSign(3), seed + 9)
    x = seeded(2, 3, 4, 4, seed=seed)
    both = g(f(x))
    with torch.no_grad():
        f.shift_out += g.shift  # type: ignore[operator]
    torch.testing.assert_close(f(x), both, rtol=1e-5, atol=1e-5)


def step(f: nn.Module, x: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Return output, gradient of the input and gradients of f, in a convolution whose weights are always the same."""
    torch.manual_seed(3)
    layer = BinaryConv2d(4, 2, 3, padding=1, activation=f, window=1.3)
    leaf = x.clone().requires_grad_()
    y = layer(leaf)
    y.mul(seeded(*y.shape, seed=5)).sum().backward()
    assert leaf.grad is not None
    return y.detach(), leaf.grad, [parameter.grad for parameter in f.parameters() if parameter.grad is not None]


@pytest.mark.parametrize("start", [None, 1])
def test_rsign_is_the_shift_of_the_papers_operators(start: int | None) -> None:
    ours, tree = RSign(4), Activation("shift(x)", 4, gaaf.free())
    if start is not None:
        filled(ours, start)
    tree.load_state_dict({"s0": ours.shift.detach()})
    x = seeded(3, 4, 5, 5)
    assert torch.equal(ours(x), tree(x))
    (y, dx, (db,)), (expected, expected_dx, (expected_db,)) = step(ours, x), step(tree, x)
    assert torch.equal(y, expected)
    assert torch.equal(dx, expected_dx)
    assert torch.equal(db, expected_db)
    assert db.abs().sum() > 0


@pytest.mark.parametrize("name", ["rsign", "rprelu"])
def test_baselines_start_as_the_plain_sign(name: str) -> None:
    factory = BASELINES[name]
    assert factory is not None
    x = seeded(2, 4, 3, 3)
    assert torch.equal(binarize(factory(4)(x)), binarize(x))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("module", [RSign(3), RPReLU(3)])
def test_baselines_keep_shape_and_dtype(module: nn.Module, dtype: torch.dtype) -> None:
    x = seeded(2, 3, 4).to(dtype)
    assert module(x).dtype == dtype
    assert module(x).shape == x.shape


@pytest.mark.parametrize("name", BASELINES)
def test_baselines_learn_in_a_network(name: str) -> None:
    torch.manual_seed(0)
    network = small_network(2, 1, activation=BASELINES[name], widths=(4, 8))
    per_channel = {"sign": 0, "rsign": 1, "rprelu": 3}[name]
    plain = sum(parameter.numel() for parameter in small_network(2, 1, widths=(4, 8)).parameters())
    channels = sum(layer.channels for layer in binary_layers(network))
    assert sum(parameter.numel() for parameter in network.parameters()) == plain + per_channel * channels
    before = [parameter.clone() for parameter in network.parameters()]
    optimizer = torch.optim.Adam(network.parameters(), lr=0.05)
    functional.cross_entropy(network(seeded(8, 1, 8, 8)), torch.arange(8) % 2).backward()
    optimizer.step()
    assert not any(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: RSign(0), "channels must be a whole number of at least 1, got 0"),
        (lambda: RPReLU(2.0), r"channels must be a whole number of at least 1, got 2\.0"),  # type: ignore[arg-type]
        (lambda: RSign(3)(torch.ones(2, 4)), r"RSign of 3 channel\(s\) takes inputs .*got \(2, 4\)"),
        (lambda: RPReLU(3)(torch.ones(3)), r"RPReLU of 3 channel\(s\) takes inputs .*got \(3,\)"),
    ],
)
def test_bad_arguments_are_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(GaafError, match=message):
        call()


def test_they_show_their_channels() -> None:
    assert repr(RSign(3)) == "RSign(channels=3)"
