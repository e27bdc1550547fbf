"""Batches of images that are read from files while a network trains, for data sets too large for memory.

``Stream`` makes batches from files, as :class:`gaaf_gp.data.batches.Batches` does from images in memory. Worker
processes decode, crop and resize; the device normalizes. This process draws one number for each image of an epoch,
which decides its crop, so a seed gives the same batches with any number of workers.
"""

from __future__ import annotations

import importlib
import os
import signal
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from multiprocessing import current_process
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from gaaf_gp.data.batches import TrainingBatches
from gaaf_gp.data.images import read_image
from gaaf_gp.data.streamed import FileSplit, StreamedData
from gaaf_gp.data.torchvision_compat import import_torchvision
from gaaf_gp.errors import GaafError, one_line
from gaaf_gp.util.checks import whole_number
from gaaf_gp.util.spawning import check_script, not_started

START = "spawn"
"""How workers are started: a forked one hangs once its parent has run a backward pass."""
SCORED = 256 / 224  # size to which an image to score is resized, as a multiple of its crop
AHEAD = 2
"""Batches that each worker prepares ahead."""


class Stream(TrainingBatches):
    """The batches of a data set in files, with the interface of :class:`gaaf_gp.data.batches.Batches`.

    Training images are cropped at random (a part of 8 % to 100 % of the area, 3:4 to 4:3), resized to ``image_size``
    and mirrored by chance; images to score are resized to 8/7 of it and cropped in the middle (256 and 224: the usual
    recipe of ImageNet). Both are torchvision's transforms.

    Workers live from the first batch until :meth:`close`, or until the stream is forgotten. A script that uses them
    must start under ``if __name__ == "__main__":``.

    Args:
        data: The files.
        batch_size: Images per batch; in training an incomplete last batch is left out.
        workers: Processes that decode; 0 to decode in this one. The batches do not depend on it. By default as many as
            the data says.
        device: Where the batches go; by default where the data says.

    Raises:
        GaafError: For a setting out of its range.
    """

    def __init__(
        self,
        data: StreamedData,
        batch_size: int,
        *,
        workers: int | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        workers = data.workers if workers is None else workers
        batch_size, workers = whole_number("batch_size", batch_size), whole_number("workers", workers, 0)
        if batch_size > len(data.train):
            raise GaafError(f"batch_size must be at most the {len(data.train)} training images, got {batch_size}")
        super().__init__(data, batch_size, data.device if device is None else torch.device(device))
        self._data = data
        self._workers = workers
        self._requests = _Requests()
        self._loader: DataLoader[Any] | None = None
        self._pass = 0
        self._served = False

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return len(self._data.train) // self.batch_size

    def epoch(self, generator: torch.Generator | int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of one epoch: images (B,3,H,W) float32 in channels-last memory, labels (B,) int64.

        Args:
            generator: draws the order and the augmentation, all before the first batch; or a seed.

        Raises:
            GaafError: a file is damaged, a worker process has died, or another pass has begun before this one's end.
        """
        if isinstance(generator, int):
            generator = torch.Generator().manual_seed(generator)
        train = self._data.train
        device = generator.device
        order = torch.randperm(len(train), generator=generator, device=device).cpu().numpy()
        seeds = torch.randint(2**62, (len(train),), generator=generator, device=device).cpu().numpy()
        starts = range(0, len(self) * self.batch_size, self.batch_size)
        yield from self._run(train, [order[start : start + self.batch_size] for start in starts], seeds)

    def scoring(self, split: FileSplit | None = None, size: int | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield all images of a split in their order, normalized, with their labels; see :meth:`epoch`.

        Args:
            split: the validation split by default.
            size: images in a batch, as in training by default; the last batch may be shorter.
        """
        split, size = self._data.val if split is None else split, self.batch_size if size is None else size
        places = np.arange(len(split))
        yield from self._run(split, [places[start : start + size] for start in range(0, len(split), size)], None)

    def close(self) -> None:
        """End the worker processes; the next batch would start new ones."""
        self._pass += 1
        self._loader = None

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(
        self, split: FileSplit, batches: list[NDArray[np.intp]], seeds: NDArray[np.int64] | None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        self._pass += 1
        mine = self._pass
        folder = os.fspath(split.folder)
        self._requests.current = (
            _Request(folder, split.names[places], None if seeds is None else seeds[places]) for places in batches
        )
        decoded: Iterator[Any] | None = None
        for places in batches:
            if self._pass != mine:
                raise GaafError("a stream gives one pass at a time, and another has begun: use a stream for each")
            try:
                decoded = iter(self._batches()) if decoded is None else decoded
                pixels = next(decoded)
                self._served = True
            except RuntimeError as error:  # a DataLoader raises it when a worker is gone
                if not self._workers:
                    raise
                self.close()
                exit_codes = [] if self._served else [one.exitcode for one in getattr(decoded, "_workers", ())]
                raise GaafError(
                    not_started(exit_codes)
                    or f"worker processes must live as long as the stream, and reading ended with {one_line(error)}: "
                    "use fewer (--stream-workers)"
                ) from error
            if isinstance(pixels, str):
                raise GaafError(pixels)
            images = self._sent(torch.from_numpy(pixels)).permute(0, 3, 1, 2)
            yield self.normalized(images), self._sent(torch.from_numpy(split.labels[places]))

    def _batches(self) -> DataLoader[Any]:
        if self._loader is None:
            if self._workers:
                check_script()
            if self._workers and current_process().daemon:
                raise GaafError(
                    "a process that streams with workers must be allowed children, and this one is a daemon, as those "
                    "of multiprocessing.Pool are: use workers=0, or the workers of an Evaluator"
                )
            several: dict[str, Any] = {
                "multiprocessing_context": START,
                "persistent_workers": True,
                "prefetch_factor": AHEAD,
                "worker_init_fn": _undisturbed,
            }
            self._loader = DataLoader(
                _Decoder(self._data.side),
                batch_size=None,
                sampler=self._requests,
                num_workers=self._workers,
                collate_fn=_unchanged,
                generator=torch.Generator(),  # or each pass would draw from torch's global generator
                **(several if self._workers else {}),
            )
        return self._loader

    def _sent(self, tensor: Tensor) -> Tensor:
        """Return a tensor on the device; a GPU fetches it from pinned memory while this process goes on."""
        held = tensor.pin_memory() if self.device.type == "cuda" else tensor
        return held.to(self.device, non_blocking=True)


@dataclass(frozen=True)
class _Request:
    """A batch to decode: file names and a seed for each crop; without seeds the images are scored."""

    folder: str
    names: NDArray[np.bytes_]
    seeds: NDArray[np.int64] | None


class _Requests:
    """The requests of the current pass; a DataLoader iterates over them again when a pass begins."""

    def __init__(self) -> None:
        self.current: Iterable[_Request] = ()

    def __iter__(self) -> Iterator[_Request]:
        return iter(self.current)


class _Decoder(Dataset[Any]):
    """Decodes a request to (B,H,W,3) uint8 in a worker; returns the error message if a file is damaged.

    It returns arrays, because torch would send tensors through shared memory, which is small in containers.
    """

    def __init__(self, image_size: int) -> None:
        self._image_size = image_size

    def __getitem__(self, request: _Request) -> NDArray[np.uint8] | str:
        train, score = _transforms(self._image_size)
        images, enlarged = [], None if request.seeds is not None else round(self._image_size * SCORED)
        try:
            with torch.random.fork_rng(devices=[]):
                for number, name in enumerate(request.names):
                    image = read_image(Path(request.folder, os.fsdecode(bytes(name))), "RGB", enlarged)
                    if request.seeds is not None:
                        torch.default_generator.manual_seed(int(request.seeds[number]))
                    images.append(np.asarray((score if request.seeds is None else train)(image)))
        except GaafError as error:
            return str(error)
        return np.stack(images)


@cache
def _transforms(size: int) -> tuple[Any, Any]:
    """Return the transform of a training image and that of an image to score."""
    import_torchvision()
    v2: Any = importlib.import_module("torchvision.transforms.v2")
    train = v2.Compose([v2.RandomResizedCrop(size, antialias=True), v2.RandomHorizontalFlip()])
    return train, v2.Compose([v2.Resize(round(size * SCORED), antialias=True), v2.CenterCrop(size)])


def _undisturbed(_worker: int) -> None:
    # Ctrl-C reaches the whole process group; only the process that trains decides how to react
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _unchanged(batch: Any) -> Any:
    return batch
