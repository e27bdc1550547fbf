"""A long training in one or more stages, one epoch at a time, with a checkpoint after each epoch.

A stage is a training task of its own: it starts from the weights of the stage before, with a new optimiser and a new
learning rate schedule. A training that is interrupted resumes from its file with the same results, bit for bit.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from gaaf_gp.data.load import AnySplit
from gaaf_gp.errors import GaafError
from gaaf_gp.training.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from gaaf_gp.training.outcome import Epoch, TrainingState
from gaaf_gp.training.proxy import Proxy
from gaaf_gp.trees.candidate import Candidate, text_of

STAGE_SEEDS = 500_000
"""Difference of the seeds of two stages of one training, so that the second sees its images in another order."""
SCHEDULE_KEY = "course"
"""Where the file of a training says of which schedule it is; a name of the format, which stays."""


@dataclass(frozen=True)
class Progressed:
    """How far a training has got.

    Attributes:
        curve: loss and validation accuracy of the epochs so far, those of all stages one after another.
        seconds: wall time so far.
        failure: why it ended early, None if it did not.
    """

    curve: tuple[Epoch, ...]
    seconds: float
    failure: str | None = None


@dataclass(frozen=True)
class _Place:
    """The next epoch to train: its stage, the state or weights it starts from, and the epochs of earlier stages."""

    stage: int
    state: TrainingState | None = None
    initial: Mapping[str, NDArray[Any]] | None = None
    curve: tuple[Epoch, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class Schedule:
    """The stages in which every candidate is trained.

    Attributes:
        stages: the training tasks, in order; all with the same network.
        about: a description of them as JSON-able values; the file of another schedule is refused.
    """

    stages: tuple[Proxy, ...]
    about: Mapping[str, Any]

    @property
    def epochs(self) -> int:
        """Epochs of all stages together."""
        return sum(stage.epochs for stage in self.stages)

    def advance(self, candidate: Candidate | None, seed: int, path: Path) -> Progressed:
        """Train the epoch that follows the checkpoint, and write a new checkpoint.

        Without a file the first epoch is trained. After the last epoch nothing is trained, and the file holds the
        weights without the state of the optimiser.

        Args:
            candidate: what is trained; None for the plain sign.
            seed: of the training; stage i is trained with ``seed + STAGE_SEEDS * i``.
            path: the file of this training.

        Raises:
            GaafError: the file is damaged or of another training.
        """
        place = self._place(candidate, seed, path)
        if place.stage == len(self.stages):
            return Progressed(place.curve, place.seconds)
        task = self.stages[place.stage]
        done = 0 if place.state is None else place.state.epochs
        outcome = task.train(
            candidate,
            seed + STAGE_SEEDS * place.stage,
            epochs=done + 1,
            state=place.state,
            initial=place.initial,
            keep=True,
        )
        seconds = outcome.seconds
        if outcome.state is not None:
            self._write(path, outcome.state, place)
            seconds = outcome.state.seconds  # what the file says, whoever reads it
        return Progressed(place.curve + outcome.history, place.seconds + seconds, outcome.failure)

    def score(self, candidate: Candidate | None, seed: int, path: Path, split: AnySplit) -> float:
        """Return the accuracy (0 to 1) of a training that has passed all stages.

        Args:
            candidate: what was trained; None for the plain sign.
            seed: of the training.
            path: its file.
            split: images to score, as the data of the last stage has them.

        Raises:
            FailedError: an output is not finite.
            GaafError: there is no checkpoint of the last epoch.
        """
        stage, state = len(self.stages) - 1, self.finished(candidate, seed, path).state
        return self.stages[stage].score(candidate, state, split)

    def finished(self, candidate: Candidate | None, seed: int, path: Path) -> Checkpoint:
        """Return the checkpoint of a training that has passed all stages; arguments as in :meth:`score`.

        Raises:
            GaafError: there is none, or an earlier one.
        """
        checkpoint = self._read(path, candidate, seed)
        if not self._ended(checkpoint.about["stage"], checkpoint.state):
            raise GaafError(f"a training must have reached its last epoch, and that in {path} has not: train it on")
        return checkpoint

    def _ended(self, stage: int, state: TrainingState) -> bool:
        return stage == len(self.stages) - 1 and state.epochs == self.stages[-1].epochs

    def _write(self, path: Path, state: TrainingState, place: _Place) -> None:
        behind = {"curve": [[epoch.loss, epoch.accuracy] for epoch in place.curve], "seconds": place.seconds}
        about = {SCHEDULE_KEY: self.about, "stage": place.stage, "behind": behind}
        write_checkpoint(path, replace(state, moments={}) if self._ended(place.stage, state) else state, about)

    def _place(self, candidate: Candidate | None, seed: int, path: Path) -> _Place:
        if not path.exists():
            return _Place(0)
        checkpoint = self._read(path, candidate, seed)
        state, stage, behind = checkpoint.state, checkpoint.about["stage"], checkpoint.about["behind"]
        curve = tuple(Epoch(loss, accuracy) for loss, accuracy in behind["curve"])
        if state.epochs < self.stages[stage].epochs:
            return _Place(stage, state, None, curve, behind["seconds"])
        return _Place(stage + 1, None, state.model, curve + state.history, behind["seconds"] + state.seconds)

    def _read(self, path: Path, candidate: Candidate | None, seed: int) -> Checkpoint:
        checkpoint = read_checkpoint(path)
        try:
            stage = checkpoint.about["stage"]
            about = json.loads(json.dumps(self.about))
            matches = checkpoint.about[SCHEDULE_KEY] == about and 0 <= stage < len(self.stages)
        except (KeyError, TypeError):
            matches, stage = False, 0
        text = text_of(candidate)
        if not matches or (checkpoint.state.text, checkpoint.state.seed) != (text, seed + STAGE_SEEDS * stage):
            raise GaafError(
                f"{path} must be the checkpoint of {text or 'the plain sign'} with seed {seed} in this training task, "
                f"and is that of {checkpoint.state!r} or of another task: choose another folder, or remove the file"
            )
        return checkpoint
