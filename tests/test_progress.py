"""The line that a person watches."""

import io

import pytest
from rich.console import Console

from gaaf_gp.fitness import Record
from gaaf_gp.progress import EpochProgress, Progress


def _shown(width, enabled=True):
    screen = io.StringIO()
    console = Console(file=screen, width=width, force_terminal=False)
    with Progress(4, enabled=enabled, console=console) as progress:
        for text, accuracy, failure in (
            ("sin(x)", 0.5, None),
            ("add(sin(x), mul(x, max(cos(x), tanh(x))))", 0.75, None),
            ("square(x)", 0.0, "constant sign"),
        ):
            progress.advance(Record(text, accuracy, (), failure))
    return screen.getvalue()


def test_it_counts_and_names_the_best():
    line = _shown(140)
    assert "3/4" in line
    assert "best 75.00% add(sin(x), mul(x, max(cos(x), tanh(x)))), 1 failed" in line


@pytest.mark.parametrize("width", [80, 90])
def test_a_long_formula_is_cut_so_that_the_times_stay_readable(width):
    line = _shown(width).rstrip("\n")
    assert "3/4 0:00:0" in line
    assert "left" in line
    assert "..., 1 failed" in line
    assert all(len(part) <= width for part in line.splitlines())


def test_nothing_is_shown_when_not_wanted():
    assert _shown(100, enabled=False) == ""


def test_one_that_dropped_out_is_counted_and_never_the_best():
    screen = io.StringIO()
    with Progress(3, console=Console(file=screen, width=160, force_terminal=False)) as progress:
        progress.advance(Record("cos(x)", 0.9, (), None, fidelity=1 / 3, value=0.4))
        assert progress.best is None
        progress.advance(Record("sin(x)", 0.5, (), None))
        progress.advance(Record("tan(x)", 0.6, (), None, value=0.45))
    assert progress.best.text == "sin(x)", "by what it is ranked by"
    assert "best 50.00% sin(x), 1 dropped" in screen.getvalue()


def test_epochs_are_counted_with_what_was_reached():
    screen = io.StringIO()
    with EpochProgress(30, console=Console(file=screen, width=120, force_terminal=False)) as progress:
        progress.reach(10)
        progress.reach(11, "f1, seed 3: 81.20% after epoch 4")
    line = screen.getvalue().rstrip("\n")
    assert line.startswith("epochs ")
    assert "11/30" in line
    assert line.rstrip().endswith("f1, seed 3: 81.20% after epoch 4")


def test_another_thing_is_named_and_nothing_is_shown_when_not_wanted():
    screens = [io.StringIO(), io.StringIO()]
    for screen, enabled in zip(screens, (True, False), strict=True):
        console = Console(file=screen, width=120, force_terminal=False)
        with EpochProgress(2, what="teacher", enabled=enabled, console=console) as progress:
            progress.reach(2, "70.00%")
    assert screens[0].getvalue().startswith("teacher ")
    assert screens[1].getvalue() == ""
