"""Experiments: one run from settings to page: search, confirmation, files, report.

- ``Explanation``: what makes the gain of a function over the plain sign
- ``Settings``: all that a run depends on
- ``explain``: train the factorial between the plain sign and a function
- ``run``: search, confirm, and write the run folder
- ``RunResult``: what it returns: the winner, its comparisons, and what the search did
- ``compare_on_table``: several searches at one budget on a table of fitness values
- ``compare_trained``: the same with trainings that the searches share
- ``SearchComparison``: what both return: figures, table, files
- ``Search``: what they run
"""

from gaaf_gp.experiments.experiment import run
from gaaf_gp.experiments.explanation import Explanation, explain
from gaaf_gp.experiments.run_result import RunResult
from gaaf_gp.experiments.searches import Search, SearchComparison, compare_on_table, compare_trained
from gaaf_gp.experiments.settings import Settings

__all__ = [
    "Explanation",
    "RunResult",
    "Search",
    "SearchComparison",
    "Settings",
    "compare_on_table",
    "compare_trained",
    "explain",
    "run",
]
