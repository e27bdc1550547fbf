"""The genetic algorithm of the GAAF paper over its encoding 1, b0(u0(x), u1(x)), as its public code runs it.

Source: Li et al. 2023 (arXiv 2206.03291), the algorithm as the authors' code has it. Thirty random genotypes, each
accepted only above a threshold; then generations of ten children. The way parents are selected is drawn anew in each
generation: the two best, a tournament (which in that code does not look at the fitness), or in proportion to fitness. A
child is one of its parents with one gene changed to another operator of the same arity. It replaces the worst of the
population if it is better and its genotype is not there yet. Crossover is never used, and nothing is screened.

Two things are decided in the algorithm's favour: a genotype that the population holds is not trained again, and the
accuracy that counts is whatever the given evaluation returns, so that a search here is not misled by the best of
several noisy epochs.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from primitives.gaaf import BINARY, UNARY

Genes = tuple[int, ...]
GENE_LIMITS = (len(UNARY), len(UNARY), len(BINARY))
"""Number of values of each gene: u0, u1 and b0."""
MODES = ("elitism", "tournament", "proportionate")


@dataclass(frozen=True)
class Trial:
    """One evaluated genotype, its fitness, the generation (0 for the first thirty) and whether it was taken in."""

    genes: Genes
    fitness: float
    generation: int
    accepted: bool


class PaperSearch:
    """One run of the algorithm; :meth:`run` yields every evaluation, and the caller stops when it has enough.

    Args:
        evaluate: returns the fitness of a genotype, an accuracy from 0 to 1.
        rng: of all choices; one state gives one run.
        size: individuals of the population.
        children: of a generation.
        generations: after the first population.
        threshold: what the fitness of a first individual must exceed.

    Attributes:
        population: genotype -> fitness, in the order of their arrival.
    """

    def __init__(
        self,
        evaluate: Callable[[Genes], float],
        rng: random.Random,
        *,
        size: int = 30,
        children: int = 10,
        generations: int = 200,
        threshold: float = 0.11,
    ) -> None:
        self.evaluate = evaluate
        self.rng = rng
        self.size = size
        self.children = children
        self.generations = generations
        self.threshold = threshold
        self.population: dict[Genes, float] = {}

    def run(self) -> Iterator[Trial]:
        """Yield each evaluation as it is done."""
        while len(self.population) < self.size:
            genes = self.random_genes()
            if genes not in self.population:
                fitness = self.evaluate(genes)
                accepted = fitness > self.threshold
                if accepted:
                    self.population[genes] = fitness
                yield Trial(genes, fitness, 0, accepted)
        for generation in range(1, self.generations + 1):
            mode = self.rng.choice(MODES)
            for _ in range(self.children):
                genes = self.mutated(self.rng.choice(self.parents(mode)))
                if genes not in self.population:
                    fitness = self.evaluate(genes)
                    yield Trial(genes, fitness, generation, self._replace_worst(genes, fitness))

    def random_genes(self) -> Genes:
        """Return a random genotype."""
        return tuple(self.rng.randrange(limit) for limit in GENE_LIMITS)

    def parents(self, mode: str) -> Sequence[Genes]:
        """Return two parents, selected by ``mode``, one of MODES."""
        everyone = list(self.population)
        if mode == "elitism":
            return sorted(everyone, key=self.population.__getitem__, reverse=True)[:2]
        if mode == "tournament":
            return self.rng.sample(everyone, 2)
        return self.rng.choices(everyone, weights=list(self.population.values()), k=2)

    def mutated(self, genes: Genes) -> Genes:
        """Return ``genes`` with one of them changed to another operator of the same arity."""
        place = self.rng.randrange(len(genes))
        other = self.rng.randrange(GENE_LIMITS[place] - 1)
        return (*genes[:place], other + (other >= genes[place]), *genes[place + 1 :])

    def _replace_worst(self, genes: Genes, fitness: float) -> bool:
        worst = min(self.population, key=self.population.__getitem__)
        if fitness <= self.population[worst]:
            return False
        del self.population[worst]
        self.population[genes] = fitness
        return True
