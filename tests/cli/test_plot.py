"""``gaaf-gp plot``: files are written, never overwritten unasked, and bad input ends with one line."""

import re

import pytest

from gaaf_gp.cli.plot import _write_pages
from gaaf_gp.errors import GaafError
from gaaf_gp.plots.style import new_axes
from tests.cli.calls import call


@pytest.mark.parametrize(("ending", "start"), [("png", b"\x89PNG\r\n"), ("svg", b"<?xml"), ("pdf", b"%PDF-")])
@pytest.mark.parametrize("command", ["tree", "activation"])
def test_a_figure_is_written(capsys, tmp_path, command, ending, start):
    path = tmp_path / f"figure.{ending}"
    assert call(capsys, "plot", command, "max(sin(x), scale(x))", "--out", path) == (0, f"wrote {path}\n", "")
    assert path.read_bytes().startswith(start)


def test_several_functions_are_drawn_side_by_side(capsys, tmp_path):
    path = tmp_path / "activations.svg"
    expressions = ["sin(x)", "sin(x) | add(x, x)", "@rsign", "@sign"]
    assert call(capsys, "plot", "activation", *expressions, "--out", path)[0] == 0
    drawn = path.read_text()
    texts = " ".join(re.findall("<!-- (.*?) -->", drawn))  # matplotlib notes the text of its outlines, line by line
    for title in (" sin(x) ", "forward: sin(x); backward: x + x", " x + s0 "):
        assert title in texts
    assert drawn.count('id="values"') == 4
    assert drawn.count('id="backward"') == 1


def test_functions_of_another_set(capsys, tmp_path):
    path = tmp_path / "tanh.svg"
    line = ["plot", "activation", "tanh(x)", "--out", path]
    status, _, err = call(capsys, *line)
    assert status == 2
    assert "tanh" in err
    assert call(capsys, *line, "--primitives", "primitives.minimal:make_pset")[0] == 0
    assert "<!-- tanh(x) -->" in path.read_text()


@pytest.mark.parametrize("command", ["tree", "activation"])
def test_a_file_is_overwritten_only_when_told(capsys, tmp_path, command):
    path = tmp_path / "figure.png"
    path.write_text("mine")
    status, out, err = call(capsys, "plot", command, "sin(x)", "--out", path)
    assert (status, out) == (2, "")
    assert err == f"error: the figure must be a new file, but {path} exists: choose another name or pass --force\n"
    assert path.read_text() == "mine"
    assert call(capsys, "plot", command, "sin(x)", "--out", path, "--force")[0] == 0
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("activation", "Missing argument"),
        ("activation sin(x)", "Missing option"),
        ("activation sin(y) --out ROOT/a.png", "y"),
        ("activation @relu --out ROOT/a.png", "a baseline must be one of"),
        ("activation sin(x) --out ROOT/a.gif", "must end in .png, .svg, .pdf"),
        ("activation sin(x) --out ROOT/nowhere/a.png", "needs an existing folder"),
        ("activation sin(x) --primitives primitives.nothing:here --out ROOT/a.png", "primitives.nothing"),
        ("tree @sign --out ROOT/a.png", "a tree, or two as in"),
    ],
)
def test_bad_input_ends_with_one_line(capsys, tmp_path, line, message):
    status, out, err = call(capsys, "plot", *line.replace("ROOT", str(tmp_path)).split())
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [[], ["tree"], ["activation"]])
def test_help_says_what_it_draws(capsys, command):
    status, out, _ = call(capsys, "plot", *command, "--help")
    assert status == 0
    assert "Draw" in out


def test_pages_that_cannot_be_written_are_refused_in_one_line(tmp_path):
    (tmp_path / "pages.pdf").mkdir()
    axes = new_axes(None)
    with pytest.raises(GaafError, match=r"a figure's file must be writable, '.*pages\.pdf' is not \(Is a directory\)"):
        _write_pages({"one": axes}, tmp_path / "pages.pdf")
    with pytest.raises(GaafError, match=r"a figure needs an existing folder, got '.*nowhere': make it"):
        _write_pages({"one": axes}, tmp_path / "nowhere" / "pages.pdf")
    assert _write_pages({"one": axes}, tmp_path / "new.pdf") == tmp_path / "new.pdf"
    assert (tmp_path / "new.pdf").read_bytes().startswith(b"%PDF")
