"""A reader who types what the tutorial says, in an empty folder, ends with a primitive, a run and a drawn winner."""

from __future__ import annotations

import json
import time
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image

from tests.docs.pages import agrees, blocks, runs

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tutorial.md"
BLOCKS = blocks(PAGE)
LONGEST = 270.0
"""Seconds for which a reader may wait for a busy machine, of the ten minutes that the page promises."""


def test_nothing_of_the_tutorial_is_left_out():
    assert not [block for block in BLOCKS if block.why]
    kinds = [block.language for block in BLOCKS if runs(block)]
    assert (kinds.count("python"), kinds.count("console")) >= (8, 5)
    assert [block.title for block in BLOCKS if block.title] == ["my_primitives.py"]


@pytest.mark.slow(75)
def test_a_reader_ends_with_a_primitive_a_run_and_a_drawn_winner(follow, tmp_path):
    folder = tmp_path / "tutorial"
    folder.mkdir()
    started = time.perf_counter()
    printed = follow(PAGE, folder)
    assert time.perf_counter() - started < LONGEST
    assert [block.line for block in BLOCKS if runs(block)] == list(printed)
    check_what_it_prints(printed)
    check_the_run(folder / "out" / "mine")
    assert any("triangle" in text for text in printed.values())
    for name in ("winner_tree.png", "winner.png", "triangle.png", "out/mine/best_tree.png"):
        with Image.open(folder / name) as image:
            assert min(image.size) > 100, name
            assert len(image.convert("RGB").getcolors(1 << 24)) > 2, f"{name} is blank"


def check_what_it_prints(printed: dict[int, str]) -> None:
    said = [(block, answer) for block, answer in pairwise(BLOCKS) if runs(block) and answer.language == "text"]
    assert len(said) >= 7
    for block, answer in said:
        assert agrees(printed[block.line], answer.text), printed[block.line]


def check_the_run(folder: Path) -> None:
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    assert result["evaluations"] == 12
    assert len(result["test"]["seeds"]) == 2
    assert "triangle" in json.loads((folder / "config.json").read_text(encoding="utf-8"))["pset"]
    assert "triangle(x)" in (folder / "report.html").read_text(encoding="utf-8")
