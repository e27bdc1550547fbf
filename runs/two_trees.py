"""Evolve two trees at once: one whose sign the network takes, and one whose derivative it learns with.

A single activation function does both, and many share one sign pattern and differ in the gradient only. Here each part
is searched for by itself; in the end either tree is also tried alone, so that the gain of each is seen: the forward
one with the clipped identity, the backward one with the plain sign. The constants are the choices; most can be given on
the command line too. Results go to out/two_trees, or the next free name. Compare with gaaf-gp evolve at the same
budget.
"""

from pathlib import Path
from typing import Annotated

from rich.console import Console
from typer import Option

from gaaf_gp.cli import script
from gaaf_gp.experiments import run_folder
from gaaf_gp.experiments.experiment import run
from gaaf_gp.experiments.settings import Settings
from gaaf_gp.trees.generation import Limits
from gaaf_gp.util.devices import available_cores

PRIMITIVES = "primitives.gaaf:free"  # every operator of the paper, trees of any shape, evolved constants
DATA = "fashion10k"  # comes with the project
EVALUATIONS = 200  # distinct pairs that are trained
POPULATION = 20
LIMITS = Limits(height=5, size=15)  # of each tree: two of them are as large as one elsewhere
EPOCHS = 3
EXTRA_SEEDS = 2  # where pairs cannot be told from the best
FRESH_SEEDS = 10  # differences of either part are small
SEED = 0
OUT = Path("out/two_trees")


def main(
    primitives: Annotated[str, Option(help="Primitive set, as gaaf-gp evolve takes it.")] = PRIMITIVES,
    data: Annotated[str, Option(help="Data set or folder, as gaaf-gp evolve takes it.")] = DATA,
    evaluations: Annotated[int, Option(help="Distinct pairs to train.")] = EVALUATIONS,
    population: Annotated[int, Option(help="Individuals of a generation.")] = POPULATION,
    epochs: Annotated[int, Option(help="Epochs that a pair is trained for.")] = EPOCHS,
    batch_size: Annotated[int, Option(help="Images per training step.")] = 128,
    fresh_seeds: Annotated[int, Option(help="Trainings of the winner and of each competitor.")] = FRESH_SEEDS,
    limit: Annotated[int | None, Option(help="Use at most this many images for the search.")] = None,
    seed: Annotated[int, Option(help="One seed gives one result.")] = SEED,
    workers: Annotated[int | None, Option(help="Worker processes.", show_default="all cores")] = None,
    out: Annotated[Path | None, Option(help="New or empty folder.", show_default=f"{OUT}, or the next")] = None,
) -> None:
    """Search for a forward and a backward tree, and confirm the winner and its parts on fresh seeds."""
    settings = Settings(
        out=run_folder.next_free(OUT) if out is None else out,
        primitives=primitives,
        data=data,
        evaluations=evaluations,
        workers=available_cores() if workers is None else workers,
        seed=seed,
        population=population,
        two_trees=True,
        fresh_seeds=fresh_seeds,
        extra_seeds=EXTRA_SEEDS,
        limits=LIMITS,
        proxy={"epochs": epochs, "batch_size": batch_size},
        data_settings={"limit": limit},
    )
    result = run(settings)
    run_folder.print_summary(result, run_folder.hall_rows(settings.out), settings.out, Console())


if __name__ == "__main__":  # worker processes import this file too
    script(main)
