"""What is known of a primitive beyond its types, and what it computes when it is tried out.

:class:`Traits` holds its function, price, looks, periodicity and learnable vectors. :func:`probe` refuses a function
that breaks a rule of the trees, before a search meets it (gplearn probes functions in the same way when they are
registered); :func:`try_out` computes its values at chosen points.
"""

from __future__ import annotations

import functools
import itertools
import keyword
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gaaf_gp.errors import FOREIGN, GaafError, listed, one_line
from gaaf_gp.trees.contract import check_contract, check_holdings
from gaaf_gp.types import Feature, Scalar, kind_of
from gaaf_gp.util.checks import number, whole_number
from gaaf_gp.util.devices import gradients, plain_defaults
from gaaf_gp.util.randomness import undisturbed

NONFINITE = ("value", "gradient")
"""What a primitive may declare to be infinite or NaN somewhere."""
ATOM = 9
"""Precedence of a call or a name, which never needs parentheses. Sums have 1, products 2, a minus sign 3, powers 4."""
TAGS = ("periodic", "commutative", "learnable")
"""What people call a primitive by its traits, in listings, constraints and reports."""
POINTS: tuple[float, ...] = (0.0, 1.0, -1.0, 0.5, -2.5, 1e4, -1e4)
"""Values that :func:`probe` tries each argument at; all combinations for up to three arguments."""
DTYPES = (torch.float32, torch.bfloat16)
"""Of the arguments that :func:`probe` passes."""
CHANNELS = 3
"""Of the inputs that :func:`probe` passes, (batch, CHANNELS, 1, 2)."""


@dataclass(frozen=True)
class Traits:
    """What is known of a primitive or a named terminal beyond its types.

    ``infix`` and ``latex`` are templates with ``{0}``, ``{1}`` for the arguments; ``{0:2}`` puts parentheses around an
    argument whose ``precedence`` is below 2, and ``{s}`` (``{s0}``, ``{s1}`` of several) is a learnable vector. Name
    each argument once: a formula grows as fast as its templates repeat. ``learnable`` holds the initial values of the
    per-channel vectors that the function takes after its tree arguments.
    """

    function: Callable[..., Tensor] | None
    cost: float = 1.0
    infix: str = ""
    latex: str = ""
    precedence: int = ATOM
    periodic: bool = False
    commutative: bool = False
    learnable: tuple[float, ...] = ()

    @property
    def tags(self) -> tuple[str, ...]:
        """Those of ``TAGS`` that are true of it."""
        return tuple(tag for tag in TAGS if getattr(self, tag))


def named(name: str) -> Traits:
    """Return the traits of a terminal that is written as its name."""
    escaped = name.replace("_", r"\_")
    return Traits(None, cost=0.0, infix=name, latex=name if len(name) == 1 else rf"\mathrm{{{escaped}}}")


class _Place:
    """Stands for an argument while a template is tried: it accepts what a rendered subtree accepts."""

    def __format__(self, spec: str) -> str:
        return str(int(spec)) if spec else ""


def check_traits(name: str, traits: Traits, in_types: Sequence[type]) -> None:
    """Refuse templates that cannot be filled in, a cost that is none, and commuting arguments of different types.

    Raises:
        GaafError: naming the primitive, what came and what is allowed.
    """
    number(f"the cost of primitive {name!r}", traits.cost, 0, finite=True)
    whole_number(f"the precedence of primitive {name!r}", traits.precedence, 0)
    vectors = {f"s{i}": "" for i in range(len(traits.learnable))} | ({"s": ""} if traits.learnable else {})
    for kind, template in (("infix", traits.infix), ("latex", traits.latex)):
        try:
            template.format(*(_Place() for _ in in_types), **vectors)
        except (IndexError, KeyError, ValueError, AttributeError, TypeError) as error:
            allowed = [f"{{{place}}}" for place in [*range(len(in_types)), *vectors]]
            raise GaafError(
                f"{kind} template of primitive {name!r} may hold {', '.join(allowed)}, got {template!r}: write every "
                "other brace twice"
            ) from error
    if traits.commutative and (len(in_types) < 2 or len(set(in_types)) > 1):
        raise GaafError(
            f"primitive {name!r} can be commutative only with two or more arguments of one type, got "
            f"({', '.join(marker.__name__ for marker in in_types)}): leave commutative out"
        )


def check_name(name: str) -> None:
    """Refuse a name that could not stand in a text.

    Raises:
        GaafError: saying what a name must be.
    """
    if not (name.isascii() and name.isidentifier()) or keyword.iskeyword(name):
        raise GaafError(f'a name must be a plain identifier such as "sin2", got {name!r}: pass name="..."')


def check_types(owner: str, markers: Sequence[object]) -> None:
    """Refuse marker types that are not of a kind that trees know.

    Raises:
        GaafError: naming ``owner`` and the type that came.
    """
    for marker in markers:
        if not isinstance(marker, type) or kind_of(marker) is None:
            raise GaafError(
                f"types of {owner} must be Feature, Channel, Scalar or classes derived from them, got {marker!r}"
            )


def probe(name: str, traits: Traits, in_types: Sequence[type], nonfinite: frozenset[str] = frozenset()) -> None:
    """Call a primitive on hard inputs and refuse it if it breaks a rule of the trees.

    The rules: it returns a tensor of its arguments' broadcast shape and of their dtype, with finite values and finite
    gradients, unless ``nonfinite`` declares "value" or "gradient" as an exception; and each value depends on the
    arguments at its place alone (:mod:`gaaf_gp.trees.contract`). Global random numbers stay as they were.

    Raises:
        GaafError: naming the primitive, the rule, what came and the fix.
    """
    assert traits.function is not None
    check_holdings(name, traits.function)
    with undisturbed(), gradients():
        for dtype in DTYPES:
            for arguments in _arguments(in_types, traits.learnable, dtype):
                result = _called(name, traits, in_types, arguments)
                if "value" not in nonfinite:
                    _check_finite(name, "value", result.detach(), arguments)
                if "gradient" not in nonfinite and result.requires_grad:
                    _check_gradient(name, result, arguments)
        compute = functools.partial(_called, name, traits, in_types)
        check_contract(name, traits.function, in_types, traits.learnable, compute)


@torch.no_grad()
@plain_defaults()
def try_out(name: str, traits: Traits, in_types: Sequence[type], points: Sequence[Tensor]) -> Tensor:
    """Return what a primitive computes at chosen points, its learnable vectors being as they start.

    Args:
        name: of the primitive, for messages.
        traits: what it computes, and where its vectors start.
        in_types: marker types of its arguments.
        points: one floating (points,) for each argument; a Channel or a Scalar is the last of its points.

    Returns:
        (points,) of the dtype of ``points``; (1,) if no argument is a Feature. It may hold what is not finite.

    Raises:
        GaafError: it raises, changes an argument in place, or does not keep shape and dtype.
    """
    arguments = [_at_points(marker, values) for marker, values in zip(in_types, points, strict=True)]
    arguments += [torch.full((1, 1, 1, 1), start, dtype=points[0].dtype, device="cpu") for start in traits.learnable]
    return _called(name, traits, in_types, arguments).flatten()


def _at_points(marker: type, points: Tensor) -> Tensor:
    if kind_of(marker) is Feature:
        return points.view(-1, 1, 1, 1)
    return points[-1] if kind_of(marker) is Scalar else points[-1].view(1, 1, 1, 1)


def _called(name: str, traits: Traits, in_types: Sequence[type], arguments: Sequence[Tensor]) -> Tensor:
    """Call a primitive and refuse it if it raises, changes an argument, or does not keep shape and dtype."""
    assert traits.function is not None
    before = [argument.detach().clone() for argument in arguments]
    try:
        result = traits.function(*arguments)
    except FOREIGN as error:  # primitives are anybody's code
        kind, _, text = one_line(error).partition(": ")
        raise GaafError(
            f"primitive {name!r} must accept {_signature(in_types, traits.learnable)} tensors, but it raised "
            f"{kind} ({text}): write it with torch operations"
        ) from error
    if not all(torch.equal(old, now) for old, now in zip(before, arguments, strict=True)):
        raise GaafError(f"primitive {name!r} must not change an argument in place: make a new tensor instead")
    _check_result(name, result, arguments)
    return result


def _signature(in_types: Sequence[type], learnable: Sequence[float]) -> str:
    names = [marker.__name__ for marker in in_types] + ["learnable vector"] * len(learnable)
    return f"({listed(names)})"


def _combinations(arguments: int) -> list[tuple[float, ...]]:
    """Return all combinations of points for up to three arguments; each further one still takes every point."""
    count = len(POINTS)
    rows = itertools.product(range(count), repeat=min(arguments, 3))
    spread = range(3, arguments)
    return [
        tuple(POINTS[place % count] for place in (*row, *(row[0] + further * row[1] + row[2] for further in spread)))
        for row in rows
    ]


def _arguments(in_types: Sequence[type], learnable: Sequence[float], dtype: torch.dtype) -> Iterator[list[Tensor]]:
    """Yield argument lists: all Feature points stand in one batch, the others take their points call after call."""
    kinds = [kind_of(marker) for marker in in_types]
    features = [i for i, kind in enumerate(kinds) if kind is Feature]
    singles = [i for i, kind in enumerate(kinds) if kind is not Feature]
    grid = torch.tensor(_combinations(len(features)), dtype=dtype, device="cpu")
    for numbers in _combinations(len(singles)):
        arguments: list[Tensor] = []
        for i, kind in enumerate(kinds):
            if kind is Feature:
                column = grid[:, features.index(i)].view(-1, 1, 1, 1)
                arguments.append(column.repeat(1, CHANNELS, 1, 2).requires_grad_())
            elif kind is Scalar:
                arguments.append(torch.tensor(numbers[singles.index(i)], dtype=dtype, device="cpu"))
            else:
                arguments.append(_vector(numbers[singles.index(i)], dtype))
        yield arguments + [_vector(start, dtype) for start in learnable]


def _vector(value: float, dtype: torch.dtype) -> Tensor:
    return torch.full((1, CHANNELS, 1, 1), value, dtype=dtype, device="cpu", requires_grad=True)


def _check_result(name: str, result: object, arguments: Sequence[Tensor]) -> None:
    if not isinstance(result, Tensor):
        raise GaafError(f"primitive {name!r} must return a tensor, got {type(result).__name__}: use torch operations")
    shape = torch.broadcast_tensors(*arguments)[0].shape  # broadcast_shapes() takes ten times as long
    if result.shape != shape:
        raise GaafError(
            f"primitive {name!r} must keep the shape of its arguments {tuple(shape)}, got {tuple(result.shape)}: work "
            "element by element, or expand the result"
        )
    if result.dtype != arguments[0].dtype:
        raise GaafError(
            f"primitive {name!r} must keep the dtype of its arguments {arguments[0].dtype}, got {result.dtype}: "
            "convert the result with .to(x.dtype)"
        )


def _check_finite(name: str, what: str, tensor: Tensor, arguments: list[Tensor]) -> None:
    bad = ~torch.isfinite(tensor)
    if not bool(bad.any()):
        return
    place = tuple(int(i) for i in bad.nonzero()[0])
    where = ", ".join(_at(argument, tensor.shape, place) for argument in arguments)
    raise GaafError(
        f"primitive {name!r} must have a finite {what}, got {tensor[place].item()} at ({where}) in {tensor.dtype}: "
        f'protect it there, or declare the exception with nonfinite=("{what}",)'
    )


def _at(argument: Tensor, shape: torch.Size, place: tuple[int, ...]) -> str:
    return f"{argument.detach().expand(torch.broadcast_shapes(argument.shape, shape))[place].item():g}"


def _check_gradient(name: str, result: Tensor, arguments: list[Tensor]) -> None:
    wanted = [argument for argument in arguments if argument.requires_grad]
    finite = torch.where(torch.isfinite(result), result, torch.zeros_like(result))
    try:
        gradients = torch.autograd.grad(finite.sum(), wanted, allow_unused=True)
    except FOREIGN as error:
        raise GaafError(
            f"primitive {name!r} must have a gradient, but its backward pass failed: {one_line(error)}: write it with "
            'torch operations, or declare the exception with nonfinite=("gradient",)'
        ) from error
    for argument, gradient in zip(wanted, gradients, strict=True):
        if gradient is not None:
            _check_finite(name, "gradient", gradient, arguments if gradient.shape == result.shape else [argument])
