"""Activations that return signs themselves: a binary layer calls them instead of ``binarize(f(x))``.

The forward and the backward pass may then use different functions: sign(f(x)), and the windowed derivative of g.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from gaaf_gp.binary.binarize import Surrogate, binarize
from gaaf_gp.errors import GaafError


class SignActivation(nn.Module):
    """Base class of activations that return signs, +1 and -1, with their own surrogate gradient.

    y = sign(f(x)), +1 where f(x) = 0. A binary layer uses the result without binarizing it again.

    Input: floating (N, C, ...). Output: the same shape and dtype.

    Attributes:
        surrogate: the surrogate of the gradient; a layer accepts only activations with the layer's surrogate.
    """

    surrogate: Surrogate


class SplitSign(SignActivation):
    """sign(f(x)), with the windowed derivative of g instead of that of f.

    The gradient of x comes from g alone: it is the incoming gradient times the surrogate derivative at g(x) times
    g'(x). Parameters of ``f`` get the gradient of ``binarize(f(x))``, parameters of ``g`` that of ``binarize(g(x))``.
    If no gradients are needed, g is not computed.

    Input: floating, of the shape that f and g take. Output: the same shape and dtype.

    Attributes:
        f: the forward function.
        g: the backward function.
        kernel: both as one :class:`gaaf_gp.binary.native.Program` made of :func:`split`, which layers with compiled
            kernels then run; None by default.

    Args:
        f: a module that keeps the shape of its input.
        g: a module that keeps the shape of its input.
        surrogate: the surrogate of the sign, for both.

    Raises:
        GaafError: in ``forward``, f and g return different shapes.
    """

    def __init__(self, f: nn.Module, g: nn.Module, surrogate: Surrogate) -> None:
        super().__init__()
        self.f = f
        self.g = g
        self.surrogate = surrogate
        self.kernel: object | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Return +1 and -1 in the shape and dtype of ``x``.

        Raises:
            GaafError: f and g return different shapes.
        """
        signs = binarize(self.f(x.detach()), self.surrogate)
        if not torch.is_grad_enabled():
            return signs
        through = binarize(self.g(x), self.surrogate)
        if signs.shape != through.shape:
            raise GaafError(
                f"the forward and the backward function must keep the shape of their input, got {tuple(signs.shape)} "
                f"and {tuple(through.shape)} from {tuple(x.shape)}; use functions of single values and channels"
            )
        return cast(Tensor, _Joined.apply(signs, through))  # type: ignore[no-untyped-call]

    def extra_repr(self) -> str:
        """Show the surrogate."""
        return f"surrogate={self.surrogate}"


def split(
    f: Callable[..., Tensor], g: Callable[..., Tensor], forward_vectors: int, window: float
) -> Callable[..., Tensor]:
    """Return :class:`SplitSign` with the clipped surrogate as one function that returns f(x), for the compiled kernels.

    Its gradients already include the window. Where abs(f(x)) <= window, the incoming gradient goes to the vectors of f
    (and not to x); where abs(g(x)) <= window, it goes to g.

    Args:
        f: a function of x and its vectors, element by element.
        g: likewise.
        forward_vectors: number of vectors of f; the vectors of g follow them.
        window: the window of the clipped surrogate.
    """

    def both(x: Tensor, *vectors: Tensor) -> Tensor:
        forward = f(x.detach(), *vectors[:forward_vectors]).expand_as(x)
        backward = g(x, *vectors[forward_vectors:]).expand_as(x)
        return cast(Tensor, _Windowed.apply(forward, backward, window))  # type: ignore[no-untyped-call]

    return both


class _Joined(torch.autograd.Function):
    """Returns its first argument; both arguments get the incoming gradient."""

    @staticmethod
    def forward(_ctx: Any, signs: Tensor, _through: Tensor) -> Tensor:
        return signs.view_as(signs)

    @staticmethod
    def backward(_ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        return gradients[0], gradients[0]


class _Windowed(torch.autograd.Function):
    """Returns its first argument; each argument gets the incoming gradient where its value is within the window."""

    @staticmethod
    def forward(ctx: Any, forward: Tensor, backward: Tensor, window: float) -> Tensor:
        ctx.window = window
        ctx.save_for_backward(forward, backward)
        return forward.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        forward, backward = (
            torch.where(values.abs() <= ctx.window, gradient, torch.zeros_like(gradient))
            for values in ctx.saved_tensors
        )
        return forward, backward, None
