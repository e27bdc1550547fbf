"""``gaaf-gp primitives``: a table, a sheet and JSON of any set, also a user's."""

import json
import os
import subprocess
import sys

import pytest
from PIL import Image

from gaaf_gp.cli import main
from gaaf_gp.trees.describe import entries

OWN = """
import torch
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.types import Feature

def wave(x):
    return torch.sin(3 * x)

def make():
    pset = PrimitiveSet("own waves")
    pset.addPrimitive(wave, [Feature], Feature, cost=7, periodic=True)
    pset.addPrimitive(torch.add, [Feature, Feature], Feature, infix="{0:1} + {1:1}", precedence=1)
    return pset
"""


def call(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        main(["primitives", *map(str, arguments)])
    captured = capsys.readouterr()
    return ended.value.code, captured.out, captured.err


def test_the_table_has_a_line_for_each(capsys, monkeypatch, free):
    monkeypatch.setenv("COLUMNS", "160")
    status, out, err = call(capsys)
    assert (status, err) == (0, "")
    lines = out.splitlines()
    for one in entries(free):
        (row,) = [line for line in lines if line.split() and line.split()[0] == one.name]
        assert one.formula in row
        assert f" {one.cost:g} " in row
    assert lines[-1] == f"{len(free.mapping)} entries of primitives.gaaf:free"
    (sine,) = [line for line in lines if line.startswith("sin ")]
    assert "Feature -> Feature" in sine
    assert "periodic" in sine
    drawn = sine.rstrip()[-13:]
    assert set(drawn) <= set("▁▂▃▄▅▆▇█")
    assert 0 < drawn.index("▁") == 12 - drawn.rindex("█") < 6, "lowest near -pi/2, highest near pi/2"


@pytest.mark.parametrize("columns", [60, 80])
def test_it_fits_into_a_narrow_terminal(capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    status, out, _ = call(capsys)
    assert status == 0
    assert max(map(len, out.splitlines())) <= columns


def test_a_tag_chooses_and_an_unknown_one_is_refused(capsys):
    status, out, _ = call(capsys, "--tag", "periodic")
    assert status == 0
    assert out.splitlines()[-1] == "3 entries of primitives.gaaf:free with the tag periodic"
    status, out, err = call(capsys, "--tag", "wavy")
    assert (status, out) == (2, "")
    assert err.startswith("error: a tag of primitives must be one of periodic")


def test_a_stream_without_blocks_gets_ascii():
    done = subprocess.run(
        [sys.executable, "-m", "gaaf_gp.cli", "primitives", "--tag", "periodic"],
        capture_output=True, check=True, env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
    )  # fmt: skip
    text = done.stdout.decode("ascii")
    (sine,) = [line for line in text.splitlines() if line.lstrip("| ").startswith("sin")]
    assert "#" in sine
    assert "_" in sine


def test_the_file_of_a_user_is_listed_and_drawn(capsys, tmp_path):
    path = tmp_path / "own_waves_of_a_test.py"
    path.write_text(OWN)
    sheet = tmp_path / "sheet.png"
    status, out, err = call(capsys, "--primitives", f"{path}:make", "--plot", sheet, "--json")
    assert (status, err) == (0, "")
    found = json.loads(out)
    assert [one["name"] for one in found["entries"]] == ["x", "wave", "add"]
    wave = found["entries"][1]
    assert (wave["formula"], wave["cost"], wave["tags"]) == ("wave(x)", 7, ["periodic"])
    assert (wave["arguments"], wave["returns"], wave["shown"]) == (["Feature"], "Feature", "f(x)")
    assert len(wave["x"]) == len(wave["values"]) == 121
    assert found["sheet"] == str(sheet)
    with Image.open(sheet) as image:
        assert image.format == "PNG"
        assert image.width > image.height, "three panels beside each other"


def test_a_sheet_is_overwritten_only_when_told(capsys, tmp_path):
    sheet = tmp_path / "sheet.svg"
    sheet.write_text("mine")
    status, _, err = call(capsys, "--tag", "periodic", "--plot", sheet)
    assert status == 2
    assert "exists: choose another name or pass --force" in err
    assert sheet.read_text() == "mine"
    status, out, _ = call(capsys, "--tag", "periodic", "--plot", sheet, "--force", "--dark")
    assert status == 0
    assert out.splitlines()[-1] == f"wrote {sheet}"
    assert "#1b1b1b" in sheet.read_text()


def test_bad_names_are_one_line(capsys, tmp_path):
    status, _, err = call(capsys, "--primitives", "primitives.gaaf:nothing")
    assert status == 2
    assert "has no function 'nothing'" in err
    status, _, err = call(capsys, "--plot", tmp_path / "sheet.gif")
    assert status == 2
    assert "must end in .png, .svg, .pdf" in err
