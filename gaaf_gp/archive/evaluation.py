"""One training: what was trained, on what, and how it went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gaaf_gp.errors import GaafError
from gaaf_gp.training.outcome import Epoch, Outcome
from gaaf_gp.util.checks import LARGEST, any_number, whole_fields

VALIDATION = "validation"
"""Names the split that a search is scored on; others are named by what is in them."""
MOST_CHARACTERS = 100_000
"""Longest text, that of the parser."""
_TEXTS = {"text": 1, "signature": 1, "task": 1, "split": 1, "device": 1, "formula": 0, "created": 0}
"""Attributes that are text, and the least number of characters."""


class DamagedError(Exception):
    """Something in a file is not what was written; the message says what, in one line."""


@dataclass(frozen=True)
class Evaluation:
    """One training of one candidate.

    Attributes:
        text: canonical text, ``@sign`` for the plain sign.
        signature: of what it does; candidates with one signature train alike, see
            :func:`gaaf_gp.activations.behaviour.behaviour`.
        task: hash of the settings that it was trained with, see :func:`gaaf_gp.archive.task_hash`.
        seed: of the training.
        epochs: the epoch after which it was to stop, at least 1.
        fidelity: share of the full schedule that these epochs are, above 0, at most 1.
        accuracy: of the last epoch on the scored split, 0 to 1; the declared worst one after a failure.
        curve: accuracy after each epoch; shorter than ``epochs`` after a failure.
        losses: mean training loss of each epoch, nats.
        seconds: wall time of the training.
        device: it was trained on, such as ``cpu``.
        versions: of the packages that it depends on.
        failure: the reason, None if there was none.
        formula: as a person writes it.
        metrics: further numbers of the candidate, by name.
        split: what was scored.
        created: when it was added, UTC in ISO format; the archive fills it in.
        number: of the row that it was read from.

    Raises:
        GaafError: for a value out of its range.
    """

    text: str
    signature: str
    task: str
    seed: int
    epochs: int
    fidelity: float
    accuracy: float
    curve: tuple[float, ...]
    losses: tuple[float, ...]
    seconds: float
    device: str
    versions: Mapping[str, str]
    failure: str | None = None
    formula: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    split: str = VALIDATION
    created: str = ""
    number: int | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        for name, least in _TEXTS.items():
            _check_text(name, getattr(self, name), least)
        if self.failure is not None:
            _check_text("failure", self.failure, 1)
        for name in ("fidelity", "accuracy", "seconds"):
            object.__setattr__(self, name, any_number(name, getattr(self, name)))
        whole_fields(self, seed=-LARGEST, epochs=1)
        if not 0 < self.fidelity <= 1:
            raise GaafError(f"fidelity must be a share above 0 and at most 1, got {self.fidelity!r}")
        whole = len(self.curve) == self.epochs or (self.failure is not None and len(self.curve) < self.epochs)
        if not whole or len(self.curve) != len(self.losses):
            raise GaafError(
                f"a training of {self.epochs} epochs must have an accuracy and a loss for each, or fewer and a "
                f"failure, got {len(self.curve)} and {len(self.losses)}"
            )

    @property
    def key(self) -> tuple[str, str, str, str, int, int]:
        """Text, task, signature, split, epochs and seed: two evaluations with one key are of the same training."""
        return self.text, self.task, self.signature, self.split, self.epochs, self.seed

    def same_result(self, other: Evaluation) -> bool:
        """Return whether both say the same of their training; times and machines may differ, NaN equals NaN."""
        mine, theirs = (repr((one.failure, one.accuracy, one.curve, one.losses)) for one in (self, other))
        return mine == theirs

    def answers(self, epochs: int) -> bool:
        """Return whether it tells how a training of so many epochs goes, without training.

        The schedule is the same wherever a training stops. So a longer one shows every shorter one, and what failed in
        an epoch fails in all that reach it.
        """
        failed_within = self.failure is not None and len(self.curve) < self.epochs
        return epochs == self.epochs or len(self.curve) >= epochs or failed_within

    def outcome(self, epochs: int | None = None) -> Outcome:
        """Return how a training of so many epochs went, by default of its own: without a state to go on from.

        The time of a shorter training was not measured: it is that of this one, shared out evenly over its epochs.

        Args:
            epochs: a number that it :meth:`answers`.
        """
        history = tuple(map(Epoch, self.losses, self.curve))
        if epochs is None or epochs == self.epochs or not 1 <= epochs <= len(history):
            return Outcome(self.seed, self.accuracy, history, self.seconds, self.failure)
        begun = len(history) + (self.failure is not None)
        return Outcome(self.seed, history[epochs - 1].accuracy, history[:epochs], self.seconds * epochs / begun)

    def at(self, created: str) -> Evaluation:
        """Return it with a time, unless it has one."""
        return self if self.created else replace(self, created=created)


def evaluation_of(outcome: Outcome, **about: Any) -> Evaluation:
    """Return the evaluation of an outcome; a state to go on from is left out.

    Args:
        outcome: how a training went.
        about: the other attributes of an :class:`Evaluation`.
    """
    # a reason may quote anybody's exception: it must not stop what writes it down
    failure = outcome.failure and outcome.failure.encode(errors="replace").decode()[:MOST_CHARACTERS]
    return Evaluation(
        seed=outcome.seed,
        accuracy=outcome.accuracy,
        curve=tuple(epoch.accuracy for epoch in outcome.history),
        losses=tuple(epoch.loss for epoch in outcome.history),
        seconds=outcome.seconds,
        failure=failure,
        **about,
    )


def _check_text(name: str, value: object, least: int) -> None:
    if not isinstance(value, str) or not least <= len(value) <= MOST_CHARACTERS:
        raise GaafError(f"{name} must be text of {least} to {MOST_CHARACTERS} characters, got {str(value)[:40]!r}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise GaafError(f"{name} must be text that UTF-8 can hold, got {value[:40]!r}") from None
