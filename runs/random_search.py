"""Random search over one of the paper's encodings: what a search must be better than at equal budget.

Every distinct candidate is evaluated once; what training could not repair, or what trains as an earlier one, costs
nothing, as in the repaired algorithm of runs/paper_encoding1.py. The constants are the choices; most can be given on
the command line too. Results go to out/random_search, or the next free name.
"""

from pathlib import Path
from typing import Annotated

from rich.console import Console
from typer import Option

from gaaf_gp.cli import script
from gaaf_gp.evaluation.evaluator import Evaluator
from gaaf_gp.experiments import run_folder
from gaaf_gp.experiments.experiment import run
from gaaf_gp.experiments.settings import Settings
from gaaf_gp.search.genetic import random_search
from gaaf_gp.search.result import SearchResult
from gaaf_gp.training.proxy import DEFAULT_EPOCHS
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.util.console import Show
from gaaf_gp.util.devices import available_cores

PRIMITIVES = "primitives.gaaf:encoding1"  # any set will do
DATA = "fashion10k"  # comes with the project; "cifar10" is the paper's
EVALUATIONS = 2030  # the paper's budget; 2,386 exhaust encoding 1
BATCH = 10  # candidates that are evaluated side by side
EPOCHS = DEFAULT_EPOCHS
SEED = 0
OUT = Path("out/random_search")


def main(
    primitives: Annotated[str, Option(help="Primitive set, as gaaf-gp evolve takes it.")] = PRIMITIVES,
    data: Annotated[str, Option(help="Data set or folder, as gaaf-gp evolve takes it.")] = DATA,
    evaluations: Annotated[int, Option(help="Distinct candidates to train.")] = EVALUATIONS,
    epochs: Annotated[int, Option(help="Epochs that a candidate is trained for.")] = EPOCHS,
    batch_size: Annotated[int, Option(help="Images per training step.")] = 128,
    limit: Annotated[int | None, Option(help="Use at most this many images for the search.")] = None,
    seed: Annotated[int, Option(help="One seed gives one result.")] = SEED,
    workers: Annotated[int | None, Option(help="Worker processes.", show_default="all cores")] = None,
    out: Annotated[Path | None, Option(help="New or empty folder.", show_default=f"{OUT}, or the next")] = None,
) -> None:
    """Evaluate random individuals, and confirm the best on fresh seeds."""
    settings = Settings(
        out=run_folder.next_free(OUT) if out is None else out,
        primitives=primitives,
        data=data,
        evaluations=evaluations,
        workers=available_cores() if workers is None else workers,
        seed=seed,
        racing=False,
        random_search=False,  # it is one
        proxy={"epochs": epochs, "batch_size": batch_size},
        data_settings={"limit": limit},
    )

    def search(chosen: Settings, pset: PrimitiveSet, evaluator: Evaluator, shown: Show) -> SearchResult:
        return random_search(
            pset, evaluator, evaluations=chosen.evaluations, batch=BATCH, seed=chosen.seed, progress=shown
        )

    result = run(settings, search=search, notes={"search": "random", "batch": BATCH})
    run_folder.print_summary(result, run_folder.hall_rows(settings.out), settings.out, Console())


if __name__ == "__main__":  # worker processes import this file too
    script(main)
