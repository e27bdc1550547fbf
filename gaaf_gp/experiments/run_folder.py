"""The folder that a run leaves behind: JSON and CSV for programs, figures and a table for people."""

from __future__ import annotations

import csv
import io
import json
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from gaaf_gp.errors import GaafError, one_line
from gaaf_gp.experiments.confirm import COMPETITORS, Confirmation, Gain
from gaaf_gp.experiments.run_result import RunResult, sign_accuracy
from gaaf_gp.search.result import SearchResult
from gaaf_gp.trees.candidate import Evolved
from gaaf_gp.util.files import replacing
from gaaf_gp.util.text import signed

TABLE_ROWS = 5
ALONE = {
    "forward": "The forward tree with the clipped identity",
    "backward": "The backward tree with the plain sign",
}


def check_free(folder: Path) -> None:
    """Refuse a folder that holds something: results are never overwritten.

    Raises:
        GaafError: if ``folder`` is a file or is not empty.
    """
    if folder.exists() and not folder.is_dir():
        raise GaafError(f"the output folder must be a folder, but {folder} is a file: choose another one")
    if folder.is_dir() and any(folder.iterdir()):
        raise GaafError(f"the output folder must be new or empty, but {folder} holds something: choose another one")


def next_free(folder: Path) -> Path:
    """Return ``folder`` if it is new or empty, else ``folder-2``, ``folder-3``, ..."""
    number, candidate = 1, folder
    while candidate.exists() and (not candidate.is_dir() or any(candidate.iterdir())):
        number += 1
        candidate = folder.with_name(f"{folder.name}-{number}")
    return candidate


CONFIG, RESULT, ARCHIVE, HALL = "config.json", "result.json", "archive.sqlite", "hall_of_fame.csv"
"""Files of a run's folder."""


def start(folder: Path, config: dict[str, Any]) -> None:
    """Make the folder and write ``config.json``.

    Raises:
        GaafError: if it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _json(folder / CONFIG, config)
    except OSError as error:
        raise GaafError(f"the output folder must be writable, but {folder} is not ({error.strerror})") from error


def write(folder: Path, result: RunResult, found: SearchResult, sign: Mapping[int, float]) -> None:
    """Write result.json, logbook.csv, hall_of_fame.csv, population.csv, best_tree.png and history.png.

    The figures need at least one evaluated candidate and are left out without. One that cannot be drawn is a warning.
    The history shows the candidates that were trained in full: what others reached earlier cannot be compared.

    Args:
        folder: where to.
        result: of the run.
        found: the search.
        sign: validation accuracy of the plain sign for each seed.
    """
    _json(folder / RESULT, result.as_json())
    _csv(folder / "logbook.csv", _logbook_rows(found))
    _csv(folder / HALL, _hall_rows(found, sign))
    _csv(folder / "population.csv", map(_population_row, found.population))
    if len(found.hall_of_fame):
        from gaaf_gp.plots import plot_evolved, plot_history, save_figure  # noqa: PLC0415  a search starts without it

        complete = [record for record in found.records if record.complete]
        figures: dict[str, Callable[[], Any]] = {
            "best_tree.png": lambda: plot_evolved(found.hall_of_fame[0]),
            "history.png": lambda: plot_history(complete, result.validation.sign),
        }
        for name, draw in figures.items():
            try:
                save_figure(draw(), folder / name)
            except Exception as error:  # whatever matplotlib says, hours of search are not lost for a picture
                warnings.warn(f"{name} was not drawn ({one_line(error)}); all tables are written", stacklevel=2)


def print_summary(result: RunResult, found_rows: Sequence[dict[str, str]], folder: Path, console: Console) -> None:
    """Print the best candidates beside the baselines, how the winner compares, and where everything is.

    Args:
        result: of the run.
        found_rows: of its hall of fame, see :func:`hall_rows`.
        folder: of the run.
        console: where to.
    """
    table = Table(title="Best candidates of the search")
    for column, justify in (
        ("rank", "right"),
        ("f(x)", "left"),
        ("size", "right"),
        ("validation", "right"),
        ("vs sign", "right"),
    ):
        table.add_column(column, justify=justify, overflow="fold")  # type: ignore[arg-type]
    sign = result.validation.sign
    for row in found_rows[:TABLE_ROWS]:
        accuracy = float(row["accuracy"])
        error = f" ± {100 * float(row['standard_error']):.2f}" if row.get("standard_error") else ""
        beside = row.get("sign") or sign
        over = "" if beside is None else signed(100 * (accuracy - float(beside)))
        table.add_row(row["rank"], row["infix"], row["size"], f"{accuracy:.2%}{error}", over)
    table.add_row("", "x (plain sign)", "1", "" if sign is None else f"{sign:.2%}", "", style="dim")
    drawn = result.random_search
    if drawn is not None and drawn.validation is not None:
        gain = "" if sign is None else signed(100 * (drawn.validation - sign))
        table.add_row("", f"{drawn.best_infix} (random search)", "", f"{drawn.validation:.2%}", gain, style="dim")
    console.print(table)
    rejected = sum(result.rejected.values())
    failed = sum(result.failures.values())
    console.print(
        f"{result.evaluations} candidates trained ({failed} failed), {rejected} rejected without training, "
        f"{result.seconds:.0f} s",
        highlight=False,
    )
    for line in _savings(result):
        console.print(line, highlight=False, soft_wrap=True)
    if result.test is not None:
        console.print(_comparisons(result.test))
    luck = "" if result.luck is None else str(result.luck["words"])
    for line in (*_separation(result.test), result.verdict, result.standing or "", luck):
        if line:
            console.print(line, highlight=False, markup=False)
    console.print(f"Everything is in {folder}", highlight=False, markup=False, soft_wrap=True)


def _comparisons(test: Confirmation) -> Table:
    """The winner minus each competitor, with Student's interval and the corrected p-value."""
    title = f"The winner ({test.best_mean:.2%}) minus each, on the test split, {len(test.seeds)} fresh seeds"
    table = Table(title=title)
    table.add_column("against")
    for column in ("accuracy", "difference", "95 % interval", "p (Holm)"):
        table.add_column(column, justify="right")
    for name, competitor in test.competitors.items():
        mean = "failed" if competitor.mean is None else f"{competitor.mean:.2%}"
        table.add_row(COMPETITORS[name], mean, *_figures(competitor.gain))
    return table


def _figures(gain: Gain) -> tuple[str, str, str]:
    if gain.difference is None:
        return "", "too few trainings", ""
    low, mean, high = (100 * value for value in (gain.difference.low, gain.difference.mean, gain.difference.high))
    return signed(mean), f"{signed(low)} to {signed(high)}", f"{gain.p_holm:.2g}"


def _separation(test: Confirmation | None) -> Iterable[str]:
    for name, gain in ((test and test.separation) or {}).items():
        mean, interval, p_value = _figures(gain)
        words = f"{mean} points over the plain sign (95 % interval {interval}, p {p_value})" if mean else interval
        yield f"{ALONE[name]}: {words}"


def _savings(result: RunResult) -> Iterable[str]:
    if result.duplicates:
        yield f"{result.duplicates} would have trained as an earlier one and were not"
    if result.dropped:
        counts = [f"{count} after epoch {epochs}" for epochs, count in result.dropped.items()]
        yield f"dropped out of races: {', '.join(counts)}; {result.epochs_trained} epochs trained in all"


def hall_rows(folder: Path) -> list[dict[str, str]]:
    """Read back the rows of ``hall_of_fame.csv``."""
    with (folder / HALL).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _json(path: Path, content: dict[str, Any]) -> None:
    _text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def _csv(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    listed_rows = list(rows)
    with io.StringIO(newline="") as file:
        if listed_rows:
            writer = csv.DictWriter(file, list(listed_rows[0]))
            writer.writeheader()
            writer.writerows(listed_rows)
        _text(path, file.getvalue())


def _text(path: Path, text: str) -> None:
    with replacing(path) as file:
        file.write(text.encode())


def _logbook_rows(found: SearchResult) -> Iterable[dict[str, Any]]:
    chapters = found.logbook.chapters
    for index, row in enumerate(found.logbook):
        flat = dict(row)
        for chapter in ("fitness", "size"):
            for values in chapters[chapter][index : index + 1]:  # none where nobody was good enough for a population
                extra = {k: v for k, v in values.items() if k in ("avg", "std", "min", "max")}
                flat.update({f"{chapter}_{name}": value for name, value in sorted(extra.items())})
        yield flat


def _population_row(individual: Evolved) -> dict[str, Any]:
    fitness = individual.fitness.values[0] if individual.fitness.valid else ""
    return {"text": str(individual), "infix": individual.infix(), "fitness": fitness, "size": individual.size}


def _hall_rows(found: SearchResult, sign: Mapping[int, float]) -> Iterable[dict[str, Any]]:
    records = {record.text: record for record in found.records}
    for rank, individual in enumerate(found.hall_of_fame, 1):
        record = records[individual.canonical]
        yield {
            "rank": rank,
            "text": str(individual),
            "infix": individual.infix(),
            "accuracy": record.accuracy,
            "standard_error": "" if record.standard_error is None else record.standard_error,
            "seeds": len(record.outcomes),
            "fidelity": record.fidelity,
            "fitness": record.fitness,
            "sign": sign_accuracy(sign, record),
            "size": individual.size,
            "height": individual.height,
            "cost": individual.cost,
        }
