"""Versions of the software that results depend on."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterable

PACKAGES = ("gaaf-gp", "deap", "torch", "torchvision", "numpy", "scipy")
"""Packages that results depend on."""


def versions(packages: Iterable[str] = PACKAGES) -> dict[str, str]:
    """Return the versions of Python and of ``packages``, by name; see :func:`version`."""
    return {"python": platform.python_version()} | {package: version(package) for package in packages}


def version(package: str) -> str:
    """Return the version of an installed package, "not installed" where it is not (or is run from its folder)."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
