"""Inputs of layers: those of the first are what the stem makes of the images, and watching changes nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from gaaf_gp.binary import binarize_model, binary_layers, small_network
from gaaf_gp.data.load import Data
from gaaf_gp.errors import GaafError
from gaaf_gp.training.layer_inputs import MOST, inputs_of, layer_inputs
from gaaf_gp.training.proxy import Proxy
from gaaf_gp.trees.parser import parse
from primitives.gaaf import free

PSET = free()


@pytest.fixture(params=["torch", "auto"])
def proxy(request: pytest.FixtureRequest, tiny_data: Data, tiny_settings: dict[str, Any]) -> Proxy:
    """With torch's layers, and with compiled kernels where this machine has them: those join layers."""
    return Proxy(tiny_data, **{**tiny_settings, "kernels": request.param})


@pytest.mark.parametrize("text", ["sin(x)", "scale(x)", None])
def test_every_layer_of_a_trained_network_is_seen(proxy: Proxy, text: str | None) -> None:
    candidate = None if text is None else parse(text, PSET)
    outcome = proxy.train(candidate, 3, keep=True)
    assert outcome.state is not None
    found = layer_inputs(proxy, candidate, outcome.state, images=30)
    training = proxy.training(candidate, 3)
    training.restore(outcome.state)
    model = training.model.eval()
    layers = list(binary_layers(model))
    assert len(found) == len(layers) == 4
    assert all(values.dtype == np.float32 and values.ndim == 1 for values in found.values())
    images, _ = next(iter(proxy.batches.scoring()))
    with torch.no_grad():
        expected = model.stem(images).flatten()  # type: ignore[operator]
    first = next(iter(found.values()))
    np.testing.assert_allclose(np.sort(first), np.sort(expected.numpy()), atol=1e-6)


def test_a_network_that_is_not_trained_yet_has_normalized_inputs(proxy: Proxy) -> None:
    found = layer_inputs(proxy, parse("sin(x)", PSET), seed=1)
    first = next(iter(found.values()))
    assert first.mean() == pytest.approx(0, abs=1e-3)
    assert first.std() == pytest.approx(1, abs=1e-2)
    other = layer_inputs(proxy, parse("cos(x)", PSET), seed=1)
    np.testing.assert_array_equal(first, next(iter(other.values())))
    assert not np.array_equal(first, next(iter(layer_inputs(proxy, parse("sin(x)", PSET), seed=2).values())))


def test_images_are_spread_over_the_validation_split(proxy: Proxy) -> None:
    outcome = proxy.train(None, 0, keep=True)
    few, all_of_them = (layer_inputs(proxy, None, outcome.state, images=number) for number in (3, 1000))
    names = list(few)
    assert len(few[names[0]]) * 10 == len(all_of_them[names[0]]) == 30 * 4 * 16, "30 images, 4 channels, 4x4 pixels"
    assert {*few[names[0]]} < {*all_of_them[names[0]]}


def test_watching_leaves_training_as_it_was(proxy: Proxy) -> None:
    candidate = parse("scale(x)", PSET)
    before = proxy.train(candidate, 0)
    layer_inputs(proxy, candidate)
    after = proxy.train(candidate, 0)
    assert (before.accuracy, before.history) == (after.accuracy, after.history)


def test_any_model_may_be_looked_into() -> None:
    torch.manual_seed(0)
    model = small_network(3, 1, widths=(4, 8))
    found = inputs_of(model, torch.randn(2, 1, 16, 16))
    assert list(found) == [name for name, module in model.named_modules() if module in set(binary_layers(model))]
    plain = torch.nn.Sequential(torch.nn.Linear(5, 6), torch.nn.Linear(6, 6), torch.nn.Linear(6, 2))
    converted, _ = binarize_model(plain, example=torch.zeros(1, 5))
    images = torch.randn(7, 5)
    seen = inputs_of(converted, images)
    with torch.no_grad():
        np.testing.assert_allclose(np.sort(seen["1.binary"]), np.sort(plain[0](images).flatten().numpy()), atol=1e-6)


def test_a_large_layer_is_sampled() -> None:
    torch.manual_seed(0)
    model = small_network(3, 1, widths=(16,))
    images = torch.randn(40, 1, 32, 32) * torch.linspace(0.1, 3, 40)[:, None, None, None]  # no part is like the whole
    found = inputs_of(model, images)
    first = next(iter(found.values()))
    assert len(first) == MOST
    with torch.no_grad():
        every = model.eval().stem(images).flatten().numpy()  # type: ignore[operator]
    assert len(every) > MOST
    assert first.mean() == pytest.approx(every.mean(), abs=0.03)
    assert first.std() == pytest.approx(every.std(), rel=0.03)


@pytest.mark.parametrize("images", [0, 1, True, 2.0])
def test_too_few_images_are_refused(tiny_proxy: Proxy, images: int) -> None:
    with pytest.raises(GaafError, match=f"measured on must be a whole number of at least 2, got {images!r}"):
        layer_inputs(tiny_proxy, None, images=images)
