"""How far may a short training be trusted? Rank correlation of cheap proxies with a training ten times as long.

Functions of encoding 1, spread over the whole range of accuracies, are trained in each cheap proxy on one seed, and in
a training ten times as long as the default proxy's, the mean over two other seeds. Kendall's tau between the two says
how much of the long training's order the cheap one finds. The default proxy shall be the cheapest that reaches 0.6: try
``--default-epochs 1`` first, then more. Each training is a line of a file: stop with Ctrl-C whenever you like, the same
command goes on, and another default finds the trainings that it shares. The constants are the choices; most can be
given on the command line too.
"""

import json
import random
import statistics
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from typer import Option

from gaaf_gp import Individual, Proxy, load_data
from gaaf_gp.cli import INTERRUPTED, script
from gaaf_gp.evaluation import Job, Trainer
from gaaf_gp.statistics import rank_correlation
from gaaf_gp.training import DEFAULT_EPOCHS, Outcome
from gaaf_gp.util.devices import available_cores
from gaaf_gp.util.jsonl import Journal
from gaaf_gp.util.provenance import versions
from primitives import gaaf

DATA = "fashion10k"
FUNCTIONS = 48
PILOT = 160  # functions drawn at random, of which those are taken that spread best
PILOT_SEED, SHORT_SEED, LONG_SEEDS = 900_000, 800_000, (700_000, 700_001)  # no two judgements share their luck
EPOCHS = (1, 2, 3, 5)  # of the cheap proxies
LONGER = 10  # times the epochs of the default proxy
ENOUGH = 0.6  # Kendall's tau that the default proxy has to reach
OUT = Path("out/fidelity")


def main(
    data: Annotated[str, Option(help="Data set or folder, as gaaf-gp evolve takes it.")] = DATA,
    limit: Annotated[int | None, Option(help="Use at most this many images.")] = None,
    image_size: Annotated[int | None, Option(help="Resize images to this many pixels a side.")] = None,
    functions: Annotated[int, Option(help="Functions to compare the proxies on.")] = FUNCTIONS,
    pilot: Annotated[int, Option(help="Functions to choose them from.")] = PILOT,
    default_epochs: Annotated[
        int, Option(help=f"Epochs of the default proxy; the long training has {LONGER} times as many.", min=1)
    ] = DEFAULT_EPOCHS,
    batch_size: Annotated[int, Option(help="Images per training step.")] = 128,
    workers: Annotated[int | None, Option(help="Worker processes.", show_default="all cores")] = None,
    out: Annotated[Path, Option(help="Folder of the file; an earlier one of the same settings is gone on with.")] = OUT,
) -> None:
    """Compare cheap proxies with a long training."""
    images = load_data(data, limit=limit, image_size=image_size)
    long = LONGER * default_epochs
    proxies = {epochs: Proxy(images, epochs=epochs, batch_size=batch_size) for epochs in (*EPOCHS, long)}
    settings = proxies[long].settings()
    del settings["epochs"]  # of each training by itself
    notes = {"functions": functions, "pilot": pilot, "proxy": settings, "versions": versions()}
    processes = available_cores() if workers is None else workers
    with Journal(out / "trainings.jsonl", {"format": 1, **notes}) as journal:
        study = Study(proxies, journal, processes)
        try:
            drawn = draw(proxies[1], pilot)
            found = study.accuracies(drawn, 1, PILOT_SEED)
            chosen = spread(found, functions)
            for epochs in EPOCHS:
                study.accuracies(chosen, epochs, SHORT_SEED)
            for seed in LONG_SEEDS:
                study.accuracies(chosen, long, seed)
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        report(study, chosen, long, out)


def draw(proxy: Proxy, number: int) -> list[str]:
    """Return so many genotypes of encoding 1, drawn at random, that can be trained and behave differently."""
    rng, pset = random.Random(0), gaaf.encoding1()
    unary, binary = range(len(gaaf.UNARY)), range(len(gaaf.BINARY))
    found: dict[str, Individual] = {}
    while len(found) < number:
        individual = gaaf.from_genes((rng.choice(unary), rng.choice(unary), rng.choice(binary)), pset)
        behaviour = proxy.behaviour(individual)
        if behaviour.failure is None:
            found.setdefault(behaviour.signature, individual)
    return [individual.canonical for individual in found.values()]


def spread(accuracies: dict[str, float], number: int) -> list[str]:
    """Return so many functions whose accuracies lie as evenly as can be between the lowest and the highest."""
    left = dict(accuracies)
    low, high = min(left.values()), max(left.values())
    chosen = []
    for place in range(min(number, len(left))):
        wanted = low + (high - low) * place / max(1, number - 1)
        nearest = min(left, key=lambda text: (abs(left[text] - wanted), text))
        chosen.append(nearest)
        del left[nearest]
    return chosen


class Study:
    """The trainings: those that the file holds, and how to make the others."""

    def __init__(self, proxies: dict[int, Proxy], journal: Journal, workers: int) -> None:
        self.proxies = proxies
        self.journal = journal
        self.workers = workers

    def known(self, epochs: int, seed: int) -> dict[str, dict[str, Any]]:
        """Return the entries of one proxy and seed by function."""
        return {one["text"]: one for one in self.journal.entries if (one["epochs"], one["seed"]) == (epochs, seed)}

    def accuracies(self, texts: list[str], epochs: int, seed: int) -> dict[str, float]:
        """Train what is missing and return the accuracy of each function; that of a failure is 0."""
        missing = [text for text in texts if text not in self.known(epochs, seed)]
        if missing:
            print(f"{len(missing)} trainings of {epochs} epoch(s)", flush=True)
            trainer = Trainer(self.proxies[epochs], gaaf.encoding1(), self.workers, 1)
            try:
                for index, outcome in trainer.run([Job(text, seed) for text in missing]):
                    self.journal.append(entry(missing[index], epochs, outcome))
            finally:
                trainer.close()
        known = self.known(epochs, seed)
        return {text: known[text]["accuracy"] for text in texts}


def entry(text: str, epochs: int, outcome: Outcome) -> dict[str, Any]:
    """Return the line of one training."""
    return {
        "text": text,
        "epochs": epochs,
        "seed": outcome.seed,
        "accuracy": outcome.accuracy,
        "seconds": outcome.seconds,
        "failure": outcome.failure,
    }


def report(study: Study, texts: list[str], long_epochs: int, out: Path) -> None:
    """Print and write how each proxy ranks the functions that no training failed for."""
    long = [study.accuracies(texts, long_epochs, seed) for seed in LONG_SEEDS]
    short = {epochs: study.accuracies(texts, epochs, SHORT_SEED) for epochs in EPOCHS}
    able = [text for text in texts if all(values[text] > 0 for values in (*long, *short.values()))]
    reference = [statistics.fmean(values[text] for values in long) for text in able]
    table = Table(
        title=f"{len(able)} functions, {min(reference):.1%} to {max(reference):.1%} after {long_epochs} epochs"
    )
    for column in ("epochs", "seconds", "Kendall's tau", "95 % interval", "tau, better half", "accuracies"):
        table.add_column(column, justify="right")
    rows = []
    judgements = {**short, long_epochs: long[0]}
    for epochs, values in judgements.items():
        against = [long[1][text] for text in able] if epochs == long_epochs else reference
        own = [values[text] for text in able]
        found, half = rank_correlation(own, against), better_half(own, against)
        seed = LONG_SEEDS[0] if epochs == long_epochs else SHORT_SEED
        seconds = statistics.median(study.known(epochs, seed)[text]["seconds"] for text in able)
        row = {"tau": found.tau, "low": found.low, "high": found.high, "n": found.n, "better_half": half}
        rows.append({"epochs": epochs, "seconds": seconds, **row})
        span = f"{found.low:.2f} to {found.high:.2f}"
        shown = "-" if half is None else f"{half:.2f}"
        spread_of = f"{min(own):.1%} to {max(own):.1%}"
        table.add_row(str(epochs), f"{seconds:.2f}", f"{found.tau:.2f}", span, shown, spread_of)
    console = Console(soft_wrap=True)
    console.print(table)
    console.print("The last row compares the two seeds of the long training: no proxy can be expected to do better.")
    enough = [row["epochs"] for row in rows[:-1] if row["tau"] >= ENOUGH]
    console.print(f"Cheapest with tau of {ENOUGH} or more: " + (f"{enough[0]} epoch(s)" if enough else "none"))
    (out / "result.json").write_text(json.dumps({"functions": able, "rows": rows}, indent=1) + "\n", encoding="utf-8")


def better_half(values: list[float], against: list[float]) -> float | None:
    """Return Kendall's tau among the half that is better by the second judgement; None where one tells none apart.

    Functions that hardly work are easily told from those that do; a search needs the order of the good ones.
    """
    cut = statistics.median(against)
    pairs = [(value, other) for value, other in zip(values, against, strict=True) if other >= cut]
    first, second = zip(*pairs, strict=True)
    if len(pairs) < 3 or len(set(first)) == 1 or len(set(second)) == 1:
        return None
    return rank_correlation(first, second).tau


if __name__ == "__main__":  # worker processes import this file too
    script(main)
