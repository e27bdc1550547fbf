"""The page of pictures: it shows every figure, its lines are those of the script that makes them, its images exist."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

from gaaf_gp import plots
from tests.scripts import loaded

ROOT = Path(__file__).resolve().parents[2]
SCRIPT, PAGE, IMAGES = ROOT / "scripts" / "make_plots.py", ROOT / "docs" / "plots.md", ROOT / "docs" / "images"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return loaded("scripts/make_plots.py")


def plain(line: str) -> str:
    """Return a line of code without what differs between a function and a page."""
    return re.sub(r"^(axes =|return) ", "", line.strip())


def test_every_figure_has_its_place(script: ModuleType) -> None:
    page = PAGE.read_text(encoding="utf-8")
    shown = re.findall(r"!\[[^]]+\]\(images/(plot_\w+)\.png\)", page)
    assert sorted(shown) == sorted(script.PICTURES), "each picture once"
    code = "\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL))
    functions = {name for name in plots.__all__ if name.startswith("plot_")}
    assert {name for name in functions if f"{name}(" in code} == functions


def test_the_lines_of_the_page_are_those_of_the_script() -> None:
    source = {plain(line) for line in SCRIPT.read_text(encoding="utf-8").splitlines()}
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    begun, *blocks = blocks
    assert "from gaaf_gp.plots import" in begun
    for block in blocks:
        *lines, last = block.splitlines()
        assert re.fullmatch(r'save_figure\(axes, "\w+\.png"\)', last)
        assert 1 <= len(lines) <= 2, "three lines of code for a picture"
        assert [line for line in lines if plain(line) not in source] == []


def test_pictures_are_there_and_light_enough_for_a_page(script: ModuleType) -> None:
    for name in script.PICTURES:
        with Image.open(IMAGES / f"{name}.png") as image:
            assert image.format == "PNG"
            assert 200 < image.width < 2300
        assert (IMAGES / f"{name}.png").stat().st_size < 200_000


def test_the_script_draws_from_the_data_of_the_project(script: ModuleType, tmp_path: Path) -> None:
    script.main(["plot_fidelities", "plot_front"], tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plot_fidelities.png", "plot_front.png"]
    with pytest.raises(ValueError, match="got plot_nothing: correct their names"):
        script.main(["plot_nothing"], tmp_path)
