"""Runs side by side: what each one found, in which settings they differ, and what seeds of one setting say together.

A run is read from its folder, whether it has finished or not: what ``result.json`` does not hold yet comes from the
archive of its trainings.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gaaf_gp.archive import RUNNING, Archive
from gaaf_gp.errors import GaafError, one_line
from gaaf_gp.evaluation.records import reasons
from gaaf_gp.experiments import resume, run_data, run_folder
from gaaf_gp.experiments.run_data import RunData, archive_of, find_run, read_result
from gaaf_gp.experiments.run_result import RunResult
from gaaf_gp.statistics import Interval, paired_difference

OPEN = "running or killed"
"""The status of a run whose end is not known."""
FREE = {*resume.FREE_TO_CHANGE, "pset", "seed"}
"""What may differ between runs of one setting, or follows from what is looked at."""
OF_THE_SEED = ("proxy.data.sha256", "proxy.data.split_seed")
"""What another seed of the search makes another one too: it draws the validation images."""
TASK = ("proxy.", "data", "stream", "versions.gaaf-gp", "versions.torch")
"""How names of settings begin that decide what an accuracy means."""


@dataclass(frozen=True)
class Against:
    """The winner of a run minus one competitor; accuracies from 0 to 1.

    Attributes:
        mean: accuracy of the competitor, None if its trainings failed.
        difference: the winner minus it, None without enough trainings, as are the next two.
        p_value: two-sided.
        p_holm: corrected for all competitors of the run (Holm 1979).
    """

    mean: float | None
    difference: Interval | None
    p_value: float | None
    p_holm: float | None


@dataclass(frozen=True)
class RunSummary:
    """What is known of one run; accuracies from 0 to 1, None where they are not known yet.

    Attributes:
        folder: of the run.
        status: "finished", "interrupted", "failed", or :data:`OPEN`.
        settings: name -> value, flat, such as "proxy.epochs".
        seed: of the search.
        budget: candidates that it may train.
        trained: candidates that it has trained.
        failures: reason -> number of those that failed.
        best: canonical text of the best candidate.
        formula: as a person writes it.
        size: its nodes.
        validation: its accuracy.
        sign: that of the plain sign on the same seeds.
        test: mean accuracy of the winner on the test split, over fresh seeds.
        competitors: name -> the winner minus it.
    """

    folder: str
    status: str
    settings: Mapping[str, Any]
    seed: int
    budget: int
    trained: int
    failures: Mapping[str, int]
    best: str | None
    formula: str | None
    size: int | None
    validation: float | None
    sign: float | None
    test: float | None
    competitors: Mapping[str, Against]


@dataclass(frozen=True)
class Group:
    """Runs that differ in nothing but their seeds.

    Attributes:
        folders: of the runs, one for each seed.
        seeds: in their order.
        figures: Student's interval over the runs of what they have: "validation", "test", and "over NAME" for the
            difference to a competitor.
    """

    folders: tuple[str, ...]
    seeds: tuple[int, ...]
    figures: Mapping[str, Interval]


def read_run(folder: Path) -> RunSummary:
    """Return what is known of the run in a folder.

    Raises:
        GaafError: it holds no run of ``gaaf-gp evolve``, or what it holds is damaged.
    """
    config, result = resume.read_config(folder), read_result(folder)
    data = _archived(folder, config)
    if result is None and data is None:
        raise GaafError(
            f"a run must have {run_folder.RESULT} or its archive, and {folder} has neither: name another folder"
        )
    running = data is not None and data.run.status == RUNNING
    try:
        if result is not None and not (result.interrupted and running):
            outcome = _of_result(folder, result, running)
        else:
            assert data is not None
            outcome = _of_archive(data)
        return RunSummary(
            folder=str(folder), settings=_flat(config), seed=config["seed"], budget=config["evaluations"], **outcome
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise GaafError(
            f"{folder} must hold a run of gaaf-gp evolve, but reading it ended with {one_line(error)}: restore a copy"
        ) from error


def differing(runs: Sequence[RunSummary]) -> dict[str, list[Any]]:
    """Return name of a setting -> its value in each run, for those in which they differ; None where it is missing."""
    names = sorted({name for run in runs for name in run.settings})
    seeds = len({run.seed for run in runs}) > 1
    rows = {name: [run.settings.get(name) for run in runs] for name in names if not (seeds and name in OF_THE_SEED)}
    seed_row = {"seed": [run.seed for run in runs]}
    return {name: row for name, row in (seed_row | rows).items() if any(value != row[0] for value in row)}


def incomparable(runs: Sequence[RunSummary]) -> list[str]:
    """Return the settings that differ and decide what an accuracy means: with any, accuracies cannot be compared."""
    return [name for name in differing(runs) if name.startswith(TASK)]


def groups(runs: Sequence[RunSummary]) -> list[Group]:
    """Return the runs of each setting that was run with two or more seeds; of one seed only its first run counts."""
    alike: dict[str, dict[int, RunSummary]] = {}
    for run in runs:
        rest = {name: value for name, value in run.settings.items() if name not in OF_THE_SEED}
        alike.setdefault(json.dumps(rest, sort_keys=True), {}).setdefault(run.seed, run)
    return [_group(list(by_seed.values())) for by_seed in alike.values() if len(by_seed) > 1]


def _group(members: Sequence[RunSummary]) -> Group:
    values: dict[str, list[float]] = {}
    for member in members:
        figures_of_run = {"validation": member.validation, "test": member.test}
        figures_of_run |= {
            f"over {name}": competitor.difference.mean
            for name, competitor in member.competitors.items()
            if competitor.difference is not None
        }
        for name, value in figures_of_run.items():
            if value is not None:
                values.setdefault(name, []).append(value)
    figures = {name: paired_difference(some, [0.0] * len(some)) for name, some in values.items() if len(some) > 1}
    return Group(tuple(member.folder for member in members), tuple(member.seed for member in members), figures)


def _archived(folder: Path, config: Mapping[str, Any]) -> RunData | None:
    """Return the run as its archive has it, None where that is missing or does not know the run."""
    path, key = archive_of(folder, config), config.get(resume.RUN)
    if path is None or not isinstance(key, str):
        return None
    with Archive(path, readonly=True, verify=False) as archive:
        if key not in (run.key for run in archive.runs()):
            return None
    return run_data.read_run(find_run(folder), verify=False)


def _of_archive(data: RunData) -> dict[str, Any]:
    judged = [record for record in data.records.values() if record.outcomes]
    best = data.best
    about = None if best is None else data.about(best.text)
    return {
        "status": OPEN if data.run.status == RUNNING else data.run.status,
        "trained": len(judged),
        "failures": reasons(Counter(record.failure for record in judged if record.failure is not None)),
        "best": best and best.text,
        "formula": about and about.formula,
        "size": about and about.size,
        "validation": best and best.accuracy,
        "sign": data.baseline if best is None else data.sign_beside(best),
        "test": None,
        "competitors": {},
    }


def _of_result(folder: Path, result: RunResult, running: bool) -> dict[str, Any]:
    test, ended = result.test, "interrupted" if result.interrupted else "finished"
    hall = run_folder.hall_rows(folder) if (folder / run_folder.HALL).is_file() else []
    return {
        "status": OPEN if running else ended,
        "trained": result.evaluations,
        "failures": reasons(result.failures),
        "best": result.best,
        "formula": result.best_infix,
        "size": int(hall[0]["size"]) if hall else None,
        "validation": result.validation.best,
        "sign": result.validation.sign,
        "test": None if test is None else test.best_mean,
        "competitors": {
            name: Against(competitor.mean, competitor.gain.difference, competitor.gain.p_value, competitor.gain.p_holm)
            for name, competitor in (test.competitors if test is not None else {}).items()
        },
    }


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return all settings by names with dots, without what may differ between runs of one setting."""
    settings: dict[str, Any] = {}
    for name, value in config.items():
        if not prefix and name in FREE:
            continue
        if isinstance(value, Mapping):
            settings |= _flat(value, f"{prefix}{name}.")
        else:
            settings[prefix + name] = value
    return settings
