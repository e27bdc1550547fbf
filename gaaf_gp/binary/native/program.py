"""Learnable functions as programs that the compiled kernels run: f, its sign and its gradients in one pass.

A function with learnable vectors has no table, and as a series of torch operations it costs more than the convolution
after it. Its operations become a program, which the kernels run on pieces of the input that fit the fastest cache. Only
the input is kept for the backward pass, which computes f again.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gaaf_gp.binary.native.build import available, library
from gaaf_gp.binary.native.calls import address, check
from gaaf_gp.binary.native.convolution import Convolved
from gaaf_gp.binary.native.tracing import NotElementary, Operation, Trace, trace
from gaaf_gp.errors import FOREIGN


@dataclass(frozen=True, eq=False)
class Program:
    """A function of x and vectors, with its gradients, as steps on registers.

    Registers are x, the gradient of f(x), the vectors, the constants, and those that steps write.

    Attributes:
        forward: (steps, 5) int32, each the number of an operation, the register that it writes and three that it reads.
        backward: likewise, the steps that follow.
        constants: (K,) float32.
        gradients: (1 + V,) int32, the registers of the gradients of x and of the V vectors.
        registers: number of registers.
        value: the register of f(x).
    """

    forward: Tensor
    backward: Tensor
    constants: Tensor
    gradients: Tensor
    registers: int
    value: int

    @property
    def vectors(self) -> int:
        """Number of vectors."""
        return len(self.gradients) - 1


class _Program(ctypes.Structure):
    """As in ``elementwise.c``."""

    _fields_ = [(name, ctypes.c_void_p) for name in ("forward", "backward", "constants", "gradients")] + [
        (name, ctypes.c_int64)
        for name in ("forward_steps", "backward_steps", "constant_count", "vectors", "registers", "value")
    ]


def program_of(function: Callable[..., Tensor], vectors: int) -> Program | None:
    """Return ``function(x, s0, s1, ...)`` as a program, or None if the function or this machine does not allow it.

    Args:
        function: element by element; the vectors have one value per channel.
        vectors: number of its vectors.
    """
    if not available():
        return None
    try:
        return _program(trace(function, vectors), vectors)
    except FOREIGN:  # primitives are anybody's code: NotElementary, or whatever torch raises
        return None


def _program(recorded: Trace, vectors: int) -> Program:
    steps = (*recorded.forward, *recorded.backward)
    last = (recorded.value, *recorded.gradients)
    used = [argument for step in steps for argument in step.arguments] + list(last)
    fixed = 2 + vectors
    # by their text, because 0 equals -0 and NaN does not equal itself
    constants = {repr(value): value for value in used if isinstance(value, float)}
    places = {text: fixed + place for place, text in enumerate(constants)}
    registers, count = _allocated(steps, last, fixed, fixed + len(constants))

    def register(value: int | float) -> int:
        return places[repr(value)] if isinstance(value, float) else registers[value]

    def written(operations: Iterable[Operation]) -> Tensor:
        rows = []
        for step in operations:
            number = library().operation_number(step.name.encode())
            if number < 0:
                raise NotElementary(f"{step.name} has no form as a program")
            read = [register(argument) for argument in step.arguments]
            rows.append([number, registers[step.result], *read, *[read[0] if read else 0] * (3 - len(read))])
        return torch.tensor(rows, dtype=torch.int32, device="cpu").reshape(-1, 5)

    return Program(
        written(recorded.forward),
        written(recorded.backward),
        torch.tensor([*constants.values()], dtype=torch.float32, device="cpu"),
        torch.tensor([register(value) for value in recorded.gradients], dtype=torch.int32, device="cpu"),
        count,
        register(recorded.value),
    )


def _allocated(
    steps: Sequence[Operation], last: Sequence[int | float], fixed: int, first: int
) -> tuple[dict[int, int], int]:
    """Return the register of each value, and the number of registers; a register whose value is used up is reused.

    Args:
        steps: the steps of the forward and the backward pass.
        last: values that are read after the last step.
        fixed: number of values, from 0 on, that keep the register of the same number.
        first: the first register that steps may write.
    """
    ends = {argument: place for place, step in enumerate(steps) for argument in step.arguments}
    ends |= {value: len(steps) for value in last}
    registers = {value: value for value in range(fixed)}
    free: list[int] = []
    count = first
    for place, step in enumerate(steps):
        for argument in set(step.arguments):
            if not isinstance(argument, float) and argument >= fixed and ends[argument] == place:
                free.append(registers[argument])
        if not free:
            free.append(count)
            count += 1
        registers[step.result] = free.pop()
        if ends.get(step.result, -1) < place:  # never read
            free.append(registers[step.result])
    return registers, count


class ProgramSigns:
    """The signs of a learnable function, and the gradients through it; ``x`` is not rounded.

    Args:
        program: of the function.
        window: of the sign of f, clipped.
    """

    def __init__(self, program: Program, window: float) -> None:
        self.program = program
        self.window = window

    def look(self, x: Tensor, vectors: Sequence[Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return the packed signs of f(x), and ``x`` and the vectors."""
        pixels, channels = x.numel() // x.shape[1], x.shape[1]
        stacked = torch.stack([vector.detach() for vector in vectors])
        bits = torch.empty(pixels * -(-channels // 64), dtype=torch.int64, device="cpu")
        sources = _in_c(self.program), address(x), address(stacked)
        check(library().program_signs(*sources, pixels, channels, address(bits), torch.get_num_threads()))
        return bits, (x, stacked)

    def gradients(
        self, kept: tuple[Tensor, ...], convolved: Convolved, more: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None, tuple[Tensor | None, ...]]:
        """Return the gradients of the input, plus ``more``, of the latent weights and of the vectors."""
        x, stacked = kept
        of_x, of_weight = convolved(None, None)
        if of_x is None:
            return None, of_weight, (None,) * len(stacked)
        totals = torch.empty(stacked.shape, dtype=torch.float64, device="cpu")
        pixels, channels = x.numel() // x.shape[1], x.shape[1]
        sources = _in_c(self.program), address(x), address(stacked)
        places = address(of_x), address(more), address(totals), torch.get_num_threads()
        check(library().program_gradients(*sources, self.window, pixels, channels, *places))
        return of_x, of_weight, totals.float().unbind()


def _in_c(program: Program) -> object:
    tensors = (program.forward, program.backward, program.constants, program.gradients)
    sizes = (len(program.forward), len(program.backward), len(program.constants), program.vectors)
    return ctypes.byref(_Program(*(tensor.data_ptr() for tensor in tensors), *sizes, program.registers, program.value))
