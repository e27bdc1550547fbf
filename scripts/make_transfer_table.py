"""Make the bundled table of transfer from the trainings of runs/transfer.py, and print how well proxies rank.

A table that is there already keeps its trainings; those of the folder are added.

    python scripts/make_transfer_table.py out/transfer
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from gaaf_gp import GaafError
from gaaf_gp.cli import script
from gaaf_gp.evaluation import TransferTable, load_transfer, save_transfer
from gaaf_gp.evaluation.transfer_table import FILE, By, Cell, Curve
from gaaf_gp.util.jsonl import read_journal
from gaaf_gp.util.provenance import versions

OUT = Path(__file__).resolve().parents[1] / "gaaf_gp" / "data" / "bundled" / FILE.bundled
WAYS: tuple[By, ...] = ("accuracy", "loss", "both")
LEAST_FUNCTIONS = 10  # trained in both cells, for a tau to be shown


def main(
    folder: Annotated[Path, typer.Argument(help="Folder that runs/transfer.py wrote.")],
    out: Annotated[Path, typer.Option(help="File to write.")] = OUT,
) -> None:
    """Write the table of all trainings that there are, and print how well each proxy ranks as each target does."""
    names_file, table_before = folder / "functions.json", load_transfer(out) if out.is_file() else None
    functions = {} if table_before is None else table_before.functions
    if names_file.is_file():
        chosen = json.loads(names_file.read_text("utf-8"))
        functions = functions | {text: source for source, texts in chosen.items() for text in texts}
    seconds = json.loads((folder / "cost.json").read_text("utf-8")) if (folder / "cost.json").is_file() else {}
    before = {} if table_before is None else table_before.cells
    names = dict.fromkeys([*before, *sorted(file.stem for file in folder.glob("*.jsonl"))])
    cells = {name: merged(before.get(name), folder / f"{name}.jsonl", seconds.get(name)) for name in names}
    table = TransferTable(functions, cells, {"command": "runs/transfer.py", "torch": versions()["torch"]})
    save_transfer(table, out)
    console = Console(soft_wrap=True)
    for half in (False, True):
        console.print(agreements(table, half))


def merged(before: Cell | None, file: Path, seconds: float | None) -> Cell:
    """Return a cell with the trainings that the table had, and those of a file."""
    provenance, entries = read_journal(file) if file.is_file() else ({}, [])
    curves = {} if before is None else {seed: dict(trained) for seed, trained in before.curves.items()}
    for entry in entries:
        curve = Curve(tuple(entry["accuracy"]), tuple(entry["loss"]), entry["failure"])
        curves.setdefault(entry["seed"], {})[entry["text"]] = curve
    if before is not None:
        seconds = before.seconds if seconds is None else seconds
        settings = provenance.get("proxy", before.settings)
        if settings != before.settings:
            raise GaafError(f"{file} was trained with other settings than the table has: begin a new table")
        return replace(before, seconds=seconds, curves=curves)
    return Cell(provenance["proxy"], file.stem.startswith("target-"), seconds, curves)


def agreements(table: TransferTable, half: bool) -> Table:
    """Return a table of tau for each proxy (row) and target (column); the last row is the ceiling."""
    shown = Table(title="Kendall's tau" + (", better half" if half else "") + ": accuracy (interval); loss; both")
    targets = [name for name, cell in table.cells.items() if cell.target]
    for column in ("proxy", "seconds", *targets):
        shown.add_column(column.removeprefix("target-"))
    for name, cell in table.cells.items():
        if not cell.target:
            seconds = "" if cell.seconds is None else f"{cell.seconds:.1f}"
            shown.add_row(name, seconds, *(agreed(table, name, target, half) for target in targets))
    ceilings = [
        f"{table.ceiling(target, better_half=half):.2f}" if len(table.cells[target].curves) > 1 else "one seed"
        for target in targets
    ]
    shown.add_row("ceiling", "", *ceilings)
    return shown


def agreed(table: TransferTable, proxy: str, target: str, half: bool) -> str:
    """Return tau with its interval, and those of the training loss and of both ranks."""
    if len(table.trained(proxy, target)) < LEAST_FUNCTIONS:
        return "-"
    first, loss, both = (table.agreement(proxy, target, better_half=half, by=way) for way in WAYS)
    return f"{first.tau:+.2f} ({first.low:+.2f} to {first.high:+.2f}); {loss.tau:+.2f}; {both.tau:+.2f}"


if __name__ == "__main__":
    script(main)
