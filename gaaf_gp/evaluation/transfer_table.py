"""Table of the same functions trained in many networks: which cheap training ranks them as other networks do?

A benchmark of proxies in seconds: ``load_table("transfer").agreement("s2-w8-i14-e3", "target-nin-fashion")``.
"""

from __future__ import annotations

import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import scipy  # its parts are read when they are first used

from gaaf_gp.errors import GaafError, listed
from gaaf_gp.evaluation.table_file import TableFile
from gaaf_gp.statistics import RankCorrelation, rank_correlation, tau_ceiling
from gaaf_gp.training.outcome import WORST_ACCURACY

FILE = TableFile("gaaf_gp transfer table", 1, "transfer.json.gz", "runs/transfer.py")
"""The bundled one is described in docs/results.md."""
By = Literal["accuracy", "loss", "both"]
"""What a ranking goes by: accuracy, training loss (the lower the better), or the mean of both ranks."""


@dataclass(frozen=True)
class Curve:
    """One training.

    Attributes:
        accuracy: on the validation split after each epoch (0 to 1); empty if it failed before the first one ended.
        loss: mean training loss of each epoch (cross-entropy, nats).
        failure: why it failed, None if it did not.
    """

    accuracy: tuple[float, ...]
    loss: tuple[float, ...]
    failure: str | None = None


@dataclass(frozen=True)
class Cell:
    """One way to judge a function: data, network, length of training.

    Attributes:
        settings: of the proxy, see :meth:`gaaf_gp.Proxy.settings`.
        target: whether it stands for a network that is to be used; else it is a proxy.
        seconds: of one training on one core of one machine; None if that was not measured.
        curves: seed -> text of the function -> its training.
    """

    settings: Mapping[str, Any]
    target: bool
    seconds: float | None
    curves: Mapping[int, Mapping[str, Curve]]


class TransferTable:
    """Functions trained in proxies and targets.

    Args:
        functions: text -> where the function comes from, such as "encoding 1".
        cells: name -> cell.
        provenance: all else that the trainings depend on, fit for JSON.

    Attributes:
        functions: as given.
        cells: as given.
        provenance: as given.

    Raises:
        GaafError: a cell has a training of a function that is not in ``functions``, or no training.
    """

    def __init__(self, functions: Mapping[str, str], cells: Mapping[str, Cell], provenance: Mapping[str, Any]) -> None:
        self.functions, self.cells, self.provenance = dict(functions), dict(cells), dict(provenance)
        for name, cell in cells.items():
            trained = {text for curves in cell.curves.values() for text in curves}
            if not trained or not trained <= functions.keys():
                strange = listed(sorted(trained - functions.keys()), 3)
                raise GaafError(
                    f"each cell of a transfer table must have trainings, of functions of the table only; {name} has "
                    f"{strange or 'none'}: add the functions, or leave the cell out"
                )

    def values(
        self, cell: str, texts: Sequence[str], seeds: Collection[int] | None = None, by: By = "accuracy"
    ) -> list[float]:
        """Return what each function reached in a cell: higher is better.

        Args:
            cell: its name.
            texts: the functions; each was trained on all of the seeds.
            seeds: means are over these; all on which each function was trained by default.
            by: the accuracy after the last epoch (0 to 1; 0 where training failed), minus the training loss of the
                last epoch (nats; minus infinity where it failed), or the mean of the ranks by both (1 is the worst).

        Raises:
            GaafError: there is no such cell, or it lacks a training.
        """
        if by == "both":
            ranks = [scipy.stats.rankdata(self.values(cell, texts, seeds, way)) for way in ("accuracy", "loss")]
            return [float(first + second) / 2 for first, second in zip(*ranks, strict=True)]
        curves = self._curves(cell, texts, seeds)
        return [statistics.fmean(_last(curve, by) for curve in of_text) for of_text in zip(*curves, strict=True)]

    def trained(self, *cells: str) -> list[str]:
        """Return the functions that were trained in all of these cells, on all seeds of each.

        Raises:
            GaafError: there is no such cell.
        """
        rows = [curves for cell in cells for curves in self._cell(cell).curves.values()]
        return [text for text in self.functions if all(text in curves for curves in rows)]

    def agreement(
        self,
        proxy: str,
        target: str,
        *,
        better_half: bool = False,
        seeds: Collection[int] | None = None,
        by: By = "accuracy",
        resamples: int = 2_000,
    ) -> RankCorrelation:
        """Return Kendall's tau-b between a proxy and the mean of a target's seeds, with its bootstrap interval.

        Args:
            proxy: name of a cell.
            target: name of another.
            better_half: compare the half of the functions alone that is better in the target.
            seeds: of the proxy; all of them by default.
            by: what the proxy ranks by; the target ranks by accuracy.
            resamples: of the bootstrap over functions.

        Raises:
            GaafError: there is no such cell, or fewer than three functions were trained in both.
        """
        texts = self._compared(target, self.trained(proxy, target), better_half)
        values = self.values(proxy, texts, seeds, by)
        worst = min((value for value in values if value > float("-inf")), default=0.0) - 1  # failures rank last
        finite = [max(value, worst) for value in values]
        return rank_correlation(finite, self.values(target, texts), resamples=resamples)

    def ceiling(self, target: str, *, better_half: bool = False) -> float:
        """Return the tau of a proxy without noise, see :func:`gaaf_gp.statistics.tau_ceiling`.

        Raises:
            GaafError: there is no such cell, or it has one seed only.
        """
        texts = self._compared(target, self.trained(target), better_half)
        return tau_ceiling([self.values(target, texts, [seed]) for seed in self._cell(target).curves])

    def _compared(self, target: str, texts: list[str], better_half: bool) -> list[str]:
        if not better_half or not texts:
            return texts
        reached = dict(zip(texts, self.values(target, texts), strict=True))
        cut = statistics.median(reached.values())
        return [text for text in texts if reached[text] >= cut]

    def _cell(self, name: str) -> Cell:
        if name not in self.cells:
            raise GaafError(f"a cell must be one of {listed(self.cells, len(self.cells))}, got {name!r}: name one")
        return self.cells[name]

    def _curves(self, name: str, texts: Sequence[str], seeds: Collection[int] | None) -> list[list[Curve]]:
        cell = self._cell(name)
        wanted = cell.curves.keys() if seeds is None else seeds
        missing = [seed for seed in wanted if seed not in cell.curves]
        lacking = [text for seed in wanted if seed in cell.curves for text in texts if text not in cell.curves[seed]]
        if missing or lacking:
            raise GaafError(
                f"{name} must have each function on each seed, and lacks seeds {missing} and {listed(lacking, 3)}: ask "
                f"for {listed(map(str, cell.curves))}, and for what trained({name!r}) returns"
            )
        return [[cell.curves[seed][text] for text in texts] for seed in wanted]


def _last(curve: Curve, by: By) -> float:
    if by == "loss":
        return float("-inf") if curve.failure is not None else -curve.loss[-1]
    return WORST_ACCURACY if curve.failure is not None else curve.accuracy[-1]


def load_transfer(path: Path | None = None) -> TransferTable:
    """Read a transfer table from a file; by default the bundled one.

    Raises:
        GaafError: if there is no such file, or it is damaged, of another kind, or of a newer version.
    """
    plain, where = FILE.read(path)
    try:
        return _table(plain)
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise FILE.damaged(where, error) from error


def save_transfer(table: TransferTable, path: Path) -> None:
    """Write a table to one file.

    Raises:
        GaafError: if it cannot be written.
    """
    FILE.write(_plain(table), path)


def _table(plain: Mapping[str, Any]) -> TransferTable:
    functions = {str(text): str(source) for text, source in plain["functions"].items()}
    texts = list(functions)
    cells = {
        str(name): Cell(
            dict(cell["settings"]),
            bool(cell["target"]),
            None if cell["seconds"] is None else float(cell["seconds"]),
            {
                int(seed): {texts[row[0]]: Curve(tuple(row[1]), tuple(row[2]), row[3]) for row in rows}
                for seed, rows in cell["curves"].items()
            },
        )
        for name, cell in plain["cells"].items()
    }
    for cell in cells.values():
        for curve in (curve for curves in cell.curves.values() for curve in curves.values()):
            _check(curve)
    return TransferTable(functions, cells, dict(plain["provenance"]))


def _check(curve: Curve) -> None:
    numbers = all(isinstance(value, float | int) for value in (*curve.accuracy, *curve.loss))
    if not numbers or not all(0 <= value <= 1 for value in curve.accuracy):
        raise ValueError("accuracies must lie from 0 to 1 and losses be numbers")
    if len(curve.accuracy) != len(curve.loss) or (curve.failure is None and not curve.accuracy):
        raise ValueError("each epoch has an accuracy and a loss, and a training that did not fail has epochs")


def _plain(table: TransferTable) -> dict[str, Any]:
    places = {text: place for place, text in enumerate(table.functions)}
    cells = {
        name: {
            "settings": dict(cell.settings),
            "target": cell.target,
            "seconds": cell.seconds,
            "curves": {
                str(seed): [
                    [places[text], list(curve.accuracy), list(curve.loss), curve.failure]
                    for text, curve in curves.items()
                ]
                for seed, curves in cell.curves.items()
            },
        }
        for name, cell in table.cells.items()
    }
    return {"provenance": table.provenance, "functions": table.functions, "cells": cells}
