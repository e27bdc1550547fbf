"""The table of a retraining as text, CSV and LaTeX, and all results as JSON."""

from __future__ import annotations

import csv
import io
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from gaaf_gp.statistics import Comparison, standard_error
from gaaf_gp.training.retraining.result import SIGN, RetrainResult
from gaaf_gp.trees.candidate import PLAIN_SIGN, text_of
from gaaf_gp.util.text import signed

BASELINE, BETTER, WORSE, OPEN = "baseline", "better", "worse", "undecided"
"""What the table says of a candidate: better or worse if the corrected p-value is at most 0.05, else undecided."""
WIDTH = 160
"""Characters of a line of ``table.txt``, at most."""
WIDE = 110
"""Characters of a line that hold a column of formulas too."""
POINTS = 100
_LATEX_WORDS = {"%": r"\%", "_": r"\_", "&": r"\&", "#": r"\#", "$": r"\$", "{": r"\{", "}": r"\}"}


@dataclass(frozen=True)
class Row:
    """One line of a table; accuracies in per cent, differences in points.

    Attributes:
        against: the baseline.
        name: of the candidate.
        text: its canonical text, ``@sign`` for the plain sign.
        formula: as a person writes it.
        latex: in LaTeX's mathematics mode.
        accuracy: mean on the test split over the seeds; None if a training failed.
        standard_error: of that mean; None with fewer than two values.
        difference: mean over the seeds of candidate minus baseline; None where it is not compared.
        low: lower end of its 95 % interval (Student's t), for this row alone.
        high: upper end.
        p: of the paired t-test.
        p_holm: the same, corrected for all functions that were tested.
        verdict: in words.
        seeds: trainings that did not fail.
        failures: trainings that did.
    """

    against: str
    name: str
    text: str
    formula: str
    latex: str
    accuracy: float | None
    standard_error: float | None
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    p_holm: float | None
    verdict: str
    seeds: int
    failures: int


def rows(result: RetrainResult, against: str = SIGN) -> list[Row]:
    """Return a row for each candidate, in their order.

    Args:
        result: a complete retraining.
        against: name of the baseline.

    Raises:
        GaafError: what :meth:`RetrainResult.compared` refuses.
    """
    compared = result.compared(against)
    return [_row(result, name, against, compared.get(name)) for name in result.candidates]


def write(result: RetrainResult, folder: Path, against: Sequence[str] = (SIGN,)) -> dict[str, Any]:
    """Write table.txt, table.csv, table.tex and result.json, and return what the last one holds.

    Args:
        result: a complete retraining.
        folder: where to; files of an earlier call are replaced.
        against: the baselines, one table for each.

    Raises:
        GaafError: what :meth:`RetrainResult.compared` refuses.
    """
    tables = {name: rows(result, name) for name in against}
    content = _result(result, against)
    screen = io.StringIO()
    show(result, tables, Console(file=screen, width=WIDTH))
    (folder / "table.txt").write_text(screen.getvalue(), encoding="utf-8")
    (folder / "table.tex").write_text("\n".join(latex(result, table) for table in tables.values()), encoding="utf-8")
    with (folder / "table.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(Row.__dataclass_fields__))
        writer.writeheader()
        writer.writerows(asdict(row) for table in tables.values() for row in table)
    text = json.dumps(content, indent=2, allow_nan=False)
    (folder / "result.json").write_text(text + "\n", encoding="utf-8")
    return content


def show(result: RetrainResult, tables: Mapping[str, Sequence[Row]], console: Console) -> None:
    """Print tables, one for each baseline, with what their columns mean.

    On a narrow screen the formulas stand below the first table, so that no figure is broken over two lines.

    Args:
        result: a complete retraining.
        tables: name of a baseline to its :func:`rows`.
        console: prints them; its width decides.
    """
    wide = console.width >= WIDE
    for number, (against, table) in enumerate(tables.items()):
        shown = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
        shown.add_column("name", no_wrap=True)
        if wide:
            shown.add_column("f(x)", overflow="fold")
        for column in ("accuracy %", f"vs {against}", "95 % interval", "p (Holm)"):
            shown.add_column(column, justify="right", no_wrap=True)
        shown.add_column("verdict", no_wrap=True)
        for row in table:
            accuracy, error, *others = _cells(row)
            both = f"{accuracy} ± {error}" if error else accuracy
            formula = [row.formula] if wide else []
            shown.add_row(row.name, *formula, both, *others, style="dim" if row.verdict == BASELINE else "")
        console.print(_title(result), highlight=False, markup=False)
        console.print(shown)
        if not (wide or number):
            for row in table:
                console.print(f"{row.name}: {row.formula}", highlight=False, markup=False, soft_wrap=True)
        console.print(_caption(result, against) + "\n", highlight=False, markup=False)


def latex(result: RetrainResult, table: Sequence[Row]) -> str:
    r"""Return a ``tabular`` for LaTeX's package booktabs, after comments that say what its columns mean.

    Args:
        result: a complete retraining.
        table: its :func:`rows` against one baseline.
    """
    against = table[0].against
    head = ["Name", "$f(x)$", r"Accuracy (\%)", r"$\pm$", rf"vs.\ {_escaped(against)}", r"95\,\% interval"]
    lines = [f"% {line}" for line in f"{_title(result)}.\n{_caption(result, against)}".split("\n")]
    lines += [r"% \usepackage{booktabs}", r"\begin{tabular}{llrrrrrl}", r"\toprule"]
    lines += [" & ".join([*head, "$p$ (Holm)", "Verdict"]) + r" \\", r"\midrule"]
    for row in table:
        accuracy, error, difference, interval, p, verdict = _cells(row)
        span = " to ".join(f"${end}$" for end in interval.split(" to ")) if interval else ""
        numbers = [accuracy, error, f"${difference}$" if difference else "", span]
        cells = [_escaped(row.name), f"${row.latex}$", *numbers, f"${p}$" if p else "", verdict]
        lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _row(result: RetrainResult, name: str, against: str, compared: Comparison | None) -> Row:
    candidate, values = result.candidates[name], list(result.accuracies(name).values())
    failed = len(result.failures(name))
    error = standard_error(values) if values and not failed else None
    span = None if compared is None else compared.difference
    return Row(
        against,
        name,
        text_of(candidate) or PLAIN_SIGN,
        "x" if candidate is None else candidate.infix(),
        "x" if candidate is None else candidate.latex(),
        POINTS * statistics.fmean(values) if values and not failed else None,
        None if error is None else POINTS * error,
        None if span is None else POINTS * span.mean,
        None if span is None else POINTS * span.low,
        None if span is None else POINTS * span.high,
        None if compared is None else compared.p_value,
        None if compared is None else compared.p_holm,
        _verdict(result, name, against, compared),
        len(values),
        failed,
    )


def _verdict(result: RetrainResult, name: str, against: str, compared: Comparison | None) -> str:
    if name == against:
        return BASELINE
    if compared is None:
        return f"{len(result.failures(name))}/{len(result.seeds)} failed"
    if not compared.significant:
        return OPEN
    return BETTER if compared.difference.mean > 0 else WORSE


def _cells(row: Row) -> list[str]:
    """Return the columns from the accuracy on, for people."""

    def number(value: float | None) -> str:
        return "" if value is None else f"{value:.2f}"

    def difference(value: float | None) -> str:
        return "" if value is None else signed(value)

    p = "" if row.p_holm is None else "<0.001" if row.p_holm < 0.001 else f"{row.p_holm:.3f}"
    return [
        number(row.accuracy),
        number(row.standard_error),
        difference(row.difference),
        "" if row.low is None else f"{difference(row.low)} to {difference(row.high)}",
        p,
        row.verdict,
    ]


def _title(result: RetrainResult) -> str:
    data, epochs = result.provenance["proxy"]["data"]["name"], result.provenance["epochs"]
    stages = f" ({epochs[0]} with real weights)" if len(epochs) > 1 else ""
    title = f"{data}, test split after {sum(epochs)} epochs{stages}, {len(result.seeds)} fresh seeds"
    if result.teacher_curve:
        title += f"; teacher {result.teacher_curve[-1].accuracy:.2%} on the validation split"
    return title


def _caption(result: RetrainResult, against: str) -> str:
    tested = sum(not result.is_control(name) and name != against for name in result.candidates)
    return (
        f"accuracy: mean and standard error; differences to {against}: points, paired by\n"
        "seed; intervals: Student's, each for its row alone; p: of the paired t-test,\n"
        f"corrected (Holm) for the {tested} function(s) tested, and for the hand-made ones by\n"
        f"themselves; {OPEN}: p above 0.05"
    )


def _escaped(text: str) -> str:
    return "".join(_LATEX_WORDS.get(character, character) for character in text)


def _result(result: RetrainResult, against: Sequence[str]) -> dict[str, Any]:
    return {
        "candidates": {
            name: {"text": row.text, "formula": row.formula, "latex": row.latex}
            for name, row in ((row.name, row) for row in rows(result, against[0]))
        },
        "seeds": list(result.seeds),
        "comparisons": {name: [asdict(one) for one in result.compared(name).values()] for name in against},
        "rows": [asdict(row) for name in against for row in rows(result, name)],
        "trainings": [result.of(name)[seed].entry() for seed in result.seeds for name in result.candidates],
        "teacher_curve": [[one.loss, one.accuracy] for one in result.teacher_curve],
        **result.provenance,
    }
