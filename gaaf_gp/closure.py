"""From which types a finite tree can be grown, and the smallest one of each.

DEAP finds out half-way through a tree that a type has no terminal. What is computed here, once for a set as it is,
lets generation and variation choose only what can be closed, and lets a set that cannot be closed be refused.
"""

from __future__ import annotations

import math

from deap import gp

from gaaf_gp.errors import GaafError


class Closure:
    """The closing trees of one state of a set; a set that is added to makes a new one."""

    def __init__(self, pset: gp.PrimitiveSetTyped) -> None:
        self.pset = pset
        self._least: dict[tuple[type, int], float] = {}
        self._varying: dict[type, bool] = {}
        self._checked = False

    def min_size(self, marker: type, height: int) -> float:
        """Return the number of nodes of the smallest tree of this type no higher than ``height``; inf if none."""
        if height < 0:
            return math.inf
        if self.pset.terminals.get(marker):
            return 1
        if height == 0:
            return math.inf
        key = (marker, height)
        if key not in self._least:
            self._least[key] = min(
                (
                    1 + sum(self.min_size(arg, height - 1) for arg in p.args)
                    for p in self.pset.primitives.get(marker, ())
                ),
                default=math.inf,
            )
        return self._least[key]

    def least_height(self, marker: type) -> float:
        """Return the height of the lowest tree of this type; inf if there is none."""
        most = (
            len(self.pset.primitives) + len(self.pset.terminals) + 1
        )  # a lowest tree never repeats a type on one branch
        return next((float(h) for h in range(most) if math.isfinite(self.min_size(marker, h))), math.inf)

    def varies(self, marker: type) -> bool:
        """Whether some tree of this type depends on an argument or learns; if not, all its trees are constants."""
        if marker not in self._varying:
            self._varying[marker] = any(issubclass(kind, marker) for kind in self._alive())
        return self._varying[marker]

    def _alive(self) -> set[type]:
        """Return the types from which an argument or a learnable vector can be reached."""
        alive = {
            node.ret
            for node in self.pset.mapping.values()
            if node.name in self.pset.arguments
            or (node.name in self.pset.traits and self.pset.traits[node.name].learnable)
        }
        grown = True
        while grown:
            more = {
                node.ret
                for node in self.pset.mapping.values()
                if any(issubclass(kind, wanted) for wanted in getattr(node, "args", ()) for kind in alive)
            }
            grown = not more <= alive
            alive |= more
        return alive

    def check(self) -> None:
        """Refuse a set from which some tree can never be finished.

        Raises:
            GaafError: naming the type that nothing closes, who asks for it, and what to add.
        """
        if self._checked:
            return
        asked: dict[type, str] = {self.pset.ret: "the whole tree"}
        for node in self.pset.mapping.values():
            for marker in getattr(node, "args", ()):
                asked.setdefault(marker, node.name)
        for marker in sorted(asked, key=lambda marker: marker.__name__):
            if math.isinf(self.least_height(marker)):
                raise GaafError(
                    f"every type of set {self.pset.name!r} must be closed by some finite tree, but no tree returns "
                    f"{marker.__name__} (asked for by {asked[marker]}): add a terminal of it with addTerminal, "
                    "addEphemeralConstant or addLearnable, or a primitive that makes it from types that are closed"
                )
        self._checked = True
