"""What a person sees while something long runs: what is done, at which rate, time left, the best, and what failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console

from gaaf_gp.evaluation.records import REASONS, Record, reasons
from gaaf_gp.trees.candidate import parse_candidate
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.util.console import Display, Show
from gaaf_gp.util.text import shortened


def formulas(pset: PrimitiveSet) -> Callable[[str], str]:
    """Return a function from a canonical text of the set to its formula."""

    def formula(text: str) -> str:
        candidate = parse_candidate(text, pset)
        return "x" if candidate is None else candidate.infix()

    return formula


class Progress(Display):
    """Shows a search; a context manager.

    Args:
        total: candidates.
        show: whether and how, see :data:`gaaf_gp.util.console.Show`.
        what: is searched.
        formula: makes a formula of a canonical text, see :func:`formulas`.
        console: where to; standard error by default.
        settings: of :class:`gaaf_gp.util.console.Display`.

    Attributes:
        best: the best record so far.
        failures: why candidates failed -> how many.
        dropped: number of those that dropped out of a race.
    """

    event = "evaluation"

    def __init__(
        self,
        total: int,
        *,
        show: Show = True,
        what: str = "search",
        formula: Callable[[str], str] = str,
        console: Console | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(what, total, show=show, console=console, **settings)
        self.best: Record | None = None
        self.failures: Counter[str] = Counter()
        self.dropped = 0
        self._formula = formula
        self._best_formula = ""

    @property
    def failed(self) -> int:
        """Number of candidates that failed."""
        return self.failures.total()

    def advance(self, record: Record, *, known: bool = False) -> None:
        """Count one evaluated candidate; only one that was trained in full, and did not fail, may be the best.

        Args:
            record: of the candidate.
            known: whether nothing was trained for it because an archive had it: it does not count in the rate.
        """
        if record.failure is not None:
            self.failures[record.failure] += 1
        self.dropped += not record.complete
        judged = record.complete and record.failure is None
        if judged and (self.best is None or record.fitness > self.best.fitness):
            self.best, self._best_formula = record, self._formula(record.text)
        candidate = {"text": record.text, "accuracy": record.accuracy, "failure": record.failure, "known": known}
        self.step(self.done + 1, known=known, candidate=candidate)

    def fields(self) -> dict[str, Any]:
        """Return the best and the failures."""
        return {
            "best": None if self.best is None else self.best.text,
            "formula": None if self.best is None else self._best_formula,
            "accuracy": None if self.best is None else self.best.accuracy,
            "failures": reasons(self.failures),
            "dropped": self.dropped,
        }

    def notes(self, width: int | None) -> Sequence[str]:
        """Return a line of the best, and one of failures and races if there were any."""
        if self.best is None:
            first = "no candidate trained in full yet"
        else:
            head = f"best {self.best.accuracy:.2%} "
            first = head + shortened(self._best_formula, None if width is None else max(8, width - len(head)))
        counts = [f"{self.dropped} dropped out of races"] if self.dropped else []
        if self.failed:
            failures = list(reasons(self.failures).items())
            named = [f"{count} {why}" for why, count in failures[:REASONS]]
            others = sum(count for _, count in failures[REASONS:])
            counts.append(f"{self.failed} failed ({', '.join([*named, *([f'{others} others'] if others else [])])})")
        return [first, ", ".join(counts)] if counts else [first]
