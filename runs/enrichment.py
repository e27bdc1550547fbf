"""What do the best functions of encoding 1 have that the others lack? Periodic operators first of all.

The paper finds that periodic functions are a key component of most of its best activation functions. Here their share
among the best of the table of all distinct live functions is compared with their share among all, and the same is done
for every operator (Fisher's exact test; Holm-corrected over all that are looked at). It takes seconds, nothing is
trained. The constants are the choices; they can be given on the command line too.
"""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from rich.console import Console
from rich.table import Table
from typer import Option

from gaaf_gp import load_table
from gaaf_gp.cli import script
from gaaf_gp.trees import Enrichment, enrichment, enrichments
from primitives import gaaf

SHARE = 0.05  # of all functions that count as the best
OUT = Path("out/enrichment")
SHOWN = 8


def main(
    table: Annotated[Path | None, Option(help="File of a function table.", show_default="the bundled one")] = None,
    share: Annotated[float, Option(help="Share of all functions that count as the best.")] = SHARE,
    out: Annotated[Path, Option(help="Folder for result.json.")] = OUT,
) -> None:
    """Compare the best functions of a table with all of them."""
    ranked = load_table(table).best(1.0)  # those trained on more seeds ahead of the others
    pset = gaaf.encoding1()
    individuals = [gaaf.from_genes(entry.genes, pset) for entry in ranked]
    values = [-float(place) for place in range(len(ranked))]
    number = math.ceil(share * len(ranked))
    periodic = enrichment(individuals, values, number, "periodic")
    every = enrichments(individuals, values, number)
    shown = Table(title=f"the best {periodic.best} of {periodic.evaluated} functions")
    for column in ("feature", "among the best", "among all", "odds ratio", "95 % interval", "p", "p (Holm)"):
        shown.add_column(column, justify="left" if column == "feature" else "right")
    for row in (periodic, *[one for one in every if one.feature != periodic.feature][:SHOWN]):
        shown.add_row(*cells(row, next(one.p_holm for one in every if one.feature == row.feature)))
    console = Console(soft_wrap=True)
    console.print(shown)
    console.print(verdict(periodic), markup=False)
    out.mkdir(parents=True, exist_ok=True)
    result = {"share": share, "periodic": finite(periodic), "features": [finite(one) for one in every]}
    (out / "result.json").write_text(json.dumps(result, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def cells(row: Enrichment, p_holm: float | None) -> list[str]:
    """Return one line of the table."""
    return [
        row.feature,
        f"{row.best_with} of {row.best} ({row.share_best:.1%})",
        f"{row.evaluated_with} of {row.evaluated} ({row.share_evaluated:.1%})",
        "-" if row.odds_ratio is None else f"{row.odds_ratio:.2f}",
        f"{row.low:.2f} to {row.high:.2f}",
        f"{row.p_value:.2g}",
        "-" if p_holm is None else f"{p_holm:.2g}",
    ]


def verdict(periodic: Enrichment) -> str:
    """Say what became of the paper's claim."""
    if periodic.low > 1:
        return (
            "Periodic operators are more frequent among the best than among all: the paper's claim is confirmed here."
        )
    if periodic.high < 1:
        return "Periodic operators are LESS frequent among the best than among all: here the paper's claim is wrong."
    return (
        "Periodic operators are not shown to be more frequent among the best: the paper's claim is not confirmed here."
    )


def finite(row: Enrichment) -> dict[str, object]:
    """Return the row fit for JSON, which has no infinity."""
    values = asdict(row)
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in values.items()
    }


if __name__ == "__main__":
    script(main)
