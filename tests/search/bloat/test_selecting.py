"""Controls that select, against DEAP's own and against formulas."""

import math
import random
import statistics

import numpy as np
import pytest
from deap import tools

from gaaf_gp.errors import GaafError
from gaaf_gp.search.bloat import DoubleTournament, Lexicographic, LinearParsimony, Pareto, Tournament
from gaaf_gp.trees.generation import generate
from gaaf_gp.trees.individual import Fitness, Individual, ParetoFitness
from gaaf_gp.trees.parser import parse
from gaaf_gp.util.randomness import as_global


def _population(free, number, seed=0, fitness=Fitness):
    rng = random.Random(seed)
    trees = [Individual(generate(free, 1, 5, rng=rng, max_size=40), free, fitness()) for _ in range(number)]
    for tree in trees:
        accuracy = rng.random()
        tree.fitness.values = (accuracy,) if fitness is Fitness else (accuracy, len(tree))
    return trees


def _ids(individuals):
    return [id(one) for one in individuals]


@pytest.mark.parametrize("parsimony", [1.0, 1.2, 2.0])
def test_the_double_tournament_is_deaps_draw_by_draw(free, parsimony):
    population = _population(free, 30)
    control = DoubleTournament(tournsize=3, parsimony=parsimony)
    chosen = control.select(population, 200, random.Random(7))
    with as_global(random.Random(7)):
        expected = tools.selDoubleTournament(population, 200, 3, parsimony, fitness_first=True)
    assert _ids(chosen) == _ids(expected)


def test_a_tournament_is_deaps_and_leaves_the_global_generator_alone(free):
    population, state = _population(free, 30), random.getstate()
    chosen = Tournament(tournsize=3).select(population, 200, random.Random(7))
    assert random.getstate() == state
    with as_global(random.Random(7)):
        assert _ids(chosen) == _ids(tools.selTournament(population, 200, 3))


def test_the_double_tournament_prefers_the_fit_and_then_the_small_of_any_measure(free):
    cheap, dear, poor = (parse(text, free) for text in ("add(x, x)", "sin(erf(x))", "cos(x)"))
    for individual, accuracy in ((cheap, 0.9), (dear, 0.9), (poor, 0.1)):
        individual.fitness.values = (accuracy,)
    assert len(cheap) == len(dear) == 3
    assert cheap.cost < dear.cost
    chosen = DoubleTournament(measure="cost", parsimony=1.6).select([dear, cheap, poor], 600, random.Random(0))
    counts = [sum(one is individual for one in chosen) for individual in (cheap, dear, poor)]
    assert counts[2] < 30, "a tournament of four rarely misses both fit ones"
    assert counts[0] > counts[1] + 60


def test_a_coefficient_is_the_price_of_a_node(free):
    large, small = parse("add(sin(x), zero(x))", free), parse("sin(x)", free)  # 5 nodes and 2
    large.fitness.values, small.fitness.values = (0.80,), (0.74,)
    for coefficient, winner in ((0.019, large), (0.021, small)):
        control = LinearParsimony(coefficient=coefficient, tournsize=8)
        control.learn([large, small])
        assert all(one is winner for one in control.select([large, small], 20, random.Random(1)))


def test_the_automatic_coefficient_is_the_covariance_over_the_variance(free):
    population = _population(free, 40)
    population[3].fitness.values = (float("nan"),)  # counts as the worst, and not at all here
    control = LinearParsimony()
    control.learn(population)
    rest = [one for one in population if one is not population[3]]
    covariance = np.cov([len(one) for one in rest], [one.fitness.values[0] for one in rest])
    assert control.now == pytest.approx(covariance[0, 1] / covariance[0, 0])
    same = [parse("sin(x)", free) for _ in range(3)]
    for one in same:
        one.fitness.values = (0.5,)
    control.learn(same)
    assert control.now == 0


def test_lexicographic_tournaments_break_ties_by_size(free):
    large, small, best = (parse(text, free) for text in ("add(sin(x), zero(x))", "sin(x)", "cos(add(x, x))"))
    for one, accuracy in ((large, 0.701), (small, 0.700), (best, 0.75)):
        one.fitness.values = (accuracy,)
    exact = Lexicographic(tournsize=12).select([large, small], 20, random.Random(2))
    assert all(one is large for one in exact)
    rounded = Lexicographic(tournsize=12, tolerance=0.01)
    assert all(one is small for one in rounded.select([large, small], 20, random.Random(2)))
    assert all(one is best for one in rounded.select([large, small, best], 20, random.Random(2)))


def test_pareto_selects_by_front_and_keeps_what_nsga2_keeps(free):
    population = _population(free, 24, fitness=ParetoFitness)
    control = Pareto()
    assert _ids(control.survivors(population, 10)) == _ids(tools.selNSGA2(population, 10))
    fronts = tools.sortNondominated(population, 24)
    first = set(_ids(fronts[0]))
    chosen = control.select(population, 400, random.Random(3))
    share = statistics.fmean(id(one) in first for one in chosen)
    expected = 1 - (1 - len(first) / 24) ** 2  # of two drawn at random one is in the first front
    assert share == pytest.approx(expected, abs=0.08)
    assert control.elite(2, 20) == 10
    assert control.values(parse("sin(x)", free), 0.5) == (0.5, 2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Tournament(tournsize=0), r"tournsize must be a whole number of at least 1, got 0"),
        (lambda: DoubleTournament(parsimony=2.5), r"parsimony must be a number from 1 to 2, got 2.5"),
        (lambda: LinearParsimony(coefficient="much"), r'coefficient must be a number or "auto", got \'much\''),
        (lambda: LinearParsimony(coefficient=-1), r"coefficient must be a number of at least 0, got -1"),
        (lambda: Lexicographic(tolerance=float("nan")), r"tolerance must be a number of at least 0, got nan"),
        (lambda: Pareto(measure="depth"), r"the measure of size must be one of nodes, .* got 'depth'"),
    ],
)
def test_settings_out_of_their_range_are_refused(make, message):
    with pytest.raises(GaafError, match=message):
        make()


def test_a_population_is_ranked_again_only_when_it_changes(free, monkeypatch):
    population, control, calls = _population(free, 12, fitness=ParetoFitness), Pareto(), []
    sort = tools.sortNondominated
    monkeypatch.setattr(tools, "sortNondominated", lambda *given: calls.append(given) or sort(*given))

    def chosen(selector, seed):
        return _ids(selector.select(population, 50, random.Random(seed)))

    fresh = [chosen(Pareto(), seed) for seed in range(4)]
    calls.clear()
    assert [chosen(control, seed) for seed in range(4)] == fresh
    assert len(calls) == 1
    population[3].fitness.values = (9.0, 1.0)
    assert chosen(control, 1) == chosen(Pareto(), 1)
    assert len(calls) == 3
    assert id(population[3]) in chosen(control, 1)


@pytest.mark.parametrize(
    ("fitness", "tolerance", "rank"),
    [(0.58, 0.1, 6), (0.62, 0.1, 6), (0.66, 0.1, 7), (0.58, 0.0, 0.58), (-0.58, 0.1, -6), (-math.inf, 0.1, -math.inf)],
)
def test_fitness_is_rounded_to_the_nearest_multiple(free, fitness, tolerance, rank):
    tree = parse("sin(x)", free)
    tree.fitness.values = (fitness,)
    assert Lexicographic(tolerance=tolerance).key(tree) == (rank, -2)


def test_a_price_of_size_is_the_covariance_over_the_variance(free):
    trees = [parse(text, free) for text in ("x", "sin(x)", "sin(cos(x))", "sin(sin(sin(x)))")]
    for tree, fitness in zip(trees, (0.1, 0.5, 0.6, -math.inf), strict=True):
        tree.fitness.values = (fitness,)
    control = LinearParsimony()
    control.learn(trees)
    # sizes 1, 2, 3 and values 0.1, 0.5, 0.6 about their means: -1, 0, 1 and -0.3, 0.1, 0.2; a failure teaches nothing
    assert control.now == pytest.approx(0.25)
    assert control.key(trees[1]) == pytest.approx(0.5 - 0.25 * 2)
    control.learn([trees[1], trees[1]])
    assert control.now == 0, "one size has no price"
    control.learn(trees[:1])
    assert control.now == 0
    fixed = LinearParsimony(coefficient=0.1)
    fixed.learn(trees)
    assert fixed.key(trees[2]) == pytest.approx(0.6 - 0.1 * 3)


@pytest.mark.parametrize(("parsimony", "share"), [(1.0, 0.5), (1.4, 0.7), (2.0, 1.0)])
def test_the_smaller_of_two_wins_with_half_the_parsimony(free, parsimony, share):
    small, large = parse("x", free), parse("sin(cos(x))", free)
    for tree in (small, large):
        tree.fitness.values = (0.5,)
    control, rng = DoubleTournament(tournsize=1, parsimony=parsimony), random.Random(0)
    chosen = control.select([small, large], 4000, rng)
    # in half of all draws both are the same tree
    assert sum(tree is small for tree in chosen) / 4000 == pytest.approx(0.25 + 0.5 * share, abs=0.03)


@pytest.mark.parametrize(("elite", "size", "kept"), [(1, 20, 10), (15, 20, 15), (2, 5, 2), (1, 1, 1)])
def test_half_of_a_population_of_two_goals_lives_on(elite, size, kept):
    assert Pareto().elite(elite, size) == kept
    assert Tournament().elite(elite, size) == elite
