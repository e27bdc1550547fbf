"""Experiments: one run from settings to page: search, confirmation, files, report.

- ``Settings``: all that a run depends on
- ``run``: search, confirm, and write the run folder
"""

from gaaf_gp.experiments.experiment import run
from gaaf_gp.experiments.settings import Settings

__all__ = [
    "Settings",
    "run",
]
