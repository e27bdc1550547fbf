"""Fitness sharing: what many individuals do alike is worth less to each of them, so a population keeps apart.

Source: Goldberg and Richardson, Genetic algorithms with sharing for multimodal function optimization, 1987. Individuals
are as far apart as their signs: the share of inputs x ~ N(0, 1) at which sign(f(x)) differs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from gaaf_gp.errors import GaafError
from gaaf_gp.search.bloat import Tournament
from gaaf_gp.search.bloat.control import value
from gaaf_gp.trees.candidate import Evolved, TwoTrees
from gaaf_gp.trees.compile import Activation
from gaaf_gp.util.checks import check_number

POINTS = 500
"""Equally likely inputs that signs are compared at."""


@dataclass
class Sharing(Tournament):
    """Tournaments over fitness divided by how crowded the place is: a control to give to ``bloat=`` among others.

    Attributes:
        radius: individuals nearer than this share, in the share of inputs where signs differ; -f counts as f.
        sharpness: alpha of the sharing function 1 - (distance / radius)^alpha.
    """

    radius: float = 0.1
    sharpness: float = 1.0
    crowds: dict[str, float] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("radius", self.radius, 0, 1)
        check_number("sharpness", self.sharpness, 0)
        if self.radius == 0:
            raise GaafError("radius must be above 0, or nothing is shared: give for example 0.1")

    def learn(self, population: Sequence[Evolved]) -> None:
        """Count how crowded it is around each of the population."""
        if not population:
            return
        signs = torch.stack([_signs(one) for one in population])
        distance = (1 - (signs @ signs.T) / POINTS) / 2
        distance = torch.minimum(distance, 1 - distance)
        shared = (1 - (distance / self.radius).clamp(max=1) ** self.sharpness).sum(1)
        self.crowds = {one.canonical: float(crowd) for one, crowd in zip(population, shared, strict=True)}

    def key(self, individual: Evolved) -> Any:
        """Return the fitness over the crowd; negative fitness is multiplied by it."""
        number, crowd = value(individual), max(1.0, self.crowds.get(individual.canonical, 1.0))
        return number / crowd if number >= 0 else number * crowd


@torch.no_grad()
def _signs(individual: Evolved) -> Tensor:
    """Return the signs of f, of two trees the forward one's, as (POINTS,) +1 and -1; kept until the tree changes."""
    tree = individual.forward if isinstance(individual, TwoTrees) else individual
    text = str(tree)
    known: tuple[str, Tensor] | None = tree.__dict__.get("_signs")
    if known is None or known[0] != text:
        quantiles = torch.special.ndtri((torch.arange(POINTS, dtype=torch.float64) + 0.5) / POINTS)
        values = Activation(tree, 1)(quantiles.float().unsqueeze(1)).flatten()
        known = text, (values >= 0).float().mul(2).sub(1)
        tree.__dict__["_signs"] = known
    return known[1]
