"""The individual: a typed tree that knows its primitive set, can be written, read, compared, hashed and pickled."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from deap import base, gp

from gaaf_gp.errors import GaafError
from gaaf_gp.trees import render
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.trees.tree import check_tree

Draw = Callable[[Any], str]
"""From an individual to its picture as SVG."""
_drawers: list[Draw] = []


class Fitness(base.Fitness):  # type: ignore[misc]
    """DEAP's fitness, maximising one value, in which NaN can never win.

    A value that is not finite counts as the worst possible one: DEAP compares NaN as neither better nor worse, so
    that a tournament may pick it and a hall of fame may keep it.
    """

    weights: Sequence[float] = (1.0,)
    wvalues: tuple[float, ...] = ()

    def _set_values(self, values: Sequence[float]) -> None:
        if len(values) != len(self.weights):
            raise GaafError(
                f"a fitness of {len(self.weights)} objective(s) must get as many values, got {len(values)}: name all "
                'objectives, as in make_toolbox(..., objectives=("accuracy", "size"))'
            )
        self.setValues(values)
        if not all(map(math.isfinite, self.wvalues)):
            self.wvalues = (-math.inf,) * len(self.wvalues)

    values = property(base.Fitness.getValues, _set_values, base.Fitness.delValues)


class ParetoFitness(Fitness):
    """Two goals for NSGA-II: the first value (accuracy) as high, the second (size) as low as can be."""

    weights = (1.0, -1.0)


class Individual(gp.PrimitiveTree):  # type: ignore[misc]
    """A typed expression tree, a ``gp.PrimitiveTree`` for DEAP.

    Args:
        content: nodes in depth-first order, as DEAP's and our generators return them.
        pset: the set that the nodes come from; taken over when ``content`` is an Individual.
        fitness: by default that of a class that ``creator.create("Name", Individual, fitness=...)`` made, else a new
            :class:`Fitness`.

    Raises:
        GaafError: if the nodes are not one complete, well-typed tree of the set.
    """

    pset: PrimitiveSet
    fitness: base.Fitness

    def __init__(
        self, content: Iterable[Any], pset: PrimitiveSet | None = None, fitness: base.Fitness | None = None
    ) -> None:
        super().__init__(content)
        chosen = pset if pset is not None else getattr(content, "pset", None)
        if chosen is None:
            raise GaafError("an individual must know its primitive set, got none: pass pset=")
        self.pset = chosen
        if fitness is not None:
            self.fitness = fitness
        elif "fitness" not in vars(self):  # classes of DEAP's creator have theirs by now
            self.fitness = Fitness()
        check_tree(self, chosen.ret)
        unknown = next((n for n in self if not chosen.holds(n)), None)
        if unknown is not None:
            raise GaafError(
                f"nodes must come from set {chosen.name!r}, got {unknown.name!r}: add it with addPrimitive, or pass "
                "the set that the tree was made with"
            )

    @classmethod
    def from_string(cls, string: str, pset: PrimitiveSet) -> Individual:
        """Return the tree written as ``string``, as ``gp.PrimitiveTree.from_string`` does; nothing is evaluated.

        Raises:
            GaafError: as :func:`gaaf_gp.parse`.
        """
        from gaaf_gp.trees.parser import parse  # noqa: PLC0415 (it makes individuals)

        return cls(parse(string, pset), pset)

    @property
    def size(self) -> int:
        """Number of nodes."""
        return len(self)

    @property
    def cost(self) -> float:
        """Sum of the costs of the nodes, in units of one addition per element."""
        return sum(self.pset.traits[node.name].cost for node in self if node.name in self.pset.traits)

    @property
    def canonical(self) -> str:
        """The identity of the tree: its text with commutative arguments in a fixed order."""
        return render.canonical(self, self.pset)

    def in_canonical_order(self) -> Individual:
        """Return a new tree, without fitness, whose text is :attr:`canonical`: the form in which trees are trained."""
        return Individual(render.canonical_nodes(self, self.pset), self.pset, type(self.fitness)())

    def infix(self, digits: int = 4) -> str:
        """Return the formula as a person writes it, such as ``sin(x) + x``."""
        return render.infix(self, self.pset, digits)

    def latex(self, digits: int = 4) -> str:
        """Return the formula in LaTeX's mathematics mode."""
        return render.latex(self, self.pset, digits)

    def __str__(self) -> str:
        return render.text(self)

    def __repr__(self) -> str:
        return f"Individual({str(self)!r})"

    def _repr_svg_(self) -> str | None:
        """Return the picture that notebooks show."""
        return svg_of(self)

    def __hash__(self) -> int:
        return hash(str(self))

    def __deepcopy__(self, memo: dict[int, Any]) -> Individual:
        """Copy the list of nodes and the fitness; nodes and set are never changed in place and are shared."""
        new = type(self).__new__(type(self))
        memo[id(self)] = new
        list.extend(new, self)
        for key, value in self.__dict__.items():  # one by one: a dictionary of its own would double the size
            setattr(new, key, value if key == "pset" else copy.deepcopy(value, memo))
        return new


def draw_with(draw: Draw) -> Draw:
    """Let ``draw`` make the pictures from now on; it is returned, so that this decorates a function."""
    _drawers[:] = [draw]
    return draw


def svg_of(individual: object) -> str | None:
    """Return the picture of an individual as SVG, None where nothing draws: a notebook then shows its text."""
    return _drawers[0](individual) if _drawers else None
