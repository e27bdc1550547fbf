"""The notebooks run from top to bottom in a fresh kernel and an empty folder, and show what they are about."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LONGEST = 240.0
"""Seconds for each, on a very busy core; each takes a quarter of a minute."""
SHOWN = {
    "1_from_deap_to_a_binary_network": (
        r"^.*x \* x.*   1\.0000$",
        r"^sign\(sin x\) \[-1\.0, ",
        r"^\d+ candidates, \d+ trainings$",
        r"over all its seeds \d\d\.\d%",
    ),
    "2_look_inside_a_run": (
        r"^\d+ candidates: \d+ trained,$",
        r"^\d+ curves$",
        r"^\d+\.\d\d s  \S+",
    ),
    "3_from_the_table_to_your_own_network": (
        r"^3,938 trees, 2,386 live functions, 200 of them on five seeds$",
        r"^cos-erf: cos\(x\) \+ erf\(x\)$",
        r"^2 of 4 layers are binary",
        r"^plain sign      [4-8]\d\.\d%$",
        r"^cos\(x\) \+ erf\(x\) [4-8]\d\.\d%$",
        r"^\['[\w.]+\.s0', '[\w.]+\.s0'\]$",
    ),
}
"""Notebook -> what some line that it prints must match."""
PICTURES = {
    "1_from_deap_to_a_binary_network": 2,
    "2_look_inside_a_run": 5,
    "3_from_the_table_to_your_own_network": 2,
}


@pytest.fixture(scope="module", params=NOTEBOOKS, ids=lambda path: path.stem)
def executed(request, tmp_path_factory):
    """Run a notebook, and return its name, its cells with their outputs, and the seconds that it took."""
    notebook: Any = nbformat.read(request.param, as_version=4)
    folder = tmp_path_factory.mktemp("notebook")
    # The checkout, so that primitives/ is found also where the project is not installed.
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    client = NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(folder)}})
    started = time.perf_counter()
    client.execute(env=environment)
    return request.param.stem, notebook.cells, time.perf_counter() - started


def test_there_are_three():
    assert [path.stem for path in NOTEBOOKS] == list(SHOWN) == list(PICTURES)


def test_they_are_kept_without_outputs():
    for path in NOTEBOOKS:
        notebook: Any = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        assert notebook.metadata.kernelspec.name == "python3"
        for cell in notebook.cells:
            assert not cell.get("outputs"), f"{path.name} {cell.id}"
            assert cell.get("execution_count") is None


def test_each_prints_and_draws_what_it_is_about(executed):
    name, cells, seconds = executed
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    printed = "".join(output.text for output in outputs if output.get("name") == "stdout")
    for pattern in SHOWN[name]:
        assert re.search(pattern, printed, re.MULTILINE), printed
    pictures = [output.data["image/svg+xml"] for output in outputs if "image/svg+xml" in output.get("data", {})]
    assert len(pictures) == PICTURES[name]
    assert all("<path" in picture for picture in pictures)
    assert not [output for output in outputs if output.get("name") == "stderr"]
    assert seconds < LONGEST


def test_links_lead_to_pages():
    for path in NOTEBOOKS:
        notebook: Any = nbformat.read(path, as_version=4)
        text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
        links = re.findall(r"\]\(([^)#]+)\)", text)
        assert links or path.name.startswith("3")
        assert [link for link in links if not (path.parent / link).exists()] == []
