"""Scripts of runs/ and scripts/ as modules, so that a test may call their functions and change their choices."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[1]


def loaded(path: str) -> ModuleType:
    """Return a new module of a script, such as "runs/quickstart.py"; it does not run as a program."""
    spec = spec_from_file_location(f"{Path(path).stem}_under_test", ROOT / path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
