"""What our version of the paper's genetic algorithm does otherwise, each thing a switch; see :mod:`gaaf_gp.genetic`."""

from __future__ import annotations

from dataclasses import dataclass

from gaaf_gp.errors import GaafError


@dataclass(frozen=True)
class Repairs:
    """What is done otherwise than in the published code; :data:`PUBLISHED` has all of them off.

    Attributes:
        tournament_by_fitness: the fittest of 4 wins a tournament; published: parents are drawn without looking at it.
        remember_all: what was evaluated before is never asked for again, and another child is bred in its place, or a
            random individual drawn if there is no new child; published: only a genotype of the present population is
            passed over, and its place is lost.
        skip_same_behaviour: a candidate that would train as an earlier one is not evaluated (:mod:`gaaf_gp.behaviour`).
        screen: nor is one that training could not repair.
        side_by_side: all children of a generation are bred before the first is evaluated, so that worker processes
            share them; off: each may be a parent of the next.
        seeded: one seed gives one run; published: the seed is ignored.
        crossover: probability that two parents exchange subtrees before one of them is mutated. The published code has
            a crossover and never calls it, and so it is 0 here too unless asked for.

    Raises:
        GaafError: for a probability out of its range.
    """

    tournament_by_fitness: bool = True
    remember_all: bool = True
    skip_same_behaviour: bool = True
    screen: bool = True
    side_by_side: bool = True
    seeded: bool = True
    crossover: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.crossover <= 1:
            raise GaafError(f"crossover must be a probability from 0 to 1, got {self.crossover!r}")


REPAIRED = Repairs()
PUBLISHED = Repairs(False, False, False, False, False, False)
"""The algorithm with its known weaknesses."""
