"""The toolbox under DEAP's own algorithms, unchanged, with real training."""

import pickle
import random

import pytest
import torch
from deap import algorithms, tools

from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation.evaluator import Evaluator
from gaaf_gp.search.bloat import Objective
from gaaf_gp.search.evolve import evolve
from gaaf_gp.search.loops import Steady
from gaaf_gp.search.toolbox import make_toolbox
from gaaf_gp.trees.candidate import TwoTrees, parse_candidate
from gaaf_gp.trees.generation import Limits
from gaaf_gp.trees.individual import Individual
from gaaf_gp.trees.tree import check_tree

ALIASES = ("expr", "individual", "population", "compile", "evaluate", "select", "mate", "mutate", "map", "clone")
LIMITS = Limits(height=4, size=12)


@pytest.fixture
def evaluator(tiny_proxy, free):
    with Evaluator(tiny_proxy, free) as made:
        yield made


def _sound(population):
    assert all(individual.fitness.valid for individual in population)
    for individual in population:
        check_tree(individual, individual.pset.ret)
        assert individual.height <= LIMITS.height
        assert individual.size <= LIMITS.size


def test_ea_simple_runs_unchanged(evaluator, free):
    random.seed(1)
    toolbox = make_toolbox(free, evaluator, rng=1, limits=LIMITS)
    hall = tools.HallOfFame(3)
    statistics = tools.Statistics(lambda individual: individual.fitness.values[0])
    statistics.register("max", max)
    population, logbook = algorithms.eaSimple(
        toolbox.population(8), toolbox, cxpb=0.5, mutpb=0.4, ngen=2, stats=statistics, halloffame=hall, verbose=False
    )
    _sound(population)
    assert len(population) == 8
    assert [row["gen"] for row in logbook] == [0, 1, 2]
    assert hall[0].fitness.values[0] >= max(row["max"] for row in logbook) > 0


def test_ea_mu_plus_lambda_runs_unchanged(evaluator, free):
    random.seed(2)
    toolbox = make_toolbox(free, evaluator, rng=2, limits=LIMITS)
    population, logbook = algorithms.eaMuPlusLambda(
        toolbox.population(6), toolbox, mu=6, lambda_=8, cxpb=0.5, mutpb=0.4, ngen=2, verbose=False
    )
    _sound(population)
    assert len(population) == 6
    assert len(logbook) == 3


def test_nsga2_runs_unchanged_on_accuracy_and_size(evaluator, free):
    random.seed(3)
    toolbox = make_toolbox(free, evaluator, rng=3, limits=LIMITS, objectives=("accuracy", "size"))
    front = tools.ParetoFront()
    population, _ = algorithms.eaMuPlusLambda(
        toolbox.population(8), toolbox, mu=8, lambda_=8, cxpb=0.5, mutpb=0.4, ngen=2, halloffame=front, verbose=False
    )
    _sound(population)
    assert all(individual.fitness.values[1] == individual.size for individual in population)
    assert all(hasattr(individual.fitness, "crowding_dist") for individual in population)
    for one in front:
        assert not any(other.fitness.dominates(one.fitness) for other in population)


def test_every_alias_is_there_and_does_its_part(stub_proxy, free):
    toolbox = make_toolbox(free, Evaluator(stub_proxy, free))
    assert all(hasattr(toolbox, alias) for alias in ALIASES)
    individual = toolbox.individual()
    assert isinstance(individual, Individual)
    assert toolbox.compile(individual, 4).channels == 4
    clone = toolbox.clone(individual)
    assert clone == individual
    assert clone is not individual
    assert len(toolbox.mate(toolbox.clone(individual), toolbox.individual())) == 2
    assert len(toolbox.mutate(clone)) == 1


def test_map_evaluates_side_by_side_and_is_map_otherwise(stub_proxy, free, monkeypatch):
    evaluator = Evaluator(stub_proxy, free)
    toolbox = make_toolbox(free, evaluator)
    batches = []
    real = evaluator.evaluate
    monkeypatch.setattr(evaluator, "evaluate", lambda trees, *rest: (batches.append(len(trees)), real(trees, *rest))[1])
    population = toolbox.population(5)
    assert toolbox.map(toolbox.clone, population) == population
    assert toolbox.map(max, [1, 5], [4, 2]) == [4, 5]
    assert batches == []
    assert toolbox.map(toolbox.evaluate, iter(population)) == [toolbox.evaluate(tree) for tree in population]
    assert batches[0] == 5
    behaved = [evaluator.behaviour(tree) for tree in population]
    assert len(stub_proxy.trained) == len({found.signature for found in behaved if found.failure is None})


def test_the_seed_decides_the_population(stub_proxy, free):
    evaluator = Evaluator(stub_proxy, free)
    first, again, other = (make_toolbox(free, evaluator, rng=seed).population(20) for seed in (4, 4, 5))
    assert first == again
    assert first != other


def test_bad_objectives_and_heights_are_refused(stub_proxy, free):
    evaluator = Evaluator(stub_proxy, free)
    with pytest.raises(GaafError, match=r"objectives must begin with 'accuracy', .* got \['speed'\]"):
        make_toolbox(free, evaluator, objectives=["speed"])
    with pytest.raises(GaafError, match=r"one of size, nodes, height, cost, thresholds; got 'speed'"):
        make_toolbox(free, evaluator, objectives=["accuracy", "speed"])
    with pytest.raises(GaafError, match="one control at most may choose the parents, got Pareto, Lexicographic"):
        make_toolbox(free, evaluator, objectives=["accuracy", "size"], bloat="lexicographic")
    with pytest.raises(GaafError, match=r"within the limit 2, got \(1, 3\)"):
        make_toolbox(free, evaluator, limits=Limits(height=2), heights=(1, 3))
    assert all(tree.height <= 2 for tree in make_toolbox(free, evaluator, limits=Limits(height=2)).population(30))


def _pairs_are_sound(population):
    for individual in population:
        assert isinstance(individual, TwoTrees)
        assert individual.fitness.valid
        for tree in (individual.forward, individual.backward):
            check_tree(tree, tree.pset.ret)
            assert tree.height <= LIMITS.height
            assert tree.size <= LIMITS.size


def test_ea_simple_runs_unchanged_on_two_trees(evaluator, free):
    random.seed(1)
    toolbox = make_toolbox(free, evaluator, rng=1, limits=LIMITS, two_trees=True)
    hall = tools.HallOfFame(3)
    population, logbook = algorithms.eaSimple(
        toolbox.population(6), toolbox, cxpb=0.5, mutpb=0.4, ngen=2, halloffame=hall, verbose=False
    )
    _pairs_are_sound([*population, *hall])
    assert len(population) == 6
    assert len(logbook) == 3
    assert {record.text for record in evaluator.records.values()} >= {one.canonical for one in population}


def test_nsga2_counts_the_nodes_of_both_trees(stub_proxy, free):
    random.seed(3)
    toolbox = make_toolbox(
        free, Evaluator(stub_proxy, free), rng=3, limits=LIMITS, objectives=("accuracy", "size"), two_trees=True
    )
    population, _ = algorithms.eaMuPlusLambda(
        toolbox.population(8), toolbox, mu=8, lambda_=8, cxpb=0.5, mutpb=0.4, ngen=3, verbose=False
    )
    _pairs_are_sound(population)
    for one in population:
        assert one.fitness.values[1] == one.forward.size + one.backward.size


def test_two_trees_compile_to_a_module_of_signs(tiny_proxy, stub_proxy, free):
    for proxy, window in ((tiny_proxy, tiny_proxy.surrogate.window), (stub_proxy, 1.3)):
        toolbox = make_toolbox(free, Evaluator(proxy, free), two_trees=True)
        module = toolbox.compile(parse_candidate("sin(x) | scale(x)", free), 4)
        assert module.surrogate.window == window
        x = torch.linspace(-3, 3, 8).view(2, 4)
        assert torch.equal(module(x), torch.where(torch.sin(x) >= 0, 1.0, -1.0))


def test_all_operators_keep_two_trees(stub_proxy, free):
    toolbox = make_toolbox(free, Evaluator(stub_proxy, free), rng=5, two_trees=True)
    first, second = toolbox.population(2)
    assert toolbox.clone(first) == first
    assert toolbox.clone(first).forward is not first.forward
    for one in (*toolbox.mate(first, second), *toolbox.mutate(toolbox.clone(first))):
        assert isinstance(one, TwoTrees)
    assert str(make_toolbox(free, Evaluator(stub_proxy, free), rng=5, two_trees=True).individual()).count(" | ") == 1


def _sizes(individual):
    return (float(len(individual)),)


def test_a_plain_function_is_a_fitness_function(free):
    toolbox = make_toolbox(free, lambda individual: 2.0 * len(individual), rng=3)
    population = toolbox.population(6)
    assert toolbox.map(toolbox.evaluate, population) == [(2.0 * len(one),) for one in population]
    assert toolbox.evaluate(population[0]) == (2.0 * len(population[0]),)


def test_an_evaluate_of_your_own_is_what_eas_run(stub_proxy, free):
    random.seed(1)
    evaluator, asked = Evaluator(stub_proxy, free), []
    toolbox = make_toolbox(free, evaluator, rng=1, limits=LIMITS)
    toolbox.register("evaluate", lambda individual: (asked.append(individual), _sizes(individual))[1])
    population, _ = algorithms.eaSimple(toolbox.population(6), toolbox, 0.5, 0.4, 2, verbose=False)
    assert len(asked) >= 6
    assert all(one.fitness.values == _sizes(one) for one in population)
    assert evaluator.records == {}


def test_an_evaluate_of_your_own_may_have_several_values(stub_proxy, free):
    random.seed(1)
    toolbox = make_toolbox(free, Evaluator(stub_proxy, free), rng=1, objectives=("accuracy", "size"))
    toolbox.register("evaluate", lambda individual: (float(individual.height), individual.cost))
    population, _ = algorithms.eaMuPlusLambda(toolbox.population(6), toolbox, 6, 6, 0.5, 0.4, 2, verbose=False)
    assert all(one.fitness.values == (one.height, one.cost) for one in population)
    toolbox.register("evaluate", lambda _: (1.0, 2.0, 3.0))
    with pytest.raises(GaafError, match=r"a fitness of 2 objective\(s\) must get as many values, got 3: name all"):
        algorithms.eaSimple(toolbox.population(2), toolbox, 0.5, 0.4, 1, verbose=False)


def _minus_size(evaluate):
    return lambda individual: (evaluate(individual)[0] - len(individual),)


def test_a_decorated_evaluate_runs_and_still_trains_side_by_side(stub_proxy, free, monkeypatch):
    evaluator, batches = Evaluator(stub_proxy, free), []
    toolbox = make_toolbox(free, evaluator)
    toolbox.decorate("evaluate", _minus_size)
    toolbox.decorate("evaluate", _minus_size)
    real = evaluator.evaluate
    monkeypatch.setattr(evaluator, "evaluate", lambda trees, *rest: (batches.append(len(trees)), real(trees, *rest))[1])
    population = toolbox.population(5)
    values = toolbox.map(toolbox.evaluate, population)
    assert batches[0] == 5  # then they come from memory
    assert [value for (value,) in values] == pytest.approx([evaluator(one)[0] - 2 * len(one) for one in population])
    toolbox.register("evaluate", _sizes)
    toolbox.decorate("evaluate", _minus_size)
    assert toolbox.map(toolbox.evaluate, population) == [(0.0,)] * 5


def test_our_loops_run_the_evaluate_of_a_toolbox(stub_proxy, free):
    for loop in ("generations", Steady()):
        evaluator = Evaluator(stub_proxy, free)
        toolbox = make_toolbox(free, evaluator, rng=1)
        toolbox.decorate("evaluate", _minus_size)
        found = evolve(free, evaluator, toolbox=toolbox, loop=loop, evaluations=12, population_size=5)
        assert len(found.records) == 12
        for one in found.complete:
            trained = evaluator.records[one.canonical]
            assert one.fitness.values == (trained.fitness - len(one),)
        assert found.best.fitness == max(record.fitness for record in found.records)
        assert found.best.outcomes == evaluator.records[found.best.text].outcomes != ()
        toolbox.register("evaluate", _sizes)
        sizes = evolve(free, evaluator, toolbox=toolbox, loop=loop, evaluations=8, population_size=4)
        assert all(one.fitness.values == _sizes(one) for one in sizes.hall_of_fame)


def test_our_loops_use_a_pool_that_is_registered(free):
    toolbox, calls = make_toolbox(free, _sizes), []
    toolbox.register("evaluate", lambda individual: _sizes(individual))
    toolbox.register("map", lambda function, items: (calls.append(len(items)), list(map(function, items)))[1])
    evolve(free, _sizes, toolbox=toolbox, evaluations=8, population_size=4)
    assert calls[0] == 4


def test_an_evaluator_registered_as_in_deap_stays_parallel(stub_proxy, free):
    evaluator = Evaluator(stub_proxy, free)
    toolbox = make_toolbox(free, evaluator)
    toolbox.register("evaluate", evaluator)
    found = evolve(free, evaluator, toolbox=toolbox, evaluations=4, population_size=4)
    assert {record.text for record in found.records} == set(evaluator.records)


def test_objectives_may_be_several_and_your_own(stub_proxy, free):
    random.seed(4)
    objectives = ("accuracy", "cost", lambda one: one.height, Objective(len, weight=2.0))
    toolbox = make_toolbox(free, Evaluator(stub_proxy, free), rng=4, objectives=objectives)
    population, _ = algorithms.eaMuPlusLambda(toolbox.population(8), toolbox, 8, 8, 0.5, 0.4, 2, verbose=False)
    for one in population:
        assert one.fitness.weights == (1.0, -1.0, -1.0, 2.0)
        assert one.fitness.values[1:] == (one.cost, one.height, len(one))
        assert pickle.loads(pickle.dumps(one)).fitness == one.fitness
        assert pickle.loads(pickle.dumps(one)).fitness.weights == one.fitness.weights


def test_evolve_takes_several_objectives_and_returns_their_front(free):
    def fitness(individual):
        return float(len(set(str(individual))))

    found = evolve(free, fitness, objectives=("accuracy", "cost"), evaluations=40, population_size=10, seed=2)
    assert all(one.fitness.values == (fitness(one), one.cost) for one in found.complete)
    points = [one.fitness.values for one in found.complete]
    dominated = [any(q != p and q[0] >= p[0] and q[1] <= p[1] for q in points) for p in points]
    assert {str(one) for one in found.front} == {
        str(one) for one, worse in zip(found.complete, dominated, strict=True) if not worse
    }
    assert len(found.front) > 1
    assert found.front[0].fitness.values[0] == max(points)[0]
    with pytest.raises(GaafError, match="a toolbox has its own objectives"):
        evolve(free, fitness, objectives=("accuracy", "cost"), toolbox=make_toolbox(free, fitness))
