"""Runs side by side: what each one found, in which settings they differ, and what seeds of one setting say together.

A run is read from its folder, whether it has finished or not: what ``result.json`` does not hold yet comes from the
archive of its trainings.
"""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gaaf_gp.archive import RUNNING, VALIDATION, Archive, RunEntry
from gaaf_gp.errors import GaafError, one_line
from gaaf_gp.evaluation.records import reasons
from gaaf_gp.experiments import resume, run_folder
from gaaf_gp.experiments.confirm import confirmation_from
from gaaf_gp.experiments.run_data import archive_of, read_result
from gaaf_gp.statistics import Interval, paired_difference
from gaaf_gp.trees.candidate import MARK, PLAIN_SIGN

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
    archived = _archived(folder, config)
    if result is None and archived is None:
        raise GaafError(
            f"a run must have {run_folder.RESULT} or its archive, and {folder} has neither: name another folder"
        )
    try:
        if result is not None and not (result["interrupted"] and archived is not None and archived.status == RUNNING):
            outcome = _of_result(folder, result, archived)
        else:
            assert archived is not None
            outcome = archived.found(int(config["proxy"]["epochs"]))
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


@dataclass(frozen=True)
class _Archived:
    """What an archive knows of a run: how it ended, and what it asked for."""

    status: str
    entries: Sequence[RunEntry]

    def found(self, epochs: int) -> dict[str, Any]:
        """Return what the run has found, as :class:`RunSummary` has it."""
        entries_of: dict[str, list[RunEntry]] = {}
        for entry in self.entries:
            if entry.evaluation is not None and entry.evaluation.split == VALIDATION:
                entries_of.setdefault(entry.text, []).append(entry)
        sign = _mean(entries_of.pop(PLAIN_SIGN, []), epochs)
        entries_of = {text: entries for text, entries in entries_of.items() if not text.startswith(MARK)}
        means = {text: mean for text, entries in entries_of.items() if (mean := _mean(entries, epochs)) is not None}
        best = max(means, key=lambda text: means[text], default=None)
        evaluation = None if best is None else entries_of[best][0].evaluation
        failed = Counter(
            next((why for entry in entries if (why := _failure(entry))), None) for entries in entries_of.values()
        )
        return {
            "status": OPEN if self.status == RUNNING else self.status,
            "trained": len(entries_of),
            "failures": reasons({why: count for why, count in failed.items() if why is not None}),
            "best": best,
            "formula": evaluation and evaluation.formula,
            "size": None if evaluation is None else _whole(evaluation.metrics.get("nodes")),
            "validation": None if best is None else means[best],
            "sign": sign,
            "test": None,
            "competitors": {},
        }


def _failure(entry: RunEntry) -> str | None:
    return entry.failure if entry.evaluation is None else entry.evaluation.failure


def _mean(entries: Sequence[RunEntry], epochs: int) -> float | None:
    """Return the mean over the seeds of full trainings; None if there is none, or one failed."""
    full = [entry for entry in entries if entry.epochs == epochs]
    if not full or any(_failure(entry) for entry in full):
        return None
    return statistics.fmean(entry.accuracy for entry in full if entry.accuracy is not None)


def _archived(folder: Path, config: Mapping[str, Any]) -> _Archived | None:
    path, key = archive_of(folder, config), config.get(resume.RUN)
    if path is None or not isinstance(key, str):
        return None
    with Archive(path, readonly=True, verify=False) as archive:
        statuses = {run.key: run.status for run in archive.runs()}
        return _Archived(statuses[key], list(archive.history(key))) if key in statuses else None


def _of_result(folder: Path, result: Mapping[str, Any], archived: _Archived | None) -> dict[str, Any]:
    test = confirmation_from(result["test"])
    ended = "interrupted" if result["interrupted"] else "finished"
    hall = run_folder.hall_rows(folder) if (folder / run_folder.HALL).is_file() else []
    return {
        "status": OPEN if archived is not None and archived.status == RUNNING else ended,
        "trained": result["evaluations"],
        "failures": reasons(result["failures"]),
        "best": result["best"],
        "formula": result["best_infix"],
        "size": int(hall[0]["size"]) if hall else None,
        "validation": result["validation"]["best"],
        "sign": result["validation"]["sign"],
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


def _whole(number: float | None) -> int | None:
    return None if number is None else int(number)
