"""Sphinx roles in docstrings for the site: ``:func:`name` `` becomes a link where that name is documented, else code.

Editors and ``help()`` show such roles as they are, Sphinx and this extension of Griffe resolve them. A role that names
nothing in the package is a warning, which ends a strict build.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

_ROLE = re.compile(r":(?:mod|func|class|meth|data|attr|exc|obj):`(?P<short>~?)(?P<name>[\w.]+)`")
OURS = ("gaaf_gp", "primitives")
"""Packages whose docstrings are rewritten; others are read too, for what they give their names to."""
_log = griffe.get_logger("docs_roles")


class Roles(griffe.Extension):
    """Rewrites the docstrings of a package once all of it is read."""

    def on_package(self, *, pkg: griffe.Module, loader: griffe.GriffeLoader, **_: Any) -> None:
        """Rewrite every docstring of ``pkg``, if it is one of ours."""
        for place in _objects(pkg) if pkg.name in OURS else ():
            if place.docstring is not None:
                place.docstring.value = _ROLE.sub(lambda m, o=place: _linked(m, o, loader), place.docstring.value)


def _objects(place: griffe.Object) -> list[griffe.Object]:
    own = [member for member in place.members.values() if isinstance(member, griffe.Object)]
    return [place, *(inner for member in own for inner in _objects(member))]


def _linked(match: re.Match[str], place: griffe.Object, loader: griffe.GriffeLoader) -> str:
    name = match["name"]
    path = _path(name, place, loader)
    shown = name.rpartition(".")[2] if match["short"] else name
    if path is None:
        _log.warning("%s: %s names nothing", place.path, match[0])
        return f"`{shown}`"
    return f'<autoref identifier="{path}" optional><code>{shown}</code></autoref>'


def _path(name: str, place: griffe.Object, loader: griffe.GriffeLoader) -> str | None:
    """Return the full name of what a role names: a member of the class or module it stands in, or a full name."""
    scope: griffe.Object | None = place
    while scope is not None:
        found = _member(scope, name)
        if found is not None:
            return found
        scope = scope.parent if isinstance(scope.parent, griffe.Object) else None
    top, _, rest = name.partition(".")
    try:
        package = loader.load(top) if top not in loader.modules_collection else loader.modules_collection[top]
        return _member(package, rest) if rest else top
    except (ImportError, KeyError):
        return None


def _member(scope: griffe.Object, name: str) -> str | None:
    try:
        found = scope[name]
        return found.final_target.path if isinstance(found, griffe.Alias) else found.path
    except (KeyError, griffe.AliasResolutionError, griffe.CyclicAliasError, AttributeError):
        return None
