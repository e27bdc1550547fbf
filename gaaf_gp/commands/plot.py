"""``gaaf-gp plot``: pictures of trees."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gaaf_gp.commands.options import FREE, ExpressionArgument, PrimitivesOption, evolved
from gaaf_gp.errors import GaafError
from gaaf_gp.plot import save_figure
from gaaf_gp.plot_pair import plot_evolved

app = typer.Typer(help="Draw what was evolved.", no_args_is_help=True, rich_markup_mode=None)

OutOption = Annotated[Path, typer.Option(help="File to write: .png, .svg or .pdf.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Overwrite the file.")]


@app.command()
def tree(
    expression: ExpressionArgument, out: OutOption, primitives: PrimitivesOption = FREE, force: ForceOption = False
) -> None:
    """Draw an expression tree, or two of them beside each other."""
    individual = evolved(expression, primitives)
    _check_new(out, force)
    save_figure(plot_evolved(individual), out)
    typer.echo(f"wrote {out}")


def _check_new(out: Path, force: bool) -> None:
    if out.exists() and not force:
        raise GaafError(f"the figure must be a new file, but {out} exists: choose another name or pass --force")
