"""The line that a person watches."""

import io

import pytest
from rich.console import Console

from gaaf_gp.fitness import Record
from gaaf_gp.progress import Progress


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
