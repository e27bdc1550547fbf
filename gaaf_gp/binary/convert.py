"""Conversion of any torch model to a binary network: its convolutions and linear layers become binary ones.

Scales and biases, which binary layers do not have, stay real. The converted model computes what XNOR-Net (Rastegari et
al. 2016, arXiv 1603.05279) computes: sign(f(x)) times sign(W) times the mean of |W|, plus the bias.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Unpack

import torch
from torch import Tensor, nn

from gaaf_gp.binary.adapters import replacement
from gaaf_gp.binary.building import PAPER, ActivationFactory, BinarySettings, check_factory
from gaaf_gp.binary.layers import BinaryLayer, binary_layers
from gaaf_gp.binary.survey import (
    RELUS,
    Keep,
    Survey,
    batch_statistics,
    forked_generators,
    kept,
    obstacles,
    references,
    run,
    survey,
    watching,
)
from gaaf_gp.errors import GaafError, listed, one_line
from gaaf_gp.util.checks import choice

Became = Literal["binary", "real", "removed"]
LISTS = "hold them in nn.ModuleList or nn.ModuleDict, and call them as attributes of their modules"
"""How a model reaches its layers such that a conversion can replace them."""


@dataclass(frozen=True)
class LayerReport:
    """The conversion of one layer, or of one ReLU.

    Attributes:
        name: its first name in the model, as in ``named_modules``.
        kind: its class before the conversion.
        weights: number of its weights, without biases and the like.
        became: "binary", "real" if it was not changed, "removed" for a ReLU that is no longer there.
        note: the reason; for binary layers a remark, usually empty.
    """

    name: str
    kind: str
    weights: int
    became: Became
    note: str = ""


@dataclass(frozen=True)
class ConversionReport:
    """The conversion of all layers of a model; ``str()`` is a table.

    Attributes:
        layers: one entry per layer with weights and per removed ReLU, in the order of registration.
        order: the order that decides which layer is first and last: the calls for an example, or the registration.
        warnings: likely reasons why the binary model will not learn, one sentence each.
    """

    layers: tuple[LayerReport, ...]
    order: Literal["execution", "registration"]
    warnings: tuple[str, ...] = ()

    def names(self, became: Became) -> list[str]:
        """Return the names of the layers that became ``became``."""
        return [layer.name for layer in self.layers if layer.became == became]

    @property
    def share(self) -> float:
        """The share of the weights that are binary, from 0 to 1."""
        total = sum(layer.weights for layer in self.layers)
        return sum(layer.weights for layer in self.layers if layer.became == "binary") / total if total else 0.0

    def __str__(self) -> str:
        weighted = [layer for layer in self.layers if layer.became != "removed"]
        rows = [("layer", "kind", "weights", "now", "note")]
        for layer in self.layers:
            weights = f"{layer.weights:,}" if layer.weights else ""
            rows.append((layer.name, layer.kind, weights, layer.became, layer.note))
        binary = len(self.names("binary"))
        lines = [
            *_aligned(rows),
            "",
            f"{binary} of {len(weighted)} layers are binary, with {self.share:.1%} of the weights; "
            f"ReLUs removed: {len(self.layers) - len(weighted)}; first and last by order of {self.order}",
            *(f"warning: {warning}" for warning in self.warnings),
        ]
        return "\n".join(lines)


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            # numbers are aligned to the right
            cell.rjust(width) if place == 2 else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def binarize_model(
    model: nn.Module,
    activation: ActivationFactory | None = None,
    *,
    example: Tensor | tuple[Any, ...] | None = None,
    keep: Keep = (),
    keep_ends: bool = True,
    depthwise: bool = False,
    relu: Literal["remove", "keep"] = "remove",
    scale: bool = True,
    in_place: bool = False,
    **binary: Unpack[BinarySettings],
) -> tuple[nn.Module, ConversionReport]:
    """Return a binary version of ``model``, and a report of its layers.

    Every ``nn.Conv2d`` and ``nn.Linear`` becomes a :class:`BinaryConv2d` or :class:`BinaryLinear` with its own
    activation. Exceptions are the first and the last layer, those named in ``keep``, and those that cannot be converted
    without changing what the model does; the report gives the reason for each. Real weights become the latent weights,
    with the same values. A layer with a scale, a bias, or padding with other values than zeros becomes a sequence of
    ``pad``, ``binary`` and ``affine``. A layer that is used in several places is still one layer.

    A ReLU directly before a binary layer leaves nothing to binarize: sign(ReLU(x)) is +1 everywhere, and the sign of
    f(ReLU(x)) is constant for many f. By default such ReLUs (ReLU6 too) become identities; the sign is then the only
    nonlinearity there, as in the networks of this package. A ReLU module that a model calls in several places is
    removed from all of them. A ReLU counts as directly before a layer if no norm is between them in the order of the
    layers. A ReLU that is called as a function cannot be removed; with an ``example`` the report warns about layers
    that get one sign only.

    Args:
        model: any eager module. A deep copy is converted and the model is not changed, unless ``in_place`` is set.
        activation: factory of the complementary functions, called once per binary layer with its number of channels
            (features); None for none. Random draws in it follow the seed and leave the generators as they were. For
            linear layers f sees the features in the second dimension, as f of a convolution sees channels.
        example: a tensor, or a tuple of the arguments of ``forward``, on the device of the model. The model runs on it
            in evaluation mode. The calls then decide which layer is first and last, layers that are never called stay
            real (some models read the weights of their layers themselves), and the converted model is run once. Without
            an example the order of registration is used instead, and the converted model is not run.
        keep: names of layers, of modules that hold layers, or patterns (``"*.downsample.0"``); or a function of name
            and module. These layers and ReLUs are not changed.
        keep_ends: whether the first and the last layer stay real.
        depthwise: whether convolutions with one channel per group become binary too; each of their outputs is a sum of
            only a few signs.
        relu: "remove" or "keep" the ReLUs directly before binary layers; keep them for an f whose sign changes among
            positive numbers.
        scale: whether to multiply by a learnable factor per output channel. It starts as the mean of |W|, which brings
            the binary layer closest to the real one. Without it the sums are whole numbers far outside the window,
            which only a batch norm corrects. The factor is XNOR-Net's, learned as in XNOR-Net++ (Bulat and
            Tzimiropoulos 2019, arXiv 1909.13863).
        in_place: convert ``model`` itself and return it. After an error the model is unchanged, unless running the
            converted model on the ``example`` failed.
        binary: see :class:`~gaaf_gp.binary.building.BinarySettings`.

    Raises:
        GaafError: the model is not an eager module, is a single layer, or cannot be copied; an option is out of its
            range; a name in ``keep`` matches nothing; the model, before or after, does not run on the example, or goes
            on using the real layers there, because it reaches them in another way than as its modules.
    """
    _check(model, activation, relu, binary)
    model = model if in_place else _copied(model)
    surveyed = survey(model, example)
    stays = kept(surveyed, keep)
    reasons = _reasons(surveyed, stays, keep_ends, depthwise)
    chosen = [m for m in surveyed.layers() if m not in reasons and isinstance(m, nn.Conv2d | nn.Linear)]
    ahead = _relus_ahead(surveyed, chosen)
    gone = [module for module in ahead if relu == "remove" and not stays(module)]
    rows = _rows(surveyed, reasons, ahead, gone)
    warnings = _warnings(surveyed, chosen, {m: ls for m, ls in ahead.items() if m not in gone}, binary)
    if chosen and not surveyed.executed:
        warnings += _unsure(
            [m for m in surveyed.names if isinstance(m, RELUS) and not (m in ahead or stays(m))], surveyed
        )
    with forked_generators():
        news = {layer: replacement(layer, activation, scale, {**PAPER, **binary}) for layer in chosen}
    for old, new in (news | {module: nn.Identity() for module in gone}).items():
        for name in surveyed.names[old]:
            parent, _, attribute = name.rpartition(".")
            setattr(model.get_submodule(parent), attribute, new)
    modules = set(model.modules())
    stale = dict.fromkeys(reference.attribute for reference in references(model) if reference.layer not in modules)
    if example is not None:
        warnings += _constant_signs(model, example, list(stale))
    elif stale:
        warnings.append(
            f"{listed(stale)} still reach real layers, by plain Python such as a list, a closure or a hook; {LISTS}, "
            "and give an example, which shows whether the new layers run"
        )
    return model, ConversionReport(rows, "execution" if surveyed.executed else "registration", tuple(warnings))


def _check(model: nn.Module, activation: object, relu: str, binary: BinarySettings) -> None:
    if not isinstance(model, nn.Module) or isinstance(model, torch.jit.ScriptModule):
        raise GaafError(f"model must be an eager torch module, got {type(model).__name__}; convert it before scripting")
    if isinstance(model, (nn.Conv2d, nn.Linear)):
        raise GaafError(
            f"model must hold layers, got a single {type(model).__name__}; make a BinaryConv2d or BinaryLinear, or "
            "wrap it in nn.Sequential"
        )
    choice("relu", relu, ("remove", "keep"))
    check_factory(activation)
    known = BinarySettings.__annotations__
    unknown = [key for key in binary if key not in known]
    if unknown:
        raise GaafError(f"binary layers have no setting {listed(unknown)}; known: {listed(known)}; leave it out")


def _copied(model: nn.Module) -> nn.Module:
    try:
        return copy.deepcopy(model)
    except Exception as error:
        raise GaafError(
            f"model must be one that copy.deepcopy copies, and that ended with {one_line(error)}; convert it with "
            "in_place=True"
        ) from error


def _reasons(
    surveyed: Survey, stays: Callable[[nn.Module], bool], keep_ends: bool, depthwise: bool
) -> dict[nn.Module, str]:
    """Return the layers that stay real, each with the reason."""
    reasons = obstacles(surveyed, depthwise)
    first, last = surveyed.ends() if keep_ends else (None, None)
    called = set(surveyed.calls)
    for layer in surveyed.layers():
        for holds, reason in (
            (stays(layer), "kept"),
            (layer not in called, "not called for the example in evaluation mode"),
            (layer is first, "first layer"),
            (layer is last, "last layer"),
        ):
            if holds:
                reasons.setdefault(layer, reason)
    return reasons


def _relus_ahead(surveyed: Survey, chosen: Sequence[nn.Module]) -> dict[nn.Module, list[nn.Module]]:
    """Return the ReLUs that are directly before a chosen layer, each with the layers after it."""
    ahead = {module: surveyed.behind(module) for module in surveyed.names if isinstance(module, RELUS)}
    return {module: layers for module, layers in ahead.items() if any(layer in chosen for layer in layers)}


def _rows(
    surveyed: Survey,
    reasons: Mapping[nn.Module, str],
    ahead: Mapping[nn.Module, list[nn.Module]],
    gone: list[nn.Module],
) -> tuple[LayerReport, ...]:
    rows, layers = [], surveyed.layers()
    for module, names in surveyed.names.items():
        kind = type(module).__name__
        if module in gone:
            behind = listed(dict.fromkeys(surveyed.names[layer][0] for layer in ahead[module]), most=3)
            rows.append(LayerReport(names[0], kind, 0, "removed", f"right ahead of {behind}"))
        elif module in layers:
            weights = sum(p.numel() for p in module.parameters() if not nn.parameter.is_lazy(p) and p.dim() > 1)
            note = reasons.get(module, "" if len(names) == 1 else f"also {listed(names[1:])}")
            rows.append(LayerReport(names[0], kind, weights, "real" if module in reasons else "binary", note))
    return tuple(rows)


def _warnings(
    surveyed: Survey,
    chosen: Sequence[nn.Conv2d | nn.Linear],
    ahead: Mapping[nn.Module, list[nn.Module]],
    binary: BinarySettings,
) -> list[str]:
    warnings = []
    if not chosen:
        warnings.append("no layer is binary; see the notes, and keep_ends")
    for module, layers in ahead.items():
        behind = listed(dict.fromkeys(surveyed.names[layer][0] for layer in layers if layer in chosen), most=3)
        warnings.append(
            f"{surveyed.names[module][0]} is right ahead of {behind}: sign(f(ReLU(x))) is constant for f = x and for "
            "many others"
        )
    window = binary.get("weight_window", PAPER["weight_window"])
    beyond = sum(int((layer.weight.detach().abs() > window).sum()) for layer in chosen if not layer.weight.is_meta)
    if beyond:
        warnings.append(
            f"{beyond} latent weights are beyond weight_window={window:g} and get no gradient; call "
            f"clip_latent_weights(model, {window:g})"
        )
    return warnings


def _unsure(relus: Sequence[nn.Module], surveyed: Survey) -> list[str]:
    names = [surveyed.names[relu][0] for relu in relus]
    if not names:
        return []
    return [
        f"by the order of registration no binary layer is right behind {listed(names)}; give an example to see whether "
        "that holds when the model runs"
    ]


def _is_idle(module: nn.Module, ran: Mapping[nn.Module, bool]) -> bool:
    return isinstance(module, BinaryLayer) and module not in ran


def _constant_signs(model: nn.Module, example: Tensor | tuple[Any, ...], stale: Sequence[str]) -> list[str]:
    """Run the converted model and return a warning if inputs of layers are binarized to one sign only.

    Raises:
        GaafError: it does not run, or without some of its binary layers; ``stale`` names what reaches the old ones.
    """
    mixed: dict[nn.Module, bool] = {}

    def look(module: nn.Module, arguments: tuple[Any, ...]) -> None:
        assert isinstance(module, BinaryLayer)
        signs = module.binary_input(arguments[0])
        many = signs.numel() > 1 and not signs.is_meta
        mixed[module] = mixed.get(module, False) or not many or bool(signs.amin() != signs.amax())

    with batch_statistics(model), watching(list(binary_layers(model)), look):
        run(model, example, "the converted model must run on the example; keep the layers that it reads itself")
    idle = [name.removesuffix(".binary") for name, module in model.named_modules() if _is_idle(module, mixed)]
    if idle:
        where = f" ({listed(stale)})" if stale else ""
        raise GaafError(
            f"the binary layers must run in place of the real ones, and {listed(idle)} did not: the model reaches the "
            f"real ones in another way than as its modules{where}; {LISTS}"
        )
    constant = [name.removesuffix(".binary") for name, m in model.named_modules() if not mixed.get(m, True)]
    if not constant:
        return []
    return [
        f"on the example the inputs of {listed(constant)} have one sign only, and what they compute is constant; look "
        "for a ReLU that is called as a function, or for an f that is constant there"
    ]
