"""What do the best functions of encoding 1 have that the others lack? Periodic operators first of all.

The paper finds that periodic functions are a key component of most of its best activation functions. Here their share
among the best of the table of all distinct live functions is compared with their share among all, and the same is done
for every operator (Fisher's exact test; Holm-corrected over all that are looked at). It takes seconds, nothing is
trained.
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

COLUMNS = ("feature", "among the best", "among all", "odds ratio", "95 % interval", "p", "p (Holm)")
SHOWN = 8


def main(
    table: Annotated[Path | None, Option(help="File of a function table.", show_default="the bundled one")] = None,
    share: Annotated[float, Option(help="Share of all functions that count as the best.")] = 0.05,
    out: Annotated[Path, Option(help="Folder for result.json.")] = Path("out/enrichment"),
) -> None:
    """Compare the best functions of a table with all of them."""
    ranked, pset = load_table(table).best(1.0), gaaf.encoding1()  # those trained on more seeds ahead of the others
    individuals = [gaaf.from_genes(entry.genes, pset) for entry in ranked]
    values, number = [-float(place) for place in range(len(ranked))], math.ceil(share * len(ranked))
    periodic, features = enrichment(individuals, values, number, "periodic"), enrichments(individuals, values, number)
    holm = {row.feature: row.p_holm for row in features}

    shown = Table(*COLUMNS, title=f"the best {periodic.best} of {periodic.evaluated} functions")
    for row in (periodic, *[row for row in features if row.feature != "periodic"][:SHOWN]):
        shown.add_row(
            row.feature,
            f"{row.best_with} of {row.best} ({row.share_best:.1%})",
            f"{row.evaluated_with} of {row.evaluated} ({row.share_evaluated:.1%})",
            "-" if row.odds_ratio is None else f"{row.odds_ratio:.2f}",
            f"{row.low:.2f} to {row.high:.2f}",
            f"{row.p_value:.2g}",
            "-" if (p_holm := holm.get(row.feature)) is None else f"{p_holm:.2g}",
        )
    console = Console(soft_wrap=True)
    console.print(shown)
    if periodic.low > 1:
        verdict = "more frequent among the best than among all: the paper's claim is confirmed here"
    elif periodic.high < 1:
        verdict = "LESS frequent among the best than among all: here the paper's claim is wrong"
    else:
        verdict = "not shown to be more frequent among the best: the paper's claim is not confirmed here"
    console.print(f"Periodic operators are {verdict}.", markup=False)
    result = {"share": share, "periodic": as_json(periodic), "features": [as_json(row) for row in features]}
    out.mkdir(parents=True, exist_ok=True)
    (out / "result.json").write_text(json.dumps(result, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def as_json(row: Enrichment) -> dict[str, object]:
    """Return the row without infinity, which JSON does not have."""
    return {name: None if value in (math.inf, -math.inf) else value for name, value in asdict(row).items()}


if __name__ == "__main__":
    script(main)
