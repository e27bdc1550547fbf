"""Trainings in float64, in which a stack and single trainings must agree to the end."""

import functools
from typing import Any

import pytest
from torch import Tensor, nn

from gaaf_gp.data.batches import Batches
from gaaf_gp.training.proxy import Proxy
from gaaf_gp.trees.candidate import Candidate
from gaaf_gp.trees.individual import Individual
from gaaf_gp.trees.parser import parse
from gaaf_gp.trees.pset import PrimitiveSet

TEXTS = [None, "sin(x)", "sub(cos(x), const(0.3))", "neg(add(sin(x), x))", "max(sin(x), x)"]


class DoubleBatches(Batches):
    """Images in float64."""

    def normalized(self, images: Tensor) -> Tensor:
        return super().normalized(images).double()


class DoubleProxy(Proxy):
    """The same training in float64, where no rounding is large enough to turn a sign."""

    def _build(self, individual: Candidate | None) -> nn.Module:
        return super()._build(individual).double()

    @functools.cached_property
    def batches(self) -> DoubleBatches:
        return DoubleBatches(self.data, self.batch_size, pad=self.pad, flip=self.flip)


@pytest.fixture(scope="session")
def make_double() -> type[DoubleProxy]:
    """See DoubleProxy."""
    return DoubleProxy


@pytest.fixture(scope="session")
def stackable(free: PrimitiveSet) -> list[Individual | None]:
    """The plain sign and four trees, one of which starts with negated weights; all are looked up in tables."""
    return [None if text is None else parse(text, free) for text in TEXTS]


@pytest.fixture(scope="session")
def torch_settings(tiny_settings: dict[str, Any]) -> dict[str, Any]:
    """Arguments of a Proxy whose trainings can be stacked on a CPU."""
    return {**tiny_settings, "kernels": "torch"}
