"""Exhaustive search: train every distinct live function of the paper's encoding 1, b0(u0(x), u1(x)), once.

Of its 5,324 genotypes 2,386 are left without those that training cannot repair, or that train as an earlier one; 545 of
these have a constant sign at first, and learnable operators that may revive them. ``--refine 200`` trains the best 200
on further seeds too; scripts/make_encoding1_table.py makes one table of evaluations.jsonl and refined.jsonl. Stop with
Ctrl-C whenever you like: the same command goes on.
"""

import statistics
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Option

from gaaf_gp import Evaluator, GaafError, Individual, Proxy, load_data
from gaaf_gp.cli import INTERRUPTED, script
from gaaf_gp.evaluation import Record
from gaaf_gp.search import Progress, distinct
from gaaf_gp.training import DEFAULT_EPOCHS
from gaaf_gp.util.devices import available_cores
from gaaf_gp.util.jsonl import Journal
from gaaf_gp.util.provenance import versions
from primitives import gaaf

OUT = Path("out/exhaustive_encoding1")


def main(
    data: str = "fashion10k",  # comes with the project; "cifar10" is the paper's
    limit: int | None = None,
    image_size: int | None = None,
    network: str = "small",
    epochs: int = DEFAULT_EPOCHS,
    batch_size: int = 128,
    seeds: Annotated[int, Option(help="Trainings of each function.")] = 1,
    evaluations: Annotated[int, Option(help="Stop when the file has so many; the same command goes on.")] = 5324,
    refine: Annotated[int, Option(help="Train so many of the best again, on further seeds.")] = 0,
    refine_seeds: Annotated[int, Option(help="Trainings of each of these, the first included.")] = 5,
    device: str = "cpu",
    at_once: Annotated[int, Option(help="Functions that are trained as one; for a GPU.")] = 1,
    workers: int | None = None,
    out: Annotated[Path, Option(help="Folder; earlier files of the same settings are gone on with.")] = OUT,
) -> None:
    """Evaluate every distinct live function of encoding 1."""
    if refine and refine_seeds <= seeds:
        raise GaafError(f"refine_seeds must be more than the {seeds} seeds of all candidates, got {refine_seeds}")
    images = load_data(data, limit=limit, image_size=image_size, device=device)
    proxy, pset = Proxy(images, network, epochs=epochs, batch_size=batch_size), gaaf.encoding1()
    how = {"workers": available_cores() if workers is None else workers, "at_once": at_once}
    left_out: Counter[str] = Counter()
    try:
        with Evaluator(proxy, pset, seeds=range(seeds), **how) as evaluator:
            every = (gaaf.from_genes(genes, pset) for genes in gaaf.genotypes())
            candidates = list(distinct(every, evaluator.behaviour, left_out))
            rows = train(candidates, evaluations, evaluator, out / "evaluations.jsonl")
        if refine:
            able = [row["genes"] for row in rows if row["failure"] is None]
            best = [gaaf.from_genes(genes, pset) for genes in able[:refine]]
            with Evaluator(proxy, pset, seeds=range(seeds, refine_seeds), **how) as evaluator:
                train(best, len(best), evaluator, out / "refined.jsonl")
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    for reason, count in left_out.most_common():
        print(f"{count} genotypes left out: {reason}")
    print("The best of many is better in its own evaluation than it is: confirm it on fresh seeds.")


def train(candidates: Sequence[Individual], most: int, evaluator: Evaluator, file: Path) -> list[dict[str, Any]]:
    """Evaluate candidates that the file lacks, until it has ``most`` lines; print the best and return all lines."""
    settings = {"primitives": evaluator.pset.name, "seeds": list(evaluator.seeds), "proxy": evaluator.proxy.settings()}
    with Journal(file, {"format": 1, **settings, "versions": versions()}) as journal:
        present = {row["text"] for row in journal.entries}
        missing = [tree for tree in candidates if tree.canonical not in present][: max(0, most - len(present))]
        trees = {tree.canonical: tree for tree in missing}
        try:
            with Progress(len(missing)) as shown:

                def arrived(record: Record) -> None:
                    tree = trees[record.text]
                    identity = {"genes": gaaf.to_genes(tree), "text": record.text, "formula": tree.infix()}
                    curve = {outcome.seed: [epoch.accuracy for epoch in outcome.history] for outcome in record.outcomes}
                    measured = {"accuracy": record.by_seed, "curve": curve, "seconds": record.seconds}
                    signature = evaluator.behaviour(tree).signature
                    journal.append({**identity, "signature": signature, **measured, "failure": record.failure})
                    shown.advance(record)

                evaluator.evaluate(missing, arrived)
        finally:  # Ctrl-C included
            rows = sorted(journal.entries, key=lambda row: (-mean(row), row["text"]))
            failed = sum(row["failure"] is not None for row in rows)
            print(f"{len(rows)} distinct functions evaluated, {failed} of them failed; all are in {file}")
            print("\n".join(f"{mean(row):.2%}  {row['formula']}" for row in rows[:5]))
        return rows


def mean(row: dict[str, Any]) -> float:
    """Return the mean accuracy of an evaluation over its seeds."""
    return statistics.fmean(row["accuracy"].values())


if __name__ == "__main__":  # worker processes import this file too
    script(main)
