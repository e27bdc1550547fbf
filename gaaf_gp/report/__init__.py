"""What a run left in its archive, read again: the data of its figures, and the page that reports it.

A run is read from its folder or from its archive alone, while it goes on or after it has ended, and never changed.
"""

from gaaf_gp.report.figures import FIGURES, RunFigure
from gaaf_gp.report.page import MOST, Builder, build_page
from gaaf_gp.report.place import Place, find_run
from gaaf_gp.report.reading import RunData, read_run, run_of
from gaaf_gp.report.serving import LivePage, PageServer

__all__ = [
    "FIGURES",
    "MOST",
    "Builder",
    "LivePage",
    "PageServer",
    "Place",
    "RunData",
    "RunFigure",
    "build_page",
    "find_run",
    "read_run",
    "run_of",
]
