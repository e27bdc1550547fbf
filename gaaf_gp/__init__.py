"""gaaf-gp: strongly typed genetic programming that evolves activation functions for binary neural networks.

The names below are the public interface; the marker types of the trees are in :mod:`gaaf_gp.types`.
"""

from gaaf_gp.binary import BinaryConv2d, BinaryLinear, binarize
from gaaf_gp.catalogue import load_activation
from gaaf_gp.compile import Activation
from gaaf_gp.data import load_data
from gaaf_gp.errors import GaafError
from gaaf_gp.evolve import evolve
from gaaf_gp.fitness import Evaluator
from gaaf_gp.individual import Fitness, Individual
from gaaf_gp.parser import parse
from gaaf_gp.plot_hook import draw_with
from gaaf_gp.proxy import Proxy
from gaaf_gp.pset import PrimitiveSet
from gaaf_gp.racing import Racing
from gaaf_gp.table_evaluator import TableEvaluator
from gaaf_gp.table_file import load_table
from gaaf_gp.toolbox import make_toolbox

__version__ = "0.1.0"


@draw_with
def _svg(individual: Individual) -> str:
    """Draw an individual for a notebook."""
    from gaaf_gp.plots.pair import evolved_svg  # noqa: PLC0415  matplotlib takes long, and few imports want a picture

    return evolved_svg(individual)


__all__ = [
    "Activation",
    "BinaryConv2d",
    "BinaryLinear",
    "Evaluator",
    "Fitness",
    "GaafError",
    "Individual",
    "PrimitiveSet",
    "Proxy",
    "Racing",
    "TableEvaluator",
    "binarize",
    "evolve",
    "load_activation",
    "load_data",
    "load_table",
    "make_toolbox",
    "parse",
]
