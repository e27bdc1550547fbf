"""Searches on a table go as those that train: ours, the paper's and DEAP's own."""

import random

import pytest
from deap import algorithms, gp, tools

from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation.evaluator import Evaluator
from gaaf_gp.evaluation.fitness_function import FitnessFunction, as_fitness_function
from gaaf_gp.evaluation.table import TableEvaluator
from gaaf_gp.search.evolve import evolve
from gaaf_gp.search.genetic import PUBLISHED, REPAIRED, genetic, random_search
from gaaf_gp.search.toolbox import make_toolbox
from gaaf_gp.trees.candidate import TwoTrees
from gaaf_gp.trees.individual import Individual
from gaaf_gp.trees.parser import parse

LIVE = 10  # distinct live functions of the set "forced"


@pytest.fixture
def looked_up(tiny_table, forced):
    return TableEvaluator(tiny_table, forced)


def trace(found):
    return (
        [(record.text, record.fitness) for record in found.records],
        [str(individual) for individual in found.population],
        [(str(individual), individual.fitness.values) for individual in found.hall_of_fame],
        [dict(row) for row in found.logbook],
        found.rejected,
    )


SEARCHES = {
    "evolve": lambda pset, table: evolve(pset, table, evaluations=9, population_size=4, seed=2),
    "repaired": lambda pset, table: genetic(pset, table, evaluations=9, population_size=3, children=2, seed=2),
    "random": lambda pset, table: random_search(pset, table, evaluations=9, seed=2),
}


@pytest.mark.parametrize("search", SEARCHES)
def test_a_search_goes_as_the_one_that_trains(search, tiny_table, tiny_proxy, forced):
    with Evaluator(tiny_proxy, forced, seeds=(3,)) as evaluator:
        trained = SEARCHES[search](forced, evaluator)
    assert trace(SEARCHES[search](forced, TableEvaluator(tiny_table, forced, seed=3))) == trace(trained)
    assert len(trained.records) == 9


def test_records_are_those_of_an_evaluator(looked_up, tiny_proxy, forced, forced_trees):
    with Evaluator(tiny_proxy, forced) as evaluator:
        trained = evaluator.evaluate(forced_trees)
    arrived = []
    records = looked_up.evaluate([*forced_trees, *forced_trees], arrived.append)
    assert records[:18] == records[18:]
    assert arrived == records[:18]
    for found, expected in zip(records[:18], trained, strict=True):
        assert (found.text, found.fitness, found.failure) == (expected.text, expected.fitness, expected.failure)
        assert (found.by_seed, found.same_as) == (expected.by_seed, expected.same_as)
        assert (found.complete, found.fidelity) == (expected.complete, expected.fidelity)
        assert (found.seconds > 0) == (expected.seconds > 0)
    assert list(looked_up.records) == [tree.canonical for tree in forced_trees]
    assert [looked_up.behaviour(tree) for tree in forced_trees] == [tiny_proxy.behaviour(tree) for tree in forced_trees]


def test_it_is_a_fitness_function_and_answers_deap(looked_up, tiny_table, forced):
    assert isinstance(looked_up, FitnessFunction)
    assert as_fitness_function(looked_up, forced) is looked_up
    entry = tiny_table.entries[3]
    assert looked_up.seed == 0
    assert looked_up(parse(entry.text, forced)) == (entry.accuracy[0],)
    assert TableEvaluator(tiny_table, forced, seed=3)(parse(entry.text, forced)) == (entry.accuracy[3],)
    random.seed(1)
    stock = gp.PrimitiveTree(gp.genFull(forced, 2, 2))
    assert looked_up(stock) == looked_up(Individual(stock, forced))


def test_deaps_own_algorithm_runs_on_it(looked_up, tiny_table, forced):
    random.seed(3)
    toolbox = make_toolbox(forced, looked_up, rng=3)
    toolbox.register("evaluate", looked_up)
    toolbox.register("map", map)
    best = tools.HallOfFame(1)
    population, logbook = algorithms.eaSimple(
        toolbox.population(8), toolbox, cxpb=0.6, mutpb=0.4, ngen=12, halloffame=best, verbose=False
    )
    assert sum(row["nevals"] for row in logbook) > 60
    assert best[0].fitness.values == (max(entry.accuracy[0] for entry in tiny_table.entries),)
    for individual in population:
        entry = tiny_table.entry(individual.canonical)
        assert individual.fitness.values == (entry.accuracy[0] if entry else 0.0,)


def test_a_hundred_searches_find_what_is_there(tiny_table, forced):
    best = max(entry.accuracy[0] for entry in tiny_table.entries)
    tables = [TableEvaluator(tiny_table, forced) for _ in range(100)]
    found = [evolve(forced, table, evaluations=5, population_size=4, seed=s) for s, table in enumerate(tables[:50])]
    drawn = [random_search(forced, table, evaluations=5, seed=s) for s, table in enumerate(tables[50:])]
    hits = [sum(one.best.fitness == best for one in some) for some in (found, drawn)]
    assert all(10 < hit < 50 for hit in hits), "half of the functions are evaluated, so half of the runs meet the best"
    assert all(len(one.records) == 5 for one in (*found, *drawn))
    whole = random_search(forced, TableEvaluator(tiny_table, forced), evaluations=100)
    assert whole.exhausted
    assert len(whole.records) == LIVE


def test_the_published_algorithm_pays_for_the_dead(looked_up, forced):
    found = genetic(forced, looked_up, evaluations=60, population_size=4, threshold=0.1, repairs=PUBLISHED)
    assert found.failures["constant sign"] > 0
    repaired = genetic(forced, looked_up, evaluations=60, population_size=4, threshold=0.1, repairs=REPAIRED)
    assert not repaired.failures
    assert repaired.rejected["constant sign"] > 0


def test_a_seed_that_not_all_were_trained_on_is_refused(tiny_table, forced):
    with pytest.raises(GaafError, match="every function of the table was trained on, 0, 3; got 5"):
        TableEvaluator(tiny_table, forced, seed=5)


def test_a_tree_of_another_space_is_refused(looked_up, minimal, forced):
    for ask in (looked_up, looked_up.behaviour):
        with pytest.raises(GaafError, match=r"a tree must be in the space of the table, forced with 18 trees"):
            ask(parse("sin(x)", minimal))
    live = parse("add(sin(x), tanh(x))", forced)
    with pytest.raises(GaafError, match=r"got 'add\(sin\(x\), tanh\(x\)\) \| sub"):
        looked_up(TwoTrees(live, parse("sub(sin(x), tanh(x))", forced)))
