"""Code that a user names: ``package.module:function`` or ``path/to/file.py:function``.

A file is a program and is run when it is named. It is imported under its own name from its own folder, so that worker
processes, which are told only where to look, find the same functions.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from gaaf_gp.errors import FOREIGN, GaafError, listed, one_line


@dataclass(frozen=True)
class Subject:
    """What a function of the user's makes, for messages.

    Attributes:
        thing: such as "a primitive set".
        plural: what its file is a file of, such as "primitives".
        form: how such a name is written.
        fits: whether something in a module may be meant; what fits is listed where a name is unknown.
    """

    thing: str
    plural: str
    form: str
    fits: Callable[[object, ModuleType], bool]


def load_function(spec: str, subject: Subject) -> Callable[..., Any]:
    """Return the function that is named.

    Args:
        spec: ``module:function`` or ``path/to/file.py:function``.
        subject: what it makes.

    Raises:
        GaafError: there is no such file, module or function, or the file fails.
    """
    place, colon, name = spec.rpartition(":")
    if not colon or not place or not name.isidentifier():
        raise GaafError(f"{subject.thing} is named as {subject.form}, got {spec!r}")
    module = _from_file(Path(place), subject) if is_file(spec) else _from_name(place, subject)
    function = getattr(module, name, None)
    if not callable(function):
        known = sorted(key for key, value in vars(module).items() if subject.fits(value, module))
        raise GaafError(f"{place} has no function {name!r}; functions in it: {listed(known) or 'none'}")
    found: Callable[..., Any] = function
    return found


def called(function: Callable[..., Any], spec: str, returns: str, *arguments: Any, **named: Any) -> Any:
    """Return what a function of the user's returns; what it prints goes to standard error.

    Raises:
        GaafError: it raised something.
    """
    try:
        with redirect_stdout(sys.stderr):
            return function(*arguments, **named)
    except GaafError:
        raise
    except FOREIGN as error:
        raise GaafError(f"{spec} must return {returns}, but it raised {one_line(error)}") from error


def is_file(spec: str) -> bool:
    """Return whether a name is of a function in a file."""
    return spec.rpartition(":")[0].endswith(".py")


def from_any_folder(spec: str) -> str:
    """Return the name with the whole path of its file; that of a function in a module as it is."""
    file, colon, function = spec.rpartition(":")
    return f"{Path(file).resolve()}{colon}{function}" if is_file(spec) else spec


def same_code(one: str, other: str) -> bool:
    """Return whether two names are of one function in one file or module, however they are spelled."""
    return from_any_folder(one) == from_any_folder(other)


@cache
def fingerprint(spec: str) -> str:
    """Return what stands for a function wherever its file is: its name, and the SHA-256 of the file.

    Raises:
        GaafError: there is no such file or module.
    """
    place, _, function = spec.rpartition(":")
    path: str | None = place
    if not is_file(spec):
        found = importlib.util.find_spec(place)
        path = None if found is None else found.origin
    try:
        content = Path(path or "").read_bytes()
    except OSError as error:
        raise GaafError(f"the code of {spec} must be in a file that can be read ({error.strerror})") from error
    return f"{function} sha256:{hashlib.sha256(content).hexdigest()}"


def _from_name(name: str, subject: Subject, file: str = "") -> ModuleType:
    """Import a module; what it prints goes to standard error, because standard output is what a command prints."""
    place = f"the {subject.plural} module {file or repr(name)}"
    try:
        with redirect_stdout(sys.stderr):
            return importlib.import_module(name)
    except GaafError:
        raise
    except SystemExit as error:
        raise GaafError(
            f"code with {subject.plural} must not end the program when it is imported, and {place} ended with "
            f'{one_line(error)}: put what it does as a program under if __name__ == "__main__":'
        ) from error
    except Exception as error:
        fix = "correct the file" if file else f"name it as {subject.form}"
        raise GaafError(f"cannot import {place} ({one_line(error)}): {fix}") from error


def _from_file(path: Path, subject: Subject) -> ModuleType:
    path = path.resolve()
    if not path.is_file():
        raise GaafError(f"no file of {subject.plural} at {path}: name it as {subject.form}")
    name = path.stem
    if not name.isidentifier():
        raise GaafError(
            f"a file of {subject.plural} must have a name that can be imported, got {path.name!r}: rename it"
        )
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # at the end: it must not hide anything that is installed
    importlib.invalidate_caches()
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None or Path(spec.origin).resolve() != path:
        raise GaafError(f"{path.name} has the name of another module ({name}, {spec and spec.origin}): rename the file")
    return _from_name(name, subject, str(path))
