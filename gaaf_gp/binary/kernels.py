"""Which kernels compute binary convolutions and batch norms on a CPU: torch's or those of ``binary.native``."""

from torch import nn

from gaaf_gp.binary import native
from gaaf_gp.binary.layers import BinaryConv2d
from gaaf_gp.errors import GaafError
from gaaf_gp.util.checks import choice

KERNELS = ("torch", "float32", "fixed")
"""torch; compiled kernels with float32 gradients; compiled kernels with gradients in whole numbers."""


def best_kernels() -> str:
    """Return the fastest of :data:`KERNELS` on this machine; the first call may compile them."""
    if not native.available():
        return "torch"
    return "fixed" if native.whole_numbers() else "float32"


def use_kernels(model: nn.Module, kernels: str) -> None:
    """Let the binary convolutions and batch norms of ``model`` use ``kernels``, one of :data:`KERNELS`.

    Compiled kernels compute float32 on a CPU. Other dtypes and devices still use torch, and so do convolutions with
    groups or dilation. In the forward pass the compiled kernels give the same integers as torch. In the backward pass
    "float32" sums in another order, and "fixed" rounds gradients as a bfloat16 would. Inputs are rounded to bfloat16
    before the sign and its window.

    Raises:
        GaafError: unknown kernels, or ones that this machine does not have.
    """
    choice("kernels", kernels, KERNELS)
    if kernels != "torch" and not native.available():
        raise GaafError(
            f"kernels {kernels!r} must be compiled here, but {native.unavailable_reason()}; or choose 'torch'"
        )
    if kernels == "fixed" and not native.whole_numbers():
        raise GaafError("kernels 'fixed' need a processor with AVX2, and this one has none; choose 'float32'")
    for module in model.modules():
        # batch norms of gaaf_gp.binary.blocks have kernels too
        fits = not isinstance(module, BinaryConv2d) or (module.groups == 1 and module.dilation == (1, 1))
        if fits and str(getattr(module, "kernels", "")) in KERNELS:
            setattr(module, "kernels", kernels)  # noqa: B010  no attribute of every module
