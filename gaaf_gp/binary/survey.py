"""Examination of a torch model before its conversion: the order of its layers, and which of them cannot be binary."""

from __future__ import annotations

import gc
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from gaaf_gp.errors import FOREIGN, GaafError, listed, one_line

Keep = str | Iterable[str] | Callable[[str, nn.Module], bool]
"""What stays real: names or patterns such as ``"layer1"`` or ``"*.downsample.0"``, or a function of name and module."""

RELUS = (nn.ReLU, nn.ReLU6)
WEIGHTED = (
    nn.modules.conv._ConvNd,
    nn.Linear,
    nn.Bilinear,
    nn.RNNBase,
    nn.RNNCellBase,
    nn.MultiheadAttention,
)
# these centre their input, so a ReLU before one of them does not make the next sign constant
_CENTRING = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


class Survey(NamedTuple):
    """The modules of a model before its conversion.

    Attributes:
        names: module -> all its names, in the order of registration.
        calls: layers, ReLUs and norms in the order in which they run, or are registered, once for each call.
        executed: whether ``calls`` is the order of the calls for an example.
    """

    names: dict[nn.Module, list[str]]
    calls: list[nn.Module]
    executed: bool

    def layers(self) -> Sequence[nn.Module]:
        """Return the modules with weights in the order of registration, without those inside an attention."""
        return [module for module in self.names if isinstance(module, WEIGHTED)]

    def ends(self) -> tuple[nn.Module | None, nn.Module | None]:
        """Return the first and the last layer with weights, None in a model without any."""
        layers = [module for module in self.calls if isinstance(module, WEIGHTED)]
        return (layers[0], layers[-1]) if layers else (None, None)

    def behind(self, relu: nn.Module) -> list[nn.Module]:
        """Return the next layer after each call of ``relu``; calls that are followed by a norm are left out."""
        layers: list[nn.Module] = []
        for place, module in enumerate(self.calls):
            if module is relu:
                following = (m for m in self.calls[place + 1 :] if isinstance(m, (*WEIGHTED, *_CENTRING)))
                layer = next(following, None)
                if layer is not None and not isinstance(layer, _CENTRING):
                    layers.append(layer)
        return layers


def survey(model: nn.Module, example: Tensor | tuple[Any, ...] | None) -> Survey:
    """Return the :class:`Survey` of ``model``, which runs once on ``example`` if there is one.

    Raises:
        GaafError: the model does not run on the example.
    """
    names: dict[nn.Module, list[str]] = {}
    for name, module in model.named_modules(remove_duplicate=False):
        names.setdefault(module, []).append(name)
    for module in list(names):
        if isinstance(module, nn.MultiheadAttention):
            for part in list(module.modules())[1:]:
                names.pop(part, None)
    watched: list[nn.Module] = [m for m in names if isinstance(m, (*WEIGHTED, *RELUS, *_CENTRING))]
    if example is None:
        return Survey(names, watched, False)
    calls: list[nn.Module] = []
    with watching(watched, lambda module, _: calls.append(module)):
        run(model, example, "the model must run on the example; give one that its forward takes")
    return Survey(names, calls, True)


@contextmanager
def watching(modules: Iterable[nn.Module], look: Callable[[nn.Module, tuple[Any, ...]], None]) -> Iterator[None]:
    """Inside the context, call ``look(module, arguments)`` before each call of one of ``modules``."""
    handles = [module.register_forward_pre_hook(look) for module in modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def run(model: nn.Module, example: Tensor | tuple[Any, ...], rule: str) -> None:
    """Run ``model`` on ``example`` in evaluation mode, and change neither the model nor the random generators.

    Raises:
        GaafError: the model raises; the message has ``rule`` and the error of the model.
    """
    training = {module: module.training for module in model.modules()}
    try:
        with torch.no_grad(), forked_generators():
            model.eval()(*(example if isinstance(example, tuple) else (example,)))
    except FOREIGN as error:
        raise GaafError(f"{rule}; it ended with {one_line(error)}") from error
    finally:
        for module, mode in training.items():
            module.training = mode


@contextmanager
def forked_generators() -> Iterator[None]:
    """Restore torch's random generators after the context, including those of a GPU."""
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    with torch.random.fork_rng(devices):
        yield


@contextmanager
def batch_statistics(model: nn.Module) -> Iterator[None]:
    """Let batch norms use the statistics of the batch, as in training, in a model that is run for evaluation.

    Running statistics that were never updated do not centre anything. The statistics of the norms are restored
    afterwards. A norm that gets a single value per channel has no batch statistics and uses its running ones.
    """
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    kept_values = [{name: value.clone() for name, value in norm.named_buffers()} for norm in norms]

    def choose(norm: nn.Module, arguments: tuple[Any, ...]) -> None:
        norm.training = arguments[0].numel() > arguments[0].shape[1]

    try:
        with watching(norms, choose):
            yield
    finally:
        for norm, values in zip(norms, kept_values, strict=True):
            for name, value in values.items():
                norm.get_buffer(name).copy_(value)


class Reference(NamedTuple):
    """A layer that an attribute of a module reaches in another way than as a registered module.

    Attributes:
        layer: what is reached: a layer with weights or a ReLU.
        attribute: the name of the attribute, such as ``"blocks.layers"`` for ``model.blocks.layers``.
    """

    layer: nn.Module
    attribute: str


def references(model: nn.Module) -> list[Reference]:
    """Return what the attributes of ``model`` and its modules reach through plain Python, in the order of attributes.

    That is through lists, dicts, tuples, other objects, bound methods, closures and hooks. The classes of the modules
    and the variables of Python modules are not looked at.
    """
    registered = set(model.modules())
    return [
        Reference(layer, f"{prefix}.{attribute}" if prefix else attribute)
        for prefix, module in model.named_modules()
        for attribute, value in vars(module).items()
        if attribute not in ("_modules", "_parameters", "_buffers")
        for layer in _reached(value, registered)
    ]


def _reached(start: object, registered: set[nn.Module]) -> Iterator[nn.Module]:
    """Yield layers that an object leads to; behind a registered module nothing is looked for."""
    seen: set[int] = set()
    waiting = [start]
    while waiting:
        value = waiting.pop()
        if id(value) in seen or isinstance(value, (types.ModuleType, types.FrameType, type, Tensor)):
            continue
        seen.add(id(value))
        if isinstance(value, nn.Module):
            if isinstance(value, (*WEIGHTED, *RELUS)):
                yield value
            if value in registered:
                continue
        if isinstance(value, types.FunctionType):  # its variables, but not those of the Python module around it
            waiting += [value.__closure__, value.__defaults__, value.__kwdefaults__, vars(value)]
        else:
            waiting += gc.get_referents(value)


def obstacles(surveyed: Survey, depthwise: bool) -> dict[nn.Module, str]:
    """Return the layers that cannot or should not be binary, each with the reason."""
    owners: dict[int, int] = {}
    for module in surveyed.names:
        for parameter in module._parameters.values():
            if parameter is not None:
                owners[id(parameter)] = owners.get(id(parameter), 0) + 1
    reasons = {}
    for layer in surveyed.layers():
        reason = _obstacle(layer, owners, depthwise)
        if reason is not None:
            reasons[layer] = reason
    for module in surveyed.names:
        if isinstance(module, nn.TransformerEncoderLayer):
            for layer in (module.linear1, module.linear2):
                reasons.setdefault(layer, "nn.TransformerEncoderLayer reads its weights itself in evaluation")
    return reasons


def _obstacle(layer: nn.Module, owners: dict[int, int], depthwise: bool) -> str | None:
    if isinstance(layer, nn.MultiheadAttention):
        return "reads the weights of its projections itself"
    if not isinstance(layer, nn.Conv2d | nn.Linear):
        return "there is no binary layer of this kind"
    weight = layer._parameters.get("weight")
    checks = (
        (weight is not None and nn.parameter.is_lazy(weight), "it has no weights yet: give an example"),
        (parametrize.is_parametrized(layer), "its weights are parametrized"),
        (any(getattr(layer, kind) for kind in _HOOKS), "it has hooks, which a new layer would lose"),
        (type(layer) not in (nn.Conv2d, nn.Linear), "a subclass may compute in its own way"),
        (weight is None, "its weight is no parameter"),
        (owners.get(id(weight), 0) > 1, "its weight is shared with another module"),
        (weight is not None and not weight.is_floating_point(), "its weight is not floating point"),
    )
    for holds, reason in checks:
        if holds:
            return reason
    return _unfit(layer, depthwise) if isinstance(layer, nn.Conv2d) else None


def _unfit(layer: nn.Conv2d, depthwise: bool) -> str | None:
    if layer.padding == "same" and layer.padding_mode == "zeros":
        taps = (d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size, strict=True))
        if any(extent % 2 for extent in taps):
            return "padding 'same' is uneven for an even kernel"
    if not depthwise and layer.groups == layer.in_channels > 1:
        return "depthwise: each sum would be one of few signs (depthwise=True converts it)"
    return None


def kept(surveyed: Survey, keep: Keep) -> Callable[[nn.Module], bool]:
    """Return a function of a module: whether ``keep`` asks to leave that layer or ReLU unchanged.

    Raises:
        GaafError: a name or pattern matches no layer or ReLU.
    """
    if callable(keep):
        return lambda module: any(keep(name, module) for name in surveyed.names[module])
    if not isinstance(keep, str) and not isinstance(keep, Iterable):
        raise GaafError(
            f"keep must be names of layers, a pattern, or a function of name and module, got {keep!r}; give a list of "
            "names"
        )
    patterns = [keep] if isinstance(keep, str) else list(keep)
    known = [n for module, names in surveyed.names.items() if isinstance(module, (*WEIGHTED, *RELUS)) for n in names]
    for pattern in patterns:
        if not isinstance(pattern, str) or not any(_meets(name, pattern) for name in known):
            raise GaafError(
                f"keep must name layers of the model, got {pattern!r}; known: {listed(known)}; correct it, or use a "
                "pattern such as '*.downsample.0'"
            )
    return lambda module: any(_meets(name, pattern) for name in surveyed.names[module] for pattern in patterns)


def _meets(name: str, pattern: str) -> bool:
    return name == pattern or name.startswith(f"{pattern}.") or fnmatchcase(name, pattern)
