"""Look-ups in tables of all bfloat16 values, forward and backward, and for many tables at once under ``vmap``."""

import math
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor

from gaaf_gp.errors import GaafError

VALUES = 1 << 16
"""How many bfloat16 values there are, NaN and infinities included."""


def _signs(table: Tensor, dtype: torch.dtype) -> Tensor:
    return table.to(dtype).mul_(2).sub_(1)


def _slopes(table: Tensor, dtype: torch.dtype) -> Tensor:
    return table.to(dtype)


def _look_up(
    table: Tensor, bits: Tensor, convert: Callable[[Tensor, torch.dtype], Tensor], dtype: torch.dtype
) -> Tensor:
    """Return ``convert(table, dtype)`` at ``bits``, in the shape and memory format of the dense int16 ``bits``.

    Of torch's look-ups ``index_select`` on flat tensors is the fastest on a CPU, three to five times.
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
        found = convert(entries.index_select(0, flat), dtype)
    else:
        found = convert(entries, dtype).index_select(0, flat)
    return found.view(ordered.shape).permute([order.index(place) for place in range(index.dim())])


def _batched(
    operation: Any, size: int, dims: Sequence[int | None], data: Sequence[Tensor], tables: Sequence[Tensor]
) -> tuple[Any, int]:
    """Run ``operation(*data, *tables)`` for a batch; ``dims`` say where it stands in each, None for nowhere.

    Returns what it returns, and the dimension in which the batch stands there.
    """
    places = dims[len(data) :]
    if all(place is None for place in places):
        inner = tables[0].dim() - 1  # behind the batches of tables that are there already
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
    """The backward pass, a function of its own so that it can be batched too."""

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
    """Return what :func:`table_binarize` does, for the two tables as they are, unchecked.

    Under ``torch.func.vmap`` the tables may be batched, (candidates, 65536), and ``x`` with them: many candidates at
    once, each with its own tables.
    """
    return cast(Tensor, _TableBinarize.apply(x, sign, slope)[0])  # type: ignore[no-untyped-call]
