"""How far may a short training be trusted? Rank correlation of cheap proxies with a training ten times as long.

Functions of encoding 1, spread over the whole range of accuracies, are trained in each cheap proxy on one seed, and in
a training ten times as long as the default proxy's, the mean over two other seeds. Kendall's tau between the two says
how much of the long training's order the cheap one finds. The default proxy shall be the cheapest that reaches 0.6: try
``--default-epochs 1`` first, then more. Each training is a line of a file: stop with Ctrl-C whenever you like, the same
command goes on, and another default finds the trainings that it shares.
"""

import itertools
import json
import random
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from gaaf_gp import GaafError, Individual, PrimitiveSet, Proxy, load_data
from gaaf_gp.cli import INTERRUPTED, script
from gaaf_gp.evaluation import Job, Trainer
from gaaf_gp.search import distinct
from gaaf_gp.statistics import better_half_tau, evenly_spread, rank_correlation
from gaaf_gp.training import DEFAULT_EPOCHS
from gaaf_gp.util.devices import available_cores
from gaaf_gp.util.jsonl import Journal
from gaaf_gp.util.provenance import versions
from primitives import gaaf

PILOT_SEED, SHORT_SEED, LONG_SEEDS = 900_000, 800_000, (700_000, 700_001)  # no two judgements share their luck
EPOCHS = (1, 2, 3, 5)  # of the cheap proxies
LONGER = 10  # times the epochs of the default proxy
ENOUGH = 0.6  # Kendall's tau that the default proxy has to reach
OUT = Path("out/fidelity")


def main(
    data: str = "fashion10k",
    limit: int | None = None,
    image_size: int | None = None,
    functions: Annotated[int, Option(help="Functions to compare the proxies on.")] = 48,
    pilot: Annotated[int, Option(help="Functions drawn at random, to choose them from.")] = 160,
    default_epochs: Annotated[int, Option(help="Epochs of the default proxy.", min=1)] = DEFAULT_EPOCHS,
    batch_size: int = 128,
    workers: int | None = None,
    out: Annotated[Path, Option(help="Folder; an earlier file of the same settings is gone on with.")] = OUT,
) -> None:
    """Compare cheap proxies with a long training."""
    images, long = load_data(data, limit=limit, image_size=image_size), LONGER * default_epochs
    proxies = {epochs: Proxy(images, epochs=epochs, batch_size=batch_size) for epochs in (*EPOCHS, long)}
    settings = {name: value for name, value in proxies[long].settings().items() if name != "epochs"}
    notes = {"format": 1, "functions": functions, "pilot": pilot, "proxy": settings, "versions": versions()}
    pset, processes = gaaf.encoding1(), available_cores() if workers is None else workers
    seconds: dict[tuple[int, int], float] = {}  # epochs and seed -> median of a training

    def accuracies(texts: list[str], epochs: int, seed: int) -> dict[str, float]:
        """Train what the file lacks, and return the accuracy of each function; that of a failure is 0."""
        present = {row["text"] for row in journal.entries if (row["epochs"], row["seed"]) == (epochs, seed)}
        missing = [text for text in texts if text not in present]
        if missing:
            print(f"{len(missing)} trainings of {epochs} epoch(s)", flush=True)
            trainer = Trainer(proxies[epochs], pset, processes, 1)
            try:
                for index, outcome in trainer.run([Job(text, seed) for text in missing]):
                    made = {name: getattr(outcome, name) for name in ("seed", "accuracy", "seconds", "failure")}
                    journal.append({"text": missing[index], "epochs": epochs, **made})
            finally:
                trainer.close()
        rows = {row["text"]: row for row in journal.entries if (row["epochs"], row["seed"]) == (epochs, seed)}
        seconds[epochs, seed] = statistics.median(rows[text]["seconds"] for text in texts)
        return {text: rows[text]["accuracy"] for text in texts}

    with Journal(out / "trainings.jsonl", notes) as journal:
        try:
            drawn = itertools.islice(distinct(random_trees(pset), proxies[1].behaviour), pilot)
            tried = accuracies([tree.canonical for tree in drawn], 1, PILOT_SEED)
            chosen = evenly_spread(tried, functions)
            short = {epochs: accuracies(chosen, epochs, SHORT_SEED) for epochs in EPOCHS}
            first, second = (accuracies(chosen, long, seed) for seed in LONG_SEEDS)
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
    able = [text for text in chosen if all(values[text] > 0 for values in (first, second, *short.values()))]
    if len(able) < 3:
        raise GaafError(f"three functions or more must be trained to rank them, got {len(able)}: give more functions")
    reference = [statistics.fmean((first[text], second[text])) for text in able]
    print(f"{len(able)} functions, {min(reference):.1%} to {max(reference):.1%} after {long} epochs")
    print("epochs  seconds  Kendall's tau  95 % interval  tau, better half  accuracies")
    rows = []
    for epochs, values in {**short, long: first}.items():
        judged, against, seed = [values[text] for text in able], reference, SHORT_SEED
        if epochs == long:  # its two seeds: no proxy can be expected to do better
            against, seed = [second[text] for text in able], LONG_SEEDS[0]
        tau, half = rank_correlation(judged, against), better_half_tau(judged, against)
        figures = {"tau": tau.tau, "low": tau.low, "high": tau.high, "n": tau.n, "better_half": half}
        rows.append({"epochs": epochs, "seconds": seconds[epochs, seed], **figures})
        interval, shown = f"{tau.low:.2f} to {tau.high:.2f}", "-" if half is None else f"{half:.2f}"
        figures_shown = f"{epochs:6} {seconds[epochs, seed]:8.2f} {tau.tau:14.2f} {interval:>14} {shown:>17}"
        print(f"{figures_shown}  {min(judged):.1%} to {max(judged):.1%}")
    enough = [row["epochs"] for row in rows[:-1] if row["tau"] >= ENOUGH]
    print(f"Cheapest with tau of {ENOUGH} or more: " + (f"{enough[0]} epoch(s)" if enough else "none"))
    (out / "result.json").write_text(json.dumps({"functions": able, "rows": rows}, indent=1) + "\n", encoding="utf-8")


def random_trees(pset: PrimitiveSet) -> Iterator[Individual]:
    """Yield random genotypes of encoding 1 without end."""
    rng, unary, binary = random.Random(0), range(len(gaaf.UNARY)), range(len(gaaf.BINARY))
    while True:
        yield gaaf.from_genes((rng.choice(unary), rng.choice(unary), rng.choice(binary)), pset)


if __name__ == "__main__":  # worker processes import this file too
    script(main)
