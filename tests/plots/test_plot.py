"""The names of all figures: importable from one place, which leaves pyplot alone."""

from __future__ import annotations

from pathlib import Path

from matplotlib import pyplot as plt

from gaaf_gp import plots
from gaaf_gp.evaluation.records import Record
from gaaf_gp.plots import plot_history, plot_tree, save_figure
from gaaf_gp.trees.parser import parse
from primitives.gaaf import free


def test_every_name_is_there_once() -> None:
    assert sorted(set(plots.__all__)) == sorted(plots.__all__)
    assert all(hasattr(plots, name) for name in plots.__all__)


def test_every_figure_of_the_package_is_among_them() -> None:
    folder = Path(plots.__file__).parent
    made = {
        line.removeprefix("def ").partition("(")[0]
        for path in folder.glob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.startswith("def plot_")
    }
    assert made == {name for name in plots.__all__ if name.startswith("plot_")}


def test_pyplot_knows_of_no_figure(tmp_path: Path) -> None:
    save_figure(plot_tree(parse("sin(x)", free())), tmp_path / "tree.png")
    save_figure(plot_history([Record("x", 0.4, (), None)]), tmp_path / "history.png")
    assert plt.get_fignums() == []
