"""What a binary layer gets for a candidate: tables that all layers share, or a module that learns."""

from __future__ import annotations

import torch
from torch import nn

from gaaf_gp.binary import ActivationFactory, SignTables, SplitSign, Surrogate, TableActivation, native, split, tabulate
from gaaf_gp.binary.baselines import LEARNING
from gaaf_gp.trees.candidate import Baseline, Candidate, TwoTrees
from gaaf_gp.trees.compile import Activation
from gaaf_gp.trees.grid import visited
from gaaf_gp.trees.individual import Individual
from gaaf_gp.util.devices import plain_defaults


@plain_defaults()
def activation_factory(
    candidate: Candidate | None, surrogate: Surrogate, *, tables: bool, device: torch.device, programs: bool = False
) -> ActivationFactory | None:
    """Return what makes the activation of a layer: tables that all layers share, or the function itself.

    Args:
        candidate: what is trained; None for the plain sign.
        surrogate: of the sign of f, part of the tables and of what two trees become.
        tables: whether to use them where nothing learns.
        device: where the layers are.
        programs: whether the compiled kernels run what learns, where that can be done.
    """
    if isinstance(candidate, Baseline):
        return _baseline(candidate, programs)
    if isinstance(candidate, TwoTrees):
        return _two_trees(candidate, surrogate, tables, device, programs)
    return _one_tree(candidate, surrogate, tables, device, programs)


def _one_tree(
    individual: Individual | None, surrogate: Surrogate, tables: bool, device: torch.device, programs: bool
) -> ActivationFactory | None:
    function: Activation | nn.Identity = nn.Identity() if individual is None else Activation(individual, 1)
    vectors, elementwise = _vectors(function), _elementwise(function)
    if tables and not vectors and elementwise:
        made = tabulate(function, surrogate).to(device)
        formula = "x" if individual is None else individual.infix()
        return lambda _channels: TableActivation(made, formula)
    if individual is None:
        return None
    kernel = None
    if programs and elementwise and vectors and isinstance(function, Activation):
        kernel = native.program_of(function.function(), vectors)

    def learnable(channels: int) -> nn.Module:
        activation = Activation(individual, channels)
        activation.kernel = kernel
        return activation

    return learnable


def _two_trees(
    pair: TwoTrees, surrogate: Surrogate, tables: bool, device: torch.device, programs: bool
) -> ActivationFactory:
    f, g = (Activation(tree, 1) for tree in (pair.forward, pair.backward))
    own, vectors = _vectors(f), _vectors(f) + _vectors(g)
    elementwise = _elementwise(f) and _elementwise(g)
    if tables and not vectors and elementwise:
        made = SignTables(tabulate(f, surrogate).sign, tabulate(g, surrogate).slope, surrogate).to(device)
        return lambda _channels: TableActivation(made, pair.infix())
    kernel = None
    if programs and elementwise and vectors and surrogate.name == "clipped":
        kernel = native.program_of(split(f.function(), g.function(), own, surrogate.window), vectors)

    def learnable(channels: int) -> nn.Module:
        activation = two_signs(pair, channels, surrogate)
        activation.kernel = kernel
        return activation

    return learnable


def two_signs(pair: TwoTrees, channels: int, surrogate: Surrogate) -> SplitSign:
    """Return two trees as a module that returns signs, for inputs of so many channels."""
    return SplitSign(Activation(pair.forward, channels), Activation(pair.backward, channels), surrogate)


def _baseline(baseline: Baseline, programs: bool) -> ActivationFactory:
    made = LEARNING[baseline.name]
    kernel = native.program_of(made.function, _vectors(made(1))) if programs else None

    def learnable(channels: int) -> nn.Module:
        activation = made(channels)
        activation.kernel = kernel
        return activation

    return learnable


def _vectors(function: nn.Module) -> int:
    return len(list(function.parameters()))


@torch.no_grad()
def _elementwise(function: nn.Module) -> bool:
    """Return whether f(v) seems to depend on v alone: a primitive that looks at other values has no table."""
    inputs = visited()
    sample = inputs[::97]
    return torch.allclose(function(inputs)[::97], function(sample), rtol=1e-3, equal_nan=True)
