"""Compiled kernels for training binary networks on a CPU.

torch multiplies +-1 like any other numbers; these kernels use bits. ``forward.c`` looks up sums of products,
``fixed.c`` and ``fixed_weights.c`` compute gradients in whole numbers, and ``kernels.c`` does both without AVX2, in
bits and in float32. ``norm.c`` normalizes, ``elementwise.c`` runs learnable functions, and ``unit`` joins all of them
in one torch operation. The kernels are plain C, compiled once by the machine's C compiler into the user's cache.
Without a compiler everything runs in torch, slower.
"""

from gaaf_gp.binary.native.build import available, unavailable_reason, whole_numbers
from gaaf_gp.binary.native.convolution import Geometry, packed_table
from gaaf_gp.binary.native.norm import Norm, batch_norm
from gaaf_gp.binary.native.program import Program, ProgramSigns, program_of
from gaaf_gp.binary.native.unit import Signs, TableSigns, Unit, binary_convolution, binary_unit

__all__ = [
    "Geometry",
    "Norm",
    "Program",
    "ProgramSigns",
    "Signs",
    "TableSigns",
    "Unit",
    "available",
    "batch_norm",
    "binary_convolution",
    "binary_unit",
    "packed_table",
    "program_of",
    "unavailable_reason",
    "whole_numbers",
]
