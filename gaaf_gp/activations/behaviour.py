"""How a candidate behaves on the inputs that layers see: whether training it would be wasted, and what trains alike.

A layer uses sign(f(x)) and a windowed derivative, that of f or, of two trees, that of the backward one; nothing else.
One evaluation with gradients on a grid of inputs therefore tells both. Trees are run as they are: writing a module for
them would take longer than this.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gaaf_gp.binary import Surrogate, binarize, windowed_slope
from gaaf_gp.errors import FOREIGN, one_line
from gaaf_gp.trees.candidate import Baseline, Candidate
from gaaf_gp.trees.compile import Activation, evaluate
from gaaf_gp.trees.grid import compared, in_full, place_of_one, vector_settings, visited
from gaaf_gp.trees.individual import Individual
from gaaf_gp.util.devices import gradients, plain_defaults

CONSTANT_SIGN = "constant sign"
NOT_A_NUMBER = "not a number"
ZERO_GRADIENT = "zero gradient"
GRADIENT_NOT_FINITE = "gradient not finite"
OUT_OF_MEMORY = "out of memory"
NORMAL_POINTS = 10_001
"""Of N(0, 1), at which :func:`positive_share` looks."""
PAPER_SURROGATE = Surrogate("clipped", 1.3)
"""The clipped straight-through estimator within +-1.3 (GAAF's published training code)."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What one evaluation tells of a candidate.

    Attributes:
        signature: 32 hexadecimal digits; candidates with equal ones train alike, see :func:`behaviour`.
        orientation: -1 if f(1) < 0 and negation was allowed, else +1; the signature is that of orientation * f, and of
            orientation * g where a backward tree g is beside it.
        failure: why training would be wasted, None if it may be tried.
    """

    signature: str
    orientation: int
    failure: str | None


@gradients()
def behaviour(candidate: Candidate, surrogate: Surrogate = PAPER_SURROGATE, negation: bool = True) -> Behaviour:
    """Evaluate a candidate once, on the bfloat16 values v that layers see, and judge it.

    Only what training cannot repair is a failure: a function that raises, and on all v with 2^-20 <= abs(v) <= 64 a
    value that is not a number, a gradient that is not finite, a sign that is constant, or no gradient. A tree with
    learnable operators may revive: it fails by a constant sign or no gradient only if no learnable vector has one.
    Trees are judged in their canonical form, which is what is trained.

    Equal signatures mean equal training. They are taken on the same v and the smaller ones down to 2^-40, and 0:

    - A tree without learnable operators is what its tables hold (:mod:`gaaf_gp.binary.tables`): the sign, and the
      windowed derivative rounded to bfloat16. Trained from tables, equal signatures give equal bits.
    - A tree with learnable operators is the exact float32 value of f and its windowed gradients by x and by each
      vector, with the initial vectors and at two further sets of points, of full precision and with other vectors. Only
      what is bit by bit the same function of x and of the vectors is merged.
    - f and -f train alike if the initial latent weights of the layer are negated: a layer of -f with weights -w gives
      the same outputs, and opposite gradients of w. That fails with other padding than 0 (``negation=False`` keeps f
      and -f apart) and where f is 0 and both signs are +1: a zero of f keeps them apart, unless it is at v = 0, which
      a layer rarely meets exactly.
    - Of two trees the sign is that of the forward one f, and a constant one is repaired by vectors of f only; the
      gradient of x is that of the backward one g, and only vectors of g bring one back. f and g are negated together.
      ``f | f`` without learnable operators has the signature of f.
    - A baseline never fails and has a signature of its own.

    Args:
        candidate: what would be trained.
        surrogate: of the sign of the layers' inputs.
        negation: whether f and -f share a signature.
    """
    if isinstance(candidate, Baseline):
        return Behaviour(_digest("baseline", repr(surrogate), candidate.canonical), 1, None)
    try:
        sides = (candidate,) if isinstance(candidate, Individual) else (candidate.forward, candidate.backward)
        trees = [tree.in_canonical_order() for tree in sides]
        starts = [[start for node in tree for start in _learnable(tree, node)] for tree in trees]
        judge = _learning if any(starts) else _fixed
        return judge(trees, starts, surrogate, negation)
    except FOREIGN as error:  # primitives are anybody's code, and one bad candidate must not end a run
        return Behaviour(_digest("raises", candidate.canonical), 1, failure_reason(error))


def screen(individual: Candidate) -> str | None:
    """Return why training this candidate would be wasted, or None; see :func:`behaviour`."""
    return behaviour(individual).failure


@torch.no_grad()
@plain_defaults()
def positive_share(individual: Individual) -> float:
    """Return the share of inputs x ~ N(0, 1) for which sign(f(x)) is +1, learnable operators at their initial values.

    0 or 1 means that the binarized activation is constant there and carries no information.
    """
    values = Activation(individual, 1)(_normal())
    return float((values >= 0).double().mean())


def failure_reason(error: BaseException) -> str:
    """Return in one line why a candidate failed; memory that ran out, on any device, has one name."""
    words = str(error).lower()
    memory = (
        isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in words or "of memory" in words
    )
    return OUT_OF_MEMORY if memory else one_line(error)


def _fixed(
    trees: Sequence[Individual], _starts: Sequence[Sequence[float]], surrogate: Surrogate, negation: bool
) -> Behaviour:
    inputs = compared().clone().requires_grad_()
    values = [evaluate(tree, tree.pset, inputs) for tree in trees]
    forward, backward = values[0], values[-1]
    slope = windowed_slope(backward, inputs, surrogate).to(torch.bfloat16)
    orientation = _orientation(forward, negation)
    signature = _digest("tables", repr(surrogate), orientation * _signs(forward, inputs), orientation * slope)
    return Behaviour(signature, orientation, _failure(values, slope, [[]]))


def _learning(
    trees: Sequence[Individual], starts: Sequence[Sequence[float]], surrogate: Surrogate, negation: bool
) -> Behaviour:
    x, place = in_full().clone().requires_grad_(), itertools.count()
    vectors = [
        [vector_settings(next(place), start).clone().requires_grad_() for start in tree_starts]
        for tree_starts in starts
    ]
    values = [evaluate(tree, tree.pset, x, tree_vectors) for tree, tree_vectors in zip(trees, vectors, strict=True)]
    gradients = [
        _gradients(value, [x, *tree_vectors], surrogate) for value, tree_vectors in zip(values, vectors, strict=True)
    ]
    by_x, by_vectors = gradients[-1][0], [tree_gradients[1:] for tree_gradients in gradients]
    orientation = _orientation(values[0], negation)
    tensors = [_signs(values[0], x), *(value.detach() for value in values), by_x, *itertools.chain(*by_vectors)]
    kind = ("learnable", repr(surrogate), repr(starts[0] if len(trees) == 1 else starts))
    signature = _digest(*kind, *(orientation * tensor for tensor in tensors))
    return Behaviour(signature, orientation, _failure(values, by_x, by_vectors))


def _gradients(values: Tensor, leaves: Sequence[Tensor], surrogate: Surrogate) -> Sequence[Tensor]:
    """Return the windowed gradients of one function by x and its vectors; of two trees each has its own."""
    if not values.requires_grad:
        return [torch.zeros_like(leaf) for leaf in leaves]
    signs = binarize(values, surrogate)
    return torch.autograd.grad(signs.sum(), leaves, allow_unused=True, materialize_grads=True)


def _signs(values: Tensor, inputs: Tensor) -> Tensor:
    """+1 and -1 as training has them, int8, but 0 for f(0) = 0: odd functions share their signature with -f."""
    signs = (values >= 0).to(torch.int8) * 2 - 1
    return signs.masked_fill((inputs == 0) & (values == 0), 0)


def _failure(values: Sequence[Tensor], by_x: Tensor, by_vectors: Sequence[Sequence[Tensor]]) -> str | None:
    """Judge values and gradients at ``visited``: those of one tree, or of the forward and the backward one."""
    judged = len(visited())
    if any(bool(value[:judged].isnan().any()) for value in values):
        return NOT_A_NUMBER
    positive = values[0][:judged] >= 0
    learned = [[gradient[:judged] for gradient in tree_gradients] for tree_gradients in by_vectors]
    forward_learns, backward_learns = (any(bool(gradient.any()) for gradient in learned[place]) for place in (0, -1))
    if not forward_learns and bool((positive == positive[0]).all()):
        return CONSTANT_SIGN
    if not backward_learns and not bool(by_x[:judged].any()):
        return ZERO_GRADIENT
    if not all(bool(gradient.isfinite().all()) for gradient in (by_x[:judged], *itertools.chain(*learned))):
        return GRADIENT_NOT_FINITE
    return None


def _learnable(individual: Individual, node: object) -> tuple[float, ...]:
    traits = individual.pset.traits.get(getattr(node, "name", ""))
    return traits.learnable if traits is not None else ()


def _orientation(values: Tensor, negation: bool) -> int:
    return -1 if negation and bool(values[place_of_one()] < 0) else 1


def _digest(*parts: str | Tensor) -> str:
    """Return 32 hexadecimal digits of texts and tensors; -0 counts as 0, and one NaN as another."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        if isinstance(part, str):
            digest.update(f"{part}\n".encode())
            continue
        plain = part
        if part.is_floating_point():
            plain = part + 0.0
            if bool(plain.isnan().any()):
                plain = plain.masked_fill(plain.isnan(), torch.nan)
        digest.update(plain.contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()


@functools.cache
def _normal() -> Tensor:
    """Equally likely points of N(0, 1), (points, 1): averages over them have no sampling noise."""
    probabilities = (torch.arange(NORMAL_POINTS, dtype=torch.float64) + 0.5) / NORMAL_POINTS
    quantiles: Tensor = torch.special.ndtri(probabilities)
    return quantiles.float().unsqueeze(1)
