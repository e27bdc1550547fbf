"""The binary networks that candidates are trained in, by name."""

import inspect
from collections.abc import Callable
from typing import Any

from torch import nn

from gaaf_gp.binary.building import ActivationFactory, BinarySettings
from gaaf_gp.binary.plain import nin, vgg_small
from gaaf_gp.binary.resnets import bireal18, bireal34, resnet18, resnet20, small_network
from gaaf_gp.errors import GaafError, listed

NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "small": small_network,
    "resnet18": resnet18,
    "resnet20": resnet20,
    "bireal18": bireal18,
    "bireal34": bireal34,
    "nin": nin,
    "vgg_small": vgg_small,
}
"""The builders by name."""


def build_network(
    name: str, num_classes: int, in_channels: int, activation: ActivationFactory | None = None, **settings: Any
) -> nn.Module:
    """Return the network that is called ``name``, one of :data:`NETWORKS`.

    Args:
        name: which builder to call.
        num_classes: number of logits.
        in_channels: channels of the images.
        activation: factory of the complementary functions; None for none.
        settings: the builder's further keywords, such as ``widths``.

    Raises:
        GaafError: unknown name or setting, or an argument out of its range.
    """
    builder = NETWORKS.get(name)
    if builder is None:
        raise GaafError(f"network must be a known name, got {name!r}; known: {listed(NETWORKS)}; choose one of them")
    fixed = ("num_classes", "in_channels", "activation", "binary")
    known = [key for key in inspect.signature(builder).parameters if key not in fixed]
    known += BinarySettings.__annotations__
    unknown = [key for key in settings if key not in known]
    if unknown:
        raise GaafError(
            f"network {name} has no setting {listed(unknown)}; known: {listed(known)}; leave it out or correct it"
        )
    return builder(num_classes, in_channels, activation=activation, **settings)
