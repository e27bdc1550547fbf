"""Pictures in notebooks: individuals have one, nothing is imported before it is asked for, and others may draw."""

from __future__ import annotations

import subprocess
import sys

import pytest

from gaaf_gp.plots.tree import LABELS
from gaaf_gp.trees import individual
from gaaf_gp.trees.candidate import parse_candidate
from gaaf_gp.trees.individual import draw_with, svg_of
from gaaf_gp.trees.parser import parse
from primitives.gaaf import free

PSET = free()


def test_an_individual_shows_its_tree() -> None:
    drawn = parse("add(sin(x), const(0.5))", PSET)._repr_svg_()
    assert drawn is not None
    assert drawn.startswith("<?xml")
    assert drawn.count('id="node-') == 5
    assert "<!-- sin(x) + 0.5 -->" in drawn, "matplotlib notes the text of its outlines"


def test_two_trees_show_both() -> None:
    pair = parse_candidate("sin(x) | mul(x, x)", PSET)
    assert pair is not None
    drawn = pair._repr_svg_()  # type: ignore[union-attr]
    assert drawn is not None
    assert drawn.count('id="node-') == 5
    assert all(f"<!-- {label} -->" in drawn for label in LABELS)


def test_whoever_came_last_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(individual, "_drawers", [])
    assert svg_of(parse("x", PSET)) is None, "a notebook then shows the text"
    assert draw_with(repr) is repr
    draw_with(str)
    assert parse("x", PSET)._repr_svg_() == "x"


def test_matplotlib_is_imported_when_a_picture_is_asked_for_and_not_before() -> None:
    code = (
        "import sys\n"
        "from gaaf_gp import parse\n"
        "from primitives.minimal import make_pset\n"
        "tree = parse('sin(x)', make_pset())\n"
        "assert 'matplotlib' not in sys.modules\n"
        "assert tree._repr_svg_().startswith('<?xml')\n"
        "assert 'matplotlib' in sys.modules and 'matplotlib.pyplot' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
