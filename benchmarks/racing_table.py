"""Makes the table that races are tried on: learning curves of activation functions that were all trained to the end.

The functions are drawn at random from the paper's encoding 1, those that the screens reject and those that behave like
an earlier one left out. Run ``python -m benchmarks.racing_table``; interrupted, it goes on where it stopped. The
result, ``benchmarks/data/racing_table.json``, is kept with the project, so that races can be studied in seconds.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import torch

from gaaf_gp import Evaluator, Individual, Proxy, load_data
from gaaf_gp.util.devices import available_cores
from primitives import gaaf

TABLE = Path(__file__).parent / "data" / "racing_table.json"
FUNCTIONS = 206
SEEDS = (0,)
DRAW_SEED = 0
CHUNK = 8  # functions between two writings of the file
PROXY: dict[str, Any] = {"network": "small", "network_settings": {"widths": (8, 16, 32)}, "epochs": 9, "threads": 1}
DATA: dict[str, Any] = {"name_or_path": "fashion10k", "limit": 6000, "val_fraction": 0.5}


def make_proxy() -> Proxy:
    """Return the training task of the table: 3,000 images to train on and 3,000 to validate on, 9 epochs."""
    return Proxy(load_data(**DATA), **PROXY)


def draw(proxy: Proxy, number: int) -> list[Individual]:
    """Return ``number`` functions of encoding 1 that pass the screens and behave differently from one another."""
    rng, pset = random.Random(DRAW_SEED), gaaf.free()
    genotypes = [(a, b, c) for a in range(22) for b in range(22) for c in range(11)]
    rng.shuffle(genotypes)
    seen: set[str] = set()
    chosen: list[Individual] = []
    for genotype in genotypes:
        individual = gaaf.from_genes(genotype, pset)
        behaviour = proxy.behaviour(individual)
        if behaviour.failure is None and behaviour.signature not in seen:
            seen.add(behaviour.signature)
            chosen.append(individual)
            if len(chosen) == number:
                break
    return chosen


def write(table: dict[str, Any]) -> None:
    """Replace the file by ``table``, whole or not at all."""
    TABLE.parent.mkdir(exist_ok=True)
    temporary = TABLE.with_suffix(".tmp")
    rows = ",\n".join(f"  {json.dumps(text)}: {json.dumps(curves)}" for text, curves in table["curves"].items())
    head = json.dumps({key: value for key, value in table.items() if key != "curves"}, indent=1)
    temporary.write_text(f'{head[:-2]},\n "curves": {{\n{rows}\n }}\n}}\n', encoding="utf-8")
    temporary.replace(TABLE)


def main() -> None:
    """Train what the table lacks."""
    proxy = make_proxy()
    settings = json.loads(json.dumps(proxy.settings()))
    table: dict[str, Any] = {"settings": settings, "torch": torch.__version__, "seeds": list(SEEDS), "curves": {}}
    if TABLE.exists():
        known = json.loads(TABLE.read_text(encoding="utf-8"))
        if known["settings"] != settings:
            raise SystemExit(f"{TABLE} was made with other settings: move it away, or set them as they were")
        table = known
    curves, failed = table["curves"], table.setdefault("failed", {})
    individuals = draw(proxy, FUNCTIONS)
    with Evaluator(proxy, gaaf.free(), workers=available_cores()) as evaluator:
        for done, seed in enumerate(SEEDS):
            waiting = [
                one for one in individuals if one.canonical not in failed and len(curves.get(one.canonical, ())) == done
            ]
            for start in range(0, len(waiting), CHUNK):
                chunk = waiting[start : start + CHUNK]
                for individual, (outcome,) in zip(chunk, evaluator.train(chunk, (seed,)), strict=True):
                    if outcome.failure is not None:
                        failed[individual.canonical] = outcome.failure
                        curves.pop(individual.canonical, None)
                        continue
                    curve = [round(epoch.accuracy, 6) for epoch in outcome.history]
                    curves.setdefault(individual.canonical, []).append(curve)
                write(table)
                print(f"seed {seed}: {start + len(chunk)} of {len(waiting)} functions", flush=True)


if __name__ == "__main__":  # worker processes import this file too
    main()
