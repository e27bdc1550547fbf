"""Does racing find what a full evaluation of all would have found, and at what share of the cost?

The races are run on a table of 200 functions that were all trained to the end, so they cost nothing and their winner
can be placed in the full ranking. Run ``python -m benchmarks.racing``.
"""

from __future__ import annotations

import json
import random
import statistics
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.racing_table import TABLE
from gaaf_gp import Racing
from gaaf_gp.evaluation import simulate

TRIALS = 10
SHARE = 2 / 3  # of the functions, drawn anew for each trial
GENERATION = 30  # candidates of one race, as in a search
RULES = {
    "all to the end": None,
    "halving, keep 1/3": Racing(),
    "halving, keep 1/2": Racing(keep=1 / 2),
    "halving, keep 1/3, catch up": Racing(catch_up=True),
}


@dataclass(frozen=True)
class Trial:
    """One race: where its winner stands in the full ranking of the same functions (0 is best), and its cost."""

    place: float
    cost: float
    lost: float


def trial(curves: dict[str, list[list[float]]], racing: Racing | None, seed: int) -> Trial:
    """Race two thirds of the table in a random order, on one of its seeds, and rank them all on that seed in full."""
    rng = random.Random(seed)
    names = rng.sample(sorted(curves), round(SHARE * len(curves)))
    column = seed % len(next(iter(curves.values())))
    some = {name: [curves[name][column]] for name in names}
    final = {name: seeds[0][-1] for name, seeds in some.items()}
    full = sum(len(seeds[0]) for seeds in some.values())
    best = max(final.values())
    if racing is None:
        return Trial(0.0, 1.0, 0.0)
    raced = simulate(some, racing, GENERATION)
    better = sum(value > final[raced.winner] for value in final.values())
    return Trial(better / len(names), raced.epochs / full, best - final[raced.winner])


def study(curves: dict[str, list[list[float]]]) -> dict[str, dict[str, Any]]:
    """Return for each rule: trials whose winner is among the best 5 %, worst place, epochs spent, points lost."""
    found = {}
    for name, racing in RULES.items():
        trials = [trial(curves, racing, seed) for seed in range(TRIALS)]
        found[name] = {
            "within_5_percent": sum(one.place < 0.05 for one in trials),
            "trials": TRIALS,
            "worst_place": max(one.place for one in trials),
            "epochs_spent": statistics.fmean(one.cost for one in trials),
            "points_lost": 100 * statistics.fmean(one.lost for one in trials),
        }
    return found


def main() -> None:
    """Print the study."""
    table = json.loads(TABLE.read_text(encoding="utf-8"))
    shown = Table(title=f"Races on {len(table['curves'])} functions trained in full, {TRIALS} trials")
    for column in ("rule", "winner in best 5 %", "worst place", "epochs spent", "points lost"):
        shown.add_column(column, justify="left" if column == "rule" else "right")
    for name, row in study(table["curves"]).items():
        within = f"{row['within_5_percent']} of {row['trials']}"
        cells = f"{row['worst_place']:.1%}", f"{row['epochs_spent']:.0%}", f"{row['points_lost']:.2f}"
        shown.add_row(name, within, *cells)
    Console().print(shown)


if __name__ == "__main__":
    main()
