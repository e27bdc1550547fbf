"""Comparison of search algorithms at one budget: on a table of fitness values, or with trainings that they share."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from gaaf_gp.archive.store import Archive
from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation.cache import ArchivedTrainings
from gaaf_gp.evaluation.evaluator import Evaluator
from gaaf_gp.evaluation.table import FunctionTable, TableEvaluator
from gaaf_gp.parallel import WorkerLost, Workers
from gaaf_gp.search.best_so_far import Asked, Value, Watched, best_share, best_so_far, summary
from gaaf_gp.search.result import SearchResult
from gaaf_gp.statistics import Band, band
from gaaf_gp.training.proxy import Proxy
from gaaf_gp.trees.parser import parse
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.util.provenance import versions

Search = Callable[..., SearchResult]
"""Called as ``search(pset, fitness_function, evaluations=, seed=, progress=)``, as ``evolve`` and ``random_search``."""

SHARE = 0.01
"""Part of all functions that counts as the best."""
SEEN = 0
"""Seed of the trainings that a search sees."""
FIRST_SHOWN = 10
"""Evaluation at which the figure begins: before it the best of few candidates may be anything."""


@dataclass(frozen=True)
class SearchComparison:
    """The runs of several searches at one budget, and what is known of the functions that they evaluated.

    Attributes:
        runs: name of a search -> its runs, each with all its evaluations in order.
        evaluations: the budget of each run.
        milestones: numbers of evaluations that are reported besides the budget.
        good: name -> signatures of the functions that are good to reach.
        values: name -> accuracy (0 to 1) of a function by a measure that no search saw.
        notes: all that the runs depend on, fit for JSON.
    """

    runs: Mapping[str, Sequence[Sequence[Asked]]]
    evaluations: int
    milestones: tuple[int, ...]
    good: Mapping[str, Collection[str]]
    values: Mapping[str, Value]
    notes: Mapping[str, Any]

    def bands(self) -> dict[str, Band]:
        """Return the spread over the runs of the best fitness so far, by search."""
        return {
            name: band([[asked.fitness for asked in best_so_far(run, self.evaluations)] for run in runs])
            for name, runs in self.runs.items()
        }

    def rows(self) -> dict[str, dict[str, Any]]:
        """Return the figures of each search, see :func:`gaaf_gp.search.best_so_far.summary`."""
        milestones = _milestones(self.milestones, self.evaluations)
        return {name: summary(runs, milestones, self.good, self.values) for name, runs in self.runs.items()}

    def table(self) -> Table:
        """Return the figures of all searches as a table."""
        rows = self.rows()
        first = next(iter(rows.values()))
        legend = ", ".join(["as the search saw it", *self.values])
        title = f"Best so far, validation accuracy in per cent: {legend}; medians over the runs"
        table = Table(title=title, title_justify="left", show_lines=True)
        table.add_column("search", no_wrap=True)
        for name in [*(f"after {at}" for at in first["after"]), *(f"to {name}" for name in self.good)]:
            table.add_column(name, justify="right")
        for name, row in rows.items():
            accuracies = ["\n".join(map(_percent, at.values())) for at in row["after"].values()]
            table.add_row(name, *accuracies, *map(_reached, row["reach"].values()))
        return table

    def write(self, folder: Path) -> None:
        """Write comparison.json, comparison.txt, comparison.png and curves.json into the folder, which is made."""
        from gaaf_gp.plots import plot_searches, save_figure  # noqa: PLC0415  a search starts without it

        folder.mkdir(parents=True, exist_ok=True)
        bands = self.bands()
        results = {**self.notes, "evaluations": self.evaluations, "searches": self.rows()}
        curves = {name: asdict(spread) for name, spread in bands.items()}
        (folder / "curves.json").write_text(json.dumps(curves) + "\n", encoding="utf-8")
        (folder / "comparison.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
        first = FIRST_SHOWN if self.evaluations > FIRST_SHOWN else 1
        save_figure(plot_searches(bands, first=first), folder / "comparison.png")
        with (folder / "comparison.txt").open("w", encoding="utf-8") as file:
            Console(file=file, width=120).print(self.table())


def compare_on_table(
    searches: Mapping[str, Search],
    table: FunctionTable,
    pset: PrimitiveSet,
    *,
    runs: int,
    evaluations: int,
    milestones: tuple[int, ...] = (),
    workers: int = 1,
) -> SearchComparison:
    """Run every search ``runs`` times on a table of fitness values, side by side; nothing is trained.

    Args:
        searches: by name; with several workers they must be picklable, such as functions and ``functools.partial``.
        table: has the fitness of every tree of ``pset``.
        pset: the set that is searched.
        runs: runs of each search, with the seeds 0, 1, ...
        evaluations: budget of a run. An evaluation is a fitness that a search asks for, remembered or not.
        milestones: numbers of evaluations to report.
        workers: processes.

    Raises:
        GaafError: a worker process died three times.
    """
    jobs = [(name, seed) for name in searches for seed in range(runs)]
    done: dict[tuple[str, int], list[Asked]] = {}
    with Workers((dict(searches), table, pset, evaluations), workers) as pool:
        for index, asked in track(pool.run(_on_table, jobs), "searches", len(jobs), console=Console(stderr=True)):
            if isinstance(asked, WorkerLost):
                raise GaafError("a worker process died three times: look for lack of memory, and use fewer workers")
            done[jobs[index]] = asked
    seen = table.seeds[0]
    good = {
        f"best {SHARE:.0%} as seen": {entry.signature for entry in table.best(SHARE, seen)},
        f"best {SHARE:.0%} by all seeds": {entry.signature for entry in table.best(SHARE)},
    }
    values: dict[str, Value] = {"all seeds": table.value, "other seeds": lambda text: table.fresh_value(text, seen)}
    notes = {"seed seen": seen, "table": table.provenance}
    by_name = {name: [done[name, seed] for seed in range(runs)] for name in searches}
    return SearchComparison(by_name, evaluations, milestones, good, values, notes)


def _on_table(state: tuple[dict[str, Search], FunctionTable, PrimitiveSet, int], name: str, seed: int) -> list[Asked]:
    searches, table, pset, evaluations = state
    watched = Watched(TableEvaluator(table, pset))
    searches[name](pset, watched, evaluations=evaluations, seed=seed, progress=False)
    return watched.asked


def compare_trained(
    searches: Mapping[str, Search],
    proxy: Proxy,
    pset: PrimitiveSet,
    archive: Path,
    *,
    runs: int,
    evaluations: int,
    milestones: tuple[int, ...] = (),
    fresh_seeds: Sequence[int] = (1, 2, 3, 4),
    workers: int = 1,
) -> SearchComparison:
    """Run every search ``runs`` times, one after another, and train what the archive lacks.

    A function that two searches meet is trained once, and counts in both budgets. The best after each milestone are
    trained again on fresh seeds.

    Args:
        searches: by name.
        proxy: the training task.
        pset: the set that is searched.
        archive: file of all trainings, which is made if it is missing.
        runs: runs of each search, with the seeds 0, 1, ...
        evaluations: budget of a run.
        milestones: numbers of evaluations to report.
        fresh_seeds: of the trainings that no search sees, without 0, the one that they see.
        workers: processes.

    Raises:
        KeyboardInterrupt: a search was interrupted; what it trained is in the archive.
    """
    notes = {"format": 1, "primitives": pset.name, "proxy": proxy.settings(), "versions": versions()}
    by_name: dict[str, list[list[Asked]]] = {name: [] for name in searches}
    with Archive(archive) as store, store.running("compare_searches", notes, versions()) as key:
        trainings = ArchivedTrainings(store, proxy, pset, key)
        with Evaluator(proxy, pset, workers=workers) as shared:
            shared.record_in(trainings)
            for place, (name, seed) in enumerate(itertools.product(searches, range(runs)), 1):
                Console(stderr=True).print(f"search {place} of {len(searches) * runs}: {name}, seed {seed}")
                watched = Watched(shared)
                result = searches[name](pset, watched, evaluations=evaluations, seed=seed, progress=True)
                if result.interrupted:
                    raise KeyboardInterrupt
                by_name[name].append(watched.asked)
        every = list(itertools.chain.from_iterable(by_name.values()))
        marks = _milestones(milestones, evaluations)
        curves = [best_so_far(run, evaluations) for run in every]
        texts = sorted({curve[at - 1].text for curve in curves for at in marks})
        with Evaluator(proxy, pset, seeds=fresh_seeds, workers=workers) as fresh:
            fresh.record_in(trainings)
            records = fresh.evaluate([parse(text, pset) for text in texts])
    worth = {text: record.accuracy for text, record in zip(texts, records, strict=True)}
    good = {f"best {SHARE:.0%} of all evaluated": best_share(every, SHARE)}
    all_notes = {"seed seen": SEEN, **notes}
    return SearchComparison(by_name, evaluations, milestones, good, {"other seeds": worth.get}, all_notes)


def _milestones(milestones: Sequence[int], evaluations: int) -> list[int]:
    """Return the milestones within the budget, and the budget."""
    return sorted({*(at for at in milestones if at < evaluations), evaluations})


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}"


def _reached(reach: Mapping[str, Any]) -> str:
    median = "-" if reach["median"] is None else format(reach["median"], "g")
    return f"{median}\n{reach['reached']} of {reach['runs']} runs"
