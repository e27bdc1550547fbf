"""Options and arguments that several commands have."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from types import UnionType
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from gaaf_gp.cli import completion
from gaaf_gp.data.load import AnyData, load_data
from gaaf_gp.data.streamed import stream_data
from gaaf_gp.errors import GaafError
from gaaf_gp.experiments.settings import OPTIONS, PANELS, Option
from gaaf_gp.trees.candidate import Evolved, TwoTrees, parse_candidate
from gaaf_gp.trees.individual import Individual
from gaaf_gp.trees.load import load_primitives
from gaaf_gp.util.console import Mode
from gaaf_gp.util.files import plain_json

COMPLETIONS: dict[str, completion.Complete] = {
    "primitives": completion.primitive_sets,
    "data": completion.data_sets,
    "loop": completion.loops,
    "bloat": completion.controls,
    "measure": completion.sizes,
    "proxy.network": completion.networks,
    "proxy.precision": completion.precisions,
}
"""Setting -> what a shell offers for it."""
FREE = OPTIONS["primitives"].default


def json_object(text: str | dict[str, Any]) -> dict[str, Any]:
    """Return the object that JSON on the command line says.

    Raises:
        GaafError: it says anything else.
    """
    if isinstance(text, dict):  # typer hands its own result in again
        return text
    try:
        value = plain_json(text)
    except ValueError as error:
        raise GaafError(f"a JSON object is needed, as in '{{\"widths\": [8, 16]}}', got {text!r} ({error})") from None
    if not isinstance(value, dict):
        raise GaafError(f"a JSON object is needed, as in '{{\"widths\": [8, 16]}}', got {text!r}: put names into {{}}")
    return value


NetworkSettingsOption = Annotated[
    Any,
    typer.Option(
        "--network-settings",
        help=OPTIONS["proxy.network_settings"].help,
        show_default="the network's own",
        metavar="JSON",
        parser=json_object,
    ),
]
PrimitivesOption = Annotated[
    str, typer.Option(help=OPTIONS["primitives"].help, autocompletion=completion.primitive_sets)
]
ExpressionArgument = Annotated[
    str, typer.Argument(help='A tree, as in "add(sin(x), x)", or two, as in "sin(x) | x": forward | backward.')
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


class Panels(TyperCommand):
    """A command whose help lists its options under headings; those without one stand last."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options."""
        rows: dict[str, list[tuple[str, str]]] = {panel: [] for panel in PANELS}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                rows.setdefault(getattr(param, "rich_help_panel", None) or "Other options", []).append(record)
        for heading, records in rows.items():
            with formatter.section(heading):
                formatter.write_dl(records)


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command with an option for each setting of a run.

    Args:
        command: gets, as its first argument, the settings that were given on the command line, by their names in
            :data:`gaaf_gp.experiments.settings.OPTIONS`.
    """

    @functools.wraps(command)
    def wrapper(ctx: typer.Context, **values: Any) -> None:
        given = {}
        for option in OPTIONS.values():
            value = values.pop(option.parameter)
            source = ctx.get_parameter_source(option.parameter)
            if source is not None and source.name != "DEFAULT":
                given[option.setting] = tuple(value) if isinstance(value, list) else value
        command(given, **values)

    _, *own = inspect.signature(command, eval_str=True).parameters.values()
    keyword = inspect.Parameter.KEYWORD_ONLY
    wrapper.__dict__["__signature__"] = inspect.Signature(  # what typer reads
        [
            inspect.Parameter("ctx", keyword, annotation=typer.Context),
            *(inspect.Parameter(one.parameter, keyword, default=default_of(one), annotation=annotated(one))
              for one in OPTIONS.values()),
            *(one.replace(kind=keyword) for one in own),
        ]
    )  # fmt: skip
    return wrapper


def default_of(option: Option) -> Any:
    """Return the default of an option as typer takes it; what is said in words has none."""
    return None if option.shown is not None or option.default == () else option.default


def annotated(option: Option) -> Any:
    """Return the kind of an option with its names and its help, as typer reads it."""
    kind = Path if option.path else option.kind
    switch = kind in (bool, bool | None)
    if option.default == ():
        kind = list[str]
    if default_of(option) is None and not isinstance(kind, UnionType):
        kind = kind | None
    if option.kind is dict:
        kind = Any
    names = [f"{option.flag}/--no-{option.flag.removeprefix('--')}"] if switch else [option.flag]
    about = typer.Option(
        *names,
        help=option.help,
        show_default=True if option.shown is None else option.shown,
        autocompletion=COMPLETIONS.get(option.setting),
        rich_help_panel=option.panel,
        parser=json_object if option.kind is dict else None,
        metavar="JSON" if option.kind is dict else None,
    )
    return Annotated[kind, about]


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
