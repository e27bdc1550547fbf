"""The order in which layers run, what cannot be binary, and what a caller keeps."""

import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from gaaf_gp.binary.survey import batch_statistics, kept, obstacles, run, survey
from gaaf_gp.errors import GaafError


class Backwards(nn.Module):
    """Layers that run in another order than they are registered in; one runs twice, one never."""

    def __init__(self) -> None:
        super().__init__()
        self.c = nn.Linear(4, 4)
        self.b = nn.Linear(4, 4)
        self.act = nn.ReLU()
        self.norm = nn.BatchNorm1d(4)
        self.unused = nn.Linear(4, 4)
        self.a = nn.Dropout(0.5)
        self.first = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Return what five calls make of (N, 4)."""
        x = self.act(self.b(self.a(self.first(x))))
        x = self.act(self.norm(self.b(x)))
        return self.c(self.act(self.norm(x)))


def test_the_order_of_calls_and_of_registration() -> None:
    model = Backwards()
    found = survey(model, torch.ones(2, 4))
    named = {module: names[0] for module, names in found.names.items()}
    assert [named[module] for module in found.calls] == ["first", "b", "act", "b", "norm", "act", "norm", "act", "c"]
    assert found.executed
    assert found.ends() == (model.first, model.c)
    assert found.behind(model.act) == [model.b, model.c], "the second call is followed by a norm"
    plain = survey(model, None)
    assert [named[module] for module in plain.calls] == ["c", "b", "act", "norm", "unused", "first"]
    assert plain.ends() == (model.c, model.first)
    assert plain.behind(model.act) == []
    assert [named[module] for module in found.layers()] == ["c", "b", "unused", "first"]
    assert survey(nn.Sequential(nn.ReLU()), None).ends() == (None, None)


def test_a_run_leaves_no_trace() -> None:
    model = Backwards()
    model.norm.eval()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    torch.manual_seed(0)
    survey(model, (torch.ones(2, 4),))
    drawn = torch.rand(3)
    torch.manual_seed(0)
    assert torch.equal(torch.rand(3), drawn)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert [module.training for module in model.children()] == [True, True, True, False, True, True, True]
    assert not any(module._forward_pre_hooks for module in model.modules())
    with pytest.raises(GaafError, match="the model must run; it ended with RuntimeError: mat1 and mat2"):
        run(model, torch.ones(2, 5), "the model must run")
    assert model.training
    with pytest.raises(GaafError, match="the model must run on the example; give one that its forward takes"):
        survey(model, (torch.ones(2, 4), 1))
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_batch_statistics_are_used_and_not_kept() -> None:
    model = nn.Sequential(nn.BatchNorm2d(2), nn.BatchNorm2d(2, track_running_stats=False)).eval()
    model[0].running_mean.fill_(7.0)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    seen: list[Tensor] = []
    model[0].register_forward_hook(lambda module, inputs, output: seen.append(output))
    x = torch.arange(16.0).view(2, 2, 2, 2)
    with batch_statistics(model):
        run(model[0], x[:1, :, :1, :1], "it must run")
        run(model, x, "it must run")
    centred = (x - x.mean((0, 2, 3), keepdim=True)) / (x.var((0, 2, 3), correction=0, keepdim=True) + 1e-5).sqrt()
    torch.testing.assert_close(seen[1], centred)
    torch.testing.assert_close(seen[0], (x[:1, :, :1, :1] - 7) / (1 + 1e-5) ** 0.5)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert not any(module.training for module in model.modules())


class Own(nn.Linear):
    """A linear layer of its own kind."""


def tied() -> nn.Module:
    model = nn.Sequential(nn.Embedding(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    return model


def hooked() -> nn.Module:
    layer = nn.Linear(3, 3)
    layer.register_forward_hook(lambda module, inputs, output: output * 2)
    return nn.Sequential(layer)


def old_weight_norm() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return nn.Sequential(nn.utils.weight_norm(nn.Linear(3, 3)))


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (lambda: nn.Sequential(nn.Conv1d(2, 2, 1)), "there is no binary layer of this kind"),
        (lambda: nn.Sequential(nn.ConvTranspose2d(2, 2, 1)), "there is no binary layer of this kind"),
        (lambda: nn.Sequential(nn.LSTM(2, 2)), "there is no binary layer of this kind"),
        (lambda: nn.Sequential(nn.MultiheadAttention(4, 2)), "reads the weights of its projections itself"),
        (lambda: nn.Sequential(parametrizations.weight_norm(nn.Linear(3, 3))), "its weights are parametrized"),
        (old_weight_norm, "it has hooks, which a new layer would lose"),
        (hooked, "it has hooks, which a new layer would lose"),
        (tied, "its weight is shared with another module"),
        (lambda: nn.Sequential(Own(3, 3)), "a subclass may compute in its own way"),
        (lambda: nn.Sequential(nn.LazyLinear(3)), "it has no weights yet: give an example"),
        (lambda: nn.Sequential(nn.Linear(3, 3, dtype=torch.complex64)), "its weight is not floating point"),
        (lambda: nn.Sequential(nn.Conv2d(4, 4, 3, groups=4)), "depthwise: each sum would be one of few signs"),
        (lambda: nn.Sequential(nn.Conv2d(4, 4, (3, 2), padding="same")), "padding 'same' is uneven for an even kernel"),
    ],
)
def test_what_cannot_be_binary(build: Callable[[], nn.Module], reason: str) -> None:
    found = survey(build(), None)
    (told,) = obstacles(found, depthwise=False).values()
    assert told.startswith(reason)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Linear(3, 3),
        nn.Conv2d(4, 4, 3, groups=2),
        nn.Conv2d(4, 4, 2, padding="same", dilation=2),
        nn.Conv2d(4, 4, 2, padding="same", padding_mode="circular"),
        nn.Conv2d(1, 4, 3, groups=1),
    ],
)
def test_what_can(layer: nn.Module) -> None:
    assert obstacles(survey(nn.Sequential(layer), None), depthwise=False) == {}


def test_depthwise_on_demand() -> None:
    assert obstacles(survey(nn.Sequential(nn.Conv2d(4, 8, 3, groups=4)), None), depthwise=True) == {}


def test_the_parts_of_an_encoder_layer() -> None:
    found = survey(nn.TransformerEncoderLayer(4, 2, 8), None)
    told = {found.names[layer][0]: reason for layer, reason in obstacles(found, depthwise=False).items()}
    assert list(told) == ["self_attn", "linear1", "linear2"]
    assert told["linear1"] == told["linear2"] == "nn.TransformerEncoderLayer reads its weights itself in evaluation"


@pytest.mark.parametrize(
    ("keep", "expected"),
    [
        ((), []),
        ("c", ["c"]),
        (["c", "b"], ["c", "b"]),
        ("*", ["c", "b", "act", "norm", "unused", "a", "first"]),
        ("?", ["c", "b", "a"]),
        (lambda name, module: isinstance(module, nn.Linear) and name > "b", ["c", "unused", "first"]),
    ],
)
def test_what_the_caller_keeps(keep: object, expected: list[str]) -> None:
    model = Backwards()
    stays = kept(survey(model, None), keep)  # type: ignore[arg-type]
    assert [name for name, module in model.named_children() if stays(module)] == expected


def test_a_name_keeps_all_below_it() -> None:
    inner = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model = nn.ModuleDict({"stage": inner, "stage2": nn.Linear(2, 2)})
    stays = kept(survey(model, None), "stage")
    assert [stays(inner[0]), stays(inner[1]), stays(model["stage2"])] == [True, True, False]


@pytest.mark.parametrize("keep", ["norm", "Linear", ["c", "d"], [3]])
def test_a_name_that_meets_nothing_is_refused(keep: object) -> None:
    with pytest.raises(GaafError, match=r"keep must name layers of the model, got .*known: c, b, act, unused, first;"):
        kept(survey(Backwards(), None), keep)  # type: ignore[arg-type]
