"""Options and arguments that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gaaf_gp.candidates import Evolved, TwoTrees, parse_candidate
from gaaf_gp.commands import completions
from gaaf_gp.displays import Mode
from gaaf_gp.errors import GaafError
from gaaf_gp.individual import Individual
from gaaf_gp.loading import load_primitives

FREE = "primitives.gaaf:free"

PrimitivesOption = Annotated[
    str,
    typer.Option(
        help="Primitive set: module:function or path/to/file.py:function (the file is run).",
        autocompletion=completions.primitive_sets,
    ),
]
ExpressionArgument = Annotated[
    str, typer.Argument(help='A tree, as in "add(sin(x), x)", or two, as in "sin(x) | x": forward | backward.')
]
ExecutorOption = Annotated[
    str | None,
    typer.Option(
        help="What runs the workers: dask for a Dask cluster of --workers processes on this machine, dask://HOST:PORT "
        "for one that is there. The result is the same.",
        show_default="processes of this machine",
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON document, and errors as JSON on standard error.")
]
ProgressOption = Annotated[
    Mode,
    typer.Option(
        "--progress",
        help="How progress is shown on standard error: a live display, plain lines, JSON lines, or not at all; auto is "
        "a display in a terminal and lines elsewhere.",
    ),
]
QuietOption = Annotated[bool, typer.Option("--quiet", help="Show no progress, as --progress none.")]
TensorBoardOption = Annotated[
    Path | None,
    typer.Option(
        "--tensorboard",
        help="Folder for TensorBoard's events; takes the extra gaaf-gp[tensorboard].",
        show_default="none",
    ),
]


def evolved(expression: str, primitives: str) -> Evolved:
    """Read one tree or two, of the set that ``primitives`` names.

    Raises:
        GaafError: for anything else.
    """
    found = parse_candidate(expression, load_primitives(primitives))
    if not isinstance(found, Individual | TwoTrees):
        raise GaafError(f'a tree, or two as in "sin(x) | x", is needed here, got {expression!r}, which has none')
    return found


def shown(progress: Mode, quiet: bool) -> Mode:
    """Return how progress is shown: ``--quiet`` has the last word."""
    return Mode.NONE if quiet else progress


def examples(*lines: str) -> str:
    """Return the end of a command's help, in which each example keeps its line."""
    return "\b\n" + "\n".join(["Example:" if len(lines) == 1 else "Examples:", *(f"  {line}" for line in lines)])
