"""``gaaf-gp archive``: what is in an archive of evaluations, for people and for other programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gaaf_gp.archive import VALIDATION, Archive, Evaluation, Sort, Summary, check, export_csv, export_parquet
from gaaf_gp.archive.export import check_new
from gaaf_gp.cli.options import JsonOption, examples
from gaaf_gp.cli.output import print_json
from gaaf_gp.cli.tour import Group
from gaaf_gp.errors import GaafError
from gaaf_gp.experiments.run_folder import ARCHIVE

FIGURES = ("accuracy", "seeds", "seed", "epochs", "seconds", "entries", "no.")
DATE = len("2026-01-31")
MINUTE = len("2026-01-31T12:34")
SHOWN = 8
"""Characters of a key or a hash that a table shows."""
MOST_DIFFERING = 5
"""Evaluations with another result that a merge names."""

app = typer.Typer(help="Evaluations that runs have kept.", cls=Group, rich_markup_mode=None)


def in_folder(file: Path) -> Path:
    """Return the archive in the folder of a run, or the file itself."""
    return file / ARCHIVE if file.is_dir() and (file / ARCHIVE).is_file() else file


FileArgument = Annotated[
    Path, typer.Argument(help="The archive, or the folder of a run.", show_default=False, callback=in_folder)
]
RunOption = Annotated[
    str | None, typer.Option("--run", help="Only what this run asked for; its key or the beginning of it.")
]


@app.command("ls", epilog=examples("gaaf-gp archive ls out/evolve/archive.sqlite --limit 5"))
def list_archive(
    file: FileArgument,
    limit: Annotated[int, typer.Option(help="Most lines.", min=1)] = 20,
    sort: Annotated[Sort, typer.Option(help="What comes first.")] = Sort.BEST,
    failed: Annotated[
        bool | None,
        typer.Option("--failed/--not-failed", help="Only those that failed, or that did not.", show_default="both"),
    ] = None,
    run: RunOption = None,
    texts: Annotated[bool, typer.Option("--texts", help="Show canonical texts, not formulas.")] = False,
    runs: Annotated[bool, typer.Option("--runs", help="List the runs.")] = False,
    tasks: Annotated[
        bool, typer.Option("--tasks", help="List the settings that candidates were trained with.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List candidates with their mean accuracy over the seeds, or runs, or tasks."""
    if runs and tasks:
        raise GaafError("one list is printed at a time, got --runs and --tasks: leave one out")
    with Archive(file, readonly=True) as archive:
        if runs:
            _print_runs(archive, limit, as_json)
        elif tasks:
            _print_tasks(archive, as_json)
        else:
            found = archive.summaries(sort=sort, limit=limit, failed=failed, run=run)
            _print_candidates(found, texts, as_json)


@app.command(epilog=examples('gaaf-gp archive show out/evolve/archive.sqlite "sin(x) + x"'))
def show(
    file: FileArgument,
    text: Annotated[str, typer.Argument(help="Canonical text or formula, as gaaf-gp archive ls has them.")],
    as_json: JsonOption = False,
) -> None:
    """Say all that is known of a function: every training, with its curve."""
    with Archive(file, readonly=True) as archive:
        found = archive.find(text) or list(archive.rows(formula=text))
    if not found:
        raise GaafError(
            f"there is no function {_clean(text)!r} in {file}: gaaf-gp archive ls --texts {file} lists their texts"
        )
    if as_json:
        print_json([asdict(one) for one in found])
        return
    for name, values in (
        ("text", {one.text for one in found}),
        ("formula", {one.formula for one in found}),
        ("signature", {one.signature for one in found}),
    ):
        typer.echo(f"{name:<9} {', '.join(map(_clean, sorted(values)))}")
    shown = _table("no.", "seed", "epochs", "accuracy", "seconds", "split", "task", "added", "failure")
    for number, one in enumerate(found, 1):
        figures = (number, one.seed, one.epochs, _percent(one.accuracy), f"{one.seconds:.1f}")
        _add(shown, *figures, _split(one), one.task[:SHOWN], one.created[:DATE], one.failure or "")
    Console().print(shown)
    typer.echo("accuracy after each epoch, in per cent:")
    for number, one in enumerate(found, 1):
        typer.echo(f"{number:>5}  {' '.join(map(_percent, one.curve)) or 'none was finished'}")


@app.command(epilog=examples("gaaf-gp archive export out/evolve/archive.sqlite --csv trainings.csv"))
def export(
    file: FileArgument,
    csv: Annotated[Path | None, typer.Option(help="CSV file to write.", show_default=False)] = None,
    parquet: Annotated[
        Path | None, typer.Option(help="Parquet file to write; takes the extra gaaf-gp[parquet].", show_default=False)
    ] = None,
    run: RunOption = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write every training as a line of a table, for pandas, R or a spreadsheet."""
    if csv is None and parquet is None:
        raise GaafError("an export needs a file to write: pass --csv FILE, --parquet FILE, or both")
    wanted = [(write, path) for write, path in ((export_csv, csv), (export_parquet, parquet)) if path is not None]
    if len({path.resolve() for path in (file, csv, parquet) if path is not None}) <= len(wanted):
        raise GaafError(f"an export must go to a file of its own, which must not be the archive itself, {file}")
    for _, path in wanted:
        check_new(path, force)
    with Archive(file, readonly=True) as archive:
        written = {str(path): write(archive.rows(run=run), path, force=force) for write, path in wanted}
    if as_json:
        print_json([{"file": name, "trainings": number} for name, number in written.items()])
        return
    for name, number in written.items():
        typer.echo(f"wrote {number} trainings to {name}")


@app.command(epilog=examples("gaaf-gp archive merge all.sqlite out/*/archive.sqlite"))
def merge(
    into: Annotated[Path, typer.Argument(help="The archive that is added to; made if it is missing.")],
    sources: Annotated[list[Path], typer.Argument(metavar="FROM...", help="Archives whose content is added.")],
    as_json: JsonOption = False,
) -> None:
    """Add all evaluations and runs of archives to another one; what is there already stays."""
    with ExitStack() as stack:
        opened = [stack.enter_context(Archive(path, readonly=True)) for path in sources]
        target = stack.enter_context(Archive(into))
        results = {str(other.path): target.merge(other) for other in opened}
    if as_json:
        print_json({name: asdict(result) for name, result in results.items()})
        return
    for name, one in results.items():
        typer.echo(
            f"{name}: {one.new} new, {one.known} known, {len(one.differing)} with another result, {one.runs} new runs"
        )
        for differing in one.differing[:MOST_DIFFERING]:
            typer.echo(
                f"  another result, {_percent(differing.accuracy)} %: {_clean(differing.text)}, seed {differing.seed}"
            )


@app.command("check", epilog=examples("gaaf-gp archive check out/evolve/archive.sqlite"))
def check_archive(
    file: FileArgument,
    upgrade: Annotated[
        bool, typer.Option("--upgrade", help="Bring a file of an older version up to date first.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Look through a whole archive for damage: pages, indexes, references, checksums, texts."""
    report = check(file, upgrade=upgrade)
    if as_json:
        print_json(asdict(report))
    else:
        for name, number in report.counts.items():
            typer.echo(f"{name:<12} {number}")
        for problem in report.problems:
            typer.echo(_clean(problem))
    if report.problems:
        many = f"{len(report.problems)} problem{'s' * (len(report.problems) > 1)}"
        raise GaafError(f"{file} is damaged, {many}: restore a copy of it")
    if not as_json:
        typer.echo("all is well")


def _print_candidates(found: Sequence[Summary], texts: bool, as_json: bool) -> None:
    if as_json:
        print_json([asdict(one) for one in found])
        return
    shown = _table("f(x)", "accuracy", "seeds", "epochs", "seconds", "task", "failure")
    for one in found:
        name = one.text if texts or not one.formula else one.formula
        figures = (_percent(one.accuracy), one.seeds, one.epochs, f"{one.seconds:.1f}", one.task[:SHOWN])
        _add(shown, name, *figures, one.failure or "")
    Console().print(shown)


def _print_runs(archive: Archive, limit: int, as_json: bool) -> None:
    found = archive.runs()[::-1][:limit]
    if as_json:
        print_json([asdict(one) for one in found])
        return
    shown = _table("run", "started", "ended", "status", "entries", "command")
    for one in found:
        _add(
            shown,
            one.key[:SHOWN],
            one.started[:MINUTE],
            (one.ended or "")[:MINUTE],
            one.status,
            one.entries,
            one.command,
        )
    Console().print(shown)


def _print_tasks(archive: Archive, as_json: bool) -> None:
    found = archive.tasks()
    if as_json:
        print_json(found)
        return
    for name, settings in found.items():
        typer.echo(f"{_clean(name[:SHOWN])} {json.dumps(settings)}")


def _split(one: Evaluation) -> str:
    return one.split if one.split == VALIDATION else one.split[: len("sha256:") + SHOWN]


def _table(*columns: str) -> Table:
    shown = Table()
    for name in columns:
        figure = name in FIGURES
        shown.add_column(name, justify="right" if figure else "left", overflow="fold", no_wrap=figure)
    return shown


def _add(table: Table, *cells: Any) -> None:
    table.add_row(*(Text(_clean(str(cell))) for cell in cells))


def _clean(text: str) -> str:
    """Return text that moves no cursor: a file may be anybody's."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _percent(value: float) -> str:
    return f"{100 * value:.2f}"
