"""The command line, ``gaaf-gp``: its commands by name, and what becomes of bad input and of signals.

Bad input ends with one line on standard error and exit status 2, never with a traceback.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import typer
from typer.exceptions import TyperException

from gaaf_gp.candidates import TwoTrees
from gaaf_gp.commands import INTERRUPTED
from gaaf_gp.commands.archive import app as archive_app
from gaaf_gp.commands.catalogue import app as catalogue_app
from gaaf_gp.commands.evolve import evolve
from gaaf_gp.commands.options import FREE, ExpressionArgument, PrimitivesOption, evolved
from gaaf_gp.commands.plot import app as plot_app
from gaaf_gp.commands.resume import resume
from gaaf_gp.commands.retrain import retrain
from gaaf_gp.errors import GaafError
from gaaf_gp.semantics import positive_share, screen
from gaaf_gp.simplify import simplify

app = typer.Typer(
    name="gaaf-gp",
    help="Evolve activation functions for binary neural networks by strongly typed genetic programming.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(plot_app, name="plot")
app.add_typer(catalogue_app, name="catalogue")
app.add_typer(archive_app, name="archive")
app.command()(evolve)
app.command()(resume)
app.command()(retrain)


@app.command()
def show(expression: ExpressionArgument, primitives: PrimitivesOption = FREE) -> None:
    """Say what a tree is, or two of them.

    Its formula, LaTeX, size, height and cost, how often its sign is positive, and whether it would be trained.
    """
    individual = evolved(expression, primitives)
    forward = individual.forward if isinstance(individual, TwoTrees) else individual
    rejected = screen(individual)
    rows: list[tuple[str, Any]] = [
        ("text", individual),
        ("formula", individual.infix()),
        ("LaTeX", individual.latex()),
        ("size", f"{individual.size} nodes"),
        ("height", individual.height),
        ("cost", f"{individual.cost:g} additions per element"),
        ("positive", f"{positive_share(forward):.1%} of the signs for x ~ N(0, 1)"),
        ("screen", "would be trained" if rejected is None else f"would be rejected: {rejected}"),
    ]
    simple = simplify(individual)
    if simple.canonical != individual.canonical:
        rows.insert(2, ("simply", f"{simple.infix()}, {simple.size} nodes: {simple}"))
    for name, value in rows:
        typer.echo(f"{name:<9} {value}")


app.command()(retrain)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its status: 0, 2 for bad input, 130 after Ctrl-C."""
    _run(app, sys.argv[1:] if arguments is None else arguments)


def script(function: Callable[..., None]) -> None:
    """Run a function as a command of its own, with its typed arguments as options, and exit as :func:`main` does."""
    own = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    own.command()(function)
    _run(own, sys.argv[1:])


def _run(commands: typer.Typer, arguments: Sequence[str]) -> None:
    try:
        with _termination_as_interrupt():
            status = commands(list(arguments), standalone_mode=False)
    except (GaafError, TyperException) as error:
        message = error.format_message() if isinstance(error, TyperException) else str(error)
        _fail(message)
    except OSError as error:
        _fail(f"cannot use {error.filename or 'a file'}: {error.strerror or error}")
    if status == INTERRUPTED:  # also what typer makes of a Ctrl-C before the run could write anything
        typer.echo("interrupted", err=True)
    sys.exit(status if isinstance(status, int) else 0)


@contextmanager
def _termination_as_interrupt() -> Iterator[None]:
    """Treat SIGTERM, with which a cluster takes a machine back, as Ctrl-C."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # where Python takes no signals
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _fail(message: str) -> None:
    line = " ".join(message.split()) if "\n" in message else message
    typer.echo(f"error: {line}", err=True)
    sys.exit(2)


if __name__ == "__main__":
    main()
