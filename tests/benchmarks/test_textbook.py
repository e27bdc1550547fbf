"""The textbook's networks are ours, layer by layer, and a step of theirs does what it should."""

import math

import pytest
import torch
from torch.nn import functional

from benchmarks import textbook, textbook_training
from benchmarks.task import ACTIVATIONS, IMAGES, SMALL, TASKS
from benchmarks.textbook import FUNCTIONS, LIMIT, NETWORKS, BinaryActivation, binary_convolutions, binary_weights
from gaaf_gp.binary import build_network
from gaaf_gp.data.augment import normalize
from gaaf_gp.trees.compile import Activation
from gaaf_gp.trees.parser import parse

WIDTHS = {"small": (4, 8), "resnet18": (4, 4, 8, 8)}


def _factory(name, free):
    text = ACTIVATIONS[name]
    return None if text is None else lambda channels: Activation(parse(text, free), channels)


def _both(network, name, free, widths):
    torch.manual_seed(0)
    channels = IMAGES[network][0]
    ours = build_network(network, 10, channels, _factory(name, free), widths=widths)
    return ours, NETWORKS[network](10, channels, FUNCTIONS[name], widths)


def _copy(ours, theirs):
    """Give both networks the same weights, which both list in the same order.

    The shifts of batch norm are random: at zero, sums of signs that equal their mean would fall on the jump of a sign.
    """
    with torch.no_grad():
        for module in ours.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.bias.normal_(0, 0.1)
        for source, target in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True):
            target.copy_(source.view_as(target))


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("network", NETWORKS)
def test_the_networks_have_our_shapes_and_parameters(network, name, free):
    ours, theirs = _both(network, name, free, TASKS[network].widths)
    shapes = [[tuple(p.shape) for p in model.parameters() if p.dim() != 1] for model in (ours, theirs)]
    weights = [shape for shape in shapes[1] if shape[0] != 1]  # without s of shape (1, C, 1, 1)
    assert weights == shapes[0]
    assert sum(p.numel() for p in theirs.parameters()) == sum(p.numel() for p in ours.parameters())
    channels, side = IMAGES[network]
    images = torch.zeros(2, channels, side, side)
    with torch.no_grad():
        assert theirs(images).shape == ours(images).shape == (2, 10)


def test_the_papers_network_has_the_known_size():
    theirs = textbook.resnet18(10, 3, FUNCTIONS["sign(x)"])
    assert sum(p.numel() for p in theirs.parameters()) == 11_173_962  # a ResNet-18 for 32x32 images, counted by hand
    assert len(binary_convolutions(theirs)) == 19


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("network", NETWORKS)
def test_one_state_gives_our_logits_and_gradients(network, name, free):
    ours, theirs = _both(network, name, free, WIDTHS[network])
    _copy(ours, theirs)
    ours, theirs = ours.double(), theirs.double()
    images = torch.randn(6, IMAGES[network][0], 16, 16, dtype=torch.float64)
    labels = torch.arange(6)
    expected = ours(images)
    functional.cross_entropy(expected, labels).backward()
    with binary_weights(theirs):
        logits = theirs(images)
        functional.cross_entropy(logits, labels).backward()
    torch.testing.assert_close(logits, expected)
    for first, second in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(second.grad.reshape(first.shape), first.grad, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_signs_and_gradients_follow_the_formula(name):
    x = torch.linspace(-4, 4, 402, dtype=torch.float64).reshape(2, 3, 67, 1).requires_grad_()
    gradient = torch.linspace(-1, 2, 402, dtype=torch.float64).reshape(x.shape)
    activation = BinaryActivation(FUNCTIONS[name](3)).double()
    signs = activation(x)
    signs.backward(gradient)
    for value, sign, incoming, found in zip(
        *(t.detach().flatten().tolist() for t in (x, signs, gradient, x.grad)), strict=True
    ):
        f, slope = (value, 1.0) if name == "sign(x)" else (math.sin(value) + value, math.cos(value) + 1)
        assert sign == math.copysign(1, f)
        assert found == pytest.approx(incoming * slope if abs(f) <= LIMIT else 0.0, abs=1e-12)


def test_the_learnable_value_of_a_channel_gets_its_gradient():
    x = torch.tensor([0.2, -0.4, 0.7, 3.0], dtype=torch.float64).reshape(2, 2, 1, 1)
    activation = BinaryActivation(FUNCTIONS["sin(s*x) + x"](2)).double()
    activation(x).sum().backward()
    # df/ds = x cos(s x) at s = 1; 3.0 lies outside the window
    first, second = 0.2 * math.cos(0.2) + 0.7 * math.cos(0.7), -0.4 * math.cos(-0.4)
    expected = torch.tensor([first if math.sin(0.7) + 0.7 <= LIMIT else 0.2 * math.cos(0.2), second])
    torch.testing.assert_close(activation.function.s.grad.flatten(), expected.double(), rtol=1e-6, atol=1e-6)


def test_the_sign_of_zero_is_zero_as_published():
    assert BinaryActivation(torch.nn.ReLU())(torch.tensor([[-2.0, 0.0, 3.0]])).tolist() == [[0.0, 0.0, 1.0]]


def test_the_functions_are_those_of_our_trees(free):
    assert list(FUNCTIONS) == list(ACTIVATIONS)
    x = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    for name, text in ACTIVATIONS.items():
        expected = x if text is None else Activation(parse(text, free), 3).double()(x)
        torch.testing.assert_close(FUNCTIONS[name](3).double()(x), expected)


def test_a_step_keeps_latent_weights_real_and_within_the_limit():
    torch.manual_seed(0)
    model = textbook.small_network(3, 1, FUNCTIONS["sin(s*x) + x"], (4, 8))
    optimizer = textbook.make_optimizer(model, 0.5)
    images, labels = torch.randn(8, 1, 8, 8), torch.arange(8) % 3
    before = [convolution.weight.detach().clone() for convolution in binary_convolutions(model)]
    textbook.training_step(model, optimizer, images, labels)
    for _ in range(4):
        assert math.isfinite(textbook.training_step(model, optimizer, images, labels))
    for convolution, old in zip(binary_convolutions(model), before, strict=True):
        weight = convolution.weight.detach()
        assert weight.abs().max() == pytest.approx(LIMIT)  # steps of 0.5 reach it
        assert len(weight.unique()) > 2
        assert not torch.equal(weight, old)


def test_weights_are_signs_inside_the_block_only():
    model = textbook.small_network(3, 1, FUNCTIONS["sign(x)"], (4,))
    latent = [convolution.weight.detach().clone() for convolution in binary_convolutions(model)]

    def fail():
        with binary_weights(model):
            for convolution, old in zip(binary_convolutions(model), latent, strict=True):
                assert torch.equal(convolution.weight, torch.sign(old))
            raise KeyError("inside")

    with pytest.raises(KeyError, match="inside"):
        fail()
    for convolution, old in zip(binary_convolutions(model), latent, strict=True):
        assert torch.equal(convolution.weight, old)


def test_steps_lower_the_loss_on_the_tiny_pictures(tiny_data):
    torch.manual_seed(0)
    model = textbook.small_network(3, 1, FUNCTIONS["sin(x) + x"], (4, 8))
    optimizer = textbook.make_optimizer(model, 0.01)
    images, labels = normalize(tiny_data.train.images, tiny_data.mean, tiny_data.std), tiny_data.train.labels
    losses = [textbook.training_step(model, optimizer, images, labels) for _ in range(40)]
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])


def test_an_evaluation_learns_and_depends_on_its_seed_alone(tiny_data):
    task = SMALL.but(widths=(8, 16), epochs=12, batch_size=15, learning_rate=0.01, pad=0)
    found, again = (textbook_training.evaluate(tiny_data, FUNCTIONS["sign(x)"], task, 1, workers=0) for _ in range(2))
    assert found.history == again.history
    assert found.accuracy > 0.6
    assert found.steps == 12 * 4


@pytest.mark.parametrize("cosine", [False, True])
def test_the_learning_rate_stays_or_falls_with_a_cosine(tiny_data, monkeypatch, cosine):
    rates = []

    def record(_model, optimizer, _images, _labels):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()

    monkeypatch.setattr(textbook_training, "training_step", record)
    monkeypatch.setattr(textbook_training, "LEAST_ACCURACY", 0.0)
    task = SMALL.but(widths=(4,), epochs=3, batch_size=15, learning_rate=0.01, cosine=cosine)
    textbook_training.evaluate(tiny_data, FUNCTIONS["sign(x)"], task, 0, workers=0)
    falling = [0.01 * (1 + math.cos(math.pi * step / 12)) / 2 for step in range(12)]
    assert rates == pytest.approx(falling if cosine else [0.01] * 12)


def test_a_training_without_hope_is_given_up_as_in_the_papers_code(tiny_data, monkeypatch):
    monkeypatch.setattr(textbook_training, "LEAST_ACCURACY", 1.0)
    task = SMALL.but(widths=(4,), epochs=5, batch_size=15)
    found = textbook_training.evaluate(tiny_data, FUNCTIONS["sign(x)"], task, 0, workers=0)
    assert len(found.history) == 1
    assert found.steps == 4


def test_loaders_see_every_picture_once(tiny_data):
    task = SMALL.but(batch_size=16, pad=1)
    train, val = textbook_training.loaders(tiny_data, task, 0, workers=0)
    assert [len(labels) for _, labels in train] == [16, 16, 16]  # an incomplete last batch is left out, as by ours
    assert [len(labels) for _, labels in val] == [16, 14]
    assert torch.equal(torch.cat([labels for _, labels in val]), tiny_data.val.labels)
    images = torch.cat([images for images, _ in val])
    expected = (tiny_data.val.images.double() / 255 - tiny_data.mean[0]) / tiny_data.std[0]
    torch.testing.assert_close(images.double(), expected, rtol=1e-6, atol=1e-6)


def test_two_loading_processes_change_nothing(tiny_data):
    task = SMALL.but(widths=(4,), epochs=1, batch_size=15, pad=0)
    found = textbook_training.evaluate(tiny_data, FUNCTIONS["sign(x)"], task, 0, workers=2)
    assert found.steps == 4
    assert len(found.history) == 1
