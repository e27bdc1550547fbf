"""Make the table of encoding 1 that comes with the package from the evaluations of an exhaustive run.

    python runs/exhaustive_encoding1.py --refine 200 --refine-seeds 5
    python scripts/make_encoding1_table.py out/exhaustive_encoding1

The folder holds evaluations.jsonl, every distinct live function of encoding 1, and refined.jsonl, the best of them on
further seeds. Every genotype is looked at once more (seconds), so that the table knows those that were never trained.
Run it on the machine of the run: elsewhere a last bit may tell two functions apart, or not, and then it says so.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from gaaf_gp import GaafError, Individual
from gaaf_gp.activations import Behaviour, behaviour
from gaaf_gp.binary import PAPER, Surrogate
from gaaf_gp.cli import script
from gaaf_gp.evaluation import FunctionTable, save_table
from gaaf_gp.evaluation.table import FILE, Entry, packed
from gaaf_gp.util.jsonl import read_journal
from primitives import gaaf

MOST = 5_000_000  # bytes of the file
DIGITS = 4  # of the curves; accuracies are kept as they are
OUT = Path(__file__).resolve().parents[1] / "gaaf_gp" / "data" / "bundled" / FILE.bundled


def main(
    folder: Annotated[Path, typer.Argument(help="Folder of evaluations.jsonl and refined.jsonl.")],
    out: Annotated[Path, typer.Option(help="File to write.")] = OUT,
) -> None:
    """Make the table of encoding 1, and print its SHA-256."""
    table = make_table(folder)
    content = packed(table)
    if len(content) > MOST:
        raise GaafError(f"the table must fit into {MOST} bytes to be shipped, and has {len(content)}: round its curves")
    save_table(table, out)
    rejected = sum(table.entry(text) is None for text in table.texts())
    refined = sum(len(entry.accuracy) > len(table.seeds) for entry in table.entries)
    print(f"{len(table.entries)} functions, {refined} of them refined; {len(table)} trees, {rejected} of them rejected")
    print(f"{hashlib.sha256(content).hexdigest()}  {out.name}  {len(content)} bytes")


def make_table(folder: Path) -> FunctionTable:
    """Return the table of the two files.

    Raises:
        GaafError: if a file is missing, the two are of different settings, or evaluations are missing.
    """
    provenance, evaluations = read_journal(folder / "evaluations.jsonl")
    further, refined = read_journal(folder / "refined.jsonl")
    first, seeds = provenance.pop("seeds"), further.pop("seeds")
    if provenance != further or set(first) & set(seeds):
        raise GaafError(
            f"both files in {folder} must be of the same settings and of different seeds, and they are not (seeds "
            f"{first} and {seeds}): make refined.jsonl with the command that made evaluations.jsonl"
        )
    again = {row["text"]: row for row in refined}
    entries = [entry(row, again.get(row["text"])) for row in evaluations]
    provenance |= {"seeds": first, "refined": {"functions": len(again), "seeds": seeds}}
    pset = gaaf.encoding1()
    known = {}
    for genes in gaaf.genotypes():
        tree = gaaf.from_genes(genes, pset)
        if tree.canonical not in known:
            known[tree.canonical] = judged(tree, provenance["proxy"]["network_settings"])
    return FunctionTable(entries, known, provenance)


def entry(row: Mapping[str, Any], again: Mapping[str, Any] | None) -> Entry:
    """Return the function of a line of evaluations.jsonl and, if it was refined, the one of refined.jsonl."""
    rows = [row] if again is None else [row, again]
    return Entry(
        tuple(row["genes"]),
        row["text"],
        row["formula"],
        row["signature"],
        {int(seed): value for one in rows for seed, value in one["accuracy"].items()},
        {int(seed): rounded(curve) for one in rows for seed, curve in one["curve"].items()},
        round(sum(one["seconds"] for one in rows), 3),
        next((one["failure"] for one in rows if one["failure"]), None),
    )


def rounded(curve: list[float]) -> tuple[float, ...]:
    """Return a curve with as many digits as are shipped."""
    return tuple(round(accuracy, DIGITS) for accuracy in curve)


def judged(tree: Individual, network_settings: Mapping[str, Any]) -> Behaviour:
    """Return how a tree behaves in a network with these settings, as :meth:`gaaf_gp.Proxy.behaviour` has it."""
    chosen = {**PAPER, **network_settings}
    surrogate = Surrogate(chosen["surrogate"], chosen["window"], chosen.get("sharpness"))
    return behaviour(tree, surrogate, negation=not chosen["pad_value"])


if __name__ == "__main__":
    script(main)
