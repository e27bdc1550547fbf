"""The paper's algorithm, replayed from what it asked: who bred, who was replaced, what each repair changes."""

import hashlib
import importlib
import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
from deap import base

from gaaf_gp.activations.behaviour import behaviour
from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation.evaluator import Evaluator
from gaaf_gp.search.evolve import evolve
from gaaf_gp.search.genetic import (
    MODES,
    PUBLISHED,
    REPAIRED,
    STARTS,
    Genetic,
    RandomSearch,
    Repairs,
    _Asking,
    _weights,
    genetic,
    random_search,
)
from gaaf_gp.search.toolbox import make_toolbox
from gaaf_gp.trees.candidate import TwoTrees
from gaaf_gp.trees.generation import Limits
from gaaf_gp.trees.individual import Individual
from gaaf_gp.trees.parser import parse
from primitives import gaaf

MODULE = importlib.import_module("gaaf_gp.search.genetic")  # the package has a function of that name

AS_PUBLISHED = replace(PUBLISHED, seeded=True)
ONE_BY_ONE = replace(REPAIRED, side_by_side=False, screen=False, skip_same_behaviour=False)


LIVE = 10  # distinct live functions among the 18 genotypes of the set "forced"


@pytest.fixture(scope="module")
def one():
    return gaaf.encoding1()


@pytest.fixture(scope="module")
def two():
    return gaaf.encoding2()


class Table:
    """Stands for training: a fixed fitness from 0.05 to 0.95 for each genotype, smooth in its genes but for a little.

    ``asked`` holds every individual in the order in which it was asked about.
    """

    def __init__(self):
        self.asked = []

    def __call__(self, individual):
        self.asked.append(individual)
        return self.of(individual)

    @staticmethod
    def of(individual):
        genes = gaaf.to_genes(individual)
        noise = hashlib.sha256(individual.canonical.encode()).digest()[0] / 255
        return 0.05 + 0.8 * sum(gene in (6, 7, 8) for gene in genes) / len(genes) + 0.1 * noise


def differences(first, second):
    return sum(a != b for a, b in zip(gaaf.to_genes(first), gaaf.to_genes(second), strict=True))


def replayed(asked, size, threshold, of=Table.of):
    """Yield (population before, child) for each child in turn, by the rule that a fitter child replaces the worst."""
    population = []
    for individual in asked:
        if len(population) < size:
            population += [individual] if of(individual) > threshold else []
            continue
        yield list(population), individual
        worst = min(population, key=of)
        if of(individual) > of(worst):
            population[population.index(worst)] = individual
    yield population, None


def trace(found):
    return (
        [(record.text, record.fitness) for record in found.records],
        [str(individual) for individual in found.population],
        [str(individual) for individual in found.hall_of_fame],
        [dict(row) for row in found.logbook],
        found.rejected,
    )


@pytest.mark.parametrize("repairs", [REPAIRED, AS_PUBLISHED, ONE_BY_ONE])
def test_the_population_is_what_the_rules_say(two, repairs, monkeypatch):
    asked, ask = [], _Asking.ask

    def watched(asking, children):
        ask(asking, children)
        asked.extend(children)

    monkeypatch.setattr(_Asking, "ask", watched)
    found = genetic(two, Table(), population_size=12, generations=40, threshold=0.2, repairs=repairs, seed=5)
    *steps, (population, _) = replayed(asked, 12, 0.2)
    assert sorted(map(str, found.population)) == sorted(map(str, population))
    assert all(Table.of(individual) > 0.2 for individual in population)
    assert all(child not in before for before, child in steps)
    assert [individual.fitness.values for individual in population] == [(Table.of(one),) for one in population]
    taken = [Table.of(child) > min(map(Table.of, before)) for before, child in steps]
    assert sum(row["taken"] for row in found.logbook[1:]) == sum(taken) > 20
    assert found.logbook[-1]["evaluations"] == len(asked)


def test_a_child_is_a_parent_with_one_gene_changed(two):
    table = Table()
    genetic(two, table, population_size=12, generations=40, threshold=0.2, repairs=ONE_BY_ONE)
    steps = list(replayed(table.asked, 12, 0.2))[:-1]
    assert len(steps) > 300
    assert {min(differences(child, parent) for parent in before) for before, child in steps} == {1}


def test_children_that_are_evaluated_together_have_their_parents_in_the_population_before(two):
    table = Table()
    found = genetic(two, table, population_size=12, generations=30, children=7, threshold=0.2)
    steps = list(replayed(table.asked, 12, 0.2))
    children = [row["nevals"] for row in found.logbook[1:]]
    start = 0
    for number in children:
        parents = steps[start][0]
        for _, child in steps[start : start + number]:
            assert min(differences(child, parent) for parent in parents) == 1
        start += number
    assert start == len(steps) - 1
    assert set(children) == {7}


def test_elitism_breeds_from_the_two_best(two, monkeypatch):
    monkeypatch.setattr(MODULE, "MODES", ("elitism",))
    table = Table()
    genetic(two, table, population_size=12, generations=20, threshold=0.2, repairs=ONE_BY_ONE)
    used = set()
    for before, child in list(replayed(table.asked, 12, 0.2))[:-1]:
        best = sorted(before, key=Table.of, reverse=True)[:2]
        close = [differences(child, parent) == 1 for parent in best]
        assert any(close)
        used.update(place for place, near in enumerate(close) if near)
    assert used == {0, 1}


def test_proportionate_selection_draws_by_fitness(two, monkeypatch):
    monkeypatch.setattr(MODULE, "MODES", ("proportionate",))
    asked = []

    def only_the_first(individual):
        asked.append(individual)
        return float(len(asked) == 1)

    genetic(two, only_the_first, population_size=12, generations=4, threshold=-1, repairs=ONE_BY_ONE)
    assert len(asked) == 12 + 40
    assert {differences(child, asked[0]) for child in asked[12:]} == {1}


def test_a_repaired_tournament_prefers_the_fit_and_the_published_one_does_not(two, monkeypatch):
    monkeypatch.setattr(MODULE, "MODES", ("tournament",))

    def ranks(repairs):
        """The mean rank, 0 for the best and 1 for the worst, of the parents that can be told."""
        table, found = Table(), []
        genetic(two, table, population_size=20, generations=40, threshold=0.2, repairs=repairs)
        for before, child in list(replayed(table.asked, 20, 0.2))[:-1]:
            order = sorted(before, key=Table.of, reverse=True)
            near = [place for place, parent in enumerate(order) if differences(child, parent) == 1]
            found += [near[0] / 19] if len(near) == 1 else []
        assert len(found) > 50
        return sum(found) / len(found)

    assert ranks(ONE_BY_ONE) < 0.3
    assert 0.4 < ranks(replace(ONE_BY_ONE, tournament_by_fitness=False)) < 0.6


def test_all_ways_of_selection_are_drawn_and_logged(one):
    found = genetic(one, Table(), generations=40, children=2, threshold=0.1)
    assert found.logbook[0]["mode"] == "random"
    assert {row["mode"] for row in found.logbook[1:]} == set(MODES)
    assert [row["gen"] for row in found.logbook] == list(range(41))


def test_the_default_is_the_papers_budget(two):
    found = genetic(two, Table(), threshold=-1, repairs=replace(REPAIRED, screen=False, skip_same_behaviour=False))
    assert len(found.population) == 30
    assert found.logbook[-1]["evaluations"] == len(found.records) == 30 + 200 * 10


def test_random_individuals_come_where_no_child_is_new(one):
    """The neighbours of a population that nothing can enter are soon all known, and the budget is spent still."""
    asked = []

    def never_better(individual):
        asked.append(individual)
        return 1.0 if len(asked) <= 4 else 0.5

    repairs = replace(REPAIRED, screen=False, skip_same_behaviour=False)
    found = genetic(one, never_better, population_size=4, evaluations=500, generations=None, repairs=repairs)
    assert len(found.records) == 500
    assert not found.exhausted
    near = [min(differences(child, parent) for parent in asked[:4]) for child in asked[4:]]
    assert set(near[:100]) == {1}
    assert max(near) > 1


@pytest.mark.parametrize("repairs", [REPAIRED, AS_PUBLISHED])
def test_one_seed_gives_one_run(one, repairs):
    runs = [genetic(one, Table(), generations=10, seed=seed, repairs=repairs) for seed in (1, 1, 2)]
    assert trace(runs[0]) == trace(runs[1]) != trace(runs[2])


def test_the_published_code_ignores_the_seed(one):
    assert trace(genetic(one, Table(), generations=3, repairs=PUBLISHED)) != trace(
        genetic(one, Table(), generations=3, repairs=PUBLISHED)
    )


def test_the_published_code_pays_for_the_same_again_and_the_repaired_does_not(forced):
    """18 genotypes; those of the population are passed over, all others are asked for again and again."""

    def flat(individual):
        return 0.5

    published = genetic(forced, flat, population_size=4, generations=50, repairs=AS_PUBLISHED)
    assert (
        published.logbook[-1]["evaluations"] > 100 > len({r.text for r in published.records}) == len(published.records)
    )
    assert published.rejected == {}
    repaired = genetic(forced, flat, population_size=4, generations=None, evaluations=500)
    assert repaired.exhausted
    assert repaired.logbook[-1]["evaluations"] == len(repaired.records) == LIVE
    assert not published.exhausted


def test_the_budget_is_kept_and_nothing_dead_or_alike_is_asked_for(one):
    table = Table()
    found = genetic(one, table, evaluations=123, generations=None)
    assert len(table.asked) == len(found.records) == found.logbook[-1]["evaluations"] == 123
    behaviours = [behaviour(individual) for individual in table.asked]
    assert {b.failure for b in behaviours} == {None}
    assert len({b.signature for b in behaviours}) == 123
    assert found.rejected["constant sign"] > 10


@pytest.mark.parametrize(("switch", "said"), [("screen", "constant sign"), ("skip_same_behaviour", "same behaviour")])
def test_each_rejection_has_its_switch(one, switch, said):
    off = replace(REPAIRED, **{switch: False})
    with_it, without = (random_search(one, Table(), evaluations=250, repairs=repairs) for repairs in (REPAIRED, off))
    assert with_it.rejected[said] > 0
    assert said not in without.rejected
    assert without.rejected.total() > 0


def test_crossover_is_off_unless_asked_for(two):
    table = Table()
    repairs = replace(ONE_BY_ONE, crossover=0.9)
    genetic(two, table, population_size=12, generations=30, threshold=0.2, repairs=repairs)
    steps = list(replayed(table.asked, 12, 0.2))[:-1]
    near = [min(differences(child, parent) for parent in before) for before, child in steps]
    assert max(near) > 1
    assert REPAIRED.crossover == PUBLISHED.crossover == 0


def test_a_threshold_that_nothing_exceeds_ends_the_search(one):
    table = Table()
    found = genetic(one, table, population_size=3, threshold=2.0, repairs=AS_PUBLISHED)
    assert found.exhausted
    assert found.population == []
    assert len(table.asked) <= 3 * STARTS
    assert found.logbook[0]["evaluations"] == 3 * STARTS
    assert Table.of(found.hall_of_fame[0]) == max(map(Table.of, table.asked))


def test_a_fitness_that_is_not_a_number_never_wins(one):
    found = genetic(one, lambda tree: float("nan") if "sin" in str(tree) else -0.3, generations=10, threshold=-1)
    assert all("sin" not in str(individual) for individual in (*found.population, *found.hall_of_fame))
    assert set(found.failures) == {"fitness not finite"}


def test_losses_may_be_negative(one):
    found = genetic(one, lambda tree: Table.of(tree) - 5, generations=10, threshold=-10)
    assert len(found.records) == 30 + 100
    assert found.hall_of_fame[0].fitness.values[0] == max(record.fitness for record in found.records)


def test_other_sets_work_within_their_limits(free):
    found = genetic(free, lambda tree: 0.2 + len(tree) / 100, generations=10, limits=Limits(3, 9))
    assert {type(individual) for individual in found.population} == {Individual}
    assert max(individual.size for individual in found.population) <= 9
    assert len(found.records) == 130


@pytest.mark.parametrize("repairs", [REPAIRED, AS_PUBLISHED, ONE_BY_ONE])
def test_as_a_loop_of_evolve_it_is_the_same_search(one, repairs, tmp_path):
    settings = {"evaluations": 150, "population_size": 12, "seed": 4}
    plain = genetic(one, Table(), generations=None, repairs=repairs, **settings)

    def looped():
        loop = Genetic(repairs=repairs)
        return evolve(one, Table(), loop=loop, bloat="none", checkpoint=tmp_path / "checkpoint.json", **settings)

    found = looped()
    assert trace(found) == trace(plain)
    assert found.stopped == plain.stopped == "150 evaluations"
    assert trace(looped()) == trace(plain), "it goes on as it went"


def test_an_evaluator_gives_the_run_of_one_or_two_workers(tiny_proxy, one):
    def run(workers):
        with Evaluator(tiny_proxy, one, workers=workers) as evaluator:
            return genetic(one, evaluator, evaluations=14, generations=None, population_size=4, children=4)

    first, second = run(1), run(2)
    assert trace(first) == trace(second)
    assert len(first.records) == 14
    assert first.best.fitness == first.hall_of_fame[0].fitness.values[0]


def test_fitness_follows_added_seeds(make_stub, one):
    with Evaluator(make_stub(noise=0.02), one, extra_seeds=2, places=2) as evaluator:
        found = genetic(one, evaluator, generations=8, population_size=6)
    worth = {record.text: record.fitness for record in found.records}
    assert any(len(record.outcomes) > 1 for record in found.records)
    for individual in (*found.population, *found.hall_of_fame):
        assert individual.fitness.values == (worth[individual.canonical],)


def test_ctrl_c_keeps_what_was_evaluated(one):
    seen = []

    def stop(record):
        seen.append(record.text)
        if len(seen) == 47:
            raise KeyboardInterrupt

    found = genetic(one, Table(), generations=10, on_evaluation=stop)
    assert found.interrupted
    assert [record.text for record in found.records] == seen
    assert found.seconds > 0
    whole = genetic(one, Table(), generations=10)
    assert [record.text for record in whole.records[:47]] == seen
    assert not whole.interrupted


def test_progress_counts_what_is_paid_for(forced, capsys):
    genetic(forced, lambda _: 0.5, population_size=4, generations=5, repairs=AS_PUBLISHED, progress=True)
    assert "/54" in capsys.readouterr().err
    genetic(
        forced, lambda _: 0.5, population_size=4, evaluations=9, generations=None, progress=True, repairs=ONE_BY_ONE
    )
    assert "9/9" in capsys.readouterr().err


def test_random_search_finds_every_distinct_live_function_of_a_small_space(forced):
    units = ("sin", "cos", "tanh")
    every = [parse(f"{b}({u}(x), {v}(x))", forced) for b in ("add", "sub") for u in units for v in units]
    found = [behaviour(individual) for individual in every]
    assert len({one.signature for one in found if one.failure is None}) == LIVE
    asked = []

    def measure(individual):
        asked.append(individual)
        return 0.5

    run = random_search(forced, measure, evaluations=100)
    assert run.exhausted
    assert len(asked) == len(run.records) == LIVE
    assert run.rejected["constant sign"] == sum(one.failure == "constant sign" for one in found)


def test_random_search_draws_every_gene_alike_and_each_genotype_once(one):
    table = Table()
    repairs = replace(REPAIRED, screen=False, skip_same_behaviour=False)
    found = random_search(one, table, evaluations=2200, batch=100, repairs=repairs)
    assert len({individual.canonical for individual in table.asked}) == len(found.records) == 2200
    for place, limit in enumerate((22, 22, 11)):
        counts = [0] * limit
        for individual in table.asked:
            counts[gaaf.to_genes(individual)[place]] += 1
        assert max(counts) < 1.5 * min(counts)
    assert [row["nevals"] for row in found.logbook] == [100] * 22
    assert found.population == table.asked[-100:]


def test_random_search_has_the_interface_of_the_algorithm(one, stub_proxy):
    with Evaluator(stub_proxy, one) as evaluator:
        runs = [random_search(one, evaluator, evaluations=25, seed=seed) for seed in (3, 3, 4)]
    assert trace(runs[0]) == trace(runs[1]) != trace(runs[2])
    assert [row["evaluations"] for row in runs[0].logbook] == [10, 20, 25]
    assert len(runs[0].hall_of_fame) == 10


def test_the_search_beats_random_search_where_genes_matter(two):
    bred, drawn = (
        genetic(two, Table(), evaluations=400, generations=None),
        random_search(two, Table(), evaluations=400),
    )
    assert len(bred.records) == len(drawn.records) == 400
    assert bred.best.fitness > drawn.best.fitness


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"evaluations": 0}, "evaluations must be a whole number of at least 1, got 0"),
        ({"generations": 0}, "generations must be a whole number of at least 1, got 0"),
        ({"generations": None}, "evaluations or generations must end the search, got None for both"),
        ({"children": 0}, "children must be a whole number of at least 1"),
        ({"population_size": 1}, "population_size must be a whole number of at least 2, got 1"),
        ({"hall_of_fame": True}, "hall_of_fame must be a whole number of at least 1, got True"),
    ],
)
def test_bad_settings_are_refused(one, change, message):
    table = Table()
    with pytest.raises(GaafError, match=message):
        genetic(one, table, **change)
    assert table.asked == []


def test_bad_settings_of_random_search_are_refused(one):
    with pytest.raises(GaafError, match="batch must be a whole number of at least 1, got 0"):
        random_search(one, Table(), evaluations=5, batch=0)


def test_repairs_are_switches_that_the_published_version_has_off():
    assert PUBLISHED == Repairs(
        tournament_by_fitness=False,
        remember_all=False,
        skip_same_behaviour=False,
        screen=False,
        side_by_side=False,
        seeded=False,
        crossover=0,
    )
    assert Repairs() == REPAIRED
    with pytest.raises(GaafError, match=r"crossover must be a probability from 0 to 1, got 1\.5"):
        Repairs(crossover=1.5)


def test_random_search_draws_what_it_is_told_to(stub_proxy, free):
    evaluator = Evaluator(stub_proxy, free)
    make = make_toolbox(free, evaluator, rng=3, two_trees=True).individual
    found = random_search(free, evaluator, evaluations=15, batch=5, make=make)
    assert len(found.records) == 15
    assert all(isinstance(one, TwoTrees) for one in [*found.population, *found.hall_of_fame])
    again = make_toolbox(free, evaluator, rng=3, two_trees=True).population(40)
    assert found.records[0].text in [one.canonical for one in again]


@pytest.mark.parametrize("loop", [Genetic(), RandomSearch()])
@pytest.mark.parametrize(
    "ignored",
    [
        {"bloat": "tarpeian"},
        {"constraints": "at most 1 sin"},
        {"initial": ["sin(x)"]},
        {"two_trees": True},
        {"toolbox": base.Toolbox()},
    ],
    ids=lambda ignored: next(iter(ignored)),
)
def test_a_loop_with_its_own_candidates_refuses_what_it_cannot_use(loop, ignored):
    (name,) = ignored
    with pytest.raises(GaafError, match=f"{type(loop).__name__} makes candidates .* cannot use {name}:"):
        evolve(gaaf.encoding1(), len, loop=loop, evaluations=4, population_size=4, **ignored)


@pytest.mark.parametrize(
    ("values", "weights"),
    [
        ([0.2, 0.4, 0.6], [0.2, 0.4, 0.6]),
        ([-0.1, 0.2, 0.4], [0.0, 0.3, 0.5]),
        ([0.3, -math.inf, 0.1], [0.3, 0.0, 0.1]),
        ([-2.0, -1.0, -math.inf], [0.0, 1.0, 0.0]),
        ([0.0, 0.0], [1.0, 1.0]),
        ([-math.inf] * 3, [1.0] * 3),
        ([-3.0, -3.0], [1.0, 1.0]),
    ],
)
def test_fitness_is_the_chance_of_being_drawn(values, weights):
    population = [SimpleNamespace(fitness=SimpleNamespace(values=(value,))) for value in values]
    assert _weights(population) == pytest.approx(weights)
