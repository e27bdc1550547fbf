"""Compiled kernels for training binary networks on a CPU, and whether this machine can have them.

torch multiplies +-1 as any other numbers. ``kernels.c`` multiplies bits going forward and joins passes going backward,
``fixed.c`` computes gradients in whole numbers, ``norm.c`` normalizes. They are plain C, compiled once with the
machine's own C compiler into the user's cache; without a compiler everything runs in torch, slower.
"""

from gaaf_gp.native.build import available, unavailable_reason, whole_numbers
from gaaf_gp.native.convolution import Geometry, binary_convolution
from gaaf_gp.native.generated import Generated, generate, generated_convolution
from gaaf_gp.native.norm import batch_norm

__all__ = [
    "Generated",
    "Geometry",
    "available",
    "batch_norm",
    "binary_convolution",
    "generate",
    "generated_convolution",
    "unavailable_reason",
    "whole_numbers",
]
