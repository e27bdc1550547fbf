"""The settings of a run resolved, once: what they name is loaded, and what they say in words is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from gaaf_gp.data.load import AnyData, load_data
from gaaf_gp.data.streamed import stream_data
from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation.evaluator import Evaluator
from gaaf_gp.evaluation.racing import Racing
from gaaf_gp.experiments import resume
from gaaf_gp.experiments.settings import Settings
from gaaf_gp.search.bloat import Bloat, Control, measured_in
from gaaf_gp.search.constraints import Constraint, as_constraints
from gaaf_gp.search.loops import Loop, Steady, as_loop
from gaaf_gp.training.proxy import Proxy
from gaaf_gp.training.stacked import AT_ONCE
from gaaf_gp.trees.candidate import parse_candidate
from gaaf_gp.trees.generation import Limits
from gaaf_gp.trees.load import load_primitives
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.util import provenance
from gaaf_gp.util.devices import devices_of

LEAST_TO_RACE = 3
"""Epochs of a training from which candidates race by default: with fewer there is little to save."""


@dataclass(frozen=True)
class Rules:
    """How a search breeds.

    Attributes:
        loop: of the search.
        controls: of bloat.
        constraints: that every tree must keep to.
        limits: of every tree.
    """

    loop: Loop
    controls: list[Control | Limits]
    constraints: list[Constraint]
    limits: Limits

    @property
    def steady(self) -> bool:
        """Whether the loop has no generations."""
        return isinstance(self.loop, Steady)

    def bloat(self) -> Bloat:
        """Return all controls in one, with nothing learned yet."""
        return Bloat(self.controls, self.limits, self.constraints)


@dataclass(frozen=True)
class Plan:
    """All that a run works with.

    Attributes:
        settings: that were resolved.
        pset: the primitive set.
        rules: of breeding.
        proxy: the training task, with its data.
    """

    settings: Settings
    pset: PrimitiveSet
    rules: Rules
    proxy: Proxy

    @property
    def racing(self) -> Racing | None:
        """The races of each generation, None for none."""
        chosen = self.settings.racing
        races = self.proxy.epochs >= LEAST_TO_RACE and not self.rules.steady if chosen is None else chosen
        return Racing() if races else None

    def evaluator(self) -> Evaluator:
        """Return a new evaluator, to be closed."""
        settings, proxy = self.settings, self.proxy
        return Evaluator(
            proxy,
            self.pset,
            seeds=(settings.seed,),
            workers=settings.workers,
            executor=settings.executor,
            devices=_devices(settings),
            racing=self.racing,
            extra_seeds=settings.extra_seeds,
            places=max(1, settings.living_on),
            # the small networks of a GPU wait for launches; a CPU's compiled kernels take one candidate at a time
            at_once=AT_ONCE if proxy.stackable and proxy.data.device.type == "cuda" else 1,
        )

    def config(self) -> dict[str, Any]:
        """Return what ``config.json`` says of the run, but for its key in the archive."""
        settings, racing = self.settings, self.racing
        return {
            **settings.as_json(),
            resume.SETTINGS: settings.as_json(),
            "out": str(settings.out),
            "versions": provenance.versions(),
            "racing": racing and {**asdict(racing), "rungs": racing.resolved(self.proxy.epochs)},
            "proxy": self.proxy.settings(),
            "pset": sorted(self.pset.mapping),
        }


def make_plan(settings: Settings) -> Plan:
    """Resolve settings: what the search would refuse is refused ahead of loading the data.

    Raises:
        GaafError: naming the setting.
    """
    pset = load_primitives(settings.primitives)
    rules = rules_of(settings, pset)
    return Plan(settings, pset, rules, Proxy(_data(settings), **settings.proxy))


def rules_of(settings: Settings, pset: PrimitiveSet) -> Rules:
    """Return how the search breeds.

    Raises:
        GaafError: naming the setting that is out of its range or cannot be read.
    """
    constraints = as_constraints(settings.constraints, pset)
    rules = Rules(as_loop(settings.loop), measured_in(settings.bloat, settings.measure), constraints, settings.limits)
    rules.bloat()
    if rules.steady and settings.racing:
        raise GaafError(f"racing needs generations, which the loop {settings.loop!r} has not: leave one of them out")
    for text in settings.initial:
        parse_candidate(text, pset)
    return rules


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
