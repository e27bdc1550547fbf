"""Binary networks: the sign with its surrogate gradients, layers over latent weights, and whole networks."""

from gaaf_gp.binary.binarize import SURROGATES, Surrogate, binarize
from gaaf_gp.binary.layers import (
    KERNELS,
    BinaryConv2d,
    BinaryLayer,
    BinaryLinear,
    best_kernels,
    binary_layers,
    clip_latent_weights,
    use_kernels,
)
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
from gaaf_gp.binary.tables import (
    SignTables,
    TableActivation,
    bfloat16_inputs,
    table_binarize,
    table_binarize_raw,
    tabulate,
    windowed_slope,
)

__all__ = [
    "KERNELS",
    "NETWORKS",
    "SURROGATES",
    "ActivationFactory",
    "BinaryConv2d",
    "BinaryLayer",
    "BinaryLinear",
    "BinaryNetwork",
    "PooledRepeat",
    "Residual",
    "SignTables",
    "Surrogate",
    "TableActivation",
    "best_kernels",
    "bfloat16_inputs",
    "binarize",
    "binary_layers",
    "build_network",
    "clip_latent_weights",
    "resnet18",
    "small_network",
    "table_binarize",
    "table_binarize_raw",
    "tabulate",
    "use_kernels",
    "windowed_slope",
]
