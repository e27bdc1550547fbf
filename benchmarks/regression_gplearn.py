"""One regression by gplearn, at the same functions, points, seeds and evaluations: the outside check.

Everything but the budget, the functions and the metric is gplearn's default, unless said otherwise. It is watched
through its metric, so that its evaluations, behaviours and best are counted as ours are: the best of all generations,
where gplearn itself would return the best of the last one.
"""

from __future__ import annotations

import importlib.metadata
import math
import statistics
import time
import warnings
from typing import Any

import numpy as np
from gplearn.fitness import make_fitness
from gplearn.functions import make_function
from gplearn.genetic import SymbolicRegressor

from benchmarks.regression import CONSTANTS, LARGEST_EXPONENT, TARGETS, Points, Target, Watch, rmse

WORST = 1e9
"""What an error counts as that is not finite: numpy's argmin would pick a NaN as the least."""


def exponential(a: Points) -> Points:
    """Return e^min(a, 10)."""
    values: Points = np.exp(np.minimum(a, LARGEST_EXPONENT))
    return values


FUNCTIONS = (
    "add",
    "sub",
    "mul",
    "div",
    "sin",
    "cos",
    "log",
    make_function(function=exponential, name="exp", arity=1, wrap=False),
)
"""Those of :func:`benchmarks.regression.make_pset`; gplearn's division and logarithm are protected in the same way."""


def versions() -> dict[str, str]:
    """Return the versions that its results depend on."""
    return {name: importlib.metadata.version(name) for name in ("gplearn", "scikit-learn")}


def run(
    name: str,
    parsimony: float | str,
    tournament: int,
    seed: int,
    *,
    evaluations: int = 5000,
    population: int = 200,
) -> dict[str, Any]:
    """Search a target and return what :func:`benchmarks.regression_ours.run` returns.

    ``error`` is the least of all evaluations. ``test_error``, ``text`` and ``size`` are of the best of all generations.

    Args:
        name: of the target.
        parsimony: gplearn's ``parsimony_coefficient``.
        tournament: gplearn's ``tournament_size``.
        seed: gplearn's ``random_state``.
        evaluations: programs that are evaluated, a multiple of ``population``.
        population: programs of a generation.
    """
    target = TARGETS[name]
    watch, model = _watched(target, population, parsimony, tournament, seed)
    inputs, test = target.train.reshape(-1, 1), target.test.reshape(-1, 1)
    best: dict[str, Any] = {}
    least = math.inf
    started = time.process_time()
    for generations in range(1, evaluations // population + 1):
        model.set_params(generations=generations)
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            model.fit(inputs, target.wanted)
            program = model._program
            if program.raw_fitness_ < least:
                least = program.raw_fitness_
                error = rmse(model.predict(test), target.values(target.test))
                best = {"test_error": error, "text": str(program), "size": len(program.program)}
    details = model.run_details_
    sizes = [float(size) for size in details["average_length"]]
    return {
        "error": watch.least,
        **best,
        "evaluations": watch.asked,
        "behaviours": len(watch.behaviours),
        "mean_size": statistics.fmean(sizes),
        "course": [(population * (number + 1), size) for number, size in enumerate(sizes)],
        "seconds": time.process_time() - started,
    }


def _watched(
    target: Target, population: int, parsimony: float | str, tournament: int, seed: int
) -> tuple[Watch, SymbolicRegressor]:
    """Return a regressor, and what watches it."""
    watch = Watch(target)
    trying = True  # gplearn tries a new metric once, on values of its own

    def metric(y: Points, values: Points, weights: Points) -> float:  # noqa: ARG001 (gplearn's signature)
        if trying:
            return 0.0
        watch.asked += 1
        error = watch.error(np.broadcast_to(values, target.train.shape))
        return error if math.isfinite(error) else WORST

    fitness = make_fitness(function=metric, greater_is_better=False, wrap=False)
    trying = False
    return watch, SymbolicRegressor(
        population_size=population,
        tournament_size=tournament,
        parsimony_coefficient=parsimony,
        function_set=FUNCTIONS,
        const_range=CONSTANTS,
        metric=fitness,
        warm_start=True,
        low_memory=True,
        random_state=seed,
    )
