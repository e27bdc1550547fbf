"""How a search ends on the command line: what it found, and how to go on with one that was interrupted."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from gaaf_gp import outputs
from gaaf_gp.commands import INTERRUPTED
from gaaf_gp.commands.json_output import print_json
from gaaf_gp.displays import Mode, write_event


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
    again = f"gaaf-gp resume {shlex.quote(str(folder))}" if result["interrupted"] else None
    if as_json:
        print_json({**result, "folder": str(folder), "resume": again})
    else:
        outputs.print_summary(result, outputs.hall_rows(folder), folder, Console())
    if again is not None:
        if mode is Mode.JSON:
            write_event(sys.stderr, "interrupted", resume=again)
        elif not as_json:
            typer.echo(f"go on with: {again}", err=True)
        raise typer.Exit(INTERRUPTED)
