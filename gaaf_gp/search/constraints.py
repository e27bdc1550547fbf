"""What a user may demand of the structure of every tree, beyond its types; generation and variation keep to it.

``evolve(constraints=[NoneInside("periodic", "periodic"), AtMost(2, "sin"), Below("tan", 1)])``, or as text: ``"no
periodic inside periodic"``, ``"at most 2 sin"``, ``"at most 1 below tan"``. A word is the name of a primitive or
terminal, or one of the tags ``periodic``, ``learnable`` and ``commutative``.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gaaf_gp.errors import GaafError, listed
from gaaf_gp.search.bloat.control import Control
from gaaf_gp.trees.candidate import Evolved, TwoTrees
from gaaf_gp.trees.individual import Individual
from gaaf_gp.trees.primitive import TAGS
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.trees.tree import depths, subtree_ends
from gaaf_gp.util.checks import whole_fields


@dataclass
class Constraint(Control):
    """A demand on every tree, of two trees on each; it is a :class:`~gaaf_gp.search.bloat.Control` that limits."""

    def admits(self, child: Evolved, rng: random.Random) -> bool:  # noqa: ARG002
        """Return whether each tree meets the demand."""
        trees = (child.forward, child.backward) if isinstance(child, TwoTrees) else (child,)
        return all(self.holds(tree) for tree in trees)

    def holds(self, tree: Individual) -> bool:
        """Return whether one tree meets the demand."""
        raise NotImplementedError

    def words(self) -> tuple[str, ...]:
        """Return the names and tags that it speaks of."""
        raise NotImplementedError


@dataclass
class NoneInside(Constraint):
    """No ``inner`` anywhere below an ``outer``: ``NoneInside("periodic", "periodic")`` forbids sin(cos(x)).

    Attributes:
        inner: name or tag of what is forbidden there.
        outer: name or tag of what it is forbidden below.
    """

    inner: str = "periodic"
    outer: str = "periodic"

    def holds(self, tree: Individual) -> bool:
        """Return whether there is none."""
        ends = subtree_ends(tree)
        closed = 0  # up to here nodes are below an outer one
        for index, node in enumerate(tree):
            if index < closed and is_called(node, self.inner, tree.pset):
                return False
            if is_called(node, self.outer, tree.pset):
                closed = max(closed, ends[index])
        return True

    def words(self) -> tuple[str, ...]:
        """Return both names."""
        return self.inner, self.outer


@dataclass
class AtMost(Constraint):
    """At most ``times`` uses of a primitive, a terminal or a tag in one tree.

    Attributes:
        times: how often at most.
        of: name or tag.
    """

    times: int = 1
    of: str = "periodic"

    def __post_init__(self) -> None:
        super().__post_init__()
        whole_fields(self, times=0)

    def holds(self, tree: Individual) -> bool:
        """Return whether there are no more."""
        return sum(is_called(node, self.of, tree.pset) for node in tree) <= self.times

    def words(self) -> tuple[str, ...]:
        """Return the name."""
        return (self.of,)


@dataclass
class Below(Constraint):
    """Trees below a primitive are at most ``levels`` high: with ``Below("tan", 0)`` it takes nothing but terminals.

    Attributes:
        of: name or tag of the primitive.
        levels: height, in edges, of the highest of its arguments that is allowed.
    """

    of: str = "periodic"
    levels: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        whole_fields(self, levels=0)

    def holds(self, tree: Individual) -> bool:
        """Return whether no argument is higher."""
        ends, deep = subtree_ends(tree), depths(tree)
        return all(
            max(deep[index : ends[index]]) - deep[index] - 1 <= self.levels
            for index, node in enumerate(tree)
            if node.arity and is_called(node, self.of, tree.pset)
        )

    def words(self) -> tuple[str, ...]:
        """Return the name."""
        return (self.of,)


def is_called(node: Any, word: str, pset: PrimitiveSet) -> bool:
    """Return whether a node is the primitive or terminal of that name, or one of those that a tag stands for."""
    if node.name == word:
        return True
    return node.name in pset.traits and word in pset.traits[node.name].tags


ConstraintLike = Constraint | str

_WHOLE = "[0-9]{1,9}"
"""More digits than a tree has nodes; of thousands of them Python makes no number."""

_FORMS: tuple[tuple[str, str, Callable[..., Constraint]], ...] = (
    (r"no (\w+) inside (\w+)", "no A inside B", lambda inner, outer: NoneInside(inner=inner, outer=outer)),
    (rf"at most ({_WHOLE}) below (\w+)", "at most N below A", lambda levels, of: Below(of=of, levels=int(levels))),
    (rf"at most ({_WHOLE}) (\w+)", "at most N A", lambda times, of: AtMost(times=int(times), of=of)),
)


def as_constraints(chosen: ConstraintLike | Sequence[ConstraintLike], pset: PrimitiveSet) -> list[Constraint]:
    """Return constraints of what may be some, their texts, or a sequence of these.

    Raises:
        GaafError: a text cannot be read, or one speaks of what the set does not have.
    """
    parts = [chosen] if isinstance(chosen, Constraint | str) else list(chosen)
    made = [part if isinstance(part, Constraint) else _read(part) for part in parts]
    allowed = {*pset.mapping, *TAGS}
    for constraint in made:
        unknown = [word for word in constraint.words() if word not in allowed]
        if unknown:
            raise GaafError(
                f"a constraint must speak of what is in set {pset.name!r} or of {listed(TAGS)}, got {unknown[0]!r}: "
                f"the set has {listed(sorted(pset.mapping))}"
            )
    return made


def _read(text: object) -> Constraint:
    for pattern, _, make in _FORMS:
        match = re.fullmatch(pattern, text.strip()) if isinstance(text, str) else None
        if match:
            return make(*match.groups())
    raise GaafError(
        f"a constraint must be written as one of: {listed(_forms())}; got {text!r}: for example "
        '"no periodic inside periodic"'
    )


def _forms() -> Iterator[str]:
    return (form for _, form, _ in _FORMS)
