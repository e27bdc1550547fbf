"""``gaaf-gp plot``: pictures of trees and functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gaaf_gp.cli.options import FREE, ExpressionArgument, JsonOption, PrimitivesOption, evolved, examples
from gaaf_gp.cli.output import print_json
from gaaf_gp.cli.report import KeyOption, NamedSetOption, RunArgument, recorded_set
from gaaf_gp.cli.tour import Group
from gaaf_gp.errors import GaafError, listed
from gaaf_gp.experiments.report import FIGURES, RunFigure
from gaaf_gp.experiments.run_data import RunData, find_run, read_run
from gaaf_gp.plots import plot_activation, plot_activations, plot_evolved
from gaaf_gp.plots.style import ENDINGS, LIGHT, own_settings, save_figure
from gaaf_gp.trees.candidate import parse_candidate
from gaaf_gp.trees.load import load_primitives

if TYPE_CHECKING:  # gaaf_gp.plots.backend goes ahead of all that imports matplotlib
    from matplotlib.axes import Axes

FIGURES_FOLDER = "figures"
"""In the folder of a run."""
PAGES = ".pdf"
"""Ending of a file that has a page for each figure."""


def target_files(target: Path, figures: Sequence[RunFigure], force: bool) -> dict[str, Path]:
    """Return name of a figure -> its file.

    Raises:
        GaafError: one file cannot hold them all, or a file exists and ``force`` is false.
    """
    ending = target.suffix.lower()
    if ending in ENDINGS and ending != PAGES and len(figures) > 1:
        raise GaafError(
            f"a {ending} file holds one figure, got {len(figures)}: name one with --only, or a folder or a {PAGES} file"
        )
    single = ending in ENDINGS
    files = {figure.name: target if single else target / f"{figure.name}.png" for figure in figures}
    there = sorted({str(path) for path in files.values() if path.exists()})
    if there and not force:
        raise GaafError(f"figures must be new files, but {listed(there, 3)} exist: choose another name or pass --force")
    return files


def draw_run(data: RunData, figures: Sequence[RunFigure]) -> tuple[dict[str, Axes], dict[str, str]]:
    """Return the figures by name, and the names of those that there are not with what is missing."""
    drawn, missing = {}, {}
    for figure in figures:
        found = figure.draw(data, LIGHT)
        if isinstance(found, str):
            missing[figure.name] = found
        else:
            drawn[figure.name] = found
    return drawn, missing


def write_run(drawn: Mapping[str, Axes], files: Mapping[str, Path], target: Path) -> list[Path]:
    """Write figures, and return their files.

    Raises:
        GaafError: they cannot be written.
    """
    if not drawn:
        return []
    if target.suffix.lower() not in ENDINGS:
        try:
            target.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise GaafError(
                f"figures need a folder, and {target} is none ({error.strerror}): choose another"
            ) from error
    if target.suffix.lower() == PAGES and len(drawn) > 1:
        return [_write_pages(drawn, target)]
    for name, axes in drawn.items():
        save_figure(axes, files[name])
    return [files[name] for name in drawn]


def _write_pages(drawn: Mapping[str, Axes], target: Path) -> Path:
    if not target.parent.is_dir():
        raise GaafError(f"a figure needs an existing folder, got {str(target.parent)!r}: make it, or name another")
    from matplotlib.backends.backend_pdf import PdfPages  # noqa: PLC0415  see above

    try:
        with own_settings(), PdfPages(target) as pages:
            for axes in drawn.values():
                pages.savefig(axes.figure.figure, bbox_inches="tight")
    except OSError as error:
        raise GaafError(f"a figure's file must be writable, {str(target)!r} is not ({error.strerror})") from error
    return target


app = typer.Typer(help="Draw what was evolved.", cls=Group, rich_markup_mode=None)

OutOption = Annotated[Path, typer.Option(help="File to write: .png, .svg or .pdf.")]
ExpressionsArgument = Annotated[
    list[str],
    typer.Argument(
        help='One or more functions: trees, as in "add(sin(x), x)", two trees, as in "sin(x) | x", or @rsign, @rprelu, '
        "@sign."
    ),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Overwrite the file.")]


@app.command(epilog=examples('gaaf-gp plot tree "add(sin(x), x)" --out tree.png'))
def tree(
    expression: ExpressionArgument,
    out: OutOption,
    primitives: PrimitivesOption = FREE,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Draw an expression tree, or two of them beside each other."""
    individual = evolved(expression, primitives)
    check_new(out, force)
    write_figure(plot_evolved(individual), out, as_json)


@app.command(epilog=examples('gaaf-gp plot activation "add(sin(x), x)" @rprelu --out functions.png'))
def activation(
    expressions: ExpressionsArgument,
    out: OutOption,
    primitives: PrimitivesOption = FREE,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Draw functions side by side.

    Each with f(x), where its sign is +1, and the slope that a network trains with, over inputs from N(0, 1).
    """
    pset = load_primitives(primitives)
    functions = [parse_candidate(expression, pset) for expression in expressions]
    check_new(out, force)
    axes = plot_activation(functions[0]) if len(functions) == 1 else plot_activations(functions)[0]
    write_figure(axes, out, as_json)


@app.command(
    epilog=examples(
        "gaaf-gp plot run out/first                                 All figures, as files in out/first/figures.",
        "gaaf-gp plot run out/first --out first.pdf                 All of them as pages of one file.",
        "gaaf-gp plot run out/first --only front --out front.svg    One of them.",
    )
)
def run(
    folder: RunArgument,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder, or a file: .pdf for all, .png or .svg of one.", show_default="DIR/figures"),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(help=f"A figure: {', '.join(one.name for one in FIGURES)}; may be repeated.", show_default="all"),
    ] = None,
    key: KeyOption = None,
    primitives: NamedSetOption = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Draw how a search went, of its archive alone, while it goes on or after it has ended."""
    place = find_run(folder, key)
    figures = [one for one in FIGURES if one.name in (only or [one.name])]
    if unknown := sorted({*(only or ())} - {one.name for one in FIGURES}):
        raise GaafError(f"figures of a run are {listed(one.name for one in FIGURES)}, got {listed(unknown)}: choose")
    target = place.folder / FIGURES_FOLDER if out is None else out
    files = target_files(target, figures, force)
    drawn, missing = draw_run(read_run(place, recorded_set(place, primitives)), figures)
    written = write_run(drawn, files, target)
    if as_json:
        print_json({"files": [str(one) for one in written], "missing": missing})
    else:
        for one in written:
            typer.echo(f"wrote {one}")
        for name, why in missing.items():
            typer.echo(f"no {name}: {why}")


def write_figure(axes: Axes, out: Path, as_json: bool) -> None:
    """Write a figure, and say so.

    Raises:
        GaafError: it cannot be written.
    """
    save_figure(axes, out)
    if as_json:
        print_json({"file": str(out)})
    else:
        typer.echo(f"wrote {out}")


def check_new(out: Path, force: bool) -> None:
    """Refuse to overwrite a file unasked.

    Raises:
        GaafError: it exists, and ``force`` is false.
    """
    if out.exists() and not force:
        raise GaafError(f"the figure must be a new file, but {out} exists: choose another name or pass --force")
