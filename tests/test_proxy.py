"""Training: paired, repeatable, and a candidate that fails says why."""

import json
import math

import pytest
import torch
from torch.nn import functional

from gaaf_gp.data import Data, Split
from gaaf_gp.errors import GaafError
from gaaf_gp.parser import parse
from gaaf_gp.proxy import WORST_ACCURACY, Proxy
from gaaf_gp.pset import PrimitiveSet
from gaaf_gp.types import Feature

BATCH = 15


class _Poison(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient * math.nan


def poison(x):
    return _Poison.apply(x)


def hungry(x):
    return x + torch.empty(2**60) if len(x) == BATCH else x * 1


def broken(x):
    if len(x) == BATCH:
        raise RuntimeError("no such kernel\nand a long trace")
    return x * 1


def picky(x):
    if len(x) == BATCH:
        raise IndexError("only whole dozens")
    return x * 1


@pytest.fixture(scope="module")
def bad():
    pset = PrimitiveSet("bad")
    pset.addPrimitive(poison, [Feature], Feature, nonfinite=("gradient",))
    pset.addPrimitive(torch.log, [Feature], Feature, nonfinite=("value", "gradient"))
    pset.addPrimitive(torch.square, [Feature], Feature)
    pset.addPrimitive(hungry, [Feature], Feature)
    pset.addPrimitive(broken, [Feature], Feature)
    pset.addPrimitive(picky, [Feature], Feature)
    return pset.check()


def test_the_plain_sign_learns(tiny_proxy):
    outcome = tiny_proxy.train(None, 0)
    assert outcome.failure is None
    assert outcome.accuracy > 0.5, "three classes: chance is a third"
    assert len(outcome.history) == tiny_proxy.epochs
    assert outcome.accuracy == outcome.history[-1].accuracy
    assert outcome.history[-1].loss < outcome.history[0].loss
    assert outcome.seconds > 0


def test_one_seed_gives_one_result(tiny_proxy, free):
    tree = parse("add(scale(sin(x)), const(0.1))", free)
    first, again, other = (tiny_proxy.train(tree, seed) for seed in (3, 3, 4))
    assert first.history == again.history
    assert first.history != other.history
    assert (first.seed, other.seed) == (3, 4)


def test_the_identity_is_the_plain_sign(tiny_proxy, free):
    assert tiny_proxy.train(parse("x", free), 1).history == tiny_proxy.train(None, 1).history


def test_candidates_start_alike_and_see_the_same_batches(tiny_proxy, free, monkeypatch):
    seen = []
    real = functional.cross_entropy

    def spy(logits, labels):
        seen.append(labels.tolist())
        return real(logits, labels)

    monkeypatch.setattr(functional, "cross_entropy", spy)
    batches = []
    for tree, seed in ((None, 0), ("mix(sin(x), x)", 0), (None, 1)):
        seen.clear()
        tiny_proxy.train(None if tree is None else parse(tree, free), seed)
        batches.append(list(seen))
    assert len(batches[0]) == tiny_proxy.epochs * (60 // BATCH)
    assert batches[0] == batches[1]
    assert batches[0] != batches[2]


def test_global_random_numbers_and_threads_are_left_alone(tiny_proxy):
    torch.manual_seed(5)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    tiny_proxy.train(None, 0)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(
    ("tree", "reason"),
    [
        ("poison(x)", "non-finite loss in epoch 1"),
        ("log(x)", "not a number"),
        ("square(x)", "constant sign"),
        ("hungry(x)", "out of memory"),
        ("broken(x)", "RuntimeError: no such kernel"),
        ("picky(x)", "IndexError: only whole dozens"),
    ],
)
def test_a_failure_is_a_worst_accuracy_with_its_reason(tiny_proxy, bad, tree, reason):
    outcome = tiny_proxy.train(parse(tree, bad), 0)
    assert outcome.failure == reason
    assert outcome.accuracy == WORST_ACCURACY
    assert tiny_proxy.train(None, 0).failure is None, "the next candidate must not suffer"


def test_an_exhausted_time_budget_fails(tiny_data, tiny_settings):
    outcome = Proxy(tiny_data, **tiny_settings, seconds=1e-9).train(None, 0)
    assert outcome.failure == "time budget of 1e-09 s exhausted in epoch 1"
    assert outcome.accuracy == WORST_ACCURACY


def test_one_class_for_every_image_is_a_failure(tiny_data, tiny_settings):
    same = Split(tiny_data.val.images[:1].repeat(9, 1, 1, 1), tiny_data.val.labels[:9])
    outcome = Proxy(tiny_data, **tiny_settings).train(None, 0, same)
    assert outcome.failure is not None
    assert outcome.failure.startswith("constant output: every image is called")


def test_infinite_logits_are_a_failure(tiny_proxy, monkeypatch):
    build = tiny_proxy._build

    def explosive(individual):
        model = build(individual)
        model.classifier.register_forward_hook(lambda module, args, out: out if module.training else out / 0)
        return model

    monkeypatch.setattr(tiny_proxy, "_build", explosive)
    assert tiny_proxy.train(None, 0).failure == "non-finite output"


def test_another_split_can_be_scored(tiny_proxy, tiny_data):
    easy = Split(tiny_data.train.images, tiny_data.train.labels)
    assert tiny_proxy.train(None, 0, easy).history != tiny_proxy.train(None, 0).history
    assert tiny_proxy.train(None, 0, tiny_data.val).history == tiny_proxy.train(None, 0).history


def test_settings_say_all_that_matters_in_json(tiny_proxy):
    settings = json.loads(json.dumps(tiny_proxy.settings()))
    assert settings["epochs"] == 4
    assert settings["network_settings"] == {"widths": [4, 8]}
    assert settings["data"]["name"] == "tiny"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "epochs must be a whole number of at least 1, got 0"),
        ({"threads": True}, "threads must be a whole number"),
        ({"learning_rate": math.nan}, "learning_rate must be a positive number"),
        ({"seconds": 0}, "time budget in seconds must be positive"),
        ({"batch_size": 61}, "at most the 60 training images, got 61"),
        ({"network": "lenet"}, "known: small, resnet18"),
        ({"network_settings": {"depth": 3}}, "no setting depth"),
    ],
)
def test_bad_settings_are_refused(tiny_data, tiny_settings, change, message):
    with pytest.raises(GaafError, match=message):
        Proxy(tiny_data, **{**tiny_settings, **change})


def test_the_papers_network_trains(tiny_data, free):
    images = functional.interpolate(tiny_data.train.images.float(), 16).to(torch.uint8)
    split = Split(images[:32], tiny_data.train.labels[:32])
    data = Data("tiny", split, split, tiny_data.classes, (0.4,), (0.3,), 0, 0.5)
    proxy = Proxy(data, "resnet18", {"widths": (4, 8, 8, 8)}, epochs=1, batch_size=16)
    outcome = proxy.train(parse("add(sin(x), x)", free), 0)
    assert outcome.failure is None or outcome.failure.startswith("constant output")
    assert math.isfinite(outcome.history[0].loss)
