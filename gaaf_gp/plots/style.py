"""Style of all figures: colours, sizes, the look of axes, and saving a figure to a file.

The palette is that of Okabe and Ito, which colour-blind readers can distinguish. Figures are made without pyplot, so
they can be drawn in processes without a display and need not be closed.
"""

from __future__ import annotations

import bisect
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib import rc_context, rcdefaults
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from gaaf_gp.errors import GaafError, listed

ORANGE, SKY, GREEN, YELLOW = "#E69F00", "#56B4E9", "#009E73", "#F0E442"
BLUE = "#0072B2"
VERMILLION = "#D55E00"
PURPLE = "#CC79A7"
INK = "#1A1A1A"
"""Text on fills of the palette, whatever the paper is."""
ENDINGS = (".png", ".svg", ".pdf")
DOTS = 150
"""Dots per inch of a PNG file."""
LABEL_POINTS, TITLE_POINTS, LEGEND_POINTS = 10.0, 11.0, 9.0
SIZE = (6.4, 4.2)
"""Inches of a figure that has one axes."""


@dataclass(frozen=True)
class Style:
    """Colours of a figure.

    Attributes:
        paper: behind everything.
        ink: text and axes.
        muted: what must be seen and not looked at: edges, single runs, inputs.
        lines: of the data, in this order.
    """

    paper: str
    ink: str
    muted: str
    lines: tuple[str, ...]


LIGHT = Style("#FFFFFF", INK, "#7F7F7F", (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, INK))
DARK = Style("#1B1B1B", "#EDEDED", "#A0A0A0", (SKY, ORANGE, GREEN, PURPLE, YELLOW, VERMILLION, "#EDEDED"))


@contextmanager
def own_settings() -> Iterator[None]:
    """Draw with matplotlib's own defaults, whatever a matplotlibrc or a program has set; also a decorator.

    A user's settings may ask for TeX, for fonts or for a resolution that this machine does not have.
    """
    with rc_context():
        rcdefaults()
        yield


def new_axes(ax: Axes | None = None, *, size: tuple[float, float] = SIZE, style: Style = LIGHT) -> Axes:
    """Return ``ax``, or the axes of a new figure of ``size`` (inches), in the colours of ``style``."""
    axes = Figure(figsize=size, layout="constrained", facecolor=style.paper).add_subplot() if ax is None else ax
    axes.set_facecolor(style.paper)
    axes.tick_params(which="both", color=style.ink, labelcolor=style.ink, labelsize=LEGEND_POINTS)
    for name, spine in axes.spines.items():
        spine.set_color(style.ink)
        spine.set_visible(name not in ("top", "right"))
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(color=style.ink, fontsize=LABEL_POINTS)
    return axes


def inch_axes(
    ax: Axes | None, size: tuple[float, float], centre: tuple[float, float], style: Style
) -> tuple[Axes, float]:
    """Return axes without ticks whose unit is an inch of a drawing, and how much smaller than that it is drawn.

    Args:
        ax: the drawing is scaled to lie inside it as large as it is now; by default a new figure of its ``size``.
        size: width and height of the drawing.
        centre: of the drawing, where the middle of the axes will be.
        style: the colours.
    """
    axes = Figure(figsize=size, facecolor=style.paper).add_axes((0, 0, 1, 1)) if ax is None else ax
    room = [side / axes.figure.dpi for side in axes.bbox.size]
    scale = min(1.0, room[0] / size[0], room[1] / size[1])
    (x, y), across, down = centre, room[0] / scale / 2, room[1] / scale / 2
    axes.set(xlim=(x - across, x + across), ylim=(y - down, y + down))
    axes.set_axis_off()
    return axes, scale


def add_legend(axes: Axes, style: Style = LIGHT, *, columns: int = 2, **settings: Any) -> None:
    """Explain the lines of ``axes`` above its upper edge, where no data is."""
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, frameon=False, labelcolor=style.ink,
        fontsize=LEGEND_POINTS, **settings,
    )  # fmt: skip


def plain_text(style: Style = LIGHT) -> dict[str, Any]:
    """Return how text is set that is not ours: a dollar sign in a formula begins no mathematics."""
    return {"parse_math": False, "usetex": False, "color": style.ink}


def literal(text: str) -> str:
    """Return a text as labels take it that is not ours: a dollar sign in it begins no mathematics."""
    return text.replace("$", r"\$")


def text_width(text: str, points: float) -> float:
    """Return the width of one line of text in inches, without a renderer."""
    return float(text_to_path.get_text_width_height_descent(text, FontProperties(size=points), ismath=False)[0]) / 72


def shortened(text: str, width: float, points: float) -> str:
    """Return the text, cut so that it is no wider than ``width`` inches with the dots that then end it."""
    if text_width(text, points) <= width:
        return text
    too_long = bisect.bisect_right(range(len(text)), width, key=lambda length: text_width(text[:length] + "…", points))
    return text[: max(0, too_long - 1)] + "…"


def wrapped(formula: str, width: float, points: float = TITLE_POINTS, most: int = 8) -> list[str]:
    """Return a formula in lines no wider than ``width`` inches, cut after ``most`` of them.

    Lines break at spaces; a part without any that is too wide breaks behind its parentheses, then anywhere.
    """
    lines = [""]
    for glue, piece in _pieces(formula, width, points):
        longer = lines[-1] + glue + piece if lines[-1] else piece
        if not lines[-1] or text_width(longer, points) <= width:
            lines[-1] = longer
        elif len(lines) < most:
            lines.append(piece)
        else:
            last = lines[-1]
            while last and text_width(last + " …", points) > width:
                last = last[:-1]
            return [*lines[:-1], last + " …"]
    return lines


def _pieces(formula: str, width: float, points: float) -> Iterator[tuple[str, str]]:
    """Yield what a line may hold, each with what stands ahead of it unless it begins a line."""
    for word in formula.split(" "):
        glue = " "
        parts = [word] if text_width(word, points) <= width else re.findall(r"[^(]*\(|[^(]+$", word)
        for part in parts:
            fitting = max(1, int(len(part) * min(1.0, 0.9 * width / text_width(part, points)))) if part else 1
            rest = part
            while text_width(rest, points) > width and len(rest) > fitting:
                yield glue, rest[:fitting]
                glue, rest = "", rest[fitting:]
            yield glue, rest
            glue = ""


@own_settings()
def save_figure(axes: Axes, path: str | Path) -> None:
    """Write the figure of ``axes`` to a PNG (150 dots per inch), SVG or PDF file, by the ending of ``path``.

    Raises:
        GaafError: for another ending, a folder that does not exist, or a file that cannot be written.
    """
    target = Path(path)
    if target.suffix.lower() not in ENDINGS:
        raise GaafError(f"a figure's file must end in {listed(ENDINGS)}, got {target.name!r}: rename it")
    if not target.parent.is_dir():
        raise GaafError(f"a figure needs an existing folder, got {str(target.parent)!r}: make it, or name another")
    try:
        axes.figure.figure.savefig(target, dpi=DOTS, bbox_inches="tight")
    except OSError as error:
        reason = error.strerror or error
        raise GaafError(f"a figure's file must be writable, {str(target)!r} is not ({reason}): name another") from None


@own_settings()
def as_svg(axes: Axes) -> str:
    """Return the figure of ``axes`` as SVG, the same text for the same figure."""
    file = io.StringIO()
    with rc_context({"svg.hashsalt": "gaaf-gp"}):
        axes.figure.figure.savefig(file, format="svg", bbox_inches="tight", metadata={"Date": None})
    return file.getvalue()
