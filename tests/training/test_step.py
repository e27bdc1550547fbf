"""A training put aside and gone on with, step by step against one that never stopped, and its optimiser by formula."""

import math
import pickle

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from gaaf_gp.binary import binary_layers, small_network
from gaaf_gp.training import step
from gaaf_gp.training.outcome import Epoch
from gaaf_gp.training.step import LATENT_LIMIT, Training


def network(seed=0):
    torch.manual_seed(seed)
    return small_network(3, 1, widths=(4, 8))


def batches(number, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [
        (torch.randn(6, 1, 8, 8, generator=generator), torch.randint(3, (6,), generator=generator))
        for _ in range(number)
    ]


def training(total_steps=10, rate=0.05):
    return Training(network(), learning_rate=rate, total_steps=total_steps, seed=4)


def values(one):
    return {name: value.clone() for name, value in one.model.state_dict().items()}


def test_a_restored_training_goes_on_bit_for_bit():
    whole, first, second = training(), training(), training()
    data = batches(8)
    losses = [whole.step(*batch) for batch in data]
    before = [first.step(*batch) for batch in data[:5]]
    torch.rand(7, generator=first.generator)
    state = pickle.loads(pickle.dumps(first.state("f", 4, (Epoch(1.0, 0.5),), 2.5)))
    second.restore(state)
    after = [second.step(*batch) for batch in data[5:]]
    assert torch.equal(torch.stack(losses), torch.stack(before + after))
    assert all(torch.equal(value, values(second)[name]) for name, value in values(whole).items())
    torch.rand(7, generator=whole.generator)
    assert torch.equal(torch.rand(9, generator=whole.generator), torch.rand(9, generator=second.generator))


def test_a_state_is_a_copy_of_plain_arrays():
    one = training()
    one.step(*batches(1)[0])
    state = one.state("sin(x)", 4, (Epoch(1.0, 0.5), Epoch(0.5, 0.6)), 2.5)
    kept = {name: value.copy() for name, value in state.model.items()}
    one.step(*batches(1)[0])
    assert all(np.array_equal(value, state.model[name]) for name, value in kept.items())
    assert all(type(value) is np.ndarray for moments in state.moments.values() for value in moments.values())
    assert {value.dtype for value in state.model.values()} == {np.dtype("float32"), np.dtype("int64")}
    assert (state.epochs, state.steps, state.seconds) == (2, 1, 2.5)
    assert repr(state) == "TrainingState(sin(x), seed 4, 2 epochs)"
    numbers = sum(parameter.numel() for parameter in one.model.parameters())
    assert len(pickle.dumps(state)) < 3 * 4 * numbers + 20_000, "three float32 per parameter and little else"


def test_a_step_is_adam_with_a_cosine_and_clipped_latent_weights():
    rate, total = 0.7, 4
    one = training(total, rate)
    twin = network().double()
    data = batches(3)
    sums = {name: (torch.zeros_like(p), torch.zeros_like(p)) for name, p in twin.named_parameters()}
    latent = {id(layer.weight) for layer in binary_layers(twin)}
    for number, (images, labels) in enumerate(data):
        # The same point in both networks: signs would turn rounding into another network.
        twin.load_state_dict({name: value.double() for name, value in values(one).items()})
        twin.zero_grad()
        functional.cross_entropy(twin(images.double()), labels).backward()
        step_rate = rate * (1 + math.cos(math.pi * number / total)) / 2
        one.step(images, labels)
        ours = dict(one.model.named_parameters())
        for name, parameter in twin.named_parameters():
            first, second = sums[name]
            first.mul_(0.9).add_(parameter.grad, alpha=0.1)
            second.mul_(0.999).add_(parameter.grad**2, alpha=0.001)
            move = (first / (1 - 0.9 ** (number + 1))) / ((second / (1 - 0.999 ** (number + 1))).sqrt() + 1e-8)
            expected = parameter.detach() - step_rate * move
            if id(parameter) in latent:
                expected = expected.clamp(-LATENT_LIMIT, LATENT_LIMIT)
            settled = parameter.grad.abs() > 1e-6  # Adam's first steps are the sign of the gradient: zero has none
            torch.testing.assert_close(ours[name].double()[settled], expected[settled], rtol=1e-3, atol=1e-4)


def test_latent_weights_stay_within_their_limit_and_others_do_not():
    one = training(rate=3.0)
    for batch in batches(4):
        one.step(*batch)
    latent = [layer.weight for layer in binary_layers(one.model)]
    assert max(float(weight.detach().abs().max()) for weight in latent) == pytest.approx(LATENT_LIMIT)
    assert float(one.model.classifier.weight.detach().abs().max()) > LATENT_LIMIT


def test_moments_lie_in_memory_as_their_parameters_do():
    first, second = training(), training()
    first.step(*batches(1)[0])
    second.restore(first.state(None, 0, (), 0.0))
    for number, parameter in enumerate(second.model.parameters()):
        for name in ("exp_avg", "exp_avg_sq"):
            assert second.optimizer.moments()[number][name].stride() == parameter.stride()


def test_the_loss_of_a_step_is_that_before_it_and_carries_no_graph():
    one = training()
    images, labels = batches(1)[0]
    expected = functional.cross_entropy(network().train()(images), labels)
    loss = one.step(images, labels)
    torch.testing.assert_close(loss, expected.detach())
    assert not loss.requires_grad
    assert isinstance(one.model, nn.Module)
    assert one.steps == 1


def test_one_state_may_be_gone_on_with_many_times():
    one = training()
    data = batches(4)
    for batch in data[:2]:
        one.step(*batch)
    state = one.state(None, 0, (), 0.0)
    ends = []
    for _ in range(2):
        again = training()
        again.restore(state)
        for batch in data[2:]:
            again.step(*batch)
        ends.append(again.state(None, 0, (), 0.0))
    assert all(np.array_equal(value, ends[1].model[name]) for name, value in ends[0].model.items())
    for number, moments in ends[0].moments.items():
        assert all(np.array_equal(value, ends[1].moments[number][name]) for name, value in moments.items())


def low(precision, total_steps=10):
    return Training(network(), learning_rate=0.05, total_steps=total_steps, seed=4, precision=precision)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_a_training_in_16_bits_keeps_weights_and_moments_in_32_and_learns(precision):
    one, plain = low(precision), training()
    data = batches(4) * 5
    losses, expected = ([float(each.step(*batch)) for batch in data] for each in (one, plain))
    assert losses[0] == pytest.approx(expected[0], rel=0.02)
    assert losses[0] != expected[0], "something is rounded"
    assert sum(losses[-4:]) < 0.7 * sum(losses[:4])
    state = one.state(None, 4, (), 0.0)
    assert {value.dtype.itemsize for value in state.model.values()} == {4, 8}
    assert all(kept["exp_avg"].dtype == np.float32 for kept in state.moments.values())
    assert one.logits(data[0][0]).dtype == torch.float32


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_a_restored_training_in_16_bits_goes_on_bit_for_bit(precision, monkeypatch):
    monkeypatch.setattr(step, "GROWTH", 3)
    monkeypatch.setattr(step, "START", 2.0**20)
    whole, first, second = (low(precision) for _ in range(3))
    data = batches(9)
    losses = [whole.step(*batch) for batch in data]
    before = [first.step(*batch) for batch in data[:5]]
    state = pickle.loads(pickle.dumps(first.state(None, 4, (), 0.0)))
    assert (state.scale is None) == (precision == "bfloat16")
    second.restore(state)
    after = [second.step(*batch) for batch in data[5:]]
    assert torch.equal(torch.stack(losses), torch.stack(before + after))
    ends = [one.state(None, 4, (), 0.0) for one in (whole, second)]
    assert ends[0].scale == ends[1].scale
    assert all(np.array_equal(value, ends[1].model[name]) for name, value in ends[0].model.items())


def test_a_step_whose_gradients_overflow_changes_no_weight(monkeypatch):
    monkeypatch.setattr(step, "START", 2.0**60)
    one = low("float16")
    before = dict(one.model.named_parameters())
    before = {name: value.detach().clone() for name, value in before.items()}
    loss = one.step(*batches(1)[0])
    assert math.isfinite(loss)
    assert all(torch.equal(value, before[name]) for name, value in one.model.named_parameters())
    assert one.state(None, 4, (), 0.0).scale == (2.0**59, 0)
    for batch in batches(4) * 13:
        one.step(*batch)
    assert one.state(None, 4, (), 0.0).scale[0] < 2.0**59
    assert not torch.equal(one.model.classifier.weight, before["classifier.weight"])


class Doubled:
    """A loss that is told from the cross-entropy, and sees what a step has."""

    def __init__(self):
        self.seen = []

    def __call__(self, logits, images, labels):
        self.seen.append((tuple(logits.shape), images, labels))
        return 2 * functional.cross_entropy(logits, labels)

    def settings(self):
        return {"twice": True}


def test_another_loss_takes_the_place_of_the_cross_entropy():
    loss = Doubled()
    plain = training()
    other = Training(network(), learning_rate=0.05, total_steps=10, seed=4, loss=loss)
    (images, labels), *_ = batches(1)
    assert torch.equal(2 * plain.step(images, labels), other.step(images, labels))
    shape, seen, truth = loss.seen[0]
    assert shape == (6, 3)
    assert seen is images
    assert truth is labels
    first, second = (list(one.optimizer.moments().values()) for one in (plain, other))
    for one, twice in zip(first, second, strict=True):
        torch.testing.assert_close(2 * one["exp_avg"], twice["exp_avg"])
