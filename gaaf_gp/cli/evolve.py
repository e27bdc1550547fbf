"""``gaaf-gp evolve``: search for an activation function and confirm it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gaaf_gp.binary import NETWORKS
from gaaf_gp.cli import completion
from gaaf_gp.cli.options import (
    FREE,
    ExecutorOption,
    JsonOption,
    PrimitivesOption,
    ProgressOption,
    QuietOption,
    TensorBoardOption,
    loading_settings,
    shown,
    streams,
)
from gaaf_gp.cli.output import finish
from gaaf_gp.experiments import Settings, run, run_folder
from gaaf_gp.search.bloat import CONTROLS, SEARCH_DEFAULT, SIZES
from gaaf_gp.training.proxy import DEFAULT_EPOCHS
from gaaf_gp.trees.generation import Limits
from gaaf_gp.util.console import Mode
from gaaf_gp.util.devices import PRECISIONS, available_cores


def evolve(
    primitives: PrimitivesOption = FREE,
    data: Annotated[
        str,
        typer.Option(
            help="fashion10k (bundled), fashion-mnist, cifar10, cifar100, imagenet, or a folder of images.",
            autocompletion=completion.data_sets,
        ),
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
    loop: Annotated[
        str,
        typer.Option(
            help="generations; islands that send each other their best (islands:8 for eight); steady: no worker waits "
            "for the slowest candidate (aging: the oldest leaves; arrival: cannot be repeated with several workers).",
            autocompletion=completion.loops,
        ),
    ] = "generations",
    evaluations: Annotated[int, typer.Option(help="Number of distinct candidates to train.")] = 100,
    workers: Annotated[
        int | None,
        typer.Option(help="Worker processes; the result is the same for any number.", show_default="all cores"),
    ] = None,
    executor: ExecutorOption = None,
    seed: Annotated[int, typer.Option(help="One seed gives one result.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="New or empty folder for the results.", show_default="out/evolve, or the next")
    ] = None,
    population: Annotated[int, typer.Option(help="Individuals of a population.")] = 20,
    epochs: Annotated[int, typer.Option(help="Epochs that a candidate is trained for.")] = DEFAULT_EPOCHS,
    batch_size: Annotated[int, typer.Option(help="Images per training step.")] = 128,
    threads: Annotated[int, typer.Option(help="CPU threads of one training; part of what decides the result.")] = 1,
    seconds: Annotated[
        float | None, typer.Option(help="Time budget of one training; over it a candidate fails.", show_default="none")
    ] = None,
    memory: Annotated[
        float | None,
        typer.Option(help="Memory budget of one training in GiB; over it a candidate fails.", show_default="none"),
    ] = None,
    network: Annotated[
        str, typer.Option(help=f"Binary network: {', '.join(NETWORKS)}.", autocompletion=completion.networks)
    ] = "small",
    precision: Annotated[
        str,
        typer.Option(
            help=f"What real layers compute in, on a GPU: {', '.join(PRECISIONS)}.",
            autocompletion=completion.precisions,
        ),
    ] = "float32",
    max_height: Annotated[int, typer.Option(help="Greatest height of a tree.")] = 6,
    max_size: Annotated[int, typer.Option(help="Most nodes of a tree.")] = 30,
    bloat: Annotated[
        str,
        typer.Option(
            help=f"What else keeps trees small, with commas: {', '.join(CONTROLS)}.",
            autocompletion=completion.controls,
        ),
    ] = SEARCH_DEFAULT,
    measure: Annotated[
        str, typer.Option(help=f"What those call size: {', '.join(SIZES)}.", autocompletion=completion.sizes)
    ] = "nodes",
    constraint: Annotated[
        list[str] | None,
        typer.Option(help='What every tree must keep to, as in "no periodic inside periodic"; may be repeated.'),
    ] = None,
    initial: Annotated[
        list[str] | None, typer.Option(help="A function that the search begins with; may be repeated.")
    ] = None,
    initial_from: Annotated[
        str | None,
        typer.Option(
            help="An archive whose best 5 functions for this training task the search begins with; FILE:K for the best "
            "K.",
            metavar="FILE[:K]",
            show_default="none",
        ),
    ] = None,
    search_seconds: Annotated[
        float | None, typer.Option(help="Begin nothing new after so much time.", show_default="none")
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
            show_default="racing from 3 epochs on, in generations",
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
    archive: Annotated[
        Path | None,
        typer.Option(
            help="File of all trainings, which several runs may share; what is in it is not trained again.",
            show_default="archive.sqlite in the folder",
        ),
    ] = None,
    device: Annotated[
        str, typer.Option(help="Where to train: cpu, cuda, cuda:1, ...; workers take cuda:0,cuda:1 in turn.")
    ] = "cpu",
    download: Annotated[bool, typer.Option("--download", help="Fetch the data set if it is missing.")] = False,
    progress: ProgressOption = Mode.AUTO,
    quiet: QuietOption = False,
    tensorboard: TensorBoardOption = None,
    as_json: JsonOption = False,
) -> None:
    """Search for an activation function and confirm it.

    The winner, the plain sign, RSign, RPReLU and the best of random search are trained again on fresh seeds and
    compared on the test split. Figures, tables and all settings are written into the folder.
    """
    streamed = streams(data, stream)
    settings = Settings(
        out=run_folder.next_free(Path("out/evolve")) if out is None else out,
        primitives=primitives,
        data=data,
        stream=streamed,
        loop=loop,
        evaluations=evaluations,
        workers=available_cores() if workers is None else workers,
        executor=executor,
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
        archive=None if archive is None else str(archive),
        proxy={
            "epochs": epochs,
            "batch_size": batch_size,
            "network": network,
            "threads": threads,
            "seconds": seconds,
            "memory": memory,
            "precision": precision,
        },
        data_settings={
            "limit": limit,
            "device": device,
            **loading_settings(streamed, stream_workers, image_size, download),
        },
    )
    mode = shown(progress, quiet)
    result = run(settings, initial_from=initial_from, progress=mode, tensorboard=tensorboard)
    finish(result, settings.out, mode, as_json)
