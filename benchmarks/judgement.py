"""Do both sides judge alike? They train from the same weights on the same batches: only their arithmetic differs.

``python -m benchmarks.judgement`` prints how far their accuracies are apart, paired by seed: four minutes on two cores.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor

import torch
from rich.console import Console
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from benchmarks import harness, ours, textbook
from benchmarks.processes import context
from benchmarks.task import ACTIVATIONS, SMALL, Task
from gaaf_gp import Proxy, load_data
from gaaf_gp.data import Data
from gaaf_gp.statistics import paired_difference
from gaaf_gp.util.devices import available_cores, threads

SEEDS = 10
FIRST_SEED = 5000
TASK = SMALL.but(epochs=3)


def both(data: Data, task: Task, activation: str, seed: int) -> tuple[float, float]:
    """Return the validation accuracies (0 to 1) of the textbook's side and of ours after one schedule.

    Args:
        data: train and validation splits.
        task: what both train.
        activation: a name in ``benchmarks.task.ACTIVATIONS``.
        seed: of the weights, the order of the images and their augmentation.
    """
    proxy, tree = ours.make_proxy(data, task), ours.individual(ACTIVATIONS[activation])
    training = proxy.training(tree, seed)
    function = textbook.FUNCTIONS[activation]
    model = textbook.NETWORKS[task.network](data.num_classes, data.channels, function, task.widths)
    same_weights(training.model, model)
    optimizer = textbook.make_optimizer(model, task.learning_rate)
    schedule = CosineAnnealingLR(optimizer, task.epochs * len(proxy.batches))
    for _ in range(task.epochs):
        training.model.train()
        model.train()
        for images, labels in proxy.batches.epoch(training.generator):
            training.step(images, labels)
            textbook.training_step(model, optimizer, images.contiguous(), labels)
            schedule.step()
    training.model.eval()
    model.eval()
    with textbook.binary_weights(model):
        theirs = _accuracy(lambda images: model(images.contiguous()), proxy)
    return theirs, _accuracy(training.logits, proxy)


@torch.no_grad()
def same_weights(source: nn.Module, target: nn.Module) -> None:
    """Give ``target`` the parameters and buffers of ``source``, which both list in the same order."""
    for value, place in zip(source.state_dict().values(), target.state_dict().values(), strict=True):
        place.copy_(value.view_as(place))


@torch.no_grad()
def _accuracy(logits: Callable[[Tensor], Tensor], proxy: Proxy) -> float:
    right = torch.cat([logits(images).argmax(1) == labels for images, labels in proxy.batches.scoring()])
    return float(right.double().mean())


def _job(activation: str, seed: int) -> tuple[float, float]:
    with threads(1):
        return both(load_data(), TASK, activation, seed)


def study(seeds: Sequence[int], workers: int) -> dict[str, list[tuple[float, float]]]:
    """Return for each activation the accuracies of both sides on each seed."""
    found: dict[str, list[tuple[float, float]]] = {}
    with ProcessPoolExecutor(workers, mp_context=context()) as pool:
        for name in ACTIVATIONS:
            found[name] = list(pool.map(_job, [name] * len(seeds), seeds))
    return found


def show(found: dict[str, list[tuple[float, float]]], console: Console) -> None:
    """Print means, deviations and paired differences."""
    rows = []
    for name, pairs in found.items():
        theirs, own = ([pair[side] for pair in pairs] for side in (0, 1))
        difference = paired_difference(own, theirs)
        span = f"{difference.low:+.2%} to {difference.high:+.2%}"
        sides = [f"{statistics.fmean(side):.2%} +- {statistics.stdev(side):.2%}" for side in (theirs, own)]
        rows.append([name, *sides, f"{difference.mean:+.2%}", span, len(pairs)])
    columns = ["function", "textbook", "ours", "difference", "95 % interval", "seeds"]
    harness.show(console, "Same weights, same batches: validation accuracy", columns, rows)


def main() -> None:
    """Print the study."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.judgement", description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"of each function (default: {SEEDS})")
    seeds = range(FIRST_SEED, FIRST_SEED + parser.parse_args().seeds)
    show(study(seeds, available_cores()), Console())


if __name__ == "__main__":
    main()
