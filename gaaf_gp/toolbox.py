"""A DEAP toolbox, ready for DEAP's own algorithms and for ours."""

from __future__ import annotations

import copy
import functools
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from deap import base, tools

from gaaf_gp.activations import two_signs
from gaaf_gp.behaviour import PAPER_SURROGATE
from gaaf_gp.candidates import TwoTrees
from gaaf_gp.compile import Activation
from gaaf_gp.errors import GaafError, listed
from gaaf_gp.generation import DEFAULT_LIMITS, Limits, gen_half_and_half
from gaaf_gp.individual import Fitness, Individual, ParetoFitness
from gaaf_gp.judges import Judge
from gaaf_gp.operators import cx_one_point, mut_any
from gaaf_gp.pset import PrimitiveSet
from gaaf_gp.randomness import as_global
from gaaf_gp.two_trees import cx_one_of_two, init_two_trees, mut_one_of_two

OBJECTIVES: dict[tuple[str, ...], type[Fitness]] = {("accuracy",): Fitness, ("accuracy", "size"): ParetoFitness}
TOURNAMENT = 4
"""Individuals that a fitness tournament compares."""
PARSIMONY = 1.2
"""In the size tournament of a double tournament the smaller of two wins with probability PARSIMONY / 2."""


def make_toolbox(
    pset: PrimitiveSet,
    evaluator: Judge,
    *,
    rng: random.Random | int = 0,
    limits: Limits = DEFAULT_LIMITS,
    heights: tuple[int, int] = (1, 3),
    objectives: Sequence[str] = ("accuracy",),
    two_trees: bool = False,
) -> base.Toolbox:
    """Return a ``deap.base.Toolbox`` with all the aliases that DEAP's algorithms know, and ``compile``.

    They are expr, individual, population, compile, evaluate, select, mate, mutate, map and clone. It runs unchanged
    under ``deap.algorithms.eaSimple`` and ``eaMuPlusLambda``, and with ``objectives=("accuracy", "size")`` under
    NSGA-II. Those loops draw from Python's global generator: seed it too for a repeatable run.

    Args:
        pset: the primitive set.
        evaluator: gives the fitness: an :class:`~gaaf_gp.Evaluator`, whose processes serve ``map``, or another judge.
        rng: generator of all choices of the registered operators, or a seed for a new one.
        limits: static limits of height and size, kept by generation, crossover and mutation.
        heights: least and greatest height of new trees.
        objectives: ``("accuracy",)``, selected by double tournament, or ``("accuracy", "size")``, by NSGA-II.
        two_trees: whether an individual has a forward and a backward tree (:class:`gaaf_gp.candidates.TwoTrees`). The
            limits then hold for each of them, its size is that of both, and ``compile`` makes a module that returns
            signs.

    Raises:
        GaafError: for other objectives or heights beyond the limits.
    """
    fitness = OBJECTIVES.get(tuple(objectives))
    if fitness is None:
        allowed = listed(" and ".join(names) for names in OBJECTIVES)
        raise GaafError(f"objectives must be one of: {allowed}; got {list(objectives)}")
    if not 0 <= heights[0] <= heights[1] <= limits.height:
        raise GaafError(f"heights of new trees must rise and stay within the limit {limits.height}, got {heights}")
    generator = random.Random(rng) if isinstance(rng, int) else rng

    def individual() -> Individual | TwoTrees:
        if two_trees:
            return init_two_trees(toolbox.expr, pset, fitness)
        return Individual(toolbox.expr(), pset, fitness())

    def evaluate(candidate: Individual | TwoTrees) -> tuple[float, ...]:
        accuracy = evaluator(candidate)
        return accuracy if fitness is Fitness else (*accuracy, float(candidate.size))

    def joint_map(function: Callable[..., Any], *arguments: Iterable[Any]) -> list[Any]:
        columns = [list(argument) for argument in arguments]
        if function is toolbox.evaluate:
            evaluator.evaluate(columns[0])  # side by side; the calls below are answered from memory
        return list(map(function, *columns))

    toolbox = base.Toolbox()
    toolbox.register("expr", gen_half_and_half, pset, heights[0], heights[1], rng=generator, max_size=limits.size)
    toolbox.register("individual", individual)
    toolbox.register("population", tools.initRepeat, list, toolbox.individual)
    if two_trees:
        surrogate = getattr(getattr(evaluator, "proxy", None), "surrogate", PAPER_SURROGATE)
        toolbox.register("compile", two_signs, surrogate=surrogate)
    else:
        toolbox.register("compile", functools.partial(Activation, pset=pset))
    toolbox.register("evaluate", evaluate)
    toolbox.register("map", joint_map)
    toolbox.register("clone", copy.deepcopy)
    toolbox.register("mate", cx_one_of_two if two_trees else cx_one_point, rng=generator, limits=limits)
    toolbox.register("mutate", mut_one_of_two if two_trees else mut_any, rng=generator, limits=limits)
    if fitness is Fitness:
        toolbox.register("select", double_tournament, rng=generator)
    else:
        toolbox.register("select", tools.selNSGA2)
    return toolbox


def double_tournament(
    individuals: Sequence[Individual | TwoTrees],
    k: int,
    *,
    rng: random.Random,
    tournsize: int = TOURNAMENT,
    parsimony: float = PARSIMONY,
) -> list[Any]:
    """Select ``k`` individuals by DEAP's double tournament: fitness first, then the smaller of two winners.

    Source: Luke and Panait, Fighting bloat with nonparametric parsimony pressure, PPSN 2002.
    """
    with as_global(rng):
        return list(
            tools.selDoubleTournament(
                list(individuals), k, fitness_size=tournsize, parsimony_size=parsimony, fitness_first=True
            )
        )
