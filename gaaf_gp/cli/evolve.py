"""``gaaf-gp evolve``: search for an activation function and confirm it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from gaaf_gp.cli.options import (
    JsonOption,
    ProgressOption,
    QuietOption,
    TensorBoardOption,
    loading_settings,
    shown,
    streams,
    with_settings,
)
from gaaf_gp.cli.output import finish
from gaaf_gp.cli.resume import check_network, check_set, settings_used
from gaaf_gp.errors import GaafError
from gaaf_gp.experiments import run, run_folder
from gaaf_gp.experiments.resume import SETTINGS
from gaaf_gp.experiments.settings import OPTIONS, SEARCH, TRAINING, Settings, changed, proxy_named, settings_from
from gaaf_gp.util.console import Mode
from gaaf_gp.util.files import read_mapping

OUT = Path("out/evolve")


@with_settings
def evolve(
    given: Mapping[str, Any],
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The config.json of a run: its settings are taken, but for those that are given here.",
            show_default="none",
        ),
    ] = None,
    proxy: Annotated[
        str | None,
        typer.Option(
            help="How candidates are judged: quick (the small network, one epoch), deep (a thin ResNet-20 on images of "
            "14 x 14 pixels, three epochs), or a JSON file of options; those that are given here win.",
            show_default="quick",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    initial_from: Annotated[
        str | None,
        typer.Option(
            help="An archive whose best 5 functions for this training task the search begins with; FILE:K for the best "
            "K.",
            metavar="FILE[:K]",
            show_default="none",
            rich_help_panel=SEARCH,
        ),
    ] = None,
    progress: ProgressOption = Mode.AUTO,
    quiet: QuietOption = False,
    tensorboard: TensorBoardOption = None,
    as_json: JsonOption = False,
) -> None:
    """Search for an activation function and confirm it.

    The winner, the plain sign, RSign, RPReLU and the best of random search are trained again on fresh seeds and
    compared on the test split. Figures, tables and all settings are written into the folder.
    """
    settings = chosen_settings(given, config, proxy)
    mode = shown(progress, quiet)
    with settings_used(config):
        result = run(settings, initial_from=initial_from, progress=mode, tensorboard=tensorboard)
    finish(result, settings.out, mode, as_json)


def chosen_settings(given: Mapping[str, Any], config: Path | None = None, proxy: str | None = None) -> Settings:
    """Return the settings of a new run.

    Args:
        given: those of the command line, by their names in :data:`OPTIONS`; they win.
        config: ``config.json`` of another run, for all others; None for their defaults.
        proxy: a way to judge candidates, see :func:`gaaf_gp.experiments.settings.proxy_named`; it wins over ``config``.

    Raises:
        GaafError: the file cannot be read, or names code that the command line does not; a setting is out of its range.
    """
    out = given.get("out") or run_folder.next_free(OUT)
    if config is None:
        usual = {name: one.default for name, one in OPTIONS.items() if "." in name or one.default is not None}
        before = changed(Settings(out), usual)
    else:
        before = read_settings(config, out)
        if "primitives" not in given:
            check_set(before, None)
    judged = {} if proxy is None else proxy_named(proxy)
    if "proxy.network" not in given:
        check_network(judged.get("proxy.network", before.proxy.get("network", "")))
    else:  # arguments of another network would be refused
        judged = {name: value for name, value in judged.items() if name != "proxy.network_settings"}
    settings = changed(before, {**judged, **given, "out": out})
    streamed = settings.stream
    if "stream" not in given and ("data" in given or config is None):
        streamed = streams(settings.data, None)
    archive = None if settings.archive is None else str(settings.archive)
    return replace(
        settings, stream=streamed, archive=archive, data_settings=_loading(settings.data_settings, streamed, given)
    )


def _loading(data: Mapping[str, Any], streamed: bool, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of data, without those of the other way to load it that nobody gave now."""
    workers = data.get("workers") if streamed or "data_settings.workers" in given else None
    download = bool(data.get("download")) and (not streamed or "data_settings.download" in given)
    both = {name: value for name, value in data.items() if name not in ("workers", "download", "image_size")}
    return {**both, **loading_settings(streamed, workers, data.get("image_size"), download)}


def read_settings(file: Path, out: Path) -> Settings:
    """Return the settings of the run that wrote ``config.json``, for a new run; what it does not name has its default.

    Args:
        file: the ``config.json``.
        out: folder of the new run.

    Raises:
        GaafError: there is no such file, it is damaged, or it is of another program.
    """
    try:
        config = read_mapping(file, "settings")
    except FileNotFoundError as error:
        raise GaafError(
            f"--config takes the config.json of a run, and there is no file {file}: name another"
        ) from error
    if "search" in config:
        raise GaafError(
            f"--config takes the config.json of gaaf-gp evolve, and {file} is of a script of its own (search "
            f"{config['search']!r}): start that script again"
        )
    content = config.get(SETTINGS)
    if not isinstance(content, dict):
        raise GaafError(f"--config takes the config.json of a run, and {file} holds no {SETTINGS}: name another")
    return settings_from({**Settings(out).as_json(), **content}, out)
