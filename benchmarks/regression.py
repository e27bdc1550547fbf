"""Standard symbolic regression: targets with their points, one primitive set, and the errors of trees.

Four targets of one variable, with the points of McDermott et al., Genetic programming needs better benchmarks, GECCO
2012. Nguyen-5 and Nguyen-7 are from Uy et al., Semantically-based crossover in genetic programming, 2011; Keijzer-1 and
Keijzer-4 from Keijzer, Improving symbolic regression with interval arithmetic and linear scaling, EuroGP 2003. The last
is DEAP's ``salustowicz_1d``, the only function of one variable in ``deap.benchmarks.gp``.

The error is the root mean squared one (RMSE) on the training points.
"""

from __future__ import annotations

import functools
import hashlib
import math
import random
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from deap.benchmarks import gp as deap_functions
from numpy.typing import NDArray
from torch import Tensor

from gaaf_gp import Individual, PrimitiveSet
from gaaf_gp.trees import evaluate
from gaaf_gp.types import Feature

Points = NDArray[np.float64]
SMALLEST = 1e-3
"""Divisors and arguments of the logarithm this close to 0 are protected, as gplearn has it."""
LARGEST_EXPONENT = 10.0
CONSTANTS = (-1.0, 1.0)
"""Range of the constants that are drawn: gplearn's default."""
DECIMALS = 9
"""Outputs that agree in so many decimals on all training points are one behaviour."""


@dataclass(frozen=True)
class Target:
    """A function to be found.

    Attributes:
        formula: for people.
        function: of one number.
        train: inputs on which trees are judged.
        test: inputs that no search sees.
    """

    formula: str
    function: Callable[[float], float]
    train: Points
    test: Points

    @functools.cached_property
    def wanted(self) -> Points:
        """The values on ``train``."""
        return self.values(self.train)

    def values(self, inputs: Points) -> Points:
        """Return the values of the target on inputs."""
        return np.array([self.function(float(x)) for x in inputs])


def even(low: float, high: float, step: float) -> Points:
    """Return inputs from ``low`` to ``high``, both among them."""
    return np.linspace(low, high, round((high - low) / step) + 1)


def drawn(number: int, low: float, high: float) -> Points:
    """Return uniformly random inputs, the same at every call."""
    return np.random.default_rng(0).uniform(low, high, number)


TARGETS: dict[str, Target] = {
    "Nguyen-5": Target(
        "sin(x^2) cos(x) - 1",
        lambda x: math.sin(x * x) * math.cos(x) - 1,
        drawn(20, -1, 1),
        even(-1, 1, 0.002),
    ),
    "Nguyen-7": Target(
        "ln(x + 1) + ln(x^2 + 1)",
        lambda x: math.log(x + 1) + math.log(x * x + 1),
        drawn(20, 0, 2),
        even(0, 2, 0.002),
    ),
    "Keijzer-1": Target(
        "0.3 x sin(2 pi x)",
        lambda x: 0.3 * x * math.sin(2 * math.pi * x),
        even(-1, 1, 0.1),
        even(-1, 1, 0.001),
    ),
    "Keijzer-4": Target(
        "x^3 e^-x cos(x) sin(x) (sin(x)^2 cos(x) - 1)",
        lambda x: deap_functions.salustowicz_1d([x]),
        even(0, 10, 0.05),
        even(0.05, 10.05, 0.05),
    ),
}


def div(a: Tensor, b: Tensor) -> Tensor:
    """Return a / b, and 1 where abs(b) is at most 0.001."""
    safe = b.abs() > SMALLEST
    return torch.where(safe, a / torch.where(safe, b, 1.0), 1.0)


def log(a: Tensor) -> Tensor:
    """Return ln(abs(a)), and 0 where abs(a) is at most 0.001."""
    safe = a.abs() > SMALLEST
    return torch.where(safe, torch.where(safe, a, 1.0).abs().log(), 0.0)


def exp(a: Tensor) -> Tensor:
    """Return e^min(a, 10)."""
    return torch.exp(torch.clamp(a, max=LARGEST_EXPONENT))


def constant() -> float:
    """Draw a constant."""
    return round(random.uniform(*CONSTANTS), 3)


@functools.cache
def make_pset() -> PrimitiveSet:
    """Return the set of all targets: + - * / sin cos exp ln, x and random constants (that of Uy et al. 2011)."""
    pset = PrimitiveSet("benchmarks.regression:make_pset")
    one, two = [Feature], [Feature, Feature]
    pset.addPrimitive(torch.add, two, Feature, infix="{0:1} + {1:1}", precedence=1, commutative=True)
    pset.addPrimitive(torch.sub, two, Feature, infix="{0:1} - {1:2}", precedence=1)
    pset.addPrimitive(torch.mul, two, Feature, infix="{0:2} * {1:2}", precedence=2, commutative=True)
    pset.addPrimitive(div, two, Feature, infix="{0:2} / {1:3}", precedence=2)
    pset.addPrimitive(torch.sin, one, Feature, periodic=True)
    pset.addPrimitive(torch.cos, one, Feature, periodic=True)
    pset.addPrimitive(exp, one, Feature)
    pset.addPrimitive(log, one, Feature)
    pset.addEphemeralConstant("c", constant, Feature)
    return pset.check()


@torch.inference_mode()
def outputs(tree: Individual, inputs: Points) -> Points:
    """Return the values of a tree in float64; its constants are rounded to float32, as in every network."""
    values: Points = evaluate(tree, tree.pset, torch.from_numpy(inputs)).numpy()
    return values


def rmse(values: Points, wanted: Points) -> float:
    """Return the root mean squared error; not finite where some value is not."""
    with np.errstate(all="ignore"):
        return float(np.sqrt(np.mean((values - wanted) ** 2)))


def signature(values: Points) -> str:
    """Return what is equal for outputs that agree in ``DECIMALS`` decimals."""
    return hashlib.md5((np.round(values, DECIMALS) + 0.0).tobytes(), usedforsecurity=False).hexdigest()


class Watch:
    """Notes what one run evaluates; both sides of a comparison are watched by it.

    Attributes:
        asked: evaluations until now, repeated ones among them.
        least: the least error of all.
        behaviours: different outputs on the training points; those that are not finite are not counted.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self.asked = 0
        self.least = math.inf
        self.behaviours: set[str] = set()

    def error(self, values: Points) -> float:
        """Return the error of outputs on the training points, and note it."""
        found = rmse(values, self.target.wanted)
        if math.isfinite(found):
            self.least = min(self.least, found)
            self.behaviours.add(signature(values))
        return found
