"""Turns a tree into a torch module: straight-line code, each common subexpression computed once.

DEAP compiles by evaluating nested text, which stops at about 200 levels, repeats shared parts and cannot be pickled.
Here the tree becomes a ``torch.fx`` graph with one line per distinct subexpression; constants are folded before
anything runs, and every learnable operator of the tree owns a parameter made in the constructor.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Sequence
from typing import Any

import torch
from deap import gp
from torch import Tensor, fx, nn

from gaaf_gp.errors import GaafError
from gaaf_gp.trees import render
from gaaf_gp.trees.parser import parse
from gaaf_gp.trees.primitive import Traits
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.trees.tree import fold
from gaaf_gp.util.checks import whole_number
from gaaf_gp.util.devices import plain_defaults

TREE = "tree"
"""In the metadata of a state, the text of the tree that it belongs to."""


class Activation(nn.Module):
    """The complementary function f of a tree, to be put ahead of the sign (GAAF, Section 3).

    Input and output: a floating tensor of shape (N, C, ...) with C = ``channels``; the output has the shape and dtype
    of the input. Learnable vectors are parameters ``s0, s1, ...`` of shape (C,), numbered in depth-first order;
    constants are 0-dim buffers ``c0, c1, ...``. Both are in ``state_dict`` and move with the module. The metadata of
    the state name the tree, and ``load_state_dict`` refuses the state of another tree.

    Attributes:
        kernel: f as a :class:`gaaf_gp.binary.native.Program`, which layers with compiled kernels then run; None by
            default.

    Args:
        individual: an :class:`~gaaf_gp.Individual`, a stock ``gp.PrimitiveTree``, or text.
        channels: C, the number of channels of the inputs.
        pset: the primitive set, needed for text and for stock trees, and may be a stock one for the latter.

    Raises:
        GaafError: if ``channels`` is not a positive whole number, the set is missing, or the set has not one argument.
    """

    def __init__(
        self, individual: gp.PrimitiveTree | str, channels: int, pset: gp.PrimitiveSetTyped | None = None
    ) -> None:
        super().__init__()
        channels = whole_number("channels", channels)
        chosen = getattr(individual, "pset", None) if pset is None else pset
        if chosen is None:
            raise GaafError("an activation must know the primitive set of its tree, got none: pass pset=")
        _check_arguments(chosen)
        if isinstance(individual, str) and not isinstance(chosen, PrimitiveSet):
            raise GaafError(f"text is read with a gaaf_gp.PrimitiveSet, got {type(chosen).__name__}: pass a tree")
        self.tree = parse(individual, chosen) if isinstance(individual, str) else individual
        self.pset = chosen
        self.channels = channels
        program = _compile(self.tree, chosen)
        for name, initial in program.learnable.items():
            self.register_parameter(name, nn.Parameter(torch.full((channels,), initial)))
        for name, value in program.constants.items():
            self.register_buffer(name, torch.tensor(value, dtype=torch.get_default_dtype()))
        self._set_program(program)
        self.kernel: object | None = None

    def function(self) -> Callable[..., Tensor]:
        """Return f as a function of x and of the learnable vectors, tensors of shapes that broadcast."""
        program: _Program = self.__dict__["_program"]
        constants = [torch.tensor(value) for value in program.constants.values()]
        return lambda x, *vectors: program.module(x, *vectors, *constants)

    def _set_program(self, program: _Program) -> None:
        # Not a submodule: it holds no state of its own, and can always be made again from the tree.
        self.__dict__["_program"] = program

    @property
    def code(self) -> str:
        """The straight-line Python code that runs in ``forward``."""
        return str(self.__dict__["_program"].module.code)

    def forward(self, x: Tensor) -> Tensor:
        """Return f(x), element by element; ``x`` has shape (N, C, ...).

        Raises:
            GaafError: if C is not ``channels``, or the input is not floating.
        """
        if isinstance(x, fx.Proxy):
            raise GaafError(
                "an activation cannot be traced by torch.fx, which knows no shapes: use torch.export, or a Tracer "
                "whose is_leaf_module() is true for gaaf_gp.Activation"
            )
        if not x.is_floating_point():
            raise GaafError(f"an activation takes floating inputs, got {x.dtype}: convert them with x.float()")
        if x.dim() < 2 or x.shape[1] != self.channels:
            raise GaafError(
                f"an activation of {self.channels} channel(s) takes inputs of shape (N, {self.channels}, ...), got "
                f"{tuple(x.shape)}: make it with the number of channels of its layer"
            )
        shape = (1, -1) + (1,) * (x.dim() - 2)
        program: _Program = self.__dict__["_program"]
        vectors = [self._parameters[name].to(x.dtype).view(shape) for name in program.learnable]  # type: ignore[union-attr]
        constants = [self._buffers[name].to(x.dtype) for name in program.constants]  # type: ignore[union-attr]
        result: Tensor = program.module(x, *vectors, *constants)
        # A tree without x, or one that learns a vector only, has a smaller shape.
        return result if result.shape == x.shape else result.expand_as(x)

    def extra_repr(self) -> str:
        """Show the formula."""
        return f"{formula(self.tree, self.pset)}, channels={self.channels}"

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        metadata = getattr(destination, "_metadata", {})
        metadata.setdefault(prefix[:-1], {})[TREE] = str(self.tree)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, metadata: Any, *args: Any) -> None:
        """Refuse the state of another tree; one without its metadata is known by its constants."""
        own, saved = str(self.tree), metadata.get(TREE)
        constants: dict[str, float] = self.__dict__["_program"].constants
        present = {name: state_dict[prefix + name] for name in constants if prefix + name in state_dict}
        differing = [name for name, value in present.items() if not _may_be(value, constants[name])]
        if saved not in (None, own) or differing:
            what = repr(saved) if saved is not None else f"{differing[0]} = {present[differing[0]].item():g}"
            raise GaafError(
                f"the state of an activation must be that of its own tree {own!r}, got that of {what}: make an "
                "Activation of the tree whose state it is"
            )
        super()._load_from_state_dict(state_dict, prefix, metadata, *args)

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        del state["_program"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._set_program(_compile(self.tree, self.pset))


def _may_be(saved: Tensor, constant: float) -> bool:
    """Whether a saved constant is this one, as far as half precision tells."""
    if saved.device.type == "meta" or saved.numel() != 1:
        return True  # torch compares shapes
    return math.isinf(float(saved)) or math.isclose(float(saved), constant, rel_tol=0.01, abs_tol=1e-7)


def evaluate(tree: gp.PrimitiveTree, pset: gp.PrimitiveSetTyped, x: Tensor, vectors: Sequence[Tensor] = ()) -> Tensor:
    """Return f(x) without making a module, whose code takes longer to write than to run: for trees looked at once.

    Bit for bit what an :class:`Activation` returns, and its gradient too.

    Args:
        tree: the tree.
        pset: its set.
        x: floating tensor.
        vectors: values of the learnable vectors in depth-first order, each of a shape that broadcasts over ``x``.

    Raises:
        GaafError: if the set has not one argument.
    """
    _check_arguments(pset)
    compiler = _Compiler(pset)
    root = fold(tree, compiler.node)
    needed = _needed(compiler, root)
    unused = iter(vectors)
    vectors_of = {number: [next(unused) for _ in compiler.recipes[number][2]] for number in compiler.learnable()}
    values: dict[int, Tensor] = {}
    for number, (function, arguments, _) in enumerate(compiler.recipes):
        if number not in needed:
            continue
        if number in compiler.numbers:
            made = torch.tensor(compiler.numbers[number], dtype=torch.get_default_dtype(), device="cpu")
            values[number] = made.to(x.dtype)
        elif function is None:
            values[number] = vectors_of[number][0] if number in vectors_of else x
        else:
            values[number] = function(*(values[a] for a in arguments), *vectors_of.get(number, ()))
    result = values[root]
    return result if result.shape == x.shape else result.expand_as(x)


def formula(tree: gp.PrimitiveTree, pset: gp.PrimitiveSetTyped) -> str:
    """Return the infix formula, or DEAP's notation for a tree of a stock set."""
    return render.infix(tree, pset) if isinstance(pset, PrimitiveSet) else str(tree)


class _Program:
    """A compiled tree: ``module(x, *learnable vectors, *constants)``."""

    def __init__(self, module: fx.GraphModule, learnable: dict[str, float], constants: dict[str, float]) -> None:
        self.module = module
        self.learnable = learnable
        self.constants = constants


class _Compiler:
    """Numbers the distinct values of one tree and writes a graph line for each.

    A value is identified by ``key``: what is computed and from which values. A learnable node has a key of its own,
    because two equal-looking learnable operators own two parameters.
    """

    def __init__(self, pset: gp.PrimitiveSetTyped) -> None:
        self.pset = pset
        self.keys: dict[tuple[Any, ...], int] = {}
        self.numbers: dict[int, float] = {}
        self.names: dict[int, str] = {}
        self.recipes: list[tuple[Callable[..., Tensor] | None, tuple[int, ...], tuple[float, ...]]] = []

    def value(
        self, key: tuple[Any, ...], function: Any, arguments: tuple[int, ...], learnable: tuple[float, ...] = ()
    ) -> int:
        if key not in self.keys:
            self.keys[key] = len(self.recipes)
            self.recipes.append((function, arguments, learnable))
        return self.keys[key]

    def number(self, value: float) -> int:
        index = self.value(("number", repr(value)), None, ())
        self.numbers[index] = value
        return index

    def node(self, index: int, node: Any, arguments: list[int]) -> int:
        traits = self._traits(node)
        if node.arity == 0:
            if traits.learnable:
                return self.value(("learnable", index), None, (), traits.learnable)
            if node.value in self.pset.arguments:
                return self.value(("argument",), None, ())
            return self.number(float(self.pset.context.get(node.value, node.value)))
        if traits.learnable:
            return self._call(node.name, ("learnable", index), traits, arguments)
        if all(argument in self.numbers for argument in arguments):
            return self.number(_folded(traits.function, [self.numbers[argument] for argument in arguments]))
        ordered = tuple(sorted(arguments)) if traits.commutative else tuple(arguments)
        return self._call(node.name, ("call", node.name, ordered), traits, arguments)

    def _call(self, name: str, key: tuple[Any, ...], traits: Traits, arguments: list[int]) -> int:
        number = self.value(key, traits.function, tuple(arguments), traits.learnable)
        self.names[number] = name
        return number

    def learnable(self) -> list[int]:
        """Return the values that own learnable vectors in depth-first order, as in the formula."""
        # the keys of learnable nodes hold their place in the tree
        return [number for _, number in sorted((k[1], v) for k, v in self.keys.items() if k[0] == "learnable")]

    def _traits(self, node: Any) -> Traits:
        node_traits = getattr(self.pset, "traits", {}).get(node.name)
        return node_traits if node_traits is not None else Traits(self.pset.context.get(node.name))


@plain_defaults()
def _folded(function: Any, numbers: list[float]) -> float:
    return float(function(*(torch.tensor(number, dtype=torch.float64, device="cpu") for number in numbers)))


def _compile(tree: gp.PrimitiveTree, pset: gp.PrimitiveSetTyped) -> _Program:
    compiler = _Compiler(pset)
    root = fold(tree, compiler.node)
    needed = _needed(compiler, root)
    graph = fx.Graph()
    lines: dict[int, Any] = {}
    learnable: dict[str, float] = {}
    constants: dict[str, float] = {}
    vectors: dict[int, list[Any]] = {}
    argument = graph.placeholder("x")
    for number in compiler.learnable():
        for initial in compiler.recipes[number][2]:
            name = f"s{len(learnable)}"
            learnable[name] = initial
            vectors.setdefault(number, []).append(graph.placeholder(name))
    for number in sorted(needed & compiler.numbers.keys()):
        name = f"c{len(constants)}"
        constants[name] = compiler.numbers[number]
        lines[number] = graph.placeholder(name)
    for number, (function, arguments, _) in enumerate(compiler.recipes):
        if number not in needed or number in lines:
            continue
        node_vectors = vectors.get(number, [])
        if function is None:
            lines[number] = node_vectors[0] if node_vectors else argument
        else:
            lines[number] = graph.call_function(
                _named(function, compiler.names[number]), (*(lines[a] for a in arguments), *node_vectors)
            )
    graph.output(lines[root])
    return _Program(fx.GraphModule(nn.Module(), graph), learnable, constants)


def _check_arguments(pset: gp.PrimitiveSetTyped) -> None:
    if len(pset.arguments) != 1:
        raise GaafError(
            f"an activation is a function of one argument, but set {pset.name!r} has {len(pset.arguments)}: "
            f"{', '.join(pset.arguments)}"
        )


def _needed(compiler: _Compiler, root: int) -> set[int]:
    """Return the values that the result depends on; folded constants leave their parts behind."""
    needed, open_values = set(), [root]
    while open_values:
        number = open_values.pop()
        if number not in needed:
            needed.add(number)
            open_values.extend(compiler.recipes[number][1])
    return needed


def _named(function: Callable[..., Tensor], name: str) -> Callable[..., Tensor]:
    """Wrap what ``torch.fx`` could not write down by name (a lambda, a partial, a callable object) in a function."""
    plain = isinstance(function, types.FunctionType | types.BuiltinFunctionType)
    if plain and function.__name__.isidentifier():
        return function

    def primitive(*arguments: Tensor) -> Tensor:
        return function(*arguments)

    primitive.__name__ = primitive.__qualname__ = name
    return primitive
