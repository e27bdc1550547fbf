"""What tests of reports share: folders of runs with made-up trainings, written by the rooms that write real ones."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from gaaf_gp.archive import Archive, Evaluation, Register
from gaaf_gp.experiments.confirm import confirmation_from
from gaaf_gp.experiments.explanation import Cell, Explanation, write_explanation
from gaaf_gp.experiments.factorial import CELLS, LEVELS, estimate
from gaaf_gp.experiments.run_result import verdict
from gaaf_gp.experiments.settings import Settings
from gaaf_gp.trees.generation import gen_half_and_half
from gaaf_gp.trees.individual import Individual
from gaaf_gp.trees.parser import parse
from gaaf_gp.util.provenance import versions
from primitives import gaaf
from tests.made_results import content

EPOCHS = 3
TASK = {"proxy": {"epochs": EPOCHS}, "at_once": 1}
SET = gaaf.free()


def texts(number: int, seed: int = 0) -> list[str]:
    """Return canonical texts of different trees."""
    rng, found = random.Random(seed), {"max(sin(x), x)": None, "atan(scale(x))": None}
    while len(found) < number:
        tree = Individual(gen_half_and_half(SET, 1, 5, rng=rng, max_size=30), SET)
        found[parse(tree.canonical, SET).canonical] = None
    return list(found)[:number]


class Run:
    """A run that is being written: its folder has an archive and ``config.json``, as that of ``gaaf-gp evolve``."""

    def __init__(self, folder: Path, *, config: dict[str, Any] | None = None, **settings: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        given = Settings(
            folder, **{"evaluations": 100, "population": 10, "workers": 1, "proxy": {"epochs": EPOCHS}, **settings}
        )
        plain = json.loads(json.dumps(given.as_json()))
        about = {"settings": plain, "versions": versions(), "pset": sorted(SET.mapping)}
        self.config = {**plain, **about, **(config or {})}
        self.archive = Archive(folder / "archive.sqlite")
        self.task = self.archive.register(TASK)
        self.key = self.archive.begin("evolve", self.config, versions())
        self.register = Register(self.archive, self.key)
        self.write("config.json", {**self.config, "run": self.key})
        self.draw = random.Random(0)
        self.judged: list[str] = []

    def write(self, name: str, content: Any) -> None:
        """Write a file of JSON into the folder."""
        (self.folder / name).write_text(json.dumps(content))

    def train(
        self,
        text: str,
        accuracy: float = 0.5,
        *,
        seed: int = 0,
        epochs: int = EPOCHS,
        failure: str | None = None,
        **changes: Any,
    ) -> None:
        """Write a training down."""
        curve = tuple(
            accuracy * (0.7 + 0.3 * (epoch + 1) / epochs) for epoch in range(epochs if failure is None else 1)
        )
        about: dict[str, Any] = {
            "text": text, "signature": f"of {text}", "task": self.task, "seed": seed, "epochs": epochs,
            "fidelity": epochs / EPOCHS, "accuracy": 0.0 if failure else curve[-1], "curve": curve, "losses": curve,
            "seconds": 1.25, "device": "cpu", "versions": {"torch": "2"}, "failure": failure, "formula": f"f: {text}",
            "metrics": {"nodes": 4.0, "height": 2.0, "cost": 7.0},
        }  # fmt: skip
        self.archive.add(Evaluation(**about | changes), self.key)
        self.judged.append(text)

    def generation(
        self, number: int, brood: Sequence[str], population: Sequence[str], parents: Sequence[str] = ()
    ) -> None:
        """Breed and train candidates, and write the population down; every seventh fails, every fifth drops out."""
        for place, text in enumerate(brood):
            chosen = [parents[(place + more) % len(parents)] for more in range(1 + place % 2)] if parents else []
            self.register.born(text, number, ("mutation", "crossover")[place % 2] if chosen else "random", chosen)
            failure = "loss not finite in epoch 2" if place % 7 == 6 else None
            epochs = 1 if place % 5 == 4 and not failure else EPOCHS
            self.train(text, 0.3 + 0.3 * self.draw.random(), epochs=epochs, failure=failure)
        self.register.generation(number, len({*self.judged} - {"@sign"}), population)

    def confirm(self, best: str, low: float = 0.01) -> None:
        """Write a result with a comparison."""
        for text, base in ((best, 0.55), ("@sign", 0.5), ("@rsign", 0.51)):
            for seed in (1_000_000, 1_000_001):
                self.train(text, base, seed=seed, split="sha256:test")
        difference = {"mean": 0.05, "low": low, "high": 0.09, "n": 2, "confidence": 0.95}
        one = {"text": "@sign", "infix": "x", "accuracies": [0.5, 0.5], "mean": 0.5, "failures": [],
               "difference": difference, "p_value": 0.01, "p_holm": 0.02, "significant": low > 0}  # fmt: skip
        none = {"difference": None, "p_value": None, "p_holm": None, "significant": None}
        test = {"seeds": [1_000_000, 1_000_001], "best": [0.55, 0.55], "sign": [0.5, 0.5], "best_mean": 0.55,
                "sign_mean": 0.5, "difference": difference, "failures": [], "separation": None,
                "competitors": {"sign": one, "rsign": {**one, "infix": "x + s0", "mean": None, **none}}}  # fmt: skip
        self.write("result.json", content(
            best=best, test=test, verdict=verdict(confirmation_from(test), ""),
            standing="Against 2 competitors: better than plain sign.",
            luck={"words": "About 1.20 points of that are luck."},
            evaluations=len({*self.judged}), rejected={"constant sign": 4}, seconds=123.4,
        ))  # fmt: skip

    def explain(self, text: str, infix: str, failure: str = "", alike: bool = True) -> Explanation:
        """Write ``explain.json``: the shape of the slope makes all of the gain; by default no threshold differs."""
        values = {levels: [0.5 + 0.05 * levels[1] + 0.01 * self.draw.random() for _ in range(5)] for levels in CELLS}
        gain, effects = estimate(values, {levels: str(levels[1 if alike else 0 :]) for levels in CELLS})
        cells = []
        for levels, accuracies in values.items():
            names = [LEVELS[place][level] for place, level in enumerate(levels)]
            failed = failure and levels == CELLS[2]
            shown = (None, *accuracies[1:]) if failed else tuple(accuracies)
            cells.append(Cell(*names, text, shown, sum(accuracies) / 5, (failure,) if failed else ()))
        task = {"network": "small", "epochs": EPOCHS}
        seeds = tuple(range(1_000_000, 1_000_005))
        found = Explanation(text, infix, False, 0.8, 1.2, "test", task, seeds, seeds, tuple(cells), gain, effects)
        write_explanation(found, self.folder)
        return found

    def end(self, status: str = "finished") -> Path:
        """Write the end down, and return the folder."""
        self.archive.end(self.key, status)
        self.archive.close()
        return self.folder


def fill(run: Run, number: int = 100, size: int = 20) -> list[str]:
    """Write ``number`` candidates in generations of ``size``, and return their texts."""
    every = texts(number)
    run.train("@sign", 0.5)
    last: list[str] = []
    for place in range(0, number, size):
        brood = every[place : place + size]
        run.generation(place // size, brood, (brood + last)[:size], last)
        last = brood
    return every


@pytest.fixture(scope="session")
def make_run() -> Callable[..., Run]:
    """See Run."""
    return Run


@pytest.fixture(scope="session")
def fill_run() -> Callable[..., list[str]]:
    """See fill()."""
    return fill


@pytest.fixture(scope="session")
def hundred(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of 100 candidates; nobody writes to it."""
    run = Run(tmp_path_factory.mktemp("runs") / "hundred")
    fill(run)
    run.confirm("max(sin(x), x)")
    run.explain("max(sin(x), x)", "max(sin(x), x)")
    return run.end()


@pytest.fixture(scope="session")
def pset() -> Any:
    """The set of the candidates."""
    return SET
