"""How fast is an archive of 100,000 evaluations?

``python -m benchmarks.archive`` makes one in a temporary folder, measures it and removes it: a minute.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import harness
from gaaf_gp.archive import Archive, Evaluation, check

ROWS = 100_000
EPOCHS = 10
LOOKUPS = 2_000
REPEATS = 5
LIMITS = {"look-up": 0.001, "listing": 1.0, "listing, opening included": 1.0}
"""Seconds that each may take at most."""
VERSIONS = {"gaaf-gp": "0.1.0", "python": "3.11.7", "torch": "2.13.0", "torchvision": "0.28.0", "numpy": "2.4.6"}
_UNARY = ("sin", "cos", "tanh", "atan", "erf", "sigmoid", "neg", "abs")
_BINARY = ("add", "sub", "mul", "max", "min")


def evaluations(number: int, task: str, seed: int = 0) -> Iterator[Evaluation]:
    """Yield evaluations as searches make them: texts of 20 to 150 characters, curves of ten epochs, one in 20 fails.

    Each third candidate has two seeds.
    """
    draw = random.Random(seed)
    made = 0
    while made < number:
        text, signature = f"{_tree(draw, draw.randint(1, 4))}", f"{draw.getrandbits(128):032x}"
        for own in range(2 if draw.random() < 1 / 3 else 1):
            curve = tuple(draw.random() for _ in range(EPOCHS))
            failed = draw.random() < 0.05
            yield Evaluation(
                text=text,
                signature=signature,
                task=task,
                seed=own,
                epochs=EPOCHS,
                fidelity=1.0,
                accuracy=0.0 if failed else curve[-1],
                curve=() if failed else curve,
                losses=() if failed else curve,
                seconds=draw.uniform(2, 9),
                device="cpu",
                versions=VERSIONS,
                failure="loss not finite in epoch 1" if failed else None,
                formula=text,
                metrics={"nodes": 9.0, "height": 4.0, "cost": 21.0},
            )
            made += 1
            if made == number:
                return


def measure(rows: int, folder: Path) -> dict[str, Any]:
    """Return the seconds that each thing takes, and the bytes of a file."""
    path, other = folder / "archive.sqlite", folder / "merged.sqlite"
    found: dict[str, Any] = {}
    with Archive(path) as archive:
        task = archive.register({"proxy": {"epochs": EPOCHS}})
        every = list(evaluations(rows, task))
        spent = [_timed(lambda one=one: archive.add(one)) for one in every[:LOOKUPS]]
        found["writing one, on the disk"] = statistics.median(spent)
        found["writing the others in one go"] = _timed(lambda: archive.add_all(every[LOOKUPS:]))
    with Archive(path, readonly=True) as archive:
        some = random.Random(1).sample(every, min(LOOKUPS, rows))
        asked = [(one.text, one.signature, task, one.seed, EPOCHS) for one in some]
        found["look-up"] = statistics.median(_timed(lambda key=key: archive.lookup(*key)) for key in asked)
        listed = [_timed(lambda: archive.summaries(limit=20)) for _ in range(REPEATS)]
        found["listing"] = statistics.median(listed)
        found["reading every row, checked"] = _timed(lambda: sum(1 for _ in archive.rows()))
    opened = [_timed(lambda: _list(path)) for _ in range(REPEATS)]
    found["listing, opening included"] = statistics.median(opened)
    found["gaaf-gp archive check"] = _timed(lambda: check(path))
    with Archive(path, readonly=True) as source, Archive(other) as target:
        found["merging it into a new file"] = _timed(lambda: target.merge(source))
    found["bytes"] = path.stat().st_size
    return found


def show(found: dict[str, Any], rows: int, console: Console) -> None:
    """Print what was measured beside what is allowed."""
    lines = []
    for name, seconds in found.items():
        if name != "bytes":
            limit = LIMITS.get(name)
            verdict = "" if limit is None else "kept" if seconds <= limit else "NOT KEPT"
            lines.append([name, _shown(seconds), "" if limit is None else _shown(limit), verdict])
    title = f"An archive of {rows:,} evaluations, {found['bytes'] / 2**20:.0f} MiB"
    harness.show(console, title, ["what", "time", "limit", ""], lines)


def _tree(draw: random.Random, height: int) -> str:
    if not height:
        return draw.choice(("x", "x", f"const({draw.gauss(0, 1)!r})"))
    if draw.random() < 0.5:
        return f"{draw.choice(_UNARY)}({_tree(draw, height - 1)})"
    return f"{draw.choice(_BINARY)}({_tree(draw, height - 1)}, {_tree(draw, height - 1)})"


def _list(path: Path) -> None:
    with Archive(path, readonly=True) as archive:
        archive.summaries(limit=20)


def _shown(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 0.1 else f"{1000 * seconds:.3f} ms"


def _timed(function: Callable[[], Any]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.archive", description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=ROWS, help=f"evaluations (default: {ROWS})")
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        show(measure(rows, Path(folder)), rows, Console())


if __name__ == "__main__":
    main()
