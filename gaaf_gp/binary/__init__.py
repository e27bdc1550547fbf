"""Binary networks: the sign with its surrogate gradients, layers over latent weights, and whole networks.

- ``binarize``: sign forward, a windowed surrogate gradient backward
- ``Surrogate``: kind and window of the surrogate gradient
- ``SURROGATES``: surrogate gradients by name
- ``BinaryConv2d``: a convolution with binary weights and inputs
- ``BinaryLinear``: a linear layer with binary weights and inputs
- ``BinaryLayer``: base class of both
- ``binary_layers``: the binary layers of a model
- ``clip_latent_weights``: keep latent weights in their window after a step
- ``use_real_weights``: first train activations alone, with real weights
- ``binarize_model``: any torch model -> a binary one, and a report
- ``ConversionReport``: all layers of a converted model, and warnings
- ``LayerReport``: one layer of a converted model
- ``build_network``: a network by name
- ``NETWORKS``: networks by name
- ``resnet18``: the paper's ResNet-18
- ``small_network``: the small proxy network
- ``nin``: network in network
- ``vgg_small``: VGG-small
- ``FlatNetwork``: a network without shortcuts
- ``resnet20``: ResNet-20 for 32x32 images
- ``bireal18``: Bi-Real ResNet-18
- ``bireal34``: Bi-Real ResNet-34
- ``PAPER``: the paper's settings of binary layers
- ``BinarySettings``: settings of all binary layers of a network
- ``BinaryNetwork``: base class of the built networks
- ``ActivationFactory``: channels -> the activation of a layer
- ``BatchNorm``: batch norm with compiled kernels
- ``NormalizedConvolution``: binary convolution and batch norm
- ``Residual``: a block with a shortcut
- ``PooledRepeat``: a shortcut that halves the image and doubles the channels
- ``BASELINES``: hand-made activations by name
- ``RSign``: sign(x + b)
- ``RPReLU``: PReLU with learned shifts
- ``SignActivation``: an activation that gives its own sign
- ``SplitSign``: sign of one function, derivative of another
- ``split``: the same as one function, for the compiled kernels
- ``SignTables``: a function as two tables over all bfloat16 inputs
- ``TableActivation``: an activation that looks its sign up
- ``tabulate``: a function -> its tables
- ``table_binarize``: look up sign and derivative
- ``table_binarize_raw``: the same for raw tables
- ``windowed_slope``: the derivative inside the window
- ``bfloat16_inputs``: all values a layer can see
- ``KERNELS``: kernels by name
- ``best_kernels``: the fastest kernels of this machine
- ``use_kernels``: choose kernels for a block of code
"""

from gaaf_gp.binary.baselines import BASELINES, RPReLU, RSign
from gaaf_gp.binary.binarize import SURROGATES, Surrogate, binarize
from gaaf_gp.binary.blocks import BatchNorm, NormalizedConvolution, PooledRepeat, Residual
from gaaf_gp.binary.building import PAPER, ActivationFactory, BinaryNetwork, BinarySettings
from gaaf_gp.binary.convert import ConversionReport, LayerReport, binarize_model
from gaaf_gp.binary.kernels import KERNELS, best_kernels, use_kernels
from gaaf_gp.binary.layers import (
    BinaryConv2d,
    BinaryLayer,
    BinaryLinear,
    binary_layers,
    clip_latent_weights,
    use_real_weights,
)
from gaaf_gp.binary.networks import NETWORKS, build_network
from gaaf_gp.binary.plain import FlatNetwork, nin, vgg_small
from gaaf_gp.binary.resnets import bireal18, bireal34, resnet18, resnet20, small_network
from gaaf_gp.binary.signs import SignActivation, SplitSign, split
from gaaf_gp.binary.tables import (
    SignTables,
    TableActivation,
    table_binarize,
    table_binarize_raw,
    tabulate,
    windowed_slope,
)
from gaaf_gp.util.bfloat16 import bfloat16_inputs

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
