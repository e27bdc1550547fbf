"""The winner of a search against its competitors: all trained anew on the same fresh seeds and scored on one split.

A winner looks better in its search than it is, because it was picked for its luck too; on fresh seeds it has none. What
it is compared with: the plain sign, the hand-made baselines, the best of random search, and, of two trees, each alone.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from gaaf_gp.activations.behaviour import behaviour
from gaaf_gp.data.load import AnySplit
from gaaf_gp.evaluation.evaluator import Evaluator
from gaaf_gp.statistics import Comparison, compare, paired_difference
from gaaf_gp.training.outcome import Outcome
from gaaf_gp.trees.candidate import PLAIN_SIGN, Baseline, Candidate, Evolved, TwoTrees, identity, text_of

COMPETITORS = {
    "sign": "plain sign",
    "rsign": "RSign",
    "rprelu": "RPReLU",
    "random": "best of random search",
    "forward": "forward tree alone",
    "backward": "backward tree alone",
}
"""Name of a competitor in ``result.json`` -> what it is called in tables."""


def competitors(best: Evolved, drawn: Evolved | None) -> dict[str, Candidate | None]:
    """Return what the winner of a search is compared with, by the names of :data:`COMPETITORS`.

    Two trees are taken apart: f with the clipped identity backward, and the plain sign forward with g. Where f(1) is
    negative that is -x on the other side, for f and g train as -f and -g do.

    Args:
        best: the winner.
        drawn: the best of random search, None if there was none.
    """
    found: dict[str, Candidate | None] = {"sign": None, "rsign": Baseline("rsign"), "rprelu": Baseline("rprelu")}
    if drawn is not None:
        found["random"] = drawn
    if isinstance(best, TwoTrees):
        x = identity(negated=behaviour(best).orientation < 0)
        found |= {"forward": TwoTrees(best.forward, x), "backward": TwoTrees(x, best.backward)}
    return found


def confirm(
    best: Evolved, others: Mapping[str, Candidate | None], evaluator: Evaluator, seeds: Sequence[int], split: AnySplit
) -> dict[str, Any]:
    """Train the winner and its competitors, and return how they compare, fit for JSON.

    Candidates of one text are trained once. A training of the winner that fails counts as accuracy 0; one of a
    competitor is left out, so that nobody gains by it, and with fewer than two left there is no comparison.

    Args:
        best: the winner.
        others: name -> competitor, the plain sign (None) among them as "sign".
        evaluator: trains them in full.
        seeds: fresh ones, two or more.
        split: whose accuracy is compared.

    Returns:
        ``best`` and ``sign`` (accuracy for each seed), their means and ``difference``; ``competitors`` with the
        difference of the winner minus each, Student's interval, and p-values also corrected for all of them (Holm
        1979); ``separation``, the differences of either tree alone minus the plain sign, None for a single tree.
    """
    candidates = {text_of(one): one for one in (best, *others.values())}
    outcomes = dict(zip(candidates, evaluator.train(list(candidates.values()), seeds, split), strict=True))
    winner, sign = outcomes[best.canonical], outcomes[None]
    first, second = [one.accuracy for one in winner], [one.accuracy for one in sign]
    own = {name: outcomes[text_of(other)] for name, other in others.items()}
    values = {name: _succeeded(some) for name, some in own.items()}
    against = _against(values, dict(zip(seeds, first, strict=True)))
    return {
        "seeds": list(seeds),
        "best": first,
        "sign": second,
        "best_mean": statistics.fmean(first),
        "sign_mean": statistics.fmean(second),
        "difference": asdict(paired_difference(first, second)),
        "failures": [one.failure for one in (*winner, *sign) if one.failure],
        "competitors": {name: _described(others[name], own[name]) | against[name] for name in others},
        "separation": _separation(values) if "forward" in others else None,
    }


def _described(candidate: Candidate | None, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    good = [one.accuracy for one in outcomes if one.failure is None]
    return {
        "text": text_of(candidate) or PLAIN_SIGN,
        "infix": "x" if candidate is None else candidate.infix(),
        "accuracies": [one.accuracy for one in outcomes],
        "mean": statistics.fmean(good) if good else None,
        "failures": [one.failure for one in outcomes if one.failure],
    }


def _against(values: Mapping[str, Mapping[int, float]], winner: Mapping[int, float]) -> dict[str, dict[str, Any]]:
    """Return the winner minus each competitor."""
    found = _compared(values, winner)
    return {name: _figures(found.get(name), turned=True) for name in values}


def _separation(values: Mapping[str, Mapping[int, float]]) -> dict[str, dict[str, Any]]:
    """Return either tree alone minus the plain sign, corrected for being two."""
    alone = {name: values[name] for name in ("forward", "backward")}
    found = _compared(alone, values["sign"])
    return {name: _figures(found.get(name)) for name in alone}


def _compared(values: Mapping[str, Mapping[int, float]], baseline: Mapping[int, float]) -> dict[str, Comparison]:
    enough = {name: some for name, some in values.items() if len(some.keys() & baseline.keys()) > 1}
    return {one.name: one for one in compare(enough, baseline)} if enough else {}


def _figures(found: Comparison | None, turned: bool = False) -> dict[str, Any]:
    """Return a comparison fit for JSON; ``turned`` makes candidate minus baseline baseline minus candidate."""
    if found is None:
        return {"difference": None, "p_value": None, "p_holm": None, "significant": None}
    difference = asdict(found.difference)
    if turned:
        low, high = difference["low"], difference["high"]
        difference |= {"mean": -difference["mean"], "low": -high, "high": -low}
    return {
        "difference": difference,
        "p_value": found.p_value,
        "p_holm": found.p_holm,
        "significant": found.significant,
    }


def _succeeded(outcomes: Sequence[Outcome]) -> dict[int, float]:
    return {one.seed: one.accuracy for one in outcomes if one.failure is None}
