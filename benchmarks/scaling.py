"""What more workers bring, and how time and memory grow with trees, batches, widths and populations."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from rich.console import Console

from benchmarks import harness, memory, ours
from benchmarks.overhead import loop_memory
from benchmarks.processes import in_new_process
from benchmarks.sizes import Setup
from benchmarks.step import FEW
from benchmarks.task import ACTIVATIONS, PLAIN, SMALL, Task, random_data
from gaaf_gp import load_data
from gaaf_gp.util.devices import threads

ONE, TWO = "one worker", "two workers"
STEPS = 5
"""Timed steps of each row of growth."""


def measure(setup: Setup) -> dict[str, Any]:
    """Return candidates per minute with one and two workers, and the rows of growth."""
    result: dict[str, Any] = {"two_workers": two_workers(setup), "growth": []}
    setup.save(result)
    for row in _rows(setup):
        setup.say(f"scaling: {row['grows']} {row['value']}")
        result["growth"].append(row)
        setup.save(result)
    return result


def two_workers(setup: Setup) -> dict[str, Any]:
    """Return how many more candidates two worker processes train than one; process start is given separately.

    Each training has one thread. With one worker candidates are trained in this process, as a search does then.
    """
    sizes = setup.sizes
    data = load_data(limit=sizes.scaling_images)
    task = SMALL.but(widths=sizes.widths, epochs=1)
    jobs = [ACTIVATIONS[PLAIN]] * sizes.scaling_jobs
    setup.say(f"scaling: {len(jobs)} candidates by one and by two workers, {sizes.scaling_rounds} times in turns")
    with ours.make_evaluator(data, task, workers=1) as one, ours.make_evaluator(data, task, workers=2) as two:
        started = time.perf_counter()
        ours.train_all(two, jobs[:2], 0)
        first = time.perf_counter() - started
        timings = harness.alternate(
            {
                ONE: lambda turn: ours.train_all(one, jobs, turn + 1),
                TWO: lambda turn: ours.train_all(two, jobs, turn + 1),
            },
            sizes.scaling_rounds,
        )
    row = harness.compared(timings, ours=TWO, baseline=ONE)
    start = max(0.0, first - 2 * row[TWO]["median"] / len(jobs))
    rates = {name: len(jobs) * 60 / timings[name].median for name in timings}
    return row | {"candidates": len(jobs), "per_minute": rates, "start_seconds": start}


def tree_of(size: int, learnable: bool) -> str:
    """Return a tree of ``size`` nodes, at least 2, that grows by sines: sin(... sin(s*x) + x ...) + x.

    Args:
        size: number of nodes.
        learnable: whether the innermost function has a learnable value per channel.
    """
    inner = "scale(x)" if learnable else "atan(x)"
    rest = size - 2
    tree = inner
    while rest >= 3:
        tree, rest = f"add(sin({tree}), x)", rest - 3
    return "atan(" * rest + tree + ")" * rest


def step_growth(task: Task, text: str | None) -> dict[str, float]:
    """Return median seconds and peak bytes of one of our training steps; called in a new process."""
    with threads(task.threads):
        step = ours.make_step(random_data(task.network, task.batch_size), text, task)
        step(min(FEW, task.batch_size))
        peak = memory.peak_memory(lambda: step(task.batch_size))
        timing = harness.alternate({"step": lambda _turn: step(task.batch_size)}, STEPS)["step"]
        return {"seconds": timing.median, "bytes": peak}


def show(result: dict[str, Any], console: Console) -> None:
    """Print the rates and the rows."""
    part = result["two_workers"]
    rates = [part["per_minute"][name] for name in (ONE, TWO)]
    columns = ["scaling", *(f"{name}, per minute" for name in (ONE, TWO)), "times more", "of neighbours", "rounds"]
    spread = "{:.2f} to {:.2f}".format(*part["ratio_range"])
    row = [f"{part['candidates']} candidates", *rates, part["ratio"], spread, part["repetitions"]]
    note = f"two worker processes start in {part['start_seconds']:.1f} s, not counted"
    harness.show(console, "scaling: worker processes", columns, [row], note)
    rows = []
    for growth in result["growth"]:
        name = f"{growth['grows']} {growth['value']}"
        rows.append([name, growth["seconds"] * 1e3, f"{growth['bytes'] / 2**20:.1f}", growth["per"]])
    harness.show(console, "scaling: growth, ours", ["what grows", "ms", "peak MiB", "per"], rows)


def _rows(setup: Setup) -> Iterator[dict[str, Any]]:
    sizes = setup.sizes
    task = SMALL.but(widths=sizes.widths, threads=setup.threads)
    plan: list[tuple[str, object, Task, str | None]] = []
    for size in sizes.tree_sizes:
        plan.append(("nodes, no parameter", size, task, tree_of(size, learnable=False)))
        plan.append(("nodes, one learnable", size, task, tree_of(size, learnable=True)))
    plan += [("batch", batch, task.but(batch_size=batch), ACTIVATIONS[PLAIN]) for batch in sizes.batches]
    for factor in sizes.width_factors:
        widths = tuple(int(width * factor) for width in sizes.widths)
        plan.append(("widths", "-".join(map(str, widths)), task.but(widths=widths), ACTIVATIONS[PLAIN]))
    for grows, value, row_task, text in plan:
        found = in_new_process(step_growth, task=row_task, text=text)
        yield {"grows": grows, "value": value, "per": f"step at batch {row_task.batch_size}", **found}
    for population in sizes.populations:
        candidates = max(200, 2 * population)
        found = in_new_process(loop_memory, candidates=candidates, population=population)
        yield {"grows": "population", "value": population, "per": f"candidate of {candidates}", **found}
