"""The files of ``gaaf-gp plot run``: a folder of figures, or one file of one or all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_pdf import PdfPages

from gaaf_gp.errors import GaafError, listed
from gaaf_gp.plots.style import ENDINGS, LIGHT, save_figure
from gaaf_gp.report import RunData, RunFigure

FIGURES_FOLDER = "figures"
"""In the folder of a run."""
PAGES = ".pdf"
"""Ending of a file that has a page for each figure."""


def target_files(target: Path, figures: Sequence[RunFigure], force: bool) -> dict[str, Path]:
    """Return name of a figure -> its file.

    Raises:
        GaafError: one file cannot hold them all, or a file exists and ``force`` is false.
    """
    ending = target.suffix.lower()
    if ending in ENDINGS and ending != PAGES and len(figures) > 1:
        raise GaafError(
            f"a {ending} file holds one figure, got {len(figures)}: name one with --only, or a folder or a {PAGES} file"
        )
    single = ending in ENDINGS
    files = {one.name: target if single else target / f"{one.name}.png" for one in figures}
    there = sorted({str(path) for path in files.values() if path.exists()})
    if there and not force:
        raise GaafError(f"figures must be new files, but {listed(there, 3)} exist: choose another name or pass --force")
    return files


def draw_run(data: RunData, figures: Sequence[RunFigure]) -> tuple[dict[str, Axes], dict[str, str]]:
    """Return the figures by name, and the names of those that there are not with what is missing."""
    drawn, missing = {}, {}
    for one in figures:
        found = one.draw(data, LIGHT)
        if isinstance(found, str):
            missing[one.name] = found
        else:
            drawn[one.name] = found
    return drawn, missing


def write_run(drawn: Mapping[str, Axes], files: Mapping[str, Path], target: Path) -> list[Path]:
    """Write figures, and return their files.

    Raises:
        GaafError: they cannot be written.
    """
    if not drawn:
        return []
    if target.suffix.lower() not in ENDINGS:
        try:
            target.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise GaafError(
                f"figures need a folder, and {target} is none ({error.strerror}): choose another"
            ) from error
    if target.suffix.lower() == PAGES and len(drawn) > 1:
        return [_write_pages(drawn, target)]
    for name, axes in drawn.items():
        save_figure(axes, files[name])
    return [files[name] for name in drawn]


def _write_pages(drawn: Mapping[str, Axes], target: Path) -> Path:
    if not target.parent.is_dir():
        raise GaafError(f"a figure needs an existing folder, got {str(target.parent)!r}: make it, or name another")
    try:
        with PdfPages(target) as pages:
            for axes in drawn.values():
                pages.savefig(axes.figure.figure, bbox_inches="tight")
    except OSError as error:
        raise GaafError(f"a figure's file must be writable, {str(target)!r} is not ({error.strerror})") from error
    return target
