"""The command line of the benchmarks: what it prints and writes, and how it refuses."""

import json

import pytest

from benchmarks import __main__ as command
from benchmarks.__main__ import PARTS, main

RATIOS = {
    "step": [("step", "resnet18"), ("step", "small")],
    "candidate": [("candidate",)],
    "search": [("search",)],
    "scaling": [("scaling", "two_workers")],
}


def _fake(part, calls=None):
    result = {"ratio": 2.0, "resnet18": {"ratio": 2.0}, "small": {"ratio": 3.0}, "two_workers": {"ratio": 1.5}}

    def measure(setup):
        (calls if calls is not None else []).append(part)
        setup.save({"started": True})
        return result

    return measure, lambda result, console: console.print(f"the table of {part}")


@pytest.fixture
def quick_facts(monkeypatch):
    facts = {
        "cpu": "some", "cores": 2, "threads": 1, "capability": "AVX2", "flags": ["avx2"], "versions": {"torch": "2"},
        "gflops": {"matmul": 100.0},
    }  # fmt: skip
    monkeypatch.setattr(command.machine, "facts", lambda threads, repetitions: {**facts, "threads": threads})
    return facts


def test_the_overhead_is_measured_printed_and_written(tmp_path, capsys):
    path = tmp_path / "bench.json"
    assert main(["--only", "overhead", "--quick", "--threads", "1", "--json", str(path)]) == 0
    found = json.loads(path.read_text())
    assert found["size"] == "quick"
    assert found["finished"] == ["overhead"]
    assert found["machine"]["threads"] == 1
    assert found["machine"]["gflops"]["matmul"] > 0
    part = found["overhead"]
    assert part["candidates"] == 12
    assert part["unit"] == "s per candidate"
    assert part["total"] == pytest.approx(
        max(part["loop"]["median"], part["loop_two_workers"]["median"]) + part["parts"]["compile"]
    )
    assert part["within_goal"] == (part["total"] < part["goal"])
    printed = capsys.readouterr().out
    assert "overhead: without training, 12 candidates" in printed
    assert "behaviour" in printed


def test_every_part_is_measured_in_order_and_kept(tmp_path, monkeypatch, capsys, quick_facts):
    calls = []
    monkeypatch.setattr(command, "PARTS", {part: _fake(part, calls) for part in PARTS})
    path = tmp_path / "bench.json"
    assert main(["--json", str(path)]) == 0
    assert calls == ["step", "candidate", "search", "overhead", "scaling", "gpu"]
    found = json.loads(path.read_text())
    assert found["finished"] == calls
    for places in RATIOS.values():
        for place in places:
            part = found
            for key in place:
                part = part[key]
            assert part["ratio"] > 0
    printed = capsys.readouterr().out
    assert all(f"the table of {part}" in printed for part in PARTS)


def test_an_interrupted_run_keeps_what_it_has_and_goes_on(tmp_path, monkeypatch, capsys, quick_facts):
    calls = []
    parts = {part: _fake(part, calls) for part in PARTS}

    def interrupted(setup):
        setup.save({"runs": [1]})
        raise KeyboardInterrupt

    path = tmp_path / "bench.json"
    monkeypatch.setattr(command, "PARTS", {**parts, "search": (interrupted, parts["search"][1])})
    assert main(["--json", str(path)]) == 130
    found = json.loads(path.read_text())
    assert found["finished"] == ["step", "candidate"]
    assert found["search"] == {"runs": [1]}
    assert "overhead" not in found
    assert "go on with --resume" in capsys.readouterr().err

    earlier = []

    def resumed(setup):
        earlier.append(setup.earlier)
        return {"ratio": 2.0}

    monkeypatch.setattr(command, "PARTS", {**parts, "search": (resumed, parts["search"][1])})
    calls.clear()
    assert main(["--json", str(path), "--resume"]) == 0
    assert earlier == [{"runs": [1]}]
    assert calls == ["overhead", "scaling", "gpu"]
    assert sorted(json.loads(path.read_text())["finished"]) == sorted(PARTS)


def test_a_run_of_other_settings_is_not_resumed(tmp_path, monkeypatch, capsys, quick_facts):
    calls = []
    monkeypatch.setattr(command, "PARTS", {part: _fake(part, calls) for part in PARTS})
    path = tmp_path / "bench.json"
    assert main(["--json", str(path), "--only", "step", "--threads", "1"]) == 0
    assert main(["--json", str(path), "--only", "step", "--threads", "1", "--resume"]) == 0
    assert calls == ["step"]
    assert main(["--json", str(path), "--only", "step", "--threads", "2", "--resume"]) == 0
    assert calls == ["step", "step"]
    assert "nothing to resume" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "speed"], "invalid choice: 'speed'"),
        (["--only"], "expected at least one argument"),
        (["--threads", "0"], "whole number from 1"),
        (["--threads", "two"], "whole number from 1"),
        (["--resume"], "--json FILE"),
        (["--fast"], "unrecognized arguments"),
    ],
)
def test_bad_input_is_refused_in_a_line(arguments, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    printed = capsys.readouterr()
    assert message in printed.err
    assert "Traceback" not in printed.err


def test_a_file_that_cannot_be_written_is_refused_at_once(tmp_path, capsys):
    assert main(["--json", str(tmp_path / "nowhere" / "bench.json")]) == 2
    assert "error: the JSON file must be writable" in capsys.readouterr().err


def test_a_file_that_is_no_report_is_not_resumed(tmp_path, capsys):
    path = tmp_path / "bench.json"
    path.write_text("not JSON")
    assert main(["--json", str(path), "--resume"]) == 2
    assert "error: a run is resumed from its own JSON file" in capsys.readouterr().err
    assert path.read_text() == "not JSON"
