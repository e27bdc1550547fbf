"""Every row that searches leave in an archive, task hashes, behaviours and primitive sets are what was recorded.

Trainings are a formula of the text here, and functions are built of operations that every processor rounds alike, so
the record holds on any machine. ``python -m tests.test_recorded_archive`` records anew; a commit that changes a byte on
purpose does so and says why.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch

from gaaf_gp.activations.behaviour import Behaviour, behaviour
from gaaf_gp.archive import Archive
from gaaf_gp.binary import Surrogate
from gaaf_gp.data.load import Data, Split, load_data
from gaaf_gp.evaluation.cache import ArchivedTrainings
from gaaf_gp.evaluation.evaluator import Evaluator
from gaaf_gp.evaluation.racing import Racing
from gaaf_gp.search.evolve import evolve
from gaaf_gp.training.outcome import Epoch, Outcome, TrainingState
from gaaf_gp.training.proxy import Proxy
from gaaf_gp.trees.candidate import Candidate, parse_candidate
from gaaf_gp.trees.fingerprint import first_difference, set_signature
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.types import Feature
from primitives import gaaf, minimal, template

FILE = Path(__file__).parent / "recorded_archive.json"
# the versions are part of a task, and must not change with the program
VERSIONS = {"gaaf-gp": "1", "torch": "2"}
SEARCHES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "generations": ({}, {}),
    "islands": ({}, {"loop": "islands:2"}),
    "steady": ({}, {"loop": "steady:3"}),
    "aging": ({"extra_seeds": 2}, {"loop": "aging:3"}),
    "racing": ({"racing": Racing()}, {}),
    "extra seeds": ({"seeds": (4, 9), "extra_seeds": 3, "places": 2}, {}),
    "two trees": ({}, {"two_trees": True}),
    "pareto": ({}, {"bloat": "pareto"}),
    "constraint": ({}, {"constraints": "no abs inside abs", "initial": ("abs(x)", "max(neg(x), x)")}),
}
"""By name: settings of the evaluator, and of the search."""
LEFT_OUT = {"key", "started", "ended", "created", "checksum"}
PROXIES: dict[str, dict[str, Any]] = {
    "plain": {},
    "epochs": {"epochs": 7, "learning_rate": 0.01, "seconds": 5.0, "threads": 2},
    "augmentation": {"pad": 0, "flip": False},
    "resnet20": {"network": "resnet20", "network_settings": {"widths": (8, 8, 8)}},
    "triangle": {"network_settings": {"window": 2.0, "surrogate": "triangle"}},
    "padding": {"network_settings": {"pad_value": 1.0}},
    "exact": {"tables": False, "memory": 2.0},
    "first stage": {"real_weights": True},
}
FUNCTIONS = (
    "x", "neg(x)", "identity(x)", "zero(x)", "abs(x)", "neg(abs(x))", "positive(x)", "negative(x)", "add(x, x)",
    "add(x, abs(x))", "sub(x, x)", "sub(x, abs(x))", "max(x, neg(x))", "min(x, neg(x))", "max(x, zero(x))",
    "sub(max(x, zero(x)), abs(x))", "square(x)", "neg(square(x))", "sub(x, square(x))", "scale(x)", "shift(x)",
    "neg(scale(x))", "channel(x)", "add(x, channel(x))", "max(scale(x), x)", "mix(x, abs(x))", "shift(abs(x))",
    "x | neg(x)", "x | x", "shift(x) | scale(x)", "neg(x) | neg(abs(x))", "abs(x) | x", "@sign", "@rsign", "@rprelu",
)  # fmt: skip
"""Of operations whose results IEEE 754 fixes to the last bit."""
SETS = (gaaf.free, gaaf.encoding1, gaaf.encoding2, minimal.make_pset, template.make_pset)


def whole_numbers() -> Data:
    """Return a data set of whole numbers."""
    images = torch.arange(24 * 28 * 28).remainder(241).to(torch.uint8).reshape(24, 1, 28, 28)
    labels = torch.arange(24).remainder(4)
    train, val = Split(images[:16], labels[:16]), Split(images[16:], labels[16:])
    return Data("recorded", train, val, ("a", "b", "c", "d"), (0.5,), (0.25,), 0, 1 / 3)


class Formula:
    """Stands for a proxy whose accuracies are digits of the SHA-256 of text, seed and epoch; every eighth fails."""

    epochs = 4

    def __init__(self) -> None:
        self.data = whole_numbers()

    def settings(self) -> dict[str, Any]:
        """Return what a task is known by."""
        return {"formula": "SHA-256", "epochs": self.epochs}

    def behaviour(self, individual: Candidate) -> Behaviour:
        """Return how a candidate behaves."""
        return behaviour(individual)

    def train(
        self,
        individual: Candidate | None,
        seed: int,
        score: Split | None = None,
        *,
        epochs: int | None = None,
        state: TrainingState | None = None,
    ) -> Outcome:
        """Return an outcome without any training; one that goes on has the history that it would have had."""
        text = None if individual is None else individual.canonical
        last = self.epochs if epochs is None else epochs
        history = tuple(Epoch(digit(text, seed, e, "loss"), digit(text, seed, e)) for e in range(1, last + 1))
        if digit(text) < 1 / 8:
            return Outcome(seed, 0.0, (), 0.0, "non-finite loss in epoch 1")
        kept = None
        if last < self.epochs:
            kept = TrainingState(text, seed, history, 0.0, last, {}, {}, torch.arange(16, dtype=torch.uint8).numpy())
        return Outcome(seed, history[-1].accuracy, history, 0.0, None, kept)


def digit(*parts: object) -> float:
    """Return a number from 0 to below 1, the same on every machine."""
    return int(hashlib.sha256(repr(parts).encode()).hexdigest()[:4], 16) / 65536


def exact_set() -> PrimitiveSet:
    """Return a set of operations that round alike everywhere."""
    pset = PrimitiveSet("recorded", [Feature], Feature)
    for function, name, takes in (
        (torch.add, "add", 2), (torch.sub, "sub", 2), (torch.maximum, "max", 2), (torch.minimum, "min", 2),
        (torch.abs, "abs", 1), (torch.neg, "neg", 1), (torch.relu, "relu", 1), (torch.square, "square", 1),
    ):  # fmt: skip
        pset.addPrimitive(function, [Feature] * takes, Feature, name=name)
    return pset.check()


def rows(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Return all tables of an archive without times and keys."""
    db = sqlite3.connect(path)
    try:
        db.row_factory = sqlite3.Row
        names = [str(row["name"]) for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        content = {}
        for name in sorted(names):
            if not name.startswith("sqlite_"):
                found = map(dict, db.execute(f"SELECT * FROM {name} ORDER BY rowid"))
                content[name] = [{key: row[key] for key in row if key not in LEFT_OUT} for row in found]
        return content
    finally:
        db.close()


def searched(name: str, path: Path) -> dict[str, list[dict[str, Any]]]:
    """Search with trainings by the formula, and return what is in the archive then."""
    of_evaluator, of_search = SEARCHES[name]
    pset, proxy = exact_set(), Formula()
    with Archive(path) as archive:
        run = archive.begin("recorded", {"name": name}, VERSIONS)
        with Evaluator(proxy, pset, **of_evaluator) as evaluator:  # type: ignore[arg-type]
            evaluator.record_in(ArchivedTrainings(archive, proxy, pset, run))  # type: ignore[arg-type]
            evolve(pset, evaluator, evaluations=24, population_size=6, seed=5, **of_search)
            evaluator.train([None], (1, 2), proxy.data.train)
        archive.end(run, "finished")
    return rows(path)


def tasks(path: Path) -> dict[str, str]:
    """Return the hash of each task, by its name and the size of stacks."""
    held, real, pset, found = whole_numbers(), load_data(limit=40, seed=3), gaaf.free(), {}
    with Archive(path) as archive:
        run = archive.begin("recorded", {}, VERSIONS)
        for name, settings in PROXIES.items():
            for data in (held, real):
                proxy = Proxy(data, batch_size=8, kernels="torch", **settings)
                for at_once in (1, 8):
                    made = ArchivedTrainings(archive, proxy, pset, run, at_once=at_once, notes={"note": [1, None]})
                    found[f"{name}, {data.name}, {at_once}"] = made.task
    return found


def behaviours() -> dict[str, list[Any]]:
    """Return signature, orientation and failure of each function under three surrogates, negation allowed or not."""
    pset, found = gaaf.free(), {}
    for text in FUNCTIONS:
        candidate = parse_candidate(text, pset)
        if candidate is None:
            continue
        for kind, window in (("clipped", 1.3), ("clipped", 1.0), ("triangle", 1.0)):
            for negation in (True, False):
                how = behaviour(candidate, Surrogate(kind, window), negation)
                found[f"{text}, {kind} {window}, {negation}"] = [how.signature, how.orientation, how.failure]
    return found


def record(folder: Path) -> dict[str, Any]:
    """Return all that is recorded: rows as digests, and those of one search in full."""
    return {
        "searches": {name: digest(searched(name, folder / f"{place}.sqlite")) for place, name in enumerate(SEARCHES)},
        "rows": searched("racing", folder / "rows.sqlite"),
        "tasks": tasks(folder / "tasks.sqlite"),
        "behaviours": behaviours(),
        "sets": {pset.name: set_signature(pset) for pset in (make() for make in SETS)},
    }


def digest(tables: dict[str, list[dict[str, Any]]]) -> dict[str, list[Any]]:
    """Return for each table the number of its rows and the SHA-256 of them."""
    return {
        name: [len(found), hashlib.sha256(json.dumps(found).encode()).hexdigest()] for name, found in tables.items()
    }


def written(content: dict[str, dict[str, Any]]) -> str:
    """Return JSON with one line for each entry of each part."""
    parts = []
    for part, entries in content.items():
        lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(value)}" for name, value in entries.items())
        parts.append(f"{json.dumps(part)}: {{\n{lines}\n}}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


@pytest.fixture(scope="module")
def recorded() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FILE.read_text())
    return found


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_writes_the_same_rows(name: str, recorded: dict[str, Any], tmp_path: Path) -> None:
    assert digest(searched(name, tmp_path / "archive.sqlite")) == recorded["searches"][name]


def test_a_race_writes_these_rows(recorded: dict[str, Any], tmp_path: Path) -> None:
    assert searched("racing", tmp_path / "archive.sqlite") == recorded["rows"]


def test_tasks_have_the_same_hashes(recorded: dict[str, Any], tmp_path: Path) -> None:
    assert tasks(tmp_path / "archive.sqlite") == recorded["tasks"]


def test_functions_behave_alike(recorded: dict[str, Any]) -> None:
    assert behaviours() == recorded["behaviours"]


def test_primitive_sets_are_the_same(recorded: dict[str, Any]) -> None:
    now = {pset.name: set_signature(pset) for pset in (make() for make in SETS)}
    assert list(now) == list(recorded["sets"])
    assert {name: first_difference(recorded["sets"][name], now[name]) for name in now} == dict.fromkeys(now, "")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        FILE.write_text(written(record(Path(made))))
