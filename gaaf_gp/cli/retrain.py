"""``gaaf-gp retrain``: chosen functions and baselines at full length, compared on the test split."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from gaaf_gp.binary import NETWORKS
from gaaf_gp.cli import completion
from gaaf_gp.cli.options import (
    FREE,
    JsonOption,
    NetworkSettingsOption,
    ProgressOption,
    QuietOption,
    loading_settings,
    open_images,
    shown,
    streams,
)
from gaaf_gp.cli.output import INTERRUPTED, print_json
from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation.table import load_table
from gaaf_gp.experiments import run_folder as outputs
from gaaf_gp.experiments.resume import read_config
from gaaf_gp.training.retraining import tables
from gaaf_gp.training.retraining.distillation import Distillation
from gaaf_gp.training.retraining.result import SIGN, RetrainResult
from gaaf_gp.training.retraining.retrain import fresh_seeds
from gaaf_gp.training.retraining.retrain import retrain as run
from gaaf_gp.training.retraining.settings import RetrainSettings
from gaaf_gp.trees.candidate import MARK, Baseline, Candidate, parse_candidate
from gaaf_gp.trees.load import load_primitives, load_recorded
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.util.console import Mode
from gaaf_gp.util.devices import PRECISIONS, available_cores

TABLE = "encoding1"
"""What ``--from`` calls the table that comes with the package."""


def chosen(pset: PrimitiveSet, texts: Iterable[str], baselines: Iterable[str]) -> dict[str, Candidate | None]:
    """Return candidates by name: baselines under their own, functions as f1, f2, ..., each once.

    Args:
        pset: the set that the functions come from.
        texts: functions, as :func:`gaaf_gp.trees.candidate.parse_candidate` reads them.
        baselines: names, such as "sign" and "rsign".

    Raises:
        GaafError: a text or a name cannot be read, or a text names a baseline.
    """
    distinct: dict[str, Candidate] = {}
    for text in texts:
        candidate = parse_candidate(text, pset)
        if candidate is None or isinstance(candidate, Baseline):
            raise GaafError(f"functions are trees, got the baseline {text!r}: name it among the baselines")
        distinct.setdefault(candidate.canonical, candidate)
    return {
        **{name: parse_candidate(MARK + name, pset) for name in baselines},
        **{f"f{number}": candidate for number, candidate in enumerate(distinct.values(), 1)},
    }


def best_of(source: Path, top: int) -> tuple[list[str], dict[str, Any]]:
    """Return the texts of the ``top`` best candidates of a search or of a table, and what they depend on.

    Args:
        source: a folder of ``gaaf-gp evolve``, the file of a function table, or ``encoding1`` for the bundled one. A
            table's best are those of most seeds, by their mean validation accuracy.
        top: how many.

    Returns:
        Canonical texts, best first; "primitives" and, where it is known by name, "data".

    Raises:
        GaafError: there is neither a hall of fame nor a table, or it holds fewer.
    """
    texts, before = ranked_in(source)
    if not 1 <= top <= len(texts):
        raise GaafError(f"--top must be from 1 to the {len(texts)} candidates of {source}, got {top}")
    return texts[:top], before


def ranked_in(source: Path) -> tuple[list[str], dict[str, Any]]:
    """Return the texts of all candidates of a search or of a table, best first, as :func:`best_of` does.

    Raises:
        GaafError: there is neither a hall of fame nor a table.
    """
    if source.is_file() or (str(source) == TABLE and not source.exists()):
        table = load_table(source if source.is_file() else None)
        texts = [entry.text for entry in table.best(1.0)]
        before = {"primitives": table.provenance.get("primitives")}
    else:
        try:
            before = read_config(source)
        except GaafError as error:
            raise GaafError(
                f"--from must be a folder of gaaf-gp evolve, but {source / outputs.CONFIG} cannot be read: name "
                f"another, the file of a function table, or {TABLE}"
            ) from error
        if not (source / outputs.HALL).is_file():
            raise GaafError(
                f"--from must be a folder of gaaf-gp evolve, and {source} has no {outputs.HALL}: name another"
            )
        texts = [row["text"] for row in outputs.hall_rows(source)]
    return texts, before


BASELINES = "sign,rsign,rprelu"
OUT = Path("out/retrain")


def retrain(
    expression: Annotated[
        list[str] | None,
        typer.Option(help='A function to train, as in "add(sin(x), x)" or "FORWARD | BACKWARD"; may be repeated.'),
    ] = None,
    run_folder: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="Train the best of this folder of gaaf-gp evolve, or of a function table: a file, or encoding1 for "
            "the one that comes with gaaf-gp.",
        ),
    ] = None,
    top: Annotated[int, typer.Option(help="How many of them.")] = 1,
    baselines: Annotated[str, typer.Option(help="Hand-made competitors, with commas.")] = BASELINES,
    against: Annotated[str, typer.Option(help="Baselines that all are compared with, with commas.")] = SIGN,
    primitives: Annotated[
        str | None,
        typer.Option(
            help="Primitive set, as gaaf-gp evolve takes it.", show_default="that of --from, or primitives.gaaf:free"
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="Data set or folder, as gaaf-gp evolve takes it.", show_default="that of --from, or fashion10k"
        ),
    ] = None,
    stream: Annotated[
        bool | None,
        typer.Option(
            "--stream/--no-stream",
            help="Read images from their folder while a network trains.",
            show_default="streaming for imagenet",
        ),
    ] = None,
    stream_workers: Annotated[
        int | None, typer.Option(help="Processes that decode streamed images, for each worker.", show_default="0")
    ] = None,
    network: Annotated[
        str, typer.Option(help=f"Binary network: {', '.join(NETWORKS)}.", autocompletion=completion.networks)
    ] = "small",
    network_settings: NetworkSettingsOption = None,
    epochs: Annotated[int, typer.Option(help="Epochs of each training, both stages together.")] = 30,
    seeds: Annotated[int, typer.Option(help="Trainings of each candidate, on seeds that no search uses.")] = 5,
    seed: Annotated[int, typer.Option(help="Another one gives other seeds and another split.")] = 0,
    batch_size: Annotated[int, typer.Option(help="Images per training step.")] = 128,
    learning_rate: Annotated[float, typer.Option(help="Adam's, at the start of the cosine schedule.")] = 5e-3,
    pad: Annotated[int, typer.Option(help="Pixels of padding for the random crop.")] = 2,
    flip: Annotated[bool, typer.Option("--flip/--no-flip", help="Mirror images at random.")] = True,
    two_stage: Annotated[
        float, typer.Option(help="Share of the epochs that run first, with binary activations and real weights.")
    ] = 0.0,
    teacher: Annotated[
        str | None,
        typer.Option(help="Learn from a real network of torchvision, such as resnet18, or a teacher.safetensors."),
    ] = None,
    teacher_epochs: Annotated[
        int | None, typer.Option(help="Epochs of the teacher's own training.", show_default="as --epochs")
    ] = None,
    teacher_weight: Annotated[float, typer.Option(help="Weight of the teacher in the loss, up to 1.")] = 0.9,
    temperature: Annotated[float, typer.Option(help="Softens what both networks say.")] = 4.0,
    precision: Annotated[
        str, typer.Option(help=f"What real layers compute in, on a GPU: {', '.join(PRECISIONS)}.")
    ] = "float32",
    val_fraction: Annotated[float, typer.Option(help="Part of the training images that curves are of.")] = 0.1,
    limit: Annotated[int | None, typer.Option(help="Train and validate on at most this many images.")] = None,
    image_size: Annotated[
        int | None, typer.Option(help="Resize images to this many pixels a side.", show_default="224 if streamed")
    ] = None,
    device: Annotated[str, typer.Option(help="Where to train: cpu, cuda, cuda:1, ...")] = "cpu",
    threads: Annotated[int, typer.Option(help="CPU threads of one training; part of what decides the result.")] = 1,
    workers: Annotated[
        int | None,
        typer.Option(help="Worker processes; the result is the same for any number.", show_default="all cores"),
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Folder; an earlier retraining of the same settings is gone on with.")
    ] = OUT,
    download: Annotated[bool, typer.Option("--download", help="Fetch the data set if it is missing.")] = False,
    progress: ProgressOption = Mode.AUTO,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train functions and baselines at full length on fresh seeds, and compare them on the test split.

    Stop with Ctrl-C whenever you like: the same command goes on. The table is written as text, CSV and LaTeX.
    """
    texts, before = ([], {}) if run_folder is None else best_of(run_folder, top)
    pset = load_primitives(primitives) if primitives else load_recorded(before.get("primitives") or FREE, run_folder)
    candidates = chosen(pset, [*texts, *(expression or [])], _listed(baselines))
    compared = _listed(against)
    _check_against(compared, candidates)
    source = data or before.get("data") or "fashion10k"
    streamed = streams(source, stream)
    taught = None
    if teacher is not None:
        taught = Distillation(teacher, teacher_epochs or epochs, teacher_weight, temperature)
    proxy = {
        "network": network,
        "network_settings": network_settings or {},
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "pad": pad,
        "flip": flip,
        "threads": threads,
        "precision": precision,
    }
    found = run(
        candidates,
        open_images(
            source,
            streamed,
            seed=seed,
            val_fraction=val_fraction,
            limit=limit,
            device=device,
            **loading_settings(streamed, stream_workers, image_size, download),
        ),
        RetrainSettings(epochs, two_stage, taught, proxy),
        seeds=fresh_seeds(seeds, seed),
        out=out,
        pset=pset,
        workers=available_cores() if workers is None else workers,
        progress=shown(progress, quiet),
    )
    finish(found, out, compared, as_json)


def finish(found: RetrainResult, out: Path, against: Sequence[str] = (SIGN,), as_json: bool = False) -> None:
    """Write the tables and print them; if trainings are missing, say how to go on and exit with status 130.

    Args:
        found: the retraining.
        out: its folder.
        against: baselines, a table for each.
        as_json: print one JSON document: ``complete``, ``ended``, ``wanted``, ``folder``, and if complete all that its
            ``result.json`` holds.
    """
    about = {"complete": found.complete, "ended": len(found.trainings), "wanted": found.wanted, "folder": str(out)}
    result = tables.write(found, out, against) if found.complete else {}
    console = Console(highlight=False, soft_wrap=True)
    if as_json:
        print_json({**result, **about})
    elif found.complete:
        tables.show(found, {name: tables.rows(found, name) for name in against}, Console())
    else:
        console.print(f"{len(found.trainings)} of {found.wanted} trainings have ended; the same command goes on.")
    if not as_json:
        console.print(f"Everything is in {out}", markup=False)
    if not found.complete:
        raise typer.Exit(INTERRUPTED)


def _check_against(names: Iterable[str], candidates: dict[str, Candidate | None]) -> None:
    missing = [name for name in names if name not in candidates]
    if missing:
        raise GaafError(
            f"--against must name what is trained, {', '.join(candidates)}, got {missing[0]!r}: add it to --baselines"
        )


def _listed(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]
