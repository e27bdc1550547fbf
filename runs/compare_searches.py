"""Four searches at one budget: the paper's algorithm as published and repaired, our evolve(), and random search.

``--space encoding1`` looks every fitness up in the table of encoding 1 that comes with the project: a hundred searches
of each kind in minutes, without training. ``--space encoding2`` and ``--space free`` train: hours. Every training is
kept in archive.sqlite, shared by all searches: a function that two of them meet is trained once, and counts in both
budgets. Stop with Ctrl-C whenever you like: the same command goes on.

An evaluation is a fitness that an algorithm asks for, remembered or not; what it rejects by itself costs nothing. The
constants are the choices; most can be given on the command line too.
"""

import itertools
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table
from typer import Option

from gaaf_gp import Evaluator, GaafError, PrimitiveSet, Proxy, TableEvaluator, evolve, load_data, load_table, parse
from gaaf_gp.archive import Archive
from gaaf_gp.cli import INTERRUPTED, script
from gaaf_gp.evaluation import ArchivedTrainings, FitnessFunction, FunctionTable
from gaaf_gp.parallel import WorkerLost, Workers
from gaaf_gp.plots import plot_searches, save_figure
from gaaf_gp.search import PUBLISHED, REPAIRED, SearchResult, genetic, random_search
from gaaf_gp.search.best_so_far import Asked, Value, Watched, best_share, best_so_far, summary
from gaaf_gp.statistics import band
from gaaf_gp.training import DEFAULT_EPOCHS
from gaaf_gp.util.devices import available_cores
from gaaf_gp.util.provenance import versions
from primitives import gaaf


class Space(StrEnum):
    """What is searched."""

    ENCODING1 = "encoding1"
    ENCODING2 = "encoding2"
    FREE = "free"


PSETS: dict[Space, Callable[[], PrimitiveSet]] = {
    Space.ENCODING1: gaaf.encoding1,
    Space.ENCODING2: gaaf.encoding2,
    Space.FREE: gaaf.free,
}
THRESHOLDS = {Space.ENCODING1: 0.11, Space.ENCODING2: 0.2, Space.FREE: 0.11}  # of first individuals, as in the paper
RUNS = {Space.ENCODING1: 100, Space.ENCODING2: 3, Space.FREE: 3}  # searches of each kind
EVALUATIONS = {Space.ENCODING1: 2030, Space.ENCODING2: 300, Space.FREE: 300}  # 2,030 is the paper's budget
MILESTONES = (100, 300, 1000, 2030)
FIRST_SHOWN = 10  # evaluation at which the figure begins
POPULATION, CHILDREN = 30, 10  # the paper's
DATA = "fashion10k"
EPOCHS = DEFAULT_EPOCHS
FRESH_SEEDS = (1, 2, 3, 4)  # on which winners of trained searches are trained again; the searches see seed 0
SHARE = 0.01  # of the functions that count as the best
OUT = Path("out/compare_searches")
ARCHIVE = "archive.sqlite"

AS_PUBLISHED = replace(PUBLISHED, seeded=True)  # the published code ignores its seed; repeatable it is the same


Search = Callable[[FitnessFunction, int, int, bool], SearchResult]
"""Takes a fitness function, a budget, a seed and whether to show progress."""


def searches(pset: PrimitiveSet, threshold: float) -> dict[str, Search]:
    """Return the searches by name."""

    def paper(repairs: Any) -> Search:
        return lambda fitness, evaluations, seed, shown: genetic(
            pset,
            fitness,
            evaluations=evaluations,
            population_size=POPULATION,
            generations=None,
            children=CHILDREN,
            threshold=threshold,
            repairs=repairs,
            seed=seed,
            progress=shown,
        )

    return {
        "paper, as published": paper(AS_PUBLISHED),
        "paper, repaired": paper(REPAIRED),
        "evolve()": lambda fitness, evaluations, seed, shown: evolve(
            pset, fitness, evaluations=evaluations, seed=seed, progress=shown
        ),
        "random search": lambda fitness, evaluations, seed, shown: random_search(
            pset, fitness, evaluations=evaluations, seed=seed, progress=shown
        ),
    }


@dataclass(frozen=True)
class Comparison:
    """What is compared, and by what.

    Attributes:
        runs: name of a search -> its runs, each with all its evaluations in order.
        good: name -> signatures of the functions that are good to reach.
        values: name -> what a function is worth.
        notes: all that the runs depend on.
    """

    runs: Mapping[str, Sequence[Sequence[Asked]]]
    good: Mapping[str, Collection[str]]
    values: Mapping[str, Value]
    notes: Mapping[str, Any]


def main(
    space: Annotated[Space, Option(help="What is searched; encoding1 is looked up, the others are trained.")],
    runs: Annotated[int | None, Option(help="Searches of each kind.", show_default="100, trained 3", min=1)] = None,
    evaluations: Annotated[int | None, Option(help="Budget.", show_default="2030, trained 300", min=1)] = None,
    table: Annotated[Path | None, Option(help="Table of encoding1.", show_default="the bundled one")] = None,
    data: Annotated[str, Option(help="Data set or folder, where it is trained.")] = DATA,
    epochs: Annotated[int, Option(help="Epochs of a training.")] = EPOCHS,
    batch_size: Annotated[int, Option(help="Images per training step.")] = 128,
    limit: Annotated[int | None, Option(help="Use at most this many images.")] = None,
    image_size: Annotated[int | None, Option(help="Resize images to this many pixels a side.")] = None,
    workers: Annotated[int | None, Option(help="Worker processes.", show_default="all cores")] = None,
    out: Annotated[Path | None, Option(help="Folder for the results.", show_default=f"{OUT}/SPACE")] = None,
) -> None:
    """Compare four searches at one budget."""
    number, budget = runs or RUNS[space], evaluations or EVALUATIONS[space]
    folder = out if out is not None else OUT / space
    processes = available_cores() if workers is None else workers
    try:
        if space is Space.ENCODING1:
            found = looked_up(load_table(table), number, budget, processes)
        else:
            images = load_data(data, limit=limit, image_size=image_size)
            proxy = Proxy(images, epochs=epochs, batch_size=batch_size)
            found = trained(space, proxy, number, budget, processes, folder)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    report(found, budget, folder)


def looked_up(table: FunctionTable, number: int, budget: int, processes: int) -> Comparison:
    """Run every search on the table, side by side."""
    pset = PSETS[Space.ENCODING1]()
    names = list(searches(pset, THRESHOLDS[Space.ENCODING1]))
    jobs = [(name, seed, budget) for name in names for seed in range(number)]
    runs: dict[str, list[list[Asked]]] = {name: [[] for _ in range(number)] for name in names}
    with Workers((table, pset), processes) as pool:
        done = pool.run(search_table, jobs)
        for index, asked in track(done, "searches", len(jobs), console=Console(stderr=True)):
            if isinstance(asked, WorkerLost):
                raise GaafError("a worker process died three times: look for lack of memory, and use fewer --workers")
            name, seed, _ = jobs[index]
            runs[name][seed] = asked
    seen = table.seeds[0]
    percent = f"best {SHARE:.0%}"
    good = {
        f"{percent} as seen": {entry.signature for entry in table.best(SHARE, seen)},
        f"{percent} by all seeds": {entry.signature for entry in table.best(SHARE)},
    }
    values: dict[str, Value] = {
        "all seeds": table.value,
        "other seeds": lambda text: table.fresh_value(text, seen),
    }
    notes = {"space": Space.ENCODING1, "seed seen": seen, "table": table.provenance}
    return Comparison(runs, good, values, notes)


def search_table(state: tuple[FunctionTable, PrimitiveSet], name: str, seed: int, budget: int) -> list[Asked]:
    """Run one search on the table and return its evaluations."""
    table, pset = state
    watched = Watched(TableEvaluator(table, pset))
    searches(pset, THRESHOLDS[Space.ENCODING1])[name](watched, budget, seed, False)
    return watched.asked


def trained(space: Space, proxy: Proxy, number: int, budget: int, processes: int, folder: Path) -> Comparison:
    """Run every search, one after another, training what the archive in the folder lacks.

    Raises:
        KeyboardInterrupt: a search was interrupted; what it trained is in the archive.
    """
    pset = PSETS[space]()
    notes = {"format": 1, "primitives": pset.name, "proxy": proxy.settings(), "versions": versions()}
    runs: dict[str, list[list[Asked]]] = {}
    with Archive(folder / ARCHIVE) as archive, archive.running("compare_searches", notes, versions()) as key:
        trainings = ArchivedTrainings(archive, proxy, pset, key)
        with Evaluator(proxy, pset, workers=processes) as shared:
            shared.record_in(trainings)
            kinds = searches(pset, THRESHOLDS[space])
            for place, (name, seed) in enumerate(itertools.product(kinds, range(number)), 1):
                typer.echo(f"search {place} of {len(kinds) * number}: {name}, seed {seed}", err=True)
                watched = Watched(shared)
                if kinds[name](watched, budget, seed, True).interrupted:
                    raise KeyboardInterrupt
                runs.setdefault(name, []).append(watched.asked)
        every = [run for own in runs.values() for run in own]
        chosen = sorted({curve[at - 1].text for curve in curves(every, budget) for at in marks(budget)})
        with Evaluator(proxy, pset, seeds=FRESH_SEEDS, workers=processes) as fresh:
            fresh.record_in(trainings)
            records = fresh.evaluate([parse(text, pset) for text in chosen])
        worth = {text: record.accuracy for text, record in zip(chosen, records, strict=True)}
    good = {f"best {SHARE:.0%} of all evaluated": best_share(every, SHARE)}
    return Comparison(runs, good, {"other seeds": worth.get}, {"space": space, "seed seen": 0, **notes})


def marks(budget: int) -> list[int]:
    """Return the numbers of evaluations that are reported: the milestones within the budget, and the budget."""
    return sorted({*(at for at in MILESTONES if at < budget), budget})


def curves(runs: Sequence[Sequence[Asked]], budget: int) -> list[list[Asked]]:
    """Return the best so far of each run after every evaluation."""
    return [best_so_far(run, budget) for run in runs]


def report(found: Comparison, budget: int, folder: Path) -> None:
    """Write curves, figures and table into the folder, and print the table."""
    folder.mkdir(parents=True, exist_ok=True)
    bands = {
        name: band([[one.fitness for one in curve] for curve in curves(runs, budget)])
        for name, runs in found.runs.items()
    }
    rows = {name: summary(runs, marks(budget), found.good, found.values) for name, runs in found.runs.items()}
    results = {**found.notes, "evaluations": budget, "searches": rows}
    (folder / "curves.json").write_text(json.dumps({name: asdict(spread) for name, spread in bands.items()}) + "\n")
    (folder / "comparison.json").write_text(json.dumps(results, indent=2) + "\n")
    first = FIRST_SHOWN if budget > FIRST_SHOWN else 1
    save_figure(plot_searches(bands, first=first), folder / "comparison.png")
    table = as_table(rows, list(found.values), list(found.good))
    with (folder / "comparison.txt").open("w", encoding="utf-8") as file:
        Console(file=file, width=120).print(table)
    console = Console(highlight=False, soft_wrap=True)
    console.print(table)
    console.print(f"Everything is in {folder}", markup=False)


def as_table(rows: Mapping[str, Mapping[str, Any]], values: Sequence[str], good: Sequence[str]) -> Table:
    """Return the table of all searches: medians over their runs."""
    first = next(iter(rows.values()))
    legend = ", ".join(["as the search saw it", *values])
    title = f"Best so far, validation accuracy in per cent: {legend}; medians over the runs"
    shown = Table(title=title, title_justify="left", show_lines=True)
    shown.add_column("search", no_wrap=True)
    for name in [*(f"after {at}" for at in first["after"]), *(f"to {name}" for name in good)]:
        shown.add_column(name, justify="right")
    for name, row in rows.items():
        accuracies = ["\n".join(map(percent_of, at.values())) for at in row["after"].values()]
        reached = [
            f"{'-' if one['median'] is None else format(one['median'], 'g')}\n{one['reached']} of {one['runs']} runs"
            for one in row["reach"].values()
        ]
        shown.add_row(name, *accuracies, *reached)
    return shown


def percent_of(value: float | None) -> str:
    """Return an accuracy in per cent, a dash for none."""
    return "-" if value is None else f"{100 * value:.2f}"


if __name__ == "__main__":  # worker processes import this file too
    script(main)
