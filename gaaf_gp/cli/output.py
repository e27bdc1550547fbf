"""What programs get: one JSON document on standard output, and errors as one line of JSON on standard error.

Exit statuses are those of the commands without ``--json``. With ``--progress json`` standard error holds nothing but
JSON lines, each with an ``event``.
"""

from __future__ import annotations

import io
import itertools
import json
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from contextvars import ContextVar
from pathlib import Path
from typing import IO, Any

import typer
from rich.console import Console

from gaaf_gp.experiments import RunResult, run_folder
from gaaf_gp.experiments.resume import read_config, resume_command
from gaaf_gp.util.console import Mode, write_event
from gaaf_gp.util.files import finite

INTERRUPTED = 130
"""Exit status after Ctrl-C."""


_document: ContextVar[IO[str] | None] = ContextVar("document", default=None)
"""Where a document goes while standard output stands for standard error."""


@contextmanager
def standard_streams(arguments: Sequence[str]) -> Iterator[None]:
    """Keep standard output for what the command prints, which no terminal refuses.

    A character that the streams cannot encode is printed as its escape. With ``--json`` all else that is printed goes
    to standard error: by a user's primitives, a library written in C, or a child process.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if not wants_json(arguments):
        yield
        return
    before, number = sys.stdout, _number(sys.stdout)
    if number is None or _number(sys.stderr) is None:
        document: IO[str] = before
    else:
        before.flush()
        document = os.fdopen(os.dup(number), "w", encoding=before.encoding, errors="backslashreplace")
        os.dup2(sys.stderr.fileno(), number)
    _document.set(document)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _document.set(None)
        if document is not before and number is not None:
            document.flush()
            os.dup2(document.fileno(), number)
            document.close()


def _number(stream: Any) -> int | None:
    """Return the file descriptor of a stream, None if it has none."""
    try:
        number: int = stream.fileno()
    except (AttributeError, OSError, ValueError):
        return None
    return number


def print_json(content: Any) -> None:
    """Print a document: one line; numbers that are not finite are the texts "nan", "inf" and "-inf"."""
    typer.echo(json.dumps(finite(content), allow_nan=False), file=_document.get())


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


def finish(result: RunResult, folder: Path, mode: Mode = Mode.AUTO, as_json: bool = False) -> None:
    """Print what a run found, and how to go on with one that was interrupted.

    Args:
        result: of the run.
        folder: of the run.
        mode: how progress was shown; with JSON lines standard error gets no other lines.
        as_json: print one JSON document, the result with its ``folder``, and ``resume`` where it can be gone on with.

    Raises:
        typer.Exit: it was interrupted.
    """
    again = resume_command(folder, read_config(folder)) if result.interrupted else None
    if as_json:
        print_json({**result.as_json(), "folder": str(folder), "resume": again})
    else:
        run_folder.print_summary(result, run_folder.hall_rows(folder), folder, Console())
    if again is not None:
        if mode is Mode.JSON:
            write_event(sys.stderr, "interrupted", resume=again)
        elif not as_json:
            typer.echo(f"go on with: {again}", err=True)
        raise typer.Exit(INTERRUPTED)
