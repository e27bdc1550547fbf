"""A whole run: search, confirm the winner on fresh seeds and the test split, and write down what came out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from gaaf_gp.archive import runs
from gaaf_gp.data.load import open_test_split
from gaaf_gp.errors import GaafError, listed
from gaaf_gp.evaluation.evaluator import Evaluator
from gaaf_gp.experiments import run_folder
from gaaf_gp.experiments.confirm import Confirmation, competitors, confirm
from gaaf_gp.experiments.plan import Plan, Rules, make_plan
from gaaf_gp.experiments.resume import archived
from gaaf_gp.experiments.run_result import RunResult, result_of
from gaaf_gp.experiments.settings import Settings, from_any_folder
from gaaf_gp.experiments.warm_start import begun_with_best
from gaaf_gp.parallel.transfer import WorkersGoneError
from gaaf_gp.search.checkpoint import CHECKPOINT
from gaaf_gp.search.evolve import evolve
from gaaf_gp.search.genetic import random_search
from gaaf_gp.search.result import SearchResult
from gaaf_gp.search.tensorboard import TensorBoard, open_log
from gaaf_gp.search.toolbox import make_toolbox
from gaaf_gp.training.outcome import check_plain_sign
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.util.console import Show, as_mode
from gaaf_gp.util.randomness import CONFIRMATION, seeds_from

__all__ = ["Search", "run"]


Search = Callable[[Settings, PrimitiveSet, Evaluator, Show], SearchResult]
"""Searches with the settings; the last argument says whether and how progress is shown."""


def _search(
    settings: Settings,
    pset: PrimitiveSet,
    evaluator: Evaluator,
    shown: Show,
    rules: Rules,
    log: TensorBoard | None,
) -> SearchResult:
    with nullcontext() if log is None else log.following(evaluator.recalled):
        return evolve(
            pset,
            evaluator,
            loop=rules.loop,
            evaluations=settings.evaluations,
            population_size=settings.population,
            elite=settings.living_on,
            crossover=settings.crossover,
            mutation=settings.mutation,
            limits=rules.limits,
            two_trees=settings.two_trees,
            bloat=rules.controls,
            constraints=rules.constraints,
            initial=settings.initial,
            seconds=settings.search_seconds,
            target=settings.target,
            stagnation=settings.stagnation,
            tune_constants=settings.tune_constants,
            seed=settings.seed,
            progress=shown,
            checkpoint=settings.out / CHECKPOINT,
            on_evaluation=None if log is None else log.evaluation,
            on_generation=None if log is None else log.generation,
        )


def search_at_random(plan: Plan, evaluator: Evaluator, evaluations: int, shown: Show) -> SearchResult:
    """Spend the evaluations of the search once more, on random candidates.

    The first ones are those of the search, unless that begins with known functions.
    """
    settings, rules = plan.settings, plan.rules
    toolbox = make_toolbox(
        plan.pset,
        evaluator,
        rng=settings.seed,
        limits=rules.limits,
        two_trees=settings.two_trees,
        constraints=rules.constraints,
    )
    return random_search(
        plan.pset,
        evaluator,
        evaluations=evaluations,
        batch=settings.population,
        limits=rules.limits,
        make=toolbox.individual,
        seed=settings.seed,
        progress=shown,
    )


def check_found(found: SearchResult, pset: PrimitiveSet) -> None:
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


INTERRUPTED = "the run was interrupted."


def run(
    settings: Settings,
    *,
    quiet: bool = False,
    progress: Show = True,
    tensorboard: Path | None = None,
    search: Search | None = None,
    notes: Mapping[str, Any] | None = None,
    resume: bool = False,
    initial_from: str | None = None,
) -> RunResult:
    """Evolve, confirm, write everything into ``settings.out`` and return the result, which is in ``result.json`` too.

    Every training is in the archive as soon as it has ended. So a run that ended in any way can be gone on with: it
    does again what it did, without training, and comes to the place where it was.

    What the search found is written before it is confirmed. After Ctrl-C it is what was found until then,
    ``interrupted`` is true and ``test`` is None; a test split that cannot be read leaves ``test`` None too, and the
    verdict says why.

    Args:
        settings: what to run.
        quiet: show no progress, whatever ``progress`` says.
        progress: whether and how it is shown, see :data:`gaaf_gp.util.console.Show`.
        tensorboard: folder for TensorBoard, see :class:`gaaf_gp.search.tensorboard.TensorBoard`; not with ``search``.
        search: another search than :func:`gaaf_gp.evolve`, such as one of :mod:`gaaf_gp.search.genetic`.
        notes: what ``config.json`` is to say of that search, fit for JSON.
        resume: go on with the run in ``settings.out``, which must have had the same settings and versions; the number
            of workers may be another.
        initial_from: an archive whose best functions a new run begins with, see :mod:`gaaf_gp.experiments.warm_start`.

    Raises:
        GaafError: for a bad setting, before anything is written, or if no candidate could be trained.
    """
    started, shown = time.perf_counter(), as_mode(False if quiet else progress)
    log = open_log(tensorboard, resume)
    if search is not None and log is not None:
        raise GaafError("TensorBoard follows gaaf-gp evolve only, and this is another search: leave it out")
    if not resume:
        run_folder.check_free(settings.out)
    plan = make_plan(from_any_folder(settings))
    if initial_from is not None:
        plan = replace(plan, settings=begun_with_best(settings, initial_from, plan.proxy, plan.pset, plan.rules))
    settings = plan.settings
    searching = search or partial(_search, rules=plan.rules, log=log)
    with plan.evaluator() as evaluator:
        config = {**plan.config(), **(notes or {})}
        with archived(settings, config, evaluator, resume) as ended:
            known = _searched(plan, evaluator, searching, shown, started)
            if known.found.interrupted:
                evaluator.stop()  # what has ended is in the archive
            ended.status = runs.INTERRUPTED if known.found.interrupted else runs.FINISHED
    return _write(settings, known, started)


def _searched(plan: Plan, evaluator: Evaluator, search: Search, shown: Show, started: float) -> _Known:
    settings, known = plan.settings, _Known()
    try:
        known.sign = _baseline(evaluator, evaluator.seeds)
        known.found = search(settings, plan.pset, evaluator, shown)
        check_found(known.found, plan.pset)
        if not known.found.interrupted:
            known.sign |= _baseline(evaluator, _added(known.found, evaluator))
            _write(settings, known, started)
            if settings.random_search:  # at the same budget, also where the search ended early
                known.drawn = search_at_random(plan, evaluator, len(known.found.records), shown)
            known.test = _confirm(known, evaluator, settings)
    except KeyboardInterrupt:
        known.found.interrupted = True
    except _NotConfirmedError as error:
        known.why = str(error)
    return known


@dataclass
class _Known:
    """What is known of a run so far: the search, random search, validation and test; ``why`` there is no test."""

    found: SearchResult = field(default_factory=SearchResult)
    drawn: SearchResult | None = None
    sign: dict[int, float] = field(default_factory=dict)
    test: Confirmation | None = None
    why: str = INTERRUPTED


class _NotConfirmedError(Exception):
    """The test split could not be read; the message says why."""


def _added(found: SearchResult, evaluator: Evaluator) -> list[int]:
    """Return the seeds that were added to any in the hall of fame: the plain sign is to be seen on them too."""
    used = {seed for individual in found.hall_of_fame for seed in evaluator.records[individual.canonical].by_seed}
    return [seed for seed in evaluator.extra if seed in used]


def _baseline(evaluator: Evaluator, seeds: Sequence[int]) -> dict[int, float]:
    """Return the validation accuracy of the plain sign for each seed."""
    outcomes = evaluator.train([None], seeds)[0]
    check_plain_sign(outcomes)
    return {outcome.seed: outcome.accuracy for outcome in outcomes}


def _confirm(known: _Known, evaluator: Evaluator, settings: Settings) -> Confirmation:
    """Train the winner and its competitors on fresh seeds and score them on the test split."""
    drawn = known.drawn
    if drawn is not None and drawn.interrupted:
        raise KeyboardInterrupt
    best = known.found.hall_of_fame[0]
    others = competitors(best, drawn.hall_of_fame[0] if drawn is not None and len(drawn.hall_of_fame) else None)
    seeds = seeds_from(CONFIRMATION, settings.seed, settings.fresh_seeds)
    try:
        return confirm(best, others, evaluator, seeds, open_test_split(evaluator.proxy.data))
    except WorkersGoneError:
        raise
    except GaafError as error:  # streamed images are read only now
        raise _NotConfirmedError(str(error)) from error


def _write(settings: Settings, known: _Known, started: float) -> RunResult:
    result = result_of(
        known.found,
        known.sign,
        known.test,
        known.drawn,
        why=known.why,
        seed=settings.seed,
        workers=settings.workers,
        seconds=time.perf_counter() - started,
    )
    run_folder.write(settings.out, result, known.found, known.sign)
    return result
