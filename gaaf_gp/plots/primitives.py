"""Which primitives a search uses, generation by generation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from gaaf_gp.errors import GaafError
from gaaf_gp.plots.style import LEGEND_POINTS, LIGHT, Style, new_axes, own_settings
from gaaf_gp.trees.candidate import Evolved, TwoTrees
from gaaf_gp.trees.enrichment import TAGS, features
from gaaf_gp.util.checks import whole_number

WAVE = "∿ "
"""Mark before the name of a periodic operator."""


def primitive_use(populations: Sequence[Sequence[Evolved]]) -> dict[str, list[float]]:
    """Return name of a primitive -> share of each population that uses it, 0 to 1, however often an individual does.

    Raises:
        GaafError: without a population, or for an empty one.
    """
    if not populations or not all(populations):
        raise GaafError("the use of primitives is that of one or more populations with individuals, got none")
    used_by_population = [[_used(individual) for individual in population] for population in populations]
    names = sorted(frozenset[str]().union(*(used for population in used_by_population for used in population)))
    return {
        name: [float(np.mean([name in used for used in population])) for population in used_by_population]
        for name in names
    }


def _used(individual: Evolved) -> frozenset[str]:
    trees = (individual.forward, individual.backward) if isinstance(individual, TwoTrees) else (individual,)
    return frozenset[str]().union(*map(features, trees)) - {*TAGS}


@own_settings()
def plot_primitive_use(
    populations: Sequence[Sequence[Evolved]], ax: Axes | None = None, *, most: int = 24, style: Style = LIGHT
) -> Axes:
    """Draw the share of the individuals of each generation that use a primitive as a heat map.

    Periodic operators stand together at the top, in bold and with a wave; then the others, by their mean share.

    Args:
        populations: one for each generation, such as ``list(found.population)`` in ``on_generation`` of
            :func:`gaaf_gp.evolve`.
        ax: where to draw; a new figure by default.
        most: primitives that are shown: those with the largest mean shares.
        style: the colours.

    Returns:
        The axes: generation, primitive. Their only image has a row for each primitive.

    Raises:
        GaafError: without a population, for an empty one, trees without primitives, or fewer than one row.
    """
    most = whole_number("most", most)
    use = primitive_use(populations)
    if not use:
        raise GaafError("the use of primitives needs trees that have some, got no primitive: pass larger trees")
    periodic = _periodic(populations)
    ranked = sorted(use, key=lambda name: (-float(np.mean(use[name])), name))[:most]
    names = sorted(ranked, key=lambda name: name not in periodic)  # stable: by share within both
    axes = new_axes(ax, size=(6.4, 1.3 + 0.21 * len(names)), style=style)
    shares = 100 * np.array([use[name] for name in names]).reshape(len(names), len(populations))
    image = axes.imshow(shares, cmap="cividis", vmin=0, vmax=100, aspect="auto", interpolation="nearest")
    axes.spines[:].set_visible(False)
    labels = [WAVE + name if name in periodic else name for name in names]
    axes.set_yticks(range(len(names)), labels)
    for label, name in zip(axes.get_yticklabels(), names, strict=True):
        label.set_fontweight("bold" if name in periodic else "normal")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlabel(f"generation ({WAVE.strip()} periodic)" if periodic & {*names} else "generation")
    bar = axes.figure.figure.colorbar(image, ax=axes, pad=0.02)
    bar.ax.tick_params(color=style.ink, labelcolor=style.ink, labelsize=LEGEND_POINTS)
    bar.set_label("individuals that use it (%)", color=style.ink, fontsize=LEGEND_POINTS)
    bar.outline.set_visible(False)
    return axes


def _periodic(populations: Sequence[Sequence[Evolved]]) -> frozenset[str]:
    sets = {id(individual.pset): individual.pset for population in populations for individual in population}
    traits: Mapping[str, bool] = {name: trait.periodic for pset in sets.values() for name, trait in pset.traits.items()}
    return frozenset(name for name, periodic in traits.items() if periodic)
