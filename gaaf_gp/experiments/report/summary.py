"""What a run found, in words and figures: what was gained against each baseline, and how certain that is."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from gaaf_gp.archive import FAILED, FINISHED, INTERRUPTED, RUNNING
from gaaf_gp.experiments import run_folder
from gaaf_gp.experiments.confirm import COMPETITORS, Gain
from gaaf_gp.experiments.run_data import RunData

STATES = {
    RUNNING: "running, or killed",
    FINISHED: "finished",
    INTERRUPTED: "interrupted",
    FAILED: "ended with an error",
}
"""Status of a run in its archive -> what it says: a run that was killed stays "running"."""
NOT_CONFIRMED = (
    "Not confirmed yet: there is validation accuracy of the search only, and the best of many looks better than it is. "
    "When the search has ended, its winner and the baselines are trained on fresh seeds and compared on the test split."
)
NO_RESULT = (
    "Not confirmed here: this archive has no result.json beside it, so that there is validation accuracy of the search "
    "only, and the best of many looks better than it is."
)


@dataclass(frozen=True)
class Against:
    """The winner minus one competitor; accuracies from 0 to 1, differences in points of per cent.

    Attributes:
        name: of the competitor.
        formula: of it.
        mean: its accuracy, None if its trainings failed.
        difference: the winner minus it, None without enough trainings, as is all that follows.
        low: lower end of the 95 % interval.
        high: upper end.
        p_value: corrected for all competitors (Holm).
        said: the verdict in words.
    """

    name: str
    formula: str
    mean: float | None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    said: str = "too few trainings"


@dataclass(frozen=True)
class Summary:
    """What the page begins with.

    Attributes:
        status: one of :data:`gaaf_gp.archive.runs.STATUSES`.
        state: the same in words.
        confirmed: whether there is a comparison on the test split.
        verdict: in one sentence or two.
        standing: against all competitors, empty without a comparison.
        luck: how much of the winner's lead in its search is expected luck, empty if nobody can say.
        test_mean: accuracy of the winner on the test split, None without a comparison.
        seeds: number of fresh seeds.
        against: each competitor.
        separation: for two trees, either alone minus the plain sign.
        reach: half the width of the scale of differences, points.
        counts: what became of the candidates, as (number, words).
        seconds: wall time of the whole run, or of its trainings until now.
    """

    status: str
    state: str
    confirmed: bool
    verdict: str
    standing: str
    luck: str
    test_mean: float | None
    seeds: int
    against: tuple[Against, ...]
    separation: tuple[Against, ...]
    reach: float
    counts: tuple[tuple[int, str], ...]
    seconds: float | None


def summarise(data: RunData) -> Summary:
    """Return the summary of a run."""
    result, test = data.result, None if data.result is None else data.result.test
    competitors = {} if test is None else test.competitors
    against = tuple(
        compared(COMPETITORS.get(name, name), competitor.infix, competitor.mean, competitor.gain)
        for name, competitor in competitors.items()
    )
    parts = (test and test.separation) or {}
    separation = tuple(compared(run_folder.ALONE.get(name, name), "", None, gain) for name, gain in parts.items())
    unconfirmed = NO_RESULT if data.run.status == FINISHED else NOT_CONFIRMED
    return Summary(
        status=data.run.status,
        state=STATES.get(data.run.status, data.run.status),
        confirmed=test is not None,
        verdict=unconfirmed if result is None else result.verdict,
        standing=(result and result.standing) or "",
        luck=result.luck["words"] if result is not None and result.luck is not None else "",
        test_mean=None if test is None else test.best_mean,
        seeds=0 if test is None else len(test.seeds),
        against=against,
        separation=separation,
        reach=reach_of((*against, *separation)),
        counts=_counts(data),
        seconds=_seconds(data),
    )


def compared(name: str, formula: str, mean: float | None, gain: Gain, said: str = "") -> Against:
    """Return a gain as the page shows it; by default ``said`` is how the winner does against the other."""
    if gain.difference is None:
        return Against(name, formula, mean)
    middle, low, high = (100 * value for value in (gain.difference.mean, gain.difference.low, gain.difference.high))
    said = said or ("not significant" if not gain.significant else "better" if middle > 0 else "worse")
    return Against(name, formula, mean, middle, low, high, gain.p_holm, said)


def reach_of(every: tuple[Against, ...]) -> float:
    """Return half the width of a scale that all intervals fit in, points."""
    ends = [abs(end) for item in every for end in (item.low, item.high) if end is not None]
    return 1.08 * max(ends, default=1.0) or 1.0


def _counts(data: RunData) -> tuple[tuple[int, str], ...]:
    records, rejected = data.records.values(), {} if data.result is None else data.result.rejected
    dropped = Counter(record.outcomes[0].epochs for record in records if not record.complete and record.outcomes)
    found = [
        (sum(record.complete and record.failure is None for record in records), "trained in full"),
        *((count, f"dropped out of a race after epoch {epochs}") for epochs, count in sorted(dropped.items())),
        (sum(record.failure is not None for record in records), "failed"),
        (sum(birth.text not in data.records for birth in data.births), "bred and not judged yet"),
        *((count, f"rejected untrained: {why}") for why, count in rejected.items()),
        (len(data.drawn), "more of random search"),
    ]
    return tuple((count, words) for count, words in found if count)


def _seconds(data: RunData) -> float | None:
    if data.result is not None:
        return data.result.seconds
    spent = [outcome.seconds for record in data.records.values() for outcome in record.outcomes]
    return sum(one for one in spent if math.isfinite(one)) if spent else None
