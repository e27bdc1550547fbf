"""How f behaves on the inputs that layers see: whether training it would be wasted, and which other f train alike.

A layer uses sign(f(x)) and the windowed derivative of f, nothing else. One evaluation with gradients on a grid of
inputs therefore tells both. The tree is run as it is: writing a module for it would take longer than this.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gaaf_gp.binary import Surrogate, bfloat16_inputs, binarize, windowed_slope
from gaaf_gp.compile import evaluate
from gaaf_gp.errors import one_line
from gaaf_gp.individual import Individual
from gaaf_gp.parser import parse

CONSTANT_SIGN = "constant sign"
NOT_A_NUMBER = "not a number"
ZERO_GRADIENT = "zero gradient"
GRADIENT_NOT_FINITE = "gradient not finite"
OUT_OF_MEMORY = "out of memory"
PAPER_SURROGATE = Surrogate("clipped", 1.3)
"""The clipped straight-through estimator within +-1.3 (GAAF's published training code)."""
MOST = 64.0
"""The largest magnitude that a layer may see: batch norm puts most inputs within 4, and shortcuts add up."""
LEAST, TINY = 2.0**-20, 2.0**-40
"""The least magnitude that counts for a failure; the least that training meets, 1 of 10^12 normal inputs is smaller."""
VECTOR = 32
"""Values that torch computes at once, on any CPU."""
SPREAD = 3.0
"""How far learnable vectors are moved from their initial values, both ways."""


@dataclass(frozen=True)
class Behaviour:
    """What one evaluation tells of f.

    Attributes:
        signature: 32 hexadecimal digits; individuals with equal ones train alike, see :func:`behaviour`.
        orientation: -1 if f(1) < 0 and negation was allowed, else +1; the signature is that of orientation * f.
        failure: why training would be wasted, None if it may be tried.
    """

    signature: str
    orientation: int
    failure: str | None


@torch.inference_mode(False)
@torch.enable_grad()
def behaviour(individual: Individual, surrogate: Surrogate = PAPER_SURROGATE, negation: bool = True) -> Behaviour:
    """Evaluate an individual once, on the bfloat16 values v that layers see, and judge it.

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

    Args:
        individual: the tree.
        surrogate: of the sign of the layers' inputs.
        negation: whether f and -f share a signature.
    """
    try:
        tree = parse(individual.canonical, individual.pset)
        vectors = [start for node in tree for start in _learnable(tree, node)]
        return _learning(tree, vectors, surrogate, negation) if vectors else _fixed(tree, surrogate, negation)
    except Exception as error:  # primitives are anybody's code, and one bad candidate must not end a run
        return Behaviour(_digest("raises", individual.canonical), 1, failure_reason(error))


def failure_reason(error: BaseException) -> str:
    """Return in one line why a candidate failed; memory that ran out, on any device, has one name."""
    words = str(error).lower()
    memory = (
        isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in words or "of memory" in words
    )
    return OUT_OF_MEMORY if memory else one_line(error)


def _fixed(individual: Individual, surrogate: Surrogate, negation: bool) -> Behaviour:
    inputs = _compared().clone().requires_grad_()
    values = evaluate(individual, individual.pset, inputs)
    slope = windowed_slope(values, inputs, surrogate).to(torch.bfloat16)
    orientation = _orientation(values, negation)
    signature = _digest("tables", repr(surrogate), orientation * _signs(values, inputs), orientation * slope)
    judged = len(visited())
    return Behaviour(signature, orientation, _failure(values[:judged], slope[:judged], []))


def _learning(individual: Individual, vectors: Sequence[float], surrogate: Surrogate, negation: bool) -> Behaviour:
    leaves = [tensor.clone().requires_grad_() for tensor in (_points(), *map(_settings, range(len(vectors)), vectors))]
    values = evaluate(individual, individual.pset, leaves[0], leaves[1:])
    gradients: Sequence[Tensor] = [torch.zeros_like(leaf) for leaf in leaves]
    if values.requires_grad:
        signs = binarize(values, surrogate)
        ones = torch.ones_like(signs)
        gradients = torch.autograd.grad(signs, leaves, ones, allow_unused=True, materialize_grads=True)
    orientation = _orientation(values, negation)
    oriented = [orientation * tensor for tensor in (_signs(values, leaves[0]), values.detach(), *gradients)]
    signature = _digest("learnable", repr(surrogate), repr(vectors), *oriented)
    judged = len(visited())
    by_x, *by_vectors = (gradient[:judged] for gradient in gradients)
    return Behaviour(signature, orientation, _failure(values[:judged], by_x, by_vectors))


def _signs(values: Tensor, inputs: Tensor) -> Tensor:
    """+1 and -1 as training has them, int8, but 0 for f(0) = 0: odd functions share their signature with -f."""
    signs = (values >= 0).to(torch.int8) * 2 - 1
    return signs.masked_fill((inputs == 0) & (values == 0), 0)


def _failure(values: Tensor, by_x: Tensor, by_vectors: Sequence[Tensor]) -> str | None:
    if bool(values.isnan().any()):
        return NOT_A_NUMBER
    positive = values >= 0
    revives = any(bool(gradient.any()) for gradient in by_vectors)
    if not revives and bool((positive == positive[0]).all()):
        return CONSTANT_SIGN
    if not revives and not bool(by_x.any()):
        return ZERO_GRADIENT
    if not all(bool(gradient.isfinite().all()) for gradient in (by_x, *by_vectors)):
        return GRADIENT_NOT_FINITE
    return None


def _learnable(individual: Individual, node: object) -> tuple[float, ...]:
    traits = individual.pset.traits.get(getattr(node, "name", ""))
    return traits.learnable if traits is not None else ()


@functools.cache
def visited() -> Tensor:
    """Return the inputs that must tell whether f is any good, (points, 1) float32: bfloat16 v, 2^-20 <= abs(v) <= 64.

    Zero is left out: -x^2 is positive nowhere else, and hardly a network meets exactly that input.
    """
    return _between(LEAST, MOST)


@functools.cache
def _compared() -> Tensor:
    """``visited`` and after it what else training may meet: smaller values, and both zeros."""
    return torch.cat([visited(), _between(TINY, LEAST * (1 - 2**-8)), _between(0, 0)])


def _between(least: float, most: float) -> Tensor:
    """All bfloat16 values of these magnitudes; the last one is repeated to fill whole vectors.

    What is left over torch computes by other code, which may round differently than in the tables.
    """
    every = bfloat16_inputs()
    size = every.abs()
    points = every[(size >= least) & (size <= most)]
    return torch.cat([points, points[-1:].expand(-len(points) % VECTOR)]).unsqueeze(1)


@functools.cache
def _points() -> Tensor:
    """``_compared``, and ``visited`` twice with random low bits, which bfloat16 lacks: without them x^3 is exact."""
    points = visited()
    return torch.cat([_compared(), *(points * (1 + _uniform(seed, len(points)) / 256) for seed in (1, 2))])


@functools.cache
def _settings(place: int, initial: float) -> Tensor:
    """One learnable vector at all of ``_points``: as it starts at the first, another value at each of the others."""
    others = initial + SPREAD * (2 * _uniform(3 + place, 2 * len(visited())) - 1)
    return torch.cat([torch.full_like(_compared(), initial), others])


def _uniform(seed: int, number: int) -> Tensor:
    return torch.rand(number, 1, generator=torch.Generator().manual_seed(seed))


def _orientation(values: Tensor, negation: bool) -> int:
    return -1 if negation and bool(values[_place_of_one()] < 0) else 1


@functools.cache
def _place_of_one() -> int:
    return int((visited() == 1).nonzero()[0, 0])


def _digest(*parts: str | Tensor) -> str:
    """Return 32 hexadecimal digits of texts and tensors; -0 counts as 0, and one NaN as another."""
    found = hashlib.blake2b(digest_size=16)
    for part in parts:
        if isinstance(part, str):
            found.update(f"{part}\n".encode())
            continue
        plain = part
        if part.is_floating_point():
            plain = part + 0.0
            if bool(plain.isnan().any()):
                plain = plain.masked_fill(plain.isnan(), torch.nan)
        found.update(plain.contiguous().view(torch.uint8).numpy().data)
    return found.hexdigest()
