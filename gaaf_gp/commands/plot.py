"""``gaaf-gp plot``: pictures of trees and functions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gaaf_gp.candidates import parse_candidate
from gaaf_gp.commands.options import FREE, ExpressionArgument, PrimitivesOption, evolved
from gaaf_gp.errors import GaafError
from gaaf_gp.loading import load_primitives
from gaaf_gp.plot import plot_activation, plot_activations, plot_evolved, save_figure

app = typer.Typer(help="Draw what was evolved.", no_args_is_help=True, rich_markup_mode=None)

OutOption = Annotated[Path, typer.Option(help="File to write: .png, .svg or .pdf.")]
ExpressionsArgument = Annotated[
    list[str],
    typer.Argument(
        help='One or more functions: trees, as in "add(sin(x), x)", two trees, as in "sin(x) | x", or @rsign, @rprelu, '
        "@sign."
    ),
]
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


@app.command()
def activation(
    expressions: ExpressionsArgument,
    out: OutOption,
    primitives: PrimitivesOption = FREE,
    force: ForceOption = False,
) -> None:
    """Draw functions side by side.

    Each with f(x), where its sign is +1, and the slope that a network trains with, over inputs from N(0, 1).
    """
    pset = load_primitives(primitives)
    functions = [parse_candidate(expression, pset) for expression in expressions]
    _check_new(out, force)
    axes = plot_activation(functions[0]) if len(functions) == 1 else plot_activations(functions)[0]
    save_figure(axes, out)
    typer.echo(f"wrote {out}")


def _check_new(out: Path, force: bool) -> None:
    if out.exists() and not force:
        raise GaafError(f"the figure must be a new file, but {out} exists: choose another name or pass --force")
