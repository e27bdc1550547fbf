"""The loss with a teacher against its formula in float64, and torchvision's networks made to fit small images."""

import pickle

import numpy as np
import pytest
import torch
from torch import nn

from gaaf_gp.errors import GaafError
from gaaf_gp.training.proxy import Proxy
from gaaf_gp.training.retraining.distillation import Distillation, Distilled, Teaching, real_network

CLASSES, BATCH = 3, 5


class Fixed:
    """Stands for the training task of a teacher: a linear network with given weights."""

    network = "linear"

    def teacher(self, weights):
        model = nn.Sequential(nn.Flatten(), nn.Linear(4, CLASSES))
        model.load_state_dict({f"1.{name}": torch.from_numpy(value) for name, value in weights.items()})
        return model.requires_grad_(False).eval()


@pytest.fixture
def weights():
    rng = np.random.default_rng(1)
    return {
        "weight": rng.normal(size=(CLASSES, 4)).astype(np.float32),
        "bias": rng.normal(size=CLASSES).astype(np.float32),
    }


def batch():
    rng = np.random.default_rng(2)
    images = torch.from_numpy(rng.normal(size=(BATCH, 1, 2, 2)).astype(np.float32))
    return torch.from_numpy(3 * rng.normal(size=(BATCH, CLASSES)).astype(np.float32)), images, torch.arange(BATCH) % 3


def softmax(values):
    powers = np.exp(values - values.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


@pytest.mark.parametrize(("weight", "temperature"), [(0.9, 4.0), (1.0, 1.0), (0.25, 0.5)])
def test_the_loss_and_its_gradient_are_those_of_the_formula(weights, weight, temperature):
    logits, images, labels = batch()
    loss = Distilled(Distillation("linear", 1, weight, temperature), Fixed(), weights)
    logits.requires_grad_()
    value = loss(logits, images, labels)
    value.backward()
    value = value.detach()
    student = logits.detach().double().numpy()
    taught = images.double().numpy().reshape(BATCH, 4) @ weights["weight"].T.astype(float) + weights["bias"]
    p, q = softmax(taught / temperature), softmax(student / temperature)
    own, truth = softmax(student), np.eye(CLASSES)[labels.numpy()]
    entropy = -np.log(own[np.arange(BATCH), labels.numpy()]).mean()
    divergence = (p * (np.log(p) - np.log(q))).sum(1).mean()
    assert float(value) == pytest.approx((1 - weight) * entropy + weight * temperature**2 * divergence, rel=1e-5)
    gradient = ((1 - weight) * (own - truth) + weight * temperature * (q - p)) / BATCH
    np.testing.assert_allclose(logits.grad.numpy(), gradient, rtol=1e-4, atol=1e-6)


def test_a_copy_in_another_process_gives_the_same_loss(weights):
    loss = Distilled(Distillation("linear"), Fixed(), weights)
    before = loss(*batch())
    content = pickle.dumps(loss)
    assert len(content) < 2000, "the network itself is not sent"
    assert torch.equal(pickle.loads(content)(*batch()), before)


def test_its_settings_tell_teachers_apart(weights):
    one, other = ({**weights, "bias": weights["bias"] + shift} for shift in (0, 1))
    first, second = (Distilled(Distillation("linear"), Fixed(), kept).settings() for kept in (one, other))
    assert (first["teacher"], first["weight"], first["temperature"]) == ("linear", 0.9, 4.0)
    assert first["sha256"] != second["sha256"]
    assert {**first, "sha256": 0} == {**second, "sha256": 0}


def test_the_teacher_does_not_change_and_a_training_with_it_is_another(tiny_data, tiny_settings):
    task = Teaching(tiny_data, "resnet18", batch_size=15)
    weights = {name: value.numpy().copy() for name, value in task.training(None, 0).model.state_dict().items()}
    kept = {name: value.copy() for name, value in weights.items()}
    loss = Distilled(Distillation("resnet18"), task, weights)
    taught = Proxy(tiny_data, **{**tiny_settings, "epochs": 1}, loss=loss)
    before = torch.get_rng_state()
    first, again = taught.train(None, 0), taught.train(None, 0)
    assert torch.equal(before, torch.get_rng_state())
    assert first.failure is None
    assert first.history == again.history
    assert first.history != Proxy(tiny_data, **{**tiny_settings, "epochs": 1}).train(None, 0).history
    (model,) = loss._teachers.values()
    for name, value in model.state_dict().items():
        assert np.array_equal(value.numpy(), kept[name]), name
    assert not model.training


@pytest.mark.parametrize(("side", "taps", "stride", "pool"), [(32, 3, 1, nn.Identity), (64, 7, 2, nn.MaxPool2d)])
def test_a_resnet_keeps_small_images_large(side, taps, stride, pool):
    model = real_network("resnet18", 10, 1, side)
    assert (model.conv1.kernel_size, model.conv1.stride) == ((taps, taps), (stride, stride))
    assert model.conv1.in_channels == 1
    assert type(model.maxpool) is pool
    seen = []
    model.layer1.register_forward_hook(lambda module, inputs, output: seen.append(output.shape))
    assert model.eval()(torch.zeros(1, 1, side, side)).shape == (1, 10)
    assert seen == [(1, 64, side if side < 64 else side // 4, side if side < 64 else side // 4)]


def test_at_full_size_it_is_torchvisions_own():
    from gaaf_gp.data.torchvision_compat import import_torchvision

    torch.manual_seed(0)
    ours = real_network("resnet18", 7, 3, 224)
    torch.manual_seed(0)
    theirs = import_torchvision().models.resnet18(num_classes=7)
    assert all(torch.equal(value, ours.state_dict()[name]) for name, value in theirs.state_dict().items())


def test_chance_is_off_so_that_a_training_can_go_on():
    model = real_network("mobilenet_v3_small", 4, 1, 32).train()
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.momentum = 0.0
    images = torch.randn(4, 1, 32, 32)
    assert torch.equal(model(images), model(images))
    assert model.features[0][0].stride == (1, 1)


@pytest.mark.parametrize(
    ("name", "side", "message"),
    [
        ("resnet19", 32, r"classification model of torchvision .*got 'resnet19'; known: resnet101, .* more of"),
        ("googlenet", 64, "teacher googlenet must take images"),
        (
            "squeezenet1_1",
            2,
            r"teacher squeezenet1_1 must take images \(B,3,2,2\) and return 5 logits each, but it raised",
        ),
    ],
)
def test_a_network_that_does_not_fit_is_refused(name, side, message):
    with pytest.raises(GaafError, match=message):
        real_network(name, 5, 3, side)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"weight": 0.0}, "weight in the loss must be above 0 and at most 1, got 0.0"),
        ({"weight": 1.5}, "weight in the loss must be above 0 and at most 1, got 1.5"),
        ({"temperature": 0.0}, "temperature must be a finite number above 0, got 0.0"),
        ({"temperature": float("nan")}, "temperature must be a finite number above 0, got nan"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(GaafError, match=message):
        Distillation("resnet18", **settings)


def test_weights_of_other_classes_are_refused(tiny_data):
    other = real_network("resnet18", 4, 1, 8).state_dict()
    task = Teaching(tiny_data, "resnet18", batch_size=15)
    with pytest.raises(GaafError, match="must be those of resnet18 for 3 classes and 1 channels, and are not"):
        task.teacher({name: value.numpy() for name, value in other.items()})


def test_a_teacher_learns_by_its_seed(tiny_data):
    task = Teaching(tiny_data, "resnet18", batch_size=20, pad=1, epochs=3, learning_rate=1e-3)
    outcome = task.train(None, 1, epochs=1)
    rest = task.train(None, 1, epochs=2, state=outcome.state)
    assert rest.history == task.train(None, 1, epochs=2).history
    assert rest.history[1].loss < rest.history[0].loss
    assert task.settings()["network"] == "resnet18"
