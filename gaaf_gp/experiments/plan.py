"""NEW gaaf_gp/experiments/plan.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from gaaf_gp.data.load import AnyData, load_data
from gaaf_gp.data.streamed import stream_data
from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation.evaluator import Evaluator
from gaaf_gp.evaluation.racing import Racing
from gaaf_gp.experiments import resume
from gaaf_gp.experiments.settings import Settings
from gaaf_gp.search.bloat import Bloat, measured_in
from gaaf_gp.search.constraints import as_constraints
from gaaf_gp.search.loops import Steady, as_loop
from gaaf_gp.search.stopping import Stop
from gaaf_gp.training.proxy import Proxy
from gaaf_gp.training.stacked import AT_ONCE
from gaaf_gp.trees.candidate import parse_candidate
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.util import provenance
from gaaf_gp.util.devices import devices_of


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


LEAST_TO_RACE = 3
"""Epochs of a training from which candidates race by default: with fewer there is little to save."""


def _config(settings: Settings, evaluator: Evaluator) -> dict[str, Any]:
    proxy, racing = evaluator.proxy, evaluator.racing
    return {
        **settings.as_json(),
        resume.SETTINGS: settings.as_json(),
        "out": str(settings.out),
        "versions": provenance.versions(),
        "racing": racing and {**asdict(racing), "rungs": racing.resolved(proxy.epochs)},
        "proxy": proxy.settings(),
        "pset": sorted(evaluator.pset.mapping),
    }
