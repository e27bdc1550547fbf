"""Binary networks: the sign with its surrogate gradients, layers over latent weights, and whole networks."""

from gaaf_gp.binary.base import BinaryLayer, binary_layers, clip_latent_weights, use_real_weights
from gaaf_gp.binary.baselines import BASELINES, RPReLU, RSign
from gaaf_gp.binary.binarize import SURROGATES, Surrogate, binarize
from gaaf_gp.binary.blocks import BatchNorm, NormalizedConvolution, PooledRepeat, Residual
from gaaf_gp.binary.building import PAPER, ActivationFactory, BinaryNetwork, BinarySettings
from gaaf_gp.binary.conversion_report import ConversionReport, LayerReport
from gaaf_gp.binary.convert import binarize_model
from gaaf_gp.binary.kernels import KERNELS, best_kernels, use_kernels
from gaaf_gp.binary.layers import BinaryConv2d, BinaryLinear
from gaaf_gp.binary.lookups import table_binarize_raw
from gaaf_gp.binary.networks import NETWORKS, build_network, resnet18, small_network
from gaaf_gp.binary.plain import FlatNetwork, nin, vgg_small
from gaaf_gp.binary.resnets import bireal18, bireal34, resnet20
from gaaf_gp.binary.signs import SignActivation, SplitSign, split
from gaaf_gp.binary.tables import (
    SignTables,
    TableActivation,
    bfloat16_inputs,
    table_binarize,
    tabulate,
    windowed_slope,
)

__all__ = [
    "BASELINES",
    "KERNELS",
    "NETWORKS",
    "PAPER",
    "SURROGATES",
    "ActivationFactory",
    "BatchNorm",
    "BinaryConv2d",
    "BinaryLayer",
    "BinaryLinear",
    "BinaryNetwork",
    "BinarySettings",
    "ConversionReport",
    "FlatNetwork",
    "LayerReport",
    "NormalizedConvolution",
    "PooledRepeat",
    "RPReLU",
    "RSign",
    "Residual",
    "SignActivation",
    "SignTables",
    "SplitSign",
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
    "split",
    "table_binarize",
    "table_binarize_raw",
    "tabulate",
    "use_kernels",
    "use_real_weights",
    "vgg_small",
    "windowed_slope",
]
