"""The tool that puts bugs into modules: what it changes, and what it says of tests that notice and that do not."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.scripts import ROOT, loaded

TEXT = '''
"""Docstring 1."""
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os

__all__ = ["first"]
Pair = tuple[int, 3]


def first(values: list[1], least: int | None) -> int | None:
    """Return 1."""
    if not values and least == 0:
        raise ValueError(f"{1 + 1}", 7)
    values.append(least)
    return max(values, key=abs)
'''


@pytest.fixture(scope="module")
def mutants():
    return loaded("scripts/mutants.py")


def test_each_slip_is_made_once_and_types_and_messages_stay(mutants):
    changes = {mutant.change for mutant in mutants.mutants_of("a.py", TEXT)}
    assert changes == {
        "if not values and least == 0:  ->  if not (not values and least == 0):",
        "not values and least == 0  ->  not values or least == 0",
        "not values and least == 0  ->  least == 0",
        "not values and least == 0  ->  not values",
        "not values  ->  values",
        "least == 0  ->  least != 0",
        "0  ->  1",
        "raise ValueError(f'{1 + 1}', 7)  ->  pass",
        "values.append(least)  ->  pass",
        "return max(values, key=abs)  ->  return",
        "max(values, key=abs)  ->  max(values)",
        "max(values, key=abs)  ->  min(values, key=abs)",
    }
    assert mutants.number_of(TEXT) == 12


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("a < b <= c", {"a <= b <= c", "a < b < c"}),
        ("a + b", {"a - b"}),
        ("-a", {"a"}),
        ("a = f(b, c, d)", {"a = f(c, b, d)", "a = f(b, c)"}),
        ("e = f(a=b, c=d)", {"e = f(c=d)", "e = f(a=b)"}),
        ("[a for a in b if c]", {"[a for a in b]", "[a for a in b if not c]"}),
        ("a if b else c", {"a if not b else c"}),
        ("a or b or c", {"a and b and c", "b or c", "a or c", "a or b"}),
        ("a[1:2.0]", {"a[2:2.0]", "a[1:3.0]"}),
        ("True", {"False"}),
        ("a.x = b", {"pass"}),
        ("a += b", {"a -= b", "pass"}),
        ("a = b", set()),
        ("def a():\n    return None", set()),
        ("'text'", set()),
    ],
)
def test_one_place_differs(mutants, text, changed):
    made = [mutant.source for mutant in mutants.mutants_of("a.py", text)]
    assert {ast.unparse(ast.parse(source)) for source in made} == changed
    assert len(made) == len(changed)


def test_a_sample_is_drawn_from_each_room_and_repeats(mutants):
    modules = ["gaaf_gp/search/breeding.py", "gaaf_gp/search/stopping.py", "gaaf_gp/errors.py"]
    first = mutants.sampled(modules, 5, 1)
    assert first == mutants.sampled(modules, 5, 1)
    assert first != mutants.sampled(modules, 5, 2)
    assert [mutants.room(mutant.module) for mutant in first] == ["search"] * 5 + ["errors"] * 5
    text = (ROOT / "gaaf_gp/search/breeding.py").read_text(encoding="utf-8")
    everything = {mutant.source for mutant in mutants.mutants_of("gaaf_gp/search/breeding.py", text)}
    assert all(mutant.source in everything for mutant in first if mutant.module.endswith("breeding.py"))


@pytest.fixture
def project(tmp_path):
    """Return a project of one module, with the tool in it."""
    for name, text in {
        "scripts/mutants.py": (ROOT / "scripts/mutants.py").read_text(encoding="utf-8"),
        "gaaf_gp/__init__.py": "",
        "gaaf_gp/counting.py": "def count(n):\n    while n < 7:\n        n += 1\n    return n + 0\n",
        "tests/test_counting.py": "from gaaf_gp.counting import count\n\n\ndef test_it():\n    assert count(3) == 7\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    return tmp_path


def _measured(project):
    options = ["gaaf_gp/counting.py", "--sample", "99", "--least", "1"]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH" and "PYTEST" not in key}
    done = subprocess.run(
        [sys.executable, "scripts/mutants.py", *options],
        check=False,
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.slow(30)
def test_what_tests_notice_is_told_from_what_they_do_not(project):
    text = (project / "gaaf_gp/counting.py").read_text(encoding="utf-8")
    assert _measured(project) == [
        "gaaf_gp/counting.py:3: too slow: n += 1  ->  n -= 1",
        "gaaf_gp/counting.py:3: too slow: n += 1  ->  pass",
        "gaaf_gp/counting.py:3: not noticed: 1  ->  2",
        "gaaf_gp/counting.py:4: not noticed: n + 0  ->  n - 0",
        "counting        7 of    9 noticed, 78%",
        "all             7 of    9 noticed, 78%",
    ]
    assert (project / "gaaf_gp/counting.py").read_text(encoding="utf-8") == text


@pytest.mark.slow(8)
def test_tests_that_fail_anyway_or_are_missing_notice_nothing(project):
    (project / "tests/test_counting.py").write_text("def test_fails():\n    raise AssertionError\n", encoding="utf-8")
    lines = _measured(project)
    assert lines[0] == "gaaf_gp/counting.py:2: fails unchanged: while n < 7:  ->  while not n < 7:"
    assert lines[-1] == "all             0 of    9 noticed, 0%"
    (project / "tests/test_counting.py").unlink()
    assert _measured(project)[0] == "gaaf_gp/counting.py:2: no tests: while n < 7:  ->  while not n < 7:"


def test_a_rate_counts_what_is_too_slow_as_noticed(mutants):
    results = ["noticed", "too slow", "not noticed", "no tests", "fails unchanged", "noticed"]
    assert mutants.rate("data", results) == "data            3 of    6 noticed, 50%"
    assert mutants.rate("all", []) == "all             0 of    0 noticed"


def test_every_module_has_tests_of_its_own(mutants):
    modules = mutants.modules_in(list(mutants.ROOMS))
    assert len(modules) > 150
    assert not [module for module in modules if not mutants.tests_of(module)]
    assert not [module for module in mutants.OWN_TESTS if not (ROOT / module).is_file()]
    for module, names in mutants.OWN_TESTS.items():
        assert len(mutants.tests_of(module)) == len(names), module


def test_the_copy_has_the_files_as_they_are_and_nothing_that_was_built(mutants, tmp_path):
    mutants.copied_tree(tmp_path)
    for name in ("setup.cfg", "gaaf_gp/search/breeding.py", "tests/conftest.py"):
        assert (tmp_path / name).read_bytes() == (ROOT / name).read_bytes()
    assert not list(tmp_path.rglob("*.pyc"))
    assert not (tmp_path / ".git").exists()
    assert Path(mutants.__file__).parent == ROOT / "scripts"
