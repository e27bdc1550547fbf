"""Trainings on disk: one file holds all that a training goes on from.

It is an archive of arrays as numpy writes them (``.npz``), one of which is a JSON header: no pickle is written and none
is loaded. It is written beside its place, flushed and renamed, so that a crash at any moment leaves the whole earlier
file or the whole new one. A file that cannot be read is refused and never overwritten: hours of training may be in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gaaf_gp.errors import GaafError, one_line
from gaaf_gp.files import replacing
from gaaf_gp.training import Epoch, TrainingState

FORMAT = 1
"""Version of what is in a file; another one is refused."""
ENDING = ".npz"
_HEADER = "header"
_GENERATOR = "generator"
_MODEL = "model/"
_MOMENTS = "moments/"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a file holds.

    Attributes:
        state: the training.
        about: what training it is, fit for JSON.
    """

    state: TrainingState
    about: Mapping[str, Any]

    @property
    def weights(self) -> dict[str, Tensor]:
        """Parameters and buffers, as ``model.load_state_dict`` takes them."""
        return {name: torch.from_numpy(value) for name, value in self.state.model.items()}


def write_checkpoint(path: Path, state: TrainingState, about: Mapping[str, Any]) -> None:
    """Put a training into a file, in place of an earlier one.

    Args:
        path: the file; its folder is made if it is missing.
        state: the training.
        about: fit for JSON, without numbers that are not finite.

    Raises:
        GaafError: it cannot be written.
    """
    header = {
        "format": FORMAT,
        "about": dict(about),
        "text": state.text,
        "seed": state.seed,
        "history": [[one.loss, one.accuracy] for one in state.history],
        "seconds": state.seconds,
        "steps": state.steps,
        "scale": state.scale,
    }
    arrays: dict[str, Any] = {
        _HEADER: np.frombuffer(json.dumps(header, allow_nan=False).encode(), np.uint8),
        _GENERATOR: state.generator,
        **{_MODEL + name: value for name, value in state.model.items()},
    }
    for number, kept in state.moments.items():
        arrays |= {f"{_MOMENTS}{number}/{name}": value for name, value in kept.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            np.savez(file, **arrays)
    except OSError as error:
        raise GaafError(f"a checkpoint must be writable, but {path} is not ({error.strerror or error})") from error


def read_checkpoint(path: Path) -> Checkpoint:
    """Return what a file holds.

    Raises:
        GaafError: there is no such file, it is damaged, of another version, or none of these files.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            content = {name: archive[name] for name in archive.files}
        header = json.loads(content.pop(_HEADER).tobytes())
        version = header["format"]
        if version == FORMAT:
            return _checkpoint(header, content)
    except FileNotFoundError as error:
        raise GaafError(f"a checkpoint must be a file, and there is none at {path}") from error
    except Exception as error:  # a damaged archive shows as any exception
        raise GaafError(
            f"a checkpoint must be a whole file of this program, and reading {path} ended with {one_line(error)}: "
            "remove the file, and its training starts again"
        ) from error
    raise GaafError(
        f"a checkpoint must have format {FORMAT}, and {path} has {version!r}: use the version of gaaf-gp that wrote "
        "it, or remove the file, and its training starts again"
    )


def _checkpoint(header: Mapping[str, Any], content: Mapping[str, NDArray[Any]]) -> Checkpoint:
    moments: dict[int, dict[str, NDArray[Any]]] = {}
    for key, value in content.items():
        if key.startswith(_MOMENTS):
            number, name = key.removeprefix(_MOMENTS).split("/")
            moments.setdefault(int(number), {})[name] = value
    state = TrainingState(
        text=header["text"],
        seed=header["seed"],
        history=tuple(Epoch(loss, accuracy) for loss, accuracy in header["history"]),
        seconds=header["seconds"],
        steps=header["steps"],
        model={key.removeprefix(_MODEL): value for key, value in content.items() if key.startswith(_MODEL)},
        moments=moments,
        generator=content[_GENERATOR],
        scale=None if header["scale"] is None else (header["scale"][0], header["scale"][1]),
    )
    return Checkpoint(state, header["about"])
