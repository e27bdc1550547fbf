"""What a run found, as one JSON-able record: figures with their errors, what was saved, and an honest verdict."""

from __future__ import annotations

import importlib.metadata
import platform
import statistics
from collections.abc import Mapping
from typing import Any

from gaaf_gp.confirmation import COMPETITORS
from gaaf_gp.evolution import Evolution
from gaaf_gp.fitness import Record

PACKAGES = ("gaaf-gp", "deap", "torch", "torchvision", "numpy", "scipy")


def summary(
    found: Evolution, sign: Mapping[int, float], test: dict[str, Any] | None, drawn: Evolution | None = None
) -> dict[str, Any]:
    """Return the part of ``result.json`` that a search and its confirmation make.

    Args:
        found: the search.
        sign: validation accuracy of the plain sign for each seed.
        test: the comparison on the test split, see :func:`gaaf_gp.confirmation.confirm`; None if there was none.
        drawn: random search at the same budget, None if there was none.
    """
    best, record = found.hall_of_fame[0] if len(found.hall_of_fame) else None, found.best
    return {
        "best": best and str(best),
        "best_infix": best and best.infix(),
        "validation": {
            "best": record and record.accuracy,
            "best_standard_error": record and record.standard_error,
            "sign": sign_accuracy(sign, record),
            "seeds": list(record.by_seed if record else sign),
        },
        "test": test,
        "random_search": None if drawn is None else _random_search(drawn, found),
        "evaluations": len(found.records),
        "rejected": dict(found.rejected),
        "failures": dict(found.failures),
        "duplicates": found.duplicates,
        "dropped": {str(epochs): count for epochs, count in sorted(found.dropped.items())},
        "epochs_trained": sum(o.epochs for r in found.records if r.same_as is None for o in r.outcomes),
        "seconds_search": found.seconds,
        "seconds_random_search": drawn.seconds if drawn is not None else 0.0,
        "interrupted": found.interrupted,
        "stopped": found.stopped,
        "versions": versions(),
    }


def _random_search(drawn: Evolution, found: Evolution) -> dict[str, Any]:
    best, record = drawn.hall_of_fame[0] if len(drawn.hall_of_fame) else None, drawn.best
    seen = {one.text for one in found.records}
    return {
        "best": best and str(best),
        "best_infix": best and best.infix(),
        "validation": record and record.accuracy,
        "standard_error": record and record.standard_error,
        "evaluations": len(drawn.records),
        "of_the_search": sum(one.text in seen for one in drawn.records),
    }


def sign_accuracy(sign: Mapping[int, float], record: Record | None) -> float | None:
    """Return the mean accuracy of the plain sign on the seeds of a record, or on all where it lacks one of them."""
    seeds = sign if record is None or not set(record.by_seed) <= set(sign) else record.by_seed
    return statistics.fmean(sign[seed] for seed in seeds) if seeds and sign else None


def verdict(test: dict[str, Any] | None, why: str) -> str:
    """Say in one sentence whether the evolved activation is better than the plain sign, or ``why`` it is not known."""
    if test is None:
        return f"Not compared on the test split: {why}"
    low, high, seeds = test["difference"]["low"], test["difference"]["high"], len(test["seeds"])
    span = f"{test['difference']['mean'] * 100:+.2f} points on the test split, 95 % interval {low * 100:+.2f} to "
    span += f"{high * 100:+.2f}, {seeds} fresh seeds"
    if low > 0:
        return f"The evolved activation is better than the plain sign ({span})."
    if high < 0:
        return f"The evolved activation is NOT better than the plain sign: it is worse ({span})."
    return f"The evolved activation is NOT shown to be better than the plain sign ({span})."


def standing(test: dict[str, Any] | None) -> str | None:
    """Say in one sentence which competitors the winner is better than, looking at all of them; None without a test."""
    if test is None:
        return None
    groups: dict[str, list[str]] = {
        "better than": [],
        "worse than": [],
        "not told apart from": [],
        "not compared with": [],
    }
    for name, one in test["competitors"].items():
        if one["difference"] is None:
            verb = "not compared with"
        elif one["significant"]:
            verb = "better than" if one["difference"]["mean"] > 0 else "worse than"
        else:
            verb = "not told apart from"
        groups[verb].append(COMPETITORS[name])
    said = "; ".join(f"{verb} {', '.join(names)}" for verb, names in groups.items() if names)
    return f"Against {len(test['competitors'])} competitors, p-values corrected for all (Holm, 5 %): {said}."


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that results depend on."""
    known = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            known[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            known[package] = "not installed"
    return known
