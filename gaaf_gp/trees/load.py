"""Finds a primitive set by name: ``package.module:function`` or ``path/to/file.py:function``."""

from __future__ import annotations

import re
from types import ModuleType

from gaaf_gp.errors import GaafError
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.util.user_code import Subject, called, load_function

_BUNDLED = re.compile(r"primitives\.[A-Za-z_]\w*:[A-Za-z_]\w*", re.ASCII)


def load_primitives(spec: str) -> PrimitiveSet:
    """Return the set that the named function makes.

    Args:
        spec: ``module:function`` or ``path/to/file.py:function``; the function takes no argument.

    Raises:
        GaafError: if there is no such file, module or function, if the file fails, or if something else than a
            :class:`PrimitiveSet` comes back.
    """
    pset = called(load_function(spec, _SETS), spec, "a PrimitiveSet")
    if not isinstance(pset, PrimitiveSet):
        raise GaafError(f"{spec} must return a PrimitiveSet, got {type(pset).__name__}")
    return pset.check()


def is_bundled(spec: object) -> bool:
    """Return whether this names a set in ``primitives``, the package that comes with this one.

    Any other set is code of somebody's, and is loaded only if the user names it.
    """
    return isinstance(spec, str) and _BUNDLED.fullmatch(spec) is not None


def load_recorded(spec: object, file: object) -> PrimitiveSet:
    """Return the set that a file names: one that comes with the package, because a set is code.

    Raises:
        GaafError: the file names another one.
    """
    if not is_bundled(spec):
        raise GaafError(
            f"a primitive set is code, and a file may name only those of primitives/, but {file} names {spec!r}: if "
            "you trust it, name it yourself, as --primitives where a command takes it"
        )
    return load_primitives(str(spec))


def _makes_a_set(value: object, module: ModuleType) -> bool:
    annotations = getattr(value, "__annotations__", {})
    defined_there = getattr(value, "__module__", None) == module.__name__
    return callable(value) and defined_there and annotations.get("return") in (PrimitiveSet, "PrimitiveSet")


_SETS = Subject("a primitive set", "primitives", '"primitives.gaaf:free" or "path/to/file.py:function"', _makes_a_set)
