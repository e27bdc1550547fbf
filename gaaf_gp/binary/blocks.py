"""Building blocks of binary networks: batch norm, convolution with batch norm, shortcuts and residual sums."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from gaaf_gp.binary import native
from gaaf_gp.binary.layers import BinaryConv2d
from gaaf_gp.util.checks import whole_number


class BatchNorm(nn.BatchNorm2d):
    """Batch normalization of images; with the compiled kernels it adds a shortcut in the same pass.

    y = (x - mean) / sqrt(var + eps) * weight + bias, plus the shortcut if there is one. Mean and (biased) variance are
    those of each channel over N, H and W of the batch in training, the running ones in evaluation (Ioffe and Szegedy
    2015, arXiv 1502.03167, Algorithm 1). It is ``nn.BatchNorm2d`` otherwise.

    Input: floating (N, channels, H, W), and a shortcut of that shape. Output: the same shape.

    Args:
        channels: number of channels of the inputs.

    Attributes:
        kernels: one of :data:`gaaf_gp.binary.KERNELS`; all but "torch" stand for the compiled ones.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__(whole_number("channels", channels))
        self.kernels = "torch"

    def forward(self, x: Tensor, shortcut: Tensor | None = None) -> Tensor:
        """Return the normalized (N, C, H, W), plus ``shortcut`` of the same shape if there is one."""
        if not self.fits(x):
            y = super().forward(x)
            return y if shortcut is None else y + shortcut
        return native.batch_norm(x, self.settings(), None if shortcut is None else shortcut.to(x.dtype))

    def fits(self, x: Tensor) -> bool:
        """Return whether the compiled kernels can normalize ``x``, or the convolution of ``x``."""
        ready = self.kernels != "torch" and self.track_running_stats and self.weight.dtype == torch.float32
        return ready and x.is_cpu and x.dtype == torch.float32 and x.dim() == 4 and x.numel() > x.shape[1]

    def settings(self) -> native.Norm:
        """Return the arguments of the compiled kernels; in training, count one more batch."""
        momentum = None
        if self.training:
            self.num_batches_tracked.add_(1)
            # without a momentum torch keeps the average of all batches
            momentum = 1 / self.num_batches_tracked.item() if self.momentum is None else self.momentum
        return native.Norm(self.weight, self.bias, (self.running_mean, self.running_var), momentum, self.eps)


class NormalizedConvolution(nn.Sequential):
    """A convolution and its batch norm, computed as one operation if both use the compiled kernels.

    y = batch_norm(convolution(x)), plus the shortcut if there is one. In one operation neither part is called as a
    module; if one of them has a hook, both are called.

    Input: (N, in_channels, H, W) of the convolution. Output: (N, out_channels, H', W'), the shape of the convolution's.

    Args:
        convolution: binary or real; the batch norm is made for its ``out_channels``.
    """

    def __init__(self, convolution: BinaryConv2d | nn.Conv2d) -> None:
        super().__init__(convolution, BatchNorm(convolution.out_channels))

    def forward(self, x: Tensor, shortcut: Tensor | nn.Module | None = None) -> Tensor:
        """Return the normalized convolution of ``x``, plus ``shortcut`` or, if it is a module, shortcut(x)."""
        convolution, norm = self[0], self[1]
        assert isinstance(norm, BatchNorm)
        wide = convolution.widened(x) if isinstance(convolution, BinaryConv2d) else x
        if not isinstance(convolution, BinaryConv2d) or not self._joins(convolution, norm, wide):
            total: Tensor = norm(convolution(wide), shortcut(x) if isinstance(shortcut, nn.Module) else shortcut)
            return total
        joined_shortcut: Tensor | int | None = _own(shortcut) if convolution.direct else None
        if joined_shortcut is None:
            added = shortcut(x) if isinstance(shortcut, nn.Module) else shortcut
            joined_shortcut = None if added is None else added.to(wide.dtype)  # autocast may have made it in 16 bits
        return convolution.compiled(wide, norm.settings(), joined_shortcut)

    def _joins(self, convolution: BinaryConv2d, norm: BatchNorm, x: Tensor) -> bool:
        # torch refuses to normalize a single value per channel, which a single image may give
        return convolution.fits(x) and norm.fits(x) and len(x) > 1 and not _hooked(*self)


class Residual(nn.Module):
    """The sum of a body and its shortcut: y = body(x) + shortcut(x).

    A shortcut over each binary convolution carries real values past the sign (He et al. 2016, arXiv 1512.03385,
    Equation 1; Bi-Real Net, Liu et al. 2018, arXiv 1808.00278).

    Input: (N, C, H, W). Output: (N, C', H', W'), the shape that both body and shortcut return.

    Args:
        body: a :class:`NormalizedConvolution`, or a sequence whose last module is one or is a :class:`BatchNorm`; that
            module computes the sum.
        shortcut: ``nn.Identity()`` if the shape stays the same, else a module such as :class:`PooledRepeat`.
    """

    def __init__(self, body: nn.Sequential, shortcut: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Return body(x) + shortcut(x)."""
        if isinstance(self.body, NormalizedConvolution):
            joined: Tensor = self.body(x, self.shortcut)
            return joined
        *layers, last = self.body
        y = x
        for layer in layers:
            y = layer(y)
        total: Tensor = last(y, self.shortcut(x))
        return total


class PooledRepeat(nn.Module):
    """A shortcut without parameters: 2x2 average pooling, then the channels repeated ``times`` times.

    Input: floating (N, C, H, W). Output: (N, times C, ceil(H/2), ceil(W/2)), the size of a 3x3 convolution with stride
    2 and padding 1. At an odd edge the average is over the pixels inside the image.

    Args:
        times: number of copies of the channels; 1 for pooling only.
    """

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = whole_number("times", times)

    def forward(self, x: Tensor) -> Tensor:
        """Return the pooled and repeated ``x``."""
        y = functional.avg_pool2d(x, 2, ceil_mode=True)
        return torch.cat([y] * self.times, -3) if self.times > 1 else y

    def extra_repr(self) -> str:
        """Return the settings that ``repr`` shows."""
        return f"times={self.times}"


def _own(shortcut: object) -> int | None:
    """Return the number by which the compiled kernels know a shortcut that they make of the input themselves."""
    if not isinstance(shortcut, (PooledRepeat, nn.Identity)) or _hooked(shortcut):
        return None
    return shortcut.times if isinstance(shortcut, PooledRepeat) else 0


def _hooked(*modules: nn.Module) -> bool:
    return any(
        module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks
        for module in modules
    )
