"""Every name that documentation, notebooks, runs, primitives and benchmarks import can be imported from where they say.

``public_names.json`` lists them as ``module:name``, and whole modules as ``module``. A path is never taken out while
users may have it in their scripts: what moves stays reachable there, with a ``DeprecationWarning``.
"""

import importlib
import json
import warnings
from pathlib import Path

import pytest

NAMES: list[str] = json.loads((Path(__file__).parent / "public_names.json").read_text())


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
