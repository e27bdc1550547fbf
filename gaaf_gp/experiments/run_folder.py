"""The folder that a run leaves behind: JSON and CSV for programs, figures and a table for people."""

from __future__ import annotations

import csv
import io
import json
import statistics
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from gaaf_gp.errors import GaafError, one_line
from gaaf_gp.evaluation.records import Record
from gaaf_gp.experiments.confirm import COMPETITORS, Confirmation, Gain, confirmation_from
from gaaf_gp.search.result import SearchResult
from gaaf_gp.statistics import additive_fit
from gaaf_gp.trees.candidate import Evolved
from gaaf_gp.util.files import replacing
from gaaf_gp.util.provenance import versions
from gaaf_gp.util.text import signed


def summary(
    found: SearchResult, sign: Mapping[int, float], test: Confirmation | None, drawn: SearchResult | None = None
) -> dict[str, Any]:
    """Return the part of ``result.json`` that a search and its confirmation make.

    Args:
        found: the search.
        sign: validation accuracy of the plain sign for each seed.
        test: the comparison on the test split, see :func:`gaaf_gp.experiments.confirm.confirm`; None if there was none.
        drawn: random search at the same budget, None if there was none.
    """
    best, record = found.hall_of_fame[0] if len(found.hall_of_fame) else None, found.best
    return {
        "best": best and str(best),
        "best_infix": best and best.infix(),
        "validation": {
            "best": record and record.accuracy,
            "best_standard_error": record and record.standard_error,
            "sign": sign_accuracy(sign, record),
            "seeds": list(record.by_seed if record else sign),
        },
        "test": None if test is None else test.as_json(),
        "random_search": None if drawn is None else _random_search(drawn, found),
        "evaluations": len(found.records),
        "rejected": dict(found.rejected),
        "failures": dict(found.failures),
        "duplicates": found.duplicates,
        "dropped": {str(epochs): count for epochs, count in sorted(found.dropped.items())},
        "epochs_trained": sum(o.epochs for r in found.records if r.same_as is None for o in r.outcomes),
        "seconds_search": found.seconds,
        "seconds_random_search": drawn.seconds if drawn is not None else 0.0,
        "interrupted": found.interrupted,
        "stopped": found.stopped,
        "versions": versions(),
    }


def _random_search(drawn: SearchResult, found: SearchResult) -> dict[str, Any]:
    best, record = drawn.hall_of_fame[0] if len(drawn.hall_of_fame) else None, drawn.best
    seen = {one.text for one in found.records}
    return {
        "best": best and str(best),
        "best_infix": best and best.infix(),
        "validation": record and record.accuracy,
        "standard_error": record and record.standard_error,
        "evaluations": len(drawn.records),
        "of_the_search": sum(one.text in seen for one in drawn.records),
    }


def luck(found: SearchResult, test: Confirmation | None) -> dict[str, Any] | None:
    """Return how much of the winner's lead in its search is luck to expect, fit for JSON, or None if nobody can say.

    The noise of a training comes from the candidates that the search trained on several seeds, or else from the
    confirmation, whose candidates share their seeds.

    Args:
        found: the search.
        test: the comparison on the test split, None if there was none.

    Returns:
        The fields of :class:`gaaf_gp.statistics.Luck`, accuracies from 0 to 1; and "words", a sentence.
    """
    estimate = found.luck()
    if estimate is None and test is not None:
        confirmed = [one.accuracies for one in test.competitors.values() if not one.failures]
        confirmed += [] if test.failures else [test.best]
        distinct = dict.fromkeys(confirmed)  # what one training gave counts once
        fit = additive_fit(dict(zip(test.seeds, row, strict=True)) for row in distinct)
        estimate = found.luck(fit.deviation) if fit.freedom else None
    if estimate is None:
        return None
    words = (
        f"In the search the winner was {100 * estimate.lead:.2f} points above the mean of {estimate.candidates} "
        f"candidates. Between {100 * estimate.expected:.2f} and {100 * estimate.most:.2f} points of that are expected "
        "luck (the more, the more candidates are about as good): the best of many noisy trainings looks better than it "
        "is."
    )
    return {**asdict(estimate), "words": words}


def sign_accuracy(sign: Mapping[int, float], record: Record | None) -> float | None:
    """Return the mean accuracy of the plain sign on the seeds of a record, or on all where it lacks one of them."""
    seeds = sign if record is None or not set(record.by_seed) <= set(sign) else record.by_seed
    return statistics.fmean(sign[seed] for seed in seeds) if seeds and sign else None


def verdict(test: Confirmation | None, why: str) -> str:
    """Say in one sentence whether the evolved activation is better than the plain sign, or ``why`` it is not known."""
    if test is None:
        return f"Not compared on the test split: {why}"
    low, high, seeds = test.difference.low, test.difference.high, len(test.seeds)
    span = f"{signed(100 * test.difference.mean)} points on the test split, 95 % interval {signed(100 * low)} to "
    span += f"{signed(100 * high)}, {seeds} fresh seeds"
    if low > 0:
        return f"The evolved activation is better than the plain sign ({span})."
    if high < 0:
        return f"The evolved activation is NOT better than the plain sign: it is worse ({span})."
    return f"The evolved activation is NOT shown to be better than the plain sign ({span})."


def standing(test: Confirmation | None) -> str | None:
    """Say in one sentence which competitors the winner is better than, looking at all of them; None without a test."""
    if test is None:
        return None
    groups: dict[str, list[str]] = {
        "better than": [],
        "worse than": [],
        "no significant difference from": [],
        "not compared with": [],
    }
    for name, one in test.competitors.items():
        if one.gain.difference is None:
            verb = "not compared with"
        elif one.gain.significant:
            verb = "better than" if one.gain.difference.mean > 0 else "worse than"
        else:
            verb = "no significant difference from"
        groups[verb].append(COMPETITORS[name])
    said = "; ".join(f"{verb} {', '.join(names)}" for verb, names in groups.items() if names)
    return f"Against {len(test.competitors)} competitors, p-values corrected for all (Holm, 5 %): {said}."


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


def write(folder: Path, result: dict[str, Any], found: SearchResult, sign: Mapping[int, float]) -> None:
    """Write result.json, logbook.csv, hall_of_fame.csv, population.csv, best_tree.png and history.png.

    The figures need at least one evaluated candidate and are left out without. One that cannot be drawn is a warning.
    The history shows the candidates that were trained in full: what others reached earlier cannot be compared.

    Args:
        folder: where to.
        result: what result.json holds.
        found: the search.
        sign: validation accuracy of the plain sign for each seed.
    """
    _json(folder / RESULT, result)
    _csv(folder / "logbook.csv", _logbook_rows(found))
    _csv(folder / HALL, _hall_rows(found, sign))
    _csv(folder / "population.csv", map(_population_row, found.population))
    if len(found.hall_of_fame):
        from gaaf_gp.plots import plot_evolved, plot_history, save_figure  # noqa: PLC0415  a search starts without it

        complete = [record for record in found.records if record.complete]
        figures: dict[str, Callable[[], Any]] = {
            "best_tree.png": lambda: plot_evolved(found.hall_of_fame[0]),
            "history.png": lambda: plot_history(complete, result["validation"]["sign"]),
        }
        for name, draw in figures.items():
            try:
                save_figure(draw(), folder / name)
            except Exception as error:  # whatever matplotlib says, hours of search are not lost for a picture
                warnings.warn(f"{name} was not drawn ({one_line(error)}); all tables are written", stacklevel=2)


def print_summary(result: dict[str, Any], found_rows: Sequence[dict[str, str]], folder: Path, console: Console) -> None:
    """Print the best candidates beside the baselines, how the winner compares, and where everything is."""
    table = Table(title="Best candidates of the search")
    for column, justify in (
        ("rank", "right"),
        ("f(x)", "left"),
        ("size", "right"),
        ("validation", "right"),
        ("vs sign", "right"),
    ):
        table.add_column(column, justify=justify, overflow="fold")  # type: ignore[arg-type]
    sign = result["validation"]["sign"]
    for row in found_rows[:TABLE_ROWS]:
        accuracy = float(row["accuracy"])
        error = f" ± {100 * float(row['standard_error']):.2f}" if row.get("standard_error") else ""
        over = accuracy - float(row.get("sign") or sign)
        table.add_row(row["rank"], row["infix"], row["size"], f"{accuracy:.2%}{error}", signed(100 * over))
    table.add_row("", "x (plain sign)", "1", "" if sign is None else f"{sign:.2%}", "", style="dim")
    drawn = result.get("random_search")
    if drawn and drawn["validation"] is not None:
        gain = "" if sign is None else signed(100 * (drawn["validation"] - sign))
        table.add_row("", f"{drawn['best_infix']} (random search)", "", f"{drawn['validation']:.2%}", gain, style="dim")
    console.print(table)
    rejected = sum(result["rejected"].values())
    failed = sum(result["failures"].values())
    console.print(
        f"{result['evaluations']} candidates trained ({failed} failed), {rejected} rejected without training, "
        f"{result['seconds']:.0f} s",
        highlight=False,
    )
    for line in _savings(result):
        console.print(line, highlight=False, soft_wrap=True)
    test = confirmation_from(result.get("test"))
    if test is not None:
        console.print(_comparisons(test))
    words = (result.get("luck") or {}).get("words")
    for line in (*_separation(test), result["verdict"], result.get("standing"), words):
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
    for name, one in test.competitors.items():
        mean = "failed" if one.mean is None else f"{one.mean:.2%}"
        table.add_row(COMPETITORS[name], mean, *_figures(one.gain))
    return table


def _figures(gain: Gain) -> tuple[str, str, str]:
    if gain.difference is None:
        return "", "too few trainings", ""
    low, mean, high = (100 * value for value in (gain.difference.low, gain.difference.mean, gain.difference.high))
    return signed(mean), f"{signed(low)} to {signed(high)}", f"{gain.p_holm:.2g}"


def _separation(test: Confirmation | None) -> Iterable[str]:
    for name, gain in ((test and test.separation) or {}).items():
        mean, interval, p_value = _figures(gain)
        found = f"{mean} points over the plain sign (95 % interval {interval}, p {p_value})" if mean else interval
        yield f"{ALONE[name]}: {found}"


def _savings(result: Mapping[str, Any]) -> Iterable[str]:
    if result.get("duplicates"):
        yield f"{result['duplicates']} would have trained as an earlier one and were not"
    if result.get("dropped"):
        counts = [f"{count} after epoch {epochs}" for epochs, count in result["dropped"].items()]
        yield f"dropped out of races: {', '.join(counts)}; {result['epochs_trained']} epochs trained in all"


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
