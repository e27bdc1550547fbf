"""The sign of a binary network, and the surrogate gradients that replace its derivative.

The derivative of the sign is zero almost everywhere, so training replaces it by a surrogate g(x) inside a window
|x| <= window, and by zero outside: the straight-through estimator and its relatives. The forward pass does not depend
on the surrogate.

Every layer of every candidate calls these functions. On a CPU ``torch.where`` and boolean masks are ten times slower
than the arithmetic below, which uses only operations that torch vectorizes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gaaf_gp.errors import GaafError, listed
from gaaf_gp.util.checks import positive_number

WINDOW = 1.3
"""The window of the paper's networks, for the sign of inputs (in units of f(x)) and of weights (in theirs)."""


def _clipped(size: Tensor, _window: float, _sharpness: float) -> Tensor:
    return torch.ones_like(size)


def _triangle(size: Tensor, window: float, _sharpness: float) -> Tensor:
    # rounding may put 2|x|/window a little above 2 at the edge: the slope must not turn negative there
    return (2 - 2 / window * size).clamp_(min=0)


def _swish(size: Tensor, _window: float, sharpness: float) -> Tensor:
    # with e = exp(-|z|): 1 + cosh(z) = (1 + e)^2 / (2 e) and tanh(z/2) = (1 - e) / (1 + e), which cannot overflow;
    # beyond |z| = 1000 e is zero in every dtype, and the bound keeps infinity times zero out
    z = (sharpness * size).clamp_(max=1000.0)
    e = torch.exp(-z)
    total = 1 + e
    return z.mul_(1 - e).div_(total).sub_(2).mul_(e).div_(total.square_()).mul_(-2 * sharpness)


def _tanh(size: Tensor, _window: float, sharpness: float) -> Tensor:
    # max(1/t, 1) * t is max(1, t)
    return max(1.0, sharpness) * (1 - torch.tanh(sharpness * size).square_())


class _Shape(NamedTuple):
    slope: Callable[[Tensor, float, float], Tensor]  # of |x|, window, sharpness; every surrogate is even
    sharpness: float | None = None  # the default, None where the shape has no sharpness
    unbounded: bool = True  # whether the window may be infinite


_SHAPES = {
    "clipped": _Shape(_clipped),
    "triangle": _Shape(_triangle, unbounded=False),
    "swish": _Shape(_swish, sharpness=5.0),
    "tanh": _Shape(_tanh, sharpness=1.0),
}

SURROGATES: tuple[str, ...] = tuple(_SHAPES)
"""Names of the surrogate gradients: clipped, triangle, swish, tanh."""


@dataclass(frozen=True)
class Surrogate:
    """A surrogate derivative g of the sign, zero where |x| > window.

    With b and t for the sharpness, inside the window:

    - ``clipped``: 1, the clipped straight-through estimator.
    - ``triangle``: 2 - 2|x|/window (Bi-Real Net, Liu et al. 2018, has window 1).
    - ``swish``: b (2 - b x tanh(b x/2)) / (1 + cosh(b x)), the SignSwish of BNN+ (Darabi et al. 2018); b is 5 by
      default.
    - ``tanh``: max(1/t, 1) t (1 - tanh(t x)^2), the error decay estimator of IR-Net (Qin et al. 2020); t is 1 by
      default.

    Attributes:
        name: one of :data:`SURROGATES`.
        window: above 0, in units of x, compared in the precision of x; ``math.inf`` for no window, except for triangle.
        sharpness: finite and above 0, for swish and tanh only; None takes the default.

    Raises:
        GaafError: an unknown name, a window or a sharpness out of its range, a sharpness where there is none.
    """

    name: str
    window: float = WINDOW
    sharpness: float | None = None

    def __post_init__(self) -> None:
        shape = _SHAPES.get(self.name) if isinstance(self.name, str) else None
        if shape is None:
            known = listed(SURROGATES)
            raise GaafError(f"surrogate must be a known name, got {self.name!r}; known: {known}; choose one of them")
        window = float(positive_number("window", self.window, finite=not shape.unbounded))
        sharpness = shape.sharpness
        if self.sharpness is not None:
            if sharpness is None:
                takers = listed(name for name, shape_of_name in _SHAPES.items() if shape_of_name.sharpness is not None)
                raise GaafError(
                    f"surrogate {self.name} has no sharpness, got {self.sharpness!r}; {takers} have one; leave it out"
                )
            sharpness = float(positive_number("sharpness", self.sharpness, finite=True))
        object.__setattr__(self, "window", window)
        object.__setattr__(self, "sharpness", sharpness)

    def inside(self, x: Tensor) -> Tensor:
        """Return 1 where |x| <= window and 0 elsewhere (NaN included), in the shape and dtype of ``x``."""
        return x.detach().abs().le_(self.window)

    def derivative(self, x: Tensor) -> Tensor:
        """Return g(x) in the shape and dtype of the floating-point ``x``; it is never NaN, and 0 where ``x`` is NaN."""
        size = x.detach().abs()
        # 1 - tanh^2 loses all its digits in half precision
        wide = size.float() if size.dtype.itemsize < 4 else size
        slope = _SHAPES[self.name].slope(wide, self.window, self.sharpness or 0.0).to(x.dtype)
        return _keep(slope, self.inside(x))

    def __str__(self) -> str:
        sharp = "" if self.sharpness is None else f", sharpness={self.sharpness:g}"
        return f"{self.name}(window={self.window:g}{sharp})"


def _keep(values: Tensor, where: Tensor) -> Tensor:
    """Return ``values`` where ``where`` is above 0, and exact zeros elsewhere.

    A product with a mask would turn infinite values into NaN at the places that must be zero. The backward pass of a
    threshold selects instead, and unlike ``torch.where`` it is vectorized on a CPU.
    """
    return cast(Tensor, torch.ops.aten.threshold_backward(values, where, 0))


def _sign(x: Tensor) -> Tensor:
    return x.detach().clone().ge_(0).mul_(2).sub_(1)


class _Binarize(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, surrogate: Surrogate) -> Tensor:
        ctx.surrogate = surrogate
        # a bool per value is all that a slope of one needs; the other slopes are functions of x
        flat = surrogate.name == "clipped"
        ctx.save_for_backward(surrogate.inside(x).to(torch.bool) if flat else x)
        return _sign(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (saved,) = ctx.saved_tensors
        if saved.dtype == torch.bool:
            # numbers are widened in vectors, bools are not
            return _keep(gradient, saved.view(torch.uint8).to(gradient.dtype)), None
        slope = ctx.surrogate.derivative(saved)
        return _keep(gradient * slope, slope.abs()), None


def check_floating(name: str, x: object) -> None:
    """Refuse what is no floating-point tensor.

    Raises:
        GaafError: ``x`` is none; ``name`` says what it is for.
    """
    if not isinstance(x, Tensor):
        raise GaafError(f"{name} must be a floating-point tensor, got {type(x).__name__}; pass torch.as_tensor(x)")
    if not x.is_floating_point():
        raise GaafError(f"{name} must be a floating-point tensor, got {x.dtype}; convert it first, as with x.float()")


def binarize(
    x: Tensor, surrogate: str | Surrogate = "clipped", window: float = 1.0, sharpness: float | None = None
) -> Tensor:
    """Return the sign of ``x`` as +1 and -1, differentiable through a surrogate gradient.

    Forward is +1 where x >= 0, so +1 for both zeros, and -1 elsewhere. NaN becomes -1 and gets a zero gradient, so a
    candidate that produces NaN must be found by looking at x itself. Backward is the incoming gradient times the
    surrogate derivative g(x) of :class:`Surrogate`. Where g(x) is zero the gradient is exactly zero, whatever comes in,
    infinity and NaN too. There is no second derivative.

    Args:
        x: floating-point tensor of any shape and memory format.
        surrogate: one of :data:`SURROGATES`, or a :class:`Surrogate`, which is validated once and brings its own window
            and sharpness: give that in a loop.
        window: see :class:`Surrogate`.
        sharpness: see :class:`Surrogate`.

    Returns:
        A tensor of the shape, dtype, device and memory format of ``x``.

    Raises:
        GaafError: ``x`` is not floating point, the surrogate is not valid, or a window or sharpness comes beside a
            :class:`Surrogate`.
    """
    if not isinstance(surrogate, Surrogate):
        surrogate = Surrogate(surrogate, window, sharpness)
    elif window != 1.0 or sharpness is not None:
        raise GaafError(
            f"a Surrogate brings its own window and sharpness, got window={window!r}, sharpness={sharpness!r} beside "
            f"{surrogate}; set them in the Surrogate"
        )
    check_floating("the input of binarize", x)
    if x.requires_grad and torch.is_grad_enabled():
        return cast(Tensor, _Binarize.apply(x, surrogate))  # type: ignore[no-untyped-call]
    return _sign(x)
