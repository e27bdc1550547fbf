"""Retrain chosen functions and hand-made competitors at full length, and compare them on the test split.

What ``gaaf-gp retrain`` does, as a recipe: the constants are the choices. Every training leaves a checkpoint after each
epoch. Stop with Ctrl-C whenever you like: the same script goes on. Results go to out/retrain_recipe.
"""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from typer import Option

from gaaf_gp import load_data
from gaaf_gp.cli import INTERRUPTED, script
from gaaf_gp.training.retraining import Distillation, RetrainSettings, fresh_seeds, retrain, tables
from gaaf_gp.trees import parse_candidate
from gaaf_gp.util.devices import available_cores
from primitives import gaaf

FUNCTIONS = ("add(sin(x), x)", "max(sin(x), x)")  # what is tested, each a tree of primitives.gaaf:free
BASELINES = ("sign", "rsign", "rprelu")
AGAINST = ("sign", "rsign")  # one table for each
DATA = "fashion10k"  # comes with the project; "cifar10" is the paper's
VAL_FRACTION = 0.1  # of the training images; curves are of them
SEEDS = 5
EPOCHS = 30
TWO_STAGE = 0.5  # of the epochs with real weights first
TEACHER = Distillation("resnet18", epochs=10)  # None for labels alone
PROXY = {"network": "small", "batch_size": 128, "learning_rate": 5e-3}
OUT = Path("out/retrain_recipe")


def main(
    data: Annotated[str, Option(help="Data set or folder, as gaaf-gp evolve takes it.")] = DATA,
    epochs: Annotated[int, Option(help="Epochs of each training, both stages together.")] = EPOCHS,
    seeds: Annotated[int, Option(help="Trainings of each candidate.")] = SEEDS,
    batch_size: Annotated[int, Option(help="Images per training step.")] = PROXY["batch_size"],
    limit: Annotated[int | None, Option(help="Train and validate on at most this many images.")] = None,
    workers: Annotated[int | None, Option(help="Worker processes.", show_default="all cores")] = None,
    out: Annotated[Path, Option(help="Folder; an earlier retraining of the same settings is gone on with.")] = OUT,
) -> None:
    """Train the functions and the baselines, and print how they compare."""
    pset = gaaf.free()
    baselines = {name: parse_candidate(f"@{name}", pset) for name in BASELINES}
    functions = {f"f{number}": parse_candidate(text, pset) for number, text in enumerate(FUNCTIONS, 1)}
    result = retrain(
        {**baselines, **functions},
        load_data(data, val_fraction=VAL_FRACTION, limit=limit),
        RetrainSettings(epochs, TWO_STAGE, TEACHER, {**PROXY, "batch_size": batch_size}),
        seeds=fresh_seeds(seeds),
        out=out,
        pset=pset,
        workers=available_cores() if workers is None else workers,
        progress=True,
    )
    if not result.complete:
        print(f"{len(result.trainings)} of {result.wanted} trainings have ended; the same script goes on.")
        raise typer.Exit(INTERRUPTED)
    tables.write(result, out, AGAINST)
    tables.show(result, {name: tables.rows(result, name) for name in AGAINST}, Console())
    print(f"Everything is in {out}")


if __name__ == "__main__":  # worker processes import this file too
    script(main)
