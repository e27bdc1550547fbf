"""A DEAP toolbox, ready for DEAP's own algorithms and for ours."""

from __future__ import annotations

import copy
import functools
import math
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from deap import base, tools

from gaaf_gp.activations.behaviour import PAPER_SURROGATE
from gaaf_gp.activations.factory import two_signs
from gaaf_gp.errors import GaafError, listed
from gaaf_gp.evaluation.fitness_function import FitnessFunction
from gaaf_gp.search.bloat import Bloat, BloatLike, Pareto
from gaaf_gp.search.constraints import ConstraintLike, as_constraints
from gaaf_gp.trees.candidate import TwoTrees
from gaaf_gp.trees.compile import Activation
from gaaf_gp.trees.generation import DEFAULT_LIMITS, Limits, gen_half_and_half, starting_heights
from gaaf_gp.trees.individual import Individual
from gaaf_gp.trees.operators import MUTATIONS, cx_one_of_two, cx_one_point, init_two_trees, mut_any, mut_one_of_two
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.util.checks import any_seed, whole_number

OBJECTIVES: dict[tuple[str, ...], BloatLike] = {("accuracy",): None, ("accuracy", "size"): "pareto"}


@dataclass
class _Evaluation:
    """``toolbox.evaluate``: an object, so that the ``map`` of a process pool can send it."""

    evaluator: FitnessFunction
    controls: Bloat
    generator: random.Random

    def __call__(self, candidate: Individual | TwoTrees) -> tuple[float, ...]:
        """Return the fitness values of one candidate."""
        return self.all([candidate])[0]

    def all(self, candidates: Sequence[Individual | TwoTrees]) -> list[tuple[float, ...]]:
        """Return the fitness values of each, evaluated side by side."""
        worth = [self.controls.judges(candidate, self.generator) for candidate in candidates]
        self.evaluator.evaluate([one for one, judged in zip(candidates, worth, strict=True) if judged])
        return [self._values(one, judged) for one, judged in zip(candidates, worth, strict=True)]

    def _values(self, candidate: Individual | TwoTrees, judged: bool) -> tuple[float, ...]:
        accuracy = self.evaluator(candidate)[0] if judged else -math.inf  # from memory
        accepted = self.controls.accepts(candidate, accuracy)
        return self.controls.selector.values(candidate, accuracy if accepted else -math.inf)


def make_toolbox(
    pset: PrimitiveSet,
    evaluator: FitnessFunction,
    *,
    rng: random.Random | int = 0,
    limits: Limits = DEFAULT_LIMITS,
    heights: tuple[int, int] | None = None,
    objectives: Sequence[str] = ("accuracy",),
    two_trees: bool = False,
    bloat: BloatLike = None,
    constraints: ConstraintLike | Sequence[ConstraintLike] = (),
    mutations: Sequence[Callable[..., tuple[Individual]]] = MUTATIONS,
) -> base.Toolbox:
    """Return a ``deap.base.Toolbox`` with all the aliases that DEAP's algorithms know, and ``compile``.

    They are expr, individual, population, compile, evaluate, select, mate, mutate, map and clone. It runs unchanged
    under ``deap.algorithms.eaSimple`` and ``eaMuPlusLambda``, and with ``objectives=("accuracy", "size")`` under
    NSGA-II. Those loops draw from Python's global generator: seed it too for a repeatable run.

    Args:
        pset: the primitive set.
        evaluator: an :class:`~gaaf_gp.Evaluator`, whose processes serve ``map``, or another fitness function.
        rng: generator of all choices of the registered operators, or a seed for a new one.
        limits: static limits of height and size, kept by generation, crossover and mutation.
        heights: least and greatest height of new trees; 1 and 3 by default, or as types and limits ask for
            (:func:`gaaf_gp.trees.generation.starting_heights`).
        objectives: ``("accuracy",)``, or ``("accuracy", "size")``, which stands for ``bloat="pareto"``.
        two_trees: whether an individual has a forward and a backward tree (:class:`gaaf_gp.trees.candidate.TwoTrees`).
            The limits then hold for each of them, its size is that of both, and ``compile`` makes a module that returns
            signs.
        bloat: what keeps trees small: one or several of the controls of :mod:`gaaf_gp.search.bloat`, or their names; a
            double tournament by default. They are copied, and the copy, as ``toolbox.bloat``, learns from every
            ``select``.
        constraints: what every tree must keep to, see :mod:`gaaf_gp.search.constraints`.
        mutations: those that ``mutate`` chooses from, see :func:`gaaf_gp.trees.operators.mut_any`.

    Raises:
        GaafError: for other objectives, heights beyond the limits, or controls that are none or do not go together.
    """
    if tuple(objectives) not in OBJECTIVES:
        allowed = listed(" and ".join(names) for names in OBJECTIVES)
        raise GaafError(f"objectives must be one of: {allowed}; got {list(objectives)}")
    controls = Bloat(
        OBJECTIVES[tuple(objectives)] if bloat is None else bloat, limits, as_constraints(constraints, pset)
    )
    limits, fitness = controls.limits, controls.selector.fitness
    heights = starting_heights(pset, limits) if heights is None else heights
    lowest, highest = (whole_number("heights", height, 0) for height in heights)
    if not lowest <= highest <= limits.height:
        raise GaafError(f"heights of new trees must rise and stay within the limit {limits.height}, got {heights}")
    generator = rng if isinstance(rng, random.Random) else random.Random(any_seed(rng))

    def fresh() -> Individual | TwoTrees:
        if two_trees:
            return init_two_trees(toolbox.expr, pset, fitness)
        return Individual(toolbox.expr(), pset, fitness())

    evaluation = _Evaluation(evaluator, controls, generator)

    def joint_map(function: Callable[..., Any], *arguments: Iterable[Any]) -> list[Any]:
        columns = [list(argument) for argument in arguments]
        return evaluation.all(columns[0]) if function is toolbox.evaluate else list(map(function, *columns))

    toolbox = base.Toolbox()
    toolbox.bloat = controls
    toolbox.register("expr", gen_half_and_half, pset, lowest, highest, rng=generator, max_size=limits.size)
    toolbox.register("individual", controls.made, fresh, generator)
    toolbox.register("population", tools.initRepeat, list, toolbox.individual)
    if two_trees:
        surrogate = getattr(getattr(evaluator, "proxy", None), "surrogate", PAPER_SURROGATE)
        toolbox.register("compile", two_signs, surrogate=surrogate)
    else:
        toolbox.register("compile", functools.partial(Activation, pset=pset))
    toolbox.register("evaluate", evaluation)
    toolbox.register("map", joint_map)
    toolbox.register("clone", copy.deepcopy)
    mate, mutate = (cx_one_of_two, mut_one_of_two) if two_trees else (cx_one_point, mut_any)
    for name, operator in (("mate", mate), ("mutate", mutate)):
        operate = functools.partial(operator, rng=generator, limits=limits)
        if name == "mutate":
            operate = functools.partial(operate, mutations=mutations)
        toolbox.register(name, controls.varied(operate, fresh, generator))
    if isinstance(controls.selector, Pareto):
        toolbox.register("select", controls.survivors)
    else:
        toolbox.register("select", controls.select, rng=generator)
    return toolbox
