"""What is shown of something long, in a terminal of any width, in a log and for a program."""

import io
import json
import re

import pytest
from rich.console import Console

from gaaf_gp.errors import GaafError
from gaaf_gp.util.console import EVERY, Display, Mode, Pace, as_mode


class Clock:
    """Seconds that a test sets."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Counting(Display):
    """A display with one line and one field."""

    def notes(self, width):
        return [f"note {'y' * 60}" if width is None else f"note of {width}"]

    def fields(self):
        return {"more": 1.5, "worst": float("-inf")}


def made(total, show, clock, width=80, terminal=False):
    screen = io.StringIO()
    console = Console(file=screen, width=width, force_terminal=terminal)
    return screen, Counting("things", total, show=show, console=console, clock=clock)


def plain(text):
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


@pytest.mark.parametrize(("show", "mode"), [(True, "auto"), (False, "none"), ("json", "json"), (Mode.BAR, "bar")])
def test_a_mode_has_names(show, mode):
    assert as_mode(show) is Mode(mode)


def test_another_mode_is_refused():
    with pytest.raises(
        GaafError, match="progress must be True, False or one of auto, bar, lines, json, none, got 'dot"
    ):
        as_mode("dots")


def test_what_was_known_before_does_not_count_in_the_rate():
    clock = Clock()
    pace = Pace(clock)
    assert pace.per_minute is None
    for _ in range(50):
        clock.now += 0.5
        pace.step(known=True)
    assert pace.per_minute is None
    for _ in range(4):
        clock.now += 10
        pace.step()
    assert pace.per_minute == pytest.approx(6.0), "4 in 40 seconds, the 25 before them are not counted"
    pace.step(known=True)
    assert pace.per_minute == pytest.approx(6.0)


def test_time_left_is_what_the_rate_says():
    clock = Clock()
    screen, display = made(10, "lines", clock)
    with display:
        assert display.seconds_left is None
        for done in (1, 2, 3, 4):
            clock.now += 15
            display.step(done)
        assert display.seconds_left == pytest.approx(6 * 15)
    assert screen.getvalue().splitlines()[-1].startswith("things 4/10, 4 a minute, 0:01:30 left, note")


def test_a_log_has_few_lines_and_always_the_first_and_the_last():
    clock = Clock()
    screen, display = made(100, "auto", clock)
    assert display.mode is Mode.LINES, "no terminal"
    with display:
        for done in range(1, 101):
            clock.now += EVERY / 20
            display.step(done)
    lines = screen.getvalue().splitlines()
    assert [line.split(",")[0] for line in lines] == [f"things {n}/100" for n in (1, 21, 41, 61, 81, 100)]
    assert "\x1b" not in screen.getvalue()
    assert all(line.endswith("y" * 60) for line in lines), "a line of a log is never cut or broken"


def test_json_lines_have_the_same_fields_whatever_happens():
    clock = Clock()
    screen, display = made(2, "json", clock)
    with display:
        clock.now += 30
        display.step(1, detail="sin")
    events = [json.loads(line) for line in screen.getvalue().splitlines()]
    assert [one["event"] for one in events] == ["start", "progress", "end"]
    common = {"event", "stage", "done", "of", "seconds", "rate", "seconds_left", "more", "worst"}
    assert [set(one) - common for one in events] == [set(), {"detail"}, set()]
    assert all(common <= set(one) for one in events)
    assert (events[0]["rate"], events[0]["seconds_left"]) == (None, None)
    assert (events[1]["done"], events[1]["of"], events[1]["rate"], events[1]["seconds_left"]) == (1, 2, 2.0, 30.0)
    assert events[1]["worst"] == "-inf", "JSON has no infinity"


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_a_live_display_fits_into_any_terminal(width):
    clock = Clock()
    screen, display = made(1000, "auto", clock, width, terminal=True)
    assert display.mode is Mode.BAR
    with display:
        clock.now += 60
        display.step(999)
    shown = plain(screen.getvalue())
    assert "things 999/1000" in shown
    assert "1 a minute" in shown
    assert f"note of {width}" in shown
    assert all(len(line) <= width for line in re.split(r"[\r\n]", shown))
    assert ("━" in shown) == (width >= 80), "a bar where there is room for one"


def test_nothing_at_all_is_written_when_not_wanted():
    screen, display = made(3, "none", Clock(), terminal=True)
    with display:
        display.step(1)
    assert screen.getvalue() == ""
