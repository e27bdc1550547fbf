"""All values of bfloat16, which tables and grids of inputs are made of."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

VALUES = 1 << 16
"""How many bfloat16 values there are, NaN and infinities included."""


@functools.cache
def bfloat16_inputs() -> Tensor:
    """Return all bfloat16 values, (65536, 1) float32: entry i has the bits of i. Made once; do not change it."""
    bits = torch.arange(VALUES, dtype=torch.int32, device="cpu").to(torch.int16)
    return bits.view(torch.bfloat16).float().unsqueeze(1)
