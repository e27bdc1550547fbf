"""Four searches at one budget: the paper's algorithm as published and repaired, our evolve(), and random search.

``--space encoding1`` looks every fitness up in the table of encoding 1 that comes with the project: a hundred searches
of each kind in minutes, without training. ``--space encoding2`` and ``--space free`` train: hours. Every training is
kept in archive.sqlite, shared by all searches: a function that two of them meet is trained once, and counts in both
budgets. Stop with Ctrl-C whenever you like: the same command goes on.
"""

from dataclasses import replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from typer import Option

from gaaf_gp import Proxy, evolve, load_data, load_table
from gaaf_gp.cli import INTERRUPTED, script
from gaaf_gp.experiments import Search, compare_on_table, compare_trained
from gaaf_gp.search import PUBLISHED, REPAIRED, genetic, random_search
from gaaf_gp.training import DEFAULT_EPOCHS
from gaaf_gp.util.devices import available_cores
from primitives import gaaf


class Space(StrEnum):
    """What is searched."""

    ENCODING1 = "encoding1"
    ENCODING2 = "encoding2"
    FREE = "free"


PSETS = {Space.ENCODING1: gaaf.encoding1, Space.ENCODING2: gaaf.encoding2, Space.FREE: gaaf.free}
THRESHOLDS = {Space.ENCODING1: 0.11, Space.ENCODING2: 0.2, Space.FREE: 0.11}  # of first individuals, as in the paper
MILESTONES = (100, 300, 1000, 2030)  # evaluations; 2,030 is the paper's budget
POPULATION, CHILDREN = 30, 10  # the paper's
FRESH_SEEDS = (1, 2, 3, 4)  # on which winners of trained searches are trained again; the searches see seed 0
OUT, ARCHIVE = Path("out/compare_searches"), "archive.sqlite"


def searches(threshold: float) -> dict[str, Search]:
    """Return the searches by name."""
    paper = partial(genetic, generations=None, population_size=POPULATION, children=CHILDREN, threshold=threshold)
    return {
        "paper, as published": partial(paper, repairs=replace(PUBLISHED, seeded=True)),  # with a seed, to be repeatable
        "paper, repaired": partial(paper, repairs=REPAIRED),
        "evolve()": evolve,
        "random search": random_search,
    }


def main(
    space: Annotated[Space, Option(help="What is searched; encoding1 is looked up, the others are trained.")],
    runs: Annotated[int | None, Option(help="Searches of each kind.", show_default="100, trained 3", min=1)] = None,
    evaluations: Annotated[int | None, Option(help="Budget.", show_default="2030, trained 300", min=1)] = None,
    table: Annotated[Path | None, Option(help="Table of encoding1.", show_default="the bundled one")] = None,
    data: str = "fashion10k",
    epochs: int = DEFAULT_EPOCHS,
    batch_size: int = 128,
    limit: int | None = None,
    image_size: int | None = None,
    workers: int | None = None,
    out: Annotated[Path | None, Option(help="Folder for the results.", show_default=f"{OUT}/SPACE")] = None,
) -> None:
    """Compare four searches at one budget."""
    looked_up, folder, pset = space is Space.ENCODING1, out or OUT / space, PSETS[space]()
    settings = {
        "runs": runs or (100 if looked_up else 3),
        "evaluations": evaluations or (2030 if looked_up else 300),
        "milestones": MILESTONES,
        "workers": available_cores() if workers is None else workers,
    }
    kinds = searches(THRESHOLDS[space])
    try:
        if looked_up:
            compared = compare_on_table(kinds, load_table(table), pset, **settings)
        else:
            images = load_data(data, limit=limit, image_size=image_size)
            proxy = Proxy(images, epochs=epochs, batch_size=batch_size)
            file = folder / ARCHIVE
            compared = compare_trained(kinds, proxy, pset, file, fresh_seeds=FRESH_SEEDS, **settings)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    compared = replace(compared, notes={"space": space, **compared.notes})
    compared.write(folder)
    console = Console(highlight=False, soft_wrap=True)
    console.print(compared.table())
    console.print(f"Everything is in {folder}", markup=False)


if __name__ == "__main__":  # worker processes import this file too
    script(main)
