"""A check finds what is wrong, whatever it is, and says nothing of what is right."""

import random
import re
import sqlite3

import pytest

from gaaf_gp.archive import Archive, Register, check
from gaaf_gp.archive.checking import MOST_PROBLEMS, unreadable
from gaaf_gp.trees.candidate import Baseline, TwoTrees, identity
from gaaf_gp.trees.generation import generate
from gaaf_gp.trees.individual import Individual


def changed(path, *statements):
    """Change a file behind the back of the archive."""
    db = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        db.execute(statement)
    db.close()


def test_a_whole_archive_has_no_problems(filled):
    report = check(filled)
    assert report.problems == ()
    assert report.counts == {"evaluations": 20, "candidates": 20, "failed": 2, "tasks": 1, "runs": 1}


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE evaluations SET accuracy = 1.0 WHERE id = 3", "evaluation 3 has another checksum than was written"),
        ("UPDATE evaluations SET failure = NULL WHERE id = 4", "evaluation 4 has another checksum than was written"),
        ("UPDATE environments SET device = 'cuda'", "evaluation 1 has another checksum than was written"),
        ("DELETE FROM tasks", "row 1 of evaluations points to a row of tasks that is not there"),
        ("DELETE FROM environments", "row 1 of evaluations points to a row of environments that is not there"),
        ("DELETE FROM evaluations WHERE id = 2", "row 2 of run_entries points to a row of evaluations that is"),
        ("UPDATE tasks SET settings = '{}'", "the settings of task"),
        ("UPDATE runs SET config = '[1'", "cannot be read: JSONDecodeError"),
    ],
)  # fmt: skip
def test_what_was_changed_is_named(filled, statement, problem):
    changed(filled, statement)
    report = check(filled)
    assert any(problem in one for one in report.problems), report.problems


def test_a_broken_index_is_found_although_the_file_opens(filled):
    with Archive(filled, readonly=True) as archive:
        number = archive.db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'evaluations_by_signature'")
        page = number.fetchone()[0]
    content = bytearray(filled.read_bytes())
    start = (page - 1) * 4096
    place = content.index(b"0" * 31, start) + 31
    content[place] ^= 1
    filled.write_bytes(content)
    with Archive(filled, readonly=True) as archive:
        assert len(list(archive.rows())) == 20
    problems = check(filled).problems
    assert any("missing from index evaluations_by_signature" in one for one in problems), problems


def test_only_so_many_problems_are_listed(filled, make):
    with Archive(filled) as archive:
        archive.add_all(make(number) for number in range(100, 300))
    changed(filled, "UPDATE evaluations SET seconds = 7.0")
    assert len(check(filled).problems) == MOST_PROBLEMS


def test_texts_of_every_set_can_be_read(pset):
    rng = random.Random(5)
    for number in range(40):
        tree = Individual(generate(pset, 0, 6, rng=rng, max_size=30), pset)
        assert unreadable(tree.canonical) is None
        assert unreadable(TwoTrees(tree, identity(number % 2 == 0)).canonical) is None


@pytest.mark.parametrize(
    "text", ["@sign", "@rsign", Baseline("rprelu").canonical, "x", "f(-1.5e-3, g(x))", " f ( x ) "]
)
def test_texts_of_all_kinds_can_be_read(text):
    assert unreadable(text) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "ends early"),
        ("sin(x", "ends early"),
        ("sin(", "ends early"),
        ("add(x,", "ends early"),
        ("sin(x))", r"cannot go on with '\)' at character 7"),
        ("sin()", r"cannot go on with '\)' at character 5"),
        ("x y", "cannot go on with ' y' at character 2"),
        ("1(x)", r"cannot go on with '\(x\)' at character 2"),
        ("x, x", "cannot go on with ', x' at character 2"),
        ("(x)", r"cannot go on with '\(x\)' at character 1"),
        ("__import__('os')", "cannot go on with \"'os'"),
        ("x | x | x", r"has more than one \|"),
        ("x |", "ends early"),
        ("@", "cannot go on with '@' at character 1"),
        ("x; rm", "cannot go on with '; rm' at character 2"),
        ("sin(\x1b[2J)", r"cannot go on with '.x1b\[2J"),
    ],
)
def test_other_texts_cannot(text, why):
    found = unreadable(text)
    assert found is not None
    assert re.match(why, found), found


def test_a_text_that_is_none_is_a_problem(filled, make):
    with Archive(filled) as archive:
        archive.add(make(50, text="os.system('true')"))
    (problem,) = check(filled).problems
    assert problem.startswith(
        "the text of evaluation 21 must be that of a candidate, and cannot go on with \".system('"
    )


@pytest.mark.parametrize("row", [1, 499, 500, 501, 999, 1000, 1001])
def test_each_row_beyond_one_block_is_checked(archive, path, make, row):
    archive.add_all(make(number) for number in range(1001))
    archive.close()
    changed(path, f"UPDATE evaluations SET seconds = 7.0 WHERE id = {row}")
    assert check(path).problems == (f"evaluation {row} has another checksum than was written",)
    assert check(path).counts["evaluations"] == 1001


def test_a_damaged_row_hides_no_other(filled):
    changed(filled, "UPDATE evaluations SET seconds = 7.0 WHERE id IN (2, 5)", "UPDATE tasks SET settings = '{}'")
    problems = check(filled).problems
    assert [one for one in problems if one.startswith("evaluation")] == [
        "evaluation 2 has another checksum than was written",
        "evaluation 5 has another checksum than was written",
    ]
    assert len(problems) == 3


def test_a_damaged_register_of_one_run_hides_no_other(path, settings_of_task):
    with Archive(path) as archive:
        archive.register(settings_of_task)
        keys = [archive.begin(f"run {number}", {}, {}) for number in range(2)]
        for key in keys:
            Register(archive, key).born("sin(x)", 0, "random")
    changed(path, "UPDATE births SET parents = '[[' WHERE run = 1", "UPDATE births SET text = 'sin(' WHERE run = 2")
    first, second = check(path).problems
    assert first.startswith(f"run {keys[0][:8]}: ")
    assert second == "the text of birth 1: ends early"
