"""The winner of a search against its competitors: all trained anew on the same fresh seeds and scored on one split.

A winner looks better in its search than it is, because it was picked for its luck too; on fresh seeds it has none. What
it is compared with: the plain sign, the hand-made baselines, the best of random search, and, of two trees, each alone.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from gaaf_gp.activations.behaviour import behaviour
from gaaf_gp.data.load import AnySplit
from gaaf_gp.evaluation.evaluator import Evaluator
from gaaf_gp.statistics import Interval, compare, paired_difference
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


@dataclass(frozen=True)
class Gain:
    """The mean of paired accuracy differences (0 to 1) and how sure it is; None where fewer than two pairs are left.

    Attributes:
        difference: one accuracy minus the other, with Student's 95 % interval.
        p_value: two-sided.
        p_holm: corrected for all that were compared together (Holm 1979).
        significant: whether that is below 5 %.
    """

    difference: Interval | None = None
    p_value: float | None = None
    p_holm: float | None = None
    significant: bool | None = None


@dataclass(frozen=True)
class Competitor:
    """A candidate that the winner is compared with.

    Attributes:
        text: canonical text.
        infix: formula.
        accuracies: for each fresh seed, 0 to 1.
        mean: of the trainings that did not fail, None if all did.
        failures: reasons.
        gain: the winner minus this one.
    """

    text: str
    infix: str
    accuracies: tuple[float, ...]
    mean: float | None
    failures: tuple[str, ...]
    gain: Gain


@dataclass(frozen=True)
class Confirmation:
    """A winner and its competitors on fresh seeds; accuracies from 0 to 1 of one split.

    Attributes:
        seeds: the fresh ones.
        best: accuracy of the winner for each seed.
        sign: the same of the plain sign.
        best_mean: mean of ``best``.
        sign_mean: mean of ``sign``.
        difference: the winner minus the plain sign, a failed training counted as 0.
        failures: reasons of either's trainings.
        competitors: by the names of :data:`COMPETITORS`.
        separation: of two trees, either alone minus the plain sign; None for a single tree.
    """

    seeds: tuple[int, ...]
    best: tuple[float, ...]
    sign: tuple[float, ...]
    best_mean: float
    sign_mean: float
    difference: Interval
    failures: tuple[str, ...]
    competitors: Mapping[str, Competitor]
    separation: Mapping[str, Gain] | None

    def as_json(self) -> dict[str, Any]:
        """Return it as ``result.json`` has it; :func:`confirmation_from` reads that."""
        plain = asdict(self)
        for competitor in plain["competitors"].values():
            competitor.update(competitor.pop("gain"))
        content: dict[str, Any] = json.loads(json.dumps(plain))  # lists for tuples
        return content


def confirmation_from(content: Mapping[str, Any] | None) -> Confirmation | None:
    """Return what :meth:`Confirmation.as_json` gave; None for None.

    Raises:
        ValueError, TypeError, LookupError, AttributeError: it is something else.
    """
    if content is None:
        return None
    separation = content.get("separation")
    return Confirmation(
        seeds=tuple(content["seeds"]),
        best=tuple(content["best"]),
        sign=tuple(content["sign"]),
        best_mean=number_from(content["best_mean"]),
        sign_mean=number_from(content["sign_mean"]),
        difference=_interval(content["difference"]),
        failures=tuple(content["failures"]),
        competitors={name: _competitor(competitor) for name, competitor in content["competitors"].items()},
        separation=None if separation is None else {name: gain_from(gain) for name, gain in separation.items()},
    )


def _competitor(content: Mapping[str, Any]) -> Competitor:
    return Competitor(
        text=str(content["text"]),
        infix=str(content["infix"]),
        accuracies=tuple(content["accuracies"]),
        mean=None if content["mean"] is None else number_from(content["mean"]),
        failures=tuple(content["failures"]),
        gain=gain_from(content),
    )


def gain_from(content: Mapping[str, Any]) -> Gain:
    """Return the gain that its fields give, as JSON has them.

    Raises:
        ValueError, TypeError, LookupError: they are something else.
    """
    if content["difference"] is None:
        return Gain()
    return Gain(
        _interval(content["difference"]),
        number_from(content["p_value"]),
        number_from(content["p_holm"]),
        bool(content["significant"]),
    )


def _interval(content: Mapping[str, Any]) -> Interval:
    mean, low, high, confidence = (number_from(content[name]) for name in ("mean", "low", "high", "confidence"))
    return Interval(mean, low, high, int(content["n"]), confidence)


def number_from(value: Any) -> float:
    """Return a finite number as JSON has it.

    Raises:
        ValueError: it is something else.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("no number")
    return value


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
) -> Confirmation:
    """Train the winner and its competitors, and return how they compare.

    Candidates of one text are trained once. A training of the winner that fails counts as accuracy 0; one of a
    competitor is left out, so that nobody gains by it, and with fewer than two left there is no comparison.

    Args:
        best: the winner.
        others: name -> competitor, the plain sign (None) among them as "sign".
        evaluator: trains them in full.
        seeds: fresh ones, two or more.
        split: whose accuracy is compared.
    """
    candidates = {text_of(candidate): candidate for candidate in (best, *others.values())}
    outcomes = dict(zip(candidates, evaluator.train(list(candidates.values()), seeds, split), strict=True))
    winner, sign = outcomes[best.canonical], outcomes[None]
    first, second = [outcome.accuracy for outcome in winner], [outcome.accuracy for outcome in sign]
    trained = {name: outcomes[text_of(competitor)] for name, competitor in others.items()}
    values = {name: _succeeded(some) for name, some in trained.items()}
    against = _compared(values, dict(zip(seeds, first, strict=True)))
    alone = {name: values[name] for name in ("forward", "backward") if name in others}
    return Confirmation(
        seeds=tuple(seeds),
        best=tuple(first),
        sign=tuple(second),
        best_mean=statistics.fmean(first),
        sign_mean=statistics.fmean(second),
        difference=paired_difference(first, second),
        failures=tuple(outcome.failure for outcome in (*winner, *sign) if outcome.failure),
        competitors={name: _described(others[name], trained[name], _turned(against[name])) for name in others},
        separation=_compared(alone, values["sign"]) if alone else None,
    )


def _described(candidate: Candidate | None, outcomes: Sequence[Outcome], gain: Gain) -> Competitor:
    good = [outcome.accuracy for outcome in outcomes if outcome.failure is None]
    return Competitor(
        text=text_of(candidate) or PLAIN_SIGN,
        infix="x" if candidate is None else candidate.infix(),
        accuracies=tuple(outcome.accuracy for outcome in outcomes),
        mean=statistics.fmean(good) if good else None,
        failures=tuple(outcome.failure for outcome in outcomes if outcome.failure),
        gain=gain,
    )


def _compared(values: Mapping[str, Mapping[int, float]], baseline: Mapping[int, float]) -> dict[str, Gain]:
    """Return each minus the baseline, p-values corrected for all of them."""
    enough = {name: value for name, value in values.items() if len(value.keys() & baseline.keys()) > 1}
    comparisons = {comparison.name: comparison for comparison in compare(enough, baseline)} if enough else {}
    gains = {
        name: Gain(comparison.difference, comparison.p_value, comparison.p_holm, comparison.significant)
        for name, comparison in comparisons.items()
    }
    return {name: gains.get(name, Gain()) for name in values}


def _turned(gain: Gain) -> Gain:
    """Return baseline minus candidate of candidate minus baseline."""
    if gain.difference is None:
        return gain
    mean, low, high = gain.difference.mean, gain.difference.low, gain.difference.high
    return replace(gain, difference=replace(gain.difference, mean=-mean, low=-high, high=-low))


def _succeeded(outcomes: Sequence[Outcome]) -> dict[int, float]:
    return {outcome.seed: outcome.accuracy for outcome in outcomes if outcome.failure is None}
