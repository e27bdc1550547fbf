"""On an accelerator: candidates an hour, one by one and in stacks, and a training step of the paper's ResNet-18.

A small network leaves a GPU waiting: it computes a layer in less time than the processor takes to ask for it. Stacks
ask once for many candidates. The textbook side trains one candidate after another on the same device.
"""

from __future__ import annotations

import functools
import itertools
import statistics
from collections.abc import Callable, Mapping
from typing import Any

import torch
from rich.console import Console

from benchmarks import harness, ours, step, textbook_training
from benchmarks.candidate import FIRST_SEED, accuracies
from benchmarks.harness import OURS, TEXTBOOK, Timing
from benchmarks.sizes import Setup, Sizes
from benchmarks.task import ACTIVATIONS, PLAIN, RESNET18, SMALL
from benchmarks.textbook import FUNCTIONS
from gaaf_gp import Activation, Individual, Proxy, load_data, load_table, parse
from gaaf_gp.data import Data
from gaaf_gp.training import Outcome, train_stacked
from primitives import gaaf

GOAL = 10
"""Times the textbook's candidates an hour."""
ONE = "one by one"
STEPS = 10
"""Steps of one timed turn of the paper's network: a device is waited for once in a turn."""


def measure(setup: Setup, device: torch.device | None = None) -> dict[str, Any]:
    """Return what an accelerator does; ``ratio`` is that of candidates an hour in the best stack.

    Args:
        setup: of the run.
        device: where to train; the first CUDA device by default. Without one nothing is measured, and "why" says so.
    """
    if device is None:
        if not torch.cuda.is_available():
            return {"measured": False, "why": "torch sees no CUDA device"}
        device = torch.device("cuda", 0)
    sizes = setup.sizes
    result: dict[str, Any] = {"measured": True, "device": _name(device), "goal": GOAL}
    result |= candidates(load_data(limit=sizes.candidate_images, device=device), setup)
    setup.save(result)
    setup.say(f"gpu, resnet18: {sizes.resnet18_steps} turns of {STEPS} steps of each side and activation")
    task = RESNET18.but(widths=sizes.resnet18_widths)
    rows = {
        name: compare_steps(lambda side, name=name: step.make_step(side, task, name, device), task.batch_size, sizes)
        for name in ACTIVATIONS
    }
    ratio = harness.geometric_mean(row["ratio"] for row in rows.values())
    return result | {"resnet18": {"ratio": ratio, "batch": task.batch_size, "activations": rows}}


def candidates(data: Data, setup: Setup) -> dict[str, Any]:
    """Return seconds per candidate of whole evaluations of one epoch, and whether stacks judge as single trainings."""
    sizes, device = setup.sizes, data.device
    task = SMALL.but(widths=sizes.widths, epochs=1, threads=setup.threads, cosine=True)
    proxy, trees = ours.make_proxy(data, task), functions(max(sizes.stacks))
    setup.say(f"gpu, candidates: {sizes.gpu_rounds} rounds, stacks of {', '.join(map(str, sizes.stacks))}")
    sides: dict[str, tuple[int, Callable[[int], Any]]] = {
        TEXTBOOK: (1, lambda turn: textbook_training.evaluate(data, FUNCTIONS[PLAIN], task, FIRST_SEED + turn)),
        ONE: (1, lambda turn: ours.evaluate(data, ACTIVATIONS[PLAIN], task, FIRST_SEED + turn)),
    }
    for number in sizes.stacks:
        sides[_stack(number)] = number, functools.partial(_trained, proxy, trees[:number])
    timings = harness.alternate({name: call for name, (_, call) in sides.items()}, sizes.gpu_rounds)
    each = {name: Timing(tuple(s / number for s in timings[name].seconds)) for name, (number, _) in sides.items()}
    rows = {name: _row(each[name], each[TEXTBOOK]) for name in sides}
    for number in sizes.stacks:
        rows[_stack(number)]["peak_bytes"] = _peak(functools.partial(_trained, proxy, trees[:number], 0), device)
    return {
        "ratio": max(rows[_stack(number)]["ratio"] for number in sizes.stacks),
        "images": {"train": len(data.train), "val": len(data.val)},
        "candidates": rows,
        "accuracy": accuracies(timings[ONE].results, timings[TEXTBOOK].results),
        "agreement": agreement(proxy, trees[: sorted(sizes.stacks)[len(sizes.stacks) // 2]]),
    }


def functions(number: int) -> list[Individual]:
    """Return the best functions without learnable operators of the table of encoding 1: what can be stacked."""
    pset = gaaf.encoding1()
    trees = (parse(entry.text, pset) for entry in load_table().best(1.0))
    return list(itertools.islice((one for one in trees if not list(Activation(one, 1).parameters())), number))


def agreement(proxy: Proxy, trees: list[Individual]) -> dict[str, Any]:
    """Return how far the accuracies of a stack are from those of single trainings, and how far seeds are apart."""
    stacked = [one.accuracy for one in _trained(proxy, trees, 0)]
    single = [proxy.train(one, FIRST_SEED).accuracy for one in trees]
    other = [proxy.train(one, FIRST_SEED + 1).accuracy for one in trees]
    differences = [a - b for a, b in zip(stacked, single, strict=True)]
    of_seeds = [a - b for a, b in zip(other, single, strict=True)]
    return {
        "stacked": stacked,
        "single": single,
        "other_seed": other,
        "mean_difference": statistics.fmean(differences),
        "median_distance": statistics.median(map(abs, differences)),
        "median_distance_of_seeds": statistics.median(map(abs, of_seeds)),
    }


def compare_steps(make: Callable[[str], Callable[[int], object]], batch: int, sizes: Sizes) -> dict[str, Any]:
    """Return seconds of a step of both sides, timed in turns of ``STEPS``; ``make`` returns the step of a side."""
    timings = {}
    steps = {side: make(side) for side in (TEXTBOOK, OURS)}
    calls = {side: _turn(call, batch) for side, call in steps.items()}
    for side, timing in harness.alternate(calls, sizes.resnet18_steps).items():
        timings[side] = Timing(tuple(seconds / STEPS for seconds in timing.seconds))
    return harness.compared(timings)


def show(result: Mapping[str, Any], console: Console) -> None:
    """Print the comparison."""
    if not result["measured"]:
        console.print(f"gpu: not measured, {result['why']}", markup=False)
        return
    rows = [
        [name, row["median"] * 1e3, f"{3600 / row['median']:,.0f}", row["ratio"], _mib(row.get("peak_bytes"))]
        for name, row in result["candidates"].items()
    ]
    title = f"gpu: evaluations of 1 epoch of {result['images']['train']} images on {result['device']}"
    harness.show(console, title, ["candidates", "ms each", "an hour", "times the textbook's", "peak MiB"], rows)
    near = result["agreement"]
    console.print(
        f"Accuracies in a stack and alone differ by {near['median_distance']:.2%} (median; mean difference "
        f"{near['mean_difference']:+.2%}), those of two seeds by {near['median_distance_of_seeds']:.2%}."
    )
    steps = [
        [name, *(row[side]["median"] * 1e3 for side in (TEXTBOOK, OURS)), row["ratio"]]
        for name, row in result["resnet18"]["activations"].items()
    ]
    steps.append(["geometric mean", "", "", result["resnet18"]["ratio"]])
    columns = ["step of ResNet-18, batch 128", "textbook, ms", "ours, ms", "times faster"]
    harness.show(console, "gpu: one training step", columns, steps)


def _stack(number: int) -> str:
    return f"{number} at once"


def _trained(proxy: Proxy, trees: list[Individual], turn: int) -> list[Outcome]:
    return train_stacked(proxy, trees, FIRST_SEED + max(turn, 0), at_once=len(trees))


def _row(timing: Timing, textbook: Timing) -> dict[str, Any]:
    return {
        "median": timing.median,
        "seconds": list(timing.seconds),
        "unit": "s per candidate",
        "ratio": textbook.median / timing.median,
    }


def _turn(call: Callable[[int], object], batch: int) -> Callable[[int], None]:
    def take(_repetition: int) -> None:
        for _ in range(STEPS):
            call(batch)
        if torch.cuda.is_available():
            torch.cuda.synchronize()

    return take


def _peak(call: Callable[[], object], device: torch.device) -> int | None:
    if device.type != "cuda":
        return None
    torch.cuda.reset_peak_memory_stats(device)
    call()
    return torch.cuda.max_memory_allocated(device)


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def _mib(size: int | None) -> float | None:
    return None if size is None else size / 2**20
