"""One whole fitness evaluation of both sides: building, data preparation, training, validation; and its accuracy.

Both sides start from the same images in memory and train equally many epochs of equally many images, with one schedule
of the learning rate, so that their accuracies say whether both judge alike. Ours may use all
cores by running two candidates side by side: that is the throughput, measured in the same turns.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from scipy import stats

from benchmarks import harness, ours, textbook_training
from benchmarks.harness import OURS, TEXTBOOK, Timing
from benchmarks.sizes import Setup
from benchmarks.task import ACTIVATIONS, PLAIN, SMALL, Task
from benchmarks.textbook import FUNCTIONS
from benchmarks.textbook_training import Evaluation
from gaaf_gp import load_data
from gaaf_gp.data import Data

PAIR = "ours, two candidates by two workers"
FIRST_SEED = 100
CONFIDENCE = 0.95


def measure(setup: Setup) -> dict[str, Any]:
    """Return the comparison of whole evaluations; ``ratio`` is the geometric mean over the activations."""
    sizes = setup.sizes
    data = load_data(limit=sizes.candidate_images)
    task = SMALL.but(widths=sizes.widths, epochs=sizes.candidate_epochs, threads=setup.threads, cosine=True)
    rows: dict[str, Any] = {}
    result: dict[str, Any] = {
        "epochs": task.epochs,
        "images": {"train": len(data.train), "val": len(data.val)},
        "threads": setup.threads,
        "activations": rows,
    }
    for activation in ACTIVATIONS if sizes.candidate_all else (PLAIN,):
        setup.say(f"candidate, {activation}: {sizes.candidate_seeds} evaluations of each side in turns")
        rows[activation] = compare(data, task, activation, sizes.candidate_seeds)
        setup.save(result)
    ratios = {
        "ratio": harness.geometric_mean(row["ratio"] for row in rows.values()),
        "throughput_ratio": harness.geometric_mean(row["throughput"]["ratio"] for row in rows.values()),
    }
    return ratios | result


def compare(data: Data, task: Task, activation: str, seeds: int) -> dict[str, Any]:
    """Return seconds, throughput and accuracies of both sides for one activation, on ``seeds`` seeds.

    The worker processes of both sides have been started before: a search starts them once.
    """
    text, function = ACTIVATIONS[activation], FUNCTIONS[activation]
    with ours.make_evaluator(data, task.but(threads=1), workers=2) as evaluator:
        timings = harness.alternate(
            {
                TEXTBOOK: lambda turn: textbook_training.evaluate(data, function, task, FIRST_SEED + turn),
                OURS: lambda turn: ours.evaluate(data, text, task, FIRST_SEED + turn),
                PAIR: lambda turn: ours.train_all(evaluator, [text, text], FIRST_SEED + turn),
            },
            seeds,
        )
    one_after_another = Timing(tuple(2 * seconds for seconds in timings[TEXTBOOK].seconds))
    return harness.compared(timings) | {
        "throughput": harness.compared({TEXTBOOK: one_after_another, OURS: timings[PAIR]}),
        "accuracy": accuracies(timings[OURS].results, timings[TEXTBOOK].results),
    }


def accuracies(ours_: Sequence[Evaluation], textbook_: Sequence[Evaluation]) -> dict[str, Any]:
    """Return mean and standard deviation of both sides' accuracies (0 to 1), and the difference with its interval.

    The interval is Welch's: a seed does not mean the same weights to both sides, so there are no pairs.
    """
    first, second = ([evaluation.accuracy for evaluation in side] for side in (ours_, textbook_))
    noise = [statistics.stdev(side) if len(side) > 1 else None for side in (first, second)]
    interval = None
    if all(noise):
        interval = stats.ttest_ind(first, second, equal_var=False).confidence_interval(CONFIDENCE)
    return {
        OURS: {"mean": statistics.fmean(first), "std": noise[0], "values": first},
        TEXTBOOK: {"mean": statistics.fmean(second), "std": noise[1], "values": second},
        "difference": statistics.fmean(first) - statistics.fmean(second),
        "interval": interval and [float(interval.low), float(interval.high)],
        "confidence": CONFIDENCE,
    }


def show(result: dict[str, Any], console: Console) -> None:
    """Print the comparison."""
    images, rows = result["images"], []
    for name, row in result["activations"].items():
        for label, part in ((name, row), (f"{name}, two at once against one after another", row["throughput"])):
            sides = [f"{part[side]['median']:.3g} s" for side in (TEXTBOOK, OURS)]
            spread = "{:.2f} to {:.2f}".format(*part["ratio_range"])
            rows.append([label, *sides, part["ratio"], spread, part["repetitions"]])
    columns = ["evaluation", "textbook", "ours", "times faster", "of neighbours", "seeds"]
    title = f"candidate: {result['epochs']} epochs of {images['train']} images, validated on {images['val']}"
    harness.show(console, title, columns, rows)
    lines = []
    for name, row in result["activations"].items():
        found = row["accuracy"]
        sides = [_percent(found[side]["mean"], found[side]["std"]) for side in (TEXTBOOK, OURS)]
        span = "{:+.2%} to {:+.2%}".format(*found["interval"]) if found["interval"] else "-"
        lines.append([name, *sides, f"{found['difference']:+.2%}", span])
    columns = ["validation accuracy", "textbook", "ours", "difference", "95 % interval (Welch)"]
    harness.show(console, "candidate: mean and standard deviation over the seeds", columns, lines)


def _percent(mean: float, deviation: float | None) -> str:
    return f"{mean:.2%}" if deviation is None else f"{mean:.2%} +- {deviation:.2%}"
