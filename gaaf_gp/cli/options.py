"""Options and arguments that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from gaaf_gp.cli import completion
from gaaf_gp.data.load import AnyData, load_data
from gaaf_gp.data.streamed import stream_data
from gaaf_gp.errors import GaafError
from gaaf_gp.trees.candidate import Evolved, TwoTrees, parse_candidate
from gaaf_gp.trees.individual import Individual
from gaaf_gp.trees.load import load_primitives
from gaaf_gp.util.console import Mode

FREE = "primitives.gaaf:free"

PrimitivesOption = Annotated[
    str,
    typer.Option(
        help="Primitive set: module:function or path/to/file.py:function (the file is run).",
        autocompletion=completion.primitive_sets,
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


def streams(data: str, stream: bool | None) -> bool:
    """Return whether images are streamed: as the user says, and for ImageNet where the user says nothing."""
    return data == "imagenet" if stream is None else stream


def loading_settings(streamed: bool, workers: int | None, image_size: int | None, download: bool) -> dict[str, Any]:
    """Return the settings that only one of both ways to load images has.

    Raises:
        GaafError: one of the other way is given.
    """
    if not streamed:
        if workers is not None:
            raise GaafError(f"stream workers decode streamed images, got {workers} of them without: add --stream")
        return {"image_size": image_size, "download": download}
    if download:
        raise GaafError("streamed images must be there, and cannot be downloaded: leave --download out")
    return {"workers": workers or 0, **({} if image_size is None else {"image_size": image_size})}


def open_images(data: str, streamed: bool, **settings: Any) -> AnyData:
    """Return the images of a data set or folder; the settings are those of either way to load them.

    Raises:
        GaafError: what :func:`gaaf_gp.load_data` or :func:`gaaf_gp.data.streamed.stream_data` refuses.
    """
    return stream_data(data, **settings) if streamed else load_data(data, **settings)
