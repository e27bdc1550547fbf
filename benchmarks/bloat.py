"""``python -m benchmarks.bloat``: which control of bloat is worth having, on a regression and on a real search.

``--task regression`` runs every control, and gplearn, on four standard targets; ``--task search`` runs ``evolve()``
with every control on the bundled images. Both may be stopped with Ctrl-C and go on when they are started again.
``--report`` prints the tables as Markdown and draws the figures, from what is finished. Bad input ends with one line on
standard error and exit status 2, Ctrl-C with status 130.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import bloat_regression, bloat_report, bloat_search
from benchmarks.bloat_choices import EVOLVE, SHOWN
from benchmarks.bloat_figures import plot_fronts, plot_sizes
from benchmarks.bloat_results import TASKS, pack, results
from gaaf_gp import GaafError
from gaaf_gp.plots import save_figure
from gaaf_gp.util.devices import available_cores

OUT, IMAGES = Path("out/bloat"), Path("docs/images")
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if not (options.task or options.report or options.pack):
        parser.error("nothing to do: give --task, --report or --pack")
    try:
        if options.task:
            measure(options)
        if options.pack:
            for path in pack(options.out, options.pack):
                print(f"wrote {path}", file=sys.stderr)
        if options.report:
            report(options.out, options.images)
    except GaafError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"interrupted; what is finished is in {options.out}, the same command goes on", file=sys.stderr)
        return INTERRUPTED
    return 0


def measure(options: argparse.Namespace) -> None:
    """Run one task, from where it was left."""
    started = time.perf_counter()

    def say(line: str) -> None:
        print(f"[{time.perf_counter() - started:6.0f} s] {line}", file=sys.stderr, flush=True)

    given = {name: getattr(options, name) for name in ("evaluations", "population", "limit")}
    settings = {name: value for name, value in {**given, "choices": options.only}.items() if value is not None}
    foreign = {"regression": "limit", "search": "population"}[options.task]
    if foreign in settings:
        raise GaafError(f"--{foreign} is a setting of the other task, and --task is {options.task}: leave it out")
    part = bloat_regression if options.task == "regression" else bloat_search
    part.measure(options.out, options.seeds, workers=options.workers, say=say, **settings)


def report(folder: Path, images: Path) -> None:
    """Print the tables and draw the figures.

    Raises:
        GaafError: there are no results, or a figure cannot be written.
    """
    found = results(folder)
    if "regression" in found:
        runs = found["regression"]
        print(f"## Regression in DEAP's loop\n\n{bloat_report.regression_table(runs)}\n")
        if bloat_report.in_loop(runs, EVOLVE):
            print(f"## Regression in evolve()\n\n{bloat_report.regression_table(runs, EVOLVE)}\n")
        print(f"## Targets\n\n{bloat_report.targets_table(runs)}\n")
        print(f"## gplearn\n\n{bloat_report.gplearn_table(runs, SHOWN)}\n")
    if "search" in found:
        print(f"## Search\n\n{bloat_report.search_table(found['search'])}\n")
    for name, plot in (("bloat_size.png", plot_sizes), ("bloat_front.png", plot_fronts)):
        save_figure(plot(found), images / name)
        print(f"wrote {images / name}", file=sys.stderr)


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) >= 1):
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text!r}")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.bloat", description=__doc__.partition("\n\n")[2].replace("`", "")
    )
    parser.add_argument("--task", choices=TASKS, help="what to run")
    parser.add_argument("--report", action="store_true", help="print the tables and draw the figures")
    parser.add_argument("--pack", type=Path, metavar="FOLDER", help="compress the finished runs into this folder")
    parser.add_argument("--only", nargs="+", choices=bloat_regression.ALL, metavar="NAME", help="these controls alone")
    parser.add_argument("--seeds", type=_whole, default=10, help="runs of each control (default: 10)")
    parser.add_argument("--evaluations", type=_whole, help="of a run (default: 5000 of a regression, 100 of a search)")
    parser.add_argument("--population", type=_whole, help="of a regression (default: 200)")
    parser.add_argument("--workers", type=_whole, default=available_cores(), help="processes (default: all cores)")
    parser.add_argument("--out", type=Path, default=OUT, help=f"folder of the results (default: {OUT})")
    parser.add_argument("--images", type=Path, default=IMAGES, help=f"folder of the figures (default: {IMAGES})")
    parser.add_argument("--limit", type=_whole, help=argparse.SUPPRESS)  # images of the proxies, for tests
    return parser


if __name__ == "__main__":
    sys.exit(main())
