"""What a layer makes of its inputs with a function: f(x), where its sign is +1, and the slope that training sees.

Everything is computed in float64 at chosen x, as the layers define it: the sign of f(x), +1 at zero, and the windowed
derivative of f, or of the backward tree where there are two. Layers round x to bfloat16 first; a picture does not.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gaaf_gp.activations.behaviour import PAPER_SURROGATE
from gaaf_gp.activations.factory import two_signs
from gaaf_gp.binary import SignActivation, SplitSign, Surrogate, windowed_slope
from gaaf_gp.binary.baselines import LEARNING
from gaaf_gp.errors import FOREIGN, GaafError, one_line
from gaaf_gp.trees.candidate import Baseline, Candidate, TwoTrees
from gaaf_gp.trees.compile import Activation, formula
from gaaf_gp.trees.individual import Individual
from gaaf_gp.util.devices import gradients, plain_defaults

Drawn: TypeAlias = Candidate | nn.Module | None
"""What has a picture: a candidate, whose vectors are as they start, None for the plain sign, or a trained module, such
as the activation of a layer: (N, C) in, f(x) out, or a :class:`~gaaf_gp.binary.SplitSign`."""
Array: TypeAlias = NDArray[np.float64]
HALVINGS = 60
"""Of the interval in which a sign changes: more than a float64 can tell apart."""


@dataclass(frozen=True)
class Response:
    """f at given x, for each channel.

    Attributes:
        formula: of the function, for people.
        surrogate: of the sign.
        x: (N,), rising.
        values: (N, C), f(x); C is 1 where nothing is learned for each channel.
        slope: (N, C), the windowed derivative that training sees.
        backward: (N, C), the function whose derivative that is, where it is not f.
        positive: intervals of x, from the first to the last, where f(x) has the sign +1; where channels differ, where
            at least half of them do. Each border but the first and the last x is where f changes its sign.
    """

    formula: str
    surrogate: Surrogate
    x: Array
    values: Array
    slope: Array
    backward: Array | None
    positive: tuple[tuple[float, float], ...]


@plain_defaults()
def response(function: Drawn, x: Array, surrogate: Surrogate = PAPER_SURROGATE) -> Response:
    """Compute what a layer makes of ``x``.

    A sign that changes and changes back between two neighbours of ``x`` is not seen.

    Args:
        function: what is looked at.
        x: (N,), rising, at least two.
        surrogate: of the sign; that of a trained pair of trees goes ahead of it.

    Raises:
        GaafError: for another ``x``, or a function that raises.
    """
    points = np.asarray(x, dtype=np.float64)
    if points.ndim != 1 or len(points) < 2 or not (np.diff(points) > 0).all():
        raise GaafError(f"inputs of a picture must be two or more rising numbers, got shape {points.shape}")
    name, forward, backward, channels, surrogate = _parts(function, surrogate)
    try:
        with gradients():
            inputs = torch.from_numpy(points)[:, None].repeat(1, channels).requires_grad_()
            values = forward(inputs)
            through = values if backward is None else backward(inputs)
            slope = windowed_slope(through, inputs, surrogate)
            positive = _positive(lambda place: forward(place[:, None].expand(-1, channels)), inputs[:, 0], values)
    except GaafError:
        raise
    except FOREIGN as error:  # primitives are anybody's code
        raise GaafError(f"a function must run to be drawn, and {name} ended with {one_line(error)}") from error
    learns = any(True for module in (forward, backward) if module is not None for _ in module.parameters())
    kept = [tensor.detach().numpy()[:, : None if learns else 1] for tensor in (values, slope, through)]
    return Response(name, surrogate, points, kept[0], kept[1], None if backward is None else kept[2], positive)


def _parts(function: Drawn, surrogate: Surrogate) -> tuple[str, nn.Module, nn.Module | None, int, Surrogate]:
    """Return formula, forward and backward module in float64, number of channels, and surrogate."""
    module = _module(function, surrogate)
    if isinstance(module, SplitSign):
        f, g = _wide(module.f), _wide(module.g)
        name = f"forward: {_formula(f)}; backward: {_formula(g)}"
        return name, f, g, max(_channels(f), _channels(g)), module.surrogate
    wide = _wide(module)
    name = function.infix() if isinstance(function, Baseline) else _formula(wide)
    return name, wide, None, _channels(wide), surrogate


def _module(function: Drawn, surrogate: Surrogate) -> nn.Module:
    if isinstance(function, Individual):
        return Activation(function, 1)
    if isinstance(function, TwoTrees):
        return two_signs(function, 1, surrogate)
    if isinstance(function, Baseline):
        return LEARNING[function.name](1)
    if function is None:
        return nn.Identity()
    if not isinstance(function, nn.Module) or (
        isinstance(function, SignActivation) and not isinstance(function, SplitSign)
    ):
        raise GaafError(
            "a picture is of a candidate, of None for the plain sign, or of a module that returns f(x), got "
            f"{type(function).__name__}: pass the tree itself"
        )
    return function


def _wide(module: nn.Module) -> nn.Module:
    """Return a copy in float64 on the CPU, without compiled kernels: those cannot be copied, and are of float32."""
    kernels: dict[int, Any] = {id(part.kernel): None for part in module.modules() if hasattr(part, "kernel")}
    return copy.deepcopy(module, kernels).to("cpu", torch.float64)


def _channels(module: nn.Module) -> int:
    channels = getattr(module, "channels", None)
    return (
        channels
        if isinstance(channels, int)
        else max((parameter.numel() for parameter in module.parameters()), default=1)
    )


def _formula(module: nn.Module) -> str:
    if isinstance(module, nn.Identity):
        return "x"
    return formula(module.tree, module.pset) if isinstance(module, Activation) else type(module).__name__


def _positive(function: Callable[[Tensor], Tensor], x: Tensor, values: Tensor) -> tuple[tuple[float, float], ...]:
    """Return the intervals in which at least half of the channels have the sign +1."""

    def sign(rows: Tensor) -> Tensor:
        return (rows >= 0).double().mean(1) >= 0.5

    with torch.no_grad():
        signs = sign(values)
        before = (signs[1:] != signs[:-1]).nonzero()[:, 0]
        low, high, first = x[before], x[before + 1], signs[before]
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            same = sign(function(middle)) == first
            low, high = torch.where(same, middle, low), torch.where(same, high, middle)
        borders = [float(x[0])] * bool(signs[0]) + high.tolist() + [float(x[-1])] * bool(signs[-1])
    return tuple(zip(borders[::2], borders[1::2], strict=True))
