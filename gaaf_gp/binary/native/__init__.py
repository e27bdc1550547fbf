"""Compiled kernels for training binary networks on a CPU, and whether this machine can have them.

torch multiplies +-1 as any other numbers. ``forward.c`` looks sums of products up, ``fixed.c`` and ``fixed_weights.c``
compute gradients in whole numbers; ``kernels.c`` does both without AVX2, in bits and in float32. ``norm.c`` normalizes,
``elementwise.c`` runs functions that learn, and ``unit`` makes one torch operation of all. They are plain C, compiled
once with the machine's own C compiler into the user's cache; without a compiler everything runs in torch, slower.
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
