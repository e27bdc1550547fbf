"""Does it pay to tune the constants of a search's best, or is it better to search on for as long?

Question, endpoint and rule were written before the run. A first trial of two pairs a task tuned the hall of fame only,
and found nothing to tune. Tuning then chose among all candidates, and the pairs were cut from 40 and 12 to 20 and 8 for
time; seeds 0 and 1 of the trial are among those of the run.

Two searches over free trees have the same seed and the same number of evaluations. One spends the last fifth (proxy:
quarter) of them on ``evolve(tune_constants=)``, the other on more generations. On two tasks:

- "proxy": accuracy of a small binary network on the bundled images, 14 x 14 pixels, one seed, as a search sees it. The
  endpoint is the mean difference (tuned minus searched on) of what the winners reach on five fresh seeds of the same
  proxy, on the validation split, over all pairs of searches. The test split is not opened.
- "regression": minus the root mean squared error to 0.7 x + 0.4 sin(1.9 x + 0.5) at 64 points from -3 to 3. There is no
  noise and constants matter, so if tuning pays anywhere it does here. The endpoint is the mean difference of the best.

Tuning pays on a task if the 95 % interval of the endpoint (Student's t, paired) is above 0. A pair of searches is a
line of pairs.jsonl; stop with Ctrl-C, and the same command goes on.
"""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import torch
from rich.console import Console
from typer import Option

from gaaf_gp import Activation, Evaluator, Individual, Proxy, evolve, load_data
from gaaf_gp.cli import script
from gaaf_gp.search import SearchResult
from gaaf_gp.statistics import paired_difference
from gaaf_gp.util.jsonl import Journal
from gaaf_gp.util.provenance import versions
from primitives import gaaf

PAIRS = {"regression": 20, "proxy": 8}
BUDGETS = {"regression": (300, 60), "proxy": (60, 15)}  # evaluations of either search, and those of them that tune
FRESH = (101, 102, 103, 104, 105)
IMAGES, IMAGE_SIZE = 2500, 14
EPOCHS = 2
OUT = Path("out/constant_tuning")


def main(
    regression: Annotated[int, Option(help="Pairs of searches on symbolic regression.", min=2)] = PAIRS["regression"],
    proxy: Annotated[int, Option(help="Pairs of searches that train.", min=2)] = PAIRS["proxy"],
    images: Annotated[int, Option(help="Images of the proxy.", min=100)] = IMAGES,
    out: Annotated[Path, Option(help="Folder of pairs.jsonl.")] = OUT,
) -> None:
    """Compare tuned searches with longer ones."""
    console = Console(soft_wrap=True)
    settings = {"budgets": {name: list(budget) for name, budget in BUDGETS.items()}, "images": images,
                "image_size": IMAGE_SIZE, "epochs": EPOCHS, "fresh": list(FRESH), "versions": versions()}  # fmt: skip
    tasks: Mapping[str, tuple[int, Callable[[int], dict[str, Any]]]] = {
        "regression": (regression, regression_pair),
        "proxy": (proxy, lambda seed: proxy_pair(seed, images)),
    }
    with Journal(out / "pairs.jsonl", settings) as journal:
        for task, (pairs, measure) in tasks.items():
            measured = {entry["seed"] for entry in journal.entries if entry["task"] == task}
            for seed in [seed for seed in range(pairs) if seed not in measured]:
                journal.append({"task": task, "seed": seed, **measure(seed)})
            rows = [entry for entry in journal.entries if entry["task"] == task and entry["seed"] < pairs]
            console.print(verdict(task, rows), markup=False)


def verdict(task: str, rows: list[dict[str, Any]]) -> str:
    """Return the endpoint of a task in words, and how many searches had constants to tune and bettered their best."""
    interval = paired_difference([row["tuned"] for row in rows], [row["searched"] for row in rows])
    better = sum(row["tuned_seen"] > row["before_seen"] for row in rows)
    pays = "pays" if interval.low > 0 else "costs" if interval.high < 0 else "makes no difference that can be told"
    return (
        f"{task}: tuning {pays}: {interval.mean:+.5f}, 95 % interval {interval.low:+.5f} to {interval.high:+.5f}, "
        f"{interval.n} pairs; it bettered the best of the search in {better}, and had constants to tune in "
        f"{sum(row['tunings'] > 0 for row in rows)}"
    )


def regression_pair(seed: int) -> dict[str, Any]:
    """Return what the best of either search is worth on symbolic regression."""
    x = torch.linspace(-3, 3, 64).view(-1, 1)
    target = 0.7 * x + 0.4 * torch.sin(1.9 * x + 0.5)

    def measure(individual: Individual) -> float:
        with torch.no_grad():
            return -math.sqrt(float((Activation(individual, 1)(x) - target).square().mean()))

    searched, tuned, seen = both("regression", measure, seed)
    return {**seen, "searched": searched.hall_of_fame[0].fitness.values[0],
            "tuned": tuned.hall_of_fame[0].fitness.values[0]}  # fmt: skip


def proxy_pair(seed: int, images: int) -> dict[str, Any]:
    """Return the accuracy of either search's best on fresh seeds."""
    proxy = Proxy(load_data(image_size=IMAGE_SIZE, limit=images), epochs=EPOCHS)
    with Evaluator(proxy, gaaf.free(), seeds=(seed,)) as evaluator:
        searched, tuned, seen = both("proxy", evaluator, seed)
        outcomes = evaluator.train([searched.hall_of_fame[0], tuned.hall_of_fame[0]], FRESH)
    means = [sum(outcome.accuracy for outcome in row) / len(row) for row in outcomes]
    return {**seen, "searched": means[0], "tuned": means[1]}


def both(task: str, evaluator: Any, seed: int) -> tuple[SearchResult, SearchResult, dict[str, Any]]:
    """Search on, search and tune, and return both and what they saw.

    One evaluator serves both: what they have in common is trained once, and counts in both.
    """
    evaluations, tuning = BUDGETS[task]
    pset = gaaf.free()
    searched = evolve(pset, evaluator, evaluations=evaluations, seed=seed)
    tuned = evolve(pset, evaluator, evaluations=evaluations - tuning, tune_constants=tuning, seed=seed)
    before = max(record.fitness for record in tuned.records[: evaluations - tuning])
    return searched, tuned, {"before_seen": before, "searched_seen": searched.best.fitness if searched.best else None,
                             "tuned_seen": tuned.best.fitness if tuned.best else None,
                             "tunings": len(tuned.records) - (evaluations - tuning)}  # fmt: skip


if __name__ == "__main__":
    script(main)
