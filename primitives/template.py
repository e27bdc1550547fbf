"""Copy this file, change it, and run your own set: ``gaaf-gp evolve --primitives path/to/your_file.py:make_pset``."""

from __future__ import annotations

import random

import torch
from torch import Tensor

from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.types import Channel, Feature, Scalar


# A primitive is a function of tensors that works element by element. Define it with def at the top of the module, not
# as a lambda: worker processes find it by its name.
def sawtooth(x: Tensor) -> Tensor:
    """Return x - floor(x): 0 to 1, again and again. Its gradient is 1 everywhere."""
    return x - torch.floor(x)


def damped(x: Tensor, s: Tensor) -> Tensor:
    """Return sin(s*x) / (1 + |x|), where s is learned: one value per channel, shaped to broadcast over x."""
    return torch.sin(s * x) / (1 + torch.abs(x))


def times(x: Tensor, c: Tensor) -> Tensor:
    """Return c*x for an evolved constant c, which comes as a 0-dim tensor."""
    return c * x


def small_number() -> float:
    """Draw a constant. Drawing from Python's random module is right: the run lends it its own seeded generator."""
    return round(random.gauss(0.0, 1.0), 3)


def make_pset() -> PrimitiveSet:
    """Return the set; any function that returns a PrimitiveSet will do."""
    pset = PrimitiveSet("my primitives")  # one Feature called x goes in, one Feature comes out

    # DEAP's call: function, argument types, returned type. The function is tried at once on zeros, ones, negatives
    # and large values, and refused with a reason if its value or gradient is not finite there.
    pset.addPrimitive(torch.tanh, [Feature], Feature)

    # More can be said of it: what it costs (1 = an addition), how it is written, whether it is periodic. In the
    # templates {0} is the first argument, and {0:1} puts parentheses around it if it binds less tightly than a sum.
    pset.addPrimitive(torch.add, [Feature, Feature], Feature, infix="{0:1} + {1:1}", precedence=1, commutative=True)
    pset.addPrimitive(
        sawtooth, [Feature], Feature, cost=2, latex=r"\operatorname{{saw}}\left({0}\right)", periodic=True
    )

    # A function that learns: its extra argument starts at 1 in every channel and is trained with the network.
    pset.addPrimitive(damped, [Feature], Feature, cost=6, learnable=(1.0,))

    # The same as a terminal: every s in a tree is its own learnable vector.
    pset.addLearnable("s", initial=1.0)
    pset.addPrimitive(torch.mul, [Channel, Feature], Feature, name="weigh")

    # Evolved constants. Each type that some argument asks for needs a terminal, or the set is refused.
    pset.addPrimitive(times, [Feature, Scalar], Feature)
    pset.addEphemeralConstant("number", small_number, Scalar)
    return pset.check()
