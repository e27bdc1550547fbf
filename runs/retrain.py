"""Retrain chosen functions and hand-made competitors at full length, and compare them on the test split.

What ``gaaf-gp retrain`` does, as a recipe: the constants are the choices. Every training leaves a checkpoint after each
epoch. Stop with Ctrl-C whenever you like: the same script goes on. Results go to out/retrain_recipe.
"""

from pathlib import Path
from typing import Annotated

from typer import Option

from gaaf_gp.cli import script
from gaaf_gp.cli.retrain import chosen, finish
from gaaf_gp.data.load import load_data
from gaaf_gp.training.retraining.distillation import Distillation
from gaaf_gp.training.retraining.recipe import Recipe
from gaaf_gp.training.retraining.retrain import fresh_seeds, retrain
from gaaf_gp.trees.load import load_primitives
from gaaf_gp.util.devices import available_cores

PRIMITIVES = "primitives.gaaf:free"
FUNCTIONS = ("add(sin(x), x)", "max(sin(x), x)")  # what is tested; gaaf_gp.cli.retrain.best_of reads a search's
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
    pset = load_primitives(PRIMITIVES)
    found = retrain(
        chosen(pset, FUNCTIONS, BASELINES),
        load_data(data, val_fraction=VAL_FRACTION, limit=limit),
        Recipe(epochs, TWO_STAGE, TEACHER, {**PROXY, "batch_size": batch_size}),
        seeds=fresh_seeds(seeds),
        out=out,
        pset=pset,
        workers=available_cores() if workers is None else workers,
        progress=True,
    )
    finish(found, out, AGAINST)


if __name__ == "__main__":  # worker processes import this file too
    script(main)
