"""What binary layers share: latent weights, the binarization of weights and inputs, and how to find them in a model."""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from gaaf_gp.binary.binarize import Surrogate, binarize, positive_number
from gaaf_gp.binary.signs import SignActivation
from gaaf_gp.binary.tables import TableActivation
from gaaf_gp.computing import lowers
from gaaf_gp.errors import GaafError


class BinaryLayer(nn.Module):
    """What binary layers share: latent weights, and the binarization of weights and inputs.

    Attributes:
        channels: number of input channels (features), what an activation of this layer is made for.
        weight: the real latent weights, the only parameter of the layer itself; they are what the state dict holds.
        activation: the function f in sign(f(x)), or None for sign(x).
        surrogate: the surrogate gradient of the sign of the inputs.
        weight_surrogate: that of the weights, always the clipped straight-through estimator.
        real_weights: whether the layer computes with its latent weights themselves, see :func:`use_real_weights`.

    Raises:
        GaafError: an argument is out of its range, or the activation is no module.
    """

    activation: nn.Module | None

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
        """Draw the latent weights anew: uniform within 1/sqrt(fan-in), as torch's own layers are."""
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        """Return :meth:`result`, also under autocast in the dtype of the weights."""
        if not lowers(x.device):
            return self.result(x)
        wide = self.widened(x)
        with torch.autocast(x.device.type, enabled=False):
            return self.result(wide)

    def result(self, x: Tensor) -> Tensor:
        """Return what the layer makes of ``x``."""
        raise NotImplementedError

    def widened(self, x: Tensor) -> Tensor:
        """Return ``x`` as the layer takes it: in the dtype of the weights where autocast may have made it another."""
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
        y = x if self.activation is None else self.activation(x)
        if y.shape != x.shape:
            raise GaafError(
                f"an activation must keep the shape of its input, got {tuple(y.shape)} from {tuple(x.shape)}; "
                "use a function of single values and channels"
            )
        return y

    def binary_weight(self) -> Tensor:
        """Return the signs of the latent weights, in their shape and dtype; with ``real_weights`` the weights."""
        return self.weight if self.real_weights else binarize(self.weight, self.weight_surrogate)

    def extra_repr(self) -> str:
        """Return the settings that ``repr`` shows."""
        real = ", real_weights=True" if self.real_weights else ""
        return f"surrogate={self.surrogate}, weight_window={self.weight_surrogate.window:g}{real}"


def binary_layers(model: nn.Module) -> Iterator[BinaryLayer]:
    """Yield every binary layer of ``model`` once, itself included, in the order of its modules."""
    return (module for module in model.modules() if isinstance(module, BinaryLayer))


def use_real_weights(model: nn.Module, real: bool = True) -> None:
    """Let the binary layers of ``model`` compute with their latent weights themselves, or with the signs of them again.

    The inputs stay binary. It is the first of two stages of training; the second goes on from its weights with their
    signs (ReActNet, Liu et al. 2020, arXiv 2003.03488). Such layers run in torch, not in the compiled kernels.
    """
    for layer in binary_layers(model):
        layer.real_weights = real


@torch.no_grad()
def clip_latent_weights(model: nn.Module, limit: float) -> None:
    """Clamp the latent weights of all binary layers of ``model`` to [-limit, +limit], in place.

    A latent weight beyond its window gets no gradient and would never come back: call this after every step of the
    optimizer.

    Raises:
        GaafError: ``limit`` is no number above 0.
    """
    limit = positive_number("limit", limit)
    for layer in binary_layers(model):
        layer.weight.clamp_(-limit, limit)
