"""Binary networks: the sign with its surrogate gradients, layers over latent weights, and whole networks."""

from gaaf_gp.binary.baselines import BASELINES, RPReLU, RSign
from gaaf_gp.binary.binarize import SURROGATES, Surrogate, binarize
from gaaf_gp.binary.blocks import BatchNorm, NormalizedConvolution, PooledRepeat, Residual
from gaaf_gp.binary.conversion_report import ConversionReport, LayerReport
from gaaf_gp.binary.convert import binarize_model
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
    build_network,
    resnet18,
    small_network,
)
from gaaf_gp.binary.plain import FlatNetwork, nin, vgg_small
from gaaf_gp.binary.resnets import bireal18, bireal34, resnet20
from gaaf_gp.binary.tables import (
    SignTables,
    TableActivation,
    bfloat16_inputs,
    table_binarize,
    table_binarize_raw,
    tabulate,
    windowed_slope,
)

# here, since these are built on the module that holds the table
NETWORKS.update(resnet20=resnet20, bireal18=bireal18, bireal34=bireal34, nin=nin, vgg_small=vgg_small)

__all__ = [
    "BASELINES",
    "KERNELS",
    "NETWORKS",
    "SURROGATES",
    "ActivationFactory",
    "BatchNorm",
    "BinaryConv2d",
    "BinaryLayer",
    "BinaryLinear",
    "BinaryNetwork",
    "ConversionReport",
    "FlatNetwork",
    "LayerReport",
    "NormalizedConvolution",
    "PooledRepeat",
    "RPReLU",
    "RSign",
    "Residual",
    "SignTables",
    "Surrogate",
    "TableActivation",
    "best_kernels",
    "bfloat16_inputs",
    "binarize",
    "binarize_model",
    "binary_layers",
    "bireal18",
    "bireal34",
    "build_network",
    "clip_latent_weights",
    "nin",
    "resnet18",
    "resnet20",
    "small_network",
    "table_binarize",
    "table_binarize_raw",
    "tabulate",
    "use_kernels",
    "vgg_small",
    "windowed_slope",
]
