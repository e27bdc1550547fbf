"""The teacher of a distillation: it is trained once and kept, or read from the file of an earlier retraining."""

from __future__ import annotations

from pathlib import Path

from gaaf_gp.data.load import AnyData
from gaaf_gp.errors import GaafError
from gaaf_gp.training.checkpoint import read_checkpoint
from gaaf_gp.training.retraining.distillation import Distillation, Distilled, Teaching
from gaaf_gp.training.retraining.settings import RetrainSettings
from gaaf_gp.training.retraining.stages import SCHEDULE_KEY, Schedule
from gaaf_gp.util.console import EpochProgress, Show

TEACHER_SEED = 999_999_999
"""There is one teacher for all seeds of the students."""


def given_teacher(settings: RetrainSettings, data: AnyData) -> Distilled | None:
    """Return the loss with the teacher that the settings name as a file.

    Args:
        settings: of the retraining.
        data: of the students; the teacher must take its images and classes.

    Returns:
        None where the settings name no teacher, or a network to train.

    Raises:
        GaafError: there is no such file, it is no teacher's, or its network does not fit the data.
    """
    chosen = settings.distillation
    if chosen is None or chosen.file is None:
        return None
    checkpoint = read_checkpoint(chosen.file)
    try:
        network = checkpoint.about[SCHEDULE_KEY]["teacher"]["network"]
    except (KeyError, TypeError) as error:
        raise GaafError(
            f"a teacher's file must be the teacher.safetensors of a retraining, and {chosen.file} is "
            f"{checkpoint.state!r}: give that file, or the name of a network"
        ) from error
    task = _teaching(settings, chosen, data, network)
    task.teacher(checkpoint.state.model)  # refuses the weights of other classes or channels
    return Distilled(chosen, task, checkpoint.state.model, checkpoint.state.history)


def teaching(settings: RetrainSettings, data: AnyData) -> Teaching | None:
    """Return the training task of the network that the settings name as the teacher.

    Batches, augmentation, threads and precision are those of the students.

    Args:
        settings: of the retraining.
        data: of the students.

    Returns:
        None where the settings name no teacher, or a file.

    Raises:
        GaafError: torchvision has no such network, it does not fit the data, or a setting is out of its range.
    """
    chosen = settings.distillation
    return None if chosen is None or chosen.file is not None else _teaching(settings, chosen, data, chosen.teacher)


def trained_teacher(task: Teaching, chosen: Distillation, path: Path, *, progress: Show) -> Distilled:
    """Return the loss with a teacher that is trained now, or resumed from its file.

    Args:
        task: see :func:`teaching`.
        chosen: the distillation of the retraining.
        path: file of its checkpoint, written after each epoch.
        progress: whether and how progress is shown, see :data:`gaaf_gp.util.console.Show`.

    Raises:
        GaafError: its training fails, or the file is of another one.
    """
    schedule = Schedule((task,), {"teacher": task.settings()})
    done = 0
    with EpochProgress(task.epochs, what="teacher", show=progress) as shown:
        while done < task.epochs:
            reached = schedule.advance(None, TEACHER_SEED, path)
            if reached.failure is not None:
                raise GaafError(
                    f"a teacher must train, and {task.network} failed ({reached.failure}): train it longer, or choose "
                    "another network or a smaller learning rate for it"
                )
            done = len(reached.curve)
            shown.reach(done, f"{reached.curve[-1].accuracy:.2%} after epoch {done}")
    state = schedule.finished(None, TEACHER_SEED, path).state
    return Distilled(chosen, task, state.model, state.history)


def _teaching(settings: RetrainSettings, chosen: Distillation, data: AnyData, network: str) -> Teaching:
    same = {name: value for name, value in settings.proxy.items() if name not in ("network", "network_settings")}
    return Teaching(data, network, **{**same, "epochs": chosen.epochs, "learning_rate": chosen.learning_rate})
