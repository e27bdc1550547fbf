"""The regression part of the benchmark of bloat: every choice on every target and seed, in a file that goes on.

Each run is a line of ``regression.jsonl``; what is there is not done again, and what is missing may be added with more
seeds. Runs are independent of each other and of the number of workers.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import regression_gplearn, regression_ours
from benchmarks.bloat_choices import CHOICES, EVOLVE, GPLEARN
from benchmarks.harness import Say
from benchmarks.regression import TARGETS
from gaaf_gp import GaafError, Limits
from gaaf_gp.parallel import WorkerLost, Workers
from gaaf_gp.util.jsonl import Journal
from gaaf_gp.util.provenance import versions

FILE = "regression.jsonl"
EVALUATIONS, POPULATION, SEEDS = 5000, 200, 10
LIMITS, WIDE = Limits(height=17, size=200), Limits(height=1000, size=10_000)
"""Koza's height, and a size to match it; and limits that do not bind."""
TOURNAMENT = 7
"""Koza's; a small tournament loses good trees in a loop without an elite."""
OURS, OTHERS = "ours", "gplearn"
ALL = (*CHOICES, *GPLEARN, *(EVOLVE + name for name in CHOICES))
"""Names of choices in DEAP's loop, settings of gplearn, and the choices in ``evolve()``, which takes longest."""


def measure(
    folder: Path,
    seeds: int = SEEDS,
    *,
    evaluations: int = EVALUATIONS,
    population: int = POPULATION,
    targets: Sequence[str] = tuple(TARGETS),
    choices: Sequence[str] = ALL,
    workers: int = 1,
    say: Say = print,
) -> list[dict[str, Any]]:
    """Do what the file of runs lacks, and return all its runs.

    Args:
        folder: of the file.
        seeds: runs of each choice on each target, with the seeds from 0.
        evaluations: of each run.
        population: of each generation.
        targets: names in ``TARGETS``.
        choices: names in ``ALL``.
        workers: processes.
        say: is told about every tenth run.

    Raises:
        GaafError: the evaluations are not whole generations, which gplearn needs; the file was begun with other
            settings; or a worker process died.
    """
    if evaluations % population:
        raise GaafError(
            f"evaluations must be a multiple of the population of {population}, got {evaluations}: gplearn evaluates "
            "whole generations only"
        )
    settings = {"format": 1, "evaluations": evaluations, "population": population, "tournament": TOURNAMENT}
    notes = {**settings, "versions": {**versions(), **regression_gplearn.versions()}}
    with Journal(folder / FILE, notes) as journal, Workers(None, workers) as pool:
        done = {(entry["target"], entry["choice"], entry["seed"]) for entry in journal.entries}
        wanted = [(target, choice, seed) for seed, target, choice in itertools.product(range(seeds), targets, choices)]
        wanted.sort(key=lambda one: one[1].startswith(EVOLVE))  # last
        jobs = [(*one, evaluations, population) for one in wanted if one not in done]
        for number, result in enumerate(_results(pool, jobs), 1):
            journal.append(result)
            if number % 10 == 0 or number == len(jobs):
                say(f"regression: {number} of {len(jobs)} runs")
        return journal.entries


def _results(pool: Workers[None], jobs: Sequence[tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
    for index, found in pool.run(job, jobs):
        if isinstance(found, WorkerLost):
            raise GaafError(f"a worker process died twice in {jobs[index]}: look for lack of memory, use fewer workers")
        yield found


def job(_state: None, target: str, choice: str, seed: int, evaluations: int, population: int) -> dict[str, Any]:
    """Return one run; called in a worker process."""
    budget = {"evaluations": evaluations, "population": population}
    if choice in GPLEARN:
        side, result = OTHERS, regression_gplearn.run(target, *GPLEARN[choice], seed, **budget)
    else:
        chosen = CHOICES[choice.removeprefix(EVOLVE)]
        limits, ours = WIDE if chosen.wide else LIMITS, choice.startswith(EVOLVE)
        side, result = OURS, regression_ours.run(target, chosen.make(TOURNAMENT), limits, seed, **budget, ours=ours)
    return {"side": side, "target": target, "choice": choice, "seed": seed, **result}
