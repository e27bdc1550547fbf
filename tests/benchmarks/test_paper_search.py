"""The paper's genetic algorithm on a fitness that costs nothing."""

import itertools
import random

import pytest

from benchmarks.paper_search import GENE_LIMITS, MODES, PaperSearch


def fitness(genes):
    """Between 0.02 and 0.98, another value for almost every genotype, and best for (6, 0, 0): sin(x) + x."""
    distance = sum((gene - best) ** 2 for gene, best in zip(genes, (6, 0, 0), strict=True))
    return 0.02 + 0.96 / (1 + distance / 20)


def search(seed=0, evaluate=fitness, **settings):
    return PaperSearch(evaluate, random.Random(seed), **{"size": 12, "children": 5, "generations": 20, **settings})


def test_the_search_space_is_encoding_one():
    assert GENE_LIMITS == (22, 22, 11)
    drawn = {search(seed).random_genes() for seed in range(500)}
    assert all(0 <= gene < limit for genes in drawn for gene, limit in zip(genes, GENE_LIMITS, strict=True))
    for place, limit in enumerate(GENE_LIMITS):
        assert {genes[place] for genes in drawn} == set(range(limit))


def test_one_seed_gives_one_search():
    first, again, other = (list(search(seed).run()) for seed in (3, 3, 4))
    assert first == again
    assert first != other


def test_the_first_individuals_must_beat_the_threshold():
    found = search(threshold=0.2)
    trials = [trial for trial in found.run() if trial.generation == 0]
    assert sum(trial.accepted for trial in trials) == 12
    assert any(not trial.accepted for trial in trials)
    assert all(trial.accepted == (trial.fitness > 0.2) for trial in trials)
    assert len({trial.genes for trial in trials if trial.accepted}) == 12


def test_the_threshold_itself_is_not_enough():
    values = itertools.chain([0.11] * 5, itertools.repeat(0.12))
    trials = list(search(evaluate=lambda _genes: next(values), generations=0).run())
    assert [trial.accepted for trial in trials] == [False] * 5 + [True] * 12


def test_a_child_replaces_the_worst_if_it_is_better_and_new():
    found = search()
    before = {}
    for trial in found.run():
        if trial.generation:
            worst = min(before, key=before.get)
            assert trial.genes not in before
            assert trial.accepted == (trial.fitness > before[worst])
            expected = {genes: value for genes, value in before.items() if not (trial.accepted and genes == worst)}
            assert found.population == (expected | {trial.genes: trial.fitness} if trial.accepted else expected)
            assert len(found.population) == 12
            assert min(found.population.values()) >= before[worst]
        before = dict(found.population)
    assert max(before.values()) == max(fitness(genes) for genes in before)


def test_a_child_differs_from_a_parent_in_one_gene():
    found = search()
    before = {}
    for trial in found.run():
        if trial.generation:
            differences = [sum(a != b for a, b in zip(trial.genes, genes, strict=True)) for genes in before]
            assert min(differences) == 1
        before = dict(found.population)


@pytest.mark.parametrize("genes", [(0, 0, 0), (21, 21, 10), (6, 12, 5)])
def test_mutation_reaches_every_other_operator_of_one_gene(genes):
    found = search()
    mutants = {found.mutated(genes) for _ in range(5000)}
    expected = {
        (*genes[:place], value, *genes[place + 1 :])
        for place, limit in enumerate(GENE_LIMITS)
        for value in range(limit)
        if value != genes[place]
    }
    assert mutants == expected


def test_the_ways_to_select_parents():
    found = search()
    found.population = {(gene, 0, 0): 0.1 + 0.02 * gene for gene in range(20)} | {(20, 0, 0): 0.9}
    assert list(found.parents("elitism")) == [(20, 0, 0), (19, 0, 0)]
    for mode in MODES[1:]:
        drawn = [found.parents(mode) for _ in range(2000)]
        assert all(len(pair) == 2 and set(pair) <= set(found.population) for pair in drawn)
        share = sum(genes == (20, 0, 0) for pair in drawn for genes in pair) / 4000
        expected = 1 / 21 if mode == "tournament" else 0.9 / sum(found.population.values())
        assert share == pytest.approx(expected, abs=0.02)  # the published tournament does not look at the fitness


def test_a_generation_has_so_many_children_at_most_and_duplicates_cost_nothing():
    trained = []

    def evaluate(genes):
        trained.append(genes)
        return fitness(genes)

    trials = list(search(evaluate=evaluate).run())
    assert trained == [trial.genes for trial in trials]
    for generation in range(1, 21):
        assert sum(trial.generation == generation for trial in trials) <= 5
    assert len(trials) <= len([trial for trial in trials if not trial.generation]) + 100


def test_it_finds_better_functions_than_it_began_with():
    trials = list(search(generations=60).run())
    start = max(trial.fitness for trial in trials if not trial.generation)
    assert max(trial.fitness for trial in trials) > start
