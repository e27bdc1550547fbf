"""The one door to torchvision, also beside a torch that was built without CUDA.

Wheels of torchvision 0.28 hold a compiled library for CUDA only. Beside a CPU torch that library does not load, its
operators are never declared, and ``import torchvision`` stops with "operator torchvision::nms does not exist",
although data sets, transforms and models need none of them. Here the two operators that the import asks for are
declared, without an implementation, and only where nothing else has declared them.
"""

import importlib
import sys
import threading
from importlib.machinery import PathFinder
from importlib.util import find_spec
from types import ModuleType

import torch

from gaaf_gp.errors import GaafError

# The schemas under which torchvision's own library registers them.
_SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}
_lock = threading.Lock()
# A declaration lives only as long as its Library object.
_declared: list[torch.library.Library] = []


def import_torchvision() -> ModuleType:
    """Import torchvision and return it; the first call declares its missing operators if it must.

    Any number of calls from any number of threads is fine. Where torchvision's compiled library loads, this is a plain
    import. Where it does not, everything works but the operators in compiled code (``torchvision.ops.nms`` and the
    like), which say so when they are called.

    Returns:
        The module ``torchvision``.

    Raises:
        GaafError: torchvision is not installed.
    """
    with _lock:
        if "torchvision" not in sys.modules:
            _declare_missing_operators()
        return importlib.import_module("torchvision")


def _declare_missing_operators() -> None:
    package = find_spec("torchvision")
    if package is None:
        raise GaafError("torchvision must be installed to read data sets, and it is not: pip install torchvision")
    if _loads_own_library(package.submodule_search_locations or []):
        return
    missing = [schema for name, schema in _SCHEMAS.items() if not hasattr(torch.ops.torchvision, name)]
    if missing:
        library = torch.library.Library("torchvision", "DEF")
        for schema in missing:
            library.define(schema)
        _declared.append(library)


def _loads_own_library(locations: list[str]) -> bool:
    # Tried ahead of the import: a failed import leaves half of the package behind in sys.modules. Loading a library
    # twice is harmless, so the import that follows may do it again.
    compiled = PathFinder.find_spec("_C", locations)
    if compiled is None or compiled.origin is None:
        return False
    try:
        torch.ops.load_library(compiled.origin)
    except (ImportError, OSError):
        return False
    return True
