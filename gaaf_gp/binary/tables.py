"""A parameter-free f as two tables: the sign of f and its windowed derivative for every bfloat16 value.

A bfloat16 has 65,536 values, and binary layers need only the sign of f and its windowed derivative. Both are computed
once, in float32, and then looked up by the bits of the input. So every candidate costs the same, in forward and
backward, and one network serves all candidates by swapping tables.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from gaaf_gp.binary.binarize import Surrogate, binarize, check_floating
from gaaf_gp.binary.native import packed_table
from gaaf_gp.binary.signs import SignActivation
from gaaf_gp.errors import GaafError
from gaaf_gp.util.bfloat16 import VALUES, bfloat16_inputs
from gaaf_gp.util.devices import gradients


def _signs(table: Tensor, dtype: torch.dtype) -> Tensor:
    return table.to(dtype).mul_(2).sub_(1)


def _slopes(table: Tensor, dtype: torch.dtype) -> Tensor:
    return table.to(dtype)


def _look_up(
    table: Tensor, bits: Tensor, convert: Callable[[Tensor, torch.dtype], Tensor], dtype: torch.dtype
) -> Tensor:
    """Return ``convert(table, dtype)`` at ``bits``, in the shape and memory format of the dense int16 ``bits``.

    On a CPU, ``index_select`` on flat tensors is three to five times faster than torch's other look-ups.
    """
    index = bits.view(torch.uint16).to(torch.int32)
    lead = table.shape[:-1]
    if lead:
        rows = torch.arange(math.prod(lead), dtype=torch.int32, device=bits.device)
        index += VALUES * rows.view(*lead, *(1,) * (bits.dim() - len(lead)))
    order = sorted(range(index.dim()), key=index.stride, reverse=True)
    ordered = index.permute(order)
    flat, entries = ordered.reshape(-1), table.reshape(-1)
    if flat.numel() < entries.numel():
        values = convert(entries.index_select(0, flat), dtype)
    else:
        values = convert(entries, dtype).index_select(0, flat)
    return values.view(ordered.shape).permute([order.index(place) for place in range(index.dim())])


def _batched(
    operation: Any, size: int, dims: Sequence[int | None], data: Sequence[Tensor], tables: Sequence[Tensor]
) -> tuple[Any, int]:
    """Run ``operation(*data, *tables)`` for a batch; ``dims`` has the batch dimension of each, None for no batch.

    Returns its result, and the batch dimension of the result.
    """
    places = dims[len(data) :]
    if all(place is None for place in places):
        inner = tables[0].dim() - 1  # after the batch dimensions that the tables already have
        moved = [_moved(tensor, size, place, inner) for tensor, place in zip(data, dims, strict=False)]
        return operation.apply(*moved, *tables), inner
    moved = [_moved(tensor, size, place, 0) for tensor, place in zip((*data, *tables), dims, strict=True)]
    return operation.apply(*moved), 0


def _moved(tensor: Tensor, size: int, place: int | None, to: int) -> Tensor:
    if place is not None:
        return tensor.movedim(place, to)
    shape = list(tensor.shape)
    shape.insert(to, size)
    return tensor.unsqueeze(to).expand(shape)


class _Slope(torch.autograd.Function):
    """The backward pass, as a separate function so that it can be batched too."""

    @staticmethod
    def forward(gradient: Tensor, bits: Tensor, slope: Tensor) -> Tensor:
        slopes = _look_up(slope, bits, _slopes, gradient.dtype)
        # the backward pass of a hard shrinkage selects where a slope is not zero, vectorized, see binarize
        return cast(Tensor, torch.ops.aten.hardshrink_backward(gradient, slopes, 0)).mul_(slopes)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        pass

    @staticmethod
    def backward(_ctx: Any, *_gradients: Tensor) -> tuple[None, ...]:
        raise GaafError(
            "table_binarize has a first derivative only, got a second one asked for; leave create_graph out"
        )

    @staticmethod
    def vmap(
        info: Any, in_dims: Sequence[int | None], gradient: Tensor, bits: Tensor, slope: Tensor
    ) -> tuple[Any, Any]:
        return _batched(_Slope, info.batch_size, in_dims, (gradient, bits), (slope,))


class _TableBinarize(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor, sign: Tensor, _slope: Tensor) -> tuple[Tensor, Tensor]:
        bits = x.to(torch.bfloat16, copy=True).view(torch.int16)
        return _look_up(sign, bits, _signs, x.dtype), bits

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, Tensor]) -> None:
        bits = output[1]
        ctx.mark_non_differentiable(bits)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(bits, inputs[2])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor | None, _bits: None) -> tuple[Tensor | None, None, None]:
        if gradient is None:
            return None, None, None
        # transforms of torch.func, and a second derivative, which is refused, run with gradients on; the plain call is
        # cheaper for small layers
        scale = _Slope.apply if torch.is_grad_enabled() else _Slope.forward
        return cast(Tensor, scale(gradient, *ctx.saved_tensors)), None, None

    @staticmethod
    def vmap(info: Any, in_dims: Sequence[int | None], x: Tensor, sign: Tensor, slope: Tensor) -> tuple[Any, Any]:
        outputs, place = _batched(_TableBinarize, info.batch_size, in_dims, (x,), (sign, slope))
        return outputs, (place, place)


def table_binarize_raw(x: Tensor, sign: Tensor, slope: Tensor) -> Tensor:
    """Return :func:`table_binarize` of two raw tables, without checks.

    Under ``torch.func.vmap`` the tables may be batched, (candidates, 65536), and ``x`` with them, to compute many
    candidates at once, each with its own tables.
    """
    return cast(Tensor, _TableBinarize.apply(x, sign, slope)[0])  # type: ignore[no-untyped-call]


@dataclass(frozen=True, eq=False)
class SignTables:
    """The sign and the windowed derivative of f, indexed by the bits of a bfloat16 as an unsigned number.

    Attributes:
        sign: (65536,) bool, whether f(v) >= 0; False where f(v) is NaN.
        slope: (65536,) bfloat16, the surrogate derivative at f(v) times f'(v); exactly 0 where the surrogate is 0.
        surrogate: the surrogate that the slope holds.
    """

    sign: Tensor
    slope: Tensor
    surrogate: Surrogate

    @functools.cached_property
    def packed(self) -> Tensor:
        """Both tables as one, (65536,) int32, for compiled kernels; see :func:`~gaaf_gp.binary.native.packed_table`."""
        return packed_table(self.sign, self.slope)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out ``packed``, which is computed from the other two."""
        return {name: value for name, value in self.__dict__.items() if name != "packed"}

    def to(self, device: torch.device | str) -> SignTables:
        """Return the tables on ``device``."""
        return SignTables(self.sign.to(device), self.slope.to(device), self.surrogate)


def windowed_slope(values: Tensor, inputs: Tensor, surrogate: Surrogate) -> Tensor:
    """Return d sign(f)/dx as training uses it, element by element, in the shape and dtype of ``inputs``.

    Exactly 0 where the surrogate is 0, also where f' is infinite or NaN; elsewhere what autograd gives.

    Args:
        values: f(inputs), with its graph if it has one.
        inputs: the inputs of f; each value depends on one input.
        surrogate: the surrogate of the sign.
    """
    if not values.requires_grad:
        return torch.zeros_like(inputs)
    signs = binarize(values, surrogate).sum()  # a sum, because torch loads sympy to look at a gradient that it is given
    (slope,) = torch.autograd.grad(signs, inputs, allow_unused=True, materialize_grads=True)
    return slope.masked_fill(surrogate.derivative(values) == 0, 0.0)


@gradients()
def tabulate(function: Callable[[Tensor], Tensor], surrogate: Surrogate) -> SignTables:
    """Return the tables of ``function``, computed in float32 on the CPU and rounded once.

    Args:
        function: f, element by element; it takes (65536, 1) float32 and returns that shape, or a single value.
        surrogate: the surrogate gradient of the sign.

    Raises:
        GaafError: it is a module with parameters, or returns another shape.
    """
    if isinstance(function, nn.Module) and any(True for _ in function.parameters()):
        names = ", ".join(name for name, _ in function.named_parameters())
        raise GaafError(
            f"tables hold functions without parameters, got a module with {names}; call binarize(f(x), surrogate) for "
            "functions that learn"
        )
    inputs = bfloat16_inputs().clone().requires_grad_()
    values = function(inputs)
    if values.shape != inputs.shape:
        if values.numel() != 1:
            raise GaafError(
                f"a function for tables must keep the shape of its input, got {tuple(values.shape)} from "
                f"{tuple(inputs.shape)}; use a function of single values"
            )
        values = values.expand_as(inputs)
    slope = windowed_slope(values, inputs, surrogate)
    return SignTables((values.detach() >= 0).flatten(), slope.to(torch.bfloat16).flatten(), surrogate)


def table_binarize(x: Tensor, tables: SignTables) -> Tensor:
    """Return sign(f(x)) as +1 and -1, ``x`` rounded to bfloat16, differentiable through the tabulated slope.

    Backward is the incoming gradient times the slope, and exactly zero where the slope is, whatever comes in. Two bytes
    per value are kept for it. There is no second derivative.

    Args:
        x: floating-point tensor of any shape and memory format, on the device of the tables.
        tables: of f, see :func:`tabulate`.

    Returns:
        A tensor of the shape, dtype and memory format of ``x``.

    Raises:
        GaafError: ``x`` is not floating point.
    """
    check_floating("the input of table_binarize", x)
    return table_binarize_raw(x, tables.sign, tables.slope)


def _versions(*tensors: Tensor) -> list[int]:
    """Return how often each was changed in place; tensors of inference mode have no count and give 0."""
    return [0 if tensor.is_inference() else tensor._version for tensor in tensors]


FORMULA = "formula"
"""In the metadata of a state, the formula of the tables."""


class TableActivation(SignActivation):
    """sign(f(x)) from tables; a binary layer calls it instead of ``binarize(f(x))``.

    Forward y = sign(f(v)), backward dy/dx = slope(v), where v is x rounded to bfloat16; see :func:`table_binarize`.

    Input: floating, of any shape and memory format, on the device of the tables. Output: the same.

    The tables are buffers ``sign`` and ``slope`` that move with the module. They are not in its state dict, because
    they are computed from f and not learned.

    Args:
        tables: the tables of f.
        formula: text of f, shown by ``repr``.
    """

    sign: Tensor
    slope: Tensor

    def __init__(self, tables: SignTables, formula: str = "f(x)") -> None:
        super().__init__()
        self.register_buffer("sign", tables.sign, persistent=False)
        self.register_buffer("slope", tables.slope, persistent=False)
        self.surrogate = tables.surrogate
        self.formula = formula
        self._tables, self._seen = tables, _versions(tables.sign, tables.slope)

    @property
    def packed(self) -> Tensor:
        """``sign`` and ``slope`` as one table for the compiled kernels, made once while they stay the same."""
        now = _versions(self.sign, self.slope)
        if self._tables.sign is not self.sign or self._tables.slope is not self.slope or now != self._seen:
            self._tables, self._seen = SignTables(self.sign, self.slope, self.surrogate), now  # another candidate's
        return self._tables.packed

    def forward(self, x: Tensor) -> Tensor:
        """Return +1 and -1 in the shape, dtype and memory format of ``x``; see :func:`table_binarize`."""
        return table_binarize_raw(x, self.sign, self.slope)

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        getattr(destination, "_metadata", {}).setdefault(prefix[:-1], {})[FORMULA] = self.formula

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, metadata: Any, *args: Any) -> None:
        """Refuse the state of tables of another formula."""
        if metadata.get(FORMULA, self.formula) != self.formula:
            raise GaafError(
                f"the state of an activation must be that of its own formula {self.formula!r}, got that of "
                f"{metadata[FORMULA]!r}: make the network with the activation whose state it is"
            )
        super()._load_from_state_dict(state_dict, prefix, metadata, *args)

    def extra_repr(self) -> str:
        """Show the formula and the surrogate."""
        return f"{self.formula}, surrogate={self.surrogate}"
