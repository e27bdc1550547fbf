"""Figures: functions of plain values and ``ax`` that return the axes.

Without ``ax`` a function makes a new figure, which is not registered in pyplot, see :mod:`gaaf_gp.plots.style`.

- ``plot_tree``: an expression tree
- ``plot_evolved``: an individual: one tree or two
- ``evolved_svg``: the same as SVG text, for notebooks
- ``tree_layout``: the positions of the nodes of a tree
- ``tree_graph``: a tree as a networkx graph
- ``COLOURS``: the colour of each kind of node
- ``plot_activation``: f, its sign and its gradient
- ``plot_activations``: several functions side by side
- ``plot_sheet``: all primitives of a set
- ``plot_history``: accuracy of all candidates in order
- ``plot_progress``: best, mean and size by generation
- ``plot_run``: both on one page
- ``Snapshot``: a population at one time
- ``snapshots``: snapshots of a logbook
- ``plot_front``: accuracy against size
- ``plot_genealogy``: the ancestors of a candidate
- ``ancestry``: the same as a graph
- ``plot_primitive_use``: which primitives are used, by generation
- ``primitive_use``: the same as numbers
- ``plot_learning_curves``: accuracy by epoch
- ``curves_of``: the curves of a record
- ``plot_fidelities``: short trainings against long ones
- ``plot_searches``: best so far of several searches
- ``Style``: colours of all figures
- ``LIGHT``: the light style
- ``DARK``: the dark style
- ``BLUE``: a colour
- ``VERMILLION``: a colour
- ``INK``: a colour
- ``ENDINGS``: file formats
- ``as_svg``: a figure as SVG text
- ``new_axes``: axes in our style
- ``save_figure``: a figure -> a file
"""

import gaaf_gp.plots.backend  # noqa: F401  ahead of what imports matplotlib
from gaaf_gp.plots.activation import plot_activation, plot_activations
from gaaf_gp.plots.front import plot_front
from gaaf_gp.plots.genealogy import ancestry, plot_genealogy
from gaaf_gp.plots.learning import curves_of, plot_fidelities, plot_learning_curves
from gaaf_gp.plots.primitives import plot_primitive_use, primitive_use
from gaaf_gp.plots.progress import Snapshot, plot_history, plot_progress, plot_run, snapshots
from gaaf_gp.plots.searches import plot_searches
from gaaf_gp.plots.sheet import plot_sheet
from gaaf_gp.plots.style import BLUE, DARK, ENDINGS, INK, LIGHT, VERMILLION, Style, as_svg, new_axes, save_figure
from gaaf_gp.plots.tree import evolved_svg, plot_evolved, plot_tree
from gaaf_gp.plots.tree_layout import COLOURS, tree_graph, tree_layout

__all__ = [
    "BLUE",
    "COLOURS",
    "DARK",
    "ENDINGS",
    "INK",
    "LIGHT",
    "VERMILLION",
    "Snapshot",
    "Style",
    "ancestry",
    "as_svg",
    "curves_of",
    "evolved_svg",
    "new_axes",
    "plot_activation",
    "plot_activations",
    "plot_evolved",
    "plot_fidelities",
    "plot_front",
    "plot_genealogy",
    "plot_history",
    "plot_learning_curves",
    "plot_primitive_use",
    "plot_progress",
    "plot_run",
    "plot_searches",
    "plot_sheet",
    "plot_tree",
    "primitive_use",
    "save_figure",
    "snapshots",
    "tree_graph",
    "tree_layout",
]
