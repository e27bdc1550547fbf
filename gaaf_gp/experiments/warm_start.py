"""The best functions that an archive knows, for a search to begin with.

Each ``--seed`` draws a split of its own, so runs of several seeds train on several tasks in the sense of the archive.
Here these count as one: all that differs is which images are trained on, and accuracies on them are comparable. So do
those of machines with other kernels or versions.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from gaaf_gp.archive import Archive
from gaaf_gp.errors import GaafError
from gaaf_gp.experiments.plan import Rules
from gaaf_gp.experiments.settings import Settings
from gaaf_gp.training.proxy import Proxy
from gaaf_gp.trees.candidate import Evolved, TwoTrees, parse_candidate
from gaaf_gp.trees.individual import Individual
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.util.files import finite

USUAL = 5
"""Functions that a search begins with if no number is given."""
DIGITS = 6
"""Of that number."""
OF_SPLIT = ("split_seed", "sha256", "names_sha256", "mean", "std")
"""What the settings of data say of the images that were drawn; name, classes, size and number of images stay."""
HOW = ("kernels", "threads", "seconds", "memory")
"""Settings of a training that say how it is computed, not what is learned."""


def begun_with_best(settings: Settings, given: str, proxy: Proxy, pset: PrimitiveSet, rules: Rules) -> Settings:
    """Return the settings with the best functions of an archive added to ``initial``.

    Args:
        settings: of the run.
        given: the file, or ``FILE:K`` for the best K, at most a population.
        proxy: the training task of the run; only trainings of the same, whatever seed drew the split, count.
        pset: the set of the run; functions that it cannot write are left out.
        rules: of its search; functions that break them are left out.

    Raises:
        GaafError: the archive cannot be read, K is none, or it knows no function that the run may begin with.
    """
    path, number = _parsed(given)
    bloat = rules.bloat()
    found: list[str] = []
    for text in _ranked(path, proxy):
        one = _readable(text, pset)
        if one is None or text in settings.initial or (isinstance(one, TwoTrees) and not settings.two_trees):
            continue
        if bloat.admits(one, random.Random(0)):
            found.append(text)
        if len(found) == min(number, settings.population):
            break
    if not found:
        raise GaafError(
            "an archive to begin with must know a function of the same training task, within the set and limits of the "
            f"run, and {path} has none: gaaf-gp archive ls --tasks {path} lists its tasks"
        )
    return replace(settings, initial=(*settings.initial, *found))


def _parsed(given: str) -> tuple[Path, int]:
    path, colon, number = given.rpartition(":")
    if not colon or not number.isdecimal():
        return Path(given), USUAL
    if not 0 < int(number[: DIGITS + 1]) < 10**DIGITS:
        raise GaafError(f"the number behind an archive must be from 1 to {10**DIGITS - 1}, got {given!r}")
    return Path(path), int(number)


def _ranked(path: Path, proxy: Proxy) -> list[str]:
    """Return the texts of all functions that were trained in full on this task and did not fail, best first."""
    wanted = _compared(proxy.settings())
    accuracies: dict[str, list[float]] = defaultdict(list)
    with Archive(path, readonly=True) as archive:
        tasks = {key for key, one in archive.tasks().items() if _compared(one.get("proxy")) == wanted}
        for summary in archive.summaries(failed=False):
            if summary.task in tasks and summary.epochs == proxy.epochs:
                accuracies[summary.text] += [summary.accuracy] * summary.seeds
    return sorted(accuracies, key=lambda text: (-sum(accuracies[text]) / len(accuracies[text]), text))


def _compared(proxy: Any) -> Any:
    """Return the settings of a proxy, as JSON has them, without what makes no other task of it here."""
    if not isinstance(proxy, Mapping) or not isinstance(proxy.get("data"), Mapping):
        return None
    data = {name: value for name, value in proxy["data"].items() if name not in OF_SPLIT}
    return finite({name: value for name, value in proxy.items() if name not in HOW} | {"data": data})


def _readable(text: str, pset: PrimitiveSet) -> Evolved | None:
    try:
        candidate = parse_candidate(text, pset)
    except GaafError:
        return None
    return candidate if isinstance(candidate, Individual | TwoTrees) else None
