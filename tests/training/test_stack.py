"""A stack of trainings, step by step against the single ones: in float64 to the end, in float32 as far as it may be."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from gaaf_gp.activations.factory import activation_factory
from gaaf_gp.binary import SignTables, TableActivation, binary_layers, tabulate
from gaaf_gp.data.load import Data, Split
from gaaf_gp.training.outcome import Epoch
from gaaf_gp.training.proxy import Proxy
from gaaf_gp.training.stacked import Stack
from gaaf_gp.training.step import LATENT_LIMIT
from gaaf_gp.trees.parser import parse


def activation(proxy, tree):
    device = proxy.data.train.images.device
    return activation_factory(tree, proxy.surrogate, tables=True, device=device)(1)


def stacked(proxy, trees, seed=0):
    return Stack(
        proxy.training(None, seed),
        [activation(proxy, tree) for tree in trees],
        [1 if tree is None else proxy.behaviour(tree).orientation for tree in trees],
    )


def steps(proxy, one, epochs):
    return torch.stack([one.step(*batch) for _ in range(epochs) for batch in proxy.batches.epoch(one.generator)])


def evaluated(stack, images):
    stack.model.eval()
    with torch.no_grad():
        return stack.logits(images)


def slices(stack, place):
    return {name: value[place].detach() for name, value in (stack.parameters | stack.buffers).items()}


NETWORKS = {
    "small": {"network_settings": {"widths": (4, 8)}},
    "three blocks, padded with ones": {"network_settings": {"widths": (2, 4, 8), "pad_value": 1.0}},
    "another surrogate": {"network_settings": {"widths": (4, 8), "surrogate": "triangle", "window": 2.0}},
    "the paper's": {"network": "resnet18", "network_settings": {"widths": (4, 4, 8, 8)}, "epochs": 2},
}


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_whole_trainings_in_float64_are_the_single_ones(tiny_data, torch_settings, stackable, network, make_double):
    proxy = make_double(tiny_data, **{**torch_settings, **network, "pad": 1})
    stack = stacked(proxy, stackable)
    losses = steps(proxy, stack, proxy.epochs)
    images = proxy.batches.normalized(tiny_data.val.images)
    scores = evaluated(stack, images)
    assert losses.dtype == scores.dtype == torch.float64
    assert len({float(loss) for loss in losses[-1]}) == len(stackable), "the candidates are different trainings"
    for place, tree in enumerate(stackable):
        single = proxy.training(tree, 0)
        expected = steps(proxy, single, proxy.epochs)
        torch.testing.assert_close(losses[:, place], expected, rtol=1e-9, atol=1e-12)
        ours, theirs = slices(stack, place), single.model.state_dict()
        assert ours.keys() == theirs.keys()
        for name, value in theirs.items():
            torch.testing.assert_close(ours[name], value, rtol=1e-9, atol=1e-9, msg=lambda text, name=name: name + text)
        logits = single.model.eval()(images)
        torch.testing.assert_close(scores[place], logits.detach(), rtol=1e-9, atol=1e-9)


def test_float32_agrees_until_rounding_turns_a_sign(tiny_data, torch_settings, stackable):
    proxy = Proxy(tiny_data, **torch_settings)
    stack = stacked(proxy, stackable)
    singles = [proxy.training(tree, 0) for tree in stackable]
    for number, batch in enumerate(proxy.batches.epoch(stack.generator)):
        losses = stack.step(*batch)
        expected = torch.stack([single.step(*batch) for single in singles])
        torch.testing.assert_close(losses, expected, rtol=1e-5 if number < 2 else 1e-3, atol=0)
        for place, single in enumerate(singles if number == 0 else ()):
            ours = slices(stack, place)
            for name, parameter in single.model.named_parameters():
                # Adam's first step is the sign of the gradient, which is rounding where the gradient is zero
                settled = parameter.grad.abs() > 1e-5
                torch.testing.assert_close(ours[name][settled], parameter.detach()[settled], rtol=0, atol=1e-6)
            for name, value in single.model.named_buffers():
                if name in ours:
                    torch.testing.assert_close(ours[name], value, rtol=1e-5, atol=1e-6)


def test_all_candidates_start_alike_and_negated_ones_negated(tiny_data, torch_settings, free):
    proxy = Proxy(tiny_data, **torch_settings)
    stack = stacked(proxy, [parse(text, free) for text in ("sin(x)", "neg(sin(x))", "cos(x)")], seed=5)
    model = proxy.training(None, 5).model
    latent = {id(layer.weight) for layer in binary_layers(model)}
    for name, parameter in model.named_parameters():
        turn = -1 if id(parameter) in latent else 1
        expected = torch.stack([parameter, turn * parameter, parameter])
        assert torch.equal(stack.parameters[name], expected), name
    assert {name for name in stack.parameters if name in stack._surrogates} == stack._surrogates.keys()


def test_f_and_minus_f_train_alike(tiny_data, torch_settings, free, make_double):
    proxy = make_double(tiny_data, **torch_settings)
    losses = steps(proxy, stacked(proxy, [parse(text, free) for text in ("sin(x)", "neg(sin(x))")]), 4)
    torch.testing.assert_close(losses[:, 0], losses[:, 1], rtol=1e-9, atol=0)


def infinite(tables):
    return SignTables(tables.sign, torch.full_like(tables.slope, math.inf), tables.surrogate)


def test_a_candidate_that_diverges_leaves_the_others_bit_for_bit_alone(tiny_data, torch_settings):
    proxy = Proxy(tiny_data, **torch_settings)
    made = [tabulate(function, proxy.surrogate) for function in (torch.sin, torch.cos, torch.tanh)]
    ends = []
    for middle in (made[1], infinite(made[1])):
        tables = [TableActivation(one) for one in (made[0], middle, made[2])]
        stack = Stack(proxy.training(None, 0), tables, [1, 1, 1])
        ends.append((steps(proxy, stack, 4), stack))
    (losses, sane), (others, mad) = ends
    assert losses.isfinite().all()
    assert not others[-1, 1].isfinite()
    assert torch.equal(losses[:, ::2], others[:, ::2])
    for place in (0, 2):
        mine = slices(mad, place)
        assert all(torch.equal(value, mine[name]) for name, value in slices(sane, place).items())
    assert not slices(mad, 1)["stem.0.weight"].isfinite().all()


def test_latent_weights_stay_within_their_limit_and_others_do_not(tiny_data, torch_settings, stackable):
    proxy = Proxy(tiny_data, **{**torch_settings, "learning_rate": 3.0})
    stack = stacked(proxy, stackable)
    steps(proxy, stack, 1)
    names = {
        f"{name}.weight" for name, one in proxy.training(None, 0).model.named_modules() if hasattr(one, "surrogate")
    }
    latent = {name for name in names if name in stack.parameters}
    assert len(latent) == 4
    for name in latent:
        assert stack.parameters[name].detach().abs().amax(tuple(range(1, 5))).tolist() == [
            pytest.approx(LATENT_LIMIT)
        ] * len(stackable)
    assert float(stack.parameters["classifier.weight"].detach().abs().max()) > LATENT_LIMIT


def test_the_loss_is_that_before_the_step_and_carries_no_graph(tiny_data, torch_settings, stackable):
    proxy = Proxy(tiny_data, **torch_settings)
    stack = stacked(proxy, stackable)
    images, labels = next(iter(proxy.batches.epoch(stack.generator)))
    losses = stack.step(images, labels)
    for loss, tree in zip(losses, stackable, strict=True):
        model = proxy.training(tree, 0).model.train()
        torch.testing.assert_close(loss, functional.cross_entropy(model(images), labels).detach())
    assert not losses.requires_grad
    assert not evaluated(stack, images).requires_grad
    assert stack.steps == 1


def test_scoring_changes_nothing(tiny_data, torch_settings, stackable):
    proxy = Proxy(tiny_data, **torch_settings)
    stack = stacked(proxy, stackable)
    steps(proxy, stack, 1)
    before = {name: value.clone() for name, value in (stack.parameters | stack.buffers).items()}
    scores = evaluated(stack, proxy.batches.normalized(tiny_data.val.images))
    assert scores.shape == (len(stackable), 30, 3)
    assert all(torch.equal(value, before[name]) for name, value in (stack.parameters | stack.buffers).items())
    assert stack.buffers["stem.1.num_batches_tracked"].tolist() == [4] * len(stackable)


HISTORY = (Epoch(1.0, 0.5), Epoch(0.5, 0.6))


def states_of(stack, trees):
    texts = [None if tree is None else tree.canonical for tree in trees]
    number = len(trees)
    return stack.states(texts, 0, [HISTORY] * number, [1.5 + place for place in range(number)])


def test_a_restored_stack_goes_on_bit_for_bit(tiny_data, torch_settings, stackable):
    proxy = Proxy(tiny_data, **torch_settings)
    whole, first, second = (stacked(proxy, stackable) for _ in range(3))
    losses = steps(proxy, whole, 4)
    before = steps(proxy, first, 2)
    states = states_of(first, stackable)
    kept = [{name: value.copy() for name, value in state.model.items()} for state in states]
    second.restore(states)
    after = steps(proxy, second, 2)
    assert torch.equal(losses, torch.cat([before, after]))
    for state, copies in zip(states, kept, strict=True):
        assert all(np.array_equal(value, state.model[name]) for name, value in copies.items()), "a state is a copy"


def test_states_are_those_of_single_trainings_both_ways(tiny_data, torch_settings, stackable, make_double):
    proxy = make_double(tiny_data, **torch_settings)
    stack = stacked(proxy, stackable)
    steps(proxy, stack, 2)
    states = states_of(stack, stackable)
    singles = []
    for place, (tree, state) in enumerate(zip(stackable, states, strict=True)):
        single = proxy.training(tree, 0)
        steps(proxy, single, 2)
        own = single.state(state.text, 0, HISTORY, 1.5 + place)
        assert (own.text, own.seed, own.history, own.seconds, own.steps) == (
            state.text,
            state.seed,
            state.history,
            state.seconds,
            state.steps,
        )
        assert np.array_equal(own.generator, state.generator)
        same(own.model, state.model)
        assert own.moments.keys() == state.moments.keys()
        for number, moments in own.moments.items():
            same(moments, state.moments[number])
        singles.append(own)
    back = stacked(proxy, stackable)
    back.restore(singles)
    rest, expected = steps(proxy, back, 2), steps(proxy, stack, 2)
    torch.testing.assert_close(rest, expected, rtol=1e-9, atol=0)


def same(first, second):
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert value.shape == second[name].shape
        assert value.dtype == second[name].dtype
        np.testing.assert_allclose(value, second[name], rtol=1e-9, atol=1e-9, err_msg=name)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_stack_on_a_gpu_is_the_single_trainings_there(tiny_data, torch_settings, stackable, make_double):
    train, val = (Split(one.images.cuda(), one.labels.cuda()) for one in (tiny_data.train, tiny_data.val))
    data = Data("tiny", train, val, tiny_data.classes, tiny_data.mean, tiny_data.std, 0, 1 / 3)
    proxy = make_double(data, **torch_settings)
    losses = steps(proxy, stacked(proxy, stackable), 4)
    for place, tree in enumerate(stackable):
        torch.testing.assert_close(losses[:, place], steps(proxy, proxy.training(tree, 0), 4), rtol=1e-9, atol=1e-12)
