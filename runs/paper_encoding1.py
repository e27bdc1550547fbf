"""The paper's search: its genetic algorithm over its encoding 1, b0(u0(x), u1(x)), 5,324 genotypes.

Source: Li et al. 2023 (arXiv 2206.03291). The algorithm is repaired where its published code is wrong; ``--published``
runs it as it was (:mod:`gaaf_gp.genetic`). The training is ours, so the paper's figures are not reproduced. The
constants are the choices; most can be given on the command line too. Results go to out/paper_encoding1, or the next
free name. Compare with runs/random_search.py at the same budget.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from rich.console import Console
from typer import Option

from gaaf_gp import outputs
from gaaf_gp.cli import script
from gaaf_gp.evolve import Evolution
from gaaf_gp.experiment import Settings, available_cores, run
from gaaf_gp.fitness import Evaluator
from gaaf_gp.genetic import PUBLISHED, REPAIRED, genetic
from gaaf_gp.pset import PrimitiveSet

PRIMITIVES = "primitives.gaaf:encoding1"
DATA = "fashion10k"  # comes with the project; "cifar10" is the paper's
EVALUATIONS = 2030  # the paper's 30, and 200 generations of 10
POPULATION = 30
CHILDREN = 10
THRESHOLD = 0.11  # what a first individual must exceed, a little more than guessing among ten classes gets
EPOCHS = 3
SEED = 0
OUT = Path("out/paper_encoding1")


def main(
    published: Annotated[bool, Option("--published", help="Run the algorithm with its known weaknesses.")] = False,
    data: Annotated[str, Option(help="Data set or folder, as gaaf-gp evolve takes it.")] = DATA,
    evaluations: Annotated[int, Option(help="Fitness values that the algorithm may ask for.")] = EVALUATIONS,
    population: Annotated[int, Option(help="Individuals of the population.")] = POPULATION,
    epochs: Annotated[int, Option(help="Epochs that a candidate is trained for.")] = EPOCHS,
    batch_size: Annotated[int, Option(help="Images per training step.")] = 128,
    limit: Annotated[int | None, Option(help="Use at most this many images for the search.")] = None,
    seed: Annotated[int, Option(help="One seed gives one result, but for --published.")] = SEED,
    workers: Annotated[int | None, Option(help="Worker processes.", show_default="all cores")] = None,
    out: Annotated[Path | None, Option(help="New or empty folder.", show_default=f"{OUT}, or the next")] = None,
) -> None:
    """Search encoding 1 with the paper's genetic algorithm, and confirm the winner on fresh seeds."""
    repairs = PUBLISHED if published else REPAIRED
    settings = Settings(
        out=outputs.next_free(OUT) if out is None else out,
        primitives=PRIMITIVES,
        data=data,
        evaluations=evaluations,
        workers=available_cores() if workers is None else workers,
        seed=seed,
        population=population,
        racing=False,  # every fitness is that of a full training, as in the paper
        proxy={"epochs": epochs, "batch_size": batch_size},
        data_settings={"limit": limit},
    )

    def search(chosen: Settings, pset: PrimitiveSet, evaluator: Evaluator, quiet: bool) -> Evolution:
        return genetic(
            pset,
            evaluator,
            evaluations=chosen.evaluations,
            population_size=chosen.population,
            generations=None,
            children=CHILDREN,
            threshold=THRESHOLD,
            repairs=repairs,
            seed=chosen.seed,
            progress=not quiet,
        )

    notes = {"search": "genetic", "children": CHILDREN, "threshold": THRESHOLD, "repairs": asdict(repairs)}
    result = run(settings, search=search, notes=notes)
    outputs.print_summary(result, outputs.hall_rows(settings.out), settings.out, Console())


if __name__ == "__main__":  # worker processes import this file too
    script(main)
