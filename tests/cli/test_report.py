"""``gaaf-gp report``, ``plot run`` and ``watch`` at the command line: files, and one line for whatever is wrong."""

import json
import re
import socket
import sys
from pathlib import Path

import pytest
from matplotlib import rc_context
from PIL import Image

from gaaf_gp.experiments.report import FIGURES
from tests.cli.calls import call
from tests.experiments.report.conftest import Run, fill

SET = "primitives.gaaf:free"
NAMES = [one.name for one in FIGURES]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A finished run of 20 candidates."""
    run = Run(tmp_path_factory.mktemp("runs") / "run")
    fill(run, 20, 10)
    run.confirm("max(sin(x), x)")
    return run.end()


def test_a_report_is_one_file(folder, tmp_path, capsys):
    assert call(capsys, "report", folder) == (0, f"wrote {folder / 'report.html'}\n", "")
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.count('class="card"') == 20
    out = tmp_path / "other.html"
    status, printed, _ = call(capsys, "report", folder / "archive.sqlite", "--out", out, "--most", 3, "--json")
    assert status == 0
    assert json.loads(printed) == {"file": str(out), "bytes": out.stat().st_size}
    assert out.read_text(encoding="utf-8").count('class="card"') == 3


def test_code_of_strangers_is_not_loaded(tmp_path, capsys, monkeypatch):
    evil = tmp_path / "evil.py"
    evil.write_text("raise SystemExit('loaded')\n")
    run = Run(tmp_path / "run", primitives=f"{evil}:make")
    fill(run, 5, 5)
    folder = run.end()
    status, _, _ = call(capsys, "report", folder)
    assert status == 0
    assert "Trees and functions are not drawn" in (folder / "report.html").read_text(encoding="utf-8")
    assert "evil" not in sys.modules
    assert call(capsys, "report", folder, "--primitives", SET)[0] == 0
    assert "Trees and functions are not drawn" not in (folder / "report.html").read_text(encoding="utf-8")


def test_all_figures_of_a_run(folder, tmp_path, capsys):
    status, printed, _ = call(capsys, "plot", "run", folder, "--out", tmp_path / "figures")
    assert status == 0
    assert printed.splitlines() == [f"wrote {tmp_path / 'figures' / name}.png" for name in NAMES]
    for name in NAMES:
        with Image.open(tmp_path / "figures" / f"{name}.png") as image:
            assert image.width > 300
    status, _, said = call(capsys, "plot", "run", folder, "--out", tmp_path / "figures")
    assert status == 2
    assert "figures must be new files" in said
    status, printed, _ = call(capsys, "plot", "run", folder, "--out", tmp_path / "all.pdf", "--json")
    assert json.loads(printed) == {"files": [str(tmp_path / "all.pdf")], "missing": {}}
    assert len(re.findall(rb"/Type /Page\b", (tmp_path / "all.pdf").read_bytes())) == len(NAMES)
    assert call(capsys, "plot", "run", folder, "--only", "front", "--out", tmp_path / "front.svg")[0] == 0
    assert (tmp_path / "front.svg").read_text(encoding="utf-8").startswith("<?xml")


def test_what_cannot_be_drawn_is_said(tmp_path, capsys):
    run = Run(tmp_path / "run")
    run.train("@sign")
    status, printed, _ = call(capsys, "plot", "run", run.end(), "--json")
    assert status == 0
    found = json.loads(printed)
    assert set(found["missing"]) | {Path(one).stem for one in found["files"]} == {*NAMES}
    assert found["missing"]["progress"] == "no generation has ended yet"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("report", "{tmp}/none"), "there is no folder"),
        (("watch", "{tmp}/none"), "there is no folder"),
        (("watch", "{tmp}"), r"has no archive.sqlite \(yet\)"),
        (("plot", "run", "{run}", "--only", "nothing"), "figures of a run are progress, .* got nothing"),
        (("plot", "run", "{run}", "--out", "{tmp}/x.png"), "a .png file holds one figure, got 7"),
        (("report", "{run}", "--out", "{tmp}/none/x.html"), "needs an existing folder"),
        (("report", "{run}", "--out", "{tmp}"), "is a folder: name a file in it"),
        (("report", "{run}", "--run", "nobody"), "there is no run 'nobody'"),
        (("report", "{run}", "--most", "0"), "--most"),
    ],
)
def test_bad_input_ends_in_one_line(folder, tmp_path, capsys, arguments, said):
    status, _, error = call(capsys, *(one.format(tmp=tmp_path, run=folder) for one in arguments))
    assert status == 2
    (line,) = error.splitlines()
    assert line.startswith("error: ")
    assert re.search(said, line)


def test_a_taken_port_is_told(folder, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        status, _, error = call(capsys, "watch", folder, "--port", port)
    assert status == 2
    assert f"a page needs a free port, and {port} is not" in error


def test_settings_of_the_user_break_no_report_and_no_figure(folder, tmp_path, capsys):
    with rc_context({"text.usetex": True, "font.family": "no such font"}):
        assert call(capsys, "report", folder, "--out", tmp_path / "page.html")[0] == 0
        assert call(capsys, "plot", "run", folder, "--out", tmp_path / "all.pdf")[0] == 0
    assert (tmp_path / "page.html").stat().st_size > 10_000
    assert len(re.findall(rb"/Type /Page\b", (tmp_path / "all.pdf").read_bytes())) == len(NAMES)
