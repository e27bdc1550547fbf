"""Hand-made competitors of an evolved function: the shifted sign and the shifted PReLU of ReActNet.

Both learn a few numbers per channel and are used as an activation, so that a search can be compared with them in the
same network, at the same budget.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn

from gaaf_gp.binary.building import ActivationFactory
from gaaf_gp.errors import GaafError
from gaaf_gp.util.checks import whole_number


class PerChannel(nn.Module, ABC):
    """Base class of both: a function of x and of learnable vectors with one number per channel.

    y = function(x, *parameters), element by element.

    Input: floating (N, channels, ...). Output: the same shape and dtype.

    Attributes:
        kernel: the function as a :class:`gaaf_gp.binary.native.Program`, which layers with compiled kernels then run;
            None by default.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = whole_number("channels", channels)
        self.kernel: object | None = None

    @staticmethod
    @abstractmethod
    def function(x: Tensor, *vectors: Tensor) -> Tensor:
        """Return f(x); the vectors are the parameters in their order, of shapes that broadcast over ``x``."""

    def forward(self, x: Tensor) -> Tensor:
        """Return f(x) in the shape and dtype of ``x``, (N, channels, ...).

        Raises:
            GaafError: ``x`` has another number of channels.
        """
        return self.function(x, *(self.vector(parameter, x) for parameter in self.parameters()))

    def vector(self, parameter: Tensor, x: Tensor) -> Tensor:
        """Return ``parameter`` in the dtype of ``x``, shaped to be added to its channels."""
        if x.dim() < 2 or x.shape[1] != self.channels:
            raise GaafError(
                f"{type(self).__name__} of {self.channels} channel(s) takes inputs of shape (N, {self.channels}, ...), "
                f"got {tuple(x.shape)}; make it with the number of channels of its layer"
            )
        return parameter.to(x.dtype).view(1, -1, *(1,) * (x.dim() - 2))

    def extra_repr(self) -> str:
        """Return the settings that ``repr`` shows."""
        return f"channels={self.channels}"


class RSign(PerChannel):
    """x + b with a learnable b per channel: before a sign, the RSign of ReActNet (Liu et al. 2020, Section 4.2).

    f(x) = x + b, so that a layer computes sign(x + b). The threshold of ReActNet's sign(x - a) is a = -b (arXiv
    2003.03488). It is the tree ``shift(x)`` of ``primitives.gaaf``.

    Input and output: floating (N, channels, ...).

    Attributes:
        shift: b, (channels,), zero at the start: the plain sign.

    Args:
        channels: number of channels of the inputs.

    Raises:
        GaafError: ``channels`` is no whole number of at least 1; in ``forward``, an input of other channels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.shift = nn.Parameter(torch.zeros(channels))

    @staticmethod
    def function(x: Tensor, *vectors: Tensor) -> Tensor:
        """Return x + b."""
        (shift,) = vectors
        return x + shift


class RPReLU(PerChannel):
    """PReLU(x + a) + b with a learnable a, b and negative slope per channel (ReActNet, Liu et al. 2020, Section 4.2).

    f(x) = y + b where y = x + a is above 0, else slope * y + b (arXiv 2003.03488).

    Input and output: floating (N, channels, ...).

    ReActNet places it after each shortcut, so that the next shortcut gets its output too, and an RSign after it. Used
    as an activation, only the sign gets its output, and an RSign after it would learn nothing new, because its shift
    adds to b. In the paper's letters, gamma is -a and zeta is b.

    Attributes:
        shift_in: a, (channels,), zero at the start.
        slope: below -a, (channels,), 0.25 at the start, as of ``nn.PReLU``.
        shift_out: b, (channels,), zero at the start: f has the sign of x until something is learned.

    Args:
        channels: number of channels of the inputs.

    Raises:
        GaafError: ``channels`` is no whole number of at least 1; in ``forward``, an input of other channels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.shift_in = nn.Parameter(torch.zeros(channels))
        self.slope = nn.Parameter(torch.full((channels,), 0.25))
        self.shift_out = nn.Parameter(torch.zeros(channels))

    @staticmethod
    def function(x: Tensor, *vectors: Tensor) -> Tensor:
        """Return PReLU(x + a) + b."""
        shift_in, slope, shift_out = vectors
        y = x + shift_in
        return torch.where(y > 0, y, slope * y) + shift_out


LEARNING: Mapping[str, type[PerChannel]] = MappingProxyType({"rsign": RSign, "rprelu": RPReLU})
"""The baselines that learn, by name."""
BASELINES: Mapping[str, ActivationFactory | None] = MappingProxyType({"sign": None, **LEARNING})
"""What an evolved function is compared with, by name: factories of activations, None for the plain sign."""
