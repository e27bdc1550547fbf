"""What layers get for each kind of candidate, and that every kind trains, alone and in workers."""

import pytest
import torch

from gaaf_gp.activations.factory import activation_factory, two_signs
from gaaf_gp.binary import (
    BinaryConv2d,
    RPReLU,
    RSign,
    SplitSign,
    Surrogate,
    TableActivation,
    bfloat16_inputs,
    binary_layers,
    native,
    tabulate,
)
from gaaf_gp.evaluation.evaluator import Evaluator
from gaaf_gp.training.proxy import Proxy
from gaaf_gp.trees.candidate import TwoTrees, parse_candidate
from gaaf_gp.trees.compile import Activation
from gaaf_gp.trees.parser import parse
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.types import Feature

CLIPPED = Surrogate("clipped", 1.3)
CPU = torch.device("cpu")
KINDS = ["sin(x) | add(sin(x), x)", "scale(sin(x)) | x", "sin(x) | scale(x)", "sin(scale(x)) | shift(x)", "@rsign",
         "@rprelu"]  # fmt: skip
needs_kernels = pytest.mark.skipif(not native.available(), reason="the kernels cannot be compiled here")


def centred(x):
    return x - x.mean() if x.numel() > 100 else x * 1  # unseen when it is tried out


def made(text, pset, channels=3, **settings):
    settings = {"tables": True, "device": CPU, **settings}
    return activation_factory(parse_candidate(text, pset), CLIPPED, **settings)(channels)


def test_two_trees_without_vectors_are_two_tables(free):
    module = made("sin(x) | cube(x)", free)
    assert type(module) is TableActivation
    forward, backward = (tabulate(Activation(text, 1, free), CLIPPED) for text in ("sin(x)", "cube(x)"))
    assert torch.equal(module.sign, forward.sign)
    assert torch.equal(module.slope, backward.slope)
    assert "forward: sin(x); backward: x^3" in repr(module)


def test_tables_are_shared_by_all_layers(free):
    factory = activation_factory(parse_candidate("sin(x) | x", free), CLIPPED, tables=True, device=CPU)
    assert factory(3).slope is factory(5).slope


@pytest.mark.parametrize("text", ["sin(x) | cube(x)", "add(sin(x), x) | @x", "@neg(x) | cos(x)"])
def test_without_tables_values_and_gradients_are_the_same(free, text):
    modules = [made(text, free, channels=1, tables=tables) for tables in (True, False)]
    assert [type(one) for one in modules] == [TableActivation, SplitSign]
    every = bfloat16_inputs()
    x = every[every.abs() <= 64].unsqueeze(1)
    found = []
    for module in modules:
        leaf = x.clone().requires_grad_()
        signs = module(leaf)
        signs.sum().backward()
        found.append((signs, leaf.grad.to(torch.bfloat16)))
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1] + 0.0, found[1][1] + 0.0)
    assert 0 < float((found[0][1] != 0).double().mean()) < 1


@pytest.mark.parametrize(("text", "kind"), [(KINDS[1], SplitSign), (KINDS[2], SplitSign), ("@rsign", RSign),
                                            ("@rprelu", RPReLU)])  # fmt: skip
def test_what_learns_is_a_module_of_its_own_in_every_layer(free, text, kind):
    factory = activation_factory(parse_candidate(text, free), CLIPPED, tables=True, device=CPU)
    one, other = factory(3), factory(5)
    assert type(one) is type(other) is kind
    assert {len(parameter) for parameter in one.parameters()} == {3}
    assert {len(parameter) for parameter in other.parameters()} == {5}
    assert one.kernel is None


@needs_kernels
@pytest.mark.parametrize("text", KINDS[1:])
def test_what_learns_becomes_a_program_that_does_what_torch_does(free, text):
    found = []
    for programs, kernels in ((False, "torch"), (True, "float32")):
        module = made(text, free, channels=5, programs=programs)
        assert (module.kernel is not None) == programs
        torch.manual_seed(1)
        with torch.no_grad():
            for vector in module.parameters():
                vector.add_(0.3 * torch.randn(5))
        layer = BinaryConv2d(5, 4, 3, padding=1, window=1.3, activation=module)
        layer.kernels = kernels
        x = torch.randn(3, 5, 6, 4, generator=torch.Generator().manual_seed(2)).requires_grad_()
        y = layer(x)
        weights = torch.randn(y.shape, generator=torch.Generator().manual_seed(3))
        found.append([y, *torch.autograd.grad((y * weights).sum(), [x, *layer.parameters()])])
    assert torch.equal(found[0][0], found[1][0])
    for one, other in zip(*found, strict=True):
        assert float((one - other).detach().norm()) <= 1e-5 * float(one.detach().norm())


def test_a_primitive_that_looks_at_other_values_has_no_table():
    pset = PrimitiveSet("looks")
    pset.addPrimitive(centred, [Feature], Feature)
    for text in ("centred(x) | x", "x | centred(x)"):
        assert type(made(text, pset)) is SplitSign


def test_other_surrogates_have_no_program(free):
    candidate = parse_candidate("scale(x) | x", free)
    surrogate = Surrogate("triangle", 1.3)
    factory = activation_factory(candidate, surrogate, tables=True, device=CPU, programs=True)
    assert factory(2).kernel is None
    assert factory(2).surrogate == surrogate


def test_the_plain_sign_without_tables_needs_no_module():
    assert activation_factory(None, CLIPPED, tables=False, device=CPU) is None


def test_two_signs_are_as_wide_as_asked(free):
    module = two_signs(TwoTrees(parse("scale(x)", free), parse("shift(x)", free)), 4, CLIPPED)
    assert {name: len(vector) for name, vector in module.named_parameters()} == {"f.s0": 4, "g.s0": 4}


@pytest.mark.parametrize("text", KINDS)
@pytest.mark.parametrize("kernels", ["torch", "auto"])
def test_every_kind_trains(tiny_data, tiny_settings, free, text, kernels):
    proxy = Proxy(tiny_data, **tiny_settings, kernels=kernels)
    candidate = parse_candidate(text, free)
    outcome = proxy.train(candidate, 1)
    assert outcome.failure is None
    assert outcome.accuracy > 0.5, "three classes of plain patterns"
    early = proxy.train(candidate, 1, epochs=2)
    assert early.state.text == candidate.canonical
    assert proxy.train(candidate, 1, state=early.state).history == outcome.history


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("sin(x) | sin(x)", "sin(x)"),
        ("@x | @x", None),
        ("cube(x) | x", None),
        ("neg(sin(x)) | @neg(x)", "sin(x) | @x"),
        ("scale(sin(x)) | scale(sin(x))", "scale(sin(x))"),
        ("neg(scale(sin(x))) | neg(x)", "scale(sin(x)) | x"),
    ],
)
def test_what_should_train_alike_does_bit_for_bit(tiny_data, tiny_settings, free, one, other):
    proxy = Proxy(tiny_data, **tiny_settings, kernels="torch")
    history = proxy.train(parse_candidate(one, free), 2).history
    assert history == proxy.train(parse_candidate(other, free), 2).history
    assert len(set(history)) > 1


def test_the_latent_weights_of_a_negated_pair_start_negated(tiny_proxy, free):
    plain, negated = (
        tiny_proxy.training(parse_candidate(text, free), 5).model for text in ("sin(x) | x", "neg(sin(x)) | neg(x)")
    )
    for one, other in zip(binary_layers(plain), binary_layers(negated), strict=True):
        assert torch.equal(one.weight, -other.weight)


def test_a_pair_that_cannot_train_says_why(tiny_proxy, free):
    outcome = tiny_proxy.train(parse_candidate("square(x) | x", free), 0)
    assert (outcome.failure, outcome.accuracy) == ("constant sign", 0.0)


def test_an_evaluator_takes_every_kind_in_workers_too(tiny_proxy, free):
    candidates = [parse_candidate(text, free) for text in (KINDS[0], KINDS[1], "@rsign", "x | const(1.0)", "sin(x)")]
    candidates.append(parse_candidate("neg(sin(x)) | neg(add(sin(x), x))", free))
    found = []
    for workers in (1, 2):
        with Evaluator(tiny_proxy, free, workers=workers) as evaluator:
            records = evaluator.evaluate(candidates)
            assert list(evaluator.records) == [one.canonical for one in candidates]
            assert evaluator(candidates[0]) == (records[0].fitness,)
            confirmed = evaluator.train([None, *candidates[:3]], [7])
            found.append([(one.accuracy, one.failure, one.same_as) for one in records]
                         + [[one.history for one in row] for row in confirmed])  # fmt: skip
    assert found[0] == found[1]
    assert records[3].failure == "zero gradient"
    assert records[5].same_as == candidates[0].canonical
    for candidate, row in zip([None, *candidates[:3]], confirmed, strict=True):
        assert row[0].history == tiny_proxy.train(candidate, 7).history
