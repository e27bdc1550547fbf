"""``gaaf-gp compare``: runs side by side, in which settings they differ, and what several seeds say together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gaaf_gp.cli.options import JsonOption
from gaaf_gp.cli.output import print_json
from gaaf_gp.errors import GaafError, listed
from gaaf_gp.experiments.compare import Group, RunSummary, differing, groups, incomparable, read_run
from gaaf_gp.experiments.confirm import COMPETITORS
from gaaf_gp.statistics import Interval
from gaaf_gp.util.text import signed

LEAST = 26
"""Characters of a run's column."""
NAMES = 20
"""Characters of the column with what is compared."""


def compare(
    folders: Annotated[list[Path], typer.Argument(metavar="RUN", help="Folders of gaaf-gp evolve; two or more.")],
    as_json: JsonOption = False,
) -> None:
    """Put runs side by side, finished or not.

    What they searched, what they found, how sure that is, and in which settings they differ. Those that differ in
    nothing but their seed are also put together, with the mean and its 95 % interval over the seeds (Student's t).
    """
    if len(folders) < 2:
        raise GaafError(f"a comparison needs two or more runs, got {len(folders)}: name another folder")
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise GaafError("each run is compared once, and a folder was named twice: leave one out")
    found = [read_run(folder) for folder in folders]
    apart, other = incomparable(found), differing(found)
    warning = (
        f"Not comparable: the runs differ in {listed(apart)}, so an accuracy of one means something else in another."
        if apart
        else None
    )
    if as_json:
        together = [asdict(group) for group in groups(found)]
        runs = [asdict(one) for one in found]
        print_json({"runs": runs, "differ": other, "comparable": not apart, "warning": warning, "groups": together})
        return
    console = Console()
    _print_runs(found, console)
    _print_differences(other, found, console)
    for group in groups(found):
        _print_group(group, console)
    if warning is not None:
        console.print(Text(warning, style="bold"))


def _print_runs(found: Sequence[RunSummary], console: Console) -> None:
    beside = max(1, (console.width - NAMES) // LEAST)
    rows = _rows(found)
    for start in range(0, len(found), beside):
        part = found[start : start + beside]
        shown = _table(console, "", *(one.folder for one in part))
        for name, cell in rows.items():
            shown.add_row(name, *(Text(cell(one)) for one in part))
        console.print(shown)
        console.print()


def _rows(found: Sequence[RunSummary]) -> dict[str, Callable[[RunSummary], str]]:
    names = dict.fromkeys(name for one in found for name in one.competitors)
    return {
        "status": lambda one: one.status,
        "data": lambda one: f"{one.settings.get('data')}, {one.settings.get('proxy.network')}",
        "primitives": lambda one: str(one.settings.get("primitives")),
        "loop": lambda one: str(one.settings.get("loop")),
        "bloat": lambda one: str(one.settings.get("bloat") or "default"),
        "seed": lambda one: str(one.seed),
        "trained": lambda one: f"{one.trained} of {one.budget}",
        "failures": lambda one: ", ".join(f"{count} {why}" for why, count in one.failures.items()) or "0",
        "best": lambda one: one.formula or "none yet",
        "size": lambda one: "" if one.size is None else f"{one.size} nodes",
        "validation": lambda one: _percent(one.validation),
        "plain sign there": lambda one: _percent(one.sign),
        "test": lambda one: _percent(one.test) or "not confirmed",
        **{f"over {COMPETITORS.get(name, name)}": _over(name) for name in names},
    }


def _over(name: str) -> Callable[[RunSummary], str]:
    def cell(one: RunSummary) -> str:
        compared = one.competitors.get(name)
        if compared is None:
            return ""
        if compared.difference is None:
            return "too few trainings"
        return f"{_span(compared.difference)}, p {compared.p_holm:.2g}"

    return cell


def _print_differences(other: Mapping[str, Sequence[Any]], found: Sequence[RunSummary], console: Console) -> None:
    if not other:
        console.print("The runs have the same settings.")
        return
    shown = _table(console, "differ in", *(one.folder for one in found))
    for name, row in other.items():
        shown.add_row(name, *(Text(str(value)) for value in row))
    console.print(shown)
    console.print()


def _print_group(group: Group, console: Console) -> None:
    console.print(Text(f"{len(group.seeds)} seeds of one setting ({listed(group.seeds)}): {listed(group.folders)}"))
    for name, interval in group.figures.items():
        what, competitor = name, name.removeprefix("over ")
        if competitor != name:
            what = f"over {COMPETITORS.get(competitor, competitor)}"
        low, mean, high = (100 * value for value in (interval.low, interval.mean, interval.high))
        sign = "+" if competitor != name else ""
        unit = "points" if competitor != name else "%"
        span = f"{mean:{sign}.2f} {unit}, 95 % interval {low:{sign}.2f} to {high:{sign}.2f}, {interval.n} runs"
        console.print(Text(f"  {what}: {span}"))


def _table(console: Console, *columns: str) -> Table:
    shown = Table(box=box.ASCII if console.options.ascii_only else box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name in columns:
        shown.add_column(Text(name), overflow="fold")
    return shown


def _span(interval: Interval) -> str:
    low, mean, high = _in_points((interval.low, interval.mean, interval.high))
    return f"{mean} ({low} to {high})"


def _in_points(values: Iterable[float]) -> list[str]:
    return [signed(100 * value) for value in values]


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.2%}"
