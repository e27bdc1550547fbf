"""A few small searches written down to the last byte: ``python -m tests.record_run`` records them anew.

Nothing here depends on how a processor rounds: fitness comes from the bundled table or from a formula of the text, and
trainings are written by hand. A commit that changes a byte on purpose records anew and says why.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gaaf_gp import Proxy, TableEvaluator, evolve, load_table
from gaaf_gp.activations.behaviour import behaviour
from gaaf_gp.archive import Archive
from gaaf_gp.binary import Surrogate
from gaaf_gp.data.load import Data, Split
from gaaf_gp.evaluation.cache import ArchivedTrainings
from gaaf_gp.search.genetic import genetic, random_search
from gaaf_gp.search.result import SearchResult
from gaaf_gp.training.checkpoint import write_checkpoint
from gaaf_gp.training.outcome import Epoch, Outcome, TrainingState
from gaaf_gp.trees.candidate import parse_candidate
from gaaf_gp.trees.fingerprint import set_signature
from primitives import gaaf, minimal

FILE = Path(__file__).parent / "recorded_run.json"
LOOPS = ("generations", "islands:2", "steady:3", "aging:3")
PROXIES: dict[str, dict[str, Any]] = {
    "default": {},
    "longer": {"epochs": 3},
    "plain images": {"pad": 0, "flip": False},
    "one mirrored": {"pad": 2},
    "deep": {"network": "resnet20", "network_settings": {"widths": (8, 16, 32), "shortcut_every": 2}},
    "window": {"network_settings": {"window": 1.0}},
    "memory": {"memory": 1.0},
    "torch": {"kernels": "torch", "tables": False},
}
FUNCTIONS = (
    "x", "neg(x)", "abs(x)", "max(x, neg(x))", "min(x, abs(x))", "add(x, abs(x))", "sub(x, x)", "positive(x)",
    "max(scale(x), x)", "shift(x)", "mix(x, abs(x))", "add(x, channel(x))", "x | neg(x)", "abs(x) | x", "@rsign",
)  # fmt: skip


def digest(content: object) -> str:
    """Return the SHA-256 of what is fit for JSON."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def shown(found: SearchResult) -> dict[str, Any]:
    """Return what a search found, but for times."""
    return {
        "texts": [record.text for record in found.records],
        "fitness": digest([record.fitness for record in found.records]),
        "population": [str(one) for one in found.population],
        "hall of fame": [[str(one), one.fitness.values[0]] for one in found.hall_of_fame],
        "logbook": digest([dict(row) for row in found.logbook]),
        "rejected": dict(sorted(found.rejected.items())),
    }


def searches(folder: Path) -> dict[str, Any]:
    """Run each loop, the paper's algorithm and random search on the bundled table."""
    pset, table = gaaf.encoding1(), load_table()
    content: dict[str, Any] = {}
    for loop in LOOPS:
        path = folder / f"{loop}.json".replace(":", "_")
        found = evolve(pset, TableEvaluator(table, pset), loop=loop, evaluations=40, population_size=8, seed=3,
                       checkpoint=path)  # fmt: skip
        state = json.loads(path.read_text())
        del state["sha256"], state["gaaf-gp"]  # the version is none of a search
        for entry in state["primitives"]:
            entry["values"] = len(entry["values"])  # a sine differs in its last bits from processor to processor
        content[loop] = {**shown(found), "checkpoint": digest(state)}
    content["genetic"] = shown(genetic(pset, TableEvaluator(table, pset), evaluations=60, seed=3))
    content["random"] = shown(random_search(pset, TableEvaluator(table, pset), evaluations=40, seed=3))
    content["free"] = shown(evolve(gaaf.free(), _length, evaluations=40, population_size=8, seed=3))
    content["two trees"] = shown(evolve(minimal.make_pset(), _length, two_trees=True, evaluations=20, population_size=6,
                                        seed=3))  # fmt: skip
    content["pareto"] = shown(evolve(minimal.make_pset(), _length, bloat="pareto", evaluations=20, population_size=6,
                                     seed=3))  # fmt: skip
    return content


def _length(individual: Any) -> float:
    """Give a fitness that is the same on every machine."""
    return int(hashlib.sha256(individual.canonical.encode()).hexdigest()[:4], 16) / 65536


def data() -> Data:
    """Return a data set of whole numbers."""
    images = torch.arange(24 * 28 * 28).remainder(251).to(torch.uint8).reshape(24, 1, 28, 28)
    labels = torch.arange(24).remainder(4)
    return Data("recorded", Split(images[:16], labels[:16]), Split(images[16:], labels[16:]), ("a", "b", "c", "d"),
                (0.5,), (0.25,), 0, 1 / 3)  # fmt: skip


def archive(folder: Path) -> dict[str, Any]:
    """Write trainings made by hand to an archive, and return its rows without times."""
    pset, held = gaaf.free(), data()
    content: dict[str, Any] = {}
    with Archive(folder / "archive.sqlite") as opened:
        versions = {"gaaf-gp": "1", "torch": "2"}
        key = opened.begin("recorded", {"seed": 3}, versions)
        for name, settings in PROXIES.items():
            for at_once in (1, 8):
                content[f"{name} {at_once}"] = ArchivedTrainings(
                    opened, Proxy(held, batch_size=8, **{"kernels": "torch", **settings}), pset, key, at_once=at_once
                ).task
        trainings = ArchivedTrainings(opened, Proxy(held, batch_size=8, epochs=2, kernels="torch"), pset, key)
        for seed, text in enumerate(("neg(x)", "abs(x)", "max(scale(x), x)", None)):
            epochs = (Epoch(1.5, 0.25), Epoch(1.25, 0.5 + seed / 8))
            trainings.keep(text, None, None, Outcome(seed, epochs[-1].accuracy, epochs, 0.0))
        trainings.keep("positive(x)", None, None, Outcome(0, 0.0, (), 0.0, "too long"))
        trainings.reject("sub(x, x)", "constant sign")
        trainings.register.born("neg(x)", 0, "random", [])
        trainings.register.born("abs(x)", 1, "mutation", ["neg(x)"])
    with sqlite3.connect(folder / "archive.sqlite") as db:
        for table, columns in {
            "tasks": "*", "births": "number, text, generation, operation, parents", "run_entries": "*",
            "evaluations": "id, text, signature, task, split, seed, epochs, fidelity, accuracy, curve, losses, metrics,"
            " failure",
        }.items():  # fmt: skip
            content[table] = [list(row) for row in db.execute(f"SELECT {columns} FROM {table} ORDER BY rowid")]
    return content


def signatures() -> dict[str, Any]:
    """Return how functions behave that every processor computes alike, and what sets are known by."""
    pset = gaaf.free()
    content: dict[str, Any] = {}
    for text in FUNCTIONS:
        candidate = parse_candidate(text, pset)
        if candidate is None:
            continue
        for surrogate in (Surrogate("clipped", 1.3), Surrogate("triangle", 1.0)):
            found = behaviour(candidate, surrogate)
            content[f"{text} {surrogate}"] = [found.signature, found.failure]
    sets: dict[str, Callable[[], Any]] = {"free": gaaf.free, "encoding1": gaaf.encoding1, "minimal": minimal.make_pset}
    for name, make in sets.items():
        content[name] = digest([entry["name"] for entry in set_signature(make())])
    return content


def state(folder: Path) -> str:
    """Return the digest of the file of a training that is under way."""
    path = folder / "training.safetensors"
    weights = {"weight": np.arange(6, dtype=np.float32).reshape(2, 3)}
    moments = {0: {"exp_avg": np.ones((2, 3), dtype=np.float32)}}
    generator = np.arange(16, dtype=np.uint8)
    stopped = TrainingState("abs(x)", 3, (Epoch(1.5, 0.25),), 2.0, 7, weights, moments, generator)
    write_checkpoint(path, stopped, {"task": "recorded"})
    return hashlib.sha256(path.read_bytes()).hexdigest()


def record() -> dict[str, Any]:
    """Return all of it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        return {
            "searches": searches(folder),
            "archive": archive(folder),
            "signatures": signatures(),
            "training": state(folder),
        }


if __name__ == "__main__":
    FILE.write_text(json.dumps(record(), indent=1, sort_keys=True) + "\n")
