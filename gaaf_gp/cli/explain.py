"""``gaaf-gp explain``: why a function wins over the plain sign, by a factorial of trainings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from gaaf_gp.activations.catalogue import catalogue
from gaaf_gp.cli import completion
from gaaf_gp.cli.options import JsonOption, ProgressOption, QuietOption, shown
from gaaf_gp.cli.output import INTERRUPTED, print_json
from gaaf_gp.cli.resume import check_network, check_set, settings_used
from gaaf_gp.cli.retrain import TABLE, ranked_in
from gaaf_gp.errors import GaafError
from gaaf_gp.experiments import explain as run
from gaaf_gp.experiments.confirm import Gain
from gaaf_gp.experiments.explanation import Explanation, write_explanation
from gaaf_gp.experiments.plan import make_plan
from gaaf_gp.experiments.resume import SETTINGS
from gaaf_gp.experiments.run_data import find_run, read_run
from gaaf_gp.experiments.run_folder import CONFIG, HALL
from gaaf_gp.experiments.settings import Settings, changed, settings_from
from gaaf_gp.trees.candidate import parse_candidate
from gaaf_gp.trees.load import is_bundled
from gaaf_gp.util.checks import whole_number
from gaaf_gp.util.console import Mode
from gaaf_gp.util.randomness import CONFIRMATION, seeds_from
from gaaf_gp.util.text import signed

OUT = Path("out/explain")
SQLITE = b"SQLite format 3\0"
OF_RUN = "that of the run, else that of gaaf-gp evolve"


def explain(
    source: Annotated[
        str,
        typer.Argument(
            metavar="RUN|EXPRESSION",
            help="Folder of a run, an archive, the file of a function table or encoding1, a name of the catalogue, or "
            'a function, as in "add(sin(x), x)" or "FORWARD | BACKWARD".',
        ),
    ],
    rank: Annotated[int, typer.Option(help="Which of the candidates of a run or table: 1 is the best.")] = 1,
    primitives: Annotated[
        str | None,
        typer.Option(
            help="Primitive set, as gaaf-gp evolve takes it.",
            show_default=OF_RUN,
            autocompletion=completion.primitive_sets,
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="Data set or folder.", show_default=OF_RUN, autocompletion=completion.data_sets),
    ] = None,
    network: Annotated[
        str | None,
        typer.Option(help="Binary network.", show_default=OF_RUN, autocompletion=completion.networks),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs of each training.", show_default=OF_RUN)] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images per training step.", show_default=OF_RUN)] = None,
    limit: Annotated[
        int | None, typer.Option(help="Train and validate on at most this many images.", show_default=OF_RUN)
    ] = None,
    seeds: Annotated[
        int, typer.Option(help="Trainings of each cell, on seeds that no search uses; the first ones confirmed a run.")
    ] = 10,
    seed: Annotated[
        int | None, typer.Option(help="Another one gives other seeds and another split.", show_default=OF_RUN)
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="Where to train: cpu, cuda, cuda:1, ...", show_default=OF_RUN)
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Worker processes; the result is the same for any number.", show_default=OF_RUN),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder; the same call continues what is in it.", show_default=f"the folder of the run, else {OUT}"
        ),
    ] = None,
    download: Annotated[bool, typer.Option("--download", help="Fetch the data set if it is missing.")] = False,
    progress: ProgressOption = Mode.AUTO,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Tell what makes the gain of a function over the plain sign: its threshold, or shape or scale of its slope.

    All eight combinations are trained on the same fresh seeds and scored on the test split, as a run is confirmed. Stop
    with Ctrl-C whenever you like: the same command continues. gaaf-gp report shows what is in the folder of a run.
    """
    seeds = whole_number("seeds", seeds, 2, CONFIRMATION)
    text, settings, named = _chosen(
        source, whole_number("rank", rank), OUT if out is None else out, primitives, network
    )
    given = {
        "data": data, "seed": seed, "workers": workers, "proxy.network": network, "proxy.epochs": epochs,
        "proxy.batch_size": batch_size, "data_settings.limit": limit, "data_settings.device": device,
        "data_settings.download": download or None,
    }  # fmt: skip
    with settings_used(named):
        plan = make_plan(changed(settings, {name: value for name, value in given.items() if value is not None}))
    folder = out if out is not None else settings.out
    try:
        found = run(
            parse_candidate(text, plan.pset),
            plan.proxy,
            plan.pset,
            seeds=seeds_from(CONFIRMATION, plan.settings.seed, seeds),
            test=True,
            workers=plan.settings.workers,
            folder=folder,
            progress=shown(progress, quiet),
        )
    except KeyboardInterrupt:
        if not as_json and progress is not Mode.JSON:
            typer.echo(f"what has ended is kept in {folder}; the same command goes on", err=True)
        raise typer.Exit(INTERRUPTED) from None
    write_explanation(found, folder)
    if as_json:
        print_json({**found.as_json(), "folder": str(folder)})
    else:
        _show(found, Console())
        typer.echo(f"Everything is in {folder}")


def _chosen(
    source: str, rank: int, out: Path, primitives: str | None, network: str | None
) -> tuple[str, Settings, Path | None]:
    """Return the text of the function, the settings it is explained with, and the file that they are from, if any."""
    path = Path(source)
    folder, file = _is(path.is_dir), _is(path.is_file)
    if folder or (file and _is_archive(path)):
        data = read_run(find_run(path))
        named = path / CONFIG if folder else path
        with settings_used(named):
            settings = settings_from(data.config.get(SETTINGS), path if folder else out)
        check_set(settings, primitives)
        if network is None:
            check_network(settings.proxy.get("network", ""))
        if folder and (path / HALL).is_file():
            return _ranked(ranked_in(path)[0], rank), settings, named
        complete = [one.text for one in data.ranked if one.complete and one.failure is None]
        return _ranked(complete, rank), settings, named
    text, own = source, None
    if file or source == TABLE:
        texts, before = ranked_in(path)
        text, own = _ranked(texts, rank), before.get("primitives")
    elif source in (entries := catalogue()):
        text, own = entries[source].expression, entries[source].primitives
    settings = Settings(out)
    if own is not None and primitives is None and not is_bundled(own):
        raise GaafError(
            f"a primitive set is code, and {source} names {own!r}: if you trust it, pass --primitives {own}"
        )
    chosen = primitives or own
    return text, settings if chosen is None else changed(settings, {"primitives": str(chosen)}), None


def _ranked(texts: Sequence[str], rank: int) -> str:
    if rank > len(texts):
        raise GaafError(f"--rank must be from 1 to the {len(texts)} candidates that were trained in full, got {rank}")
    return texts[rank - 1]


def _is(kind: Callable[[], bool]) -> bool:
    """Return whether a path is of a kind; a function may be longer than any name of a file."""
    try:
        return kind()
    except OSError:
        return False


def _is_archive(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(SQLITE)) == SQLITE


def _show(found: Explanation, console: Console) -> None:
    console.print(f"f(x) = {found.infix}", highlight=False, markup=False)
    slopes = (
        f"Mean slope over N(0, 1): {found.slope:.4g}, of the plain sign {found.plain_slope:.4g}; m = {found.scale:.4g}"
    )
    console.print(slopes, highlight=False, markup=False)
    cells = Table(title=f"{found.split} accuracy, {len(found.seeds)} seeds")
    for name in ("sign", "slope shape", "slope scale"):
        cells.add_column(name)
    cells.add_column("accuracy", justify="right")
    cells.add_column("failed", justify="right")
    for one in found.cells:
        mean = "" if one.mean is None else f"{one.mean:.2%}"
        failed = sum(value is None for value in one.accuracies)
        cells.add_row(one.threshold, one.shape, one.scale, mean, str(failed) if failed else "")
    effects = Table(title=f"Effects on accuracy in points, paired over {len(found.complete)} seeds")
    effects.add_column("effect")
    for name in ("difference", "95 % interval", "p (Holm)"):
        effects.add_column(name, justify="right")
    effects.add_column("")
    for effect in found.effects:
        effects.add_row(effect.name, *(_figures(effect.gain) if effect.tested else ("0", "", "", "trained alike")))
    console.print(cells)
    console.print(effects)
    console.print(found.verdict(), highlight=False, markup=False)


def _figures(gain: Gain) -> tuple[str, str, str, str]:
    if gain.difference is None:
        return "", "too few trainings", "", ""
    low, mean, high = (100 * value for value in (gain.difference.low, gain.difference.mean, gain.difference.high))
    said = "significant" if gain.significant else "not significant"
    return signed(mean), f"{signed(low)} to {signed(high)}", f"{gain.p_holm:.2g}", said
