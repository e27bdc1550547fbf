"""Primitive sets by name, from modules and files, also in worker processes."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from gaaf_gp.errors import GaafError
from gaaf_gp.trees.load import load_primitives

OWN = """
import torch
from gaaf_gp import PrimitiveSet
from gaaf_gp.types import Feature

def wave(x):
    return torch.sin(3 * x)

def make_pset() -> PrimitiveSet:
    pset = PrimitiveSet("own")
    pset.addPrimitive(wave, [Feature], Feature, periodic=True)
    pset.addPrimitive(torch.add, [Feature, Feature], Feature)
    return pset

def number():
    return 3

def failing():
    raise OSError("no such disk\\nat all")

def bad_set():
    pset = PrimitiveSet("bad")
    pset.addPrimitive(torch.exp, [Feature], Feature)
    return pset
"""


@pytest.fixture
def own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of primitives with a name of its own, forgotten again after the test."""
    path = tmp_path / f"own_{abs(hash(tmp_path))}.py"
    path.write_text(OWN)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield path
    sys.modules.pop(path.stem, None)


def test_a_module_and_a_file_are_found(own_file):
    assert load_primitives("primitives.gaaf:free").name == "primitives.gaaf:free"
    pset = load_primitives(f"{own_file}:make_pset")
    assert pset.name == "own"
    assert pset.traits["wave"].periodic


def test_worker_processes_find_the_functions_of_a_file(own_file, image_folder, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "gaaf_gp.cli", "evolve", "--primitives", f"{own_file}:make_pset", "--data", image_folder,
         "--evaluations", "2", "--population", "2", "--epochs", "1", "--fresh-seeds", "2", "--workers", "2",
         "--batch-size", "8", "--out", tmp_path / "run", "--quiet"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "wave" in (tmp_path / "run" / "hall_of_fame.csv").read_text()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("primitives.gaaf", "a primitive set is named as"),
        (":free", "a primitive set is named as"),
        ("primitives.gaaf:free()", "a primitive set is named as"),
        ("primitives.nothing:free", "cannot import the primitives module 'primitives.nothing'"),
        ("primitives.gaaf:fre", r"primitives.gaaf has no function 'fre'; functions in it: .*free"),
        ("no/such/file.py:make", "no file of primitives at"),
        ("OWN:number", "must return a PrimitiveSet, got int"),
        ("OWN:failing", r"must return a PrimitiveSet, but it raised OSError: no such disk$"),
        ("OWN:bad_set", "primitive 'exp' must have a finite value"),
        ("OWN:torch", r"has no function 'torch'; functions in it: make_pset$"),
    ],
)
def test_what_is_wrong_is_said(own_file, spec, message):
    with pytest.raises(GaafError, match=message) as caught:
        load_primitives(spec.replace("OWN", str(own_file)))
    assert "\n" not in str(caught.value)


def test_a_file_named_like_another_module_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    path = tmp_path / "random.py"
    path.write_text(OWN)
    with pytest.raises(GaafError, match=r"random.py has the name of another module .* rename the file"):
        load_primitives(f"{path}:make_pset")
    odd = tmp_path / "my-set.py"
    odd.write_text(OWN)
    with pytest.raises(GaafError, match=r"a name that can be imported, got 'my-set.py'"):
        load_primitives(f"{odd}:make_pset")


def test_a_file_that_does_not_run_is_refused(own_file):
    own_file.write_text("def make_pset(:\n")
    with pytest.raises(GaafError, match=r"cannot import the primitives module .*SyntaxError"):
        load_primitives(f"{own_file}:make_pset")


PROGRAM = """
import argparse, sys
from gaaf_gp import PrimitiveSet
import torch
from gaaf_gp.types import Feature
print("a greeting")
def make():
    print("another greeting")
    pset = PrimitiveSet("loud")
    pset.addPrimitive(torch.sin, [Feature], Feature)
    {in_make}
    return pset
{at_import}
"""


@pytest.mark.parametrize(
    ("at_import", "in_make", "words"),
    [
        (
            "sys.exit(3)",
            "",
            "must not end the program .*, and the primitives module FILE ended with SystemExit: 3",
        ),
        ("argparse.ArgumentParser().parse_args(['--unknown'])", "", "FILE ended with SystemExit: 2"),
        (
            "raise RuntimeError('torn')",
            "",
            r"cannot import the .* FILE \(RuntimeError: torn\): correct the file",
        ),
        ("", "sys.exit('no')", r"FILE:make must return a PrimitiveSet, but it raised SystemExit: no"),
        ("", "pset.addPrimitive(lambda x: sys.exit(4), [Feature], Feature, name='exits')", "primitive 'exits' must"),
    ],
)
def test_code_that_would_end_the_program_is_refused_by_its_name(own_file, at_import, in_make, words):
    own_file.write_text(PROGRAM.format(at_import=at_import, in_make=in_make), encoding="utf-8")
    with pytest.raises(GaafError, match=words.replace("FILE", re.escape(str(own_file)))):
        load_primitives(f"{own_file}:make")


def test_what_code_prints_goes_to_standard_error(own_file, capsys):
    own_file.write_text(PROGRAM.format(at_import="", in_make=""), encoding="utf-8")
    load_primitives(f"{own_file}:make")
    assert capsys.readouterr() == ("", "a greeting\nanother greeting\n")
