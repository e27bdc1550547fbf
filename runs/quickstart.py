"""Evolve an activation function on the bundled images: the first thing to run, two to three minutes on two cores.

The constants are the choices; change them freely. Results go to out/quickstart, or the next free name. After Ctrl-C, or
if the machine stops, ``gaaf-gp resume`` with that folder goes on.
"""

import shlex
import sys
from pathlib import Path

from rich.console import Console

from gaaf_gp.cli.output import INTERRUPTED
from gaaf_gp.experiments import run_folder
from gaaf_gp.experiments.experiment import run
from gaaf_gp.experiments.settings import Settings
from gaaf_gp.trees.generation import Limits

PRIMITIVES = "primitives.gaaf:free"  # every operator of the paper, trees of any shape, evolved constants
DATA = "fashion10k"  # 10,000 Fashion-MNIST images that come with the project
EVALUATIONS = 40  # distinct candidates that are trained
POPULATION = 16
SEED = 0
LIMITS = Limits(height=5, size=20)
PROXY = {"network": "small", "network_settings": {"widths": (12, 24, 48)}, "epochs": 2}  # how each one is trained
OUT = Path("out/quickstart")


def main() -> None:
    """Run the search and print what it found."""
    settings = Settings(
        out=run_folder.next_free(OUT),
        primitives=PRIMITIVES,
        data=DATA,
        evaluations=EVALUATIONS,
        population=POPULATION,
        seed=SEED,
        random_search=False,  # as many trainings again: gaaf-gp evolve compares the winner with its best
        limits=LIMITS,
        proxy=PROXY,
    )
    console = Console()
    console.print(f"Evolving {EVALUATIONS} activation functions on {DATA}, {settings.workers} worker process(es).")
    result = run(settings)
    run_folder.print_summary(result, run_folder.hall_rows(settings.out), settings.out, console)
    if result["interrupted"]:
        program = Path(sys.executable).with_name("gaaf-gp")
        shown = program.relative_to(Path.cwd()) if program.is_relative_to(Path.cwd()) else program
        print(f"go on with: {shlex.join([str(shown), 'resume', str(settings.out)])}", file=sys.stderr)
        sys.exit(INTERRUPTED)


if __name__ == "__main__":  # worker processes import this file too
    main()
