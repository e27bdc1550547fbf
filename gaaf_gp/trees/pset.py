"""The primitive set: DEAP's typed set, which also knows what each primitive costs, looks like and learns.

``PrimitiveSet`` is a ``deap.gp.PrimitiveSetTyped`` and is filled with DEAP's own calls. On top it probes each function
as it is added, remembers its traits, replaces DEAP's ephemeral constants by plain ones, and knows for every type the
smallest tree that closes it, so that generation never fails half-way.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from numbers import Real
from typing import Any

from deap import gp
from torch import Tensor

from gaaf_gp.errors import FOREIGN, GaafError, listed, one_line
from gaaf_gp.trees.primitive import ATOM, NONFINITE, Traits, check_name, check_traits, check_types, named, probe
from gaaf_gp.trees.tree import Constant
from gaaf_gp.types import Channel, Feature
from gaaf_gp.util.checks import whole_number
from gaaf_gp.util.randomness import as_global, undisturbed


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


class PrimitiveSet(gp.PrimitiveSetTyped):  # type: ignore[misc]
    """A strongly typed primitive set for activation functions, with DEAP's interface.

    Args:
        name: how the set is called in messages and results.
        in_types: types of the arguments of a tree; an activation has one Feature. A number stands for so many
            Features, which are called as in DEAP, ARG0, ARG1, and so forth, if there are several.
        ret_type: type that a whole tree returns.
        arguments: names of the arguments in texts.

    Raises:
        GaafError: for types that are not Feature, Channel, Scalar or derived from them.
    """

    mapping: dict[str, Any]
    arguments: list[str]

    def __init__(
        self,
        name: str = "main",
        in_types: Sequence[type] | int = (Feature,),
        ret_type: type = Feature,
        arguments: Sequence[str] = ("x",),
    ) -> None:
        counted, in_types = not isinstance(in_types, Sequence), _types(in_types)
        if counted and len(in_types) != 1 and tuple(arguments) == ("x",):
            arguments = tuple(f"ARG{place}" for place in range(len(in_types)))
        check_types(f"set {name!r}", [*in_types, ret_type])
        super().__init__(name, list(in_types), ret_type)
        # DEAP lists a type once something returns or takes it; a whole tree may be asked for a base of those.
        self.primitives.setdefault(ret_type, [])
        self.terminals[ret_type] = [node for node in self.mapping.values() if issubclass(node.ret, ret_type)]
        self.traits: dict[str, Traits] = {}
        self._calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self._samplers: dict[type, list[Any]] = {}
        self._closure = Closure(self)
        if len(arguments) != len(in_types):
            raise GaafError(
                f"each argument of set {name!r} must have a name, got {len(in_types)} types and {len(arguments)} "
                f'names ({listed(arguments)}): pass arguments=("x", ...)'
            )
        self._start = (name, tuple(in_types), ret_type)
        self.renameArguments(**dict(zip(tuple(self.arguments), arguments, strict=True)))

    def renameArguments(self, **names: str) -> None:  # noqa: N802 (DEAP's name)
        """Rename arguments as in DEAP: ``renameArguments(ARG0="x")``, by the first name DEAP gave or the present one.

        The terminals' names follow, as the texts of all trees do.

        Raises:
            GaafError: for an argument that the set does not have, a bad name, or one that is taken.
        """
        places = {f"ARG{i}": i for i in range(len(self.arguments))}
        places |= {name: i for i, name in enumerate(self.arguments)}
        renamed = list(self.arguments)
        for old, new in names.items():
            check_name(new)
            if old not in places:
                raise GaafError(f"set {self.name!r} has no argument {old!r} to rename: it has {listed(self.arguments)}")
            renamed[places[old]] = new
        others = self._taken() - set(self.arguments)
        clash = next((name for name in renamed if name in others or renamed.count(name) > 1), None)
        if clash is not None:
            raise GaafError(f"names in set {self.name!r} must be unique, and {clash!r} is taken: choose another one")
        now = dict(zip(self.arguments, renamed, strict=True))
        self.mapping = {now.get(name, name): node for name, node in self.mapping.items()}
        self.traits = {name: traits for name, traits in self.traits.items() if name not in now}
        self.arguments = renamed
        for name in renamed:
            self.mapping[name].name = self.mapping[name].value = name
            self.traits[name] = named(name)
        self._closure = Closure(self)

    def addPrimitive(  # noqa: N802 (DEAP's name)
        self,
        primitive: Callable[..., Tensor],
        in_types: Sequence[type] | int,
        ret_type: type = Feature,
        name: str | None = None,
        *,
        cost: float = 1.0,
        infix: str | None = None,
        latex: str | None = None,
        precedence: int = ATOM,
        periodic: bool = False,
        commutative: bool = False,
        learnable: Sequence[float] = (),
        nonfinite: Sequence[str] = (),
    ) -> None:
        """Add a function of tensors, after trying it out (see :mod:`gaaf_gp.trees.primitive`).

        Args:
            primitive: takes one tensor per entry of ``in_types``, then one per entry of ``learnable``, each of the
                dtype of the input, and returns a tensor of their broadcast shape. Scalars come as 0-dim tensors.
            in_types: marker types of the arguments; a number stands for so many Features, as in DEAP's untyped sets.
            ret_type: marker type of the result.
            name: name in texts; by default the function's own.
            cost: relative price of one call, in units of an addition.
            infix: template for formulas, such as ``"{0:1} + {1:1}"``; by default a call.
            latex: the same in LaTeX.
            precedence: how tightly the infix form binds, see ``ATOM``.
            periodic: whether it repeats itself, such as sin.
            commutative: whether the order of its two arguments does not matter.
            learnable: initial values of the per-channel vectors it learns.
            nonfinite: "value" and/or "gradient", if they may be infinite or NaN somewhere.

        Raises:
            GaafError: for a bad name, an unknown type, or a function that breaks a rule when tried.
        """
        in_types = _types(in_types)
        label = name if name is not None else getattr(primitive, "__name__", "")
        check_name(label)
        self._check_new(label)
        check_types(f"primitive {label!r}", [*in_types, ret_type])
        if not in_types:
            raise GaafError(f"primitive {label!r} must take an argument, got none: use addTerminal or addLearnable")
        unknown = [word for word in nonfinite if word not in NONFINITE]
        if unknown:
            raise GaafError(f"nonfinite of primitive {label!r} may name {listed(NONFINITE)}, got {listed(unknown)}")
        starts = tuple(Constant(start, Channel).value for start in learnable)
        traits = Traits(primitive, cost, infix or "", latex or "", precedence, periodic, commutative, starts)
        check_traits(label, traits, in_types)
        probe(label, traits, in_types, frozenset(nonfinite))
        self._add_primitive(label, tuple(in_types), ret_type, traits)

    def _add_primitive(self, name: str, in_types: tuple[type, ...], ret_type: type, traits: Traits) -> None:
        super().addPrimitive(traits.function, list(in_types), ret_type, name)
        self.traits[name] = traits
        self._changed("_add_primitive", name, in_types, ret_type, traits)

    def addADF(self, adfset: gp.PrimitiveSetTyped) -> None:  # noqa: N802 (DEAP's name)
        """Refuse automatically defined functions: a candidate has one tree, or two of :class:`TwoTrees`.

        Raises:
            GaafError: always, with what to do instead.
        """
        raise GaafError(
            f"a candidate is one tree, and set {self.name!r} takes no automatically defined function, got that of set "
            f"{getattr(adfset, 'name', adfset)!r}: add a fixed function with addPrimitive"
        )

    def addTerminal(  # noqa: N802 (DEAP's name)
        self, terminal: float, ret_type: type | None = None, name: str | None = None
    ) -> None:
        """Add a fixed number, named (``addTerminal(math.pi, Scalar, name="pi")``) or not.

        Raises:
            GaafError: if it is not a finite number or the name is taken.
        """
        if isinstance(terminal, bool) or not isinstance(terminal, Real):
            raise GaafError(
                f"a terminal must be a number, got {type(terminal).__name__}: a learnable vector is added with "
                "addLearnable, a random constant with addEphemeralConstant"
            )
        if ret_type is None:
            raise GaafError(
                f"terminal {name or terminal!r} must have a type, got none: pass Scalar, Channel or Feature"
            )
        check_types(f"terminal {name or terminal!r}", [ret_type])
        constant = Constant(terminal, ret_type)
        if name is None:
            self._check_new(constant.name)
            self._add(constant)
            self.terms_count += 1
        else:
            check_name(name)
            self._check_new(name)
            super().addTerminal(constant.value, ret_type, name)
            self.traits[name] = named(name)
        self._changed("addTerminal", terminal, ret_type, name)

    def addLearnable(  # noqa: N802 (one of a family with DEAP's names)
        self, name: str, initial: float = 1.0, ret_type: type = Channel, *, cost: float = 0.0
    ) -> None:
        """Add a learnable vector as a terminal: every place it stands in gets its own, starting at ``initial``."""
        check_name(name)
        self._check_new(name)
        check_types(f"learnable {name!r}", [ret_type])
        start = Constant(initial, Channel).value
        self.traits[name] = replace(named(name), cost=cost, learnable=(start,))
        self._add(gp.Terminal(name, True, ret_type))
        self.terms_count += 1
        self._changed("addLearnable", name, initial, ret_type, cost=cost)

    def addEphemeralConstant(  # noqa: N802 (DEAP's name)
        self, name: str, ephemeral: Callable[[], float], ret_type: type | None = None
    ) -> None:
        """Add a random constant as in DEAP: ``ephemeral()`` draws a number each time one is needed.

        It draws from Python's ``random`` module, so that a seed repeats it: the operators of this project lend it
        their own generator. It is called twice when it is added, to see that nothing else decides what it draws. The
        nodes made are :class:`~gaaf_gp.trees.tree.Constant`, also by DEAP's generators (DEAP's ``mutEphemeral`` does
        not know them: use ``gaaf_gp.trees.operators.mut_constant``).
        """
        check_name(name)
        self._check_new(name)
        if ret_type is None:
            raise GaafError(f"ephemeral constant {name!r} must have a type, got none: pass Scalar or Feature")
        check_types(f"ephemeral constant {name!r}", [ret_type])
        maker = type.__call__(gp.MetaEphemeral, name, ephemeral, ret_type)
        maker.__new__ = lambda _class: Constant(ephemeral(), ret_type)
        _try_drawing(name, maker)
        self._add(maker)
        self.terms_count += 1
        self._samplers.setdefault(ret_type, []).append(maker)
        self._changed("addEphemeralConstant", name, ephemeral, ret_type)

    def draw(self, terminal: Any, rng: random.Random) -> Any:
        """Return the node for an entry of ``terminals``: itself, or a new Constant drawn with ``rng``."""
        if isinstance(terminal, gp.MetaEphemeral):
            with as_global(rng):
                return terminal()
        return terminal

    def constant(self, value: float, marker: type) -> Constant | None:
        """Return the node of a number written where ``marker`` is asked for, or None if the set has no such number."""
        for ret_type in self._samplers:
            if issubclass(ret_type, marker):
                return Constant(value, ret_type)
        candidate = self.mapping.get(repr(float(value)))
        return candidate if isinstance(candidate, Constant) and issubclass(candidate.ret, marker) else None

    def draws(self, marker: type) -> bool:
        """Whether constants of exactly this type are drawn, so that any finite number of it is in the set."""
        return marker in self._samplers

    def holds(self, node: Any) -> bool:
        """Whether the node is one of this set: an equal entry, or a constant of a type that is drawn."""
        return bool(self.mapping.get(node.name) == node) or (isinstance(node, Constant) and self.draws(node.ret))

    def takes_numbers(self, marker: type) -> bool:
        """Whether any finite number may be written where ``marker`` is asked for."""
        return any(issubclass(ret_type, marker) for ret_type in self._samplers)

    def min_size(self, marker: type, height: int) -> float:
        """Return the number of nodes of the smallest tree of this type no higher than ``height``; inf if none."""
        return self._closure.min_size(marker, height)

    def least_height(self, marker: type) -> float:
        """Return the height of the lowest tree of this type; inf if there is none."""
        return self._closure.least_height(marker)

    def varies(self, marker: type) -> bool:
        """Whether some tree of this type depends on an argument or learns; if not, all its trees are constants."""
        return self._closure.varies(marker)

    def check(self) -> PrimitiveSet:
        """Refuse a set from which some tree can never be finished; return the set itself.

        Raises:
            GaafError: naming the type that nothing closes, who asks for it, and what to add.
        """
        self._closure.check()
        return self

    def check_activations(self) -> PrimitiveSet:
        """Refuse a set whose trees are no activation functions; return the set itself.

        Raises:
            GaafError: a tree has none or several inputs, or what :meth:`check` refuses.
        """
        if len(self.ins) != 1:
            raise GaafError(
                f"a set of activation functions must have one input, and {self.name!r} has {len(self.ins)}: make it "
                f"with PrimitiveSet({self.name!r}, 1)"
            )
        return self.check()

    def _check_new(self, name: str) -> None:
        if name in self._taken():
            raise GaafError(
                f"names in set {self.name!r} must be unique, and {name!r} is taken: pass another name, as in "
                f'addPrimitive(..., name="{name}_2")'
            )

    def _taken(self) -> set[str]:
        return {*self.mapping, *self.context}

    def _changed(self, method: str, *args: Any, **kwargs: Any) -> None:
        self._calls.append((method, args, kwargs))
        self._closure = Closure(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> PrimitiveSet:
        """A set is shared by its individuals, so cloning one of them must not copy it."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as the calls that filled the set: functions go by their import path, as always with pickle."""
        return _rebuild, (type(self), (*self._start, tuple(self.arguments)), self._calls)


def _types(in_types: Sequence[type] | int) -> Sequence[type]:
    """Return types of arguments; a number, as DEAP's untyped sets take it, stands for so many Features."""
    if isinstance(in_types, Sequence):
        return in_types
    return (Feature,) * whole_number("the number of arguments", in_types, 0)


def _try_drawing(name: str, maker: Callable[[], Constant]) -> None:
    """Refuse a function of a random constant that draws no number, or one that Python's generator does not decide."""

    def drawn() -> float:
        with as_global(random.Random(0)):
            return float(maker().value)

    try:
        with undisturbed() as drawn_from:
            first, again = drawn(), drawn()
            others = drawn_from()
    except GaafError:
        raise
    except FOREIGN as error:
        raise GaafError(
            f"ephemeral constant {name!r} must draw a number, but it raised {one_line(error)}: correct its function"
        ) from error
    if others or first != again:
        what = (
            f"it uses the global generator of {listed(others)}" if others else f"it drew {first!r} and then {again!r}"
        )
        raise GaafError(
            f"ephemeral constant {name!r} must draw the same number from the same seed, but {what}: draw from Python's "
            "random module, as in random.uniform(-1, 1)"
        )


def _rebuild(
    cls: type[PrimitiveSet], start: tuple[Any, ...], calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]]
) -> PrimitiveSet:
    pset = cls(*start)
    for method, args, kwargs in calls:
        getattr(pset, method)(*args, **kwargs)
    return pset
