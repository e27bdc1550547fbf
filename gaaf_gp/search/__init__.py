"""Search: evolution of candidates; :mod:`gaaf_gp.search.bloat` keeps trees small.

- ``evolve``: a whole search: population, loop, budget -> result
- ``SearchResult``: what a search found
- ``make_toolbox``: a DEAP toolbox for stock algorithms
- ``LOOPS``: loops by name
- ``Loop``: what a loop must do
- ``Islands``: one or several populations in generations
- ``Steady``: a child whenever a worker is free
- ``genetic``: the paper's genetic algorithm; ``Genetic``: as a loop
- ``Repairs``: what it does otherwise than the published code
- ``PUBLISHED``: none of them
- ``REPAIRED``: all of them
- ``random_search``: random candidates: the baseline of every search; ``RandomSearch``: as a loop
- ``Constraint``: a demand on every tree, such as "at most 2 sin"
- ``distinct``: the functions of a stream that can be trained, each behaviour once
- ``tune_constants``: better constants for one individual
- ``RunCheckpoint``: the state of a search after each step
- ``Progress``: shows a search as it goes
"""

from gaaf_gp.search.checkpoint import RunCheckpoint
from gaaf_gp.search.constants import tune_constants
from gaaf_gp.search.constraints import Constraint
from gaaf_gp.search.distinct import distinct
from gaaf_gp.search.evolve import evolve
from gaaf_gp.search.genetic import PUBLISHED, REPAIRED, Genetic, RandomSearch, Repairs, genetic, random_search
from gaaf_gp.search.loops import LOOPS, Islands, Loop, Steady
from gaaf_gp.search.progress import Progress
from gaaf_gp.search.result import SearchResult
from gaaf_gp.search.toolbox import make_toolbox

__all__ = [
    "LOOPS",
    "PUBLISHED",
    "REPAIRED",
    "Constraint",
    "Genetic",
    "Islands",
    "Loop",
    "Progress",
    "RandomSearch",
    "Repairs",
    "RunCheckpoint",
    "SearchResult",
    "Steady",
    "distinct",
    "evolve",
    "genetic",
    "make_toolbox",
    "random_search",
    "tune_constants",
]
