"""``gaaf-gp archive``: what is listed, shown, exported, merged and checked, and one line for whatever is wrong."""

import csv
import json
import math
import shutil
import sqlite3

import pytest
from pyarrow import parquet

from gaaf_gp import cli
from gaaf_gp.archive import Archive, Evaluation
from gaaf_gp.cli.archive import in_folder

SETTINGS = {"proxy": {"epochs": 2}}


def call(capsys, *arguments):
    """Run a command here; return its status, standard output and standard error."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["archive", *map(str, arguments)])
    captured = capsys.readouterr()
    return ended.value.code, captured.out, captured.err


def evaluation(text, task, accuracy=0.5, **changes):
    about = {
        "signature": f"signature of {text}", "seed": 0, "epochs": 2, "fidelity": 1.0, "curve": (accuracy / 2, accuracy),
        "losses": (2.0, 1.0), "seconds": 1.5, "device": "cpu", "versions": {"torch": "2.13.0"}, "formula": f"f: {text}",
    }  # fmt: skip
    return Evaluation(text=text, task=task, accuracy=accuracy, **(about | changes))


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Three functions, one of them failed and one with two seeds, and two runs."""
    monkeypatch.setenv("COLUMNS", "160")
    with Archive(tmp_path / "archive.sqlite") as archive:
        task = archive.register(SETTINGS)
        first, second = archive.begin("evolve", {"seed": 1}, {}), archive.begin("random search", {}, {})
        archive.add(evaluation("sin(x)", task, 0.625), first)
        archive.add(evaluation("sin(x)", task, 0.375, seed=1), first)
        archive.add(evaluation("tanh(x)", task, 0.75), second)
        failed = evaluation("cos(x)", task, 0.0, failure="loss not finite in epoch 2", curve=(0.1,), losses=(2.0,))
        archive.add(failed, second)
        archive.end(first, "finished")
    return tmp_path / "archive.sqlite"


def test_functions_are_listed_best_first(file, capsys):
    status, printed, _ = call(capsys, "ls", file)
    assert status == 0
    lines = [line for line in printed.splitlines() if "f: " in line]
    assert [line.split("│")[1].strip() for line in lines] == ["f: tanh(x)", "f: sin(x)", "f: cos(x)"]
    assert [cell.strip() for cell in lines[1].split("│")[2:6]] == ["50.00", "2", "2", "3.0"]
    assert "loss not finite in epoch 2" in lines[2]
    status, printed, _ = call(capsys, "ls", file, "--texts", "--limit", 1, "--sort", "text")
    assert "cos(x)" in printed
    assert "f: " not in printed
    assert "tanh" not in printed


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], ["tanh(x)", "sin(x)", "cos(x)"]),
        (["--failed"], ["cos(x)"]),
        (["--not-failed"], ["tanh(x)", "sin(x)"]),
        (["--sort", "new"], ["cos(x)", "tanh(x)", "sin(x)"]),
        (["--sort", "slow"], ["sin(x)", "cos(x)", "tanh(x)"]),
        (["--limit", "2"], ["tanh(x)", "sin(x)"]),
    ],
)
def test_lists_as_json(file, capsys, options, expected):
    status, printed, _ = call(capsys, "ls", file, "--json", *options)
    assert status == 0
    assert [one["text"] for one in json.loads(printed)] == expected


def test_runs_and_tasks_are_listed(file, capsys):
    found = json.loads(call(capsys, "ls", file, "--runs", "--json")[1])
    assert [(one["command"], one["status"], one["entries"]) for one in found] == [
        ("random search", "running", 2),
        ("evolve", "finished", 2),
    ]
    _, printed, _ = call(capsys, "ls", file, "--runs")
    assert found[1]["key"][:8] in printed
    _, printed, _ = call(capsys, "ls", file, "--run", found[1]["key"][:10], "--json")
    assert [one["text"] for one in json.loads(printed)] == ["sin(x)"]
    (name,) = json.loads(call(capsys, "ls", file, "--tasks", "--json")[1])
    assert call(capsys, "ls", file, "--tasks")[1] == f"{name[:8]} {json.dumps(SETTINGS)}\n"


@pytest.mark.parametrize("text", ["sin(x)", "f: sin(x)"])
def test_a_function_is_shown_with_every_training(file, capsys, text):
    status, printed, _ = call(capsys, "show", file, text)
    assert status == 0
    assert printed.startswith("text      sin(x)\nformula   f: sin(x)\nsignature signature of sin(x)\n")
    assert "accuracy after each epoch, in per cent:\n    1  31.25 62.50\n    2  18.75 37.50\n" in printed
    found = json.loads(call(capsys, "show", file, text, "--json")[1])
    assert [(one["seed"], one["accuracy"], one["curve"]) for one in found] == [
        (0, 0.625, [0.3125, 0.625]),
        (1, 0.375, [0.1875, 0.375]),
    ]


def test_numbers_that_are_not_finite_are_valid_json(file, capsys):
    with Archive(file) as archive:
        task = archive.register(SETTINGS)
        archive.add(evaluation("x", task, math.nan, seconds=math.inf))
    for command in (["show", file, "x"], ["ls", file, "--sort", "new"]):
        found = json.loads(call(capsys, *command, "--json")[1], parse_constant=pytest.fail)
        assert (found[0]["accuracy"], found[0]["seconds"]) == ("nan", "inf")
    assert call(capsys, "show", file, "x")[0] == 0


def test_every_training_is_exported(file, tmp_path, capsys):
    status, printed, _ = call(capsys, "export", file, "--csv", tmp_path / "a.csv", "--parquet", tmp_path / "a.parquet")
    assert status == 0
    assert printed == f"wrote 4 trainings to {tmp_path / 'a.csv'}\nwrote 4 trainings to {tmp_path / 'a.parquet'}\n"
    with (tmp_path / "a.csv").open(newline="") as lines:
        texts = [line["text"] for line in csv.DictReader(lines)]
    assert (
        texts
        == parquet.read_table(tmp_path / "a.parquet")["text"].to_pylist()
        == 2 * ["sin(x)"] + ["tanh(x)", "cos(x)"]
    )
    key = json.loads(call(capsys, "ls", file, "--runs", "--json")[1])[0]["key"]
    call(capsys, "export", file, "--csv", tmp_path / "run.csv", "--run", key)
    assert len((tmp_path / "run.csv").read_text().splitlines()) == 3


def test_no_file_is_overwritten_by_accident(file, tmp_path, capsys):
    (tmp_path / "mine").write_text("mine")
    for option, other in (("--csv", "--parquet"), ("--parquet", "--csv")):
        status, _, errors = call(capsys, "export", file, option, tmp_path / "mine", other, tmp_path / "new")
        assert status == 2
        assert errors.startswith("error: an export must go to a new file, but ")
        assert not (tmp_path / "new").exists()
    assert (tmp_path / "mine").read_text() == "mine"
    assert call(capsys, "export", file, "--csv", tmp_path / "mine", "--force")[0] == 0
    status, _, errors = call(capsys, "export", file)
    assert (status, errors) == (2, "error: an export needs a file to write: pass --csv FILE, --parquet FILE, or both\n")
    status, _, errors = call(capsys, "export", file, "--csv", file, "--force")
    assert status == 2
    assert "must not be the archive itself" in errors
    assert call(capsys, "check", file)[0] == 0


def test_archives_are_merged(file, tmp_path, capsys):
    other = tmp_path / "other.sqlite"
    with Archive(other) as archive:
        task = archive.register(SETTINGS)
        archive.add_all([evaluation("sin(x)", task, 0.625), evaluation("tanh(x)", task, 0.25), evaluation("x", task)])
    into = tmp_path / "all.sqlite"
    status, printed, _ = call(capsys, "merge", into, file, other)
    assert status == 0
    assert printed == (
        f"{file}: 4 new, 0 known, 0 with another result, 2 new runs\n"
        f"{other}: 1 new, 1 known, 1 with another result, 0 new runs\n"
        "  another result, 25.00 %: tanh(x), seed 0\n"
    )
    found = json.loads(call(capsys, "merge", into, other, "--json")[1])[str(other)]
    assert (found["new"], found["known"], found["runs"]) == (0, 2, 0)
    assert [one["accuracy"] for one in found["differing"]] == [0.25]


def test_nothing_is_made_if_a_source_is_missing(file, tmp_path, capsys):
    status, _, errors = call(capsys, "merge", tmp_path / "all.sqlite", file, tmp_path / "none.sqlite")
    assert status == 2
    assert errors.startswith("error: there is no archive ")
    assert not (tmp_path / "all.sqlite").exists()


def test_a_whole_archive_is_well(file, capsys):
    status, printed, _ = call(capsys, "check", file)
    assert (status, printed.splitlines()) == (
        0,
        ["evaluations  4", "candidates   3", "failed       1", "tasks        1", "runs         2", "all is well"],
    )
    assert json.loads(call(capsys, "check", file, "--json")[1])["problems"] == []
    assert call(capsys, "check", file, "--upgrade")[0] == 0


def test_damages_are_listed(file, capsys):
    db = sqlite3.connect(file)
    db.execute("UPDATE evaluations SET accuracy = 0.9 WHERE text = 'tanh(x)'")
    db.commit()
    db.close()
    status, printed, errors = call(capsys, "check", file)
    assert status == 2
    assert "evaluation 3 has another checksum than was written" in printed
    assert errors == f"error: {file} is damaged, 1 problem: restore a copy of it\n"
    status, printed, _ = call(capsys, "check", file, "--json")
    assert status == 2
    assert json.loads(printed)["problems"] == ["evaluation 3 has another checksum than was written"]


@pytest.mark.parametrize("command", [["ls"], ["show", "x"], ["export", "--csv", "out.csv"], ["check"]])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "there is no archive"),
        (b"", "is empty"),
        (b"text", "is no archive"),
        (b"SQLite format 3\0" + b"\0" * 84, "is no archive: another program made this file"),
    ],
)
def test_a_file_that_is_none_is_said_in_one_line(tmp_path, capsys, monkeypatch, command, content, said):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "wrong.sqlite"
    if content is not None:
        path.write_bytes(content)
    status, printed, errors = call(capsys, command[0], path, *command[1:])
    assert (status, printed) == (2, "")
    assert errors.startswith("error: ")
    assert said in errors
    assert errors.count("\n") == 1
    assert [one.name for one in tmp_path.iterdir()] == ([] if content is None else [path.name])


def test_a_torn_file_is_said_in_one_line(file, capsys):
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2 // 4096 * 4096])
    for command in (["ls", file], ["show", file, "x"], ["check", file]):
        status, _, errors = call(capsys, *command)
        assert status == 2
        assert "is damaged" in errors
        assert errors.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show", "sinh(x)"], "there is no function 'sinh(x)' in "),
        (["ls", "--run", "none"], "there is no run 'none' in this archive: gaaf-gp archive ls --runs lists them"),
        (["ls", "--runs", "--tasks"], "one list is printed at a time, got --runs and --tasks: leave one out"),
        (["ls", "--sort", "worst"], "'worst' is not one of"),
        (["ls", "--limit", "0"], "Invalid value for '--limit'"),
    ],
)
def test_bad_input_is_said_in_one_line(file, capsys, arguments, said):
    status, printed, errors = call(capsys, arguments[0], file, *arguments[1:])
    assert (status, printed) == (2, "")
    assert said in errors
    assert errors.count("\n") == 1


def test_texts_of_a_stranger_move_no_cursor(file, capsys):
    evil = "\x1b[2J[bold]x[/bold]\n\u202e"
    with Archive(file) as archive:
        task = archive.register(SETTINGS)
        broken = {"failure": evil, "curve": (), "losses": ()}
        archive.add(evaluation(evil, task, 0.0, formula=evil, device=evil, split=evil, **broken))
        archive.add(evaluation(evil, task, 0.0, formula=evil, **broken))
        archive.begin(evil, {}, {})
    copy = file.with_name("copy.sqlite")
    shutil.copy(file, copy)
    lists = [["ls", file, *option] for option in ([], ["--texts"], ["--runs"], ["--json"])]
    shown = [["show", file, evil], ["show", file, evil, "--json"], ["show", file, f"{evil}x"]]
    for command in (*lists, *shown, ["check", file], ["merge", copy, file]):
        _, printed, errors = call(capsys, *command)
        assert not any(character in printed + errors for character in "\x1b\u202e")
    assert "?[2J[bold]x[/bold]??" in call(capsys, "ls", file, "--sort", "new")[1]


def test_the_folder_of_a_run_stands_for_its_archive(tmp_path):
    assert in_folder(tmp_path) == tmp_path
    (tmp_path / "archive.sqlite").touch()
    assert in_folder(tmp_path) == tmp_path / "archive.sqlite"
    assert in_folder(tmp_path / "archive.sqlite") == tmp_path / "archive.sqlite"
