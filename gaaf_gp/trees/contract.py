"""The contract of a primitive: its value at a place depends on its arguments at that place alone.

A cache of records, tables of values, simplification and a seed that repeats a run all rely on it. So a function is
refused that draws at random, remembers something, learns behind the back of training, or looks at other images,
channels or positions. :mod:`gaaf_gp.trees.primitive` holds the rules of a single call.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import NoReturn

import torch
from torch import Tensor, nn

from gaaf_gp.errors import GaafError, listed
from gaaf_gp.trees.holdings import held, state_of
from gaaf_gp.types import Feature, Scalar, kind_of
from gaaf_gp.util.randomness import undisturbed

SHAPE = (4, 4, 2, 2)
"""Of the inputs: batch, channels, and two dimensions of positions."""
HALVES = {
    1: (),
    2: (slice(0, 1), slice(1, 2)),
    4: (slice(0, 2), slice(2, 4), slice(0, None, 2), slice(1, None, 2)),
}
"""Size of an axis -> halves such that any two places are parted by one of them, both ways."""
AXES = ("image", "channel", "position", "position")
FAR = 1e4
TOLERANCE = 1e-3
"""Relative and absolute: torch computes a few values by other code than many, which may round differently."""

Compute = Callable[[Sequence[Tensor]], Tensor]
"""A call of the primitive, which refuses a result of a wrong shape or dtype."""


def check_holdings(name: str, function: Callable[..., Tensor]) -> None:
    """Refuse a function that holds a parameter, which no training would change.

    Raises:
        GaafError: saying where it is and what to do instead.
    """
    for path, value in held(function):
        if isinstance(value, nn.Parameter) or (isinstance(value, Tensor) and value.requires_grad):
            _refuse_learning(name, path)


def check_contract(
    name: str, function: Callable[..., Tensor], in_types: Sequence[type], learnable: Sequence[float], compute: Compute
) -> None:
    """Refuse a function whose value does not depend on its arguments at each place alone.

    Args:
        name: of the primitive, for messages.
        function: itself.
        in_types: marker types of its arguments.
        learnable: initial values of the vectors that it takes after them.
        compute: calls it.

    Raises:
        GaafError: naming the rule that it breaks and the fix.
    """
    arguments = _arguments(in_types, learnable)
    with undisturbed() as drawn_from:
        _check_repeats(name, function, arguments, compute)
        _check_modes(name, arguments, compute)
        _check_neighbours(name, in_types, arguments, compute)
        _check_parts(name, arguments, compute)
        if drawn_from():
            _refuse_drawing(name, drawn_from())


def _arguments(in_types: Sequence[type], learnable: Sequence[float]) -> list[Tensor]:
    """Return one argument list of moderate values without ties; nothing of it depends on global settings."""
    generator = torch.Generator("cpu").manual_seed(0)
    settings = {"dtype": torch.float32, "device": "cpu"}
    made = []
    for marker in in_types:
        kind = kind_of(marker)
        shape = SHAPE if kind is Feature else () if kind is Scalar else (1, SHAPE[1], 1, 1)
        made.append(torch.rand(shape, generator=generator, **settings) * 4 - 2)  # type: ignore[call-overload]
    for start in learnable:
        spread = torch.rand((1, SHAPE[1], 1, 1), generator=generator, **settings)  # type: ignore[call-overload]
        made.append(start + spread / 4)
    return made


def _check_repeats(name: str, function: Callable[..., Tensor], arguments: list[Tensor], compute: Compute) -> None:
    with undisturbed() as drawn_from:
        first = compute(arguments)
        if drawn_from():
            _refuse_drawing(name, drawn_from())
        if first.requires_grad:
            _refuse_learning(name, "")
        kept, before = first.clone(), state_of(function)
        again = compute(arguments)
    if not _same(kept, again):
        raise GaafError(
            f"primitive {name!r} must return the same values for the same input, but two calls differ: compute them "
            "from the arguments alone (addEphemeralConstant adds random constants)"
        )
    after = state_of(function)
    changed = [path for path in {**before, **after} if before.get(path) != after.get(path)]
    if changed:
        raise GaafError(
            f"primitive {name!r} must keep nothing from one call to the next, but {changed[0] or 'its state'} "
            "changes: compute from the arguments alone"
        )
    compute([-argument for argument in arguments])
    if not _same(kept, first):
        raise GaafError(
            f"primitive {name!r} must return a new tensor, but a later call changes what an earlier one returned: "
            "leave out the buffer that both use"
        )
    if not _same(kept, compute(arguments)):
        raise GaafError(
            f"primitive {name!r} must keep nothing from one call to the next, but a call with another input changes "
            "what it returns: compute from the arguments alone"
        )


def _check_modes(name: str, arguments: list[Tensor], compute: Compute) -> None:
    """Refuse other values where gradients are computed, or where they are not."""
    expected = compute(arguments)
    modes: dict[str, Callable[[], contextlib.AbstractContextManager[object]]] = {
        "under torch.no_grad()": torch.no_grad,
        "in torch.inference_mode()": torch.inference_mode,
        "for an input that requires gradients": contextlib.nullcontext,
    }
    for words, mode in modes.items():
        with mode():
            copies = [argument.clone() for argument in arguments]
            if mode is contextlib.nullcontext:
                copies = [copy.requires_grad_(copy.dim() > 0) for copy in copies]
            value = compute(copies)
        if not _same(expected, value.detach()):
            raise GaafError(
                f"primitive {name!r} must return the same values whether or not gradients are computed, but they "
                f"differ {words}: do not ask torch for the mode"
            )


def _check_neighbours(name: str, in_types: Sequence[type], arguments: list[Tensor], compute: Compute) -> None:
    """Change all but a part of the arguments: to the last bit, neither values nor gradients may change in the part."""
    features = [place for place, marker in enumerate(in_types) if kind_of(marker) is Feature]
    expected = _with_gradients(arguments, features, compute)
    shape = expected[0].shape
    for axis, word in enumerate(AXES[: len(shape)]):
        for half in HALVES[shape[axis]]:
            kept = (*[slice(None)] * axis, half)
            for results in (
                _with_gradients([_changed(argument, axis, kept, -1.0) for argument in arguments], features, compute),
                [compute([_changed(argument, axis, kept, -FAR) for argument in arguments])],
            ):
                if not all(_same(old[kept], now[kept]) for old, now in zip(expected, results, strict=False)):
                    raise GaafError(
                        f"primitive {name!r} must work element by element, but its value or gradient at one {word} "
                        f"depends on another {word}: leave out what joins several values (mean, max, sort, softmax)"
                    )


def _changed(argument: Tensor, axis: int, kept: tuple[slice, ...], factor: float) -> Tensor:
    """Return a copy with other values at all other places of an axis that it has."""
    if argument.dim() == 0 or argument.shape[axis] == 1:
        return argument.clone()
    new = argument * factor
    new[kept] = argument[kept]
    return new


def _with_gradients(arguments: list[Tensor], features: list[int], compute: Compute) -> list[Tensor]:
    """Return the values, and the gradients of their sum for each Feature where torch can tell."""
    copies = [argument.clone() for argument in arguments]
    leaves = [copies[place].requires_grad_() for place in features]
    result = compute(copies)
    gradients: Sequence[Tensor | None] = ()
    if result.requires_grad:
        with contextlib.suppress(Exception):  # a backward pass that fails was refused or declared before
            gradients = torch.autograd.grad(result.sum(), leaves, allow_unused=True)
    return [result.detach(), *(gradient for gradient in gradients if gradient is not None)]


def _check_parts(name: str, arguments: list[Tensor], compute: Compute) -> None:
    """Compare parts, other numbers of dimensions and other strides of the input with the whole."""
    whole = compute(arguments)
    if not whole.dim():
        return
    for axis, word in enumerate(AXES):
        middle = SHAPE[axis] // 2
        for part in (slice(middle), slice(middle, None)):
            place = (*[slice(None)] * axis, part)
            some = [a[place].clone() if a.dim() and a.shape[axis] > 1 else a for a in arguments]
            expected = whole[place] if whole.shape[axis] > 1 else whole
            _compare(name, f"some of the {word}s", compute(some), expected)
    flat = [a[:, :, 0, 0] if a.dim() else a for a in arguments]
    _compare(name, "an input of shape (N, C)", compute(flat), whole[:, :, 0, 0])
    lines = [a.flatten(2) if a.dim() else a for a in arguments]
    _compare(name, "an input of shape (N, C, L)", compute(lines), whole.flatten(2))
    turned = [a.transpose(1, 3).contiguous().transpose(1, 3) if a.dim() else a for a in arguments]
    _compare(name, "an input that is not contiguous", compute(turned), whole)


def _compare(name: str, words: str, values: Tensor, expected: Tensor) -> None:
    if not torch.allclose(values, expected, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True):
        raise GaafError(
            f"primitive {name!r} must work element by element, but {words} alone gives other values than the whole: "
            "use neither the shape of the input nor the place of a value in it"
        )


def _same(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors hold the same values; any NaN is like any other."""
    return bool(((one == other) | (one.isnan() & other.isnan())).all())


def _refuse_drawing(name: str, generators: Sequence[str]) -> NoReturn:
    raise GaafError(
        f"primitive {name!r} must draw nothing at random, but it uses the global generator of {listed(generators)}: "
        "compute from the arguments alone (addEphemeralConstant adds random constants)"
    )


def _refuse_learning(name: str, path: str) -> NoReturn:
    what = f"it holds a parameter ({path})" if path else "it holds a tensor that requires gradients"
    raise GaafError(
        f"primitive {name!r} must hold nothing that learns, but {what}, which would not be trained: take it as one "
        "more argument, a vector with one value for each channel, and pass learnable=(its initial value,)"
    )
