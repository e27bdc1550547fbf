"""Searches as settings describe them: what a run checks ahead of one, which one it makes, and what it makes of none."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial

from gaaf_gp.bloat import Bloat, measured_in
from gaaf_gp.candidates import parse_candidate
from gaaf_gp.constraints import as_constraints
from gaaf_gp.displays import Show
from gaaf_gp.errors import GaafError, listed
from gaaf_gp.evolve import Evolution, evolve
from gaaf_gp.fitness import Evaluator
from gaaf_gp.genetic import random_search
from gaaf_gp.loops import Steady, as_loop
from gaaf_gp.pset import PrimitiveSet
from gaaf_gp.run_checkpoint import CHECKPOINT
from gaaf_gp.settings import Settings
from gaaf_gp.stopping import Stop
from gaaf_gp.tensorboard import TensorBoard
from gaaf_gp.toolbox import make_toolbox

Search = Callable[[Settings, PrimitiveSet, Evaluator, Show], Evolution]
"""Searches with the settings; the last argument says whether and how progress is shown."""


def check_choices(settings: Settings, pset: PrimitiveSet) -> None:
    """Refuse what the search would refuse, ahead of loading and training.

    Raises:
        GaafError: naming the setting.
    """
    Bloat(measured_in(settings.bloat, settings.measure), settings.limits, as_constraints(settings.constraints, pset))
    Stop(settings.evaluations, settings.search_seconds, settings.target, settings.stagnation)
    if is_steady(settings) and settings.racing:
        raise GaafError(f"racing needs generations, which the loop {settings.loop!r} has not: leave one of them out")
    for text in settings.initial:
        parse_candidate(text, pset)


def is_steady(settings: Settings) -> bool:
    """Return whether the loop has no generations."""
    return isinstance(as_loop(settings.loop), Steady)


def chosen_search(search: Search | None, log: TensorBoard | None) -> Search:
    """Return the search of a run: evolution, followed by TensorBoard if there is a log, or another one.

    Raises:
        GaafError: another search is to be followed.
    """
    if search is None:
        return partial(_search, log=log)
    if log is not None:
        raise GaafError("TensorBoard follows gaaf-gp evolve only, and this is another search: leave it out")
    return search


def _search(
    settings: Settings, pset: PrimitiveSet, evaluator: Evaluator, shown: Show, log: TensorBoard | None = None
) -> Evolution:
    with nullcontext() if log is None else log.following(evaluator.recalled):
        return evolve(
            pset,
            evaluator,
            loop=settings.loop,
            evaluations=settings.evaluations,
            population_size=settings.population,
            elite=settings.elite,
            limits=settings.limits,
            two_trees=settings.two_trees,
            bloat=measured_in(settings.bloat, settings.measure),
            constraints=settings.constraints,
            initial=settings.initial,
            seconds=settings.search_seconds,
            target=settings.target,
            stagnation=settings.stagnation,
            seed=settings.seed,
            progress=shown,
            checkpoint=settings.out / CHECKPOINT,
            on_evaluation=None if log is None else log.evaluation,
            on_generation=None if log is None else log.generation,
        )


def search_at_random(
    settings: Settings, pset: PrimitiveSet, evaluator: Evaluator, evaluations: int, shown: Show
) -> Evolution:
    """Spend the evaluations of the search once more, on random candidates.

    The first ones are those of the search, unless that begins with known functions.
    """
    toolbox = make_toolbox(
        pset,
        evaluator,
        rng=settings.seed,
        limits=settings.limits,
        two_trees=settings.two_trees,
        constraints=settings.constraints,
    )
    return random_search(
        pset,
        evaluator,
        evaluations=evaluations,
        batch=settings.population,
        limits=settings.limits,
        make=toolbox.individual,
        seed=settings.seed,
        progress=shown,
    )


def check_found(found: Evolution, pset: PrimitiveSet) -> None:
    """Refuse a search that ended without a candidate that could be trained.

    Raises:
        GaafError: with what all were rejected for.
    """
    if not len(found.hall_of_fame) and not found.interrupted:
        reasons = listed(f"{count} {reason}" for reason, count in found.rejected.most_common())
        raise GaafError(
            f"set {pset.name!r} must hold a candidate that can be trained, but all were rejected ({reasons}): add "
            "primitives or raise the limits"
        )
