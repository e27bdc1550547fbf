"""The command line in real processes and in this one: results, and one line for whatever is wrong."""

import importlib.metadata
import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
from PIL import Image

from gaaf_gp.cli import main
from tests.cli.calls import call

TINY = ("--epochs", "1", "--batch-size", "8", "--population", "3", "--fresh-seeds", "2", "--quiet")


def process(*arguments, **environment):
    """Run a command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "gaaf_gp.cli", *map(str, arguments)],
        capture_output=True, text=True, check=False, env={**os.environ, **environment},
    )  # fmt: skip


def test_two_processes_with_one_seed_give_identical_runs(image_folder, tmp_path):
    written = []
    for number, (hash_seed, workers) in enumerate((("1", 1), ("2", 2))):
        out = tmp_path / str(number)
        done = process("evolve", "--data", image_folder, "--evaluations", 5, "--workers", workers, "--seed", 4, "--out",
                       out, *TINY, PYTHONHASHSEED=hash_seed)  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "Best candidates" in done.stdout
        assert "plain sign" in done.stdout
        result = json.loads((out / "result.json").read_text())
        written.append(
            [(out / name).read_bytes() for name in ("logbook.csv", "hall_of_fame.csv")]
            + [result["test"], result["validation"], result["best"], result["evaluations"]]
        )
    assert written[0] == written[1]


def test_ctrl_c_ends_a_run_with_what_was_found(image_folder, tmp_path):
    out = tmp_path / "run"
    running = subprocess.Popen(
        # a job in a shell's background ignores Ctrl-C, and without env so would what it starts
        ["env", "--default-signal=INT", sys.executable, "-m", "gaaf_gp.cli", "evolve", "--data", image_folder,
         "--evaluations", "100000", "--workers", "2", "--out", out, *TINY],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while not (out / "config.json").exists() and time.monotonic() < deadline:
            time.sleep(0.2)
        time.sleep(6)
        os.killpg(running.pid, signal.SIGINT)
        stdout, stderr = running.communicate(timeout=60)
    finally:
        if running.poll() is None:  # it would search on for hours
            os.killpg(running.pid, signal.SIGKILL)
    assert running.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert "interrupted" in stdout
    result = json.loads((out / "result.json").read_text())
    assert result["interrupted"]
    assert 0 <= result["evaluations"] < 100000


def test_races_and_added_seeds_can_be_asked_for(capsys, image_folder, tmp_path):
    arguments = ("--data", image_folder, "--evaluations", 9, "--workers", 1, "--epochs", 3, "--batch-size", 8)
    arguments += ("--population", 9, "--seed", 1, "--fresh-seeds", 2, "--quiet", "--extra-seeds", 1)
    found = {}
    for option in ("--racing", "--no-racing"):
        out = tmp_path / option
        status, text, err = call(capsys, "evolve", *arguments, option, "--out", out)
        assert (status, err) == (0, "")
        found[option] = json.loads((out / "result.json").read_text())
        assert ("dropped out of races" in text) == (option == "--racing")
        assert " ± " in text
    (count,) = found["--racing"]["dropped"].items()
    assert count[0] == "1"
    assert 1 <= count[1] <= 6, "a third of nine goes on, and whoever is as good as the last of them"
    assert found["--no-racing"]["dropped"] == {}
    assert found["--racing"]["epochs_trained"] < found["--no-racing"]["epochs_trained"]


def test_show_says_what_a_tree_is(capsys):
    status, out, err = call(capsys, "show", "add(sin(x), x)")
    assert (status, err) == (0, "")
    rows = dict(re.split(r"\s+", line, maxsplit=1) for line in out.splitlines())
    assert rows["text"] == "add(sin(x), x)"
    assert rows["formula"] == "sin(x) + x"
    assert rows["LaTeX"] == r"\sin\left(x\right) + x"
    assert rows["size"] == "4 nodes"
    assert rows["height"] == "2"
    assert rows["cost"].startswith("5 additions")
    assert rows["positive"].startswith("50.0%")
    assert rows["screen"] == "would be trained"
    assert "would be rejected: constant sign" in call(capsys, "show", "square(x)")[1]


@pytest.mark.parametrize(("ending", "start"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")])
def test_plot_tree_writes_a_figure(capsys, tmp_path, ending, start):
    path = tmp_path / f"tree{ending}"
    status, out, _ = call(capsys, "plot", "tree", "mix(sin(x), scale(x))", "--out", path)
    assert status == 0
    assert out == f"wrote {path}\n"
    assert path.read_bytes().startswith(start)


def test_plot_tree_overwrites_only_when_told(capsys, tmp_path):
    path = tmp_path / "tree.png"
    path.write_text("mine")
    status, _, err = call(capsys, "plot", "tree", "sin(x)", "--out", path)
    assert status == 2
    assert "exists: choose another name or pass --force" in err
    assert path.read_text() == "mine"
    assert call(capsys, "plot", "tree", "sin(x)", "--out", path, "--force")[0] == 0
    with Image.open(path) as image:
        assert image.format == "PNG"


@pytest.fixture(scope="module")
def folders(tmp_path_factory, image_folder):
    root = tmp_path_factory.mktemp("bad")
    (root / "empty").mkdir()
    (root / "full").mkdir()
    (root / "full" / "mine.txt").write_text("kept")
    (root / "no_images" / "train").mkdir(parents=True)
    for name in ("cats", "dogs"):
        (root / "one_empty" / "train" / name).mkdir(parents=True)
    Image.new("L", (8, 8)).save(root / "one_empty" / "train" / "cats" / "1.png")
    return {"ROOT": str(root), "GOOD": str(image_folder)}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("evolve --data ROOT/missing", r"ROOT/missing"),
        ("evolve --data nosuchset", r"data must be one of fashion10k, .*'nosuchset' is neither"),
        ("evolve --data cifar10", r"cifar10|CIFAR10"),
        ("evolve --data ROOT/empty", r"train"),
        ("evolve --data ROOT/no_images", r"train"),
        ("evolve --data ROOT/one_empty", r"dogs"),
        ("evolve --data GOOD --evaluations 0", "evaluations must be a whole number of at least 1, got 0"),
        ("evolve --data GOOD --evaluations many", "Invalid value for '--evaluations'"),
        (
            "evolve --data GOOD --batch-size 8 --extra-seeds -1",
            "extra_seeds must be a whole number of at least 0, got -1",
        ),
        ("evolve --data GOOD --workers 0", "workers must be a whole number of at least 1, got 0"),
        ("evolve --data GOOD --network lenet --batch-size 8", "known: small, resnet18"),
        ("evolve --data GOOD --batch-size 8 --threads 0", "threads must be a whole number of at least 1, got 0"),
        (
            "evolve --data GOOD --batch-size 8 --seconds 0",
            r"budget in seconds must be a number above 0 .*got 0\.0",
        ),
        ("evolve --data GOOD --max-size 0", "size must be a whole number of at least 1, got 0"),
        ("evolve --data GOOD", "batch_size must be at most the 30 training images, got 128"),
        ("evolve --data GOOD --device abacus", "abacus"),
        ("evolve --data GOOD --out ROOT/full", "must be new or empty, but .*full holds something"),
        ("evolve --data GOOD --out ROOT/full/mine.txt", "is a file"),
        ("evolve --primitives primitives.gaaf:nothing", "has no function 'nothing'; functions in it: .*free"),
        ("evolve --primitives ROOT/none.py:make", "no file of primitives at"),
        ("evolve --speed 3", "No such option"),
        ("show add(sin(y),x)", r"cannot read \"add\(sin\(>>y<<\),x\)\" at character 9: 'y' is not in set"),
        ("show sin(x", r"cannot read \"sin\(x>><<\""),
        ("show const(x)", "returns a Feature; a Scalar fits here"),
        ("show @rsign", "a tree, or two as in .* is needed here, got '@rsign', which has none"),
        ("plot tree @sign --out ROOT/tree.png", "a tree, or two as in .* is needed here, got '@sign'"),
        ("show sin(x)|x|x", r"a forward and a backward one with a single \| between them, got 3 parts"),
        ("show", "Missing argument"),
        ("plot tree sin(x)", "Missing option"),
        ("plot tree sin(x) --out ROOT/tree.gif", "png"),
        ("plot tree sin(x) --out ROOT/nowhere/tree.png", "nowhere"),
        ("nonsense", "No such command"),
    ],
)
def test_bad_input_is_one_line_and_status_2(capsys, folders, tmp_path, monkeypatch, arguments, message):
    monkeypatch.setenv("GAAF_GP_DATA", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    words = arguments.split()
    for key, value in folders.items():
        words = [word.replace(key, value) for word in words]
        message = message.replace(key, re.escape(value))
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    status, out, err = call(capsys, *words)
    assert status == 2
    assert out == ""
    assert err.count("\n") == 1, err
    assert err.startswith("error: ")
    assert re.search(message, err), err
    assert "Traceback" not in err
    assert sorted(str(path) for path in tmp_path.rglob("*")) == before, "nothing may be written"


def test_a_folder_that_holds_something_is_left_alone(folders):
    from pathlib import Path

    full = Path(folders["ROOT"]) / "full"
    assert [path.name for path in full.iterdir()] == ["mine.txt"]
    assert (full / "mine.txt").read_text() == "kept"


@pytest.mark.parametrize(
    "arguments", [["--help"], ["evolve", "--help"], ["show", "--help"], ["plot", "tree", "--help"]]
)
def test_help_is_given(capsys, arguments):
    status, out, err = call(capsys, *arguments)
    assert (status, err) == (0, "")
    assert "Usage: " in out


@pytest.mark.parametrize("group", [[], ["plot"], ["archive"], ["catalogue"]])
def test_a_group_without_a_command_shows_its_help_as_it_is(capsys, group):
    assert call(capsys, *group) == (2, "", call(capsys, *group, "--help")[1])


def test_the_default_folder_is_the_next_free_one(capsys, image_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out" / "evolve").mkdir(parents=True)
    (tmp_path / "out" / "evolve" / "result.json").write_text("{}")
    status, out, err = call(capsys, "evolve", "--data", image_folder, "--evaluations", 2, "--workers", 1, *TINY)
    assert (status, err) == (0, ""), err
    assert "Everything is in out/evolve-2" in out
    assert (tmp_path / "out" / "evolve" / "result.json").read_text() == "{}"


def test_a_time_budget_that_nothing_keeps_is_one_line(capsys, image_folder, tmp_path):
    arguments = (
        "evolve",
        "--data",
        image_folder,
        "--seconds",
        "1e-9",
        "--workers",
        1,
        "--out",
        tmp_path / "run",
        *TINY,
    )
    status, _, err = call(capsys, *arguments)
    assert status == 2
    assert re.fullmatch(r"error: the training task must work for the plain sign, but .*exhausted in epoch 1.*\n", err)


def test_an_unreadable_place_is_one_line(capsys, monkeypatch):
    def fail(*arguments, **settings):
        raise PermissionError(13, "Permission denied", "/somewhere")

    monkeypatch.setattr("gaaf_gp.cli.evolve.run", fail)
    assert call(capsys, "evolve") == (2, "", "error: cannot use /somewhere: Permission denied\n")


def test_ctrl_c_before_anything_is_one_line(capsys, monkeypatch):
    def stop(*arguments, **settings):
        raise KeyboardInterrupt

    monkeypatch.setattr("gaaf_gp.cli.evolve.run", stop)
    assert call(capsys, "evolve") == (130, "", "interrupted\n")


def test_two_trees_can_be_evolved_and_shown(capsys, image_folder, tmp_path):
    arguments = ("--data", image_folder, "--evaluations", 4, "--workers", 1, "--two-trees", "--no-random-search")
    status, text, err = call(capsys, "evolve", *arguments, "--out", tmp_path / "run", *TINY)
    assert (status, err) == (0, ""), err
    assert "forward tree alone" in text
    assert "random search" not in text
    best = json.loads((tmp_path / "run" / "result.json").read_text())["best"]
    status, out, err = call(capsys, "show", best)
    assert (status, err) == (0, "")
    rows = dict(re.split(r"\s+", line, maxsplit=1) for line in out.splitlines())
    assert rows["text"] == best
    assert rows["formula"].startswith("forward: ")
    assert rows["screen"] == "would be trained"
    path = tmp_path / "pair.svg"
    assert call(capsys, "plot", "tree", best, "--out", path)[0] == 0
    assert "forward: its sign is taken" in path.read_text(), "matplotlib notes the text of its outlines"


def test_show_says_what_two_trees_do(capsys):
    _, out, _ = call(capsys, "show", "square(x) | sin(x)")
    rows = dict(re.split(r"\s+", line, maxsplit=1) for line in out.splitlines())
    assert rows["formula"] == "forward: x^2; backward: sin(x)"
    assert rows["size"] == "4 nodes"
    assert rows["height"] == "1"
    assert rows["positive"].startswith("100.0%"), "of the forward tree"
    assert rows["screen"] == "would be rejected: constant sign"


def test_a_search_takes_controls_constraints_and_known_functions(capsys, image_folder, tmp_path):
    arguments = ("--data", image_folder, "--evaluations", 6, "--workers", 1, "--no-random-search")
    choices = ("--bloat", "lexicographic,tarpeian", "--measure", "cost", "--constraint", "no periodic inside periodic",
               "--constraint", "at most 1 tan", "--initial", "add(sin(x), x)", "--target", "0.0")  # fmt: skip
    status, _, err = call(capsys, "evolve", *arguments, *choices, "--out", tmp_path / "run", *TINY)
    assert (status, err) == (0, ""), err
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["stopped"] in ("the target of 0.0 was reached", "6 evaluations")
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (config["bloat"], config["measure"]) == ("lexicographic,tarpeian", "cost")
    assert config["constraints"] == ["no periodic inside periodic", "at most 1 tan"]
    assert config["initial"] == ["add(sin(x), x)"]


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--bloat", "slim", "a control of bloat must be one of none, .*got 'slim'"),
        ("--measure", "inches", "the measure of size must be one of nodes, .*got 'inches'"),
        ("--constraint", "few sines", "a constraint must be written as one of: .*got 'few sines'"),
        ("--stagnation", "0", "stagnation must be a whole number of at least 1, got 0"),
        ("--initial", "sin(", "cannot read"),
        ("--loop", "circles", "loop must be Islands, Steady, or one of generations, .*got 'circles'"),
    ],
)
def test_a_choice_that_is_none_is_refused_before_anything_is_trained(
    capsys, image_folder, tmp_path, option, value, message
):
    folder = tmp_path / "run"
    status, _, err = call(capsys, "evolve", "--data", image_folder, option, value, "--out", folder, *TINY)
    assert status == 2
    assert re.search(message, err)
    assert len(err.splitlines()) == 1
    assert not folder.exists()


def test_show_says_how_a_tree_is_written_simply(capsys):
    _, out, _ = call(capsys, "show", "add(neg(neg(sin(x))), zero(x))")
    assert "simply    sin(x), 2 nodes: sin(x)" in out.splitlines()
    _, out, _ = call(capsys, "show", "sin(x)")
    assert "simply" not in out


@pytest.mark.parametrize("module", ["gaaf_gp", "gaaf_gp.cli"])
def test_a_module_runs_the_program(module):
    done = subprocess.run(
        [sys.executable, "-m", module, "show", "sin(x)"], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0].split() == ["text", "sin(x)"]


def test_the_program_says_its_version(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"gaaf-gp {importlib.metadata.version('gaaf-gp')}\n"
