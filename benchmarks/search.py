"""What a search costs until it finds a good function: ours against the paper's algorithm with the textbook evaluator.

Both sides train the same network for the same number of epochs on the same images, and are done when a candidate's
validation accuracy after its last epoch, in their own evaluation, reaches the target. A run that does not get there is
given up after so many training steps; its cost counts, its success does not.
"""

from __future__ import annotations

import functools
import random
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from rich.console import Console

from benchmarks import harness, ours, textbook_training
from benchmarks.harness import OURS, TEXTBOOK
from benchmarks.paper_search import Genes, PaperSearch
from benchmarks.sizes import SearchSize, Setup
from benchmarks.task import ACTIVATIONS, SIGN, Task
from benchmarks.textbook import FUNCTIONS
from gaaf_gp import Activation, evolve, load_data
from gaaf_gp.data import Data
from gaaf_gp.evaluation import Record
from primitives import gaaf

SEED_SPAN = 100_000
"""Trainings of the textbook search number n take the seeds from n times this on."""
SIGN_SEED = 90_000_000
"""The plain sign is trained on the seeds from here on, which no search uses."""

MOST_PER_TRAINING = 20
"""Candidates that a race may judge for the steps of one full training; more is never asked for."""


def measure(setup: Setup) -> dict[str, Any]:
    """Return what both sides needed; ``ratio`` is that of the expected seconds to the target.

    Runs of an earlier, interrupted part with the same settings are taken over.
    """
    size = setup.sizes.search
    data = load_data(limit=size.images, val_fraction=size.val_fraction)
    settings = _settings(size, data, setup.threads)
    result: dict[str, Any] = {"settings": settings, "runs": [], "resumed": 0}
    if setup.earlier.get("settings") == settings and "threads" in setup.earlier:
        result |= {key: setup.earlier[key] for key in ("runs", "threads", "sign")}
        result["runs"] = list(result["runs"])
        result["resumed"] = len(result["runs"])
    else:
        setup.say("search: the plain sign of both sides, and the number of threads that suits the textbook side best")
        result |= prepare(data, size, setup.threads)
    sides: dict[str, Callable[[int], dict[str, Any]]] = {
        TEXTBOOK: lambda seed: search_textbook(data, size, seed, result["threads"][TEXTBOOK]),
        OURS: lambda seed: search_ours(data, size, seed, setup.threads),
    }
    done = {(run["side"], run["seed"]) for run in result["runs"]}
    for seed in size.seeds:
        for side, search in sides.items():
            if (side, seed) not in done:
                setup.say(f"search, seed {seed}, {side}: until {size.target:.1%} or given up")
                result["runs"].append({"side": side, "seed": seed, **search(seed)})
                setup.save(result)
    return summary(result["runs"]) | result


def prepare(data: Data, size: SearchSize, threads: int) -> dict[str, Any]:
    """Return the mean accuracy of the plain sign on both sides, and how many threads the textbook side gets.

    The target has to be seen against the plain sign. Its trainings by the textbook, on one thread and on all in turns,
    also say which is quicker: beside two loading processes a small network may be better off with one.
    """
    counts = {f"{count} threads": size.task.but(threads=count) for count in sorted({1, threads})}
    sides = {name: functools.partial(_evaluate_sign, data, task) for name, task in counts.items()}
    timings = harness.alternate(sides, len(size.seeds), warmup=0)
    best = min(timings, key=lambda name: timings[name].median)
    accuracies = {
        TEXTBOOK: [evaluation.accuracy for timing in timings.values() for evaluation in timing.results],
        OURS: [ours.evaluate(data, ACTIVATIONS[SIGN], size.task, SIGN_SEED + seed).accuracy for seed in size.seeds],
    }
    return {
        "sign": {side: statistics.fmean(values) for side, values in accuracies.items()},
        "threads": {TEXTBOOK: counts[best].threads, OURS: 1, "workers_of_ours": threads},
    }


def search_textbook(data: Data, size: SearchSize, seed: int, threads: int) -> dict[str, Any]:
    """Run the paper's algorithm with the textbook evaluator, one training after another."""
    log = _Log(size, data)
    task = size.task.but(threads=threads)

    def evaluate(genes: Genes) -> float:
        function = functools.partial(Activation, gaaf.from_genes(genes))
        found = textbook_training.evaluate(data, function, task, SEED_SPAN * seed + len(log.accuracies))
        log.add(str(gaaf.from_genes(genes)), found.accuracy, log.steps + found.steps)
        return found.accuracy

    for _trial in PaperSearch(evaluate, random.Random(seed)).run():
        if log.finished:
            break
    return log.result()


def search_ours(data: Data, size: SearchSize, seed: int, threads: int) -> dict[str, Any]:
    """Run :func:`gaaf_gp.evolve`, one training per core; the start of the worker processes counts.

    Only an evaluation over all epochs may reach the target, but every epoch trained is paid for.
    """
    log = _Log(size, data)
    evaluator = ours.make_evaluator(data, size.task.but(threads=1), workers=threads, seed=seed)

    def arrived(record: Record) -> None:
        accuracy = record.accuracy if record.complete else 0.0  # what dropped out of a race has reached nothing
        log.add(record.text, accuracy, evaluator.epochs_trained * size.task.steps(data))
        if log.finished:
            raise _FinishedError

    with evaluator, suppress(_FinishedError):
        evolve(
            evaluator.pset,
            evaluator,
            evaluations=MOST_PER_TRAINING * size.most,
            population_size=size.population,
            seed=seed,
            on_evaluation=arrived,
        )
    return log.result()


def summary(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the ratio of the expected seconds to the target, of the training steps too, and what they are made of.

    The expected cost to a target is all that the runs of a side cost, over the number of those that reached it (the
    expected running time of black-box optimization benchmarks). A side that never did has a lower bound instead: its
    whole cost.
    """
    sides = {side: [run for run in runs if run["side"] == side] for side in (TEXTBOOK, OURS)}
    found: dict[str, Any] = {}
    for side, own in sides.items():
        reached = sum(run["reached"] for run in own)
        found[side] = {"runs": len(own), "reached": reached}
        for cost in ("seconds", "steps", "evaluations"):
            values = [run[cost] for run in own]
            found[side][cost] = {"expected": sum(values) / max(1, reached), "median": statistics.median(values)}
    ratios = {cost: found[TEXTBOOK][cost]["expected"] / found[OURS][cost]["expected"] for cost in ("seconds", "steps")}
    bound = {(0, 0): "unknown", (0, 1): "at least", (1, 0): "at most", (1, 1): "measured"}
    kind = bound[min(1, found[TEXTBOOK]["reached"]), min(1, found[OURS]["reached"])]
    return {"ratio": ratios["seconds"], "ratio_is": kind, "steps_ratio": ratios["steps"], "unit": "s", **found}


def show(result: dict[str, Any], console: Console) -> None:
    """Print what both sides needed, run by run."""
    rows: list[Sequence[object]] = []
    for run in result["runs"]:
        end = "reached" if run["reached"] else "not reached, given up"
        name = f"{run['side']}, seed {run['seed']}"
        rows.append([name, run["seconds"], run["steps"], run["evaluations"], f"{run['best']:.2%}", end])
    for side in (TEXTBOOK, OURS):
        part = result[side]
        costs = [part[cost]["expected"] for cost in ("seconds", "steps", "evaluations")]
        rows.append([f"{side}, expected to the target", *costs, "", f"{part['reached']} of {part['runs']} reached"])
    settings, sign = result["settings"], result["sign"]
    title = (
        f"search: to {settings['target']:.1%} validation accuracy, {settings['epochs']} epochs of {settings['train']} "
        f"images, widths {settings['widths']}, at most the steps of {settings['most']} full trainings"
    )
    note = (
        f"times faster: {harness.brief(result['ratio'])} ({result['ratio_is']}), times fewer training steps: "
        f"{harness.brief(result['steps_ratio'])}; plain sign: textbook {sign[TEXTBOOK]:.2%}, ours {sign[OURS]:.2%}"
    )
    note += f"; threads of a training: textbook {result['threads'][TEXTBOOK]}, ours {result['threads'][OURS]}"
    if result["resumed"]:
        note += f"; {result['resumed']} runs are from the interrupted run before"
    harness.show(console, title, ["search", "seconds", "steps", "evaluations", "best", "end"], rows, note)


class _FinishedError(Exception):
    """Ends our search from within, once the target is reached."""


class _Log:
    """The evaluations of one search until it is finished, and what they cost."""

    def __init__(self, size: SearchSize, data: Data) -> None:
        self.target = size.target
        self.most_steps = size.most * size.task.epochs * size.task.steps(data)
        self.accuracies: list[float] = []
        self.steps = 0
        self.best = ""
        self.started = time.perf_counter()
        self.seconds = 0.0

    def add(self, text: str, accuracy: float, steps: int) -> None:
        """Take in one evaluation; ``steps`` are those of the whole search so far."""
        if accuracy > max(self.accuracies, default=0.0):
            self.best = text
        self.accuracies.append(accuracy)
        self.steps = steps
        self.seconds = time.perf_counter() - self.started

    @property
    def reached(self) -> bool:
        return max(self.accuracies, default=0.0) >= self.target

    @property
    def finished(self) -> bool:
        return self.reached or self.steps >= self.most_steps

    def result(self) -> dict[str, Any]:
        return {
            "reached": self.reached,
            "seconds": self.seconds,
            "steps": self.steps,
            "evaluations": len(self.accuracies),
            "best": max(self.accuracies, default=0.0),
            "best_text": self.best,
        }


def _evaluate_sign(data: Data, task: Task, turn: int) -> textbook_training.Evaluation:
    return textbook_training.evaluate(data, FUNCTIONS[SIGN], task, SIGN_SEED + turn)


def _settings(size: SearchSize, data: Data, threads: int) -> dict[str, Any]:
    return {
        "target": size.target,
        "most": size.most,
        "population": size.population,
        "seeds": list(size.seeds),
        "train": len(data.train),
        "val": len(data.val),
        "epochs": size.task.epochs,
        "batch_size": size.task.batch_size,
        "widths": list(size.task.widths),
        "threads": threads,
    }
