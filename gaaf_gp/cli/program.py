"""The command line, ``gaaf-gp``: its commands by name, and what becomes of bad input and of signals.

Bad input ends with one line on standard error and exit status 2, never with a traceback; with ``--json`` that line is
JSON, see :mod:`gaaf_gp.cli.output`.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from gaaf_gp.cli.completion import whole_words
from gaaf_gp.cli.options import Panels, examples
from gaaf_gp.cli.output import INTERRUPTED, report_error, standard_streams, warnings_as_events
from gaaf_gp.cli.settings_options import with_options
from gaaf_gp.cli.tour import Tour
from gaaf_gp.errors import GaafError
from gaaf_gp.util.provenance import version

NAME = "gaaf-gp"
"""The program, also where it is started as ``python -m gaaf_gp.cli``; shell completion goes by it."""

COMMANDS: dict[str, dict[str, Any]] = {
    "evolve": {
        "cls": Panels,
        "epilog": examples(
            "gaaf-gp evolve --evaluations 200 --loop steady --workers 8 --out out/first",
            "gaaf-gp evolve --config out/first/config.json --seed 2     The same run with another seed.",
        ),
        "short_help": "Search for an activation function, and confirm it.",
    },
    "resume": {"epilog": examples("gaaf-gp resume out/first")},
    "watch": {
        "epilog": examples("gaaf-gp watch out/first"),
        "short_help": "Serve the page of a run while it goes on.",
    },
    "report": {"epilog": examples("gaaf-gp report out/first --open")},
    "compare": {"epilog": examples("gaaf-gp compare out/first out/second")},
    "show": {"epilog": examples('gaaf-gp show "max(sin(x), x)"')},
    "plot": {},
    "primitives": {"epilog": examples("gaaf-gp primitives --tag periodic --plot sheet.png")},
    "catalogue": {},
    "retrain": {
        "epilog": examples("gaaf-gp retrain --from out/first --top 3 --epochs 30"),
        "short_help": "Train functions at full length, and compare them.",
    },
    "explain": {
        "epilog": examples(
            "gaaf-gp explain out/first              The winner of a run, as the run trained.",
            'gaaf-gp explain "add(sin(x), x)" --seeds 20',
        ),
        "short_help": "Tell why a function wins: threshold, slope shape, slope scale.",
    },
    "archive": {},
}
"""Command -> how its help is set up. Each is in the module of its name in :mod:`gaaf_gp.cli`: a function of this
name, or ``app`` with commands of its own."""


def print_version(wanted: bool) -> None:
    """Print the version, if it is wanted, and end."""
    if wanted:
        typer.echo(f"{NAME} {version(NAME)}")
        raise typer.Exit


def program(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=print_version)
    ] = False,
) -> None:
    """Take the options of the program itself."""


def application(only: str | None = None) -> typer.Typer:
    """Return the program with all its commands.

    Args:
        only: one of :data:`COMMANDS`, to leave the others out: what draws imports matplotlib, which a search, and each
            of its worker processes, would wait for.
    """
    app = typer.Typer(
        name=NAME,
        cls=Tour,
        help="Evolve activation functions for binary neural networks.\n\n"
        "A binary network keeps only signs. What stands ahead of the sign decides what it can learn. gaaf-gp grows "
        "such functions as typed trees, trains a small network with each, breeds the best, and confirms the winner on "
        "fresh seeds and images that the search never saw. Every training is kept: a search that is stopped goes on.",
        epilog=examples(
            "gaaf-gp evolve --out out/first        Search on the bundled images; minutes.",
            "gaaf-gp resume out/first              Go on with it after Ctrl-C.",
            "gaaf-gp compare out/first out/second  Two searches side by side.",
            'gaaf-gp show "add(sin(x), x)"         Look at one function.',
            "gaaf-gp COMMAND --help                All of a command, with an example.",
        ),
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback()(program)  # typer takes a program with one command for that command
    for name in [only] if only else COMMANDS:
        module = importlib.import_module(f"gaaf_gp.cli.{name}")
        if hasattr(module, "app"):
            app.add_typer(module.app, name=name)
        else:
            app.command(**COMMANDS[name])(getattr(module, name))
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its status: 0, 2 for bad input, 130 after Ctrl-C."""
    words = sys.argv[1:] if arguments is None else arguments
    with whole_words(os.environ):
        _run(application(words[0] if words and words[0] in COMMANDS else None), words, prog_name=NAME)


def script(function: Callable[..., None]) -> None:
    """Run a function as a command of its own, with its typed arguments as options, and exit as :func:`main` does.

    A parameter ``settings`` becomes :data:`gaaf_gp.cli.settings_options.OPTIONS`; its default is theirs.
    """
    own = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    own.command()(with_options(function))
    _run(own, sys.argv[1:])


def _run(commands: typer.Typer, arguments: Sequence[str], **settings: Any) -> None:
    with standard_streams(arguments):
        _ran(commands, arguments, **settings)


def _ran(commands: typer.Typer, arguments: Sequence[str], **settings: Any) -> None:
    try:
        with _signals_as_interrupts(arguments), warnings_as_events(arguments):
            status = commands(list(arguments), standalone_mode=False, **settings)
    except (GaafError, TyperException) as error:
        message = error.format_message() if isinstance(error, TyperException) else str(error)
        _fail(message, arguments)
    except OSError as error:
        _fail(f"cannot use {error.filename or 'a file'}: {error.strerror or error}", arguments)
    if status == INTERRUPTED:  # also what typer makes of a Ctrl-C before the run could write anything
        report_error("interrupted", arguments, label="")
    sys.exit(status if isinstance(status, int) else 0)


@contextmanager
def _signals_as_interrupts(arguments: Sequence[str]) -> Iterator[None]:
    """Let the first Ctrl-C, or SIGTERM with which a cluster takes a machine back, interrupt, and the second one end.

    A second exception could come up anywhere in what answers the first one, in the middle of an import too. All that
    was trained is on the disk by then, so that the process may end where it stands.
    """
    seen = False

    def interrupt(_number: int, _frame: object) -> None:
        nonlocal seen
        if seen:
            with suppress(Exception):  # a stream that is being written to
                report_error("interrupted", arguments, label="")
            os._exit(INTERRUPTED)
        seen = True
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # where Python takes no signals
        yield
        return
    wanted = [signal.SIGTERM]
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # in the background it may be ignored
        wanted.append(signal.SIGINT)
    before = {number: signal.signal(number, interrupt) for number in wanted}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if seen else handler)  # all is written, and the process about to end


def _fail(message: str, arguments: Sequence[str]) -> None:
    report_error(" ".join(message.split()) if "\n" in message else message, arguments)
    sys.exit(2)
