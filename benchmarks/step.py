"""One training step of both sides: forward, backward, optimiser and clip, at batch 128; seconds and peak memory."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

import torch
from rich.console import Console
from torch import Tensor, nn

from benchmarks import harness, memory, ours, textbook
from benchmarks.harness import OURS, TEXTBOOK
from benchmarks.processes import in_new_process
from benchmarks.sizes import Setup
from benchmarks.task import ACTIVATIONS, TASKS, Task, random_data
from gaaf_gp.data import normalize
from gaaf_gp.util.devices import threads

TURN = {"small": 5, "resnet18": 1}
"""Steps of one turn, which is what is timed. After the other side's turn the caches are cold and the second thread
sleeps; a step of milliseconds would be measured with that, and in a training it follows another."""
MEMORY_STEPS = 5
"""Steps whose peak memory is measured; with a small network it differs by a tenth from one to the next."""
FEW = 8
"""Images of the step that comes ahead of a measurement of memory: it makes Adam's moments and loads the kernels."""


def measure(setup: Setup) -> dict[str, Any]:
    """Return the comparison for each network; ``ratio`` is the geometric mean over the activations."""
    sizes = setup.sizes
    plan = {
        "small": (TASKS["small"].but(widths=sizes.widths), sizes.small_steps),
        "resnet18": (TASKS["resnet18"].but(widths=sizes.resnet18_widths), sizes.resnet18_steps),
    }
    result: dict[str, Any] = {}
    for network, (task, repetitions) in plan.items():
        rows: dict[str, Any] = {}
        for activation in ACTIVATIONS:
            setup.say(f"step, {network}, {activation}: {repetitions} turns of each side, then their memory")
            rows[activation] = compare(task.but(threads=setup.threads), activation, repetitions)
            _add_rates(rows[activation], task, setup)
        result[network] = {
            "ratio": harness.geometric_mean(row["ratio"] for row in rows.values()),
            "memory_ratio": _mean([row["memory"]["ratio"] for row in rows.values()]),
            "batch": task.batch_size,
            "threads": setup.threads,
            "activations": rows,
        }
        setup.save(result)
    return result


def compare(task: Task, activation: str, repetitions: int) -> dict[str, Any]:
    """Return seconds and peak memory of a step of both sides; ``memory["ratio"]`` is ours over the textbook's."""
    with threads(task.threads):
        steps = {side: make_step(side, task, activation) for side in (TEXTBOOK, OURS)}
        turn = TURN[task.network]
        calls = {side: _turn(step, task.batch_size, turn) for side, step in steps.items()}
        timings = harness.alternate(calls, repetitions)
        row = harness.compared({side: _a_step(timing, turn) for side, timing in timings.items()})
        row["repetitions"] *= turn
    values = {
        side: in_new_process(step_memory, side=side, task=task, activation=activation) for side in (TEXTBOOK, OURS)
    }
    peaks = {side: statistics.median(peak) for side, peak in values.items()}
    seen = all(peaks.values())  # without a high-water mark to set back a small step may not show
    ratio = peaks[OURS] / peaks[TEXTBOOK] if seen else None
    row["memory"] = {"ratio": ratio, "unit": "bytes above the model at rest", "values": values, **peaks}
    return row


def make_step(side: str, task: Task, activation: str, device: torch.device | str = "cpu") -> Callable[[int], object]:
    """Return a training step of one side as a function of the number of images, at most ``task.batch_size``."""
    data = random_data(task.network, task.batch_size).to(device)
    if side == OURS:
        return ours.make_step(data, ACTIVATIONS[activation], task)
    torch.manual_seed(0)
    function = textbook.FUNCTIONS[activation]
    model = textbook.NETWORKS[task.network](data.num_classes, data.channels, function, task.widths).to(device)
    optimizer = textbook.make_optimizer(model, task.learning_rate)
    images, labels = normalize(data.train.images, data.mean, data.std), data.train.labels
    return lambda batch: textbook.training_step(model, optimizer, images[:batch], labels[:batch])


def step_memory(side: str, task: Task, activation: str) -> list[int]:
    """Return the peak memory in bytes of each of some steps; called in a new process."""
    with threads(task.threads):
        step = make_step(side, task, activation)
        step(min(FEW, task.batch_size))
        return [memory.peak_memory(lambda: step(task.batch_size)) for _ in range(MEMORY_STEPS)]


def operations(task: Task) -> int:
    """Return the multiplications and additions of all convolutions of one training step.

    Backward computes two products of the size of the forward one, but the stem has no use for one of them.
    """
    data = random_data(task.network, 1)
    model = textbook.NETWORKS[task.network](10, data.channels, lambda _: nn.Identity(), task.widths)
    work: list[int] = []

    def count(layer: nn.Module, _inputs: Any, output: Tensor) -> None:
        assert isinstance(layer, nn.Conv2d)
        kernel = layer.kernel_size[0] * layer.kernel_size[1]
        work.append(2 * kernel * layer.in_channels * output.numel())

    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(count)
    with torch.no_grad():
        model.eval()(data.train.images.float())
    return (3 * sum(work) - work[0]) * task.batch_size


def show(result: dict[str, Any], console: Console) -> None:
    """Print the comparison."""
    rows: list[list[object]] = []
    for network, part in result.items():
        for name, row in part["activations"].items():
            sides = [f"{row[side]['median']:.4g} s" for side in (TEXTBOOK, OURS)]
            spread = "{:.2f} to {:.2f}".format(*row["ratio_range"])
            peaks = [f"{row['memory'][side] / 2**20:.0f} MiB" for side in (TEXTBOOK, OURS)]
            shares = f"{row[TEXTBOOK]['share_of_matmul']:.0%} / {row[OURS]['share_of_matmul']:.0%}"
            count = row["repetitions"]
            rows.append(
                [f"{network} {name}", *sides, row["ratio"], spread, count, *peaks, row["memory"]["ratio"], shares]
            )
        rows.append([f"{network} geometric mean", "", "", part["ratio"], "", "", "", "", part["memory_ratio"], ""])
    columns = ["step at batch 128", "textbook", "ours", "times faster", "of neighbours", "steps", "textbook", "ours",
               "memory ours/textbook", "share of matmul rate"]  # fmt: skip
    harness.show(console, "step: one training step", columns, rows)


def _mean(ratios: Sequence[float | None]) -> float | None:
    known = [ratio for ratio in ratios if ratio is not None]
    return harness.geometric_mean(known) if len(known) == len(ratios) else None


def _turn(step: Callable[[int], object], batch: int, steps: int) -> Callable[[int], None]:
    def take(_repetition: int) -> None:
        for _ in range(steps):
            step(batch)

    return take


def _a_step(timing: harness.Timing, steps: int) -> harness.Timing:
    return harness.Timing(tuple(seconds / steps for seconds in timing.seconds), timing.results)


def _add_rates(row: dict[str, Any], task: Task, setup: Setup) -> None:
    work = operations(task)
    row["gflop"] = work / 1e9
    for side in (TEXTBOOK, OURS):
        rate = work / row[side]["median"] / 1e9
        row[side] |= {"gflops": rate, "share_of_matmul": rate / setup.machine["gflops"]["matmul"]}
