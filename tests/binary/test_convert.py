"""Conversion of whole models: what becomes binary, what stays and why, and that the result computes and learns."""

import copy
import functools
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from gaaf_gp import Activation, parse
from gaaf_gp.activations.catalogue import catalogue
from gaaf_gp.activations.factory import activation_factory
from gaaf_gp.binary import (
    BinaryConv2d,
    BinaryLayer,
    BinaryLinear,
    ConversionReport,
    RSign,
    Surrogate,
    binarize_model,
    binary_layers,
    clip_latent_weights,
    native,
    use_kernels,
)
from gaaf_gp.data.torchvision_compat import import_torchvision
from gaaf_gp.errors import GaafError
from primitives import gaaf


@functools.cache
def sine() -> Any:
    return parse("add(sin(x), x)", gaaf.free())


def waves(channels: int) -> Activation:
    """sin(x) + x, a tree of primitives."""
    return Activation(sine(), channels)


def seeded(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def small(width: int = 8) -> nn.Sequential:
    """Four convolutions and a classifier, with ReLUs ahead of a binary layer, of a norm and of the last layer."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, width, 3),
        nn.ReLU(),
        nn.Conv2d(width, width, 3, bias=False),
        nn.ReLU(),
        nn.BatchNorm2d(width),
        nn.Conv2d(width, width, 1),
        nn.BatchNorm2d(width),
        nn.ReLU6(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(width, 3),
    )


def notes(report: ConversionReport) -> dict[str, str]:
    return {layer.name: layer.note for layer in report.layers if layer.became == "real"}


def test_layers_between_the_ends_become_binary() -> None:
    model = small()
    before = copy.deepcopy(model).state_dict()
    binary, report = binarize_model(model, RSign, example=seeded(2, 2, 8, 8))
    assert all(torch.equal(value, before[key]) for key, value in binary.state_dict().items() if key in before)
    assert report.names("binary") == ["2", "5"]
    assert notes(report) == {"0": "first layer", "10": "last layer"}
    assert report.names("removed") == ["1"]
    assert (report.order, report.warnings) == ("execution", ())
    assert report.share == (9 * 64 + 64) / (9 * 16 + 9 * 64 + 64 + 24)
    assert [type(binary.get_submodule(name)) for name in ("1", "3", "7")] == [nn.Identity, nn.ReLU, nn.ReLU6]
    assert [type(layer.activation) for layer in binary_layers(binary)] == [RSign, RSign]
    assert torch.equal(binary.get_parameter("2.binary.weight"), model[2].weight)
    assert torch.equal(binary.get_parameter("5.affine.bias"), model[5].bias)
    # the model itself is as it was
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert not any(isinstance(module, BinaryLayer) for module in model.modules())
    shared = {id(parameter) for parameter in model.parameters()} & {id(parameter) for parameter in binary.parameters()}
    assert not shared


def test_the_whole_by_hand() -> None:
    model = small().double().eval()
    binary, _ = binarize_model(model, example=seeded(1, 2, 8, 8).double())
    x = seeded(3, 2, 8, 8, seed=1).double()

    def xnor(layer: nn.Module, x: Tensor) -> Tensor:
        weight: Tensor = layer.get_parameter("weight").detach()
        scale = weight.abs().mean((1, 2, 3)).view(-1, 1, 1)
        return functional.conv2d(x.ge(0).double() * 2 - 1, weight.ge(0).double() * 2 - 1) * scale

    y = model[4](xnor(model[2], model[0](x)).relu())
    y = model[6](xnor(model[5], y) + model[5].bias.view(-1, 1, 1))
    torch.testing.assert_close(binary(x), model[7:](y))


def test_in_place_keeps_the_parameters() -> None:
    model = small()
    own = {id(parameter) for parameter in model.parameters()}
    binary, _ = binarize_model(model, in_place=True, scale=False)
    assert binary is model
    assert {id(parameter) for parameter in binary.parameters()} == own
    assert isinstance(binary[2], BinaryConv2d), "without bias and scale there is no sequence"  # type: ignore[index]


def test_settings_reach_every_binary_layer() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 3), nn.Linear(3, 2), nn.Conv2d(2, 2, 3, padding=1))
    settings = {"pad_value": -1.0, "surrogate": "swish", "window": 2.0, "weight_window": 0.5, "sharpness": 3.0}
    binary, _ = binarize_model(model, keep_ends=False, **settings)  # type: ignore[arg-type]
    layers = list(binary_layers(binary))
    assert [type(layer) for layer in layers] == [BinaryLinear] * 3 + [BinaryConv2d]
    assert {layer.surrogate for layer in layers} == {Surrogate("swish", 2.0, 3.0)}
    assert {layer.weight_surrogate for layer in layers} == {Surrogate("clipped", 0.5)}
    assert layers[-1].pad_value == -1.0
    plain = next(binary_layers(binarize_model(model, keep_ends=False)[0]))
    assert (plain.surrogate, plain.weight_surrogate) == (Surrogate("clipped", 1.3), Surrogate("clipped", 1.3))


def test_what_is_kept_and_what_is_not() -> None:
    model = small()
    assert binarize_model(model, keep="5")[1].names("binary") == ["2"]
    assert binarize_model(model, keep_ends=False)[1].names("binary") == ["0", "2", "5", "10"]
    assert notes(binarize_model(model, keep=["0", "5"])[1]) == {"0": "kept", "5": "kept", "10": "last layer"}
    _, report = binarize_model(model, keep=lambda name, module: isinstance(module, nn.ReLU))
    assert report.names("removed") == []
    assert report.names("binary") == ["2", "5"]


def test_kept_relus_are_warned_of_and_make_constants() -> None:
    binary, report = binarize_model(small(), relu="keep", example=seeded(2, 2, 8, 8))
    assert report.names("removed") == []
    assert report.warnings[0].startswith("1 is right ahead of 2: sign(f(ReLU(x))) is constant for f = x")
    assert report.warnings[1].startswith("on the example the inputs of 2 have one sign only")
    assert len(report.warnings) == 2
    first = binary[:3](seeded(4, 2, 8, 8, seed=1))  # type: ignore[index]
    assert (first == first[:1, :, :1, :1]).all(), "that layer does not see its input"
    # an f that tells positive numbers apart lives behind a ReLU
    shifted = binarize_model(small(), lambda _: Below(), relu="keep", example=seeded(2, 2, 8, 8))[1]
    assert len(shifted.warnings) == 1


class Below(nn.Module):
    """x - 0.1."""

    def forward(self, x: Tensor) -> Tensor:
        """Return x - 0.1."""
        return x - 0.1


class Functional(nn.Module):
    """A ReLU that is called as a function, and a layer whose weight is read directly."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
        self.read, self.last = nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, 2) of (N, 4)."""
        x = self.second(functional.relu(self.first(x)))
        return self.last(functional.linear(x, self.read.weight, self.read.bias))


def test_an_example_finds_what_the_modules_do_not_show() -> None:
    model = Functional()
    binary, report = binarize_model(model, example=(seeded(8, 4),))
    assert report.names("binary") == ["second"]
    assert notes(report)["read"] == "not called for the example in evaluation mode"
    (warning,) = report.warnings
    assert "the inputs of second have one sign only" in warning
    assert binary(seeded(2, 4)).shape == (2, 2)
    blind, report = binarize_model(model)
    assert report.names("binary") == ["second", "read"]
    assert report.order == "registration"
    with pytest.raises(AttributeError, match="'Sequential' object has no attribute 'weight'"):
        blind(seeded(2, 4))


class Shared(nn.Module):
    """One layer and one ReLU in two places, called three times."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.layer, self.act = nn.Linear(4, 4), nn.Linear(4, 4), nn.ReLU()
        self.again = nn.ModuleList([self.layer, self.act])
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, 2) of (N, 4)."""
        x = self.layer(self.act(self.stem(x)))
        x = self.again[0](self.again[1](x))
        return self.head(self.act(x))


def test_a_layer_in_two_places_stays_one() -> None:
    binary, report = binarize_model(Shared(), waves, example=seeded(2, 4))
    assert binary.layer is binary.again[0]  # type: ignore[index]
    assert binary.act is binary.again[1]  # type: ignore[index]
    assert isinstance(binary.act, nn.Identity)
    assert len(list(binary_layers(binary))) == 1
    (row,) = (layer for layer in report.layers if layer.became == "binary")
    assert (row.name, row.note) == ("layer", "also again.0")
    (row,) = (layer for layer in report.layers if layer.became == "removed")
    assert row.note == "right ahead of layer, head"
    assert binary(seeded(3, 4)).shape == (3, 2)


def test_without_an_example_the_report_says_what_it_cannot_know() -> None:
    binary, report = binarize_model(Shared(), waves)
    assert isinstance(binary.act, nn.ReLU), "registered behind all binary layers"
    assert report.warnings == (
        "by the order of registration no binary layer is right behind act; give an example to see whether that holds "
        "when the model runs",
    )
    assert binarize_model(Shared(), waves, keep="act")[1].warnings == ()


def test_attention_is_left_and_runs() -> None:
    torch.manual_seed(0)
    encoder = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    decoder = nn.TransformerDecoderLayer(8, 2, 16, batch_first=True)

    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inward, self.encoder, self.decoder = nn.Linear(4, 8), encoder, decoder
            self.outward = nn.Linear(8, 2)

        def forward(self, x: Tensor) -> Tensor:
            x = self.inward(x)
            return self.outward(self.decoder(x, self.encoder(x)))

    x = seeded(2, 5, 4)
    binary, report = binarize_model(Both(), waves, example=x)
    assert report.names("binary") == ["decoder.linear1", "decoder.linear2"]
    assert notes(report)["encoder.self_attn"] == "reads the weights of its projections itself"
    assert notes(report)["encoder.linear1"] == "nn.TransformerEncoderLayer reads its weights itself in evaluation"
    assert binary(x).shape == (2, 5, 2)
    with torch.no_grad():
        assert binary.eval()(x).isfinite().all()


def test_lazy_layers_are_ready_after_the_example() -> None:
    model = nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyConv2d(4, 3), nn.Flatten(), nn.LazyLinear(2))
    binary, report = binarize_model(model, example=seeded(2, 3, 6, 6))
    assert report.names("binary") == ["1"]
    assert binary(seeded(1, 3, 6, 6)).shape == (1, 2)
    assert binarize_model(model)[1].warnings == ("no layer is binary; see the notes, and keep_ends",)


def test_latent_weights_beyond_the_window_are_told() -> None:
    model = small()
    with torch.no_grad():
        model[2].weight[0, 0, 0, :2] = torch.tensor([5.0, -2.0])
    binary, report = binarize_model(model)
    assert report.warnings[:1] == (
        "2 latent weights are beyond weight_window=1.3 and get no gradient; call clip_latent_weights(model, 1.3)",
    )
    clip_latent_weights(binary, 1.3)
    assert binarize_model(model, weight_window=9.0, example=seeded(2, 2, 8, 8))[1].warnings == ()


class Random(nn.Module):
    """A vector that is drawn when it is made."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.v = nn.Parameter(torch.randn(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return x + v."""
        return x + self.v.view(1, -1, 1, 1)


def test_draws_follow_the_seed_and_leave_the_generator() -> None:
    model = small()
    torch.manual_seed(1)
    untouched = torch.rand(3)
    states = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        binary, _ = binarize_model(model, Random, example=seeded(1, 2, 8, 8) if seed == 1 else None)
        if seed == 1:
            assert torch.equal(torch.rand(3), untouched)
        states.append(binary.state_dict())
    vectors = [[value for key, value in state.items() if key.endswith(".v")] for state in states]
    assert len(vectors[0]) == 2
    assert all(torch.equal(a, b) for a, b in zip(vectors[0], vectors[1], strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(vectors[0], vectors[2], strict=True))


def no_activation(_channels: int) -> nn.Module:
    raise RuntimeError("no such function")


@pytest.mark.parametrize("example", [None, seeded(1, 2, 8, 8)])
def test_a_failure_leaves_the_model_as_it_was(example: Tensor | None) -> None:
    model = small()
    modules = list(model.modules())
    with pytest.raises(RuntimeError, match="no such function"):
        binarize_model(model, no_activation, example=example, in_place=True)
    assert all(a is b for a, b in zip(modules, model.modules(), strict=True))


@pytest.mark.skipif(not native.available(), reason=f"no kernels: {native.unavailable_reason()}")
def test_compiled_kernels_take_converted_layers() -> None:
    binary = binarize_model(small(), scale=False)[0].eval()
    # whole numbers in bfloat16 reach the second layer as they are
    x = seeded(2, 8, 6, 6).bfloat16().float()
    theirs = binary[2](x)  # type: ignore[index]
    use_kernels(binary, "float32")
    assert binary[2].kernels == "float32"  # type: ignore[index]
    assert torch.equal(binary[2](x), theirs)  # type: ignore[index]


@functools.cache
def models() -> Any:
    return import_torchvision().models


def vgg11() -> nn.Module:
    """The convolutions of VGG-11 and a narrower classifier of as many layers; the wide one never gets any memory."""
    with torch.device("meta"):
        model: nn.Module = models().vgg11(num_classes=3)
    wide = model.get_submodule("classifier")
    for place, (before, after) in {"0": (512 * 49, 64), "3": (64, 64), "6": (64, 3)}.items():
        setattr(wide, place, nn.Linear(before, after))
    model.to_empty(device="cpu")
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.reset_parameters()
    return model


CASES: dict[str, tuple[Callable[[], nn.Module], int, int, int, int]] = {
    # builder, side of the images, binary layers, real ones, ReLUs removed
    "resnet18": (lambda: models().resnet18(num_classes=3), 48, 19, 2, 9),
    "vgg11": (vgg11, 32, 9, 2, 9),
    "mobilenet_v2": (lambda: models().mobilenet_v2(num_classes=3, width_mult=0.25), 64, 34, 19, 17),
}


def function(name: str) -> Callable[[int], nn.Module]:
    """The function of a name of the catalogue, one tree or two; or the learnable one of these tests."""
    if name == "waves":
        return waves
    made = activation_factory(
        catalogue()[name].candidate(), Surrogate("clipped"), tables=False, device=torch.device("cpu")
    )
    assert made is not None
    return made


@pytest.mark.parametrize("activation", ["waves", *catalogue()])
@pytest.mark.parametrize("name", CASES)
def test_models_of_torchvision_convert_and_learn(name: str, activation: str) -> None:
    build, side, binary_number, real_number, removed = CASES[name]
    torch.manual_seed(0)
    x = seeded(2, 3, side, side)
    model, report = binarize_model(build(), function(activation), example=x, in_place=True)
    assert len(report.names("binary")) == binary_number == len(list(binary_layers(model)))
    assert len(report.names("real")) == real_number
    assert len(report.names("removed")) == removed
    # the kernels of narrow layers are drawn large; behind a ReLU some functions of the catalogue know one sign only
    expected = "latent weights are beyond" if activation == "waves" else "latent weights are beyond|have one sign only"
    assert all(re.search(expected, warning) for warning in report.warnings)
    clip_latent_weights(model, 1.3)
    before = {key: value.detach().clone() for key, value in model.named_parameters()}
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    loss = functional.cross_entropy(model(x), torch.tensor([0, 1]))
    loss.backward()
    optimizer.step()
    assert loss.isfinite()
    same = [key for key, value in model.named_parameters() if torch.equal(value, before[key])]
    assert same == []


def test_the_order_of_registration_serves_for_torchvision() -> None:
    for name, images in (("resnet18", 32), ("mobilenet_v2", 32), ("vgg11", 32)):
        with torch.device("meta"):
            model = getattr(models(), name)(num_classes=3)
            traced = binarize_model(model, example=torch.ones(1, 3, images, images), relu="keep", scale=False)[1]
            plain = binarize_model(model, relu="keep", scale=False)[1]
        assert traced.layers == plain.layers
    with torch.device("meta"):
        report = binarize_model(models().mobilenet_v2())[1]
    depthwise = [layer for layer in report.layers if layer.note.startswith("depthwise")]
    assert len(depthwise) == 17
    assert str(report).splitlines()[0].split() == ["layer", "kind", "weights", "now", "note"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: binarize_model(torch.sin), "model must be an eager torch module, got builtin"),  # type: ignore[arg-type]
        (lambda: binarize_model(nn.Linear(2, 2)), "model must hold layers, got a single Linear"),
        (lambda: binarize_model(small(), relu="drop"), "relu must be one of remove, keep, got 'drop'"),  # type: ignore[arg-type]
        (lambda: binarize_model(small(), alpha=1), "binary layers have no setting alpha; known: pad_value, surrogate"),  # type: ignore[call-arg]
        (lambda: binarize_model(small(), window=-1.0), "window must be a number above 0"),
        (lambda: binarize_model(small(), keep="conv1"), "keep must name layers of the model, got 'conv1'"),
        (
            lambda: binarize_model(small(), lambda channels: nn.Flatten(), example=seeded(1, 2, 8, 8)),
            "the converted model must run on the example; .*GaafError: an activation must keep the shape",
        ),
        (
            lambda: binarize_model(small(), lambda channels: torch.sin),  # type: ignore[arg-type, return-value]
            "activation must be a torch module or None",
        ),
        (
            lambda: binarize_model(Uncopied()),
            "copy.deepcopy copies, and that ended with RuntimeError: mine; .*in_place",
        ),
    ],
)
def test_bad_arguments_are_refused_in_one_line(call: Callable[[], object], message: str) -> None:
    with pytest.raises(GaafError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


class Uncopied(nn.Sequential):
    """A model that cannot be copied."""

    def __deepcopy__(self, memo: object) -> "Uncopied":
        raise RuntimeError("mine")


class Twice(nn.Module):
    """Calls one layer with inputs of both signs, and then or before with positive ones."""

    def __init__(self, last_is_constant: bool) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.last_is_constant = last_is_constant

    def forward(self, x: Tensor) -> Tensor:
        inputs = [x, x.abs() + 1]
        first, second = inputs if self.last_is_constant else inputs[::-1]
        return self.layer(first) + self.layer(second)


@pytest.mark.parametrize("last_is_constant", [True, False])
def test_a_shared_layer_that_sees_both_signs_in_any_call_is_not_warned_of(last_is_constant: bool) -> None:
    example = seeded(8, 4)
    _, report = binarize_model(Twice(last_is_constant), keep_ends=False, example=example)
    assert report.names("binary") == ["layer"]
    assert not [warning for warning in report.warnings if "one sign only" in warning]
    _, report = binarize_model(Twice(last_is_constant), keep_ends=False, example=example.abs() + 1)
    assert [warning for warning in report.warnings if "the inputs of layer have one sign only" in warning]


class Listed(nn.Module):
    """A model that reaches its layers in a way of its own."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.first, self.second, self.third, self.fourth = (nn.Linear(4, 4) for _ in range(4))
        layers = [self.second, self.third]
        self.way = {
            "list": layers,
            "dict": {"a": self.second, "b": self.third},
            "closure": lambda x: layers[1](layers[0](x)),
            "partial": functools.partial(self.third.forward),
        }[way]

    def forward(self, x: Tensor) -> Tensor:
        """Return what the layers make of x."""
        x = self.first(x)
        if callable(self.way):
            x = self.way(x)
        else:
            for layer in self.way.values() if isinstance(self.way, dict) else self.way:
                x = layer(x)
        return self.fourth(x)


@pytest.mark.parametrize("way", ["list", "dict", "closure", "partial"])
def test_layers_that_are_reached_in_another_way_are_noticed(way: str) -> None:
    model, x = Listed(way), torch.randn(3, 4)
    before = model(x)
    if way in ("list", "dict"):
        with pytest.raises(GaafError, match=r"binary layers must run in place of the real ones, and .*third.* did not"):
            binarize_model(model, example=x)
    _, report = binarize_model(model)
    assert any("way still reach real layers" in warning for warning in report.warnings)
    assert torch.equal(model(x), before), "the model itself is not changed"


def test_a_model_whose_layers_are_its_modules_has_no_such_warning() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.ModuleList([nn.Linear(4, 4)])[0], nn.Linear(4, 4))
    for more in ({}, {"example": torch.randn(3, 4)}):
        _, report = binarize_model(model, **more)  # type: ignore[arg-type]
        assert not any("reach" in warning for warning in report.warnings)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"activation": parse("sin(x)", gaaf.free())}, "activation must be a factory .*, got Individual"),
        ({"activation": "sin(x)"}, "activation must be a factory .*, got str"),
        ({"activation": nn.PReLU()}, "activation must be a factory .*, got PReLU"),
        ({"activation": nn.ReLU}, "and ReLU does not; give a function"),
        ({"activation": lambda: nn.Identity()}, "and <lambda> does not"),
        ({"keep": 1}, "keep must be names of layers, .* got 1"),
        ({"keep": [1]}, "keep must name layers of the model, got 1"),
        ({"relu": True}, "relu must be"),
    ],
)
def test_arguments_of_the_wrong_kind_end_in_one_line(given: dict[str, Any], message: str) -> None:
    with pytest.raises(GaafError, match=message) as caught:
        binarize_model(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)), **given)
    assert "\n" not in str(caught.value)
