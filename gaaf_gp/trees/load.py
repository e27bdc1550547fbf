"""Finds a primitive set by name: ``package.module:function`` or ``path/to/file.py:function``.

A file of primitives is a program and is run when it is named. It is imported under its own name from its own folder,
so that worker processes, which are told only where to look, find the same functions.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType

from gaaf_gp.errors import FOREIGN, GaafError, listed, one_line
from gaaf_gp.trees.pset import PrimitiveSet

FORM = '"primitives.gaaf:free" or "path/to/file.py:function"'
_BUNDLED = re.compile(r"primitives\.[A-Za-z_]\w*:[A-Za-z_]\w*", re.ASCII)


def load_primitives(spec: str) -> PrimitiveSet:
    """Return the set that the named function makes.

    Args:
        spec: ``module:function`` or ``path/to/file.py:function``; the function takes no argument.

    Raises:
        GaafError: if there is no such file, module or function, if the file fails, or if something else than a
            :class:`PrimitiveSet` comes back.
    """
    place, colon, name = spec.rpartition(":")
    if not colon or not place or not name.isidentifier():
        raise GaafError(f"a primitive set is named as {FORM}, got {spec!r}")
    module = _from_file(Path(place)) if place.endswith(".py") else _from_name(place)
    function = getattr(module, name, None)
    if not callable(function):
        makers = sorted(key for key, value in vars(module).items() if _makes_a_set(value, module))
        raise GaafError(f"{place} has no function {name!r}; functions in it: {listed(makers) or 'none'}")
    try:
        with redirect_stdout(sys.stderr):
            pset = function()
    except GaafError:
        raise
    except FOREIGN as error:
        raise GaafError(f"{spec} must return a PrimitiveSet, but it raised {one_line(error)}") from error
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


def _from_name(name: str, file: str = "") -> ModuleType:
    """Import a module; what it prints goes to standard error, because standard output is what a command prints.

    Args:
        name: of the module.
        file: that it is in, where the user named a file.
    """
    place = f"the primitives module {file or repr(name)}"
    try:
        with redirect_stdout(sys.stderr):
            return importlib.import_module(name)
    except GaafError:
        raise
    except SystemExit as error:
        raise GaafError(
            f"code with primitives must not end the program when it is imported, and {place} ended with "
            f'{one_line(error)}: put what it does as a program under if __name__ == "__main__":'
        ) from error
    except Exception as error:
        fix = "correct the file" if file else f"name it as {FORM}"
        raise GaafError(f"cannot import {place} ({one_line(error)}): {fix}") from error


def _from_file(path: Path) -> ModuleType:
    path = path.resolve()
    if not path.is_file():
        raise GaafError(f"no file of primitives at {path}: name it as {FORM}")
    name = path.stem
    if not name.isidentifier():
        raise GaafError(f"a file of primitives must have a name that can be imported, got {path.name!r}: rename it")
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # at the end: it must not hide anything that is installed
    importlib.invalidate_caches()
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None or Path(spec.origin).resolve() != path:
        raise GaafError(f"{path.name} has the name of another module ({name}, {spec and spec.origin}): rename the file")
    return _from_name(name, str(path))
