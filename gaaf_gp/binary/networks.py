"""The binary networks that candidates are trained in, by name."""

import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

from torch import nn

from gaaf_gp.binary.building import ActivationFactory, BinarySettings
from gaaf_gp.binary.plain import nin, vgg_small
from gaaf_gp.binary.resnets import bireal18, bireal34, resnet18, resnet20, small_network
from gaaf_gp.errors import GaafError, listed
from gaaf_gp.util.user_code import Subject, called, fingerprint, load_function

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


def is_own_network(name: str) -> bool:
    """Return whether a network is code of the user's, named as a file or a module and its builder."""
    return name not in NETWORKS and ":" in name


def network_identity(name: str) -> str:
    """Return what stands for a network in archives: its name, or that of its builder and the SHA-256 of its file."""
    return fingerprint(name) if is_own_network(name) else name


def _is_builder(value: object, module: ModuleType) -> bool:
    return inspect.isfunction(value) and value.__module__ == module.__name__ and not value.__name__.startswith("_")


_BUILDERS = Subject("a network", "networks", '"path/to/file.py:builder"', _is_builder)


def build_network(
    name: str, num_classes: int, in_channels: int, activation: ActivationFactory | None = None, **settings: Any
) -> nn.Module:
    """Return the network that is called ``name``.

    Args:
        name: one of :data:`NETWORKS`, or a builder of your own as ``path/to/file.py:builder`` or
            ``package.module:builder``, which is called as ``builder(num_classes, in_channels, activation=activation,
            **settings)`` and returns a module.
        num_classes: number of logits.
        in_channels: channels of the images.
        activation: factory of the complementary functions; None for none.
        settings: the builder's further keywords, such as ``widths``.

    Raises:
        GaafError: unknown name or setting, or an argument out of its range; a builder that cannot be loaded or raises.
    """
    if is_own_network(name):
        wanted = "a module, called as builder(num_classes, in_channels, activation=..., **settings)"
        built: nn.Module = called(
            load_function(name, _BUILDERS), name, wanted, num_classes, in_channels, activation=activation, **settings
        )
        return built
    builder = NETWORKS.get(name)
    if builder is None:
        raise GaafError(
            f"network must be a known name, got {name!r}; known: {listed(NETWORKS)}; choose one of them, or name a "
            f"builder of your own as {_BUILDERS.form}"
        )
    fixed = ("num_classes", "in_channels", "activation", "binary")
    known = [key for key in inspect.signature(builder).parameters if key not in fixed]
    known += BinarySettings.__annotations__
    unknown = [key for key in settings if key not in known]
    if unknown:
        raise GaafError(
            f"network {name} has no setting {listed(unknown)}; known: {listed(known)}; leave it out or correct it"
        )
    return builder(num_classes, in_channels, activation=activation, **settings)
