"""Experiments: one run from settings to page: search, confirmation, files, report.

- ``Explanation``: what makes the gain of a function over the plain sign
- ``Settings``: all that a run depends on
- ``explain``: train the factorial between the plain sign and a function
- ``run``: search, confirm, and write the run folder
"""

from gaaf_gp.experiments.experiment import run
from gaaf_gp.experiments.explanation import Explanation, explain
from gaaf_gp.experiments.settings import Settings

__all__ = [
    "Explanation",
    "Settings",
    "explain",
    "run",
]
