"""Results of a retraining: its trainings, and the comparison of each candidate with a baseline, paired by seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from gaaf_gp.errors import GaafError, listed
from gaaf_gp.statistics import Comparison, compare
from gaaf_gp.training.outcome import Epoch
from gaaf_gp.trees.candidate import Baseline, Candidate, text_of

SIGN = "sign"
"""Name of the plain sign in tables."""


@dataclass(frozen=True)
class TrainingResult:
    """A training that has ended.

    Attributes:
        text: canonical text of the candidate, None for the plain sign.
        seed: of the training.
        accuracy: on the test split (0 to 1) after the last epoch; None if the training failed.
        failure: why it failed, None if it did not.
        curve: training loss (nats) and accuracy on the validation split of each epoch.
        seconds: wall time.
        checkpoint: file of the weights, relative to the folder.
    """

    text: str | None
    seed: int
    accuracy: float | None
    failure: str | None
    curve: tuple[Epoch, ...]
    seconds: float
    checkpoint: str

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> TrainingResult:
        """Return the training that :meth:`entry` wrote.

        Raises:
            TypeError: the entry lacks a field or has one that is not known.
        """
        return cls(**{**entry, "curve": tuple(Epoch(loss, accuracy) for loss, accuracy in entry["curve"])})

    def entry(self) -> dict[str, Any]:
        """Return all fields as JSON-able values; ``curve`` as pairs of loss and accuracy."""
        return {**asdict(self), "curve": [[epoch.loss, epoch.accuracy] for epoch in self.curve]}


@dataclass(frozen=True)
class RetrainResult:
    """Candidates, their trainings, and their comparison.

    Attributes:
        candidates: by name, None for the plain sign.
        seeds: of each of them.
        trainings: those that have ended, in that order.
        provenance: everything that they depend on, as JSON-able values.
        teacher_curve: epochs of the teacher, empty without one.
    """

    candidates: Mapping[str, Candidate | None]
    seeds: tuple[int, ...]
    trainings: tuple[TrainingResult, ...]
    provenance: Mapping[str, Any]
    teacher_curve: tuple[Epoch, ...] = ()

    @property
    def wanted(self) -> int:
        """Number of trainings when all have ended."""
        return len(self.candidates) * len(self.seeds)

    @property
    def complete(self) -> bool:
        """Whether all trainings have ended."""
        return len(self.trainings) == self.wanted

    def of(self, name: str) -> dict[int, TrainingResult]:
        """Return the trainings of a candidate by seed, in the order of the seeds."""
        text = text_of(self.candidates[name])
        ended = {training.seed: training for training in self.trainings if training.text == text}
        return {seed: ended[seed] for seed in self.seeds if seed in ended}

    def accuracies(self, name: str) -> dict[int, float]:
        """Return the test accuracy of a candidate by seed; a training that failed has none."""
        return {seed: one.accuracy for seed, one in self.of(name).items() if one.accuracy is not None}

    def failures(self, name: str) -> list[str]:
        """Return the reasons of the trainings of a candidate that failed."""
        return [one.failure for one in self.of(name).values() if one.failure is not None]

    def compared(self, baseline: str = SIGN) -> dict[str, Comparison]:
        """Compare each candidate with a baseline, paired by seed; see :func:`gaaf_gp.statistics.compare`.

        p-values are corrected (Holm) for all functions that were tested, and separately for the hand-made ones, which
        are controls. A candidate that failed on any seed is left out, because its good seeds alone would flatter it.

        Args:
            baseline: a name of ``candidates``.

        Raises:
            GaafError: there is no such name, it has failed trainings, or a training is missing.
        """
        if baseline not in self.candidates:
            raise GaafError(
                f"a baseline must be one of the candidates, {listed(self.candidates)}, got {baseline!r}: choose one of "
                "them, or train it too"
            )
        if not self.complete:
            raise GaafError(
                f"candidates are compared when all are trained, and {len(self.trainings)} of {self.wanted} trainings "
                "have ended: go on with the same settings"
            )
        if failed := self.failures(baseline):
            raise GaafError(
                f"what others are compared with must train on every seed, but {baseline} failed ({listed(failed)}): "
                "choose another baseline, train longer or on more images"
            )
        sound = [name for name in self.candidates if name != baseline and not self.failures(name)]
        families = [[name for name in sound if self.is_control(name) == control] for control in (False, True)]
        values = self.accuracies(baseline)
        comparisons = [
            one
            for family in families
            if family
            for one in compare({name: self.accuracies(name) for name in family}, values)
        ]
        return {comparison.name: comparison for comparison in comparisons}

    def is_control(self, name: str) -> bool:
        """Return whether a candidate is a hand-made one: a control, and no function that is tested."""
        candidate = self.candidates[name]
        return candidate is None or isinstance(candidate, Baseline)
