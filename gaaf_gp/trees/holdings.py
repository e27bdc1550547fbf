"""What a function of a user's holds besides its arguments: closures, defaults, attributes, globals that it names."""

from __future__ import annotations

import functools
import hashlib
import random
import sys
import types
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

MOST = 10_000
"""Things that are looked at; whoever holds more is not looked through."""
OF_MODULE = ("_parameters", "_buffers", "_modules")
PLAIN = (type(None), bool, int, float, complex, str, bytes)
LIBRARIES = frozenset({"torch", "numpy", "scipy", "deap", *sys.stdlib_module_names})
"""Their functions keep nothing that matters here, and hold half of the process."""


def held(function: Callable[..., Any]) -> Iterator[tuple[str, object]]:
    """Yield all that a function reaches, each with the way there, such as ``count`` or ``net.weight``."""
    seen: dict[int, object] = {}  # the things too: what is freed would lend its address to another one
    waiting: list[tuple[str, object]] = [("", function)]
    looked_at = 0
    while waiting and looked_at < MOST:
        looked_at += 1
        path, value = waiting.pop()
        if id(value) in seen:
            continue
        if not isinstance(value, PLAIN):  # equal numbers and texts may be one object
            seen[id(value)] = value
        yield path, value
        waiting += [(f"{path}.{name}" if path else name, part) for name, part in reversed(_parts(value))]


def state_of(function: Callable[..., Any]) -> dict[str, object]:
    """Return the plain values, tensors and generators that a function reaches, fit to be compared later."""
    return {path: mark for path, value in held(function) if (mark := _mark(value)) is not None}


def _parts(value: object) -> list[tuple[str, object]]:  # noqa: PLR0911 (one line for each kind)
    """Return what something holds itself, by name."""
    if isinstance(value, types.FunctionType):
        return [] if _of_library(value) else _parts_of_function(value)
    if isinstance(value, functools.partial):
        return [("func", value.func), ("args", value.args), ("keywords", value.keywords), *vars(value).items()]
    if isinstance(value, types.MethodType):
        return [("self", value.__self__), (value.__name__, value.__func__)]
    if isinstance(value, types.BuiltinFunctionType):
        owner = value.__self__
        return [] if owner is None or isinstance(owner, types.ModuleType) else [("self", owner)]
    if isinstance(value, Mapping):
        return [(str(key), part) for key, part in value.items()]
    if isinstance(value, list | tuple | set | frozenset | deque):
        return [(str(place), part) for place, part in enumerate(value)]
    if isinstance(value, staticmethod | classmethod) or hasattr(value, "__wrapped__"):
        return [("function", value.__wrapped__)]
    if isinstance(value, types.CellType):
        return [("cell_contents", value.cell_contents)]
    if isinstance(value, Tensor | np.ndarray | random.Random | types.ModuleType):
        return []
    return _parts_of_object(value)


def _parts_of_function(function: types.FunctionType) -> list[tuple[str, object]]:
    parts: list[tuple[str, object]] = []
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            parts.append((name, cell.cell_contents))
        except ValueError:  # an empty cell
            continue
    parts += [(f"default {place}", part) for place, part in enumerate(function.__defaults__ or ())]
    parts += list((function.__kwdefaults__ or {}).items())
    parts += list(vars(function).items())
    names = _names(function.__code__)
    return parts + [(name, function.__globals__[name]) for name in names if name in function.__globals__]


def _names(code: types.CodeType) -> list[str]:
    """Return the global names that code may use, those of the functions inside it too."""
    inner = [name for part in code.co_consts if isinstance(part, types.CodeType) for name in _names(part)]
    return [*code.co_names, *inner]


def _parts_of_object(value: object) -> list[tuple[str, object]]:
    cls = value if isinstance(value, type) else type(value)
    parts: list[tuple[str, object]] = []
    if not _of_library(cls):
        parts += [(name, part) for name, part in vars(cls).items() if not name.startswith("__") or name == "__call__"]
    if not isinstance(value, type) and (not _of_library(cls) or isinstance(value, nn.Module | types.SimpleNamespace)):
        slots = [name for base in cls.__mro__ for name in getattr(base, "__slots__", ()) if isinstance(name, str)]
        parts += [(name, getattr(value, name)) for name in slots if hasattr(value, name)]
        own = dict(getattr(value, "__dict__", {}))
        for inner in OF_MODULE if isinstance(value, nn.Module) else ():
            own |= own.pop(inner)
        parts += own.items()
    return parts


def _of_library(value: Any) -> bool:
    return str(getattr(value, "__module__", "") or "").partition(".")[0] in LIBRARIES


def _mark(value: object) -> object:  # noqa: PLR0911 (one line for each kind)
    """Return a value as something that can be compared, None for what has no value of its own."""
    if isinstance(value, PLAIN):
        return repr(value)
    if isinstance(value, Tensor):
        plain = value.detach().cpu().contiguous().reshape(-1)
        return str(value.dtype), tuple(value.shape), _digest(plain.view(torch.uint8).numpy().tobytes())
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.shape, _digest(value.tobytes())
    if isinstance(value, random.Random):
        return value.getstate()
    if isinstance(value, np.random.Generator):
        return repr(value.bit_generator.state)
    if isinstance(value, np.random.RandomState):
        return repr(value.get_state())
    if isinstance(value, torch.Generator):
        return _digest(value.get_state().numpy().tobytes())
    return None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
