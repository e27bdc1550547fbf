"""A function of tensors, element by element, as C expressions of its value and its gradients.

torch traces the function together with its backward pass; what remains is a list of elementary operations, and each is
written down as one line of C. A function with an operation that is not in the list below has no such form.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx
from torch._decomp import core_aten_decompositions
from torch.fx.experimental.proxy_tensor import make_fx

_OPERATIONS = {
    "abs": "fabsf({0})",
    "acos": "acosf({0})",
    "acosh": "acoshf({0})",
    "add": "({0} + {1})",
    "asin": "asinf({0})",
    "asinh": "asinhf({0})",
    "atan": "atanf({0})",
    "atan2": "atan2f({0}, {1})",
    "atanh": "atanhf({0})",
    "bitwise_and": "({0} && {1})",
    "bitwise_not": "(!{0})",
    "bitwise_or": "({0} || {1})",
    "ceil": "ceilf({0})",
    "clamp": "clamped({0}, {1}, {2})",
    "copy_": "{1}",
    "cos": "cosf({0})",
    "cosh": "coshf({0})",
    "div": "({0} / {1})",
    "eq": "({0} == {1})",
    "erf": "erff({0})",
    "erfc": "erfcf({0})",
    "exp": "expf({0})",
    "exp2": "exp2f({0})",
    "expm1": "expm1f({0})",
    "floor": "floorf({0})",
    "full_like": "{1}",
    "ge": "({0} >= {1})",
    "gt": "({0} > {1})",
    "isnan": "({0} != {0})",
    "le": "({0} <= {1})",
    "log": "logf({0})",
    "log10": "log10f({0})",
    "log1p": "log1pf({0})",
    "log2": "log2f({0})",
    "logical_and": "({0} && {1})",
    "logical_not": "(!{0})",
    "logical_or": "({0} || {1})",
    "lt": "({0} < {1})",
    "maximum": "larger({0}, {1})",
    "minimum": "smaller({0}, {1})",
    "mul": "({0} * {1})",
    "ne": "({0} != {1})",
    "neg": "(-{0})",
    "pow": "power({0}, {1})",
    "reciprocal": "(1.0f / {0})",
    "relu": "larger({0}, 0.0f)",
    "rsqrt": "(1.0f / sqrtf({0}))",
    "scalar_tensor": "{0}",
    "sigmoid": "(1.0f / (1.0f + expf(-{0})))",
    "sign": "sign({0})",
    "sgn": "sign({0})",
    "sin": "sinf({0})",
    "sinh": "sinhf({0})",
    "sqrt": "sqrtf({0})",
    "sub": "({0} - {1})",
    "tan": "tanf({0})",
    "tanh": "tanhf({0})",
    "trunc": "truncf({0})",
    "where": "({0} ? {1} : {2})",
    "zeros_like": "0.0f",
    "ones_like": "1.0f",
}
_SAME = {"alias", "clone", "contiguous", "detach", "expand", "lift_fresh_copy", "view", "_to_copy"}
_TRUTH = {"eq", "ne", "lt", "le", "gt", "ge", "isnan"} | {
    f"{kind}_{name}" for kind in ("logical", "bitwise") for name in ("and", "or", "not")
}


class NotElementary(Exception):  # noqa: N818  an answer, not an error
    """A function that has no form in C; the message names what is missing."""


@dataclass(frozen=True)
class Expressions:
    """Lines of C that compute from ``x``, the gradient ``g`` and the vectors ``s0``, ``s1``, ... what the names hold.

    Attributes:
        forward: declarations that f(x) needs, in order.
        backward: those that follow.
        value: name of f(x).
        gradients: names of g df/dx, g df/ds0, g df/ds1, ...
    """

    forward: tuple[str, ...]
    backward: tuple[str, ...]
    value: str
    gradients: tuple[str, ...]


def expressions(function: Callable[..., Tensor], vectors: int) -> Expressions:
    """Return ``function(x, s0, s1, ...)`` and its gradients as C.

    Args:
        function: element by element, of tensors of one shape, or of one that broadcasts to it.
        vectors: how many arguments it takes beside x.

    Raises:
        NotElementary: an operation in it has no form in C, or depends on more than one element.
    """

    def joint(x: Tensor, gradient: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        value, pull, *_ = torch.func.vjp(lambda *inputs: function(*inputs).expand_as(x), x, *others)
        return (value, *pull(gradient))

    examples = [torch.linspace(0.1, 0.9, 4) + 0.01 * place for place in range(2 + vectors)]
    with torch.enable_grad():
        traced = make_fx(joint, decomposition_table=dict(core_aten_decompositions().items()))(*examples)
    names = iter(["x", "g", *(f"s{place}" for place in range(vectors))])
    written = _Writer()
    for node in traced.graph.nodes:
        if node.op == "placeholder":
            written.names[node] = next(names)
        elif node.op == "output":
            value, *gradients = (written.argument(one) for one in node.args[0])
            first = int(value[1:]) + 1 if value.startswith("v") else 0
            lines = tuple(written.lines)
            return Expressions(lines[:first], lines[first:], value, tuple(gradients))
        else:
            written.line(node, traced)
    raise NotElementary("nothing is returned")


class _Writer:
    def __init__(self) -> None:
        self.names: dict[fx.Node, str] = {}
        self.lines: list[str] = []

    def line(self, node: fx.Node, traced: fx.GraphModule) -> None:
        if node.op == "get_attr":
            self.names[node] = _number(getattr(traced, str(node.target)))
            return
        packet = getattr(node.target, "overloadpacket", None)
        name = "" if packet is None else packet.__name__
        value = node.meta.get("val")
        if isinstance(value, Tensor) and value.shape not in ((4,), ()):
            raise NotElementary(f"{name or node.target} makes a tensor of shape {tuple(value.shape)}")
        if name in _SAME:
            self.names[node] = self.argument(node.args[0])
            return
        if name not in _OPERATIONS or node.kwargs.get("alpha", 1) != 1:
            raise NotElementary(f"{node.target} has no form in C")
        arguments = [self.argument(one) for one in node.args]
        if name == "clamp":
            arguments += ["-INFINITY", "INFINITY"][len(arguments) - 1 :]
            arguments = [
                ("-INFINITY", "INFINITY")[place - 1] if one == "" else one for place, one in enumerate(arguments)
            ]
        if name == "div" and node.kwargs.get("rounding_mode") is not None:
            raise NotElementary("a division that rounds has no form in C")
        self.names[node] = f"v{len(self.lines)}"
        kind = "int" if name in _TRUTH else "float"
        self.lines.append(f"const {kind} {self.names[node]} = {_OPERATIONS[name].format(*arguments)};")

    def argument(self, value: Any) -> str:
        if isinstance(value, fx.Node):
            return self.names[value]
        if value is None:
            return ""
        if isinstance(value, Sequence):
            return "0"  # a shape
        return _number(value)


def _number(value: Any) -> str:
    if isinstance(value, Tensor) and value.numel() != 1:
        raise NotElementary("a constant tensor has no form in C")
    number = float(value)
    if math.isnan(number):
        return "NAN"
    if math.isinf(number):
        return "INFINITY" if number > 0 else "(-INFINITY)"
    return f"({number!r}f)" if "e" in repr(number) or "." in repr(number) else f"({number!r}.0f)"
