"""Every snippet of the README runs as printed, in an empty folder, and every file it links to is there."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
COMMANDS = [
    line.removeprefix("$ ")
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("$ ")
]
EXPECTED = (
    (r"\d\d\.\d% .+\n\d\d\.\d% .+\n\d\d\.\d% .+",),
    (r".+ \(0\.\d+,\)",),
    (r"max\(x, sin\(x\)\) 69\.5%\n.+ \d\d\.\d%, over all seeds \d\d\.\d%",),
    (r"Activation\(cos\(x\) \+ erf\(x\), channels=16\)",),
    (r"primitive 'log' must have a finite value, got -inf at \(0\) in torch\.float32: protect it there, or",),
    (r"Activation\(max\(sin\(x\), s0 \* x\), channels=16\)", r"torch\.Size\(\[8, 32, 14, 14\]\)"),
    (r"removed +right ahead of 2", r"1 of 3 layers are binary"),
)


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    # The checkout, so that primitives/ is found also where the project is not installed.
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment)


def test_there_are_snippets_and_commands():
    assert len(SNIPPETS) == len(EXPECTED)
    assert len(COMMANDS) >= 3


@pytest.mark.parametrize("number", range(len(EXPECTED)))
def test_python_snippet_runs_and_prints_what_it_says(number, tmp_path):
    script = tmp_path / "snippet.py"
    script.write_text(SNIPPETS[number], encoding="utf-8")
    done = _run([sys.executable, str(script)], tmp_path)
    assert done.returncode == 0, done.stderr
    for pattern in EXPECTED[number]:
        assert re.search(pattern, done.stdout), done.stdout


@pytest.mark.slow(170)
def test_commands_run_one_after_the_other(tmp_path):
    for command in COMMANDS:
        done = _run(shlex.split(command), tmp_path)
        assert done.returncode == 0, f"{command}: {done.stderr}"
    assert (tmp_path / "tree.png").exists()
    assert (tmp_path / "sheet.png").exists()
    assert (tmp_path / "out" / "first" / "result.json").exists()
    assert (tmp_path / "out" / "second" / "report.html").exists()


def test_linked_files_exist():
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert len(links) > 5
    assert [link for link in links if not (ROOT / link).exists()] == []
