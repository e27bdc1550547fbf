"""``gaaf-gp report``: a run as one page that needs nothing else."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from gaaf_gp.cli import completion
from gaaf_gp.cli.options import JsonOption
from gaaf_gp.cli.output import print_json
from gaaf_gp.errors import GaafError
from gaaf_gp.experiments.report import MOST, build_page
from gaaf_gp.experiments.run_data import Place, find_run, read_run, run_of
from gaaf_gp.trees.load import is_bundled, load_primitives
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.util.files import replacing

PAGE = "report.html"

RunArgument = Annotated[
    Path, typer.Argument(metavar="DIR", help="Folder of a run, running or finished, or an archive.")
]
KeyOption = Annotated[
    str | None,
    typer.Option(
        "--run", help="Key of a run in an archive of several.", show_default="that of the folder, or the last"
    ),
]
NamedSetOption = Annotated[
    str | None,
    typer.Option(
        "--primitives",
        help="The set, if it is not one of primitives/: code is loaded only if you name it.",
        autocompletion=completion.primitive_sets,
    ),
]
MostOption = Annotated[int, typer.Option("--most", min=1, help="Candidates that are shown, the best ones.")]
OpenOption = Annotated[bool, typer.Option("--open/--no-open", help="Open it in a browser.")]


def report(
    folder: RunArgument,
    out: Annotated[
        Path | None, typer.Option(help="File to write; one that is there is replaced.", show_default=f"DIR/{PAGE}")
    ] = None,
    run: KeyOption = None,
    primitives: NamedSetOption = None,
    most: MostOption = MOST,
    open_: OpenOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write a run as one page of HTML that needs no network.

    What was gained against each baseline and how certain it is, all figures, every tree and function, the settings, and
    the command that repeats it. Of a run that goes on it is what there is so far; gaaf-gp watch keeps it up to date.
    """
    place = find_run(folder, run)
    page = build_page(read_run(place, recorded_set(place, primitives)), most=most)
    target = place.folder / PAGE if out is None else out
    if target.is_dir():
        raise GaafError(f"a report is a file, and {target} is a folder: name a file in it")
    if not target.parent.is_dir():
        raise GaafError(f"a report needs an existing folder, got {str(target.parent)!r}: make it, or name another")
    with replacing(target) as file:
        file.write(page.encode())
    if as_json:
        print_json({"file": str(target), "bytes": len(page.encode())})
    else:
        typer.echo(f"wrote {target}")
    if open_:
        webbrowser.open(target.resolve().as_uri())


def recorded_set(place: Place, named: str | None) -> PrimitiveSet | None:
    """Return the set of a run: the one that the user names, or else its own if that comes with the package.

    Returns:
        None where the run names somebody's code, or none at all: then its trees stay texts.

    Raises:
        GaafError: it cannot be loaded.
    """
    if named is not None:
        return load_primitives(named)
    own = run_of(place).config.get("primitives")
    return load_primitives(str(own)) if is_bundled(own) else None
