"""Recording the elementary operations of a function of tensors, and of its gradients, element by element.

A dispatch mode of torch records every operation, forward and backward, on a few example values. Composite operations
are decomposed first. A function with an operation that ``elementwise.c`` does not have cannot be recorded.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch._decomp import core_aten_decompositions
from torch.utils._python_dispatch import TorchDispatchMode

from gaaf_gp.util.devices import gradients

_EXAMPLES = 4
"""Elements of each example tensor; a tensor of another size, except a single number, is not element by element."""
_SAME = {"alias", "clone", "contiguous", "detach", "expand", "lift_fresh", "lift_fresh_copy", "view", "_to_copy", "to"}
_NOTHING = float("nan")
_FILLED: dict[str, int | float] = {
    "empty_like": _NOTHING, "empty_permuted": _NOTHING, "fill": 1, "full": 1, "full_like": 1, "new_full": 2,
    "ones_like": 1.0, "scalar_tensor": 0, "zeros_like": 0.0,
}  # fmt: skip
"""Operations that make a constant: the index of its value among the arguments (int), or the value itself (float)."""
_NAMES = {
    "bitwise_and": "both", "bitwise_not": "no", "bitwise_or": "either", "logical_and": "both", "logical_not": "no",
    "logical_or": "either", "sgn": "sign",
}  # fmt: skip
_PLAIN = {
    "abs", "acos", "acosh", "add", "asin", "asinh", "atan", "atan2", "atanh", "ceil", "cos", "cosh", "div", "eq", "erf",
    "erfc", "exp", "exp2", "expm1", "floor", "ge", "gt", "isnan", "le", "log", "log10", "log1p", "log2", "lt",
    "maximum", "minimum", "mul", "ne", "neg", "pow", "reciprocal", "relu", "rsqrt", "sigmoid", "sigmoid_backward",
    "sign", "sin", "sinh", "sqrt", "sub", "tan", "tanh", "tanh_backward", "threshold_backward", "trunc", "where",
    *_NAMES,
}  # fmt: skip
_SPECIAL = {"clamp", "clamp_max", "clamp_min", "copy", "masked_fill", "rsub"}
_POWERS = {-1.0: "reciprocal", 0.5: "sqrt", 1.0: "copy", 2.0: "square", 3.0: "cube"}


class NotElementary(Exception):  # noqa: N818  an answer, not an error
    """A function that cannot be a program; the message names the reason."""


@dataclass(frozen=True)
class Operation:
    """One step: ``result`` is the number of the value that it makes, the arguments are such numbers or constants.

    Attributes:
        name: of the operation in ``elementwise.c``.
        result: number of the value.
        arguments: numbers of values (int), or constants (float).
    """

    name: str
    result: int
    arguments: tuple[int | float, ...]


@dataclass(frozen=True)
class Trace:
    """The steps of a function; value 0 is x, 1 the gradient of f(x), 2 and on the vectors.

    Attributes:
        forward: steps that f(x) needs, in order.
        backward: all others, which follow.
        value: f(x), by its number, or a constant.
        gradients: those of x and of each vector, likewise.
    """

    forward: tuple[Operation, ...]
    backward: tuple[Operation, ...]
    value: int | float
    gradients: tuple[int | float, ...]


@gradients()
def trace(function: Callable[..., Tensor], vectors: int) -> Trace:
    """Return the steps of ``function(x, s0, s1, ...)`` and of its gradients.

    Args:
        function: element by element, of tensors of one shape, or of shapes that broadcast to it.
        vectors: number of its arguments besides x.

    Raises:
        NotElementary: an operation in it is unknown here, or depends on more than one element.
    """
    examples = [torch.linspace(0.1, 0.9, _EXAMPLES) + 0.01 * place for place in range(2 + vectors)]
    gradient = examples.pop(1)
    leaves = [example.requires_grad_() for example in examples]
    with _Recorder([leaves[0], gradient, *leaves[1:]]) as recorder:
        value = function(*leaves).expand_as(leaves[0])
        made = len(recorder.steps)
        gradients: Sequence[Tensor | None] = [None] * len(leaves)
        if value.requires_grad:
            gradients = torch.autograd.grad(value, leaves, gradient, allow_unused=True)
    gradient_numbers = tuple(0.0 if gradient is None else recorder.number(gradient) for gradient in gradients)
    result, steps = recorder.number(value), recorder.steps
    needed = _needed(steps[:made], result)
    forward = [step for step in steps[:made] if step.result in needed]
    rest = [step for step in steps[:made] if step.result not in needed]
    return Trace(tuple(forward), (*rest, *steps[made:]), result, gradient_numbers)


def _needed(steps: Sequence[Operation], value: int | float) -> set[int | float]:
    """Return all values on which ``value`` depends; others are needed by gradients only."""
    needed = {value}
    for step in reversed(steps):
        if step.result in needed:
            needed.update(step.arguments)
    return needed


class _Recorder(TorchDispatchMode):
    """Records every operation. Tensors are identified by the address of their numbers: torch makes new objects."""

    def __init__(self, inputs: Sequence[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.steps: list[Operation] = []
        self._kept: list[Any] = [*inputs]  # memory that is given back would be given out again
        self._numbers: dict[int, int | float] = {tensor.data_ptr(): place for place, tensor in enumerate(inputs)}
        self._next = len(inputs)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        if name.removesuffix("_") not in _KNOWN and (parts := _decompositions().get(func)) is not None:
            with self:
                result = parts(*args, **kwargs)
            if result is not NotImplemented:
                return result
        result = func(*args, **kwargs)
        self._kept.append((args, result))
        self._note(name.removesuffix("_"), args, kwargs, result)
        return result

    def number(self, value: Any) -> int | float:
        """Return the number of a value, or the constant that it is."""
        if not isinstance(value, Tensor):
            return float(value)
        if value.data_ptr() in self._numbers:
            return self._numbers[value.data_ptr()]
        if value.numel() != 1:
            raise NotElementary("a constant tensor has no form as a program")
        return float(value)

    def _note(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], result: Any) -> None:
        if not isinstance(result, Tensor) or result.shape not in ((_EXAMPLES,), ()):
            shape = tuple(result.shape) if isinstance(result, Tensor) else "none"
            raise NotElementary(f"{name} makes a tensor of shape {shape}")
        if name not in _KNOWN:
            raise NotElementary(f"{name} has no form as a program")
        if result.dtype not in (torch.float32, torch.bool):
            raise NotElementary(f"{name} makes {result.dtype}, and programs know float32 only")
        if name in _SAME:
            self._numbers[result.data_ptr()] = self.number(args[0])
        elif name in _FILLED:
            place = _FILLED[name]
            self._numbers[result.data_ptr()] = float(args[place]) if isinstance(place, int) else place
        else:
            self._numbers[result.data_ptr()] = self._step(*self._written(name, args, kwargs))

    def _written(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[str, list[Any]]:
        """Return the name and the arguments by which ``elementwise.c`` knows an operation."""
        if kwargs.get("alpha", 1) != 1 or kwargs.get("rounding_mode") is not None:
            raise NotElementary(f"{name} with {dict(kwargs)} has no form as a program")
        given = [*args]
        if name in ("clamp", "clamp_max", "clamp_min"):
            low, high = ((*given[1:], None)[:2]) if name != "clamp_max" else (None, given[1])
            low, high = kwargs.get("min", low), kwargs.get("max", high)
            unbounded = float("inf")
            return "clamp", [given[0], -unbounded if low is None else low, unbounded if high is None else high]
        if name == "masked_fill":
            return "where", [given[1], given[2], given[0]]
        if name == "copy":
            return "copy", [given[1]]
        if name == "rsub":
            return "sub", [given[1], given[0]]
        if name == "pow" and not isinstance(given[1], Tensor) and float(given[1]) in _POWERS:
            return _POWERS[float(given[1])], given[:1]
        return _NAMES.get(name, name), given

    def _step(self, name: str, args: Sequence[Any]) -> int:
        self.steps.append(Operation(name, self._next, tuple(self.number(one) for one in args)))
        self._next += 1
        return self._next - 1


_KNOWN = _SAME | set(_FILLED) | _PLAIN | _SPECIAL


@functools.cache
def _decompositions() -> dict[Any, Callable[..., Any]]:
    """Return what is composed of others; the first use of one takes a second, and few functions need any."""
    return dict(core_aten_decompositions().items())
