"""What the compiled kernels take and return, so that Python's numbers become C's without a word at every call."""

from __future__ import annotations

import ctypes

_KINDS = {"p": ctypes.c_void_p, "n": ctypes.c_int64, "f": ctypes.c_float, "d": ctypes.c_double}
SIGNATURES = {
    "convolve": "ppp pp n",
    "halve": "p nnnn p n",
    "input_gradient": "pppp pp p n",
    "input_gradient_fixed": "pppp pp p n",
    "norm_backward": "pppp n nn ppp n",
    "norm_forward": "pp n pp d n pppp d nn pp n",
    "program_gradients": "ppp f nn ppp n",
    "program_signs": "ppp nn p n",
    "sign_by_table": "pp nn pp n",
    "spread_halves": "p nnnnn p n",
    "weight_gradient": "pppp f pp n",
    "weight_gradient_fixed": "pppp f pp n",
}
"""Kernel -> its arguments: p for an address (an int, or None for null), n for an int64, f for a float, d for a double.
The last is the number of threads."""


def declare(library: ctypes.CDLL) -> ctypes.CDLL:
    """Return ``library`` with the types of all kernels declared; it lacks those that its processor cannot run."""
    for name, kinds in SIGNATURES.items():
        kernel = getattr(library, name, None)
        if kernel is not None:
            kernel.argtypes = [_KINDS[kind] for kind in kinds if kind != " "]
    return library
