"""Adam over a fixed list of parameters: torch's fused update without the surroundings of ``torch.optim``.

For the small networks of a proxy those surroundings cost as much time as the update itself, and more than a second of
imports in every worker process. Results are bit for bit those of ``torch.optim.Adam(parameters, fused=True)``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor
from torch.optim.adam import adam

BETAS = (0.9, 0.999)
"""Decay of the two moments (Kingma and Ba 2015, Algorithm 1), as in the code of the GAAF paper: torch's defaults."""
EPSILON = 1e-8
LANES = 16
"""On a CPU torch updates at most so many numbers at once, and rounds those that are left over differently."""
MOMENTS = ("step", "exp_avg", "exp_avg_sq")
"""What is kept for each parameter, under torch's names: steps made, mean of gradients, mean of their squares."""


class Adam:
    """The optimiser of a training (Kingma and Ba 2015, arXiv 1412.6980, Algorithm 1), without weight decay.

    Args:
        parameters: leaves of the graph, floating point, on one device.
        rows: whether no bit of a row, ``parameter[i]``, may depend on its place or on the other rows. Without it that
            holds where every parameter has a multiple of 16 numbers, and on a GPU.
    """

    def __init__(self, parameters: Iterable[Tensor], *, rows: bool = False) -> None:
        self.parameters = list(parameters)
        self.rows = rows
        self._moments: dict[int, tuple[Tensor, ...]] = {}

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self, learning_rate: Tensor | float, scale: Tensor | None = None, skip: Tensor | None = None) -> None:
        """Move every parameter that has a gradient; the others stay, and their moments too.

        Args:
            learning_rate: of this step; on a GPU it may be there already, () float32.
            scale: () float32 on the device; gradients are divided by it, in place. None leaves them alone.
            skip: () float32 on the device; where it is 1 nothing changes, and no step is counted. None for 0.
        """
        moved = [(number, parameter) for number, parameter in enumerate(self.parameters) if parameter.grad is not None]
        for number, parameter in moved:
            if number not in self._moments:
                count = torch.zeros((), dtype=torch.float32, device=parameter.device)
                self._moments[number] = (count, torch.zeros_like(parameter), torch.zeros_like(parameter))
        if not moved:
            return
        moves = [
            move
            for number, parameter in moved
            if parameter.grad is not None
            for move in self._moves((parameter, parameter.grad, *self._moments[number]))
        ]
        parameters, gradients, counts, means, squares = (list(column) for column in zip(*moves, strict=True))
        adam(
            parameters,
            gradients,
            means,
            squares,
            [],
            counts,
            fused=True,
            grad_scale=scale,
            found_inf=skip,
            amsgrad=False,
            beta1=BETAS[0],
            beta2=BETAS[1],
            lr=learning_rate,
            weight_decay=0.0,
            eps=EPSILON,
            maximize=False,
        )

    def _moves(self, whole: tuple[Tensor, ...]) -> list[tuple[Tensor, ...]]:
        """Return what torch is to move on its own: a parameter, its gradient, count and moments, or those of its rows.

        All rows are as long, so what is left over is in the same places of each.
        """
        parameter, gradient, count, mean, square = whole
        if not self.rows or parameter.device.type != "cpu" or parameter.numel() % LANES == 0:
            return [whole]
        counts = [count, *(count.clone() for _ in parameter[1:])]  # torch counts each on, and one of them is kept
        return list(zip(parameter, gradient, counts, mean, square, strict=True))

    def moments(self) -> dict[int, dict[str, Tensor]]:
        """Return what is kept for each parameter that was ever moved, by its number; not a copy."""
        return {number: dict(zip(MOMENTS, kept, strict=True)) for number, kept in sorted(self._moments.items())}

    def restore(self, moments: Mapping[int, Mapping[str, Tensor]]) -> None:
        """Go on from copies of ``moments``, each in the memory layout of its parameter: torch walks both together."""
        self._moments = {
            number: tuple(_placed(kept[name], self.parameters[number]) for name in MOMENTS)
            for number, kept in moments.items()
        }


def _placed(moment: Tensor, parameter: Tensor) -> Tensor:
    if moment.shape != parameter.shape:  # the count of steps
        return moment.to(parameter.device, copy=True)
    return torch.empty_like(parameter, requires_grad=False, dtype=moment.dtype).copy_(moment)
