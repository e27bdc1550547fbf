"""Binary networks: the sign with its surrogate gradients, layers over latent weights, and whole networks."""

from gaaf_gp.binary.binarize import SURROGATES, Surrogate, binarize
from gaaf_gp.binary.layers import BinaryConv2d, BinaryLayer, BinaryLinear, binary_layers, clip_latent_weights
from gaaf_gp.binary.networks import (
    NETWORKS,
    ActivationFactory,
    BinaryNetwork,
    PooledRepeat,
    Residual,
    build_network,
    resnet18,
    small_network,
)

__all__ = [
    "NETWORKS",
    "SURROGATES",
    "ActivationFactory",
    "BinaryConv2d",
    "BinaryLayer",
    "BinaryLinear",
    "BinaryNetwork",
    "PooledRepeat",
    "Residual",
    "Surrogate",
    "binarize",
    "binary_layers",
    "build_network",
    "clip_latent_weights",
    "resnet18",
    "small_network",
]
