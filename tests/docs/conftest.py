"""What tests of pages share: a page done in a folder of its own, by another process, as a reader would do it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SESSION = Path(__file__).with_name("session.py")
Follow = Callable[[Path, Path], dict[int, str]]


@pytest.fixture(scope="session")
def follow() -> Follow:
    """Return a function of a page and a folder that does in the folder what the page says.

    It returns line -> what the block there printed.
    """

    def followed(page: Path, folder: Path) -> dict[int, str]:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        # The checkout, so that primitives/ is found also where the project is not installed.
        environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        printed = folder.parent / f"{folder.name}.json"
        command = [sys.executable, str(SESSION), str(page), str(printed)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, done.stderr
        return {int(line): text for line, text in json.loads(printed.read_text(encoding="utf-8")).items()}

    return followed
