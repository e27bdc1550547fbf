"""Random search over one of the paper's encodings: what a search must be better than at equal budget.

Every distinct candidate is evaluated once; what training could not repair, or what trains as an earlier one, costs
nothing, as in the repaired algorithm of runs/paper_encoding1.py. The settings are the choices; most can be given on the
command line too. Results go to out/random_search, or the next free name.
"""

from pathlib import Path

from rich.console import Console

from gaaf_gp.cli import script
from gaaf_gp.experiments import Settings, run, run_folder
from gaaf_gp.search import random_search

SETTINGS = Settings(
    out=Path("out/random_search"),
    primitives="primitives.gaaf:encoding1",  # any set will do
    data="fashion10k",  # comes with the project; "cifar10" is the paper's
    evaluations=2030,  # the paper's budget; 2,386 exhaust encoding 1
    population=10,  # candidates that are evaluated side by side
    racing=False,  # every fitness is that of a full training
    random_search=False,  # it is one
    seed=0,
)


def main(settings: Settings = SETTINGS) -> None:
    """Evaluate random individuals, and confirm the best on fresh seeds."""
    result = run(
        settings,
        search=lambda chosen, pset, evaluator, shown: random_search(
            pset,
            evaluator,
            evaluations=chosen.evaluations,
            batch=chosen.population,
            seed=chosen.seed,
            progress=shown,
        ),
        notes={"search": "random", "batch": settings.population},
    )
    run_folder.print_summary(result, run_folder.hall_rows(settings.out), settings.out, Console())


if __name__ == "__main__":  # worker processes import this file too
    script(main)
