"""The archive of evaluations: one file of SQLite that is cache, resume point and source of every plot and report."""

from gaaf_gp.archive.births import Birth, Generation
from gaaf_gp.archive.checking import Report, check
from gaaf_gp.archive.evaluation import VALIDATION, Evaluation, evaluation_of
from gaaf_gp.archive.export import export_csv, export_parquet
from gaaf_gp.archive.listing import Sort, Summary
from gaaf_gp.archive.merging import Merged
from gaaf_gp.archive.register import Register
from gaaf_gp.archive.rows import Kept, task_hash
from gaaf_gp.archive.runs import FAILED, FINISHED, INTERRUPTED, RUNNING, Run, RunEntry
from gaaf_gp.archive.store import Archive

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
