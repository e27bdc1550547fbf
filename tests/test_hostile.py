"""What strangers may hand in: texts of a megabyte, files that are programs, pipes, and messages full of them."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import time
import tracemalloc
from dataclasses import asdict
from pathlib import Path

import pytest

from gaaf_gp.activations.catalogue import CatalogueEntry, Gain, catalogue, save_catalogue
from gaaf_gp.cli import main
from gaaf_gp.cli.resume import check_set
from gaaf_gp.errors import MOST_CHARACTERS, GaafError
from gaaf_gp.evaluation.table import load_table
from gaaf_gp.experiments.settings import Settings, settings_from
from gaaf_gp.search.constraints import as_constraints
from gaaf_gp.search.evolve import evolve
from gaaf_gp.trees.candidate import parse_candidate
from gaaf_gp.trees.load import is_bundled, load_recorded
from gaaf_gp.trees.parser import parse
from gaaf_gp.util.files import MOST_LEVELS, open_regular, plain_json, read_limited
from gaaf_gp.util.jsonl import read_journal

ROOT = Path(__file__).parents[1]
MEGABYTE = 1_000_000
ARGUMENT = 120_000
"""Bytes of one argument; Linux takes 128 KiB."""
SECONDS, MEMORY = 10.0, 16 * 2**20  # of processor time: on a busy machine a second is soon over
SHAPES = {
    "long and flat": "add(x,",
    "deep": "sin(",
    "a number": "9",
    "a fraction": "0.0",
    "a name": "a",
    "a capital name": "_A9",
    "brackets": "(",
    "closing brackets": ")",
    "bars": "|",
    "two trees": "x | ",
    "a baseline": "@",
    "zeros": "\0",
    "accents": "\u00e9",
    "surrogates": "\ud800",
    "pictures": "\U0001f600",
    "blanks": " ",
    "broken lines": "\u2028\n",
    "turned": "\u202e",
    "commas": ",",
    "signs": "-+",
    "exponents": "1e",
}


def refusal(call):
    """Return the message of a refusal that took less than a second of processor time and little memory."""
    tracemalloc.start()
    started = time.process_time()
    try:
        with pytest.raises(GaafError, match=r"\S") as caught:
            call()
        assert time.process_time() - started < SECONDS
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) <= MOST_CHARACTERS + 5
    return message


@pytest.mark.parametrize("shape", SHAPES)
def test_a_megabyte_is_refused_at_once(free, shape):
    text = (SHAPES[shape] * MEGABYTE)[:MEGABYTE]
    assert "an expression may have at most 100000 characters, got 1000000" in refusal(lambda: parse(text, free))
    refusal(lambda: parse_candidate(text, free))
    refusal(lambda: as_constraints(text, free))
    refusal(lambda: as_constraints(f"at most {text} sin", free))
    refusal(lambda: settings_from({text: 1}, Path("out")))


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape != "blanks"])
def test_the_longest_text_that_is_looked_at_is_refused_as_quickly(free, shape):
    text = (SHAPES[shape] * MEGABYTE)[:100_000]
    refusal(lambda: parse(text, free))
    refusal(lambda: parse_candidate(text, free))
    refusal(lambda: parse(f"add({text}", free))


def test_a_search_begins_with_no_such_text(free):
    refusal(lambda: evolve(free, lambda tree: 0.5, initial=["sin(" * 250_000], evaluations=2))


def entry(expression, primitives="primitives.gaaf:free"):
    """Return an entry of a catalogue."""
    settings = {"epochs": [1], "proxy": {"network": "small"}}
    gain = Gain(0.5, 0.1, 0.9, 0.95, 0.02, (7, 8), "test", "fashion10k", "small", 1, settings)
    return CatalogueEntry("long", expression, primitives, "x", "x", (), {}, (gain,))


def test_a_catalogue_may_hold_a_megabyte_and_nobody_reads_it(tmp_path):
    save_catalogue([entry("sin(" * 250_000)], tmp_path / "one.json")
    found = catalogue(tmp_path / "one.json")["long"]
    assert "at most 100000 characters, got 1000000" in refusal(found.candidate)


@pytest.mark.parametrize("shape", ["long and flat", "deep", "a number", "a name", "bars", "pictures", "broken lines"])
def test_the_command_line_says_one_line(shape):
    text = (SHAPES[shape] * ARGUMENT).encode()[:ARGUMENT].decode(errors="ignore")
    ended = subprocess.run(
        [sys.executable, "-m", "gaaf_gp.cli", "show", text], capture_output=True, text=True, timeout=120, check=False
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith("error: ")
    assert len(line) < 2 * MOST_CHARACTERS


# what reads files must not run them: modules and functions that evaluate text or unpickle
EVALUATING = {"eval", "exec", "compile", "__import__"}
UNPICKLING = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "yaml", "runpy", "code"}
EXCEPTIONS = {
    # whether a state can be sent to a worker is found out by pickling it; nothing is loaded
    ("gaaf_gp/parallel/executors.py", "pickle.dumps"),
    # what a coordinator sends to its own workers, over a connection that the two opened for it: never from a file
    ("gaaf_gp/parallel/processes.py", "pickle.dumps"),
    ("gaaf_gp/parallel/transfer.py", "pickle.loads"),
    ("gaaf_gp/parallel/dask.py", "cloudpickle.dumps"),
    ("gaaf_gp/parallel/dask.py", "pickle.loads"),
}
SOURCES = sorted(
    path
    for folder in ("gaaf_gp", "primitives", "scripts", "runs", "benchmarks")
    for path in (ROOT / folder).rglob("*.py")
)


def dangers(source):
    """Return the calls in a source that could run what is in a file."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        owner, _, last = name.rpartition(".")
        named = {word.arg: ast.unparse(word.value) for word in node.keywords}
        loads = last in {"load", "jit_load"} and owner.startswith("torch") and named.get("weights_only") != "True"
        arrays = owner in {"np", "numpy"} and last in {"load", "fromfile"} and named.get("allow_pickle") != "False"
        runs = name in EVALUATING or owner in UNPICKLING or name in {"os.system", "os.popen"}
        allowed = any(named.get(word, "False") != "False" for word in ("allow_pickle", "shell"))
        if loads or arrays or runs or allowed:
            found.append(name)
    return found


def imported_names(source):
    """Return names imported from modules that unpickle: ``from pickle import loads`` hides what is called."""
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)]
    return [node.module for node in nodes if (node.module or "").split(".")[0] in UNPICKLING]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_that_is_read_is_run(path):
    source, name = path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix()
    assert not imported_names(source)
    assert [call for call in dangers(source) if (name, call) not in EXCEPTIONS] == []


@pytest.mark.parametrize(
    "source",
    [
        "eval(text)", "exec(text)", "pickle.load(file)", "pickle.loads(b)", "torch.load(path)", "os.system(text)",
        "torch.load(path, weights_only=False)", "np.load(path)", "np.load(path, allow_pickle=True)", "yaml.load(text)",
        "subprocess.run(text, shell=True)", "marshal.loads(b)", "compile(text, 'x', 'exec')", "torch.jit.load(path)",
    ],
)  # fmt: skip
def test_the_look_for_dangers_finds_them(source):
    assert dangers(source)


def test_the_look_for_dangers_lets_safe_calls_be():
    assert dangers("torch.load(path, weights_only=True); np.load(f, allow_pickle=False)") == []
    assert dangers("model.eval(); json.loads(text); re.compile(text); subprocess.run(words)") == []
    assert imported_names("from pickle import loads") == ["pickle"]


@pytest.mark.parametrize(
    "spec",
    ["evil:make", "evil.py:make", "./evil.py:make", "primitives.d/evil.py:make", "primitives.gaaf.py:free", "", None, 7,
     "primitives.:x", "primitives:gaaf", "primitives.gaaf:free.x", "primitives.gaaf:free\n", "primitives.a/../e.py:x"],
)  # fmt: skip
def test_a_file_may_name_only_sets_that_come_with_the_package(spec):
    assert not is_bundled(spec)
    with pytest.raises(GaafError, match="a primitive set is code, and a file may name only those of primitives/"):
        load_recorded(spec, "a file")


@pytest.fixture
def witness(tmp_path, monkeypatch):
    """A file that would be made by running a file of primitives, in a folder called as those that come with us."""
    folder = tmp_path / "primitives.d"
    folder.mkdir()
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'witness')!r}, 'w').close()")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "witness"


def test_a_run_does_not_load_code(tmp_path, witness, capsys):
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.json").write_text(json.dumps({"primitives": "primitives.d/evil.py:make"}))
    (run / "hall_of_fame.csv").write_text("text\nsin(x)\n")
    with pytest.raises(SystemExit) as ended:
        main(["retrain", "--from", str(run), "--top", "1", "--out", str(tmp_path / "out")])
    assert ended.value.code == 2
    assert "a file may name only those of primitives/" in capsys.readouterr().err
    with pytest.raises(GaafError, match=r"a primitive set is code, and the run names 'primitives\.d/evil\.py:make'"):
        check_set(Settings(out=run, primitives="primitives.d/evil.py:make"), None)
    assert not witness.exists()


def test_a_catalogue_does_not_load_code(tmp_path, witness):
    for spec in ("primitives.d/evil.py:make", str(tmp_path / "primitives.d" / "evil.py:make")):
        save_catalogue([entry("sin(x)", spec)], tmp_path / "one.json")
        with pytest.raises(GaafError, match="the catalogue names"):
            catalogue(tmp_path / "one.json")["long"].candidate()
    assert not witness.exists()
    assert load_recorded("primitives.gaaf:free", "a file").name


@pytest.mark.parametrize(
    "read", [catalogue, load_table, read_journal, open_regular, lambda path: read_limited(path, 9)]
)
def test_a_pipe_keeps_nobody_waiting(tmp_path, read):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(GaafError, match=r"regular one, and .*pipe is a pipe or a device|there is no file"):
        read(tmp_path / "pipe")
    with pytest.raises(GaafError, match=r"is a pipe or a device|there is no file"):
        read(Path("/dev/zero"))


def test_too_much_is_not_read(tmp_path, monkeypatch):
    (tmp_path / "large").write_bytes(b" " * 100)
    assert read_limited(tmp_path / "large", 100) == b" " * 100
    with pytest.raises(GaafError, match=r"at most 99 bytes, and .*large has more: name another"):
        read_limited(tmp_path / "large", 99)
    with pytest.raises(GaafError, match="must have no zero character"):
        open_regular(Path("a\0b"))
    monkeypatch.setattr("gaaf_gp.activations.catalogue.MOST_BYTES", 99)
    with pytest.raises(GaafError, match="at most 99 bytes"):
        catalogue(tmp_path / "large")


@pytest.mark.parametrize("levels", [MOST_LEVELS + 1, 1000, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_json_may_not_nest_without_end(tmp_path, opening, closing, levels):
    text = opening * levels + "1" + closing * levels
    with pytest.raises(ValueError, match="nests deeper than 64 levels"):
        plain_json(text)
    (tmp_path / "deep.json").write_text(text)
    assert "nests deeper" in refusal(lambda: catalogue(tmp_path / "deep.json"))
    (tmp_path / "deep.jsonl").write_text('{"provenance": ' + text + "}\n{}\n")
    assert "must be a JSON object" in refusal(lambda: read_journal(tmp_path / "deep.jsonl"))


def test_json_as_deep_as_it_may_be_is_read():
    text = "[" * MOST_LEVELS + "1" + "]" * MOST_LEVELS
    assert plain_json(text) == json.loads(text)
    assert plain_json(b'{"a": [1, 2.5, null, "x"]}') == {"a": [1, 2.5, None, "x"]}
    assert plain_json('["\\ud83d\\ude00"]') == plain_json('\ufeff["\U0001f600"]'.encode()) == ["\U0001f600"]
    for half in ('"\\ud800"', '{"\\uDFFF": 1}', '"\ud800"', b'"\xed\xa0\x80"', '"x"'.encode("utf-16")):
        with pytest.raises(ValueError, match=r"surrogates not allowed|can't decode"):
            plain_json(half)
    for strange in ("NaN", "[Infinity]", '{"a": -Infinity}'):
        with pytest.raises(ValueError, match="is no number"):
            plain_json(strange)


def test_numbers_that_overflow_are_damage(tmp_path):
    plain = {"format": 1, "entries": [asdict(entry("sin(x)"))]}
    for key, number in (("epochs", "1e999"), ("points", "1" + "0" * 400), ("seeds", "[1e999]")):
        text = json.dumps(plain).replace(
            f'"{key}": {json.dumps(plain["entries"][0]["gains"][0][key])}', f'"{key}": {number}'
        )
        (tmp_path / "one.json").write_text(text)
        said = refusal(lambda: catalogue(tmp_path / "one.json"))
        assert "is a damaged catalogue" in said or "1e999 is beyond all numbers" in said


def test_a_message_is_one_line_that_moves_no_cursor():
    error = GaafError("a file\n named \x1b[2J\u202e\ud800 and so\ton")
    assert str(error) == "a file  named \\x1b[2J\\u202e\\ud800 and so on"
    assert str(GaafError()) == ""
    long = str(GaafError("begin " + "x" * 10_000 + " end"))
    assert long.startswith("begin ")
    assert long.endswith(" end")
    assert len(long) == MOST_CHARACTERS + 5
