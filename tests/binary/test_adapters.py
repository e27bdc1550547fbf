"""Replaced layers against torch's own layers, which get the signs and the scaled signs of the weights to work on."""

import copy
from typing import Any

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor, nn

from gaaf_gp.binary import BinaryConv2d, BinaryLinear, RSign, Surrogate, TableActivation, tabulate
from gaaf_gp.binary.adapters import ChannelAffine, replacement
from gaaf_gp.binary.building import PAPER


def seeded(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def signs(x: Tensor) -> Tensor:
    return torch.where(x >= 0, 1.0, -1.0).to(x.dtype)


def reference(layer: nn.Module, scale: bool) -> nn.Module:
    """Return the real layer with sign(W), times the mean of |W| per output channel, for weights."""
    twin = copy.deepcopy(layer)
    weight: Tensor = twin.get_parameter("weight")
    with torch.no_grad():
        means = torch.stack([channel.abs().mean() for channel in weight])
        weight.copy_(signs(weight) * (means.view(-1, *(1,) * (weight.dim() - 1)) if scale else 1))
    return twin


class Learned(nn.Module):
    """x + s with an s per channel that is not zero."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.s = nn.Parameter(torch.linspace(-1, 1, channels, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        """Return x + s, refusing inputs whose second dimension is not the channels."""
        assert x.shape[1] == len(self.s)
        return x + self.s.view(1, -1, *(1,) * (x.dim() - 2))


@given(
    seed=st.integers(0, 10**6),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    padding=st.one_of(st.tuples(st.integers(0, 2), st.integers(0, 2)), st.sampled_from(["same", "valid"])),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    groups=st.sampled_from([1, 2]),
    padding_mode=st.sampled_from(["zeros", "reflect", "replicate", "circular"]),
    bias=st.booleans(),
    scale=st.booleans(),
    active=st.booleans(),
)
def test_any_convolution(
    seed: int,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: Any,
    dilation: tuple[int, int],
    bias: bool,
    scale: bool,
    active: bool,
    **rest: Any,
) -> None:
    if padding == "same":
        stride = (1, 1)
        # zeros that are added on one side only are refused by the survey
        uneven = any(d * (k - 1) % 2 for d, k in zip(dilation, kernel, strict=True))
        assume(not uneven or rest["padding_mode"] != "zeros")
    torch.manual_seed(seed)
    layer = nn.Conv2d(4, 6, kernel, stride, padding, dilation, bias=bias, dtype=torch.float64, **rest)
    x = seeded(2, 4, 7, 6, seed=seed)
    new = replacement(layer, Learned if active else None, scale, PAPER)
    shifted = x + torch.linspace(-1, 1, 4, dtype=torch.float64).view(1, 4, 1, 1) if active else x
    torch.testing.assert_close(new(x), reference(layer, scale)(signs(shifted)), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", [(5,), (3, 5), (2, 5, 5), (2, 3, 4, 5)])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("scale", [False, True])
def test_any_linear_layer_sees_its_features_as_channels(shape: tuple[int, ...], bias: bool, scale: bool) -> None:
    torch.manual_seed(0)
    layer = nn.Linear(5, 4, bias=bias, dtype=torch.float64)
    x = seeded(*shape)
    new = replacement(layer, Learned, scale, PAPER)
    expected = reference(layer, scale)(signs(x + torch.linspace(-1, 1, 5, dtype=torch.float64)))
    torch.testing.assert_close(new(x), expected, rtol=1e-12, atol=1e-12)


def test_parts_and_names() -> None:
    layer = nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect", dilation=2)
    new = replacement(layer, RSign, True, PAPER)
    assert [(name, type(part)) for name, part in new.named_children()] == [
        ("pad", nn.ReflectionPad2d),
        ("binary", BinaryConv2d),
        ("affine", ChannelAffine),
    ]
    assert list(new.state_dict()) == ["binary.weight", "binary.activation.shift", "affine.scale", "affine.bias"]
    assert new.get_parameter("binary.weight") is layer.weight
    assert new.get_parameter("affine.bias") is layer.bias
    assert repr(new[-1]) == "ChannelAffine(scale=True, bias=True)"  # type: ignore[index]


@pytest.mark.parametrize("layer", [nn.Linear(3, 2, bias=False), nn.Conv2d(3, 2, 1, bias=False)])
def test_without_bias_and_scale_it_is_a_binary_layer_alone(layer: nn.Conv2d | nn.Linear) -> None:
    new = replacement(layer.eval(), None, False, {**PAPER, "pad_value": 1.0, "surrogate": "tanh", "window": 2.0})
    assert isinstance(new, BinaryConv2d | BinaryLinear)
    assert new.surrogate == Surrogate("tanh", 2.0)
    assert new.weight is layer.weight
    assert not new.training
    assert getattr(new, "pad_value", 1.0) == 1.0


def test_frozen_weights_stay_frozen() -> None:
    layer = nn.Linear(3, 2).requires_grad_(False)
    assert not any(parameter.requires_grad for parameter in replacement(layer, None, True, PAPER).parameters())


def test_gradients_reach_weights_scale_and_bias() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(5, 3, dtype=torch.float64)
    new = replacement(layer, None, True, PAPER)
    x, incoming = seeded(4, 5), seeded(4, 3, seed=1)
    new(x).backward(incoming)
    sums = signs(x) @ signs(layer.weight.detach()).T
    scale = layer.weight.detach().abs().mean(1)
    gradients = {name: parameter.grad for name, parameter in new.named_parameters()}
    torch.testing.assert_close(gradients["affine.scale"], (incoming * sums).sum(0))
    torch.testing.assert_close(gradients["affine.bias"], incoming.sum(0))
    # the weights are within their window, where the straight-through estimator has slope 1
    torch.testing.assert_close(gradients["binary.weight"], (incoming * scale).T @ signs(x))


def test_tables_are_not_wrapped() -> None:
    def tables(_channels: int) -> nn.Module:
        return TableActivation(tabulate(torch.cos, Surrogate("clipped", 1.3)))

    new = replacement(nn.Linear(4, 3, bias=False), tables, False, PAPER)
    assert isinstance(new, BinaryLinear)
    assert isinstance(new.activation, TableActivation)
    x = seeded(2, 6, 4).float()
    expected = signs(torch.cos(x.bfloat16().float())) @ signs(new.weight.detach()).T
    assert torch.equal(new(x), expected)
    other = replacement(nn.Linear(4, 3, bias=False), RSign, False, PAPER)
    assert isinstance(other.activation, RSign)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_an_affine_keeps_the_dtype(dtype: torch.dtype) -> None:
    affine = ChannelAffine(nn.Parameter(torch.tensor([2.0, 3.0])), nn.Parameter(torch.tensor([1.0, -1.0])), 2)
    y = affine(torch.ones(1, 2, 1, 2, dtype=dtype))
    assert y.dtype == dtype
    assert y.flatten().tolist() == [3, 3, 2, 2]
