"""``gaaf-gp primitives``: what a set holds, with a small plot of each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gaaf_gp.cli import completion
from gaaf_gp.cli.options import FREE, JsonOption, PrimitivesOption
from gaaf_gp.cli.output import print_json
from gaaf_gp.cli.plot import check_new
from gaaf_gp.errors import GaafError
from gaaf_gp.plots import save_figure
from gaaf_gp.plots.sheet import HIGHEST, plot_sheet
from gaaf_gp.plots.style import DARK, LIGHT
from gaaf_gp.trees.describe import DRAWN, RANGE, Entry, entries
from gaaf_gp.trees.load import load_primitives

BLOCKS = "▁▂▃▄▅▆▇█"
"""Heights, the lowest first."""
ASCII = "_.-~=+*#"
"""The same where a stream cannot encode blocks."""


def sparkline(values: Sequence[float] | NDArray[np.float64], width: int = 16, *, plain: bool = False) -> str:
    """Return numbers as a row of blocks, from the least to the greatest of them.

    Each character stands for the mean of the values in its place. A blank stands where no value is finite, and a
    function that is the same everywhere is a row of the middle height.

    Args:
        values: at least one.
        width: number of characters; fewer where there are fewer values.
        plain: use ASCII.
    """
    marks = ASCII if plain else BLOCKS
    parts = np.array_split(np.asarray(values, dtype=np.float64), min(width, len(values)))
    finite = [part[np.isfinite(part)] for part in parts]
    heights = [float(part.mean()) if len(part) else None for part in finite]
    known = [height for height in heights if height is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)

    def mark(height: float | None) -> str:
        if height is None:
            return " "
        if high - low <= 1e-12 * max(1.0, abs(high)):
            return marks[len(marks) // 2]
        return marks[min(len(marks) - 1, int((height - low) / (high - low) * len(marks)))]

    return "".join(map(mark, heights))


WIDTH = 13
"""Characters of a small plot: an odd number has one in the middle."""
AT_EACH = 9
"""Points that one of them stands for."""


def primitives(
    primitives: PrimitivesOption = FREE,
    tag: Annotated[
        str | None,
        typer.Option(
            help=f"Only those with this tag: {', '.join(completion.TAGS)}.",
            show_default="all",
            autocompletion=completion.tags,
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="File for a sheet with all of them: .png, .svg or .pdf.", show_default="none"),
    ] = None,
    dark: Annotated[bool, typer.Option("--dark", help="Draw the sheet on dark paper.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the primitives of a set.

    Each with its types, formula, cost (1 is an addition), tags, and a small plot over [-3, 3]. Of two arguments or
    more the first is varied and the others are 1; learned vectors have their initial values; values beyond 4 are cut
    off. The sheet shows functions of two arguments as maps.
    """
    found = entries(load_primitives(primitives), tag)
    if plot is not None:
        if not found:
            raise GaafError(
                f"a sheet needs one or more primitives, and {primitives} has none with the tag {tag!r}: leave it out"
            )
        check_new(plot, force)
        save_figure(plot_sheet(found, style=DARK if dark else LIGHT)[0], plot)
    if as_json:
        print_json(
            {"primitives": primitives, "entries": [_described(one) for one in found], "sheet": plot and str(plot)}
        )
        return
    _print(found, Console())
    typer.echo(f"{len(found)} entries of {primitives}" + (f" with the tag {tag}" if tag else ""))
    if plot is not None:
        typer.echo(f"wrote {plot}")


def _print(found: list[Entry], console: Console) -> None:
    plain = console.options.ascii_only
    low, high = RANGE
    shown = Table(box=box.ASCII if plain else box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    shown.add_column("name", overflow="fold")
    shown.add_column("takes -> gives", overflow="fold")
    shown.add_column("formula", overflow="fold")
    shown.add_column("cost", justify="right", no_wrap=True)
    shown.add_column("tags", no_wrap=True)
    shown.add_column(f"over [{low:g}, {high:g}]", no_wrap=True, min_width=WIDTH)
    for one in found:
        cells = (one.name, _types(one), one.formula, f"{one.cost:g}", ", ".join(one.tags), _plot(one, plain))
        shown.add_row(*map(Text, cells))
    console.print(shown)
    if any(len(one.arguments) > 1 for one in found):
        console.print("of two arguments or more: f(x, 1); with learned vectors as they start", style="dim")


def _types(one: Entry) -> str:
    if len(set(one.arguments)) == 1 and len(one.arguments) > 1:
        taken = f"{len(one.arguments)} {one.arguments[0]}"
    else:
        taken = ", ".join(one.arguments)
    return f"{taken} -> {one.returns}" if taken else one.returns


def _plot(one: Entry, plain: bool) -> str:
    if one.kind == DRAWN:
        return "drawn anew"
    values = one.curve(WIDTH * AT_EACH)[1]
    return sparkline(np.clip(values, -HIGHEST, HIGHEST), WIDTH, plain=plain)


def _described(one: Entry) -> dict[str, object]:
    x, values = one.curve()
    shown = [] if one.kind == DRAWN else np.where(np.isfinite(values), values, np.nan).tolist()
    return {**one.as_json(), "x": x.tolist() if shown else [], "values": shown}
