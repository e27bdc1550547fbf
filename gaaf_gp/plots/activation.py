"""Pictures of functions: f(x), where its sign is +1, the slope that training sees, and the inputs that there are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from gaaf_gp.activations.behaviour import PAPER_SURROGATE
from gaaf_gp.activations.response import Array, Drawn, Response, response
from gaaf_gp.binary import Surrogate
from gaaf_gp.errors import GaafError
from gaaf_gp.plots.style import (
    LABEL_POINTS,
    LEGEND_POINTS,
    LIGHT,
    YELLOW,
    Style,
    new_axes,
    own_settings,
    plain_text,
    text_width,
    wrapped,
)
from gaaf_gp.util.checks import whole_number

Inputs: TypeAlias = NDArray[np.floating[Any]]
"""Of a layer, or of many, in any shape."""
POINTS = 2001
"""Values of x at which a function is computed."""
PANEL = (3.3, 2.9)
"""Inches of one function among several."""
SPREAD = (0.05, 0.95)
"""Quantiles over the channels between which a band lies."""
SHARE = 0.22
"""Height of the distribution of inputs, in heights of the axes."""
BINS = 60
HIGHEST = 4.0
"""What lies beyond this is cut off, however far a function goes."""


@own_settings()
def plot_activation(
    function: Drawn,
    ax: Axes | None = None,
    *,
    inputs: Inputs | None = None,
    surrogate: Surrogate = PAPER_SURROGATE,
    style: Style = LIGHT,
) -> Axes:
    """Draw a function as a layer uses it.

    One line is f(x); where the background is shaded sign(f(x)) is +1; the other line is the windowed derivative that
    the network trains with, that of the backward tree where there are two, whose own line is dashed. Dotted lines are
    the edges of the window. At the bottom stands the distribution of the inputs. Of a trained module with learnable
    vectors lines are medians over the channels, and bands reach from 5 to 95 % of them; shaded is where at least half
    of the channels have +1.

    Args:
        function: a candidate, None for the plain sign, or the trained module of a layer.
        ax: where to draw; a new figure by default.
        inputs: what layers were seen to get (:func:`gaaf_gp.training.layer_inputs.layer_inputs`), any shape; by
            default N(0, 1) is drawn, what a batch norm gives where no shortcut is added.
        surrogate: of the sign.
        style: the colours.

    Returns:
        The axes: x, and both f(x) and the slope.

    Raises:
        GaafError: for what has no picture, a function that raises, or inputs without a finite value.
    """
    seen = _seen(inputs)
    axes = new_axes(ax, size=(5.0, 3.9), style=style)
    (drawn,) = _responses([function], [seen], surrogate)
    _panel(axes, drawn, seen, _heights([drawn], [seen]), style)
    handles = _handles([drawn], seen is not None, style)
    if ax is None:
        _add_legend(axes.figure.figure, handles, style)
    else:
        axes.legend(
            handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2, frameon=False,
            labelcolor=style.ink, fontsize=LEGEND_POINTS,
        )  # fmt: skip
    return axes


@own_settings()
def plot_activations(
    functions: Sequence[Drawn],
    *,
    inputs: Inputs | Sequence[Inputs | None] | None = None,
    columns: int | None = None,
    surrogate: Surrogate = PAPER_SURROGATE,
    style: Style = LIGHT,
) -> list[Axes]:
    """Draw several functions side by side as :func:`plot_activation` does, on the same scales and with one legend.

    Args:
        functions: at least one.
        inputs: a list with those of each function, or one array for all.
        columns: of the grid; by default up to four.
        surrogate: of the sign.
        style: the colours.

    Returns:
        The axes of each, in a new figure.

    Raises:
        GaafError: without a function, for another number of inputs, or as :func:`plot_activation`.
    """
    if not functions:
        raise GaafError("a figure of functions needs at least one, got none: pass candidates")
    each = [inputs] * len(functions) if inputs is None or isinstance(inputs, np.ndarray) else list(inputs)
    if len(each) != len(functions):
        raise GaafError(f"there must be inputs for each of {len(functions)} functions, got {len(each)}: or pass one")
    wide = min(len(functions), 4 if columns is None else whole_number("columns", columns))
    high = math.ceil(len(functions) / wide)
    figure = Figure(figsize=(PANEL[0] * wide, PANEL[1] * high + 0.5), layout="constrained", facecolor=style.paper)
    grid = figure.subplots(high, wide, squeeze=False, sharex=True, sharey=True).flatten().tolist()
    for unused in grid[len(functions) :]:
        unused.remove()
    axes: list[Axes] = grid[: len(functions)]
    seen = [_seen(item) for item in each]
    responses = _responses(functions, seen, surrogate)
    limits = _heights(responses, seen)
    for place, (ax, panel_response, panel_inputs) in enumerate(zip(axes, responses, seen, strict=True)):
        _panel(new_axes(ax, style=style), panel_response, panel_inputs, limits, style)
        lowest = place + wide >= len(functions)
        ax.tick_params(labelbottom=lowest)
        ax.set_xlabel("x" if lowest else "")
    handles = _handles(responses, any(panel_seen is not None for panel_seen in seen), style)
    _add_legend(figure, handles, style)
    return axes


def _seen(inputs: Inputs | None) -> Array | None:
    if inputs is None:
        return None
    values = np.asarray(inputs, dtype=np.float64).ravel()
    finite = values[np.isfinite(values)]
    if not len(finite):
        raise GaafError(f"the inputs of a layer must have finite values, got {len(values)} without one: measure again")
    return finite


def _responses(functions: Sequence[Drawn], seen: Sequence[Array | None], surrogate: Surrogate) -> list[Response]:
    """Compute the functions at the same x, which go both ways to nearly all inputs."""
    reach = max(
        4.0 if layer_inputs is None else max(2.0, float(np.quantile(np.abs(layer_inputs), 0.998)))
        for layer_inputs in seen
    )
    return [response(function, np.linspace(-reach, reach, POINTS), surrogate) for function in functions]


def _panel(axes: Axes, drawn: Response, seen: Array | None, limits: tuple[float, float], style: Style) -> None:
    axes.set(xlim=(drawn.x[0], drawn.x[-1]), ylim=limits, xlabel="x")
    _add_inputs(axes, seen, style)
    for low, high in drawn.positive:
        axes.axvspan(low, high, color=YELLOW, alpha=0.3, linewidth=0, zorder=0, gid="positive")
    if math.isfinite(drawn.surrogate.window):
        for edge in (-drawn.surrogate.window, drawn.surrogate.window):
            axes.axhline(edge, color=style.muted, linestyle=":", linewidth=0.9, zorder=1)
    axes.axhline(0, color=style.muted, linewidth=0.6, zorder=1)
    if drawn.backward is not None:
        _add_line(axes, drawn.x, drawn.backward, style.lines[2], "backward", "--")
    _add_line(axes, drawn.x, drawn.slope, style.lines[1], "slope")
    _add_line(axes, drawn.x, drawn.values, style.lines[0], "values")
    title = wrapped(drawn.formula, axes.bbox.width / axes.figure.dpi, LABEL_POINTS, 3)
    axes.set_title("\n".join(title), fontsize=LABEL_POINTS, **plain_text(style))


def _add_line(axes: Axes, x: Array, rows: Array, colour: str, name: str, dashes: str = "-") -> None:
    """Draw the median over the channels, broken at poles that cross the view, and a band where channels differ."""
    low, high = axes.get_ylim()
    middle = np.median(rows, axis=1)
    above, below = middle > high, middle < low
    places = np.flatnonzero((above[1:] & below[:-1]) | (below[1:] & above[:-1])) + 1
    line = np.insert(middle, places, np.nan)
    axes.plot(np.insert(x, places, x[places]), line, color=colour, linestyle=dashes, linewidth=1.7, zorder=4, gid=name)
    if rows.shape[1] > 1:
        with np.errstate(invalid="ignore"):  # between two infinite channels there is no number
            least, most = np.quantile(rows, SPREAD, axis=1)
        axes.fill_between(x, least, most, color=colour, alpha=0.25, linewidth=0, zorder=3, gid=f"{name} of channels")


def _add_inputs(axes: Axes, seen: Array | None, style: Style) -> None:
    """Draw the distribution of the inputs along the lower edge, in a scale of its own."""
    low, high = axes.get_xlim()
    if seen is None:
        edges = np.linspace(low, high, POINTS)
        heights = np.exp(-(edges**2) / 2)
    else:
        counts, bins = np.histogram(seen, BINS, (low, high))
        edges, heights = np.repeat(bins, 2)[1:-1], np.repeat(counts / max(1, counts.max()), 2)
    axes.fill_between(
        edges, 0, SHARE * heights, transform=axes.get_xaxis_transform(), color=style.muted, alpha=0.4, linewidth=0,
        zorder=0.5, gid="inputs",
    )  # fmt: skip


def _heights(responses: Sequence[Response], seen: Sequence[Array | None]) -> tuple[float, float]:
    """Return the limits that show what most inputs meet, the window, and the slope."""
    reached = [0.0, 1.1]
    for drawn, layer_inputs in zip(responses, seen, strict=True):
        usual = np.abs(drawn.x) <= (2.0 if layer_inputs is None else float(np.quantile(np.abs(layer_inputs), 0.95)))
        for rows in (drawn.values, drawn.slope):
            values = rows[usual][np.isfinite(rows[usual])]
            reached += np.quantile(values, (0.01, 0.99)).tolist() if len(values) else []
        if drawn.surrogate.window <= HIGHEST:
            reached += [-drawn.surrogate.window, drawn.surrogate.window]
    margin = 0.08 * (max(reached) - min(reached))
    return max(min(reached) - margin, -HIGHEST), min(max(reached) + margin, HIGHEST)


def _handles(responses: Sequence[Response], seen: bool, style: Style) -> list[Line2D | Patch]:
    """Return what the legend explains: only what is drawn."""
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=style.lines[0], label="f(x)"),
        Line2D([], [], color=style.lines[1], label="slope in training"),
    ]
    if any(drawn.backward is not None for drawn in responses):
        handles.append(Line2D([], [], color=style.lines[2], linestyle="--", label="g(x), backward"))
    if any(drawn.values.shape[1] > 1 for drawn in responses):
        handles.append(Patch(facecolor=style.lines[0], alpha=0.25, label="5 to 95 % of channels"))
    handles += [
        Patch(facecolor=YELLOW, alpha=0.3, label="sign +1"),
        Patch(facecolor=style.muted, alpha=0.4, label="inputs of the layers" if seen else "inputs, N(0, 1)"),
    ]
    if any(math.isfinite(drawn.surrogate.window) for drawn in responses):
        handles.append(Line2D([], [], color=style.muted, linestyle=":", label="window of f(x)"))
    return handles


def _add_legend(figure: Figure, handles: Sequence[Line2D | Patch], style: Style) -> None:
    """Explain a figure below its axes, in as many columns as fit."""
    widest = max(text_width(str(handle.get_label()), LEGEND_POINTS) for handle in handles)
    most = max(1, min(len(handles), int(figure.get_figwidth() / (widest + 0.65))))
    columns = math.ceil(len(handles) / math.ceil(len(handles) / most))  # no more in one row than in another
    figure.legend(
        handles=list(handles), loc="outside lower center", ncols=columns, frameon=False, labelcolor=style.ink,
        fontsize=LEGEND_POINTS,
    )  # fmt: skip
