"""A whole run: search, confirm the winner on fresh seeds and the test split, and write down what came out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gaaf_gp import outputs, results, resuming
from gaaf_gp.archive import runs
from gaaf_gp.computing import devices_of
from gaaf_gp.confirmation import competitors, confirm
from gaaf_gp.data import AnyData, load_data, open_test_split
from gaaf_gp.displays import Show, as_mode
from gaaf_gp.errors import GaafError
from gaaf_gp.evolve import Evolution
from gaaf_gp.executors import WorkersGoneError
from gaaf_gp.fitness import Evaluator
from gaaf_gp.known_best import begun_with_best
from gaaf_gp.loading import load_primitives
from gaaf_gp.proxy import Proxy
from gaaf_gp.pset import PrimitiveSet
from gaaf_gp.racing import Racing
from gaaf_gp.resuming import archived
from gaaf_gp.searching import Search, check_choices, check_found, chosen_search, is_steady, search_at_random
from gaaf_gp.settings import Settings, available_cores
from gaaf_gp.stacked import AT_ONCE
from gaaf_gp.streamed_data import stream_data
from gaaf_gp.tensorboard import open_log

__all__ = ["FRESH", "Search", "Settings", "available_cores", "run"]

FRESH = 1_000_000
"""Fresh seeds start here times (seed + 1), far from any seed that a search uses."""
INTERRUPTED = "the run was interrupted."
LEAST_TO_RACE = 3
"""Epochs of a training from which candidates race by default: with fewer there is little to save."""


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
) -> dict[str, Any]:
    """Evolve, confirm, write everything into ``settings.out`` and return what ``result.json`` holds.

    Every training is in the archive as soon as it has ended. So a run that ended in any way can be gone on with: it
    does again what it did, without training, and comes to the place where it was.

    What the search found is written before it is confirmed. After Ctrl-C it is what was found until then,
    ``"interrupted"`` is true and ``"test"`` is null; a test split that cannot be read leaves ``"test"`` null too, and
    the verdict says why.

    Args:
        settings: what to run.
        quiet: show no progress, whatever ``progress`` says.
        progress: whether and how it is shown, see :data:`gaaf_gp.displays.Show`.
        tensorboard: folder for TensorBoard, see :class:`gaaf_gp.tensorboard.TensorBoard`; not with ``search``.
        search: another search than :func:`gaaf_gp.evolve`, such as one of :mod:`gaaf_gp.genetic`.
        notes: what ``config.json`` is to say of that search, fit for JSON.
        resume: go on with the run in ``settings.out``, which must have had the same settings and versions; the number
            of workers may be another.
        initial_from: an archive whose best functions a new run begins with, see :mod:`gaaf_gp.known_best`.

    Raises:
        GaafError: for a bad setting, before anything is written, or if no candidate could be trained.
    """
    started, shown = time.perf_counter(), as_mode(False if quiet else progress)
    searching = chosen_search(search, open_log(tensorboard, resume))
    if not resume:
        outputs.check_free(settings.out)
    pset = load_primitives(settings.primitives)
    check_choices(settings, pset)
    data = _data(settings)
    proxy = Proxy(data, **settings.proxy)
    if initial_from is not None:
        settings = begun_with_best(settings, initial_from, proxy, pset)
    with _evaluator(settings, proxy, pset) as evaluator:
        config = {**_config(settings, evaluator), **(notes or {})}
        with archived(settings, config, evaluator, resume) as ended:
            known = _searched(settings, pset, evaluator, searching, shown, started)
            if known.found.interrupted:
                evaluator.stop()  # what has ended is in the archive
            ended.status = runs.INTERRUPTED if known.found.interrupted else runs.FINISHED
    return _write(settings, known, started)


def _searched(
    settings: Settings, pset: PrimitiveSet, evaluator: Evaluator, search: Search, shown: Show, started: float
) -> _Known:
    known = _Known()
    try:
        known.sign = _baseline(evaluator, evaluator.seeds)
        known.found = search(settings, pset, evaluator, shown)
        check_found(known.found, pset)
        if not known.found.interrupted:
            known.sign |= _baseline(evaluator, _added(known.found, evaluator))
            _write(settings, known, started)
            if settings.random_search:  # at the same budget, also where the search ended early
                known.drawn = search_at_random(settings, pset, evaluator, len(known.found.records), shown)
            known.test = _confirm(known, evaluator, settings)
    except KeyboardInterrupt:
        known.found.interrupted = True
    except _NotConfirmedError as error:
        known.why = str(error)
    return known


@dataclass
class _Known:
    """What is known of a run so far: the search, random search, validation and test; ``why`` there is no test."""

    found: Evolution = field(default_factory=Evolution)
    drawn: Evolution | None = None
    sign: dict[int, float] = field(default_factory=dict)
    test: dict[str, Any] | None = None
    why: str = INTERRUPTED


class _NotConfirmedError(Exception):
    """The test split could not be read; the message says why."""


def _data(settings: Settings) -> AnyData:
    load: Callable[..., AnyData] = stream_data if settings.stream else load_data
    data = load(settings.data, seed=settings.seed, **{**settings.data_settings, "device": _devices(settings)[0]})
    if not data.has_test_split:  # known now, not after hours of search
        raise GaafError(
            f"a winner is confirmed on the test split, but {data.name} has none: add test/CLASS/ with images beside "
            "train/CLASS/"
        )
    return data


def _devices(settings: Settings) -> tuple[str, ...]:
    return devices_of(settings.data_settings.get("device", "cpu"))


def _evaluator(settings: Settings, proxy: Proxy, pset: PrimitiveSet) -> Evaluator:
    racing = proxy.epochs >= LEAST_TO_RACE and not is_steady(settings) if settings.racing is None else settings.racing
    return Evaluator(
        proxy,
        pset,
        seeds=(settings.seed,),
        workers=settings.workers,
        executor=settings.executor,
        devices=_devices(settings),
        racing=Racing() if racing else None,
        extra_seeds=settings.extra_seeds,
        places=settings.elite,
        # the small networks of a GPU wait for launches; a CPU's compiled kernels take one candidate at a time
        at_once=AT_ONCE if proxy.stackable and proxy.data.device.type == "cuda" else 1,
    )


def _added(found: Evolution, evaluator: Evaluator) -> list[int]:
    """Return the seeds that were added to any in the hall of fame: the plain sign is to be seen on them too."""
    used = {seed for individual in found.hall_of_fame for seed in evaluator.records[individual.canonical].by_seed}
    return [seed for seed in evaluator.extra if seed in used]


def _baseline(evaluator: Evaluator, seeds: Sequence[int]) -> dict[int, float]:
    """Return the validation accuracy of the plain sign for each seed."""
    outcomes = evaluator.train([None], seeds)[0]
    failure = next((outcome.failure for outcome in outcomes if outcome.failure), None)
    if failure is not None:
        raise GaafError(
            f"the training task must work for the plain sign, but that failed ({failure}): train longer, on more "
            "images, or with a smaller network"
        )
    return {outcome.seed: outcome.accuracy for outcome in outcomes}


def _confirm(known: _Known, evaluator: Evaluator, settings: Settings) -> dict[str, Any]:
    """Train the winner and its competitors on fresh seeds and score them on the test split."""
    drawn = known.drawn
    if drawn is not None and drawn.interrupted:
        raise KeyboardInterrupt
    best = known.found.hall_of_fame[0]
    others = competitors(best, drawn.hall_of_fame[0] if drawn is not None and len(drawn.hall_of_fame) else None)
    seeds = [FRESH * (settings.seed + 1) + i for i in range(settings.fresh_seeds)]
    try:
        return confirm(best, others, evaluator, seeds, open_test_split(evaluator.proxy.data))
    except WorkersGoneError:
        raise
    except GaafError as error:  # streamed images are read only now
        raise _NotConfirmedError(str(error)) from error


def _config(settings: Settings, evaluator: Evaluator) -> dict[str, Any]:
    proxy, racing = evaluator.proxy, evaluator.racing
    return {
        **settings.as_json(),
        resuming.SETTINGS: settings.as_json(),
        "out": str(settings.out),
        "versions": results.versions(),
        "racing": racing and {**asdict(racing), "rungs": racing.resolved(proxy.epochs)},
        "proxy": proxy.settings(),
        "pset": sorted(evaluator.pset.mapping),
    }


def _write(settings: Settings, known: _Known, started: float) -> dict[str, Any]:
    result = {
        **results.summary(known.found, known.sign, known.test, known.drawn),
        "seed": settings.seed,
        "workers": settings.workers,
        "verdict": results.verdict(known.test, known.why),
        "standing": results.standing(known.test),
        "seconds": time.perf_counter() - started,
    }
    outputs.write(settings.out, result, known.found, known.sign)
    return result
