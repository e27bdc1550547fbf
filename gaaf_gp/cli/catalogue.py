"""``gaaf-gp catalogue``: functions that won, by name, and what one of them gains when it is measured anew."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from gaaf_gp.activations.catalogue import CatalogueEntry, Gain, catalogue, find_entry, gain_of
from gaaf_gp.cli import completion
from gaaf_gp.cli.options import JsonOption, ProgressOption, QuietOption, examples, shown
from gaaf_gp.cli.output import INTERRUPTED, print_json
from gaaf_gp.cli.tour import Group
from gaaf_gp.data.load import Data, load_data
from gaaf_gp.data.registry import DATASETS
from gaaf_gp.errors import GaafError, listed
from gaaf_gp.training.retraining import tables
from gaaf_gp.training.retraining.distillation import Distillation
from gaaf_gp.training.retraining.result import SIGN
from gaaf_gp.training.retraining.retrain import fresh_seeds, retrain
from gaaf_gp.training.retraining.settings import RetrainSettings
from gaaf_gp.trees.load import load_primitives
from gaaf_gp.util.console import Mode
from gaaf_gp.util.devices import available_cores
from gaaf_gp.util.text import signed

OUT = Path("out/catalogue")
KEPT = ("batch_size", "learning_rate", "pad", "flip", "threads", "precision")
"""Settings of a Proxy that a measurement takes over from the recorded one, whatever the network."""

app = typer.Typer(help="Functions that won, by name.", cls=Group, rich_markup_mode=None)

NameArgument = Annotated[
    str,
    typer.Argument(
        help="Name of the function, as gaaf-gp catalogue list has it.", autocompletion=completion.catalogue_names
    ),
]
FileOption = Annotated[
    Path | None, typer.Option("--catalogue", help="Another catalogue.", show_default="that of the package")
]


@app.command("list", epilog=examples("gaaf-gp catalogue list"))
def list_entries(file: FileOption = None, as_json: JsonOption = False) -> None:
    """List all functions with their first measured gain."""
    known = catalogue(file)
    if as_json:
        print_json([_described(entry) for entry in known.values()])
        return
    if not known:
        typer.echo("the catalogue is empty")
        return
    shown = Table("name", "f(x)", "gain (points)", "measured on", "tags")
    for entry in known.values():
        gain = entry.gains[0]
        span = f"{signed(gain.points)} ({signed(gain.low)} to {signed(gain.high)})"
        shown.add_row(entry.name, entry.formula, span, f"{gain.data}, {gain.network}", ", ".join(entry.tags))
    Console().print(shown, markup=False)


@app.command(epilog=examples("gaaf-gp catalogue show NAME"))
def show(name: NameArgument, file: FileOption = None, as_json: JsonOption = False) -> None:
    """Say what a function is, how it was found, and what it gained over the plain sign."""
    entry = find_entry(name, file)
    if as_json:
        print_json(_described(entry))
        return
    rows: list[tuple[str, Any]] = [
        ("text", entry.expression),
        ("set", entry.primitives),
        ("formula", entry.formula),
        ("LaTeX", entry.latex),
        ("tags", listed(entry.tags) or "none"),
        *((key, value) for key, value in entry.provenance.items()),
        *(("gain", gain) for gain in entry.gains),
    ]
    for key, value in rows:
        typer.echo(f"{key:<9} {value}")


@app.command(epilog=examples("gaaf-gp catalogue measure NAME --data cifar10 --download"))
def measure(
    name: NameArgument,
    data: Annotated[
        str | None,
        typer.Option(
            help="Data set or folder.",
            show_default="that of the recorded gain",
            autocompletion=completion.data_sets,
        ),
    ] = None,
    network: Annotated[
        str | None,
        typer.Option(
            help="Binary network.", show_default="that of the recorded gain", autocompletion=completion.networks
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Epochs of each training.", show_default="those of the recorded gain")
    ] = None,
    seeds: Annotated[int, typer.Option(help="Trainings of the function and of the plain sign.")] = 5,
    seed: Annotated[
        int | None, typer.Option(help="Another one gives other seeds.", show_default="one that gives fresh seeds")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Train and validate on at most this many images.")] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Images per training step.", show_default="that of the recorded gain")
    ] = None,
    device: Annotated[str, typer.Option(help="Where to train: cpu, cuda, cuda:1, ...")] = "cpu",
    workers: Annotated[int | None, typer.Option(help="Worker processes.", show_default="all cores")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder; an earlier one is gone on with.", show_default=f"{OUT}/NAME")
    ] = None,
    file: FileOption = None,
    progress: ProgressOption = Mode.AUTO,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train a function and the plain sign anew, on seeds that were not used for it, and compare with what is recorded.

    Everything that no option says is as it was recorded. Stop with Ctrl-C whenever you like: the same command goes on.
    """
    entry = find_entry(name, file)
    recorded = _recorded(entry, data, network)
    images = _images(recorded, data, limit, device)
    folder = OUT / name if out is None else out
    found = retrain(
        {SIGN: None, name: entry.candidate()},
        images,
        settings_of(recorded, network, epochs, batch_size),
        seeds=fresh_seeds(seeds, _seed(entry, seeds) if seed is None else seed),
        out=folder,
        pset=load_primitives(entry.primitives),
        workers=available_cores() if workers is None else workers,
        progress=shown(progress, quiet),
    )
    if not found.complete:
        ended = {"complete": False, "ended": len(found.trainings), "wanted": found.wanted, "folder": str(folder)}
        if as_json:
            print_json(ended)
        else:
            typer.echo(f"{ended['ended']} of {found.wanted} trainings have ended; the same command goes on.")
        raise typer.Exit(INTERRUPTED)
    measured = gain_of(tables.write(found, folder), name)
    if as_json:
        print_json({**compared(recorded, measured), "complete": True, "folder": str(folder)})
        return
    report(recorded, measured)
    typer.echo(f"Everything is in {folder}")


def report(recorded: Gain, measured: Gain) -> None:
    """Print both gains, and whether the recorded one may be true by what was measured."""
    typer.echo(f"recorded  {recorded}")
    typer.echo(f"measured  {measured}")
    found = compared(recorded, measured)
    if found["differ"]:
        typer.echo(f"Not the same measurement: {listed(found['differ'])} differ.")
    within = "within" if found["within"] else "NOT within"
    typer.echo(f"The recorded gain is {within} the interval that was measured.")


def compared(recorded: Gain, measured: Gain) -> dict[str, Any]:
    """Return both gains fit for JSON, what else ``differ`` between them, and whether one is ``within`` the other."""
    differ = [
        what
        for what, first, second in (
            ("data", _images_of(recorded), _images_of(measured)),
            ("network", recorded.settings["proxy"]["network"], measured.settings["proxy"]["network"]),
            ("epochs", recorded.epochs, measured.epochs),
        )
        if first != second
    ]
    within = measured.low <= recorded.points <= measured.high
    return {"recorded": vars(recorded), "measured": vars(measured), "differ": differ, "within": within}


def _described(entry: CatalogueEntry) -> dict[str, Any]:
    return {**vars(entry), "gains": [vars(gain) for gain in entry.gains]}


def settings_of(recorded: Gain, network: str | None, epochs: int | None, batch_size: int | None) -> RetrainSettings:
    """Return how to train as it was recorded, but for what is given.

    Settings of the network are taken over for the same network only.
    """
    settings, proxy = recorded.settings, recorded.settings["proxy"]
    chosen = {key: proxy[key] for key in KEPT if key in proxy}
    chosen["network"] = proxy["network"] if network is None else network
    if chosen["network"] == proxy["network"]:
        chosen["network_settings"] = proxy["network_settings"]
    if batch_size is not None:
        chosen["batch_size"] = batch_size
    lengths = settings["epochs"]
    two_stage = lengths[0] / sum(lengths) if len(lengths) > 1 else 0.0
    taught = settings["distillation"]
    distillation = None if taught is None else Distillation(**taught)
    return RetrainSettings(sum(lengths) if epochs is None else epochs, two_stage, distillation, chosen)


def _recorded(entry: CatalogueEntry, data: str | None, network: str | None) -> Gain:
    """Return the gain that was recorded on this data and network, or the first where there is none."""
    fitting = [gain for gain in entry.gains if data in (None, gain.data) and network in (None, gain.network)]
    return fitting[0] if fitting else entry.gains[0]


def _images(recorded: Gain, data: str | None, limit: int | None, device: str) -> Data:
    if data is None and recorded.data not in DATASETS:
        raise GaafError(
            f"data must be named where the recorded gain is of a folder, {recorded.data!r}: pass its path with --data"
        )
    about: Mapping[str, Any] = recorded.settings["proxy"]["data"]
    same = data in (None, recorded.data)
    height, width = about["image_size"]
    return load_data(
        recorded.data if data is None else data,
        seed=about["split_seed"],
        val_fraction=about["val_fraction"],
        limit=about["train"] + about["val"] if limit is None and same else limit,
        image_size=height if same and height == width else None,
        device=device,
    )


def _images_of(gain: Gain) -> str:
    return str(gain.settings["proxy"]["data"]["sha256"])


def _seed(entry: CatalogueEntry, number: int) -> int:
    """Return the least seed whose fresh seeds no gain of the entry was measured on."""
    used = {one for gain in entry.gains for one in gain.seeds}
    seed = 0
    while used & set(fresh_seeds(number, seed)):
        seed += 1
    return seed
