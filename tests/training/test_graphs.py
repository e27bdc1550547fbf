"""Steps that are recorded on a GPU do what they do without; elsewhere they are just called."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from gaaf_gp import load_data
from gaaf_gp.training.adam import Adam
from gaaf_gp.training.proxy import Proxy
from gaaf_gp.training.stacked import train_stacked
from gaaf_gp.training.step import AHEAD, CudaGraphStep
from gaaf_gp.trees.parser import parse

cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
DEVICES = ["cpu", pytest.param("cuda", marks=cuda)]


def _steps(device, repeated, rates, *, reads=False):
    """Train a small real network; return its losses, its weights, and how often the step was called from Python."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)).to(device)
    optimizer, calls = Adam(model.parameters()), []

    def step(images, labels, rate):
        calls.append(rate)
        loss = functional.cross_entropy(model(images), labels)
        if reads:
            assert loss.item() > 0
        optimizer.zero_grad()
        loss.backward()
        optimizer.step(rate)
        return loss.detach()

    generator, losses = torch.Generator().manual_seed(1), []
    for rate in rates:
        images = torch.randn(6, 4, generator=generator).to(device)
        labels = torch.randint(3, (6,), generator=generator).to(device)
        losses.append(repeated(step, images, labels, rate) if repeated else step(images, labels, rate))
    return torch.stack(losses), [one.detach() for one in model.parameters()], len(calls)


RATES = [0.1, 0.05, 0.02, 0.01, 0.3, 0.0, 0.2, 0.1]


@pytest.mark.parametrize("device", DEVICES)
def test_repeated_steps_are_the_steps(device):
    expected_losses, expected, _ = _steps(device, None, RATES)
    losses, weights, calls = _steps(device, CudaGraphStep(torch.device(device)), RATES)
    torch.testing.assert_close(losses, expected_losses)
    for first, second in zip(weights, expected, strict=True):
        torch.testing.assert_close(first, second)
    assert calls == (len(RATES) if device == "cpu" else AHEAD + 1)


@pytest.mark.parametrize("device", DEVICES)
def test_a_step_that_reads_a_number_back_is_called_every_time(device):
    expected, _, _ = _steps(device, None, RATES, reads=True)
    losses, _, calls = _steps(device, CudaGraphStep(torch.device(device)), RATES, reads=True)
    torch.testing.assert_close(losses, expected)
    assert calls >= len(RATES)


@pytest.mark.parametrize("device", DEVICES)
def test_a_batch_of_another_size_is_trained_too(device):
    repeated, seen = CudaGraphStep(torch.device(device)), []

    def step(images, _labels, _rate):
        seen.append(len(images))
        return images.sum()

    for size in [2] * (AHEAD + 2) + [3, 2]:
        images = torch.ones(size, 1, device=device)
        assert float(repeated(step, images, images, 0.1)) == size
    assert 3 in seen


@pytest.mark.parametrize("device", DEVICES)
def test_what_has_moved_is_recorded_anew(device):
    repeated, total = CudaGraphStep(torch.device(device)), torch.zeros((), device=device)

    def step(images, _labels, _rate):
        total.add_(images.sum())
        return images.sum()

    images = torch.ones(2, 1, device=device)
    for _ in range(6):
        repeated(step, images, images, 0.1)
    total = torch.zeros((), device=device)
    repeated.forget()
    for _ in range(6):
        repeated(step, images, images, 0.1)
    assert float(total) == 12


@cuda
def test_a_training_on_a_gpu_is_that_of_the_processor(free):
    """The draws of batches differ, so only levels are compared; within a device one seed gives one result."""
    trees = [parse("add(sin(x), x)", free), parse("add(sin(scale(x)), x)", free)]
    for tree in trees:
        here, there = (Proxy(load_data(device=device), epochs=1).train(tree, 0) for device in ("cpu", "cuda"))
        assert there.failure is None
        assert abs(there.accuracy - here.accuracy) < 0.08
    alone = [Proxy(load_data(device="cuda"), epochs=1).train(trees[0], seed).accuracy for seed in (0, 1)]
    for seed, accuracy in enumerate(alone):
        stacked = train_stacked(Proxy(load_data(device="cuda"), epochs=1), [trees[0], None, trees[0]], seed)
        assert [one.failure for one in stacked] == [None] * 3
        assert abs(stacked[0].accuracy - accuracy) < 0.05
