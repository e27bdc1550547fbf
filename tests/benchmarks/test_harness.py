"""Turns, medians, ratios, and JSON that is never half written."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from benchmarks import harness
from benchmarks.harness import Report, Timing, alternate, compared, read_report
from gaaf_gp.errors import GaafError


class Clock:
    """A clock that the timed calls move themselves."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def test_sides_take_turns_and_warm_up_first():
    calls = []
    sides = {name: lambda turn, name=name: calls.append((name, turn)) for name in "AB"}
    alternate(sides, 3, warmup=2)
    warm = [("A", -1), ("B", -1)] * 2
    assert calls == [*warm, ("A", 0), ("B", 0), ("A", 1), ("B", 1), ("A", 2), ("B", 2)]


def test_only_the_timed_calls_count_and_their_results_are_kept():
    clock = Clock()

    def side(factor):
        def call(turn):
            clock.now += 100 if turn < 0 else factor * (turn + 1)
            return turn * factor

        return call

    timings = alternate({"slow": side(8), "fast": side(2)}, 3, clock=clock)
    assert timings["slow"] == Timing((8, 16, 24), (0, 8, 16))
    assert timings["fast"] == Timing((2, 4, 6), (0, 2, 4))
    assert timings["slow"].median == 16


def test_no_repetition_is_refused():
    with pytest.raises(GaafError, match="at least 1, got 0"):
        alternate({"A": lambda turn: turn}, 0)


@pytest.mark.parametrize(("seconds", "median"), [((3, 1, 2), 2), ((4, 1, 2, 3), 2.5), ((7,), 7)])
def test_medians(seconds, median):
    assert Timing(seconds).median == median


def test_a_ratio_above_one_says_how_many_times_faster_ours_is():
    timings = {"textbook": Timing((10.0, 30.0, 20.0)), "ours": Timing((5.0, 3.0, 4.0))}
    assert compared(timings) == {
        "ratio": 5.0,
        "ratio_range": [2.0, 10.0],
        "repetitions": 3,
        "unit": "s",
        "textbook": {"median": 20.0, "seconds": [10.0, 30.0, 20.0]},
        "ours": {"median": 4.0, "seconds": [5.0, 3.0, 4.0]},
    }


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=5))
def test_the_geometric_mean_of_inverses_is_the_inverse(values):
    inverse = harness.geometric_mean(1 / value for value in values)
    assert harness.geometric_mean(values) * inverse == pytest.approx(1)
    assert harness.geometric_mean(values) == pytest.approx(math.prod(values) ** (1 / len(values)))


def test_a_report_is_written_after_every_change(tmp_path):
    path = tmp_path / "report.json"
    report = Report(path, {"machine": {"cores": 2}})
    assert read_report(path) == {"machine": {"cores": 2}}
    report.put("step", {"ratio": 2.5})
    report.put("step", {"ratio": 3.5})
    assert read_report(path) == {"machine": {"cores": 2}, "step": {"ratio": 3.5}}
    assert [file.name for file in tmp_path.iterdir()] == ["report.json"]


def test_a_report_that_cannot_be_written_leaves_the_old_one_whole(tmp_path):
    path = tmp_path / "report.json"
    report = Report(path)
    report.put("step", {"ratio": 2.0})
    before = path.read_bytes()
    for wrong, error, match in ((math.nan, ValueError, "JSON"), (object(), TypeError, "serializable")):
        with pytest.raises(error, match=match):
            report.put("search", {"ratio": wrong})
        assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["report.json"]


def test_a_write_that_breaks_off_leaves_the_old_report_whole(tmp_path, monkeypatch):
    path = tmp_path / "report.json"
    report = Report(path)
    report.put("step", {"ratio": 2.0})
    before = path.read_bytes()

    def full(self, text, encoding):
        with self.open("w", encoding=encoding) as file:
            file.write(text[: len(text) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", full)
    with pytest.raises(GaafError, match=r"must be writable.*No space left"):
        report.put("search", {"ratio": 3.0})
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["report.json"]


def test_without_a_path_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report = Report(None)
    report.put("step", {"ratio": 2.0})
    assert report.content == {"step": {"ratio": 2.0}}
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_missing_is_refused(tmp_path):
    with pytest.raises(GaafError, match=r"must be writable, but .*No such file"):
        Report(tmp_path / "nowhere" / "report.json")


@pytest.mark.parametrize(("text", "match"), [("{", "cannot be read"), ("[1]", "holds a list"), ("\0", "cannot be")])
def test_a_file_that_is_no_report_is_refused(tmp_path, text, match):
    path = tmp_path / "report.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(GaafError, match=match):
        read_report(path)


def test_no_file_is_an_empty_report(tmp_path):
    assert read_report(tmp_path / "report.json") == {}


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0012345, "0.00123"), (1.0, "1.00"), (12.345, "12.3"), (123.45, "123"), (0.0, "0"), (None, "-"), (7, "7")],
)
def test_numbers_are_shown_with_three_digits(value, text):
    assert harness.brief(value) == text


def test_a_table_shows_every_row(capsys):
    harness.show(Console(width=80), "title", ["what", "seconds"], [["first", 0.25], ["second", 1234.5]], "a note")
    printed = capsys.readouterr().out
    assert all(word in printed for word in ("title", "what", "seconds", "first", "0.250", "second", "1234", "a note"))
    assert json.dumps(printed)  # plain characters only would be asking too much; it must be text
