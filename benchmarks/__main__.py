"""``python -m benchmarks``: measure all parts, print them as tables and keep them as JSON.

Bad input ends with one line on standard error and exit status 2, Ctrl-C with status 130; what was finished until then
is in the JSON file.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import accelerator, candidate, machine, overhead, scaling, search, step
from benchmarks.harness import Report, read_report, show
from benchmarks.sizes import FULL, QUICK, SHORT, Setup
from gaaf_gp import GaafError
from gaaf_gp.util.devices import available_cores

Measure = Callable[[Setup], dict[str, Any]]
Show = Callable[[dict[str, Any], Console], None]
PARTS: dict[str, tuple[Measure, Show]] = {
    "step": (step.measure, step.show),
    "candidate": (candidate.measure, candidate.show),
    "search": (search.measure, search.show),
    "overhead": (overhead.measure, overhead.show),
    "scaling": (scaling.measure, scaling.show),
    "gpu": (accelerator.measure, accelerator.show),
}
MOST_THREADS = 1024
FILE_WIDTH = 180
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.resume and options.json is None:
        parser.error("--resume goes on with what a file holds: name it with --json FILE")
    try:
        run(options)
    except GaafError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        kept = f"; finished parts are in {options.json}, go on with --resume" if options.json else ""
        print(f"interrupted{kept}", file=sys.stderr)
        return INTERRUPTED
    return 0


def run(options: argparse.Namespace) -> None:
    """Measure the parts that are asked for, in order, and show each as it is finished."""
    # a file or a pipe has no width of its own, and the tables are wide
    width = None if sys.stdout.isatty() else FILE_WIDTH
    console, progress = Console(width=width), Console(stderr=True)
    started = time.perf_counter()

    def say(line: str) -> None:
        progress.print(f"[{time.perf_counter() - started:6.0f} s] {line}", markup=False, highlight=False)

    sizes = QUICK if options.quick else FULL if options.full else SHORT
    name = "quick" if options.quick else "full" if options.full else "short"
    earlier = read_report(options.json) if options.resume else {}
    Report(options.json, earlier)  # whether the file can be written is known now, not after an hour
    say("machine: rates of a matrix product and a convolution")
    facts = machine.facts(options.threads, sizes.rate_repetitions)
    show_machine(facts, console)
    if not _same(earlier, facts, name):
        if earlier:
            say("nothing to resume: the file is of another machine, other versions, threads or size")
        earlier = {}
    finished: list[str] = list(earlier.get("finished", ()))
    report = Report(options.json, {"size": name, **earlier, "machine": facts, "finished": finished})
    for part in options.only or PARTS:
        measure, show_part = PARTS[part]
        if part not in finished:
            known = earlier.get(part, {})
            keep = _keeper(report, part)
            result = measure(Setup(sizes, options.threads, facts, say, keep, known))
            finished.append(part)
            keep(result)
        show_part(report.content[part], console)


def show_machine(facts: dict[str, Any], console: Console) -> None:
    """Print what the figures are measured on."""
    rows: list[list[object]] = [
        ["processor", f"{facts['cpu']}, {facts['cores']} cores, {' '.join(facts['flags'])}"],
        ["torch's kernels", facts["capability"]],
        ["threads", facts["threads"]],
        ["versions", ", ".join(f"{name} {version}" for name, version in facts["versions"].items())],
        ["GFLOP/s, float32", ", ".join(f"{name} {rate:.0f}" for name, rate in facts["gflops"].items())],
    ]
    show(console, "machine", ["what", "value"], rows)


def _keeper(report: Report, part: str) -> Callable[[Any], None]:
    return lambda result: report.put(part, result)


def _same(earlier: dict[str, Any], facts: dict[str, Any], size: str) -> bool:
    """Whether the parts of an earlier report were measured like those of this run."""
    before = earlier.get("machine", {})
    same = all(before.get(key) == facts[key] for key in ("cpu", "cores", "threads", "capability", "versions"))
    return same and earlier.get("size") == size


def _thread_count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MOST_THREADS):
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to {MOST_THREADS}, got {text!r}")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Compare with the textbook way of training and searching, both sides in turns, and print ratios. "
        "A ratio above 1 says how many times faster the project is. The short run takes about half an hour on two "
        "cores, the full one an hour.",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep all results here, after each finished part")
    parser.add_argument("--full", action="store_true", help="more repetitions, epochs, seeds and sizes; takes an hour")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), metavar="NAME", help=f"parts: {', '.join(PARTS)}")
    parser.add_argument(
        "--threads", type=_thread_count, default=available_cores(), help="of each side (default: all cores)"
    )
    parser.add_argument(
        "--resume", action="store_true", help="keep what is finished in FILE, if it was measured alike; needs --json"
    )
    parser.add_argument("--quick", action="store_true", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
