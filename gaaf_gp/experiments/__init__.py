"""Experiments: one run from settings to page: search, confirmation, files, report.

- ``Settings``: all that a run depends on
- ``run``: search, confirm, and write the run folder
- ``RunResult``: what it returns: the winner, its comparisons, and what the search did
- ``compare_on_table``: several searches at one budget on a table of fitness values
- ``compare_trained``: the same with trainings that the searches share
- ``SearchComparison``: what both return: figures, table, files
- ``Search``: what they run
"""

from gaaf_gp.experiments.experiment import run
from gaaf_gp.experiments.run_result import RunResult
from gaaf_gp.experiments.searches import Search, SearchComparison, compare_on_table, compare_trained
from gaaf_gp.experiments.settings import Settings

__all__ = [
    "RunResult",
    "Search",
    "SearchComparison",
    "Settings",
    "compare_on_table",
    "compare_trained",
    "run",
]
