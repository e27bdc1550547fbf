"""What the best individuals of a search have that the others lack: periodic operators, or any primitive.

The share among the best says little without the share among all that were evaluated: a search draws some primitives
more often than others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import scipy
from deap import gp

from gaaf_gp.errors import GaafError, listed
from gaaf_gp.statistics import check_confidence, holm
from gaaf_gp.trees.individual import Individual
from gaaf_gp.util.checks import plain_whole

TAGS = ("periodic", "learnable")
"""Tags that an individual has if any of its nodes has it; nearly every tree has something commutative."""


@dataclass(frozen=True)
class Enrichment:
    """How much more often a feature is found among the best than among the rest.

    Attributes:
        feature: name of a primitive, or a tag.
        kind: which of both.
        best: individuals among the best.
        best_with: those of them that have the feature.
        evaluated: all individuals, the best included.
        evaluated_with: those of them that have the feature.
        odds_ratio: odds of the feature among the best to those among the rest, the conditional maximum-likelihood
            estimate (Fisher 1935); 0 or infinite if one side has no such individual, None if all or none have it.
        low: lower end of its exact conditional interval.
        high: upper end; infinite if the data set no bound.
        p_value: of Fisher's exact test, two-sided, by itself.
        p_holm: the same corrected for all features looked at together; None for one by itself.
        confidence: of the interval.
    """

    feature: str
    kind: Literal["primitive", "tag"]
    best: int
    best_with: int
    evaluated: int
    evaluated_with: int
    odds_ratio: float | None
    low: float
    high: float
    p_value: float
    p_holm: float | None
    confidence: float

    @property
    def share_best(self) -> float:
        """Share of the best that has the feature."""
        return self.best_with / self.best

    @property
    def share_evaluated(self) -> float:
        """Share of all evaluated that has the feature."""
        return self.evaluated_with / self.evaluated


def features(individual: Individual) -> frozenset[str]:
    """Return the names of the primitives and learnable terminals in a tree, each once, and the tags it has."""
    traits = individual.pset.traits
    used_traits = {node.name: traits[node.name] for node in individual if node.name in traits}
    names = {node.name for node in individual if isinstance(node, gp.Primitive)}
    names |= {name for name, trait in used_traits.items() if trait.learnable}
    return frozenset(names | {tag for tag in TAGS if any(tag in trait.tags for trait in used_traits.values())})


def enrichment(
    individuals: Sequence[Individual],
    fitnesses: Sequence[float],
    k: int,
    feature: str = "periodic",
    *,
    confidence: float = 0.95,
) -> Enrichment:
    """Return how enriched one feature is among the best ``k``.

    A feature counts once for an individual, however often it has it, and individuals of one canonical text count once,
    the first of them. Those that equal the k-th in fitness are among the best too. A fitness that is not finite is the
    worst.

    Args:
        individuals: all that were evaluated, of one set.
        fitnesses: of each, higher is better.
        k: how many are the best; fewer than there are.
        feature: a primitive of the set, or one of ``TAGS``; a tag goes before a primitive of that name.
        confidence: of the interval.

    Raises:
        GaafError: for lengths that differ, a ``k`` that leaves no best or no rest, or an unknown feature.
    """
    check_confidence(confidence)
    best, rest = _groups(individuals, fitnesses, k)
    names = {node.name for nodes in individuals[0].pset.primitives.values() for node in nodes}
    names |= {name for name, trait in individuals[0].pset.traits.items() if trait.learnable}
    if feature not in names and feature not in TAGS:
        raise GaafError(
            f"feature must be a primitive of set {individuals[0].pset.name!r} or one of {listed(TAGS)}, got "
            f"{feature!r}; the primitives are {listed(sorted(names), 40)}"
        )
    return _enrichment(feature, best, rest, confidence)


def enrichments(
    individuals: Sequence[Individual], fitnesses: Sequence[float], k: int, *, confidence: float = 0.95
) -> tuple[Enrichment, ...]:
    """Return the enrichment of every primitive and tag that occurs, the least p-value first; see :func:`enrichment`.

    The p-values are corrected for looking at all of them (Holm).

    Raises:
        GaafError: as :func:`enrichment`.
    """
    check_confidence(confidence)
    best, rest = _groups(individuals, fitnesses, k)
    names = sorted(frozenset[str]().union(*best, *rest))
    uncorrected = [_enrichment(name, best, rest, confidence) for name in names]
    adjusted = holm([row.p_value for row in uncorrected])
    corrected = [replace(row, p_holm=p_value) for row, p_value in zip(uncorrected, adjusted, strict=True)]
    return tuple(sorted(corrected, key=lambda row: row.p_value))


def _groups(
    individuals: Sequence[Individual], fitnesses: Sequence[float], k: int
) -> tuple[list[frozenset[str]], list[frozenset[str]]]:
    """Return the features of each of the best, and of each of the rest."""
    if len(individuals) != len(fitnesses) or not individuals:
        raise GaafError(f"there must be a fitness for each individual, got {len(individuals)} and {len(fitnesses)}")
    distinct: dict[str, tuple[frozenset[str], float]] = {}
    for individual, fitness in zip(individuals, fitnesses, strict=True):
        if individual.canonical not in distinct:
            distinct[individual.canonical] = features(individual), fitness if math.isfinite(fitness) else -math.inf
    values = sorted((fitness for _, fitness in distinct.values()), reverse=True)
    number = plain_whole(k)
    cut = values[number - 1] if number is not None and 0 < number < len(values) else None
    if cut is None or values[-1] == cut:
        raise GaafError(
            f"k must leave a best and a rest among {len(values)} distinct individuals, and those that equal the k-th "
            f"are among the best; got {k!r}: choose another k"
        )
    best = [feature_set for feature_set, fitness in distinct.values() if fitness >= cut]
    return best, [feature_set for feature_set, fitness in distinct.values() if fitness < cut]


def _enrichment(feature: str, best: list[frozenset[str]], rest: list[frozenset[str]], confidence: float) -> Enrichment:
    first, second = (sum(feature in member for member in group) for group in (best, rest))
    table = [[first, len(best) - first], [second, len(rest) - second]]
    result = scipy.stats.contingency.odds_ratio(table, kind="conditional")
    ratio, interval = float(result.statistic), result.confidence_interval(confidence)
    return Enrichment(
        feature=feature,
        kind="tag" if feature in TAGS else "primitive",
        best=len(best),
        best_with=first,
        evaluated=len(best) + len(rest),
        evaluated_with=first + second,
        odds_ratio=None if math.isnan(ratio) else ratio,
        low=float(interval.low),
        high=float(interval.high),
        p_value=min(1.0, float(scipy.stats.fisher_exact(table).pvalue)),
        p_holm=None,
        confidence=confidence,
    )
