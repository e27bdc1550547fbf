"""Controls that refuse children: beyond a limit, by chance if large, or where too many are large already."""

from __future__ import annotations

import math
import random
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from gaaf_gp.search.bloat.control import Control, value
from gaaf_gp.trees.candidate import Evolved, TwoTrees
from gaaf_gp.trees.generation import Limits
from gaaf_gp.util.checks import number, probability

KERNEL = {-2: 0.1, -1: 0.2, 0: 0.4, 1: 0.2, 2: 0.1}
"""How HARM-GP spreads one observed size over its neighbours."""
WINDOW = 2000
"""Observed children beyond which HARM-GP halves the weight of all earlier ones."""
LEAST_SEEN = 50
"""Observed children below which HARM-GP refuses nobody: a distribution must be seen before it is shaped."""


@dataclass
class Cap(Control):
    """A static limit of any measure; nothing larger is bred, and a parent beyond it does not pass through.

    Height and nodes are better limited by :class:`~gaaf_gp.trees.generation.Limits`, which trees are built to fit.

    Attributes:
        most: the largest size that is allowed.
    """

    most: float = math.inf

    def __post_init__(self) -> None:
        super().__post_init__()
        self.most = number("most", self.most, 0)

    def admits(self, child: Evolved, rng: random.Random) -> bool:  # noqa: ARG002
        """Return whether the child is within the limit."""
        return self.size(child) <= self.most


@dataclass
class Within(Control):
    """The static limits of every tree, for those that come from elsewhere: operators keep them by themselves."""

    limits: Limits = field(default_factory=Limits)

    def admits(self, child: Evolved, rng: random.Random) -> bool:  # noqa: ARG002
        """Return whether each tree is within the limits."""
        trees = (child.forward, child.backward) if isinstance(child, TwoTrees) else (child,)
        return all(len(tree) <= self.limits.size and tree.height <= self.limits.height for tree in trees)


@dataclass
class Tarpeian(Control):
    """A new child larger than the average of the population is thrown away unevaluated, by chance.

    Source: Poli, A simple but theoretically-motivated method to control bloat in genetic programming, EuroGP 2003.

    Attributes:
        probability: of being thrown away.
    """

    probability: float = 0.3
    average: float = field(default=math.inf, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.probability = probability("probability", self.probability)

    def learn(self, population: Sequence[Evolved]) -> None:
        """Take the average size."""
        if population:
            self.average = statistics.fmean(map(self.size, population))

    def judges(self, child: Evolved, rng: random.Random) -> bool:
        """Return False by chance for a child above the average."""
        return not (self.size(child) > self.average and rng.random() < self.probability)


@dataclass
class DynamicLimit(Control):
    """A limit that starts at the largest of the first population and rises only for a new best.

    A larger child has to be judged before it is known to be one; if it is not it counts as the worst.
    Source: Silva and Costa, Dynamic limits for bloat control in genetic programming, 2009.

    Attributes:
        limit: the limit now; None before the first population.
    """

    limit: float | None = None
    best: float = field(default=-math.inf, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.limit is not None:
            self.limit = number("limit", self.limit, 0)

    def learn(self, population: Sequence[Evolved]) -> None:
        """Start the limit, and remember the best."""
        if population:
            self.best = max(self.best, *map(value, population))
            if self.limit is None:
                self.limit = max(map(self.size, population))

    def accepts(self, child: Evolved, accuracy: float) -> bool:
        """Return whether the child is within the limit, or raises it as the best so far."""
        better = accuracy > self.best
        self.best = max(self.best, accuracy)
        size = self.size(child)
        if self.limit is None or size <= self.limit:
            return True
        if better:
            self.limit = size
        return better


@dataclass
class Harm(Control):
    """HARM-GP: children of all sizes up to a cut-off, and beyond it ever fewer, down an exponential slope.

    Source: Gardner, Gagne and Parizeau, Controlling code growth by dynamically shaping the genotype size distribution,
    2015. The published method breeds thousands of children in each generation to learn which sizes variation makes by
    itself. Here that is learned from the children that are bred anyway, refused or not, so nothing is bred in vain; and
    the cut-off has no floor of 20 nodes, below which the published one never acts. Where DEAP's loops cannot draw other
    parents for a refused child, it counts as the worst, unevaluated.

    Attributes:
        alpha: the size at which the slope has halved grows by this for each unit of size.
        beta: that size at 0; both make ``half_life = alpha size + beta``. The published value, 10, is for trees of
            hundreds of nodes.
        gamma: share of all children that the slope is meant to hold.
        rho: the cut-off is the smallest size among the best 1 - rho of the population.
        least_cutoff: the cut-off is not below it.
    """

    alpha: float = 0.05
    beta: float = 3.0
    gamma: float = 0.25
    rho: float = 0.9
    least_cutoff: float = 3.0
    cutoff: float = field(default=math.inf, repr=False)
    seen: Counter[int] = field(default_factory=Counter, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.alpha = number("alpha", self.alpha, 0)
        self.beta = number("beta", self.beta, 0.1)
        self.gamma = number("gamma", self.gamma, 0, 1)
        self.rho = number("rho", self.rho, 0, 1)
        self.least_cutoff = number("least_cutoff", self.least_cutoff, 0)

    def learn(self, population: Sequence[Evolved]) -> None:
        """Choose the cut-off of this population."""
        if population:
            ranked = sorted(population, key=value, reverse=True)
            best = ranked[: max(1, math.ceil((1 - self.rho) * len(ranked)))]
            self.cutoff = max(self.least_cutoff, min(map(self.size, best)))

    def judges(self, child: Evolved, rng: random.Random) -> bool:
        """Return whether the child is wanted, by chance beyond the cut-off; and count its size."""
        size = round(self.size(child))
        self._count(size)
        if size <= self.cutoff or self.seen.total() < LEAST_SEEN:
            return True
        half_life = self.alpha * size + self.beta
        wanted = self.gamma * math.log(2) / half_life * math.exp(-math.log(2) * (size - self.cutoff) / half_life)
        return rng.random() < wanted / self._density(size)

    def _count(self, size: int) -> None:
        if self.seen.total() >= WINDOW:
            self.seen = Counter({one: count // 2 for one, count in self.seen.items() if count > 1})
        self.seen[size] += 1

    def _density(self, size: int) -> float:
        near = sum(weight * self.seen[size + offset] for offset, weight in KERNEL.items())
        return near / self.seen.total()
