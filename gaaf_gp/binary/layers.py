"""Binary convolution and linear layers over latent weights.

A layer keeps real-valued latent weights, which the optimizer updates, and computes with their signs and with the signs
of its inputs. If a layer has a complementary activation function, it is applied before the sign of the inputs.

Every product is +1 or -1 and every sum is an integer. In float32 that integer is exact, except for algorithms that
transform their operands (Winograd, FFT). A bfloat16 has eight bits and cannot hold all integers above 256. So a layer
computes in the dtype of its weights, usually float32, even under autocast, and autocast changes neither sums nor
gradients.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from gaaf_gp.binary import native
from gaaf_gp.binary.binarize import WINDOW, Surrogate, binarize, check_floating
from gaaf_gp.binary.signs import SignActivation
from gaaf_gp.binary.tables import SignTables, TableActivation, tabulate
from gaaf_gp.errors import GaafError
from gaaf_gp.util.bfloat16 import bfloat16_inputs
from gaaf_gp.util.checks import plain_number, positive_number, whole_number
from gaaf_gp.util.devices import lowers

PAD_VALUES = (0.0, 1.0, -1.0)
"""The values that padding may add to binarized inputs."""


class BinaryLayer(nn.Module):
    """Base class of the binary layers: latent weights, and the binarization of weights and inputs.

    Attributes:
        channels: number of input channels (features); an activation of this layer is made for this number.
        weight: the real latent weights, the only parameter of the layer itself; the state dict holds these.
        activation: the function f in sign(f(x)), or None for sign(x).
        surrogate: the surrogate gradient of the sign of the inputs.
        weight_surrogate: that of the weights, always the clipped straight-through estimator.
        real_weights: whether the layer computes with its latent weights themselves, see :func:`use_real_weights`.

    Raises:
        GaafError: an argument is out of its range, or the activation is not a module.
    """

    activation: nn.Module | None
    channel_axis: int
    """Where the channels are in the input, counted from its end; an activation sees them in dimension 1."""

    def __init__(
        self,
        channels: int,
        weight_shape: Sequence[int],
        activation: nn.Module | None,
        surrogate: Surrogate,
        weight_window: float,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.surrogate = surrogate
        self.weight_surrogate = Surrogate("clipped", positive_number("weight_window", weight_window))
        self.real_weights = False
        self.weight = nn.Parameter(torch.empty(*weight_shape))
        self.set_activation(activation)
        self.reset_parameters()

    def set_activation(self, activation: nn.Module | None) -> None:
        """Replace the activation.

        Raises:
            GaafError: it is neither a module nor None.
        """
        if activation is not None and not isinstance(activation, nn.Module):
            raise GaafError(
                f"activation must be a torch module or None, got {activation!r}; wrap a plain function in a module"
            )
        if isinstance(activation, SignActivation) and activation.surrogate != self.surrogate:
            what, fix = ("tables", "tabulate f") if isinstance(activation, TableActivation) else ("signs", "make them")
            raise GaafError(
                f"{what} must hold the surrogate of their layer, {self.surrogate}, got {activation.surrogate}; {fix} "
                "with that one"
            )
        if isinstance(getattr(self, "activation", None), nn.Module):
            del self.activation  # a module overwritten by None would stay listed as an empty child
        self.activation = activation

    def reset_parameters(self) -> None:
        """Draw new latent weights: uniform within 1/sqrt(fan-in), as in torch's own layers."""
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        """Return :meth:`result`, also under autocast in the dtype of the weights.

        Raises:
            GaafError: ``x`` is no tensor, or has another shape.
        """
        check_floating("the input of a binary layer", x)
        if not lowers(x.device):
            return self.result(x)
        wide = self.widened(x)
        with torch.autocast(x.device.type, enabled=False):
            return self.result(wide)

    def result(self, x: Tensor) -> Tensor:
        """Return the output of the layer for ``x``, in the dtype of the weights."""
        raise NotImplementedError

    def widened(self, x: Tensor) -> Tensor:
        """Return ``x`` in the dtype of the weights under autocast, which may have changed it, and ``x`` itself else."""
        return x.to(self.weight.dtype) if lowers(x.device) else x

    def binary_input(self, x: Tensor) -> Tensor:
        """Return sign(f(x)): +1 and -1 in the shape of ``x``.

        Raises:
            GaafError: the activation changes the shape.
        """
        if isinstance(self.activation, SignActivation):
            return self.activated(x)
        return binarize(self.activated(x), self.surrogate)

    def activated(self, x: Tensor) -> Tensor:
        """Return f(x), or x without an activation, or the signs of an activation that returns signs.

        Raises:
            GaafError: the activation changes the shape.
        """
        if self.activation is None:
            return x
        seen = self._channels_second(x)
        y: object = self.activation(seen)
        if not isinstance(y, Tensor) or y.shape != seen.shape:
            came = tuple(y.shape) if isinstance(y, Tensor) else type(y).__name__
            raise GaafError(
                f"an activation must keep the shape of its input, got {came} from {tuple(seen.shape)}; use a function "
                "of single values and channels"
            )
        return y if seen is x else y.movedim(1, self.channel_axis).reshape(x.shape)

    def _channels_second(self, x: Tensor) -> Tensor:
        """Return ``x`` as (N, channels, ...); where the channels are is a matter of the layer, and not of sizes."""
        if x.dim() + self.channel_axis == 1 or isinstance(self.activation, TableActivation):
            return x  # tables look at single values
        batch = x if x.dim() > -self.channel_axis else x.unsqueeze(0)
        return batch.movedim(self.channel_axis, 1)

    def binary_weight(self) -> Tensor:
        """Return the signs of the latent weights, in their shape and dtype; with ``real_weights`` the weights."""
        return self.weight if self.real_weights else binarize(self.weight, self.weight_surrogate)

    def extra_repr(self) -> str:
        """Return the settings that ``repr`` shows."""
        real = ", real_weights=True" if self.real_weights else ""
        return f"surrogate={self.surrogate}, weight_window={self.weight_surrogate.window:g}{real}"


class BinaryConv2d(BinaryLayer):
    """A convolution of the signs of f(x) with the signs of latent weights, without bias.

    y = conv2d(sign(f(x)), sign(w)), with sign(0) = +1 (Courbariaux et al. 2016, arXiv 1602.02830; f is the
    complementary activation of GAAF, Li et al. 2023, arXiv 2206.03291, Section 3). Every y is a whole number between
    -n and n, where n = in_channels / groups * height * width of the kernel. Backward, each sign has the surrogate
    derivative of :class:`~gaaf_gp.binary.Surrogate`.

    Input: floating (N, in_channels, H, W), or one image (in_channels, H, W), which an activation sees as a batch of
    one. Output: (N, out_channels, H', W') of the same dtype, or without N, where
    H' = (H + 2 padding - dilation (kernel_size - 1) - 1) // stride + 1, and W' likewise.

    Args:
        in_channels: number of input channels.
        out_channels: number of output channels.
        kernel_size: one number or (height, width), as are stride, padding and dilation.
        stride: step of the kernel.
        padding: rows and columns added on each side, in pixels.
        dilation: spacing of the kernel's taps.
        groups: divides both channel numbers.
        pad_value: the value that padding adds to the binarized input: 0, +1 or -1. With 0 the border is ternary;
            packed kernels with one bit per value support +1 or -1 only.
        activation: the complementary function f, None for none; it must keep the shape.
        surrogate: name of the surrogate gradient of the inputs' sign, see ``binarize``.
        window: its window, in units of f(x); by default that of the paper's networks, 1.3, as of all networks here.
        weight_window: window of the latent weights' straight-through estimator, in units of the weights.
        sharpness: for the surrogates that have one.

    Raises:
        GaafError: an argument is out of its range; in ``forward``, an input of another shape.
    """

    channel_axis = -3

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        *,
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        pad_value: float = 0.0,
        activation: nn.Module | None = None,
        surrogate: str = "clipped",
        window: float = WINDOW,
        weight_window: float = WINDOW,
        sharpness: float | None = None,
    ) -> None:
        in_channels, out_channels = whole_number("in_channels", in_channels), whole_number("out_channels", out_channels)
        groups = whole_number("groups", groups)
        if in_channels % groups or out_channels % groups:
            raise GaafError(
                f"groups must divide in_channels and out_channels, got groups={groups} for {in_channels} and "
                f"{out_channels}; use a common divisor such as 1"
            )
        padding_value = plain_number(pad_value)
        if padding_value not in PAD_VALUES:
            raise GaafError(f"pad_value must be 0, 1 or -1, got {pad_value!r}; use 1 or -1 for packed kernels, else 0")
        kernel = _pair("kernel_size", kernel_size)
        shape = (out_channels, in_channels // groups, *kernel)
        super().__init__(in_channels, shape, activation, Surrogate(surrogate, window, sharpness), weight_window)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = kernel
        self.stride = _pair("stride", stride)
        self.padding = _pair("padding", padding, least=0)
        self.dilation = _pair("dilation", dilation)
        self.groups = groups
        self.pad_value = float(padding_value)
        self.kernels = "torch"

    def result(self, x: Tensor) -> Tensor:
        """Return the convolution of a float (N, in_channels, H, W) as (N, out_channels, H', W').

        Raises:
            GaafError: ``x`` has another shape.
        """
        if self.fits(x):
            return self.compiled(x)
        self._check_shape(x)
        padding, stride = self.padding, self.stride
        if self.kernel_size == (1, 1) and not any(padding):
            # the pixels in between are not used; torch 2.13's strided backward pass writes out of bounds for few
            # channels in channels-last memory
            x, stride = x[..., :: stride[0], :: stride[1]], (1, 1)
        signs = self.binary_input(x)
        if self.pad_value and any(padding):
            height, width = padding
            signs = functional.pad(signs, (width, width, height, height), value=self.pad_value)
            padding = (0, 0)
        return functional.conv2d(signs, self.binary_weight(), None, stride, padding, self.dilation, self.groups)

    def _check_shape(self, x: Tensor) -> None:
        if x.dim() not in (3, 4) or x.shape[-3] != self.in_channels:
            raise GaafError(
                f"BinaryConv2d of {self.in_channels} channel(s) takes inputs of shape (N, {self.in_channels}, H, W), "
                f"got {tuple(x.shape)}; make it with in_channels of the layer before, or give it images (N, C, H, W)"
            )

    def fits(self, x: Tensor) -> bool:
        """Return whether the compiled kernels take ``x``."""
        float32 = x.dtype == self.weight.dtype == torch.float32
        binary = self.kernels != "torch" and not self.real_weights
        return binary and x.is_cpu and float32 and x.dim() == 4 and x.numel() > 0

    @property
    def direct(self) -> bool:
        """Whether the compiled kernels compute the signs from x itself, and not from f(x) as torch computes it."""
        return self.activation is None or isinstance(self.activation, TableActivation) or self._program() is not None

    def compiled(self, x: Tensor, norm: native.Norm | None = None, shortcut: Tensor | int | None = None) -> Tensor:
        """Return the result of :meth:`forward`, computed by the compiled kernels together with norm and shortcut.

        Args:
            x: an input that :meth:`fits`.
            norm: the batch normalization of the result.
            shortcut: added after the norm, see :class:`gaaf_gp.binary.native.Unit`; a number only for a
                :attr:`direct` layer.

        Raises:
            GaafError: ``x`` has another number of channels.
        """
        self._check_shape(x)
        geometry = _geometry(self.stride, self.padding, int(self.pad_value))
        window, whole = self.weight_surrogate.window, self.kernels == "fixed"
        vectors: tuple[Tensor, ...] = ()
        signs: native.Signs
        program = self._program()
        if program is not None and self.activation is not None:
            # the program of an activation that returns signs already applies the window
            window_of_signs = math.inf if isinstance(self.activation, SignActivation) else self.surrogate.window
            signs, vectors = native.ProgramSigns(program, window_of_signs), tuple(self.activation.parameters())
        elif isinstance(self.activation, TableActivation):
            signs = native.TableSigns(self.activation.packed)
        elif isinstance(self.activation, SignActivation):
            x, signs = self.activated(x), native.TableSigns(_as_they_are(self.surrogate).packed)
        else:
            x, signs = self.activated(x), native.TableSigns(_plain_sign(self.surrogate).packed)
        return native.binary_unit(x, self.weight, native.Unit(signs, geometry, window, whole, vectors, norm, shortcut))

    def _program(self) -> native.Program | None:
        program = getattr(self.activation, "kernel", None)
        return program if isinstance(program, native.Program) and self.surrogate.name == "clipped" else None

    def extra_repr(self) -> str:
        """Return the settings that ``repr`` shows."""
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"padding={self.padding}, dilation={self.dilation}, groups={self.groups}, pad_value={self.pad_value:g}, "
            + super().extra_repr()
        )


class BinaryLinear(BinaryLayer):
    """A product of the signs of f(x) with the signs of latent weights, without bias.

    y = sign(f(x)) sign(w)^T, with sign(0) = +1, see :class:`BinaryConv2d`. Every y is a whole number between
    -in_features and in_features. An activation sees the features in dimension 1, as channels: (N, in_features, ...),
    whatever the shape of the input.

    Input: floating (..., in_features). Output: (..., out_features) of the same dtype.

    Args:
        in_features: size of the last dimension of the input.
        out_features: size of the last dimension of the output.
        activation: see :class:`BinaryConv2d`.
        surrogate: see :class:`BinaryConv2d`.
        window: see :class:`BinaryConv2d`.
        weight_window: see :class:`BinaryConv2d`.
        sharpness: see :class:`BinaryConv2d`.

    Raises:
        GaafError: an argument is out of its range; in ``forward``, an input of another shape.
    """

    channel_axis = -1

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        activation: nn.Module | None = None,
        surrogate: str = "clipped",
        window: float = WINDOW,
        weight_window: float = WINDOW,
        sharpness: float | None = None,
    ) -> None:
        in_features, out_features = whole_number("in_features", in_features), whole_number("out_features", out_features)
        shape = (out_features, in_features)
        super().__init__(in_features, shape, activation, Surrogate(surrogate, window, sharpness), weight_window)
        self.in_features = in_features
        self.out_features = out_features

    def result(self, x: Tensor) -> Tensor:
        """Return the product of a float (..., in_features) as (..., out_features).

        Raises:
            GaafError: ``x`` has another last dimension.
        """
        if x.dim() < 1 or x.shape[-1] != self.in_features:
            raise GaafError(
                f"BinaryLinear of {self.in_features} feature(s) takes inputs of shape (..., {self.in_features}), got "
                f"{tuple(x.shape)}; make it with the size of the last dimension, or flatten the input: x.flatten(1)"
            )
        return functional.linear(self.binary_input(x), self.binary_weight())

    def extra_repr(self) -> str:
        """Return the settings that ``repr`` shows."""
        return f"{self.in_features}, {self.out_features}, " + super().extra_repr()


def binary_layers(model: nn.Module) -> Iterator[BinaryLayer]:
    """Yield every binary layer of ``model`` once, itself included, in the order of its modules."""
    return (module for module in model.modules() if isinstance(module, BinaryLayer))


def use_real_weights(model: nn.Module, real: bool = True) -> None:
    """Let the binary layers of ``model`` compute with their latent weights themselves, or with their signs again.

    The inputs stay binary. It is the first of two stages of training; the second starts from these weights and uses
    their signs (ReActNet, Liu et al. 2020, arXiv 2003.03488). Such layers run in torch, not in the compiled kernels.
    """
    for layer in binary_layers(model):
        layer.real_weights = real


@torch.no_grad()
def clip_latent_weights(model: nn.Module, limit: float) -> None:
    """Clamp the latent weights of all binary layers of ``model`` to [-limit, +limit], in place.

    A latent weight beyond its window gets no gradient and would stay there forever: call this after every step of the
    optimizer.

    Raises:
        GaafError: ``limit`` is not a number above 0.
    """
    limit = positive_number("limit", limit)
    for layer in binary_layers(model):
        layer.weight.clamp_(-limit, limit)


def _pair(name: str, value: object, least: int = 1) -> tuple[int, int]:
    both = value if isinstance(value, Sequence) and not isinstance(value, str) else (value, value)
    if len(both) != 2:
        raise GaafError(f"{name} must be one whole number or two (height, width), got {value!r}; give {name}={least}")
    height, width = (whole_number(name, side, least) for side in both)
    return height, width


_geometry = functools.lru_cache(maxsize=256)(native.Geometry)


@functools.cache
def _plain_sign(surrogate: Surrogate) -> SignTables:
    return tabulate(nn.Identity(), surrogate)


@functools.cache
def _as_they_are(surrogate: Surrogate) -> SignTables:
    """Return tables that leave signs and their gradients unchanged."""
    every = bfloat16_inputs().flatten()
    return SignTables(every >= 0, torch.ones_like(every, dtype=torch.bfloat16), surrogate)
