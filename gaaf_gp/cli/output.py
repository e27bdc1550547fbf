"""What programs get: one JSON document on standard output, and errors as one line of JSON on standard error.

Exit statuses are those of the commands without ``--json``. With ``--progress json`` standard error holds nothing but
JSON lines, each with an ``event``.
"""

from __future__ import annotations

import itertools
import json
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from gaaf_gp.experiments import run_folder
from gaaf_gp.experiments.resume import read_config, resume_command
from gaaf_gp.util.console import Mode, write_event
from gaaf_gp.util.files import finite

INTERRUPTED = 130
"""Exit status after Ctrl-C."""


def print_json(content: Any) -> None:
    """Print a document: one line; numbers that are not finite are the texts "nan", "inf" and "-inf"."""
    typer.echo(json.dumps(finite(content), allow_nan=False))


def report_error(message: str, arguments: Sequence[str], label: str = "error: ") -> None:
    """Print one line on standard error: for people, or as JSON where the arguments ask for that.

    Args:
        message: what is wrong.
        arguments: of the command line, which may not have been understood.
        label: stands ahead of it, for people.
    """
    if wants_events(arguments):
        write_event(sys.stderr, "error", error=message)
    elif wants_json(arguments):
        typer.echo(json.dumps({"error": message}), err=True)
    else:
        typer.echo(label + message, err=True)


def wants_json(arguments: Sequence[str]) -> bool:
    """Return whether a document was asked for, also where the rest of the arguments is wrong."""
    return "--json" in _options(arguments)


def wants_events(arguments: Sequence[str]) -> bool:
    """Return whether progress was asked for as JSON lines."""
    options, name = _options(arguments), "--progress"
    pairs = itertools.pairwise(options)
    return f"{name}={Mode.JSON}" in options or (name, str(Mode.JSON)) in pairs


@contextmanager
def warnings_as_events(arguments: Sequence[str]) -> Iterator[None]:
    """Turn Python's warnings into events where progress is JSON lines, so that nothing else is among them."""
    if not wants_events(arguments):
        yield
        return
    with warnings.catch_warnings():
        warnings.showwarning = _shown
        yield


def _shown(message: Warning | str, category: type[Warning], *_others: object, **_more: object) -> None:
    write_event(sys.stderr, "warning", warning=str(message), category=category.__name__)


def _options(arguments: Sequence[str]) -> list[str]:
    found = list(arguments)
    return found[: found.index("--")] if "--" in found else found


def finish(result: dict[str, Any], folder: Path, mode: Mode = Mode.AUTO, as_json: bool = False) -> None:
    """Print what a run found, and how to go on with one that was interrupted.

    Args:
        result: what ``result.json`` holds.
        folder: of the run.
        mode: how progress was shown; with JSON lines standard error gets no other lines.
        as_json: print one JSON document, the result with its ``folder``, and ``resume`` where it can be gone on with.

    Raises:
        typer.Exit: it was interrupted.
    """
    again = resume_command(folder, read_config(folder)) if result["interrupted"] else None
    if as_json:
        print_json({**result, "folder": str(folder), "resume": again})
    else:
        run_folder.print_summary(result, run_folder.hall_rows(folder), folder, Console())
    if again is not None:
        if mode is Mode.JSON:
            write_event(sys.stderr, "interrupted", resume=again)
        elif not as_json:
            typer.echo(f"go on with: {again}", err=True)
        raise typer.Exit(INTERRUPTED)
