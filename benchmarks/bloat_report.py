"""The tables of the benchmark of bloat as Markdown: medians and means with intervals, differences paired by seed.

Every choice is compared with the static limits alone on the same targets and seeds. Intervals are bootstrap intervals
of 95 %, p-values those of paired t-tests, corrected for all choices of a table (Holm). A size with an asterisk is
smaller than with limits alone by the same test.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from benchmarks.bloat_choices import BASELINE, CHOICES, DEFAULT_GPLEARN, GPLEARN
from benchmarks.bloat_regression import ALL
from benchmarks.bloat_results import Entries
from gaaf_gp.statistics import Comparison, bootstrap_interval, compare

SOLVED = 1e-9
"""An error below this counts as this: its logarithm would decide a mean alone."""
RIVALS = {
    "gplearn, the better of 0.001 and auto": [
        name for name, (coefficient, size) in GPLEARN.items() if coefficient and size == GPLEARN[DEFAULT_GPLEARN][1]
    ],
    f"gplearn, the best of {len(GPLEARN)} settings": list(GPLEARN),
}
"""Settings of gplearn that are compared with ours, the best of each list target by target."""
Value = Callable[[Mapping[str, Any]], float]


def by_choice(entries: Entries, names: Iterable[str] = CHOICES) -> dict[str, list[Mapping[str, Any]]]:
    """Return the runs of each choice, in the order of the choices; those without a run are left out."""
    found = {name: [entry for entry in entries if entry["choice"] == name] for name in names}
    return {name: runs for name, runs in found.items() if runs}


def in_loop(entries: Entries, loop: str) -> Entries:
    """Return the runs of the choices whose names begin with ``loop``, without that."""
    names = {loop + name: name for name in CHOICES}
    return [{**entry, "choice": names[entry["choice"]]} for entry in entries if entry["choice"] in names]


def log_error(entry: Mapping[str, Any]) -> float:
    """Return the logarithm to base 10 of the error on the training points."""
    return math.log10(max(entry["error"], SOLVED))


def compared(groups: Mapping[str, Entries], value: Value) -> dict[str, Comparison]:
    """Return each choice but the baseline against it, paired by target and seed; none without two runs in common."""
    pairs = sorted({_pair(entry) for runs in groups.values() for entry in runs})
    places = {pair: place for place, pair in enumerate(pairs)}
    values = {name: {places[_pair(one)]: value(one) for one in runs} for name, runs in groups.items()}
    baseline = values.pop(BASELINE, {})
    able = {name: own for name, own in values.items() if len(own.keys() & baseline.keys()) > 1}
    return {one.name: one for one in compare(able, baseline)} if able else {}


def _pair(entry: Mapping[str, Any]) -> tuple[str, int]:
    return entry.get("target", ""), entry["seed"]


def regression_table(entries: Entries, loop: str = "") -> str:
    """Return the table of all choices over all targets, in DEAP's loop or that which ``loop`` begins the names of."""
    groups = by_choice(in_loop(entries, loop))
    errors, sizes = compared(groups, log_error), compared(groups, lambda one: one["mean_size"])
    rows = []
    for name, runs in groups.items():
        cells = ["1", "", ""]
        if name in errors:
            interval = errors[name].bootstrap
            low, high = 10**interval.low, 10**interval.high
            cells = [f"{10**interval.estimate:.2f}", f"{low:.2f} to {high:.2f}", p_value(errors[name])]
        rows.append([name, len(runs), *cells, *_sizes(name, runs, sizes), *_means(runs, "behaviours", "evaluations")])
        rows[-1].append(f"{_mean(runs, 'seconds'):.1f}")
    columns = ["control", "runs", "error, times that of limits only", "95 % interval", "p (Holm)"]
    columns += ["mean size over generations", "at the end", "of the best"]
    return markdown([*columns, "different behaviours", "evaluations", "s"], rows)


def search_table(entries: Entries) -> str:
    """Return the table of all choices in searches for activation functions."""
    groups = by_choice(entries)
    fresh, sizes = compared(groups, lambda one: one["fresh"]), compared(groups, lambda one: one["mean_size"])
    rows = []
    for name, runs in groups.items():
        cells = ["", "", ""]
        if name in fresh:
            interval = fresh[name].bootstrap
            low, high = 100 * interval.low, 100 * interval.high
            cells = [f"{100 * interval.estimate:+.2f}", f"{low:+.2f} to {high:+.2f}", p_value(fresh[name])]
        refused = [statistics.fmean(one["rejected"].get(reason, 0) for one in runs) for reason in REFUSED]
        rows.append([name, len(runs), f"{100 * _mean(runs, 'best'):.2f}", f"{100 * _mean(runs, 'fresh'):.2f}", *cells])
        rows[-1] += [*_sizes(name, runs, sizes), *_means(runs, "behaviours"), *(f"{one:.0f}" for one in refused)]
        rows[-1] += [f"{_mean(runs, 'overhead_seconds'):.1f}", f"{_mean(runs, 'training_seconds'):.0f}"]
    columns = ["control", "runs", "best as seen", "on fresh seeds", "less limits only", "95 % interval", "p (Holm)"]
    columns += ["mean size over generations", "at the end", "of the best", "different behaviours"]
    return markdown([*columns, "refused as the same", "as too large", "s of the search", "s of training"], rows)


REFUSED = ("same behaviour", "too large to be evaluated")


def targets_table(entries: Entries) -> str:
    """Return the median errors on each target, on the training and the test points, and what else tells sides apart."""
    targets = list(dict.fromkeys(entry["target"] for entry in entries))
    groups = by_choice(entries, ALL)
    rows = []
    for name, runs in groups.items():
        cells = []
        for target in targets:
            own = [entry for entry in runs if entry["target"] == target]
            cells.append(" / ".join(_median(own, key) for key in ("error", "test_error")) if own else "")
        rows.append([name, *cells, f"{_mean(runs, 'mean_size'):.1f}", *_means(runs, "behaviours")])
    columns = ["median error, training / test points", *targets, "mean size", "different behaviours"]
    return markdown(columns, rows)


def gplearn_table(entries: Entries, ours: Sequence[str]) -> str:
    """Return our choices against gplearn on each target that all have runs of, and in how many each is no worse.

    gplearn has the better of its own two controls, at its default tournaments, and then the best of all its settings,
    target by target.
    """
    groups = by_choice(entries, [*ours, *GPLEARN])
    ours = [name for name in ours if name in groups]
    errors = {
        target: {name: [one["error"] for one in runs if one["target"] == target] for name, runs in groups.items()}
        for target in dict.fromkeys(entry["target"] for entry in entries)
    }
    whole = {target: own for target, own in errors.items() if all(own.get(name) for name in (*ours, *GPLEARN))}
    best = {label: {target: _least(names, own) for target, own in whole.items()} for label, names in RIVALS.items()}
    rows = []
    for name in ours:
        kept = [
            sum(_middle(own[name]) <= _middle(own[rivals[target]]) for target, own in whole.items())
            for rivals in best.values()
        ]
        cells = [_interval(own[name]) for own in whole.values()]
        rows.append([name, *cells, ", ".join(f"{number} of {len(whole)}" for number in kept)])
    for label, rivals in best.items():
        cells = [
            f"{_interval(whole[target][name])} ({name.removeprefix('gplearn ')})" for target, name in rivals.items()
        ]
        rows.append([label, *cells, ""])
    return markdown(["median error and 95 % interval", *whole, "no worse than these two"], rows)


def markdown(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table; cells are written as they are."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def p_value(comparison: Comparison) -> str:
    """Return a corrected p-value in two digits, bold where it is significant."""
    value = comparison.p_holm
    text = f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"
    return f"**{text}**" if comparison.significant else text


def _sizes(name: str, runs: Entries, compared_sizes: Mapping[str, Comparison]) -> list[str]:
    found = compared_sizes.get(name)
    mark = "*" if found is not None and found.significant and found.difference.mean < 0 else ""
    end = statistics.fmean(one["course"][-1][1] for one in runs)
    return [f"{_mean(runs, 'mean_size'):.1f}{mark}", f"{end:.1f}", f"{_mean(runs, 'size'):.1f}"]


def _mean(runs: Entries, key: str) -> float:
    return statistics.fmean(one[key] for one in runs)


def _means(runs: Entries, *keys: str) -> list[str]:
    return [f"{_mean(runs, key):.0f}" for key in keys]


def _median(runs: Entries, key: str) -> str:
    return f"{statistics.median(one[key] for one in runs):.4f}"


def _least(names: Sequence[str], errors: Mapping[str, Sequence[float]]) -> str:
    return min(names, key=lambda name: _middle(errors[name]))


def _middle(values: Sequence[float]) -> float:
    return statistics.median(values)


def _interval(values: Sequence[float]) -> str:
    if len(values) < 2:
        return f"{values[0]:.4f}"
    found = bootstrap_interval(values, statistic="median", method="percentile")
    return f"{found.estimate:.4f}, {found.low:.4f} to {found.high:.4f}"
