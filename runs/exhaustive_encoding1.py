"""Every distinct live function of the paper's encoding 1, b0(u0(x), u1(x)), evaluated once: what is there to be found.

Of 5,324 genotypes those are left out that training could not repair, and those that train as an earlier one; 2,386
remain, little more than the budget of one run of the paper's search. 545 of them have a constant sign at the start, and
learnable operators that may revive them. Each evaluation is a line of evaluations.jsonl. Stop with Ctrl-C whenever you
like: the same command goes on. The constants are the choices; most can be given on the command line too.
"""

import itertools
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from typer import Option

from gaaf_gp.cli import INTERRUPTED, script
from gaaf_gp.data import load_data
from gaaf_gp.evolve import SAME
from gaaf_gp.experiment import available_cores
from gaaf_gp.fitness import Evaluator, Record
from gaaf_gp.individual import Individual
from gaaf_gp.journal import Journal
from gaaf_gp.progress import Progress
from gaaf_gp.proxy import Proxy
from gaaf_gp.results import versions
from primitives import gaaf

GENOTYPES = len(gaaf.UNARY) ** 2 * len(gaaf.BINARY)
DATA = "fashion10k"  # comes with the project; "cifar10" is the paper's
SEEDS = 1  # trainings of each candidate
EPOCHS = 3
DISTINCT = 2386  # functions to evaluate, as the progress line has it; a last bit of another machine may change it
CHUNK = 16  # candidates for each worker process that are handed out together
OUT = Path("out/exhaustive_encoding1")
SHOWN = 5


def main(
    data: Annotated[str, Option(help="Data set or folder, as gaaf-gp evolve takes it.")] = DATA,
    evaluations: Annotated[int, Option(help="Stop when the file has so many; the same command goes on.")] = GENOTYPES,
    seeds: Annotated[int, Option(help="Trainings of each candidate.")] = SEEDS,
    epochs: Annotated[int, Option(help="Epochs of a training.")] = EPOCHS,
    batch_size: Annotated[int, Option(help="Images per training step.")] = 128,
    limit: Annotated[int | None, Option(help="Use at most this many images for the search.")] = None,
    workers: Annotated[int | None, Option(help="Worker processes.", show_default="all cores")] = None,
    out: Annotated[Path, Option(help="Folder of the file; an earlier one of the same settings is gone on with.")] = OUT,
) -> None:
    """Evaluate every distinct live function of encoding 1."""
    proxy = Proxy(load_data(data, limit=limit), epochs=epochs, batch_size=batch_size)
    processes = available_cores() if workers is None else workers
    left_out: Counter[str] = Counter()
    stopped = False
    with (
        Evaluator(proxy, gaaf.encoding1(), seeds=range(seeds), workers=processes) as evaluator,
        Journal(out / "evaluations.jsonl", provenance(evaluator)) as journal,
    ):
        try:
            evaluate(distinct(evaluator, left_out), evaluations, evaluator, journal)
        except KeyboardInterrupt:
            stopped = True
    summarize(journal, left_out)
    if stopped:
        raise typer.Exit(INTERRUPTED)


def provenance(evaluator: Evaluator) -> dict[str, Any]:
    """Return all that an evaluation depends on."""
    settings = {"primitives": evaluator.pset.name, "seeds": list(evaluator.seeds), "proxy": evaluator.proxy.settings()}
    return {"format": 1, **settings, "versions": versions()}


def distinct(evaluator: Evaluator, left_out: Counter[str]) -> Iterator[Individual]:
    """Yield the first genotype of each live function, and count the reasons for leaving out the others."""
    signatures: set[str] = set()
    for genes in itertools.product(range(len(gaaf.UNARY)), range(len(gaaf.UNARY)), range(len(gaaf.BINARY))):
        individual = gaaf.from_genes(genes, evaluator.pset)
        found = evaluator.behaviour(individual)
        reason = found.failure or (SAME if found.signature in signatures else None)
        if reason is None:
            signatures.add(found.signature)
            yield individual
        else:
            left_out[reason] += 1


def evaluate(candidates: Iterator[Individual], most: int, evaluator: Evaluator, journal: Journal) -> None:
    """Evaluate the candidates that the file lacks, until there are ``most`` evaluations in it."""
    known = {entry["text"] for entry in journal.entries}
    missing = (individual for individual in candidates if individual.canonical not in known)
    left = max(0, most - len(known))
    wanted = itertools.islice(missing, left)
    with Progress(max(0, min(most, DISTINCT) - len(known))) as shown:
        while chunk := {one.canonical: one for one in itertools.islice(wanted, CHUNK * evaluator.workers)}:

            def arrived(record: Record, chunk: dict[str, Individual] = chunk) -> None:
                journal.append(entry_of(chunk[record.text], record, evaluator))
                shown.advance(record)

            evaluator.evaluate(list(chunk.values()), arrived)


def entry_of(individual: Individual, record: Record, evaluator: Evaluator) -> dict[str, Any]:
    """Return the line of one evaluation."""
    return {
        "genes": gaaf.to_genes(individual),
        "text": record.text,
        "formula": individual.infix(),
        "signature": evaluator.behaviour(individual).signature,
        "accuracy": record.by_seed,
        "curve": {outcome.seed: [epoch.accuracy for epoch in outcome.history] for outcome in record.outcomes},
        "seconds": record.seconds,
        "failure": record.failure,
    }


def summarize(journal: Journal, left_out: Counter[str]) -> None:
    """Print the best, and what was not evaluated."""
    console = Console(highlight=False, soft_wrap=True)
    for reason, count in left_out.most_common():
        console.print(f"{count} genotypes left out: {reason}", markup=False)
    failed = sum(entry["failure"] is not None for entry in journal.entries)
    console.print(f"{len(journal.entries)} distinct functions evaluated, {failed} of them failed")
    means = {json.dumps(e["genes"]): sum(e["accuracy"].values()) / len(e["accuracy"]) for e in journal.entries}
    ranked = sorted(journal.entries, key=lambda entry: -means[json.dumps(entry["genes"])])
    for entry in ranked[:SHOWN]:
        console.print(f"{means[json.dumps(entry['genes'])]:.2%}  {entry['formula']}", markup=False)
    console.print("The best of many is better in its own evaluation than it is: confirm it on fresh seeds.")
    console.print(f"Everything is in {journal.path}", markup=False)


if __name__ == "__main__":  # worker processes import this file too
    script(main)
