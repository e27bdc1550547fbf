"""Every distinct live function of the paper's encoding 1, b0(u0(x), u1(x)), evaluated once: what is there to be found.

Of 5,324 genotypes those are left out that training could not repair, and those that train as an earlier one; 2,386
remain, little more than the budget of one run of the paper's search. 545 of them have a constant sign at the start, and
learnable operators that may revive them. Each evaluation is a line of evaluations.jsonl. With ``--refine 200`` the best
200 of them are then trained on further seeds, into refined.jsonl; scripts/make_encoding1_table.py makes one table of
both. Stop with Ctrl-C whenever you like: the same command goes on. The constants are the choices; most can be given on
the command line too.
"""

import itertools
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from typer import Option

from gaaf_gp import Evaluator, GaafError, Individual, Proxy, load_data
from gaaf_gp.binary import NETWORKS
from gaaf_gp.cli import INTERRUPTED, script
from gaaf_gp.evaluation import Record
from gaaf_gp.search import Progress
from gaaf_gp.search.result import SAME
from gaaf_gp.training import DEFAULT_EPOCHS
from gaaf_gp.util.devices import available_cores
from gaaf_gp.util.jsonl import Journal
from gaaf_gp.util.provenance import versions
from primitives import gaaf

GENOTYPES = len(gaaf.UNARY) ** 2 * len(gaaf.BINARY)
DATA = "fashion10k"  # comes with the project; "cifar10" is the paper's
SEEDS = 1  # trainings of each candidate
REFINED_SEEDS = 5  # trainings of each of the best, if they are refined
EPOCHS = DEFAULT_EPOCHS
DISTINCT = 2386  # functions to evaluate, as the progress line has it; a last bit of another machine may change it
CHUNK = 16  # candidates for each worker process that are handed out together
OUT = Path("out/exhaustive_encoding1")
SHOWN = 5


def main(
    data: Annotated[str, Option(help="Data set or folder, as gaaf-gp evolve takes it.")] = DATA,
    evaluations: Annotated[int, Option(help="Stop when the file has so many; the same command goes on.")] = GENOTYPES,
    seeds: Annotated[int, Option(help="Trainings of each candidate.")] = SEEDS,
    refine: Annotated[int, Option(help="Train so many of the best again, on further seeds.")] = 0,
    refine_seeds: Annotated[int, Option(help="Trainings of each of these, the first included.")] = REFINED_SEEDS,
    epochs: Annotated[int, Option(help="Epochs of a training.")] = EPOCHS,
    batch_size: Annotated[int, Option(help="Images per training step.")] = 128,
    limit: Annotated[int | None, Option(help="Use at most this many images for the search.")] = None,
    image_size: Annotated[int | None, Option(help="Resize images to this many pixels a side.")] = None,
    network: Annotated[str, Option(help=f"Binary network: {', '.join(NETWORKS)}.")] = "small",
    device: Annotated[str, Option(help="Where to train: cpu, cuda, cuda:1, ...")] = "cpu",
    at_once: Annotated[int, Option(help="Candidates that are trained as one; for a GPU.")] = 1,
    workers: Annotated[int | None, Option(help="Worker processes.", show_default="all cores")] = None,
    out: Annotated[Path, Option(help="Folder of the file; an earlier one of the same settings is gone on with.")] = OUT,
) -> None:
    """Evaluate every distinct live function of encoding 1."""
    if refine and refine_seeds <= seeds:
        raise GaafError(f"refine_seeds must be more than the {seeds} seeds of all candidates, got {refine_seeds}")
    images = load_data(data, limit=limit, image_size=image_size, device=device)
    proxy = Proxy(images, network, epochs=epochs, batch_size=batch_size)
    processes = available_cores() if workers is None else workers
    left_out: Counter[str] = Counter()
    stopped = False
    with (
        Evaluator(proxy, gaaf.encoding1(), seeds=range(seeds), workers=processes, at_once=at_once) as evaluator,
        Journal(out / "evaluations.jsonl", provenance(evaluator)) as journal,
    ):
        try:
            evaluate(distinct(evaluator, left_out), evaluations, evaluator, journal)
            if refine:
                evaluator.close()  # the further seeds have workers of their own
                refine_best(journal.entries, refine, range(seeds, refine_seeds), evaluator, out)
        except KeyboardInterrupt:
            stopped = True
    summarize(journal, left_out)
    if stopped:
        raise typer.Exit(INTERRUPTED)


def provenance(evaluator: Evaluator) -> dict[str, Any]:
    """Return all that an evaluation depends on."""
    settings = {"primitives": evaluator.pset.name, "seeds": list(evaluator.seeds), "proxy": evaluator.proxy.settings()}
    return {"format": 1, **settings, "versions": versions()}


def genotypes() -> Iterator[tuple[int, ...]]:
    """Yield every genotype, [u0, u1, b0]."""
    yield from itertools.product(range(len(gaaf.UNARY)), range(len(gaaf.UNARY)), range(len(gaaf.BINARY)))


def distinct(evaluator: Evaluator, left_out: Counter[str]) -> Iterator[Individual]:
    """Yield the first genotype of each live function, and count the reasons for leaving out the others."""
    signatures: set[str] = set()
    for genes in genotypes():
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


def refine_best(
    entries: Sequence[dict[str, Any]], number: int, seeds: Sequence[int], first: Evaluator, out: Path
) -> None:
    """Evaluate the best of the entries on further seeds too, into a file of their own, and print the best on these."""
    ranked = sorted((one for one in entries if one["failure"] is None), key=lambda one: (-mean(one), one["text"]))
    best = [gaaf.from_genes(entry["genes"], first.pset) for entry in ranked[:number]]
    with (
        Evaluator(first.proxy, first.pset, seeds=seeds, workers=first.workers, at_once=first.at_once) as evaluator,
        Journal(out / "refined.jsonl", provenance(evaluator)) as journal,
    ):
        known = {entry["text"] for entry in journal.entries}
        evaluate(iter(best), len(known | {one.canonical for one in best}), evaluator, journal)
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{len(journal.entries)} of the best trained on seeds {list(seeds)} too; on these alone:")
    for entry in sorted(journal.entries, key=lambda one: (-mean(one), one["text"]))[:SHOWN]:
        console.print(f"{mean(entry):.2%}  {entry['formula']}", markup=False)


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
    for entry in sorted(journal.entries, key=lambda one: -mean(one))[:SHOWN]:
        console.print(f"{mean(entry):.2%}  {entry['formula']}", markup=False)
    console.print("The best of many is better in its own evaluation than it is: confirm it on fresh seeds.")
    console.print(f"Everything is in {journal.path}", markup=False)


def mean(entry: dict[str, Any]) -> float:
    """Return the mean accuracy of an evaluation over its seeds."""
    return statistics.fmean(entry["accuracy"].values())


if __name__ == "__main__":  # worker processes import this file too
    script(main)
