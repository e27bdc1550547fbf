"""Every name that documentation, notebooks, runs, primitives and benchmarks import can be imported from where they say.

``public_names.json`` lists them as ``module:name``, and whole modules as ``module``. A path is never taken out while
users may have it in their scripts: what moves stays reachable there, with a ``DeprecationWarning``.
"""

import ast
import importlib
import json
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NAMES: list[str] = json.loads((ROOT / "tests" / "public_names.json").read_text())


def found(path: str) -> object:
    """Return what ``from module import name`` would give."""
    module, _, name = path.partition(":")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        holder = importlib.import_module(module)
        if not name:
            return holder
        return getattr(holder, name) if hasattr(holder, name) else importlib.import_module(f"{module}.{name}")


@pytest.mark.parametrize("path", NAMES)
def test_a_public_name_is_where_it_was(path: str) -> None:
    found(path)


def test_each_name_is_listed_once_and_in_order() -> None:
    assert sorted(set(NAMES)) == NAMES


def test_a_name_that_is_not_there_is_noticed() -> None:
    with pytest.raises(ImportError):
        found("gaaf_gp:no_such_name")


def sources() -> Iterator[tuple[str, str]]:
    """Yield what users read as code: scripts, benchmarks, and the blocks of pages and notebooks, with a name each."""
    for folder in ("runs", "benchmarks", "scripts"):
        yield from ((str(path), path.read_text()) for path in (ROOT / folder).glob("*.py"))
    for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")):
        yield from ((str(path), text) for text in re.findall(r"```python[^\n]*\n(.*?)```", path.read_text(), re.DOTALL))
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
        yield from ((str(path), "".join(cell["source"])) for cell in cells)


def offered(package: str, name: str, thing: object) -> bool:
    """Whether a package has a name in its table of contents, for the same thing."""
    holder = importlib.import_module(package)
    return name in getattr(holder, "__all__", ()) and getattr(holder, name) is thing


def test_what_users_read_imports_names_from_the_package_that_lists_them() -> None:
    deeper = []
    for source, text in sources():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gaaf_gp."):
                parts = node.module.split(".")
                above = [".".join(parts[:depth]) for depth in range(1, len(parts))]
                names = [one.name for one in node.names]
                things = [found(f"{node.module}:{name}") for name in names]
                deeper += [
                    f"{source}: {name} is in {package}, and is imported from {node.module}"
                    for name, thing in zip(names, things, strict=True)
                    for package in above
                    if offered(package, name, thing)
                ]
    assert deeper == []
