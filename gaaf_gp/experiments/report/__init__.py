"""Report: a run read from its folder or archive, its figures, and the page that shows it.

- ``build_page``: a run -> one HTML page
- ``Builder``: what makes the page
- ``MOST``: candidates shown in full
- ``FIGURES``: figures of a run by name
- ``RunFigure``: one of them
- ``LivePage``: the page of a run that goes on
- ``PageServer``: serves it on this machine
"""

import gaaf_gp.plots  # noqa: F401  ahead of what imports matplotlib
from gaaf_gp.experiments.report.figures import FIGURES, RunFigure
from gaaf_gp.experiments.report.page import MOST, Builder, build_page
from gaaf_gp.experiments.report.serving import LivePage, PageServer

__all__ = ["FIGURES", "MOST", "Builder", "LivePage", "PageServer", "RunFigure", "build_page"]
