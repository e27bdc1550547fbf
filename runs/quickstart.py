"""Evolve an activation function on the bundled images: the first thing to run, two to three minutes on two cores.

The settings are the choices; change them freely, here or on the command line. Results go to out/quickstart, or the next
free name. After Ctrl-C, or if the machine stops, ``gaaf-gp resume`` with that folder goes on.
"""

import shlex
import sys
from pathlib import Path

import typer
from rich.console import Console

from gaaf_gp import Limits
from gaaf_gp.cli import INTERRUPTED, script
from gaaf_gp.experiments import Settings, run, run_folder

SETTINGS = Settings(
    out=Path("out/quickstart"),
    primitives="primitives.gaaf:free",  # every operator of the paper, trees of any shape, evolved constants
    data="fashion10k",  # 10,000 Fashion-MNIST images that come with the project
    evaluations=40,  # distinct candidates that are trained
    population=16,
    limits=Limits(height=5, size=20),
    proxy={"network": "small", "network_settings": {"widths": (12, 24, 48)}, "epochs": 2},  # how each one is trained
    random_search=False,  # as many trainings again: gaaf-gp evolve compares the winner with its best
    seed=0,
)


def main(settings: Settings = SETTINGS) -> None:
    """Run the search and print what it found."""
    console = Console()
    console.print(
        f"Evolving {settings.evaluations} activation functions on {settings.data}, "
        f"{settings.workers} worker process(es)."
    )
    result = run(settings)
    run_folder.print_summary(result, run_folder.hall_rows(settings.out), settings.out, console)
    if result.interrupted:
        program = Path(sys.executable).with_name("gaaf-gp")
        shown = program.relative_to(Path.cwd()) if program.is_relative_to(Path.cwd()) else program
        print(f"go on with: {shlex.join([str(shown), 'resume', str(settings.out)])}", file=sys.stderr)
        raise typer.Exit(INTERRUPTED)


if __name__ == "__main__":  # worker processes import this file too
    script(main)
