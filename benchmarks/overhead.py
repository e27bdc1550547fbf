"""What a search costs beside training: its loop, screens, records, scheduling and compiling, with a null trainer."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Sequence
from typing import Any, cast

from rich.console import Console

from benchmarks import harness, memory, ours
from benchmarks.sizes import Setup
from benchmarks.task import SMALL
from gaaf_gp import Evaluator, Individual, Proxy, evolve, load_data, make_toolbox
from gaaf_gp.data import Split
from gaaf_gp.search import SearchResult
from gaaf_gp.training import Epoch, Outcome
from gaaf_gp.util.devices import threads

GOAL = 0.020
"""Seconds per candidate that a search may cost beside training."""
WORKERS = 2


class NullProxy:
    """Stands for training: an accuracy between 0 and 1 that only depends on the text, in no time."""

    def train(self, individual: Individual | None, seed: int, score: Split | None = None) -> Outcome:  # noqa: ARG002
        """Return the outcome of a training that never was; selection needs accuracies that differ."""
        accuracy = hashlib.sha256(str(individual).encode()).digest()[0] / 256
        return Outcome(seed, accuracy, (Epoch(1.0, accuracy),), 0.0)


def null_evaluator(workers: int) -> Evaluator:
    """Return an evaluator over worker processes that train nothing; with more than one they are started here."""
    evaluator = Evaluator(cast(Proxy, NullProxy()), ours.make_pset(), workers=workers)
    evaluator.train([None] * workers, (0,))
    return evaluator


def search(candidates: int, population: int, workers: int = 1, seed: int = 0) -> tuple[float, SearchResult]:
    """Return the seconds of a search without training, process start excluded, and what it left behind."""
    with null_evaluator(workers) as evaluator:
        started = time.perf_counter()
        found = evolve(
            evaluator.pset, evaluator, evaluations=candidates, population_size=population, elite=2, seed=seed
        )
        return time.perf_counter() - started, found


def measure(setup: Setup) -> dict[str, Any]:
    """Return seconds per candidate beside training, in total and by part."""
    wanted, repetitions = setup.sizes.overhead_candidates, setup.sizes.overhead_repetitions
    population = min(50, max(3, wanted // 4))
    setup.say(f"overhead: {wanted} candidates without training, {repetitions} times in this process, then in {WORKERS}")
    with threads(1):
        runs = [search(wanted, population, 1, seed) for seed in range(repetitions)]
        pooled = [search(wanted, population, WORKERS, seed) for seed in range(repetitions)]
        sample = [ours.individual(record.text) for record in runs[0][1].records[: setup.sizes.overhead_sample]]
        parts = split([tree for tree in sample if tree is not None], setup.sizes.overhead_images)
    one, two = (harness.Timing(tuple(s / len(f.records) for s, f in side)) for side in (runs, pooled))
    total = max(one.median, two.median) + parts["compile"]
    return {
        "candidates": wanted,
        "population": population,
        "repetitions": repetitions,
        "unit": "s per candidate",
        "loop": {"median": one.median, "seconds": list(one.seconds)},
        "loop_two_workers": {"median": two.median, "seconds": list(two.seconds)},
        "total": total,
        "goal": GOAL,
        "within_goal": total < GOAL,
        "parts": parts,
        "parts_of": len(sample),
    }


def split(sample: Sequence[Individual], images: int | None = None) -> dict[str, float]:
    """Return seconds per candidate of the parts, each called by itself over ``sample``.

    They overlap and do not add up to the loop, which draws some candidates more than once and selects among them.
    ``compile`` is not in the loop at all: it is by how much longer a training takes to begin than that of the plain
    sign, in the worker, where the candidate is screened once more and made into the functions of all layers.
    """
    evaluator = Evaluator(cast(Proxy, NullProxy()), ours.make_pset())
    rng = random.Random(0)
    toolbox = make_toolbox(evaluator.pset, evaluator, rng=rng)
    parents = [toolbox.clone(tree) for tree in sample]

    def breed(tree: Individual) -> None:
        child = toolbox.mate(toolbox.clone(tree), toolbox.clone(rng.choice(parents)))[0]
        toolbox.mutate(child)

    proxy = ours.make_proxy(load_data(limit=images), SMALL)
    plain = _per_candidate(lambda _tree: proxy.training(None, 0), sample)

    def build(tree: Individual) -> None:
        if proxy.behaviour(tree).failure is None:
            proxy.training(tree, 0)

    actions: dict[str, Callable[[Individual], object]] = {
        "generate": lambda _tree: toolbox.individual(),
        "mate and mutate": breed,
        "canonical text": lambda tree: tree.canonical,
        "behaviour": evaluator.behaviour,
        "record": lambda tree: evaluator.evaluate([tree]),
        "compile": build,
    }
    parts = {name: _per_candidate(action, sample) for name, action in actions.items()}
    return parts | {"compile": max(0.0, parts["compile"] - plain)}


def loop_memory(candidates: int, population: int) -> dict[str, float]:
    """Return seconds per candidate and the peak memory in bytes of a search; called in a new process."""
    search(20, 5)  # loads what every search needs
    taken: list[float] = []
    peak = memory.peak_memory(lambda: taken.append(search(candidates, population)[0]))
    return {"seconds": taken[0] / candidates, "bytes": peak}


def show(result: dict[str, Any], console: Console) -> None:
    """Print the parts."""
    rows = [[name, seconds * 1e3] for name, seconds in result["parts"].items()]
    rows.append(["the loop, in one process", result["loop"]["median"] * 1e3])
    rows.append([f"the loop, {WORKERS} worker processes", result["loop_two_workers"]["median"] * 1e3])
    rows.append(["total: the slower loop, and compile", result["total"] * 1e3])
    verdict = "within" if result["within_goal"] else "NOT within"
    note = f"{verdict} the goal of {result['goal'] * 1e3:g} ms; medians of {result['repetitions']} searches"
    title = f"overhead: without training, {result['candidates']} candidates, population {result['population']}"
    harness.show(console, title, ["part", "ms per candidate"], rows, note)


def _per_candidate(action: Callable[[Individual], object], sample: Sequence[Individual]) -> float:
    started = time.perf_counter()
    for tree in sample:
        action(tree)
    return (time.perf_counter() - started) / len(sample)
