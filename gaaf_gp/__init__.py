"""gaaf-gp: strongly typed genetic programming that evolves activation functions for binary neural networks.

- ``PrimitiveSet``: what trees are made of
- ``Individual``: one tree of a set
- ``Fitness``: its fitness, one value to maximise
- ``parse``: text -> individual
- ``Activation``: individual -> ``torch.nn.Module``
- ``evolve``: a whole search
- ``make_toolbox``: a DEAP toolbox for stock algorithms
- ``Evaluator``: fitness by training
- ``Proxy``: the training task of an evaluator
- ``Racing``: rules by which weak candidates stop early
- ``TableEvaluator``: fitness from a table of trainings
- ``load_table``: such a table
- ``load_data``: a data set by name or folder
- ``load_activation``: a function of the catalogue
- ``BinaryConv2d``, ``BinaryLinear``: binary layers
- ``binarize``: the sign with a surrogate gradient
- ``load_primitives``: a primitive set by the name of its function
- ``Limits``: greatest height and size of trees
- ``Panel``: fitness over several training tasks
- ``Islands``, ``Steady``: loops with settings of your own
- ``Objective``: a further objective of a search
- ``plot_tree``, ``plot_activation``, ``plot_activations``: figures of a tree and of functions
- ``GaafError``: what every bad input raises

The marker types of trees are in :mod:`gaaf_gp.types`; each package lists its own names.
"""

import importlib
from typing import TYPE_CHECKING, Any

from gaaf_gp.activations.catalogue import load_activation
from gaaf_gp.binary import BinaryConv2d, BinaryLinear, binarize
from gaaf_gp.data.load import load_data
from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation.evaluator import Evaluator
from gaaf_gp.evaluation.panel import Panel
from gaaf_gp.evaluation.racing import Racing
from gaaf_gp.evaluation.table import TableEvaluator, load_table
from gaaf_gp.search.bloat import Objective
from gaaf_gp.search.evolve import evolve
from gaaf_gp.search.loops import Islands, Steady
from gaaf_gp.search.toolbox import make_toolbox
from gaaf_gp.training.proxy import Proxy
from gaaf_gp.trees.compile import Activation
from gaaf_gp.trees.generation import Limits
from gaaf_gp.trees.individual import Fitness, Individual
from gaaf_gp.trees.individual import draw_with as _draw_with
from gaaf_gp.trees.load import load_primitives
from gaaf_gp.trees.parser import parse
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.util.old_paths import keep_old_paths as _keep_old_paths

if TYPE_CHECKING:
    from gaaf_gp.plots import plot_activation, plot_activations, plot_tree

_keep_old_paths()

__version__ = "0.2.0"


@_draw_with
def _svg(individual: Individual) -> str:
    """Draw an individual for a notebook."""
    from gaaf_gp.plots.tree import evolved_svg  # noqa: PLC0415  matplotlib takes long, and few imports want a picture

    return evolved_svg(individual)


_FIGURES = ("plot_activation", "plot_activations", "plot_tree")
"""From :mod:`gaaf_gp.plots`, which is imported when one is asked for: matplotlib takes long."""


def __getattr__(name: str) -> Any:
    if name in _FIGURES:
        return getattr(importlib.import_module("gaaf_gp.plots"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])


__all__ = [
    "Activation",
    "BinaryConv2d",
    "BinaryLinear",
    "Evaluator",
    "Fitness",
    "GaafError",
    "Individual",
    "Islands",
    "Limits",
    "Objective",
    "Panel",
    "PrimitiveSet",
    "Proxy",
    "Racing",
    "Steady",
    "TableEvaluator",
    "binarize",
    "evolve",
    "load_activation",
    "load_data",
    "load_primitives",
    "load_table",
    "make_toolbox",
    "parse",
    "plot_activation",
    "plot_activations",
    "plot_tree",
]
