"""A search in TensorBoard: scalars after every generation, and the best formula as text."""

from __future__ import annotations

import importlib
import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gaaf_gp.errors import GaafError, one_line
from gaaf_gp.evaluation.records import Record, reasons
from gaaf_gp.search.result import SearchResult, value
from gaaf_gp.trees.candidate import Evolved
from gaaf_gp.util.console import Pace

INSTALL = "pip install 'gaaf-gp[tensorboard]'"
FIRST = 0
"""Step from which a log that is gone on with is written anew."""


class TensorBoard:
    """Follows a search, and writes what TensorBoard shows.

    The step is the number of evaluations, the column of that name in ``logbook.csv``, so that searches with populations
    of different sizes lie over each other. A search that is gone on with writes all of its generations anew, and
    TensorBoard forgets those of before.

    | scalar | what it is |
    |---|---|
    | fitness/best, fitness/mean, fitness/median | of the hall of fame, and of the population without failures |
    | size/best, size/mean | nodes |
    | population/diversity | share of the population that is distinct, 0 to 1 |
    | failures/all, failures/REASON | candidates that failed until then |
    | rate/evaluations per minute | of those that were not known before |

    Args:
        folder: of the events.

    Raises:
        GaafError: the package tensorboard is missing.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self._module: Any = importlib.import_module("torch.utils.tensorboard")
        except ImportError as error:
            raise GaafError(
                f"TensorBoard needs its package, which is not there ({one_line(error)}): {INSTALL}"
            ) from error
        self.folder = folder
        self._writer: Any = None
        self._recalled: Callable[[Record], bool] = _never
        self._pace = Pace()
        self._failures: Counter[str] = Counter()
        self._best = ""

    @contextmanager
    def following(self, recalled: Callable[[Record], bool] | None = None) -> Iterator[None]:
        """Write within the block.

        Args:
            recalled: whether a record was known before; none was by default.

        Raises:
            GaafError: the folder cannot be written to.
        """
        self._recalled, self._pace, self._best = recalled or _never, Pace(), ""
        self._failures.clear()
        try:
            self._writer = self._module.SummaryWriter(str(self.folder), purge_step=FIRST)
        except OSError as error:
            raise GaafError(
                f"the folder of TensorBoard must be writable, but {self.folder} is not ({error.strerror or error})"
            ) from error
        try:
            yield
        finally:
            self._writer.close()

    def evaluation(self, record: Record) -> None:
        """Count a record; for ``on_evaluation`` of :func:`gaaf_gp.evolve`."""
        self._pace.step(known=self._recalled(record))
        if record.failure is not None:
            self._failures[record.failure] += 1

    def generation(self, found: SearchResult) -> None:
        """Write where a search is; for ``on_generation`` of :func:`gaaf_gp.evolve`."""
        step = int(found.logbook[-1]["evaluations"])
        for name, number in self._scalars(found).items():
            if number is not None and math.isfinite(number):
                self._writer.add_scalar(name, number, step)
        best = found.hall_of_fame[0] if len(found.hall_of_fame) else None
        if best is not None and best.canonical != self._best:
            self._best = best.canonical
            self._writer.add_text("best", f"`{best.infix()}`", step)
        self._writer.flush()

    def _scalars(self, found: SearchResult) -> dict[str, float | None]:
        population: list[Evolved] = found.population
        fitness = [one for one in map(value, population) if math.isfinite(one)]
        best = found.hall_of_fame[0] if len(found.hall_of_fame) else None
        return {
            "fitness/best": found.logbook[-1]["best"],
            "fitness/mean": statistics.fmean(fitness) if fitness else None,
            "fitness/median": statistics.median(fitness) if fitness else None,
            "size/best": None if best is None else best.size,
            "size/mean": statistics.fmean(len(individual) for individual in population) if population else None,
            "population/diversity": len({individual.canonical for individual in population}) / len(population)
            if population
            else None,
            "failures/all": self._failures.total(),
            **{f"failures/{why}": count for why, count in reasons(self._failures).items()},
            "rate/evaluations per minute": self._pace.per_minute,
        }


def open_log(folder: Path | None, resumed: bool) -> TensorBoard | None:
    """Return the log of a run, None without a folder.

    Args:
        folder: new or empty, unless the run is gone on with.
        resumed: whether it is.

    Raises:
        GaafError: the folder is not free, or the package tensorboard is missing.
    """
    if folder is None:
        return None
    if folder.exists() and not folder.is_dir():
        raise GaafError(f"TensorBoard needs a folder, but {folder} is a file: choose another one")
    if not resumed and folder.is_dir() and any(folder.iterdir()):
        raise GaafError(
            f"TensorBoard's folder must be new or empty for a new run, but {folder} holds something: choose another one"
        )
    return TensorBoard(folder)


def _never(_record: Record) -> bool:
    return False
