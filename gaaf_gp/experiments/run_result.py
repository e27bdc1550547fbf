"""The result of a run, as ``result.json`` has it: the winner, its comparisons, and what the search did."""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from gaaf_gp.evaluation.records import Record
from gaaf_gp.experiments.confirm import COMPETITORS, Confirmation, confirmation_from, number_from
from gaaf_gp.search.result import SearchResult
from gaaf_gp.statistics import additive_fit
from gaaf_gp.util.provenance import versions
from gaaf_gp.util.text import signed


@dataclass(frozen=True)
class Validation:
    """Accuracies (0 to 1) on the validation images.

    Attributes:
        best: mean of the winner over its seeds, None without a winner.
        best_standard_error: standard error of that mean, None if it is not known.
        sign: mean of the plain sign over the same seeds.
        seeds: seeds of the winner's trainings.
    """

    best: float | None
    best_standard_error: float | None
    sign: float | None
    seeds: list[int]


@dataclass(frozen=True)
class RandomSearchResult:
    """The best of random search at the budget of the search.

    Attributes:
        best: canonical text of the best, None if all failed.
        best_infix: its formula.
        validation: its mean accuracy (0 to 1) over its seeds.
        standard_error: of that mean.
        evaluations: number of candidates.
        of_the_search: number of these that the search evaluated too.
    """

    best: str | None
    best_infix: str | None
    validation: float | None
    standard_error: float | None
    evaluations: int
    of_the_search: int


@dataclass(frozen=True)
class RunResult(Mapping[str, Any]):
    """What a run found. Accuracies are from 0 to 1, times are in seconds of wall time.

    Before version 0.2 it was the dict of ``result.json``; ``result["best"]`` still works, with a DeprecationWarning.

    Attributes:
        best: canonical text of the winner, None if the search ended before it had one.
        best_infix: its formula.
        validation: accuracies of the winner and of the plain sign in the search.
        test: the winner and its competitors on the test split, None if they were not compared.
        random_search: the best of random search, None if there was none.
        evaluations: number of candidates that the search evaluated.
        rejected: reason -> number of candidates that were rejected without training.
        failures: reason -> number of trainings that failed.
        duplicates: number of candidates that would have trained as an earlier one.
        dropped: epoch -> number of candidates that dropped out of a race after it.
        epochs_trained: epochs of all trainings of the search together.
        seconds_search: time of the search.
        seconds_random_search: time of random search.
        interrupted: whether Ctrl-C or SIGTERM ended the run.
        stopped: what ended the search, in words.
        versions: of the libraries.
        luck: the fields of :class:`gaaf_gp.statistics.Luck` and a sentence, "words"; None if nobody can say.
        seed: of the run.
        workers: number of worker processes.
        verdict: whether the winner is better than the plain sign, in one sentence.
        standing: which competitors it is better than, in one sentence; None without a comparison.
        seconds: time of the whole run.
    """

    best: str | None
    best_infix: str | None
    validation: Validation
    test: Confirmation | None
    random_search: RandomSearchResult | None
    evaluations: int
    rejected: dict[str, int]
    failures: dict[str, int]
    duplicates: int
    dropped: dict[str, int]
    epochs_trained: int
    seconds_search: float
    seconds_random_search: float
    interrupted: bool
    stopped: str
    versions: dict[str, str]
    luck: dict[str, Any] | None
    seed: int
    workers: int
    verdict: str
    standing: str | None
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """Return what ``result.json`` holds."""
        content = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            **content,
            "validation": asdict(self.validation),
            "test": None if self.test is None else self.test.as_json(),
            "random_search": None if self.random_search is None else asdict(self.random_search),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> RunResult:
        """Return the result that :meth:`as_json` gave.

        Raises:
            ValueError, TypeError, LookupError, AttributeError: it is something else.
        """
        plain = {field.name: content[field.name] for field in fields(cls)}
        for field in fields(cls):
            if field.type in ("int", "float"):
                number_from(plain[field.name])
            elif field.type == "str" and not isinstance(plain[field.name], str):
                raise TypeError(f"{field.name} is no text")
            elif field.type == "dict[str, int]":
                plain[field.name] = {why: int(count) for why, count in plain[field.name].items()}
        luck, drawn = plain["luck"], plain["random_search"]
        if luck is not None and not isinstance(luck["words"], str):
            raise TypeError("no words")
        return cls(
            **{
                **plain,
                "validation": Validation(**plain["validation"]),
                "test": confirmation_from(plain["test"]),
                "random_search": None if drawn is None else RandomSearchResult(**drawn),
            }
        )

    def __getitem__(self, name: str) -> Any:
        warnings.warn(
            f"a result is no dict any more: write result.{name}, or result.as_json() for the dict of result.json",
            DeprecationWarning,
            stacklevel=2,
        )
        return self.as_json()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.as_json())

    def __len__(self) -> int:
        return len(fields(self))


def result_of(
    found: SearchResult,
    sign: Mapping[int, float],
    test: Confirmation | None,
    drawn: SearchResult | None = None,
    *,
    why: str = "",
    seed: int = 0,
    workers: int = 1,
    seconds: float = 0.0,
) -> RunResult:
    """Return the result of a run.

    Args:
        found: the search.
        sign: validation accuracy of the plain sign for each seed.
        test: the comparison on the test split, see :func:`gaaf_gp.experiments.confirm.confirm`; None if there was none.
        drawn: random search at the same budget, None if there was none.
        why: the reason for no comparison.
        seed: of the run.
        workers: number of worker processes.
        seconds: wall time until now.
    """
    best, record = found.hall_of_fame[0] if len(found.hall_of_fame) else None, found.best
    return RunResult(
        best=None if best is None else str(best),
        best_infix=None if best is None else best.infix(),
        validation=Validation(
            best=None if record is None else record.accuracy,
            best_standard_error=None if record is None else record.standard_error,
            sign=sign_accuracy(sign, record),
            seeds=list(record.by_seed if record else sign),
        ),
        test=test,
        random_search=None if drawn is None else _random_search(drawn, found),
        evaluations=len(found.records),
        rejected=dict(found.rejected),
        failures=dict(found.failures),
        duplicates=found.duplicates,
        dropped={str(epochs): count for epochs, count in sorted(found.dropped.items())},
        epochs_trained=sum(o.epochs for r in found.records if r.same_as is None for o in r.outcomes),
        seconds_search=found.seconds,
        seconds_random_search=drawn.seconds if drawn is not None else 0.0,
        interrupted=found.interrupted,
        stopped=found.stopped,
        versions=versions(),
        luck=luck(found, test),
        seed=seed,
        workers=workers,
        verdict=verdict(test, why),
        standing=standing(test),
        seconds=seconds,
    )


def _random_search(drawn: SearchResult, found: SearchResult) -> RandomSearchResult:
    best, record = drawn.hall_of_fame[0] if len(drawn.hall_of_fame) else None, drawn.best
    texts = {searched.text for searched in found.records}
    return RandomSearchResult(
        best=None if best is None else str(best),
        best_infix=None if best is None else best.infix(),
        validation=None if record is None else record.accuracy,
        standard_error=None if record is None else record.standard_error,
        evaluations=len(drawn.records),
        of_the_search=sum(drew.text in texts for drew in drawn.records),
    )


def luck(found: SearchResult, test: Confirmation | None) -> dict[str, Any] | None:
    """Return how much of the winner's lead in its search is luck to expect, fit for JSON, or None if nobody can say.

    The noise of a training comes from the candidates that the search trained on several seeds, or else from the
    confirmation, whose candidates share their seeds.

    Args:
        found: the search.
        test: the comparison on the test split, None if there was none.

    Returns:
        The fields of :class:`gaaf_gp.statistics.Luck`, accuracies from 0 to 1; and "words", a sentence.
    """
    estimate = found.luck()
    if estimate is None and test is not None:
        confirmed = [competitor.accuracies for competitor in test.competitors.values() if not competitor.failures]
        confirmed += [] if test.failures else [test.best]
        distinct = dict.fromkeys(confirmed)  # what one training gave counts once
        fit = additive_fit(dict(zip(test.seeds, row, strict=True)) for row in distinct)
        estimate = found.luck(fit.deviation) if fit.freedom else None
    if estimate is None:
        return None
    words = (
        f"In the search the winner was {100 * estimate.lead:.2f} points above the mean of {estimate.candidates} "
        f"candidates. Between {100 * estimate.expected:.2f} and {100 * estimate.most:.2f} points of that are expected "
        "luck (the more, the more candidates are about as good): the best of many noisy trainings looks better than it "
        "is."
    )
    return {**asdict(estimate), "words": words}


def sign_accuracy(sign: Mapping[int, float], record: Record | None) -> float | None:
    """Return the mean accuracy of the plain sign on the seeds of a record, or on all where it lacks one of them."""
    seeds = sign if record is None or not set(record.by_seed) <= set(sign) else record.by_seed
    return statistics.fmean(sign[seed] for seed in seeds) if seeds and sign else None


def verdict(test: Confirmation | None, why: str) -> str:
    """Say in one sentence whether the evolved activation is better than the plain sign, or ``why`` it is not known."""
    if test is None:
        return f"Not compared on the test split: {why}"
    low, high, seeds = test.difference.low, test.difference.high, len(test.seeds)
    span = f"{signed(100 * test.difference.mean)} points on the test split, 95 % interval {signed(100 * low)} to "
    span += f"{signed(100 * high)}, {seeds} fresh seeds"
    if low > 0:
        return f"The evolved activation is better than the plain sign ({span})."
    if high < 0:
        return f"The evolved activation is NOT better than the plain sign: it is worse ({span})."
    return f"The evolved activation is NOT shown to be better than the plain sign ({span})."


def standing(test: Confirmation | None) -> str | None:
    """Say in one sentence which competitors the winner is better than, looking at all of them; None without a test."""
    if test is None:
        return None
    groups: dict[str, list[str]] = {
        "better than": [],
        "worse than": [],
        "no significant difference from": [],
        "not compared with": [],
    }
    for name, competitor in test.competitors.items():
        if competitor.gain.difference is None:
            verb = "not compared with"
        elif competitor.gain.significant:
            verb = "better than" if competitor.gain.difference.mean > 0 else "worse than"
        else:
            verb = "no significant difference from"
        groups[verb].append(COMPETITORS[name])
    said = "; ".join(f"{verb} {', '.join(names)}" for verb, names in groups.items() if names)
    return f"Against {len(test.competitors)} competitors, p-values corrected for all (Holm, 5 %): {said}."
