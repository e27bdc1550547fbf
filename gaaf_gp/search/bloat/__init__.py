"""Controls of bloat: what keeps trees small while they evolve. ``evolve(bloat=...)`` and ``make_toolbox(bloat=...)``.

| control | acts |
|---|---|
| :class:`~gaaf_gp.trees.generation.Limits` | on generation and variation: static limits of height and nodes |
| :class:`Cap` | the same, for any measure, by trying again |
| :class:`DoubleTournament`, :class:`Lexicographic`, :class:`LinearParsimony` | on selection |
| :class:`Pareto` | on selection and survival: accuracy against size or other objectives (NSGA-II) |
| :class:`Tarpeian` | on children ahead of their evaluation |
| :class:`Harm` | on children, by shaping the distribution of their sizes (HARM-GP) |
| :class:`DynamicLimit` | on children that were judged |
| :class:`Tournament` | on nothing: selection by fitness alone |

One of those that select, and any number of the others, may be combined. Sizes are nodes, height, cost or thresholds
(:mod:`gaaf_gp.search.bloat.sizes`).
"""

from gaaf_gp.search.bloat.control import Control
from gaaf_gp.search.bloat.mixture import CONTROLS, DEFAULT, SEARCH_DEFAULT, Bloat, BloatLike, measured_in
from gaaf_gp.search.bloat.objectives import Objective
from gaaf_gp.search.bloat.refusing import Cap, DynamicLimit, Harm, Tarpeian, Within
from gaaf_gp.search.bloat.selecting import (
    PARSIMONY,
    TOURNAMENT,
    DoubleTournament,
    Lexicographic,
    LinearParsimony,
    Pareto,
    Tournament,
)
from gaaf_gp.search.bloat.sizes import SIZES

__all__ = [
    "CONTROLS",
    "DEFAULT",
    "PARSIMONY",
    "SEARCH_DEFAULT",
    "SIZES",
    "TOURNAMENT",
    "Bloat",
    "BloatLike",
    "Cap",
    "Control",
    "DoubleTournament",
    "DynamicLimit",
    "Harm",
    "Lexicographic",
    "LinearParsimony",
    "Objective",
    "Pareto",
    "Tarpeian",
    "Tournament",
    "Within",
    "measured_in",
]
