"""What a person, a log and a program see of a search and of long trainings."""

import io
import json

import pytest
from rich.console import Console

from gaaf_gp import cli
from gaaf_gp.evaluation.records import Record, reason, reasons
from gaaf_gp.search.progress import Progress, formulas
from gaaf_gp.util.console import EpochProgress


def _progress(width, total=4, show="bar", terminal=True, **settings):
    screen = io.StringIO()
    console = Console(file=screen, width=width, force_terminal=terminal, color_system=None)
    return screen, Progress(total, show=show, console=console, **settings)


def _three(progress):
    for text, accuracy, failure in (
        ("sin(x)", 0.5, None),
        ("add(sin(x), mul(x, max(cos(x), tan(x))))", 0.75, None),
        ("square(x)", 0.0, "non-finite loss in epoch 3"),
    ):
        progress.advance(Record(text, accuracy, (), failure))


def test_candidates_best_and_failures_are_shown(free):
    screen, progress = _progress(140, show="lines", formula=formulas(free))
    with progress:
        _three(progress)
    line = screen.getvalue().splitlines()[-1]
    assert line.startswith("search 3/4, ")
    assert "best 75.00% sin(x) + x * max(cos(x), tan(x)), 1 failed (1 non-finite loss)" in line


@pytest.mark.parametrize("width", [30, 60, 90])
def test_a_long_formula_is_cut_so_that_what_failed_stays_readable(width):
    screen, progress = _progress(width)
    with progress:
        _three(progress)
        notes = progress.notes(width)
    assert all(len(note) <= width for note in notes[:1])
    assert notes[0].endswith("...") == (width < 60)
    assert notes[1] == "1 failed (1 non-finite loss)"
    assert "search 3/4" in screen.getvalue()


def test_failures_are_counted_by_reason_without_their_particulars():
    assert reason("time budget of 3 s exhausted in epoch 12") == "time budget of 3 s exhausted"
    assert reason("constant output: every image is called 'cat'") == "constant output"
    counts = {"non-finite loss in epoch 1": 2, "non-finite loss in epoch 2": 1, "out of memory": 5}
    assert list(reasons(counts).items()) == [("out of memory", 5), ("non-finite loss", 3)]
    _, progress = _progress(80, total=20)
    for number, why in enumerate(("a", "b", "c", "d", "e", "f", "a")):
        progress.advance(Record(f"sin{number}", 0.0, (), why))
    assert progress.notes(80)[1] == "7 failed (2 a, 1 b, 1 c, 1 d, 2 others)"


def test_one_that_dropped_out_is_counted_and_never_the_best():
    screen, progress = _progress(160, total=3, show="lines")
    with progress:
        progress.advance(Record("cos(x)", 0.9, (), None, fidelity=1 / 3, value=0.4))
        assert progress.best is None
        progress.advance(Record("sin(x)", 0.5, (), None))
        progress.advance(Record("tan(x)", 0.6, (), None, value=0.45))
    assert progress.best.text == "sin(x)", "by what it is ranked by"
    assert "best 50.00% sin(x), 1 dropped out of races" in screen.getvalue()


def test_a_program_gets_every_evaluation(free):
    screen, progress = _progress(80, show="json", terminal=False, formula=formulas(free))
    with progress:
        _three(progress)
        progress.advance(Record("cos(x)", 0.6, (), None), known=True)
    events = [json.loads(line) for line in screen.getvalue().splitlines()]
    assert [one["event"] for one in events] == ["start", *["evaluation"] * 4, "end"]
    assert [one["done"] for one in events] == [0, 1, 2, 3, 4, 4]
    last = events[-1]
    assert (last["best"], last["accuracy"]) == ("add(sin(x), mul(x, max(cos(x), tan(x))))", 0.75)
    assert last["formula"] == "sin(x) + x * max(cos(x), tan(x))"
    assert (last["failures"], last["dropped"]) == ({"non-finite loss": 1}, 0)
    assert events[3]["candidate"] == {
        "text": "square(x)", "accuracy": 0.0, "failure": "non-finite loss in epoch 3", "known": False,
    }  # fmt: skip
    assert events[4]["candidate"]["known"]


def test_nothing_is_shown_when_not_wanted():
    screen, progress = _progress(100, show=False)
    with progress:
        _three(progress)
    assert screen.getvalue() == ""
    assert progress.failed == 1, "it is counted all the same"


def test_epochs_are_counted_with_what_was_reached():
    screen = io.StringIO()
    with EpochProgress(30, show="lines", console=Console(file=screen, width=40, force_terminal=False)) as progress:
        progress.reach(10, known=True)
        progress.reach(11, "f1, seed 3: 81.20% after epoch 4")
    first, last = screen.getvalue().splitlines()
    assert first.startswith("epochs 10/30, ")
    assert last.startswith("epochs 11/30, ")
    assert last.endswith(" left, f1, seed 3: 81.20% after epoch 4")


def test_another_thing_is_named_and_nothing_is_shown_when_not_wanted():
    screens = [io.StringIO(), io.StringIO()]
    for screen, show in zip(screens, (True, False), strict=True):
        console = Console(file=screen, width=120, force_terminal=False)
        with EpochProgress(2, what="teacher", show=show, console=console) as progress:
            progress.reach(2, "70.00%")
    assert screens[0].getvalue().startswith("teacher ")
    assert screens[1].getvalue() == ""


def _events(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        cli.main([*map(str, arguments), "--progress", "json"])
    captured = capsys.readouterr()
    assert ended.value.code == 0, captured.err
    return captured.out, [json.loads(line) for line in captured.err.splitlines()]


def test_a_run_that_is_gone_on_with_does_not_boast_of_what_it_knew(capsys, image_folder, tmp_path):
    small = ("--data", image_folder, "--evaluations", 6, "--workers", 1, "--epochs", 1, "--batch-size", 8)
    small += ("--population", 3, "--fresh-seeds", 2)
    out, first = _events(capsys, "evolve", *small, "--out", tmp_path / "run")
    assert "Best candidates" in out
    assert [one["stage"] for one in first if one["event"] == "start"] == ["search", "random search"]
    searched = [one for one in first if one["event"] == "evaluation" and one["stage"] == "search"]
    assert [one["done"] for one in searched] == [1, 2, 3, 4, 5, 6]
    assert not any(one["candidate"]["known"] for one in searched)
    assert all(one["rate"] > 0 for one in searched)
    assert searched[-1]["seconds_left"] == 0
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    best = {one["candidate"]["text"] for one in searched if one["candidate"]["accuracy"] == searched[-1]["accuracy"]}
    assert {searched[-1]["best"], result["best"]} <= best, "several may be best"
    assert searched[-1]["accuracy"] == result["validation"]["best"]
    again = _events(capsys, "resume", tmp_path / "run")[1]
    known = [one for one in again if one["event"] == "evaluation"]
    assert len(known) == 12
    assert all(one["candidate"]["known"] and one["rate"] is None for one in known), "everything came from the archive"
    assert [one["candidate"]["accuracy"] for one in known[:6]] == [one["candidate"]["accuracy"] for one in searched]
