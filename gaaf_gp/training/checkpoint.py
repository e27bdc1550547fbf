"""Checkpoints: one file holds everything from which a training is resumed.

The file is in the safetensors format with a JSON header in its metadata: no pickle is written and none is loaded, and
any program that reads safetensors reads the weights. A new file is written beside the old one, flushed and renamed, so
that a crash at any moment leaves either the whole old file or the whole new one. A file that cannot be read is refused
and never overwritten, because hours of training may be in it. safetensors has no checksum, so the header holds one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save
from torch import Tensor

from gaaf_gp.errors import GaafError, one_line
from gaaf_gp.training.outcome import Epoch, TrainingState, as_tensors
from gaaf_gp.util.files import open_regular, plain_json, replacing

FORMAT = 2
"""Version of what is in a file; another one is refused."""
ENDING = ".safetensors"
_ARCHIVE_OF_FORMAT_1 = b"PK"
"""How a file of numpy's begins (``.npz``), which format 1 was."""
_HEADER = "gaaf-gp"
_DIGEST = "sha256"
_GENERATOR = "generator"
_MODEL = "model/"
_MOMENTS = "moments/"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The content of a checkpoint.

    Attributes:
        state: the training.
        about: which training it is, as JSON-able values.
    """

    state: TrainingState
    about: Mapping[str, Any]

    @property
    def weights(self) -> dict[str, Tensor]:
        """Parameters and buffers by name, as ``model.load_state_dict`` takes them; they share memory with ``state``."""
        return as_tensors(self.state.model)


def write_checkpoint(path: Path, state: TrainingState, about: Mapping[str, Any]) -> None:
    """Write a training to a file, which replaces an earlier one.

    Args:
        path: the file; its folder is made if it is missing.
        state: the training.
        about: which training it is, as JSON-able values without infinities or NaN.

    Raises:
        GaafError: the file cannot be written.
    """
    header = {
        "format": FORMAT,
        "about": dict(about),
        "text": state.text,
        "seed": state.seed,
        "history": [[epoch.loss, epoch.accuracy] for epoch in state.history],
        "seconds": state.seconds,
        "steps": state.steps,
        "scale": state.scale,
    }
    arrays: dict[str, NDArray[Any]] = {
        _GENERATOR: state.generator,
        **{_MODEL + name: value for name, value in state.model.items()},
    }
    for number, kept in state.moments.items():
        arrays |= {f"{_MOMENTS}{number}/{name}": value for name, value in kept.items()}
    arrays = {name: np.asarray(value, order="C") for name, value in arrays.items()}  # as safetensors needs them
    header[_DIGEST] = _digest(header, arrays)
    content = save(arrays, {_HEADER: json.dumps(header, allow_nan=False)})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            file.write(content)
    except OSError as error:
        raise GaafError(f"a checkpoint must be writable, but {path} is not ({error.strerror or error})") from error


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        GaafError: there is no such file, or it is damaged, of another version of the format, or no checkpoint.
    """
    try:
        version, header, arrays = _content(path)
        if version == FORMAT:
            return _checkpoint(header, arrays)
    except FileNotFoundError as error:
        raise GaafError(f"a checkpoint must be a file, and there is none at {path}") from error
    except Exception as error:  # a damaged file shows as any exception
        raise GaafError(
            f"a checkpoint must be a whole file of this program, and reading {path} ended with {one_line(error)}: "
            "remove the file, and its training starts again"
        ) from error
    raise GaafError(
        f"a checkpoint must have format {FORMAT}, and {path} has {version!r}: use the version of gaaf-gp that wrote "
        "it, or remove the file, and its training starts again"
    )


def _content(path: Path) -> tuple[Any, dict[str, Any], dict[str, NDArray[Any]]]:
    """Return the version of a file, and its header and arrays if they are those that were written."""
    with open_regular(path) as file:
        if file.read(len(_ARCHIVE_OF_FORMAT_1)) == _ARCHIVE_OF_FORMAT_1:
            return 1, {}, {}
    with safe_open(path, framework="numpy") as file:
        header = plain_json(file.metadata()[_HEADER])
        version = header["format"]
        if version != FORMAT:
            return version, {}, {}
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it cannot be iterated over)
    if header.pop(_DIGEST) != _digest(header, arrays):
        raise ValueError("it has another checksum than was written")
    return version, header, arrays


def _digest(header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> str:
    """Return the checksum of a header without one and of its arrays."""
    digest = hashlib.sha256(json.dumps(header, allow_nan=False).encode())
    for name, value in sorted(arrays.items()):
        digest.update(f"\0{name} {value.dtype.str} {value.shape}\0".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()


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
