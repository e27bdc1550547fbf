"""Every page runs as it stands, top to bottom, in an empty folder, and prints what it says."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from tests.docs.pages import agrees, blocks, runs

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
ELSEWHERE = {
    "../README.md": "tests/test_readme.py",
    "archive.md": "tests/archive/test_docs.py",
    "plots.md": "tests/plots/test_plots_page.py",  # its lines are those of a script, and minutes of training
    "tutorial.md": "tests/docs/test_tutorial.py",
}
"""Page -> where it is run instead."""
RUNNING = sorted(
    page.relative_to(DOCS).as_posix()
    for page in DOCS.rglob("*.md")
    if any(map(runs, blocks(page))) and page.relative_to(DOCS).as_posix() not in ELSEWHERE
)


@pytest.mark.parametrize("name", RUNNING)
def test_page_runs_and_prints_what_it_says(name, follow, tmp_path):
    page = DOCS / name
    folder = tmp_path / "work"
    folder.mkdir()
    printed = follow(page, folder)
    found = blocks(page)
    assert [block.line for block in found if runs(block)] == list(printed)
    said = [(block, answer) for block, answer in pairwise(found) if runs(block) and answer.language == "text"]
    for block, answer in said:
        assert agrees(printed[block.line], answer.text), f"line {block.line}: {printed[block.line]}"


def test_how_tos_show_what_they_print():
    for name in ("primitives", "model", "data", "bloat", "winner", "fitness", "shapes"):
        assert f"howto/{name}.md" in RUNNING
        assert any(block.language == "text" for block in blocks(DOCS / "howto" / f"{name}.md"))


@pytest.mark.parametrize("name", list(ELSEWHERE))
def test_pages_that_are_run_elsewhere_are(name):
    assert Path(name).name in (ROOT / ELSEWHERE[name]).read_text(encoding="utf-8")


def test_what_is_not_run_says_why():
    for page in DOCS.rglob("*.md"):
        for block in blocks(page):
            assert not block.why or block.language in ("python", "console"), f"{page.name}:{block.line}"


@pytest.mark.parametrize(
    ("printed", "said", "same"),
    [
        ("a 1.5 b\n", "a ... b\n", True),
        ("a\nb\n", "a ... b\n", False),
        ("a\nb", "a\nb", True),
        ("a 1", "a 2", False),
        ("first\nsecond", "first\n...", True),
        ("a (b)", "a .b.", False),
    ],
)
def test_three_dots_stand_for_anything_in_a_line(printed, said, same):
    assert agrees(printed, said) is same
