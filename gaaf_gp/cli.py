"""The command line: ``gaaf-gp evolve``, ``gaaf-gp retrain``, ``gaaf-gp show`` and ``gaaf-gp plot tree``.

Bad input ends with one line on standard error and exit status 2, never with a traceback.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from typer.exceptions import TyperException

from gaaf_gp import experiment, outputs
from gaaf_gp.binary import NETWORKS
from gaaf_gp.bloat import CONTROLS, DEFAULT, SIZES
from gaaf_gp.candidates import Evolved, TwoTrees, parse_candidate
from gaaf_gp.commands import INTERRUPTED
from gaaf_gp.commands.catalogue import app as catalogue_app
from gaaf_gp.commands.images import loading_settings, streams
from gaaf_gp.commands.retrain import retrain
from gaaf_gp.computing import PRECISIONS
from gaaf_gp.errors import GaafError
from gaaf_gp.generation import Limits
from gaaf_gp.individual import Individual
from gaaf_gp.loading import load_primitives
from gaaf_gp.plot import save_figure
from gaaf_gp.plot_pair import plot_evolved
from gaaf_gp.proxy import DEFAULT_EPOCHS
from gaaf_gp.semantics import positive_share, screen
from gaaf_gp.simplify import simplify

FREE = "primitives.gaaf:free"

app = typer.Typer(
    name="gaaf-gp",
    help="Evolve activation functions for binary neural networks by strongly typed genetic programming.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
plot_app = typer.Typer(help="Draw what was evolved.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(plot_app, name="plot")
app.add_typer(catalogue_app, name="catalogue")

PrimitivesOption = Annotated[
    str, typer.Option(help="Primitive set: module:function or path/to/file.py:function (the file is run).")
]
ExpressionArgument = Annotated[
    str, typer.Argument(help='A tree, as in "add(sin(x), x)", or two, as in "sin(x) | x": forward | backward.')
]


@app.command()
def evolve(
    primitives: PrimitivesOption = FREE,
    data: Annotated[
        str,
        typer.Option(help="fashion10k (bundled), fashion-mnist, cifar10, cifar100, imagenet, or a folder of images."),
    ] = "fashion10k",
    stream: Annotated[
        bool | None,
        typer.Option(
            "--stream/--no-stream",
            help="Read images from their folder while a network trains, for those that memory cannot hold.",
            show_default="streaming for imagenet",
        ),
    ] = None,
    stream_workers: Annotated[
        int | None, typer.Option(help="Processes that decode streamed images, for each worker.", show_default="0")
    ] = None,
    evaluations: Annotated[int, typer.Option(help="Number of distinct candidates to train.")] = 100,
    workers: Annotated[
        int | None,
        typer.Option(help="Worker processes; the result is the same for any number.", show_default="all cores"),
    ] = None,
    seed: Annotated[int, typer.Option(help="One seed gives one result.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="New or empty folder for the results.", show_default="out/evolve, or the next")
    ] = None,
    population: Annotated[int, typer.Option(help="Individuals of a generation.")] = 20,
    epochs: Annotated[int, typer.Option(help="Epochs that a candidate is trained for.")] = DEFAULT_EPOCHS,
    batch_size: Annotated[int, typer.Option(help="Images per training step.")] = 128,
    threads: Annotated[int, typer.Option(help="CPU threads of one training; part of what decides the result.")] = 1,
    seconds: Annotated[
        float | None, typer.Option(help="Time budget of one training; over it a candidate fails.", show_default="none")
    ] = None,
    network: Annotated[str, typer.Option(help=f"Binary network: {', '.join(NETWORKS)}.")] = "small",
    precision: Annotated[
        str, typer.Option(help=f"What real layers compute in, on a GPU: {', '.join(PRECISIONS)}.")
    ] = "float32",
    max_height: Annotated[int, typer.Option(help="Greatest height of a tree.")] = 6,
    max_size: Annotated[int, typer.Option(help="Most nodes of a tree.")] = 30,
    bloat: Annotated[
        str, typer.Option(help=f"What else keeps trees small, with commas: {', '.join(CONTROLS)}.")
    ] = DEFAULT,
    measure: Annotated[str, typer.Option(help=f"What those call size: {', '.join(SIZES)}.")] = "nodes",
    constraint: Annotated[
        list[str] | None,
        typer.Option(help='What every tree must keep to, as in "no periodic inside periodic"; may be repeated.'),
    ] = None,
    initial: Annotated[
        list[str] | None, typer.Option(help="A function that the search begins with; may be repeated.")
    ] = None,
    search_seconds: Annotated[
        float | None, typer.Option(help="Begin no generation after so much time.", show_default="none")
    ] = None,
    target: Annotated[
        float | None, typer.Option(help="Validation accuracy, 0 to 1, that is good enough.", show_default="none")
    ] = None,
    stagnation: Annotated[
        int | None,
        typer.Option(help="Stop after so many evaluations without a better best.", show_default="none"),
    ] = None,
    racing: Annotated[
        bool | None,
        typer.Option(
            "--racing/--no-racing",
            help="Train all new candidates for a few epochs and only the best third of them on.",
            show_default="racing from 3 epochs on",
        ),
    ] = None,
    extra_seeds: Annotated[
        int, typer.Option(help="Most seeds added to a candidate that cannot be told from the best or from the elite.")
    ] = 0,
    two_trees: Annotated[
        bool, typer.Option("--two-trees", help="Evolve a forward tree, whose sign is taken, and a backward one.")
    ] = False,
    random_search: Annotated[
        bool,
        typer.Option(
            "--random-search/--no-random-search",
            help="Spend as many evaluations on random candidates too; their best is compared with the winner.",
        ),
    ] = True,
    fresh_seeds: Annotated[
        int, typer.Option(help="Trainings of the winner and of each competitor on the test split.")
    ] = 5,
    limit: Annotated[int | None, typer.Option(help="Use at most this many images for the search.")] = None,
    image_size: Annotated[
        int | None, typer.Option(help="Resize images to this many pixels a side.", show_default="224 if streamed")
    ] = None,
    device: Annotated[str, typer.Option(help="Where to train: cpu, cuda, cuda:1, ...")] = "cpu",
    download: Annotated[bool, typer.Option("--download", help="Fetch the data set if it is missing.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress line.")] = False,
) -> None:
    """Search for an activation function and confirm it.

    The winner, the plain sign, RSign, RPReLU and the best of random search are trained again on fresh seeds and
    compared on the test split. Figures, tables and all settings are written into the folder.
    """
    streamed = streams(data, stream)
    settings = experiment.Settings(
        out=outputs.next_free(Path("out/evolve")) if out is None else out,
        primitives=primitives,
        data=data,
        stream=streamed,
        evaluations=evaluations,
        workers=experiment.available_cores() if workers is None else workers,
        seed=seed,
        population=population,
        two_trees=two_trees,
        random_search=random_search,
        fresh_seeds=fresh_seeds,
        racing=racing,
        extra_seeds=extra_seeds,
        limits=Limits(max_height, max_size),
        bloat=bloat,
        measure=measure,
        constraints=tuple(constraint or ()),
        initial=tuple(initial or ()),
        search_seconds=search_seconds,
        target=target,
        stagnation=stagnation,
        proxy={
            "epochs": epochs,
            "batch_size": batch_size,
            "network": network,
            "threads": threads,
            "seconds": seconds,
            "precision": precision,
        },
        data_settings={
            "limit": limit,
            "device": device,
            **loading_settings(streamed, stream_workers, image_size, download),
        },
    )
    result = experiment.run(settings, quiet=quiet)
    outputs.print_summary(result, outputs.hall_rows(settings.out), settings.out, Console())
    if result["interrupted"]:
        raise typer.Exit(INTERRUPTED)


@app.command()
def show(expression: ExpressionArgument, primitives: PrimitivesOption = FREE) -> None:
    """Say what a tree is, or two of them.

    Its formula, LaTeX, size, height and cost, how often its sign is positive, and whether it would be trained.
    """
    individual = _evolved(expression, primitives)
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


def _evolved(expression: str, primitives: str) -> Evolved:
    """Read one tree or two."""
    found = parse_candidate(expression, load_primitives(primitives))
    if not isinstance(found, Individual | TwoTrees):
        raise GaafError(f'a tree, or two as in "sin(x) | x", is needed here, got {expression!r}, which has none')
    return found


app.command()(retrain)


@plot_app.command("tree")
def tree(
    expression: ExpressionArgument,
    out: Annotated[Path, typer.Option(help="File to write: .png, .svg or .pdf.")],
    primitives: PrimitivesOption = FREE,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
) -> None:
    """Draw an expression tree, or two of them beside each other."""
    individual = _evolved(expression, primitives)
    if out.exists() and not force:
        raise GaafError(f"the figure must be a new file, but {out} exists: choose another name or pass --force")
    save_figure(plot_evolved(individual), out)
    typer.echo(f"wrote {out}")


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
        status = commands(list(arguments), standalone_mode=False)
    except (GaafError, TyperException) as error:
        message = error.format_message() if isinstance(error, TyperException) else str(error)
        _fail(message)
    except OSError as error:
        _fail(f"cannot use {error.filename or 'a file'}: {error.strerror or error}")
    if status == INTERRUPTED:  # also what typer makes of a Ctrl-C before the run could write anything
        typer.echo("interrupted", err=True)
    sys.exit(status if isinstance(status, int) else 0)


def _fail(message: str) -> None:
    line = " ".join(message.split()) if "\n" in message else message
    typer.echo(f"error: {line}", err=True)
    sys.exit(2)


if __name__ == "__main__":
    main()
