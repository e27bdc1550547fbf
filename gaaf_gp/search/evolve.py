"""Evolution: elitist, in the loop of your choice, and no candidate is trained twice."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from deap import base

from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation.fitness_function import FitnessFunction, Measure, as_fitness_function
from gaaf_gp.evaluation.records import Record
from gaaf_gp.search.bloat import SEARCH_DEFAULT, Bloat, BloatLike
from gaaf_gp.search.bloat.objectives import ObjectiveLike
from gaaf_gp.search.breeding import Breeder, known
from gaaf_gp.search.checkpoint import RunCheckpoint
from gaaf_gp.search.constants import tune_best
from gaaf_gp.search.constraints import ConstraintLike
from gaaf_gp.search.loops import Loop, Search, as_loop
from gaaf_gp.search.progress import Progress, formulas
from gaaf_gp.search.result import SearchResult, Values, new_hall
from gaaf_gp.search.stopping import Stop
from gaaf_gp.search.toolbox import OwnEvaluate, make_toolbox, own_evaluate, several
from gaaf_gp.trees.candidate import Evolved
from gaaf_gp.trees.generation import DEFAULT_LIMITS, Limits
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.util.checks import any_seed, probability, whole_number
from gaaf_gp.util.console import Show

__all__ = ["evolve"]


def _values(fitness_function: FitnessFunction, controls: Bloat) -> Values:
    """Return what gives an individual DEAP's values: the toolbox's own ``evaluate``, or the controls."""
    if isinstance(fitness_function, OwnEvaluate):
        known = fitness_function.values
        return lambda individual, _: known[individual.canonical]
    return controls.selector.values


def evolve(
    pset: PrimitiveSet,
    evaluator: FitnessFunction | Measure,
    *,
    loop: Loop | str = "generations",
    evaluations: int = 100,
    population_size: int = 20,
    elite: int = 2,
    crossover: float = 0.6,
    mutation: float = 0.6,
    limits: Limits = DEFAULT_LIMITS,
    objectives: Sequence[ObjectiveLike] = ("accuracy",),
    two_trees: bool = False,
    bloat: BloatLike = None,
    constraints: ConstraintLike | Sequence[ConstraintLike] = (),
    initial: Sequence[str | Evolved] = (),
    seconds: float | None = None,
    target: float | None = None,
    stagnation: int | None = None,
    tune_constants: int = 0,
    seed: int = 0,
    hall_of_fame: int = 10,
    toolbox: base.Toolbox | None = None,
    progress: Show = False,
    on_evaluation: Callable[[Record], None] | None = None,
    on_generation: Callable[[SearchResult], object] | None = None,
    checkpoint: Path | str | None = None,
) -> SearchResult:
    """Search for good activation functions.

    Each generation keeps the ``elite`` best and fills up with new candidates: two parents are selected by tournaments,
    if ``bloat`` does not choose another way, mated with probability ``crossover``, and the child is mutated with
    probability ``mutation`` (always, if it was not mated). A child that was evaluated before, also if written in
    another way, that training could not repair, or that would train as one that was evaluated
    (:mod:`gaaf_gp.activations.behaviour`) is drawn again and costs nothing. Other loops are in
    :mod:`gaaf_gp.search.loops`.

    Args:
        pset: the primitive set.
        evaluator: an :class:`~gaaf_gp.Evaluator`, which trains candidates in its worker processes, another
            fitness function, or a plain function that returns the fitness of an individual.
        loop: "generations", "islands", "steady", "aging", "arrival", or one of :mod:`gaaf_gp.search.loops` with your
            settings.
        evaluations: number of distinct candidates to train.
        population_size: individuals of a population.
        elite: best individuals that live on.
        crossover: probability of mating.
        mutation: probability of mutating a mated child.
        limits: static limits of every tree.
        objectives: "accuracy" and further ones, see :func:`gaaf_gp.make_toolbox`; ``SearchResult.front`` then has the
            candidates that no other one dominates.
        two_trees: whether a candidate has a forward and a backward tree, see :func:`gaaf_gp.make_toolbox`.
        bloat: what keeps trees small: one or several controls of :mod:`gaaf_gp.search.bloat`, or their names; the
            Tarpeian method by default, which throws some of the larger children away unevaluated.
        constraints: what every tree must keep to, such as "no periodic inside periodic"
            (:mod:`gaaf_gp.search.constraints`).
        initial: known functions that the search begins with, as text or individuals; islands share them out.
        seconds: wall time after which no new generation begins, in steady state no new candidate.
        target: fitness at which the best is good enough.
        stagnation: evaluations without a better best after which it ends.
        tune_constants: evaluations that are spent after the search on better constants for its best
            (:func:`gaaf_gp.search.constants.tune_best`); 0 for none.
        seed: of all choices of the search; one seed gives one run, for any number of workers.
        hall_of_fame: number of best individuals to remember.
        toolbox: other operators than those of :func:`gaaf_gp.make_toolbox`; it must make Individuals of ``pset``, or
            TwoTrees, and decides alone which. Islands share it.
        progress: show candidates done, their rate, time left, the best and what failed: True, or one of auto, bar,
            lines and json, see :mod:`gaaf_gp.util.console`.
        on_evaluation: called with every record as it arrives.
        on_generation: called after every generation with what was found until then; True ends the search.
        checkpoint: file that the state of the search is written to after every generation. If it is there, this must be
            the same search again and go the same way (:mod:`gaaf_gp.search.checkpoint`).

    Returns:
        What was found, also after Ctrl-C (``interrupted``): the candidates evaluated until then are all in it.

    Raises:
        GaafError: for settings out of their range, controls or constraints beside a toolbox, racing in steady state,
            settings that the loop cannot use, or a search that takes another way than its checkpoint.
    """
    for name, value, least in (
        ("population_size", population_size, 2),
        ("elite", elite, 0),
        ("hall_of_fame", hall_of_fame, 1),
        ("evaluations that tune constants (tune_constants)", tune_constants, 0),
    ):
        whole_number(name, value, least)
    seed = any_seed(seed)
    if elite >= population_size:
        raise GaafError(f"elite must be below population_size {population_size}, got {elite}: leave room for children")
    for name, rate in (("crossover", crossover), ("mutation", mutation)):
        probability(name, rate)
    loop, stop = as_loop(loop), Stop(evaluations, seconds, target, stagnation)
    fitness_function = as_fitness_function(evaluator, pset)
    given = {
        "toolbox": toolbox is not None,
        "objectives": tuple(objectives) != ("accuracy",),
        "bloat": bloat not in (None, "none"),
        "constraints": bool(constraints),
        "initial": bool(initial),
        "two_trees": two_trees,
    }
    if not getattr(loop, "breeds", True) and any(given.values()):
        ignored = ", ".join(name for name, is_given in given.items() if is_given)
        raise GaafError(
            f"{type(loop).__name__} makes candidates in its own way and cannot use {ignored}: leave that out, or "
            "choose another loop"
        )
    if toolbox is not None and (bloat is not None or constraints or given["objectives"]):
        raise GaafError(
            "a toolbox has its own objectives, controls and constraints: give them to make_toolbox, not to evolve"
        )
    chosen = several(objectives, bloat)
    chosen = SEARCH_DEFAULT if chosen is None else chosen
    if toolbox is not None:
        fitness_function = own_evaluate(toolbox, fitness_function, pset)
    kept = None
    if checkpoint is not None:
        kept = RunCheckpoint(Path(checkpoint), pset, repeatable=getattr(loop, "in_order", True))
    controls = Bloat(chosen) if toolbox is None else getattr(toolbox, "bloat", None) or Bloat("none")

    def breeders(number: int) -> list[Breeder]:
        return [breeder(place, number) for place in range(number)]

    def breeder(place: int, number: int) -> Breeder:
        rng = random.Random(seed if place == 0 else f"{seed} {place}")
        if kept is not None:
            kept.generators.append(rng)
        tools = toolbox or make_toolbox(
            pset, fitness_function, rng=rng, limits=limits, two_trees=two_trees, bloat=chosen, constraints=constraints
        )
        first = known(initial, pset, tools, rng)[place::number]
        return Breeder(tools, fitness_function, rng, result.rejected, crossover, mutation, first, search.born)

    result = SearchResult(hall_of_fame=new_hall(hall_of_fame))
    with Progress(evaluations + tune_constants, show=progress, formula=formulas(pset)) as shown:
        search = Search(
            found=result,
            fitness_function=fitness_function,
            breeders=breeders,
            stop=stop,
            shown=shown,
            pset=pset,
            limits=limits,
            seed=seed,
            population_size=population_size,
            elite=elite,
            values=_values(fitness_function, controls),
            on_evaluation=on_evaluation,
            on_generation=on_generation,
            checkpoint=kept,
            register=getattr(fitness_function, "register", None),
        )
        try:
            result.stopped = loop.run(search)
            if tune_constants:
                tune_best(search, tune_constants)
        except KeyboardInterrupt:  # loops take it where they evaluate and breed; it may come anywhere else
            search.settle()
            result.stopped = stop.reason(result)
    result.seconds = time.perf_counter() - stop.started
    return result
