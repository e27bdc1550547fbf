"""Which cheap training ranks activation functions as other, deeper networks do?

The question, the endpoint and the rule of choice were written before the run, in docs/results.md under "Which proxy
ranks as deep networks do". Functions from three sources are trained in target cells, which no search would pay for,
and in proxies that cost a fraction of them. Each cell has a file of its own, one training a line, so several of these
programs may work on different cells side by side. Stop with Ctrl-C whenever you like; the same command goes on.

    python runs/transfer.py choose                      # other functions than those of the package's table, once
    python runs/transfer.py train --cells small-e1      # some cells; all without --cells
    python runs/transfer.py cost                        # seconds of a training, on an idle machine
    python scripts/make_transfer_table.py out/transfer  # the table of all trainings, and how well proxies rank

What the table of the package holds already (``load_table("transfer")``) is not trained again.
"""

import json
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from typer import Option

from gaaf_gp import Evaluator, GaafError, Proxy, evolve, load_data, load_table, parse
from gaaf_gp.cli import script
from gaaf_gp.errors import listed
from gaaf_gp.evaluation import Job, Trainer, TransferTable
from gaaf_gp.util.jsonl import Journal
from gaaf_gp.util.provenance import versions
from primitives import gaaf

BASELINES = ("@sign", "@rsign", "@rprelu")
BEST_SHARE, FROM_BEST, FROM_REST = 0.1, 15, 18  # of encoding 1: the fifteen best, and more of the best tenth
SEARCHES, KEPT = (("small-e1", 80), ("s2-w8-i14-e3", 80)), 6  # two seeds each; distinct functions kept of each search
TARGET_SEEDS, PROXY_SEEDS = (0, 1, 2), (100, 101)  # no two judgements share their luck
IMAGES = 4000  # of which a fifth is for validation
OUT = Path("out/transfer")


@dataclass(frozen=True)
class Cell:
    """One way to judge a function: data, network and length of training."""

    network: str
    network_settings: dict[str, Any] = field(default_factory=dict)
    epochs: int = 5
    image_size: int | None = None
    images: int = IMAGES
    cifar: bool = False
    target: bool = False

    def proxy(self, cifar: Path | None) -> Proxy:
        """Return the training task."""
        data = load_data(str(cifar) if self.cifar else "fashion10k", limit=self.images, image_size=self.image_size)
        return Proxy(data, network=self.network, network_settings=self.network_settings, epochs=self.epochs)


def deep(shortcut: int, width: int = 8, blocks: int = 3) -> tuple[str, dict[str, Any]]:
    """Return a ResNet-20 with one shortcut over one or two convolutions."""
    return "resnet20", {"widths": (width, 2 * width, 4 * width), "blocks": blocks, "shortcut_every": shortcut}


TARGETS = {
    "resnet20-two": deep(2, 16),
    "resnet20-one": deep(1, 16),
    "vgg": ("vgg_small", {"widths": (16, 16, 32, 32, 64, 64)}),
    "nin": ("nin", {"widths": (48, 40, 24, 48, 48, 48, 48, 48)}),
    "resnet18": ("resnet18", {"widths": (16, 32, 64, 128)}),
}
THIN_VGG = ("vgg_small", {"widths": (8, 8, 16, 16, 32, 32)})
CELLS = {
    **{f"target-{name}-fashion": Cell(*network, target=True) for name, network in TARGETS.items()},
    **{f"target-{name}-cifar": Cell(*network, target=True, cifar=True) for name, network in TARGETS.items()},
    "small-e1": Cell("small", epochs=1),
    "small-e3": Cell("small", epochs=3),
    "one-w16-b1-e3": Cell(*deep(1, 16, 1), epochs=3),
    **{f"s{every}-w8-i14-e{n}": Cell(*deep(every), epochs=n, image_size=14) for every in (1, 2) for n in (1, 3, 5)},
    "s2-w8-i14-e3-half": Cell(*deep(2), epochs=3, image_size=14, images=IMAGES // 2),
    "s2-w8-b2-i14-e3": Cell(*deep(2, blocks=2), epochs=3, image_size=14),
    "s2-w16-i14-e3": Cell(*deep(2, 16), epochs=3, image_size=14),
    "s2-w8-e1": Cell(*deep(2), epochs=1),
    "s2-w8-e3": Cell(*deep(2), epochs=3),
    "vgg-w8-i14-e3": Cell(*THIN_VGG, epochs=3, image_size=14),
    "vgg-w16-e1": Cell(*TARGETS["vgg"], epochs=1),
    "resnet18-w8-i14-e3": Cell("resnet18", {"widths": (8, 16, 32, 64)}, epochs=3, image_size=14),
    "cifar-s1-w8-i16-e3": Cell(*deep(1), epochs=3, image_size=16, cifar=True),
    "cifar-s2-w8-i16-e3": Cell(*deep(2), epochs=3, image_size=16, cifar=True),
    "cifar-vgg-w8-i16-e3": Cell(*THIN_VGG, epochs=3, image_size=16, cifar=True),
}
"""By name: s1 and s2 have a shortcut over one and two convolutions, w the first width, b pairs of convolutions in a
stage, i pixels a side, e epochs."""


class Step(StrEnum):
    """What to do."""

    CHOOSE = "choose"
    TRAIN = "train"
    COST = "cost"


def main(
    step: Annotated[Step, typer.Argument(help="Choose the functions, train them, or measure what a cell costs.")],
    cells: Annotated[list[str] | None, Option(help="Names of cells; all by default.")] = None,
    seeds: Annotated[int, Option(help="Seeds of each cell, at most.", min=1)] = len(TARGET_SEEDS),
    cifar: Annotated[Path | None, Option(help="Folder of CIFAR-10 (JPEG); its cells are left out without it.")] = None,
    workers: Annotated[int, Option(help="Worker processes.", min=1)] = 1,
    out: Annotated[Path, Option(help="Folder of the files.")] = OUT,
) -> None:
    """Train functions in many cells."""
    unknown = [name for name in cells or () if name not in CELLS]
    if unknown:
        raise GaafError(f"a cell must be a known name, got {listed(unknown)}; known: {listed(CELLS, len(CELLS))}")
    names = [name for name in cells or CELLS if cifar is not None or not CELLS[name].cifar]
    out.mkdir(parents=True, exist_ok=True)
    if step is Step.CHOOSE:
        return choose(out / "functions.json")
    if step is Step.COST:
        return cost({name: CELLS[name].proxy(cifar) for name in names}, out / "cost.json")
    texts = list(chosen(out / "functions.json"))
    for place in range(seeds):
        for name in names:
            luck = TARGET_SEEDS if CELLS[name].target else PROXY_SEEDS
            if place < len(luck):
                train(name, CELLS[name].proxy(cifar), texts, luck[place], workers, out / f"{name}.jsonl")
    return None


def chosen(file: Path) -> dict[str, str]:
    """Return the functions, each with where it comes from: those of a file, or else of the table of the package."""
    if not file.is_file():
        return known().functions
    return {text: source for source, texts in json.loads(file.read_text("utf-8")).items() for text in texts}


def choose(file: Path) -> None:
    """Choose the functions: baselines, the best tenth of encoding 1, and winners of short searches over free trees."""
    pset = gaaf.free()
    best = [entry.text for entry in load_table().best(BEST_SHARE)]
    drawn = random.Random(0).sample(best[FROM_BEST:], FROM_REST)
    functions = {"baseline": list(BASELINES), "encoding 1": best[:FROM_BEST] + drawn}
    judge = CELLS["small-e1"].proxy(None)
    seen = {judge.behaviour(parse(text, pset)).signature for text in ("identity(x)", *functions["encoding 1"])}
    for name, evaluations in SEARCHES:
        evaluator = Evaluator(CELLS[name].proxy(None), pset)
        for seed in (1, 2):
            result = evolve(pset, evaluator, evaluations=evaluations, seed=seed, hall_of_fame=4 * KEPT)
            winners = {judge.behaviour(tree).signature: tree.canonical for tree in result.hall_of_fame}
            fresh = [signature for signature in winners if signature not in seen][:KEPT]
            seen |= set(fresh)
            functions[f"searched in {name}, seed {seed}"] = [winners[signature] for signature in fresh]
    file.write_text(json.dumps(functions, indent=1) + "\n", encoding="utf-8")
    print(f"{sum(map(len, functions.values()))} functions in {file}")


def train(name: str, proxy: Proxy, texts: Sequence[str], seed: int, workers: int, file: Path) -> None:
    """Train what a cell's file lacks of one seed."""
    settings = task_of(proxy)
    with Journal(file, {"format": 1, "proxy": settings, "torch": versions()["torch"]}) as journal:
        trained = {entry["text"] for entry in journal.entries if entry["seed"] == seed}
        cell = known().cells.get(name)
        if cell is not None and cell.settings == settings:
            trained |= cell.curves.get(seed, {}).keys()
        missing = [text for text in texts if text not in trained]
        if not missing:
            return
        print(f"{name}, seed {seed}: {len(missing)} trainings", flush=True)
        trainer = Trainer(proxy, gaaf.free(), workers, 1)
        try:
            for index, outcome in trainer.run([Job(text, seed) for text in missing]):
                journal.append(
                    {
                        "text": missing[index],
                        "seed": seed,
                        "accuracy": [round(epoch.accuracy, 6) for epoch in outcome.history],
                        "loss": [round(epoch.loss, 4) for epoch in outcome.history],
                        "failure": outcome.failure,
                        "kernels": proxy.kernels,
                    }
                )
        finally:
            trainer.close()


def task_of(proxy: Proxy) -> dict[str, Any]:
    """Return what a training depends on, as JSON has it, but for the kernels, which each training names."""
    settings: dict[str, Any] = json.loads(json.dumps(proxy.settings()))
    del settings["kernels"]
    return settings


def known() -> TransferTable:
    """Return the table of the package, an empty one if there is none yet."""
    try:
        return load_table("transfer")
    except GaafError:
        return TransferTable({}, {}, {})


def cost(tasks: Mapping[str, Proxy], file: Path) -> None:
    """Measure the seconds of one training of cos(x) + x in each cell: an epoch, times the epochs."""
    tree = parse("add(cos(x), x)", gaaf.free())
    seconds = {
        name: task.epochs * median_seconds(partial(task.train, tree, 0, epochs=1)) for name, task in tasks.items()
    }
    file.write_text(json.dumps(seconds, indent=1) + "\n", encoding="utf-8")
    Console().print_json(data=seconds)


def median_seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """Return the median wall time of some calls."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


if __name__ == "__main__":  # worker processes import this file too
    script(main)
