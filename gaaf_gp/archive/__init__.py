"""Archive: every evaluation in one SQLite file: cache, resume point, source of all plots and reports.

- ``Archive``: the file
- ``Sort``: the order of a listing
- ``Summary``: one line of a listing
- ``Evaluation``: one training as it is kept
- ``evaluation_of``: outcome -> evaluation
- ``VALIDATION``: the name of the validation split
- ``Kept``: what is kept of an evaluation
- ``task_hash``: the identity of a training task
- ``Run``: one run: its command, settings and state
- ``RunEntry``: what a run asked for
- ``RUNNING``: state of a run
- ``FINISHED``: state of a run
- ``FAILED``: state of a run
- ``INTERRUPTED``: state of a run
- ``Birth``: how a candidate was bred
- ``Generation``: one row of a logbook
- ``Register``: births and generations of one run
- ``Merged``: how much a merge added
- ``check``: look for damage
- ``Report``: what ``check`` found
- ``export_csv``: all rows as CSV
- ``export_parquet``: all rows as Parquet
"""

from gaaf_gp.archive.births import Birth, Generation
from gaaf_gp.archive.checking import Report, check
from gaaf_gp.archive.evaluation import VALIDATION, Evaluation, evaluation_of
from gaaf_gp.archive.export import export_csv, export_parquet
from gaaf_gp.archive.merging import Merged
from gaaf_gp.archive.register import Register
from gaaf_gp.archive.rows import Kept, task_hash
from gaaf_gp.archive.runs import FAILED, FINISHED, INTERRUPTED, RUNNING, Run, RunEntry
from gaaf_gp.archive.store import Archive, Sort, Summary

__all__ = [
    "FAILED",
    "FINISHED",
    "INTERRUPTED",
    "RUNNING",
    "VALIDATION",
    "Archive",
    "Birth",
    "Evaluation",
    "Generation",
    "Kept",
    "Merged",
    "Register",
    "Report",
    "Run",
    "RunEntry",
    "Sort",
    "Summary",
    "check",
    "evaluation_of",
    "export_csv",
    "export_parquet",
    "task_hash",
]
