"""The inputs of the binary layers of a network, which its activation functions get, measured on validation images."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gaaf_gp.binary import BinaryLayer
from gaaf_gp.binary.survey import batch_statistics, watching
from gaaf_gp.data.load import Split
from gaaf_gp.training.outcome import TrainingState
from gaaf_gp.training.proxy import Proxy
from gaaf_gp.trees.candidate import Candidate
from gaaf_gp.util.checks import whole_number
from gaaf_gp.util.devices import threads

MOST = 20_000
"""Inputs of each layer that are kept, drawn from all of them."""


def layer_inputs(
    proxy: Proxy, candidate: Candidate | None, state: TrainingState | None = None, *, seed: int = 0, images: int = 256
) -> dict[str, NDArray[np.float32]]:
    """Run a network over validation images and return the inputs of its binary layers: the x of sign(f(x)).

    A network that is not trained yet normalizes by its batch, as its first training step does.

    Args:
        proxy: the training task.
        candidate: the activation function of the network; None for the plain sign.
        state: of its training, as ``proxy.train(..., keep=True)`` returns it; by default the network is as it starts.
        seed: of the network where there is no state.
        images: how many, evenly spaced in the validation split; of images in files the first ones.

    Returns:
        Name of each layer, in the order of the network, to at most ``MOST`` of its inputs, (n,) float32.

    Raises:
        GaafError: for fewer than two images.
    """
    images = whole_number("the number of images that inputs are measured on", images, 2)
    training = proxy.training(candidate, seed if state is None else state.seed)
    if state is not None:
        training.restore(state)
    split = proxy.data.val
    if isinstance(split, Split):
        places = torch.linspace(0, len(split) - 1, min(images, len(split))).round().long().to(split.labels.device)
        split = Split(split.images[places], split.labels[places])
    batch, _ = next(iter(proxy.batches.scoring(split, images)))
    with threads(proxy.threads), nullcontext() if state is not None else batch_statistics(training.model):
        return inputs_of(training.model, batch)


def inputs_of(model: nn.Module, images: Tensor) -> dict[str, NDArray[np.float32]]:
    """Return the inputs of the binary layers of any model for one batch.

    Args:
        model: a network with binary layers; it is left in evaluation mode.
        images: one batch as the model takes it, (B,C,H,W) for image networks, on its device.

    Returns:
        Name of each layer that was called to at most ``MOST`` of its inputs, (n,) float32.
    """
    names = {module: name for name, module in model.named_modules() if isinstance(module, BinaryLayer)}
    inputs: dict[str, list[Tensor]] = {name: [] for name in names.values()}

    def look(layer: nn.Module, arguments: tuple[Any, ...]) -> None:
        inputs[names[layer]].append(arguments[0].detach().flatten())  # type: ignore[index]

    model.eval()
    with torch.no_grad(), watching(names, look):
        model(images)
    return {name: _sample(torch.cat(parts)) for name, parts in inputs.items() if parts}


def _sample(values: Tensor) -> NDArray[np.float32]:
    order = torch.randperm(
        len(values), generator=torch.Generator().manual_seed(0)
    )  # any stride may meet one column only
    sampled: NDArray[np.float32] = values.cpu()[order[:MOST]].float().numpy()
    return sampled
