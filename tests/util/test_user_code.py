"""Code that a user names: found in files and modules, and known by what its file holds."""

import hashlib
import os

import pytest

from gaaf_gp.errors import GaafError
from gaaf_gp.util.user_code import called, fingerprint, from_any_folder, is_file, same_code


def test_a_file_has_one_name_from_any_folder(tmp_path, monkeypatch):
    (tmp_path / "sets.py").touch()
    monkeypatch.chdir(tmp_path)
    whole = f"{tmp_path / 'sets.py'}:make"
    assert from_any_folder("sets.py:make") == from_any_folder("./sets.py:make") == whole
    assert from_any_folder("primitives.gaaf:free") == "primitives.gaaf:free"
    assert same_code("sets.py:make", f"..{os.sep}{tmp_path.name}{os.sep}sets.py:make")
    assert not same_code("sets.py:make", "sets.py:other")
    assert not same_code("sets.py:make", "sets:make")
    assert [is_file(one) for one in ("sets.py:make", "sets:make", "make")] == [True, False, False]


def test_a_function_is_known_by_its_name_and_the_content_of_its_file(tmp_path):
    first, other = tmp_path / "a.py", tmp_path / "b.py"
    first.write_text("def make(): pass\n")
    other.write_text("def make(): pass\n")
    digest = hashlib.sha256(b"def make(): pass\n").hexdigest()
    assert fingerprint(f"{first}:make") == fingerprint(f"{other}:make") == f"make sha256:{digest}"
    assert fingerprint(f"{first}:other") == f"other sha256:{digest}"
    assert fingerprint("json:dumps").startswith("dumps sha256:")
    with pytest.raises(GaafError, match="must be in a file that can be read"):
        fingerprint(f"{tmp_path / 'none.py'}:make")
    with pytest.raises(GaafError, match="must be in a file that can be read"):
        fingerprint("no_such_module:make")


def test_what_it_prints_is_not_the_output_of_a_command(capsys):
    assert called(lambda number: print("hello") or number, "f", "a number", 3) == 3
    assert capsys.readouterr() == ("", "hello\n")
    with pytest.raises(GaafError, match="f must return a number, but it raised ZeroDivisionError: division by zero"):
        called(lambda: 1 / 0, "f", "a number")
