"""A training step that is repeated: on a GPU recorded once, as a CUDA graph, and then played.

A small network computes a layer in less time than the processor takes to ask for it. A graph asks once for all layers
of a step, forward, backward and optimiser. It runs the same kernels on the same numbers, so nothing else changes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

AHEAD = 3
"""Steps ahead of the recording: what is made at the first use, such as Adam's moments, must be there by then."""

Step = Callable[[Tensor, Tensor, Tensor | float], Tensor]
"""Takes images, labels and the learning rate of a step, makes it, and returns losses that nothing has waited for.

On a GPU it must not depend on, nor change, anything that is not on the device, and not wait for the device."""


class Repeated:
    """Makes a step again and again; on a CUDA device it records the step and plays the record.

    A step that cannot be recorded, such as one with a primitive that reads a number back, is called every time.

    Args:
        device: where the steps run.
        recorded: whether a CUDA device records them.
    """

    def __init__(self, device: torch.device, recorded: bool = True) -> None:
        self._device = device
        self._aside = torch.cuda.Stream(device) if recorded and device.type == "cuda" else None
        self._done = 0
        self._record: _Record | None = None

    def __call__(self, step: Step, images: Tensor, labels: Tensor, learning_rate: float) -> Tensor:
        """Make one step and return its losses, the caller's own; ``step`` must be the same in all calls."""
        if self._aside is None:
            return step(images, labels, learning_rate)
        if self._record is None and self._done >= AHEAD:
            try:
                self._record = _Record(step, images, labels, self._device)
            except RuntimeError:  # primitives are anybody's code
                self._aside = None
                return step(images, labels, learning_rate)
        if self._record is not None and self._record.fits(images, labels):
            return self._record.play(images, labels, learning_rate)
        self._done += 1
        main = torch.cuda.current_stream(self._device)
        self._aside.wait_stream(main)
        with torch.cuda.stream(self._aside):  # as that of a recording is: autograd keeps to the stream it meets first
            losses = step(images, labels, torch.full((), learning_rate, device=self._device))
        main.wait_stream(self._aside)
        return losses

    def forget(self) -> None:
        """Record anew: what the step works on has moved to another place in memory."""
        self._record, self._done = None, 0


class _Record:
    """A CUDA graph of one step, and the places where it finds its input and leaves its losses."""

    def __init__(self, step: Step, images: Tensor, labels: Tensor, device: torch.device) -> None:
        self._images, self._labels = images.clone(), labels.clone()
        self._learning_rate = torch.zeros((), device=device)
        self._graph = torch.cuda.CUDAGraph()
        # other threads, such as one that copies images to the device, may go on allocating memory
        with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
            self._losses = step(self._images, self._labels, self._learning_rate)

    def fits(self, images: Tensor, labels: Tensor) -> bool:
        return images.shape == self._images.shape and labels.shape == self._labels.shape

    def play(self, images: Tensor, labels: Tensor, learning_rate: float) -> Tensor:
        self._images.copy_(images)
        self._labels.copy_(labels)
        self._learning_rate.fill_(learning_rate)
        self._graph.replay()
        return self._losses.clone()
