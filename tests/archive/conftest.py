"""What tests of archives share: evaluations made of a number, and an archive with a task and a run."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gaaf_gp.archive import Archive, Evaluation, task_hash
from gaaf_gp.errors import GaafError

SETTINGS = {"proxy": {"epochs": 3, "network_settings": {"widths": (4, 8)}}, "at_once": 1}
TASK = task_hash(SETTINGS)
VERSIONS = {"gaaf-gp": "0.1.0", "torch": "2.13.0"}


def evaluation(number: int = 0, **changes: Any) -> Evaluation:
    """Return one of three epochs; a number gives the same one each time."""
    draw = random.Random(number)
    curve = tuple(draw.random() for _ in range(3))
    about: dict[str, Any] = {
        "text": f"mul(sin(x), const({number}.5))",
        "signature": f"{number:032x}",
        "task": TASK,
        "seed": 0,
        "epochs": 3,
        "fidelity": 1.0,
        "accuracy": curve[-1],
        "curve": curve,
        "losses": tuple(2 * one for one in curve),
        "seconds": 1 + draw.random(),
        "device": "cpu",
        "versions": VERSIONS,
        "formula": f"sin(x) * {number}.5",
        "metrics": {"nodes": 4.0},
        "created": "2026-01-31T12:34:56+00:00",
    }
    return Evaluation(**about | changes)


def failed(number: int = 0, reason: str = "loss not finite in epoch 2", done: int = 1, **changes: Any) -> Evaluation:
    """Return one that failed after so many epochs."""
    curve = evaluation(number).curve[:done]
    return evaluation(number, failure=reason, accuracy=0.0, curve=curve, losses=curve, **changes)


def rows_of(folder: Path) -> int:
    """Return how many trainings the archive of a run has, 0 if it is not there yet."""
    try:
        with Archive(folder / "archive.sqlite", readonly=True, verify=False) as archive:
            return len(archive)
    except GaafError:
        return 0


@pytest.fixture(scope="session")
def make() -> Callable[..., Evaluation]:
    """See evaluation()."""
    return evaluation


@pytest.fixture(scope="session")
def make_failed() -> Callable[..., Evaluation]:
    """See failed()."""
    return failed


@pytest.fixture(scope="session")
def settings_of_task() -> dict[str, Any]:
    """The settings whose hash all evaluations name."""
    return SETTINGS


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where archives of a test lie."""
    return tmp_path / "archive.sqlite"


@pytest.fixture
def archive(path: Path) -> Iterator[Archive]:
    """An empty archive that knows the task."""
    with Archive(path) as found:
        found.register(SETTINGS)
        yield found


@pytest.fixture
def filled(path: Path) -> Path:
    """A closed archive of twenty evaluations, two of them failed, and a run that asked for all."""
    with Archive(path) as found:
        found.register(SETTINGS)
        run = found.begin("evolve", {"seed": 0}, VERSIONS)
        for number in range(20):
            found.add(failed(number) if number % 10 == 3 else evaluation(number), run)
        found.note(run, "sub(x, x)", 0, failure="constant sign")
        found.end(run, "finished")
    return path
