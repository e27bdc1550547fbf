"""Targets and points, primitives and errors against independent formulas; both sides of the comparison, tiny."""

from __future__ import annotations

import math

import numpy as np
import pytest
from deap.benchmarks.gp import salustowicz_1d
from gplearn.fitness import _fitness_map
from gplearn.functions import _function_map
from gplearn.genetic import SymbolicRegressor

from benchmarks import regression, regression_gplearn, regression_ours
from benchmarks.bloat_choices import BASELINE, CHOICES, GPLEARN
from benchmarks.regression import TARGETS, Watch, make_pset, outputs, rmse
from gaaf_gp.search.bloat import Tournament
from gaaf_gp.trees.generation import Limits
from gaaf_gp.trees.individual import Individual
from gaaf_gp.trees.parser import parse
from gaaf_gp.trees.tree import fold

LIMITS = Limits(height=8, size=60)
SMALL = {"evaluations": 60, "population": 20}
FORMULAS = {
    "Nguyen-5": lambda x: np.sin(x**2) * np.cos(x) - 1,
    "Nguyen-7": lambda x: np.log1p(x) + np.log1p(x**2),
    "Keijzer-1": lambda x: 0.3 * x * np.sin(2 * np.pi * x),
    "Keijzer-4": lambda x: x**3 * np.exp(-x) * np.cos(x) * np.sin(x) * (np.sin(x) ** 2 * np.cos(x) - 1),
}
POINTS = {"Nguyen-5": (20, -1, 1), "Nguyen-7": (20, 0, 2), "Keijzer-1": (21, -1, 1), "Keijzer-4": (201, 0, 10)}
PLAIN = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b if abs(b) > 0.001 else 1.0,
    "sin": math.sin,
    "cos": math.cos,
    "exp": lambda a: math.exp(min(a, 10)),
    "log": lambda a: math.log(abs(a)) if abs(a) > 0.001 else 0.0,
}


def by_hand(tree, inputs):
    """Return the values of a tree with Python's own numbers."""

    def at(x):
        def combine(_index, node, children):
            return PLAIN[node.name](*children) if node.arity else (x if node.value == "x" else float(node.value))

        return fold(tree, combine)

    return np.array([at(float(x)) for x in inputs])


@pytest.mark.parametrize("name", TARGETS)
def test_targets_are_their_formulas_on_the_standard_points(name):
    target, (number, low, high) = TARGETS[name], POINTS[name]
    for inputs in (target.train, target.test):
        assert target.values(inputs) == pytest.approx(FORMULAS[name](inputs), rel=1e-12, abs=1e-12)
    assert target.wanted.tolist() == target.values(target.train).tolist()
    assert len(target.train) == number
    assert low <= target.train.min() < target.train.max() <= high
    assert len(target.test) > 100
    assert len(set(target.test) - set(target.train)) > 0.9 * len(target.test) or name == "Keijzer-4"


def test_keijzer_4_is_deaps_function_at_keijzers_points():
    target = TARGETS["Keijzer-4"]
    assert target.train == pytest.approx(np.arange(201) * 0.05)
    assert target.test == pytest.approx(np.arange(1, 202) * 0.05)
    assert target.wanted.tolist() == [salustowicz_1d([x]) for x in target.train.tolist()]
    assert TARGETS["Keijzer-1"].train == pytest.approx(np.arange(-10, 11) / 10)


@pytest.mark.parametrize("name", PLAIN)
def test_primitives_are_what_gplearn_computes(name):
    primitive = make_pset().mapping[name]
    values = np.array([-30.0, -2.0, -1e-3, -5e-4, 0.0, 9e-4, 1e-3, 0.5, 3.0, 11.0])
    pairs = [(a, b) for a in values for b in values] if primitive.arity == 2 else [(a,) for a in values]
    columns = [np.array(column) for column in zip(*pairs, strict=True)]
    tree = parse(f"{name}(x, x)" if primitive.arity == 2 else f"{name}(x)", make_pset())
    ours = make_pset().traits[name].function(*map(regression.torch.from_numpy, columns)).numpy()
    assert ours == pytest.approx(np.array([PLAIN[name](*pair) for pair in pairs]), rel=1e-12)
    theirs = {**_function_map, "exp": regression_gplearn.FUNCTIONS[-1]}[name]
    assert theirs.arity == primitive.arity
    assert np.asarray(theirs(*columns)) == pytest.approx(ours, rel=1e-12)
    assert outputs(tree, values) == pytest.approx(by_hand(tree, values), rel=1e-12)


def test_both_sides_have_the_same_functions():
    names = [one if isinstance(one, str) else one.name for one in regression_gplearn.FUNCTIONS]
    assert sorted(names) == sorted(PLAIN)
    assert {node.name for nodes in make_pset().primitives.values() for node in nodes} == set(PLAIN)


@pytest.mark.parametrize("name", TARGETS)
def test_both_sides_compute_the_same_error_for_the_same_formula(name):
    target = TARGETS[name]
    model = SymbolicRegressor(
        population_size=20,
        generations=1,
        function_set=regression_gplearn.FUNCTIONS,
        const_range=(-1.0, 1.0),
        metric="rmse",
        random_state=3,
    )
    with np.errstate(all="ignore"):
        model.fit(target.train.reshape(-1, 1), target.wanted)
    some = [program for program in model._programs[0] if "X0" in str(program)]
    assert len(some) > 5
    for program in some:
        program.program = [
            round(node, 3) if isinstance(node, float) else node for node in program.program
        ]  # as printed
        with np.errstate(all="ignore"):
            theirs = program.raw_fitness(target.train.reshape(-1, 1), target.wanted, np.ones(len(target.train)))
        tree = parse(str(program).replace("X0", "x"), make_pset())
        ours = rmse(outputs(tree, target.train), target.wanted)
        assert ours == pytest.approx(theirs, rel=1e-5)  # our constants are float32
        watch = Watch(target)
        assert watch.error(outputs(tree, target.train)) == ours == watch.least
        theirs = _fitness_map["rmse"](target.wanted, outputs(tree, target.train), np.ones(len(target.train)))
        assert theirs == pytest.approx(ours, rel=1e-12)


def test_a_watch_keeps_the_least_finite_error_and_counts_behaviours():
    watch = Watch(TARGETS["Nguyen-5"])
    wanted = watch.target.wanted
    assert watch.error(wanted + 0.5) == pytest.approx(0.5)
    assert watch.error(wanted - 0.25) == pytest.approx(0.25)
    assert math.isnan(watch.error(wanted * np.nan))
    assert watch.error(wanted - 0.25 + 1e-13) == pytest.approx(0.25)
    assert watch.error(wanted + np.inf) == math.inf
    assert watch.least == pytest.approx(0.25)
    assert len(watch.behaviours) == 2


def test_every_question_costs_an_evaluation_until_the_budget_is_spent():
    judge = regression_ours.TargetFitness(TARGETS["Nguyen-7"], 3)
    good, bad = (Individual(parse(text, make_pset())) for text in ("log(add(x, 1.0))", "exp(x)"))
    first, again = judge.evaluate([good, good])
    assert judge.watch.asked == 2
    assert (
        first.fitness
        == again.fitness
        == 1 / (1 + rmse(by_hand(good, TARGETS["Nguyen-7"].train), judge.watch.target.wanted))
    )
    assert judge(good) == (first.fitness,)
    assert judge.watch.asked == 2
    with pytest.raises(regression_ours.Spent):
        judge.evaluate([bad, good])
    assert judge.watch.asked == 3
    assert judge.best == str(good)


@pytest.mark.parametrize("choice", CHOICES)
def test_every_choice_spends_the_same_evaluations(choice):
    found = regression_ours.run("Nguyen-5", CHOICES[choice].make(3), LIMITS, 5, **SMALL)
    assert found["evaluations"] == 60
    assert 1 < found["behaviours"] <= 60
    assert found["course"][0][0] == 20
    best = parse(found["text"], make_pset())
    target = TARGETS["Nguyen-5"]
    for key, inputs in (("error", target.train), ("test_error", target.test)):
        expected = np.sqrt(np.mean((by_hand(best, inputs) - FORMULAS["Nguyen-5"](inputs)) ** 2))
        assert found[key] == pytest.approx(expected, rel=1e-5)
    assert found["size"] == len(best)
    assert found["mean_size"] == pytest.approx(np.mean([size for _, size in found["course"]]))


def test_evolve_pays_for_each_tree_that_it_looks_at(monkeypatch):
    looked = []
    real = regression_ours.outputs
    monkeypatch.setattr(regression_ours, "outputs", lambda tree, x: looked.append(tree.canonical) or real(tree, x))
    judge = regression_ours.Looking(TARGETS["Nguyen-5"], 3)
    same, also, other, last = (
        Individual(parse(text, make_pset()))
        for text in ("add(x, sin(x))", "sub(sin(x), sub(x, add(x, x)))", "x", "cos(x)")
    )
    assert judge.behaviour(same).signature == judge.behaviour(also).signature != judge.behaviour(other).signature
    assert judge.behaviour(same).failure is None
    assert judge.watch.asked == 3
    arrived = []
    (record,) = judge.evaluate([same], arrived.append)
    assert arrived == [record]
    assert judge.watch.asked == 3
    with pytest.raises(regression_ours.Spent):
        judge.behaviour(last)
    assert len(looked) == 3


@pytest.mark.parametrize("choice", [BASELINE, "linear auto", "double tournament, tarpeian"])
def test_evolve_spends_the_same_evaluations(choice):
    found = regression_ours.run("Nguyen-5", CHOICES[choice].make(3), LIMITS, 5, **SMALL, ours=True)
    assert found["evaluations"] == 60
    assert 50 < found["behaviours"] <= 60
    assert found["error"] == pytest.approx(
        rmse(by_hand(parse(found["text"], make_pset()), TARGETS["Nguyen-5"].train), TARGETS["Nguyen-5"].wanted),
        rel=1e-5,
    )


def test_a_seed_gives_one_run_on_either_side():
    def ours(seed):
        return regression_ours.run("Keijzer-1", [Tournament(3)], LIMITS, seed, **SMALL)

    def theirs(seed):
        return regression_gplearn.run("Keijzer-1", 0.001, 3, seed, **SMALL)

    def in_evolve(seed):
        return regression_ours.run("Keijzer-1", [Tournament(3)], LIMITS, seed, **SMALL, ours=True)

    for run in (ours, theirs, in_evolve):
        first, again, other = ({**run(seed), "seconds": 0} for seed in (1, 1, 2))
        assert first == again
        assert first != other


@pytest.mark.parametrize("setting", GPLEARN)
def test_gplearn_spends_the_same_evaluations_at_every_setting(setting):
    found = regression_gplearn.run("Keijzer-1", *GPLEARN[setting], 4, **SMALL)
    assert found["evaluations"] == 60
    assert 1 < found["behaviours"] <= 60
    assert [at for at, _ in found["course"]] == [20, 40, 60]
    assert math.isfinite(found["test_error"])


def test_gplearn_watched_generation_by_generation_is_gplearn():
    target, found = TARGETS["Nguyen-7"], regression_gplearn.run("Nguyen-7", 0.001, 5, 7, **SMALL)
    model = SymbolicRegressor(
        population_size=20,
        generations=3,
        tournament_size=5,
        function_set=regression_gplearn.FUNCTIONS,
        metric="rmse",
        random_state=7,
    )
    with np.errstate(all="ignore"):
        model.fit(target.train.reshape(-1, 1), target.wanted)
    assert found["error"] == pytest.approx(min(model.run_details_["best_fitness"]), rel=1e-12)
    assert [size for _, size in found["course"]] == model.run_details_["average_length"]
