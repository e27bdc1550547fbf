"""``gaaf-gp resume``: go on with a search that was interrupted, killed, or lost with its machine."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from gaaf_gp.binary.networks import is_own_network
from gaaf_gp.cli import completion
from gaaf_gp.cli.options import JsonOption, ProgressOption, QuietOption, TensorBoardOption, shown
from gaaf_gp.cli.output import finish
from gaaf_gp.errors import GaafError, one_line
from gaaf_gp.experiments import run, run_folder
from gaaf_gp.experiments.resume import SETTINGS, read_config
from gaaf_gp.experiments.settings import Settings, changed, settings_from
from gaaf_gp.search.checkpoint import CHECKPOINT
from gaaf_gp.trees.load import is_bundled
from gaaf_gp.util.console import Mode
from gaaf_gp.util.user_code import same_code

PROCESSES = "processes"


def resume(
    folder: Annotated[Path, typer.Argument(help="Folder of the run.")],
    workers: Annotated[
        int | None,
        typer.Option(help="Worker processes; the result is the same for any number.", show_default="as before"),
    ] = None,
    executor: Annotated[
        str | None,
        typer.Option(help="As of gaaf-gp evolve, or processes for those of this machine.", show_default="as before"),
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="Devices of the same kind, as of gaaf-gp evolve.", show_default="as before")
    ] = None,
    primitives: Annotated[
        str | None,
        typer.Option(
            help="The set again, if it is not one of primitives/: code is loaded only if you name it.",
            autocompletion=completion.primitive_sets,
        ),
    ] = None,
    network: Annotated[
        str | None,
        typer.Option(help="The network again, if it is one of your own: code is loaded only if you name it."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Where the folder of images is now.", show_default="where it was")
    ] = None,
    archive: Annotated[
        Path | None, typer.Option(help="Where the file of trainings is now.", show_default="where it was")
    ] = None,
    evaluations: Annotated[
        int | None,
        typer.Option(
            help="A larger number of candidates to train, which extends the search, also one that has ended.",
            show_default="as before",
        ),
    ] = None,
    progress: ProgressOption = Mode.AUTO,
    quiet: QuietOption = False,
    tensorboard: TensorBoardOption = None,
    as_json: JsonOption = False,
) -> None:
    """Go on with a run from its last training.

    It comes to the same end as a run that was never interrupted, or, with --evaluations, as one that had so many from
    the start. Nothing that was trained is trained again.
    """
    given = {
        "workers": workers, "executor": executor, "data_settings.device": device, "archive": archive and str(archive),
        "data": data and str(data), "evaluations": evaluations,
    }  # fmt: skip
    settings = changed(known_settings(folder), {name: value for name, value in given.items() if value is not None})
    if executor == PROCESSES:
        settings = replace(settings, executor=None)
    check_set(settings, primitives)
    if primitives is not None:
        settings = replace(settings, primitives=primitives)
    if network is None:
        check_network(settings.proxy.get("network", ""))
    else:
        settings = changed(settings, {"proxy.network": network})
    mode = shown(progress, quiet)
    with settings_used(folder / run_folder.CONFIG):
        result = run(settings, progress=mode, tensorboard=tensorboard, resume=True)
    finish(result, folder, mode, as_json)


@contextmanager
def settings_used(file: Path | None) -> Iterator[None]:
    """Run with settings that a file gave, None for no file.

    Raises:
        GaafError: what the file holds makes no run.
    """
    try:
        yield
    except GaafError:
        raise
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        if file is None:
            raise
        raise GaafError(
            f"the settings in {file} must be those of a run, but using them ended with {one_line(error)}: restore a "
            "copy"
        ) from error


def known_settings(folder: Path) -> Settings:
    """Return the settings of a run of ``gaaf-gp evolve``.

    Raises:
        GaafError: the folder has none, damaged ones, or those of another program.
    """
    config = read_config(folder)
    if "search" in config:
        raise GaafError(
            f"only runs of gaaf-gp evolve can be gone on with, and {folder} is of a script of its own (search "
            f"{config['search']!r}): start that again in another folder"
        )
    return settings_from(config.get(SETTINGS), folder)


def check_network(name: str) -> None:
    """Refuse to load a network of the user's that a file names.

    Raises:
        GaafError: it is one.
    """
    if is_own_network(name):
        raise GaafError(
            f"a network of your own is code, and a file names {name!r}: if you trust it, pass --network "
            f"{shlex.quote(name)}"
        )


def check_set(settings: Settings, named: str | None) -> None:
    """Refuse to load a primitive set that a file names and the user does not.

    A set that was named may lie in another file than before, if there is a checkpoint that what it computes can be
    compared with.

    Raises:
        GaafError: the set is not one of primitives/ and was not named, or another one was.
    """
    if named is None and not is_bundled(settings.primitives):
        raise GaafError(
            f"a primitive set is code, and the run names {settings.primitives!r}: if you trust it, pass --primitives "
            f"{shlex.quote(settings.primitives)}"
        )
    if named is None or same_code(named, settings.primitives):
        return
    if is_bundled(named) or is_bundled(settings.primitives) or not (settings.out / CHECKPOINT).is_file():
        raise GaafError(f"a run must go on with its own primitive set, {settings.primitives!r}, got {named!r}")
