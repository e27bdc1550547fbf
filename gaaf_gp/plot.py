"""All figures by one name: trees, functions, and how searches and trainings went.

Every figure is a function of data and ``ax`` that returns the axes. Without ``ax`` it makes a figure of its own that
pyplot knows nothing of, see :mod:`gaaf_gp.plots.style`; :func:`save_figure` writes it to a file.
"""

from gaaf_gp.plots.activation import plot_activation, plot_activations
from gaaf_gp.plots.fidelities import plot_fidelities
from gaaf_gp.plots.front import pareto_front, plot_front
from gaaf_gp.plots.genealogy import ancestry, plot_genealogy
from gaaf_gp.plots.history import plot_history
from gaaf_gp.plots.inputs import inputs_of, layer_inputs
from gaaf_gp.plots.layout import tree_layout
from gaaf_gp.plots.learning import curves_of, plot_learning_curves
from gaaf_gp.plots.nodes import COLOURS, tree_graph
from gaaf_gp.plots.pair import evolved_svg, plot_evolved
from gaaf_gp.plots.primitives import plot_primitive_use, primitive_use
from gaaf_gp.plots.progress import Snapshot, plot_progress, plot_run, snapshots
from gaaf_gp.plots.searches import plot_searches
from gaaf_gp.plots.sheet import plot_sheet
from gaaf_gp.plots.style import BLUE, DARK, ENDINGS, INK, LIGHT, VERMILLION, Style, as_svg, new_axes, save_figure
from gaaf_gp.plots.tree import plot_tree

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
    "inputs_of",
    "layer_inputs",
    "new_axes",
    "pareto_front",
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
