"""A whole run: search, confirm the winner on fresh seeds and the test split, and write down what came out."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gaaf_gp import outputs, results
from gaaf_gp.data import Data, load_data, open_test_split
from gaaf_gp.errors import GaafError, listed
from gaaf_gp.evolve import Evolution, evolve
from gaaf_gp.fitness import Evaluator
from gaaf_gp.generation import Limits
from gaaf_gp.individual import Individual
from gaaf_gp.loading import load_primitives
from gaaf_gp.proxy import Proxy
from gaaf_gp.pset import PrimitiveSet
from gaaf_gp.racing import Racing
from gaaf_gp.stacked import AT_ONCE
from gaaf_gp.statistics import paired_difference

FRESH = 1_000_000
"""Fresh seeds start here times (seed + 1), far from any seed that a search uses."""
INTERRUPTED = "the run was interrupted."
LEAST_TO_RACE = 3
"""Epochs of a training from which candidates race by default: with fewer there is little to save."""


def available_cores() -> int:
    """Return the number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Settings:
    """All that a run depends on, and how it is run. ``config.json`` holds it.

    Attributes:
        out: folder for the results; must be new or empty.
        primitives: the set, as :func:`gaaf_gp.loading.load_primitives` takes it.
        data: name or folder, as :func:`gaaf_gp.load_data` takes it; ``data_settings`` are its further arguments.
        evaluations: distinct candidates to train.
        workers: processes; the result does not depend on it.
        seed: of the search, the split and the training; one seed, one result.
        population: individuals of a generation.
        fresh_seeds: trainings of the winner and of the plain sign on the test split; at least 2.
        racing: whether the candidates of a generation race each other (:class:`gaaf_gp.racing.Racing`); None for yes
            if a training has at least 3 epochs.
        extra_seeds: most seeds that are added to candidates that contest a place.
        limits: of every tree.
        proxy: arguments of :class:`gaaf_gp.Proxy` beside the data.
    """

    out: Path
    primitives: str = "primitives.gaaf:free"
    data: str = "fashion10k"
    evaluations: int = 100
    workers: int = field(default_factory=available_cores)
    seed: int = 0
    population: int = 20
    fresh_seeds: int = 5
    racing: bool | None = None
    extra_seeds: int = 0
    limits: Limits = field(default_factory=Limits)
    proxy: dict[str, Any] = field(default_factory=dict)
    data_settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value, least in (
            ("evaluations", self.evaluations, 1),
            ("workers", self.workers, 1),
            ("seed", self.seed, 0),
            ("population", self.population, 2),
            ("fresh_seeds", self.fresh_seeds, 2),
            ("extra_seeds", self.extra_seeds, 0),
        ):
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise GaafError(f"{name} must be a whole number of at least {least}, got {value!r}")

    @property
    def elite(self) -> int:
        """Individuals that live on."""
        return min(2, self.population - 1)


Search = Callable[[Settings, PrimitiveSet, Evaluator, bool], Evolution]
"""Searches with the settings; the last argument says whether no progress line is shown."""


def run(
    settings: Settings, *, quiet: bool = False, search: Search | None = None, notes: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Evolve, confirm, write everything into ``settings.out`` and return what ``result.json`` holds.

    What the search found is written before it is confirmed. After Ctrl-C it is what was found until then,
    ``"interrupted"`` is true and ``"test"`` is null; a test split that cannot be read leaves ``"test"`` null too, and
    the verdict says why.

    Args:
        settings: what to run.
        quiet: show no progress line.
        search: another search than :func:`gaaf_gp.evolve`, such as one of :mod:`gaaf_gp.genetic`.
        notes: what ``config.json`` is to say of that search, fit for JSON.

    Raises:
        GaafError: for a bad setting, before anything is written, or if no candidate could be trained.
    """
    started = time.perf_counter()
    outputs.check_free(settings.out)
    pset = load_primitives(settings.primitives)
    data = _data(settings)
    proxy = Proxy(data, **settings.proxy)
    with _evaluator(settings, proxy, pset) as evaluator:
        outputs.start(settings.out, {**_config(settings, evaluator), **(notes or {})})
        sign: dict[int, float] = {}
        found = Evolution()
        test: dict[str, Any] | None = None
        why = INTERRUPTED
        try:
            sign = _baseline(evaluator, evaluator.seeds)
            found = (search or _search)(settings, pset, evaluator, quiet)
            _check_found(found, pset)
            if not found.interrupted:
                sign |= _baseline(evaluator, _added(found, evaluator))
                _write(settings, found, sign, None, why, started)
                test = _confirm(found.hall_of_fame[0], evaluator, data, settings)
        except KeyboardInterrupt:
            found.interrupted = True
        except _NotConfirmedError as error:
            why = str(error)
    return _write(settings, found, sign, test, why, started)


class _NotConfirmedError(Exception):
    """The test split could not be read; the message says why."""


def _data(settings: Settings) -> Data:
    data = load_data(settings.data, seed=settings.seed, **settings.data_settings)
    if not data.has_test_split:  # known now, not after hours of search
        raise GaafError(
            f"a winner is confirmed on the test split, but {data.name} has none: add test/CLASS/ with images beside "
            "train/CLASS/"
        )
    return data


def _check_found(found: Evolution, pset: PrimitiveSet) -> None:
    if not len(found.hall_of_fame) and not found.interrupted:
        reasons = listed(f"{count} {reason}" for reason, count in found.rejected.most_common())
        raise GaafError(
            f"set {pset.name!r} must hold a candidate that can be trained, but all were rejected ({reasons}): add "
            "primitives or raise the limits"
        )


def _evaluator(settings: Settings, proxy: Proxy, pset: PrimitiveSet) -> Evaluator:
    racing = proxy.epochs >= LEAST_TO_RACE if settings.racing is None else settings.racing
    return Evaluator(
        proxy,
        pset,
        seeds=(settings.seed,),
        workers=settings.workers,
        racing=Racing() if racing else None,
        extra_seeds=settings.extra_seeds,
        places=settings.elite,
        # the small networks of a GPU wait for launches; a CPU's compiled kernels take one candidate at a time
        at_once=AT_ONCE if proxy.data.train.images.is_cuda else 1,
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


def _search(settings: Settings, pset: PrimitiveSet, evaluator: Evaluator, quiet: bool) -> Evolution:
    return evolve(
        pset,
        evaluator,
        evaluations=settings.evaluations,
        population_size=settings.population,
        elite=settings.elite,
        limits=settings.limits,
        seed=settings.seed,
        progress=not quiet,
    )


def _confirm(best: Individual, evaluator: Evaluator, data: Data, settings: Settings) -> dict[str, Any]:
    """Train the winner and the plain sign on fresh seeds and score both on the test split.

    The winner of a search looks better in it than it is, because it was picked for its luck too.
    """
    seeds = [FRESH * (settings.seed + 1) + i for i in range(settings.fresh_seeds)]
    try:
        split = open_test_split(data)
    except GaafError as error:
        raise _NotConfirmedError(str(error)) from error
    winner, sign = evaluator.train([best, None], seeds, split)
    first, second = [o.accuracy for o in winner], [o.accuracy for o in sign]
    interval = paired_difference(first, second)
    return {
        "seeds": seeds,
        "best": first,
        "sign": second,
        "best_mean": statistics.fmean(first),
        "sign_mean": statistics.fmean(second),
        "difference": asdict(interval),
        "failures": [outcome.failure for outcome in (*winner, *sign) if outcome.failure],
    }


def _config(settings: Settings, evaluator: Evaluator) -> dict[str, Any]:
    proxy, racing = evaluator.proxy, evaluator.racing
    return {
        **asdict(settings),
        "out": str(settings.out),
        "racing": racing and {**asdict(racing), "rungs": racing.resolved(proxy.epochs)},
        "proxy": proxy.settings(),
        "pset": sorted(evaluator.pset.mapping),
    }


def _write(
    settings: Settings,
    found: Evolution,
    sign: dict[int, float],
    test: dict[str, Any] | None,
    why: str,
    started: float,
) -> dict[str, Any]:
    result = {
        **results.summary(found, sign, test),
        "seed": settings.seed,
        "workers": settings.workers,
        "verdict": results.verdict(test, why),
        "seconds": time.perf_counter() - started,
    }
    outputs.write(settings.out, result, found, sign)
    return result
