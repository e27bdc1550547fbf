"""Training: paired, repeatable, stopped and gone on with, and a candidate that fails says why."""

import dataclasses
import json
import math
import pickle
import subprocess
import sys
import threading

import pytest
import torch
from torch import nn
from torch.nn import functional

from gaaf_gp.archive import task_hash
from gaaf_gp.binary import NETWORKS, Surrogate, binary_layers
from gaaf_gp.binary.tables import TableActivation
from gaaf_gp.data.load import Data, Split
from gaaf_gp.errors import GaafError
from gaaf_gp.parallel.executors import Workers
from gaaf_gp.training import proxy as proxy_module
from gaaf_gp.training.outcome import WORST_ACCURACY
from gaaf_gp.training.proxy import DEFAULT_EPOCHS, Proxy
from gaaf_gp.training.stacked import train_stacked
from gaaf_gp.trees.compile import Activation
from gaaf_gp.trees.parser import parse
from gaaf_gp.trees.pset import PrimitiveSet
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


def lurking(x):
    return _Poison.apply(x) if len(x) == BATCH else x * 1


def centred(x):
    return x - x.mean() if x.numel() > 100 else x * 1  # unseen when it is tried out


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
    pset.addPrimitive(lurking, [Feature], Feature)
    pset.addPrimitive(centred, [Feature], Feature)
    pset.addPrimitive(torch.log, [Feature], Feature, nonfinite=("value", "gradient"))
    pset.addPrimitive(torch.square, [Feature], Feature)
    pset.addPrimitive(hungry, [Feature], Feature)
    pset.addPrimitive(broken, [Feature], Feature)
    pset.addPrimitive(picky, [Feature], Feature)
    return pset.check()


def test_the_plain_sign_learns(tiny_data, tiny_settings):
    outcome = Proxy(tiny_data, **{**tiny_settings, "epochs": 12}).train(None, 0)
    assert outcome.failure is None
    assert outcome.accuracy > 0.8, "three classes: chance is a third"
    assert len(outcome.history) == 12
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


def test_a_training_does_without_sympy():
    """Loading it takes half a second of every process that trains."""
    code = (
        "import sys\n"
        "from gaaf_gp import Proxy, load_data, parse\n"
        "from primitives import gaaf\n"
        "proxy = Proxy(load_data('fashion10k', limit=100), epochs=1, batch_size=40)\n"
        "outcome = proxy.train(parse('max(sin(x), x)', gaaf.free()), 0)\n"
        "assert outcome.failure is None, outcome\n"
        "assert 'sympy' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_global_random_numbers_and_threads_are_left_alone(tiny_proxy):
    torch.manual_seed(5)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    tiny_proxy.train(None, 0)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(
    ("tree", "reason"),
    [
        ("poison(x)", "gradient not finite"),
        ("lurking(x)", "non-finite loss in epoch 1"),
        ("log(x)", "not a number"),
        ("square(x)", "constant sign"),
        ("hungry(x)", "out of memory"),
        ("broken(x)", "RuntimeError: no such kernel"),
        ("picky(x)", "IndexError: only whole dozens"),
    ],
)
def test_a_failure_is_a_worst_accuracy_with_its_reason(tiny_data, tiny_settings, bad, tree, reason):
    tiny_proxy = Proxy(tiny_data, **tiny_settings, tables=False)  # some look at the size of the batch
    outcome = tiny_proxy.train(parse(tree, bad), 0)
    assert outcome.failure == reason
    assert outcome.accuracy == WORST_ACCURACY
    assert outcome.state is None
    assert tiny_proxy.train(None, 0).failure is None, "the next candidate must not suffer"


def _weights(proxy, tree, seed, state):
    """The parameters and buffers that a training has after one more epoch than ``state``."""
    images, labels = zip(*proxy.batches.epoch(_generator(state)), strict=True)
    training = proxy.training(tree, seed)
    training.restore(state)
    for batch in zip(images, labels, strict=True):
        training.step(*batch)
    return training.model.state_dict()


def _generator(state):
    generator = torch.Generator()
    generator.set_state(torch.from_numpy(state.generator))
    return generator


TREES = [None, "sin(x)", "neg(add(sin(scale(x)), const(0.1)))"]


@pytest.mark.parametrize("text", TREES)
def test_one_and_one_and_two_epochs_are_four(tiny_proxy, free, text):
    tree = None if text is None else parse(text, free)
    whole = tiny_proxy.train(tree, 3)
    first = tiny_proxy.train(tree, 3, epochs=1)
    second = tiny_proxy.train(tree, 3, epochs=2, state=pickle.loads(pickle.dumps(first.state)))
    rest = tiny_proxy.train(tree, 3, state=second.state)
    assert [outcome.epochs for outcome in (first, second, rest, whole)] == [1, 2, 4, 4]
    assert rest.history == whole.history
    assert (first.history, second.history) == (whole.history[:1], whole.history[:2])
    assert first.accuracy == first.history[-1].accuracy
    assert rest.state is whole.state is None
    # The same batches from a state after three epochs and from one that stopped at each of them.
    third, stepwise = tiny_proxy.train(tree, 3, epochs=3), tiny_proxy.train(tree, 3, epochs=3, state=second.state)
    last = [_weights(tiny_proxy, tree, 3, outcome.state) for outcome in (third, stepwise)]
    assert all(torch.equal(value, last[1][name]) for name, value in last[0].items())
    assert rest.seconds > second.seconds > first.seconds


class _Twice:
    def __call__(self, logits, images, labels):
        return 2 * functional.cross_entropy(logits, labels)

    def settings(self):
        return {"times": 2}


def _train(proxies, name, tree, epochs, state):
    return proxies[name].train(tree, 1, epochs=epochs, state=state)


@pytest.fixture(scope="module")
def other_process(tiny_data, tiny_settings):
    """The function that trains in a worker process, with the usual loss or twice that."""
    proxies = {
        name: Proxy(tiny_data, **tiny_settings, loss=loss) for name, loss in (("plain", None), ("twice", _Twice()))
    }
    with Workers(proxies, 2) as workers:

        def train(name, tree, epochs=None, state=None):
            ((_, outcome),) = workers.run(_train, [(name, tree, epochs, state)])
            return outcome

        yield train


def test_a_training_goes_on_in_another_process(tiny_proxy, free, other_process):
    tree = parse("add(sin(scale(x)), const(0.1))", free)
    here = tiny_proxy.train(tree, 1, epochs=1)
    there = other_process("plain", tree, 2, here.state)
    rest = other_process("plain", tree, None, tiny_proxy.train(tree, 1, epochs=3).state)
    assert rest.history == tiny_proxy.train(tree, 1).history
    assert tiny_proxy.train(tree, 1, state=there.state).history == rest.history


def test_only_the_whole_schedule_says_that_one_class_is_too_few(tiny_data, tiny_settings):
    same = Split(tiny_data.val.images[:1].repeat(9, 1, 1, 1), tiny_data.val.labels[:9])
    proxy = Proxy(tiny_data, **tiny_settings)
    early = proxy.train(None, 0, same, epochs=3)
    assert early.failure is None
    assert early.state is not None
    assert proxy.train(None, 0, same, state=early.state).failure.startswith("constant output")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "epochs must be a whole number from 2 to 4, got 0"),
        ({"epochs": 1}, "epochs must be a whole number from 2 to 4, got 1"),
        ({"epochs": 5}, "epochs must be a whole number from 2 to 4, got 5"),
        ({"epochs": True}, "epochs must be a whole number"),
        ({"seed": 1}, "goes on with the candidate and the seed that it began with, got None and 1 for TrainingState"),
    ],
)
def test_a_state_goes_on_with_its_own_training_only(tiny_proxy, change, message):
    state = tiny_proxy.train(None, 0, epochs=1).state
    with pytest.raises(GaafError, match=message):
        tiny_proxy.train(None, **{"seed": 0, "state": state, **change})


def test_a_state_is_small(tiny_proxy):
    outcome = tiny_proxy.train(None, 0, epochs=1)
    numbers = sum(parameter.numel() for parameter in tiny_proxy.training(None, 0).model.parameters())
    assert len(pickle.dumps(outcome)) < 12 * numbers + 20_000
    assert "state" not in repr(outcome)
    assert outcome == dataclasses.replace(outcome, state=None)


@pytest.mark.parametrize("pad_value", [0.0, 1.0])
@pytest.mark.parametrize("text", ["sin(x)", "sub(cos(x), const(0.3))", "add(sin(scale(x)), x)"])
def test_f_and_minus_f_train_bit_for_bit_alike_with_zero_padding(tiny_data, tiny_settings, free, text, pad_value):
    settings = {**tiny_settings, "network_settings": {"widths": (4, 8), "pad_value": pad_value}}
    proxy = Proxy(tiny_data, **settings)
    first, second = (proxy.train(parse(tree, free), 2) for tree in (text, f"neg({text})"))
    assert (first.history == second.history) == (pad_value == 0)
    signatures = {proxy.behaviour(parse(tree, free)).signature for tree in (text, f"neg({text})")}
    assert len(signatures) == (1 if pad_value == 0 else 2)


def test_the_latent_weights_of_a_negated_function_start_negated(tiny_proxy, free):
    plain, negated = (tiny_proxy.training(parse(text, free), 5).model for text in ("sin(x)", "neg(sin(x))"))
    for one, other in zip(binary_layers(plain), binary_layers(negated), strict=True):
        assert torch.equal(one.weight, -other.weight)
    assert torch.equal(plain.classifier.weight, negated.classifier.weight)


@pytest.mark.parametrize(
    ("text", "tables", "kind"),
    [
        (None, True, TableActivation),
        ("sin(x)", True, TableActivation),
        ("scale(x)", True, Activation),
        ("sin(x)", False, Activation),
        (None, False, type(None)),
    ],
)
def test_functions_without_learnable_operators_are_looked_up(tiny_data, tiny_settings, free, text, tables, kind):
    proxy = Proxy(tiny_data, **tiny_settings, tables=tables)
    model = proxy.training(None if text is None else parse(text, free), 0).model
    assert {type(layer.activation) for layer in binary_layers(model)} == {kind}


def test_a_primitive_that_looks_at_other_values_is_not_looked_up(tiny_proxy, bad):
    model = tiny_proxy.training(parse("centred(x)", bad), 0).model
    assert {type(layer.activation) for layer in binary_layers(model)} == {Activation}


def test_tables_share_their_memory(tiny_proxy, free):
    layers = list(binary_layers(tiny_proxy.training(parse("sin(x)", free), 0).model))
    assert len({layer.activation.slope.data_ptr() for layer in layers}) == 1
    assert len(layers) > 1


@pytest.mark.parametrize(
    ("settings", "surrogate"),
    [
        ({}, Surrogate("clipped", 1.3)),
        ({"window": 1.0}, Surrogate("clipped", 1.0)),
        ({"surrogate": "triangle", "window": 2.0}, Surrogate("triangle", 2.0)),
        ({"surrogate": "swish", "sharpness": 3.0}, Surrogate("swish", 1.3, 3.0)),
    ],
)
def test_the_surrogate_is_that_of_the_layers(tiny_data, tiny_settings, settings, surrogate):
    proxy = Proxy(tiny_data, **{**tiny_settings, "network_settings": {"widths": (4, 8), **settings}})
    assert proxy.surrogate == surrogate
    assert {layer.surrogate for layer in binary_layers(proxy.training(None, 0).model)} == {surrogate}


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
    tiny_proxy.train(None, 0)
    assert json.loads(json.dumps(tiny_proxy.settings())) == settings, "what is kept for speed is no setting"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "epochs must be a whole number of at least 1, got 0"),
        ({"threads": True}, "threads must be a whole number"),
        ({"learning_rate": math.nan}, "learning_rate must be a finite number above 0"),
        ({"seconds": 0}, "time budget in seconds must be a number above 0"),
        ({"batch_size": 61}, "at most the 60 training images, got 61"),
        ({"network": "lenet"}, "known: small, resnet18"),
        ({"precision": "float16"}, "precision float16 is for a GPU, and the data is on cpu; choose float32"),
        ({"precision": "int8"}, "precision must be one of float32, bfloat16, float16, got 'int8'"),
        ({"network_settings": {"depth": 3}}, "no setting depth"),
        ({"network_settings": {"window": -1.0}}, "window must be a number above 0"),
    ],
)
def test_bad_settings_are_refused(tiny_data, tiny_settings, change, message):
    with pytest.raises(GaafError, match=message):
        Proxy(tiny_data, **{**tiny_settings, **change})


@pytest.mark.parametrize("kernels", ["auto", "torch"])
def test_bfloat16_trains_stops_and_goes_on(tiny_data, tiny_settings, free, kernels):
    proxy = Proxy(tiny_data, **tiny_settings, precision="bfloat16", kernels=kernels)
    tree = parse("add(sin(scale(x)), const(0.1))", free)
    whole, plain = proxy.train(tree, 3), Proxy(tiny_data, **tiny_settings, kernels=kernels).train(tree, 3)
    assert whole.failure is None
    assert whole.history[0].loss == pytest.approx(plain.history[0].loss, rel=0.2)
    assert whole.history[0].loss != plain.history[0].loss, "real layers are rounded"
    assert proxy.train(tree, 3, state=proxy.train(tree, 3, epochs=2).state).history == whole.history
    assert json.loads(json.dumps(proxy.settings()))["precision"] == "bfloat16"
    assert not proxy.stackable
    (stacked,) = train_stacked(proxy, [tree], 3)
    assert stacked.history == whole.history


def test_the_papers_network_trains(tiny_data, free):
    images = functional.interpolate(tiny_data.train.images.float(), 16).to(torch.uint8)
    split = Split(images[:32], tiny_data.train.labels[:32])
    data = Data("tiny", split, split, tiny_data.classes, (0.4,), (0.3,), 0, 0.5)
    proxy = Proxy(data, "resnet18", {"widths": (8, 8, 8, 8)}, epochs=1, batch_size=16)
    outcome = proxy.train(parse("add(sin(x), x)", free), 0)
    assert outcome.failure is None or outcome.failure.startswith("constant output")
    assert math.isfinite(outcome.history[0].loss)


def test_a_finished_training_has_a_state_when_it_is_wanted(tiny_proxy, free):
    tree = parse("add(sin(scale(x)), const(0.1))", free)
    outcome = tiny_proxy.train(tree, 3, keep=True)
    assert outcome == dataclasses.replace(tiny_proxy.train(tree, 3), seconds=outcome.seconds)
    assert outcome.state.epochs == tiny_proxy.epochs
    assert tiny_proxy.score(tree, outcome.state, tiny_proxy.data.val) == outcome.accuracy


def test_a_training_starts_from_given_weights(tiny_proxy, free):
    tree = parse("neg(sin(x))", free)
    first = tiny_proxy.train(tree, 3, keep=True).state
    onwards = tiny_proxy.train(tree, 4, initial=first.model)
    training = tiny_proxy._begun(tree, 4, None, first.model)
    assert all(torch.equal(value, torch.from_numpy(first.model[n])) for n, value in training.model.state_dict().items())
    assert training.steps == 0
    assert training.optimizer.moments() == {}
    assert onwards.history[0].loss < tiny_proxy.train(tree, 4).history[0].loss, "it need not begin anew"
    assert onwards.history == tiny_proxy.train(tree, 4, initial=first.model).history


def test_weights_of_another_network_are_a_failure(tiny_proxy):
    assert tiny_proxy.train(None, 0, initial={}).failure.startswith("RuntimeError: Error(s) in loading state_dict")


def test_real_weights_are_another_task(tiny_data, tiny_settings, free):
    real, binary = (Proxy(tiny_data, **tiny_settings, real_weights=real) for real in (True, False))
    assert {layer.real_weights for layer in binary_layers(real.training(None, 0).model)} == {True}
    first, second = real.train(None, 0), binary.train(None, 0)
    assert first.failure is None
    assert first.accuracy > 0.5
    assert first.history != second.history
    assert not real.stackable
    assert (real.settings()["real_weights"], binary.settings()["real_weights"]) == (True, False)


def test_another_loss_is_part_of_the_task(tiny_data, tiny_settings, other_process):
    plain, other = Proxy(tiny_data, **tiny_settings), Proxy(tiny_data, **tiny_settings, loss=_Twice())
    assert (plain.settings()["loss"], other.settings()["loss"]) == ("cross-entropy", {"times": 2})
    json.dumps(other.settings())
    assert not other.stackable
    there = other_process("twice", None)
    assert there.history == other.train(None, 1).history
    assert there.history[0].loss > 1.5 * plain.train(None, 1).history[0].loss


def test_another_loss_with_the_cross_entropy_s_value_changes_nothing(tiny_data, tiny_settings):
    class Same(_Twice):
        def __call__(self, logits, images, labels):
            return functional.cross_entropy(logits, labels)

    other = Proxy(tiny_data, **tiny_settings, loss=Same())
    assert other.train(None, 0).history == Proxy(tiny_data, **tiny_settings).train(None, 0).history


def test_making_a_task_waits_until_weights_are_drawn(tiny_data, tiny_settings):
    """In threads of one process tasks are made for other devices while weights are drawn from torch's generator."""
    proxy = Proxy(tiny_data, **tiny_settings)
    making = threading.Thread(target=proxy.on, args=("cpu",))
    with proxy_module._DRAWING:
        before = torch.random.get_rng_state()
        making.start()
        making.join(0.5)
        assert making.is_alive()
        assert torch.equal(torch.random.get_rng_state(), before)
    making.join(30)
    assert not making.is_alive()


@pytest.mark.parametrize(
    "change",
    [
        {"pad": 1}, {"pad": 2}, {"flip": False}, {"epochs": 3}, {"batch_size": 20}, {"learning_rate": 0.02},
        {"network_settings": {"widths": (4, 4)}}, {"seconds": 60.0}, {"seconds": 61.0}, {"memory": 1.0},
        {"memory": 2.0}, {"threads": 2}, {"tables": False}, {"real_weights": True},
        {"precision": "bfloat16"}, {"loss": "own"}, {"data": "other"},
    ],
)  # fmt: skip
def test_each_setting_that_decides_makes_another_task(tiny_data, tiny_settings, change):
    named = {"loss": {"own": _Twice()}, "data": {"other": dataclasses.replace(tiny_data, split_seed=7)}}
    values = {name: named.get(name, {}).get(value, value) if name in named else value for name, value in change.items()}
    usual, other = (
        Proxy(**{"data": tiny_data, "kernels": "torch"} | tiny_settings | chosen).settings() for chosen in ({}, values)
    )
    assert task_hash(usual) != task_hash(other)
    (name,) = change
    assert {key for key in usual.keys() | other.keys() if usual.get(key) != other.get(key)} == {name}
    if name not in named:
        assert other[name] == change[name]


def test_settings_have_a_name_for_each_field_and_no_budget_that_is_not_set(tiny_data):
    usual = Proxy(tiny_data, batch_size=15, kernels="torch").settings()
    assert usual == {
        "network": "small", "network_settings": {}, "epochs": DEFAULT_EPOCHS, "batch_size": 15, "learning_rate": 5e-3,
        "pad": 2, "flip": True, "seconds": None, "threads": 1, "tables": True, "kernels": "torch",
        "precision": "float32",
        "real_weights": False, "loss": "cross-entropy", "data": tiny_data.settings(),
    }  # fmt: skip
    with pytest.raises(GaafError, match="time budget"):
        Proxy(tiny_data, batch_size=15, seconds=-1)
    with pytest.raises(GaafError, match="memory budget"):
        Proxy(tiny_data, batch_size=15, memory=0)
    assert Proxy(tiny_data, batch_size=60, kernels="auto").kernels == proxy_module.best_kernels()


def test_many_are_trained_at_once_only_where_nothing_is_unusual(tiny_data, tiny_settings):
    usual = {"data": tiny_data, "kernels": "torch", **tiny_settings}
    assert Proxy(**usual).stackable
    for change in ({"memory": 1.0}, {"tables": False}, {"real_weights": True}, {"loss": _Twice()},
                   {"precision": "bfloat16"}):  # fmt: skip
        assert not Proxy(**usual | change).stackable, change
    proxy = Proxy(**usual | {"seconds": 60.0, "threads": 2})
    assert proxy.stackable
    proxy.kernels = "fixed"
    assert not proxy.stackable
    assert proxy.settings()["kernels"] == "fixed"


def _initial(proxy, tree, seed):
    return {name: value.clone() for name, value in proxy.training(tree, seed).model.state_dict().items()}


def test_the_seed_decides_the_initial_weights_and_nothing_else_does(tiny_proxy, free):
    torch.manual_seed(5)
    first = _initial(tiny_proxy, None, 0)
    torch.manual_seed(6)
    again, other = _initial(tiny_proxy, None, 0), _initial(tiny_proxy, None, 1)
    tree = _initial(tiny_proxy, parse("sin(x)", free), 0)
    weights = [name for name, value in first.items() if value.dim() > 1]
    assert len(weights) >= 3
    for name in weights:
        assert torch.equal(first[name], again[name])
        assert not torch.equal(first[name], other[name])
        assert torch.equal(first[name], tree[name]), "candidates are paired by seed"


def test_every_training_of_a_seed_that_can_succeed_succeeds(tiny_proxy, free):
    for seed in range(3):
        outcome = tiny_proxy.train(parse("sin(x)", free), seed)
        assert outcome.failure is None
        assert outcome.seed == seed
        assert len(outcome.history) == 4
        assert outcome.accuracy == outcome.history[-1].accuracy > 1 / 3, "above guessing one of three"
        assert outcome.seconds > 0


def test_the_accuracy_of_a_state_is_that_of_its_training(tiny_proxy, free, tiny_data):
    tree = parse("sin(x)", free)
    outcome = tiny_proxy.train(tree, 1, keep=True)
    assert tiny_proxy.score(tree, outcome.state, tiny_data.val) == outcome.accuracy
    turned = Split(tiny_data.val.images, (tiny_data.val.labels + 1) % 3)
    assert tiny_proxy.score(tree, outcome.state, turned) + outcome.accuracy <= 1, "an image has one class"
    assert tiny_proxy.scored(None) is tiny_data.val
    assert tiny_proxy.scored(turned) is turned


def test_an_epoch_is_asked_for_within_the_schedule_and_ahead_of_a_state(tiny_proxy):
    state = tiny_proxy.train(None, 0, epochs=2).state
    assert tiny_proxy.last_epoch(None, 0, None, None) == 4
    assert tiny_proxy.last_epoch(None, 0, 1, None) == 1
    assert tiny_proxy.last_epoch(None, 0, 3, state) == 3
    assert tiny_proxy.last_epoch(None, 0, 4, state) == 4
    for epochs, before in ((0, None), (5, None), (2, state), (5, state)):
        with pytest.raises(GaafError, match="epochs must be a whole number"):
            tiny_proxy.last_epoch(None, 0, epochs, before)


class Deaf(nn.Module):
    """A network that takes no activation."""

    def __init__(self, classes: int, channels: int, activation: object) -> None:
        super().__init__()
        self.layer = nn.Linear(64, classes)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda c, i, activation=None: Deaf(c, i, activation), "which its builder never called"),
        (lambda c, i, activation=None: 1 / 0, "its builder ended with ZeroDivisionError"),
        (lambda c, i, activation=None: activation(4) and None, "must return a torch module, got None"),
        (lambda c, i, activation=None: Deaf(c, i, activation(4)), "none of 1 is among its modules"),
    ],
)
def test_a_network_of_ones_own_that_cannot_serve_is_refused(tiny_data, monkeypatch, build, message):
    monkeypatch.setitem(NETWORKS, "mine", build)
    with pytest.raises(GaafError, match=message):
        Proxy(tiny_data, network="mine", batch_size=15)


def test_making_a_task_leaves_the_generator_as_it_was(tiny_data, tiny_settings):
    before = torch.get_rng_state()
    Proxy(tiny_data, **tiny_settings)
    assert torch.equal(before, torch.get_rng_state())
